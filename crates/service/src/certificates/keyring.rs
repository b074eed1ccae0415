//! The certificates in use: of all that are to be had for a name the best one, in the one table that every channel looks in.
//!
//! For each name that is wanted, in this order: the files of its site; the files for all; what a CA signed ([`Keyring::put`]); what the
//! local CA signs, or, until another CA has signed, a stand-in that nobody vouches for. When any of them changes the table is
//! replaced, and the next handshake sees it. Knows nothing of ACME: whoever speaks it asks [`Keyring::orders`] what is to be had,
//! shows what a CA asks for ([`Keyring::show_challenge`], [`Keyring::answers`]), and puts here what it got.
//!
//! Files are looked at every [`LOOK`]. Nobody reads a file while he holds a lock, and those who shake hands or ask what is in use
//! ([`Keyring::standing`]) take none: a slow disk keeps nobody but those who read. Bounded by what is wanted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;
use sportello_net::tls::{Certificates, Table};
use sportello_store::Store;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;

use super::acme::{Handle, RenewError};
use super::answers::Answers;
use super::authority::{Authority, AuthorityError, is_for_certificates};
use super::choice::{Held, Obtained};
use super::credential::Credential;
use super::standing::Standing;
use super::wanted::{Pair, Wanted};
use super::watched::{Look, Watched};

/// How often files are looked at. A change is in use after two looks at most.
pub const LOOK: Duration = Duration::from_secs(2);

/// By this name the store keeps the local CA: its root, then its key.
const KEPT: &str = "local-ca";

/// The certificates in use. Cloning gives another handle to the same ones.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    table: Certificates,
    answers: Answers,
    store: Store,
    /// As people know this machine.
    host: String,
    held: Mutex<Held>,
    /// What is shown, as people are told; replaced as the table is.
    standing: ArcSwap<Arc<[Standing]>>,
    orders: watch::Sender<Arc<[Order]>>,
    /// Told when something else is wanted.
    wants: Notify,
    /// Who obtains certificates from a CA, where somebody does.
    obtainer: Mutex<Option<Handle>>,
}

/// The names of one certificate that is to be had by ACME, in the order in which they are written.
pub type Order = Vec<String>;

/// Why there are no certificates.
#[derive(Debug, Error)]
pub enum KeyringError {
    /// The store does not give or take the local CA.
    #[error("the local CA cannot be kept")]
    Store(#[from] sportello_store::Error),
    /// The local CA does not work.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// What the store keeps is no local CA.
    #[error("the store does not hold a local CA, but something else in its place")]
    Damaged,
    /// The files could not be read at all.
    #[error("the files of certificates cannot be read")]
    Reading(#[from] tokio::task::JoinError),
}

impl Keyring {
    /// One with nothing on it, for the machine that people know as `host`.
    pub fn new(store: Store, host: &str) -> Self {
        Self(Arc::new(Inner {
            table: Certificates::default(),
            answers: Answers::default(),
            store,
            host: host.to_owned(),
            held: Mutex::default(),
            standing: ArcSwap::from_pointee(Arc::from([])),
            orders: watch::Sender::new(Arc::from([])),
            wants: Notify::new(),
            obtainer: Mutex::default(),
        }))
    }

    /// The table that channels look in.
    pub fn table(&self) -> &Certificates {
        &self.0.table
    }

    /// What is answered to a CA that asks by HTTP.
    pub fn answers(&self) -> &Answers {
        &self.0.answers
    }

    /// What is to be had by ACME, now and whenever that changes: names of sites that no file is for.
    pub fn orders(&self) -> watch::Receiver<Arc<[Order]>> {
        self.0.orders.subscribe()
    }

    /// Wants something else from now on; returns when each of its names has some certificate. Makes the local CA at its first
    /// need. Reads files on a thread that may block. Dropping this future leaves what was wanted before.
    ///
    /// # Errors
    /// When the local CA cannot be had. A file that cannot be read is told and no error, and so is a name that no certificate can have.
    pub async fn want(&self, wanted: Wanted) -> Result<(), KeyringError> {
        self.want_at(wanted, SystemTime::now()).await
    }

    async fn want_at(&self, mut wanted: Wanted, now: SystemTime) -> Result<(), KeyringError> {
        for group in &mut wanted.groups {
            group.names.retain(|name| {
                let is_good = is_for_certificates(name);
                if !is_good {
                    tracing::error!(name, "no certificate can be for this name: it is shown another one's");
                }
                is_good
            });
        }
        wanted.groups.retain(|group| !group.names.is_empty());
        let authority = if wanted.groups.is_empty() { None } else { Some(self.authority(now).await?) };
        let known = self.held().files.clone();
        let pairs: Vec<Pair> = wanted.pairs().cloned().collect();
        let files = spawn_blocking(move || read(pairs, known)).await?;
        let mut held = self.held();
        if let Some(authority) = authority {
            held.trust(authority);
        }
        held.files = files;
        held.readings = held.readings.wrapping_add(1);
        held.wanted = wanted;
        self.0.wants.notify_one();
        self.fill(&mut held, now)
    }

    /// Looks whether files changed and whether something is to be signed anew. Reads files, and blocks for them.
    ///
    /// # Errors
    /// When the local CA cannot sign; all is then as it was.
    pub fn look(&self, look: Look, now: SystemTime) -> Result<(), KeyringError> {
        let (mut files, readings) = {
            let held = self.held();
            (held.files.clone(), held.readings)
        };
        let mut has_changed = false;
        for watched in files.values_mut() {
            let trouble = watched.trouble.clone();
            has_changed |= watched.look(look) || trouble != watched.trouble;
        }
        let mut held = self.held();
        // What somebody wants since then was read later.
        let is_latest = held.readings == readings;
        if is_latest {
            held.files = files;
        }
        if has_changed && is_latest || held.is_due(now) {
            self.fill(&mut held, now)?;
        }
        Ok(())
    }

    /// Looks every [`LOOK`] while anything is wanted, until it is dropped. For a thread of its own, which may block.
    pub async fn keep(&self) {
        loop {
            if self.held().wanted.groups.is_empty() {
                self.0.wants.notified().await;
            }
            tokio::time::sleep(LOOK).await;
            let now = SystemTime::now();
            if let Err(error) = self.renew_authority(now).await.and_then(|()| self.look(Look::Resting, now)) {
                tracing::error!(%error, "certificates cannot be signed anew: those in use stay");
            }
        }
    }

    /// Has a certificate for just these names, as [`Keyring::orders`] gave them, to be renewed at `renewal`.
    ///
    /// # Errors
    /// When the local CA cannot sign for others.
    pub fn put(
        &self,
        names: &[String],
        credential: Credential,
        renewal: Option<SystemTime>,
    ) -> Result<(), KeyringError> {
        let new = Obtained { credential: Some(credential), renewal, trouble: None };
        self.note(names, |obtained| *obtained = new)
    }

    /// Says that a certificate for these names was not to be had, why, and when it is tried again. What there is stays in use.
    ///
    /// # Errors
    /// When the local CA cannot sign for others.
    pub fn missed(&self, names: &[String], why: &str, again: SystemTime) -> Result<(), KeyringError> {
        self.note(names, |obtained| {
            obtained.trouble = Some(why.to_owned());
            obtained.renewal = Some(again);
        })
    }

    /// The same for many at once: what there is for names, if that is new, when it is renewed, and what went wrong.
    ///
    /// # Errors
    /// When the local CA cannot sign for others.
    pub fn put_all(
        &self,
        all: impl IntoIterator<Item = (Order, Option<Credential>, SystemTime, Option<String>)>,
    ) -> Result<(), KeyringError> {
        let mut held = self.held();
        for (names, credential, renewal, trouble) in all {
            let obtained = held.obtained.entry(names).or_default();
            obtained.credential = credential.or(obtained.credential.take());
            (obtained.renewal, obtained.trouble) = (Some(renewal), trouble);
        }
        self.fill(&mut held, SystemTime::now())
    }

    /// From now on certificates are obtained by this engine, or by none.
    pub fn obtained_by(&self, obtainer: Option<Handle>) {
        *self.0.obtainer.lock().unwrap_or_else(PoisonError::into_inner) = obtainer;
    }

    /// Has the certificate that bears this name obtained anew as soon as may be. Returns when that is decided, not when it is there.
    ///
    /// # Errors
    /// When it is not ordered: it is from elsewhere, or its turn has not come.
    pub async fn renew(&self, name: &str) -> Result<(), RenewError> {
        let obtainer = self.0.obtainer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match obtainer {
            Some(obtainer) => obtainer.renew(name).await,
            None => Err(RenewError::Unknown),
        }
    }

    /// Shows this to a CA that asks for `name` by TLS-ALPN-01, until [`Keyring::end_challenge`].
    pub fn show_challenge(&self, name: &str, certificate: &Arc<CertifiedKey>) {
        self.0.table.change(|table| table.answer_challenge(name, Arc::clone(certificate)));
    }

    /// Shows it no more.
    pub fn end_challenge(&self, name: &str) {
        self.0.table.change(|table| table.end_challenge(name));
    }

    /// Answers no question of a CA any more: nobody is left who would take the answers back.
    pub fn end_challenges(&self) {
        self.0.table.change(Table::end_challenges);
        self.0.answers.end_all();
    }

    /// What is in use, as people are told; those that are first needed first. Takes no lock.
    pub fn standing(&self) -> Arc<[Standing]> {
        Arc::clone(&self.0.standing.load())
    }

    /// The local CA's root in PEM, where there is a local CA.
    ///
    /// # Errors
    /// When the store does not give it.
    pub async fn root(&self) -> Result<Option<String>, KeyringError> {
        if let Some(authority) = &self.held().authority {
            return Ok(Some(authority.root().to_owned()));
        }
        Ok(self.kept().await?.map(|authority| authority.root().to_owned()))
    }

    fn note(&self, names: &[String], change: impl FnOnce(&mut Obtained)) -> Result<(), KeyringError> {
        let mut held = self.held();
        change(held.obtained.entry(names.to_vec()).or_default());
        self.fill(&mut held, SystemTime::now())
    }

    /// Another local CA in the place of one that is not good any more.
    async fn renew_authority(&self, now: SystemTime) -> Result<(), KeyringError> {
        if self.held().authority.as_ref().is_none_or(|authority| authority.is_good(now)) {
            return Ok(());
        }
        let authority = self.authority(now).await?;
        let mut held = self.held();
        held.trust(authority);
        self.fill(&mut held, now)
    }

    /// The local CA: the one in use, the one that is kept, or a new one.
    async fn authority(&self, now: SystemTime) -> Result<Arc<Authority>, KeyringError> {
        let in_use = self.held().authority.clone();
        if let Some(authority) = in_use.filter(|authority| authority.is_good(now)) {
            return Ok(authority);
        }
        match self.kept().await? {
            Some(authority) if authority.is_good(now) => return Ok(Arc::new(authority)),
            Some(_) => {
                tracing::warn!("the local CA is over, or of a clock that was wrong: another one takes its place")
            }
            None => {}
        }
        let authority = Authority::make(now, &self.0.host)?;
        let kept = format!("{}{}", authority.root(), authority.key());
        self.0.store.keep_secret(KEPT, kept.into_bytes()).await?;
        tracing::info!("made a local CA: `sportello ca` says how to trust it");
        Ok(Arc::new(authority))
    }

    async fn kept(&self) -> Result<Option<Authority>, KeyringError> {
        let Some(kept) = self.0.store.secret(KEPT).await? else { return Ok(None) };
        let kept = String::from_utf8(kept).map_err(|_| KeyringError::Damaged)?;
        let key = kept.find("-----BEGIN PRIVATE KEY").ok_or(KeyringError::Damaged)?;
        let (root, key) = kept.split_at(key);
        Ok(Some(Authority::read(root, key)?))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses for each name, and replaces the table.
    fn fill(&self, held: &mut Held, now: SystemTime) -> Result<(), KeyringError> {
        let shown = held.choose(now)?;
        self.0.table.change(|table| {
            table.begin_anew();
            for (name, certificate) in &shown.names {
                table.show(name, Arc::clone(certificate));
            }
            if let Some(default) = &shown.default {
                table.show_by_default(Arc::clone(default));
            }
        });
        self.0.standing.store(Arc::new(shown.standing.into()));
        self.0.orders.send_if_modified(|orders| {
            let has_changed = **orders != *shown.orders;
            if has_changed {
                *orders = shown.orders.as_slice().into();
            }
            has_changed
        });
        Ok(())
    }
}

/// Reads all these files, of which some are known. Blocks.
fn read(pairs: Vec<Pair>, mut known: HashMap<Pair, Watched>) -> HashMap<Pair, Watched> {
    let mut files = HashMap::new();
    for pair in pairs {
        if let Entry::Vacant(place) = files.entry(pair) {
            let watched = known.remove(place.key()).unwrap_or_else(|| Watched::new(place.key().clone()));
            place.insert(watched).look(Look::Now);
        }
    }
    files
}

#[cfg(test)]
mod tests;
