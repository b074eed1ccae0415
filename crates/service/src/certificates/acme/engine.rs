//! Keeps a certificate for every set of names that is wanted: orders, renews, waits, one thing at a time.
//!
//! Everything that must hold after a crash is on the disk before a CA is asked (see [`pace`](super::pace)). Dropping the future of
//! [`Engine::run`] stops it at once; an order under way counts as failed until another one succeeds.
//!
//! Bounded by: [`MOST_SITES`], [`MOST_NAMES`], one order at a time, the bounds of [`pace`](super::pace).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{Account, HttpClient};
use rcgen::KeyPair;
use sportello_wire::date::rfc3339;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::account::{self, Client};
use super::ari::identifier;
use super::challenge::Way;
use super::handle::{Asked, Asks, RenewError};
use super::house::{House, HouseError, News};
use super::order::Wish;
use super::pace::{self, ORDER_FIRST, ORDER_MOST, Pace};
use super::plan::Life;
use super::record::{Record, Rows, Said, Signed};
use super::site::Site;
use super::trouble::{Heeding, Trouble, Whose};
use crate::certificates::Credential;
use crate::clock::Seconds;

/// Certificates at once.
pub const MOST_SITES: usize = 5_000;
/// Names of one certificate, as Let's Encrypt allows.
pub const MOST_NAMES: usize = 100;
/// How long the wall clock is not looked at: it may leap, and the wait must not.
const LOOK: Duration = Duration::from_secs(600);

/// How certificates are obtained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From whom.
    pub client: Client,
    /// How names are proved; in turn, if an order fails.
    pub ways: Vec<Way>,
}

/// The engine. Owned by the thread that runs it.
pub struct Engine<H> {
    pub(super) house: H,
    settings: Settings,
    pub(super) http: Heeding,
    rows: Rows,
    account: Option<Account>,
    pace: Pace,
    pub(super) sites: Vec<Site>,
    /// What is kept of names that are not wanted now, by the row's name.
    others: BTreeMap<String, Record>,
}

impl<H: House> Engine<H> {
    /// Reads what is kept; `http` speaks with the CA.
    ///
    /// # Errors
    /// When it cannot be read: then nothing may be ordered.
    pub async fn open(house: H, settings: Settings, http: Arc<dyn HttpClient>) -> Result<Self, HouseError> {
        let rows = Rows::of(&settings.client.directory);
        let pace = house.kept(&rows.pace()).await?.into_iter().next();
        let pace = pace.and_then(|(_, bytes)| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let kept = house.kept(&rows.certificates()).await?.into_iter();
        let others = kept.filter_map(|(row, bytes)| Some((row, Record::read(&bytes)?))).collect();
        let http = Heeding::new(http, house.clock());
        Ok(Self { house, settings, http, rows, account: None, pace, sites: Vec::new(), others })
    }

    /// Works until the last handle is dropped.
    pub async fn run(mut self, mut asks: Asks) {
        loop {
            let next = self.step().await;
            let now = self.house.clock().seconds();
            let wait = Duration::from_secs(next.saturating_sub(now)).min(LOOK);
            if wait.is_zero() {
                continue;
            }
            tokio::select! {
                () = sleep(wait) => {}
                asked = asks.0.recv() => match asked {
                    Some(Asked::Want(names, shown)) => {
                        self.want(names);
                        // Whoever wanted them may be gone.
                        let _ = shown.send(());
                        self.forget_old().await;
                    }
                    Some(Asked::Renew(name, told)) => self.renew(&name, told),
                    None => return,
                },
            }
        }
    }

    /// Keeps certificates for these sets of names from now on, and for no others; shows at once what is kept of them.
    fn want(&mut self, sets: Vec<Vec<String>>) {
        for site in self.sites.drain(..) {
            self.others.insert(site.row, site.record);
        }
        for wanted in sets {
            let names = in_order(&wanted);
            if names.is_empty() || names.len() > MOST_NAMES || self.sites.len() >= MOST_SITES {
                tracing::error!(names = names.len(), "no certificate is ordered: too many names, or too many sites");
                continue;
            }
            let row = self.rows.certificate(&names);
            if self.sites.iter().all(|site| site.row != row) {
                let record = self.others.remove(&row).unwrap_or_default();
                self.sites.push(Site::new(wanted, names, row, record));
            }
        }
        self.tell_all();
    }

    /// Tells how everything stands. Until names have a certificate of their own, they get the one for most of them that is wanted no more.
    fn tell_all(&self) {
        let now = self.house.clock().seconds();
        let held = pace::believed(self.pace.not_before, now);
        let credentials = self.others.values().filter_map(|record| record.signed.as_ref()?.credential().ok());
        let spare: Vec<Credential> = credentials.filter(|credential| Life::of(credential).until > now).collect();
        let best = |site: &Site| {
            let fit = |credential: &&Credential| site.names.iter().filter(|name| covers(credential, name)).count();
            spare
                .iter()
                .filter(|credential| fit(credential) > 0)
                .max_by_key(|credential| (fit(credential), Life::of(credential).until))
        };
        let news = |site: &Site| {
            let news = site.news(held);
            let is_good = site.life().is_some_and(|life| life.until > now);
            if is_good { news } else { News { credential: best(site).cloned(), ..news } }
        };
        self.house.tell(self.sites.iter().map(news).collect());
    }

    /// Tells how one set of names stands.
    pub(super) fn tell(&self, place: usize) {
        let held = pace::believed(self.pace.not_before, self.house.clock().seconds());
        self.house.tell(self.sites.get(place).map(|site| site.news(held)).into_iter().collect());
    }

    /// Forgets what is wanted no more and of no use: no certificate that is good, no wait that must be kept.
    async fn forget_old(&mut self) {
        let now = self.house.clock().seconds();
        let is_old = |record: &Record| {
            let credential = record.signed.as_ref().and_then(|signed| signed.credential().ok());
            let is_good = credential.is_some_and(|credential| Life::of(&credential).until > now);
            !is_good && pace::believed(record.not_before, now) <= now
        };
        let old: Vec<String> =
            self.others.iter().filter(|(_, record)| is_old(record)).map(|(row, _)| row.clone()).collect();
        for row in old {
            self.others.remove(&row);
            if let Err(error) = self.house.forget(&row).await {
                tracing::warn!(%error, "an old certificate is not forgotten");
            }
        }
    }

    /// Orders anew at once what has this name, if the hour's bounds allow it and the CA is not to be left alone. That orders of these names
    /// failed before holds up nobody who has mended why.
    fn renew(&mut self, name: &str, told: oneshot::Sender<Result<(), RenewError>>) {
        let now = self.house.clock().seconds();
        let mut result = Err(RenewError::Unknown);
        for site in self.sites.iter_mut().filter(|site| site.is_called(name)) {
            let held = pace::believed(self.pace.not_before.max(site.record.told_not_before), now);
            result = match self.pace.admits(&site.names, now) {
                at if at > now => Err(RenewError::TooOften(crate::clock::moment(at))),
                _ if held > now => Err(RenewError::Resting(crate::clock::moment(held))),
                _ => {
                    site.hurry();
                    Ok(())
                }
            };
        }
        // Whoever asked may be gone.
        let _ = told.send(result);
    }

    /// Does what is due, the most urgent thing; from when on there will be more to do.
    async fn step(&mut self) -> Seconds {
        let now = self.house.clock().seconds();
        let held = pace::believed(self.pace.not_before, now);
        let at = |site: &Site| site.at(now).max(self.pace.admits(&site.names, now)).max(held);
        let due = self.sites.iter().enumerate().filter(|(_, site)| at(site) <= now);
        if let Some((place, _)) = due.min_by_key(|(_, site)| site.due()) {
            self.order(place).await;
            return now;
        }
        let asks = |site: &Site| site.ask_at().max(held);
        if let Some(place) = self.sites.iter().position(|site| asks(site) <= now) {
            self.ask_for_window(place).await;
            return now;
        }
        self.sites.iter().map(|site| at(site).min(asks(site))).min().unwrap_or(Seconds::MAX)
    }

    /// Orders a certificate and says in the record what came of it.
    async fn order(&mut self, place: usize) {
        let now = self.house.clock().seconds();
        let chance = self.house.chance();
        let Some(site) = self.sites.get_mut(place) else { return };
        let before = site.record.clone();
        site.record.names.clone_from(&site.names);
        site.record.failures = before.failures.saturating_add(1);
        let wait = pace::back_off(site.record.failures, ORDER_FIRST, ORDER_MOST, chance);
        site.record.not_before = pace::later(now, wait, None);
        self.pace.start(&site.names, now);
        let result = match self.keep_all(place).await {
            Ok(()) => self.attempt(place, before.failures).await,
            // What cannot be kept must not be ordered.
            Err(error) => Err(Trouble::ca(format!("nothing is ordered, since nothing can be kept: {error}"))),
        };
        match result {
            Ok((signed, credential)) => self.succeeded(place, signed, credential),
            Err(trouble) => self.failed(place, before, &trouble).await,
        }
        self.tell(place);
        if let Err(error) = self.keep_all(place).await {
            // On the disk it still counts as failed, so that a restart orders it no sooner than that allows.
            tracing::error!(%error, "what came of an order is not kept");
        }
    }

    async fn attempt(&mut self, place: usize, turn: u32) -> Result<(Signed, Credential), Trouble> {
        let account = self.account(place).await?;
        let Some(site) = self.sites.get(place) else { return Err(Trouble::order("the names are wanted no more")) };
        let key = KeyPair::generate().map_err(|error| Trouble::ca(error.to_string()))?;
        // A CA that refuses the hint must not refuse the order for ever: it is given once.
        let replaces = site.credential().filter(|_| turn == 0 && site.record.window.is_some()).and_then(identifier);
        let wish = Wish {
            house: &self.house,
            account: &account,
            http: &self.http,
            names: &site.names,
            ways: &self.settings.ways,
            turn,
            replaces,
            key: &key,
        };
        let chain = wish.fulfil().await?;
        let signed = Signed { chain, key: key.serialize_pem() };
        let credential = signed
            .credential()
            .map_err(|error| Trouble::order(format!("what the CA signed cannot be used: {error}")))?;
        if let Some(missing) = site.names.iter().find(|name| !covers(&credential, name)) {
            return Err(Trouble::order(format!("what the CA signed is not for {missing}")));
        }
        if Life::of(&credential).until <= self.house.clock().seconds() {
            return Err(Trouble::order("what the CA signed is over already: is this machine's clock right?"));
        }
        Ok((signed, credential))
    }

    /// The account, opened or made. Also a server that dies whenever it makes one makes few: that it does is noted before. One that is kept
    /// is opened without a word: that costs nobody's limits, and a server that was stopped meanwhile orders at once when it is back.
    pub(super) async fn account(&mut self, place: usize) -> Result<Account, Trouble> {
        if let Some(account) = &self.account {
            return Ok(account.clone());
        }
        let is_kept = !self.house.kept(&self.rows.account()).await.map_err(|error| Trouble::ca(error.0))?.is_empty();
        if is_kept {
            let account = account::open(&self.house, &self.rows, &self.settings.client, &self.http).await?;
            return Ok(self.account.insert(account).clone());
        }
        let before = self.pace.clone();
        let (now, chance) = (self.house.clock().seconds(), self.house.chance());
        self.pace.fail("the server ended while it opened its account at the CA", None, now, chance);
        self.keep_all(place).await.map_err(|error| Trouble::ca(error.0))?;
        let opened = account::open(&self.house, &self.rows, &self.settings.client, &self.http).await;
        self.pace = before;
        let account = opened?;
        self.account = Some(account.clone());
        self.keep_all(place).await.map_err(|error| Trouble::ca(error.0))?;
        Ok(account)
    }

    fn succeeded(&mut self, place: usize, signed: Signed, credential: Credential) {
        let now = self.house.clock().seconds();
        let chance = self.house.chance();
        self.pace.succeed();
        let Some(site) = self.sites.get_mut(place) else { return };
        let life = Life::of(&credential);
        site.record = Record {
            names: site.names.clone(),
            signed: Some(signed),
            renew_at: life.usual(chance),
            ask_at: now,
            ..Record::default()
        };
        site.read();
        let until = rfc3339(life.until, 0);
        tracing::info!(
            names = site.names.join(" "),
            issuer = credential.facts().issuer,
            until = String::from_utf8_lossy(&until).as_ref(),
            "a certificate is in use"
        );
    }

    async fn failed(&mut self, place: usize, before: Record, trouble: &Trouble) {
        let now = self.house.clock().seconds();
        let chance = self.house.chance();
        let Some(site) = self.sites.get_mut(place) else { return };
        tracing::warn!(names = site.names.join(" "), error = trouble.text, "no certificate");
        if matches!(trouble.whose, Whose::Ca | Whose::Account) && !trouble.was_ordered {
            // It did not cost anything, and the CA is left alone for a while.
            site.record = before;
            self.pace.take_back();
        } else {
            let wait = pace::back_off(site.record.failures, ORDER_FIRST, ORDER_MOST, chance);
            site.record.not_before = pace::later(now, wait, trouble.wait);
            let told = trouble.wait.map(|told| pace::later(now, Duration::ZERO, Some(told)));
            site.record.told_not_before = told.unwrap_or_default();
        }
        site.record.last = Some(Said { at: now, text: trouble.text.clone() });
        match trouble.whose {
            Whose::Order => _ = self.pace.succeed(),
            Whose::Limited => self.pace.fail(&trouble.text, None, now, chance),
            Whose::Ca => self.pace.fail(&trouble.text, trouble.wait, now, chance),
            Whose::Account => self.pace.forget_account(&trouble.text, trouble.wait, now, chance),
        }
        if trouble.whose == Whose::Account {
            self.account = None;
            if let Err(error) = self.house.forget(&self.rows.account()).await {
                tracing::warn!(%error, "the account that the CA has forgotten is still kept");
            }
        }
    }

    pub(super) async fn keep_all(&self, place: usize) -> Result<(), HouseError> {
        self.house.keep(&self.rows.pace(), serde_json::to_vec(&self.pace).unwrap_or_default()).await?;
        match self.sites.get(place) {
            Some(site) => self.house.keep(&site.row, site.record.bytes()).await,
            None => Ok(()),
        }
    }
}

/// Names as they are compared: in lower case, in order, each once.
fn in_order(names: &[String]) -> Vec<String> {
    let names: BTreeSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.into_iter().collect()
}

/// Whether a certificate is for a name that was ordered, which may itself be a wildcard.
fn covers(credential: &Credential, name: &str) -> bool {
    credential.is_for(name) || credential.facts().names.iter().any(|known| known == name)
}
