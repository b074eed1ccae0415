//! Which certificate is shown for which name: all that is to be had, and the choice among it.
//!
//! A decision without I/O: files were read before. Bounded by what is wanted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::sign::CertifiedKey;

use super::authority::{self, Authority, AuthorityError};
use super::credential::Credential;
use super::keyring::Order;
use super::standing::{Source, Standing};
use super::wanted::{Group, Pair, Wanted};
use super::watched::Watched;

/// All that is to be had.
#[derive(Default)]
pub(super) struct Held {
    pub(super) wanted: Wanted,
    pub(super) authority: Option<Arc<Authority>>,
    pub(super) files: HashMap<Pair, Watched>,
    /// What a CA signed or did not.
    pub(super) obtained: HashMap<Order, Obtained>,
    /// What was signed here, by its names.
    signed: HashMap<Vec<String>, Signed>,
    /// How often `files` were replaced: who has read them meanwhile has read older ones.
    pub(super) readings: u64,
}

/// What came of asking a CA.
#[derive(Default)]
pub(super) struct Obtained {
    pub(super) credential: Option<Credential>,
    pub(super) renewal: Option<SystemTime>,
    pub(super) trouble: Option<String>,
}

/// What was signed here.
#[derive(Clone)]
struct Signed {
    credential: Credential,
    source: Source,
    renewal: SystemTime,
}

impl Signed {
    /// Whether it is good now, and not to be renewed yet. One of the future was signed by a clock that was wrong.
    fn is_good(&self, now: SystemTime) -> bool {
        self.credential.facts().not_before <= now && now < self.renewal
    }
}

/// What was chosen.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) names: HashMap<String, Arc<CertifiedKey>>,
    pub(super) default: Option<Arc<CertifiedKey>>,
    pub(super) standing: Vec<Standing>,
    pub(super) orders: Vec<Order>,
}

impl Held {
    /// Chooses for each name; signs what nobody else has signed, and forgets what nobody wants.
    pub(super) fn choose(&mut self, now: SystemTime) -> Result<Shown, AuthorityError> {
        let (mut shown, mut signed) = (Shown::default(), HashMap::new());
        for group in &self.wanted.groups {
            self.choose_for(group, now, &mut shown, &mut signed)?;
        }
        let files = self.wanted.files.iter().filter_map(|pair| self.files.get(pair));
        for (watched, credential) in files.filter_map(|watched| Some((watched, watched.credential.as_ref()?))) {
            let names = credential.facts().names.iter().filter(|name| !shown.names.contains_key(*name)).cloned();
            shown.show(names.collect(), credential, Standing::of_file(watched));
        }
        let mut files = self.wanted.files.iter().filter_map(|pair| self.files.get(pair)?.credential.as_ref());
        let first = || self.wanted.groups.first().and_then(|group| group.names.first());
        let usual = self.wanted.usual.as_ref().or_else(first).and_then(|name| shown.of(name));
        shown.default = files.next().map(Credential::certified).or(usual);
        let broken = self.files.values().filter(|watched| watched.credential.is_none());
        shown.standing.extend(broken.map(Standing::of_file));
        // What ends first comes first, and before it what is not there.
        shown.standing.sort_by(|one, other| (one.not_after, &one.names).cmp(&(other.not_after, &other.names)));
        self.signed = signed;
        self.obtained.retain(|names, _| shown.orders.contains(names));
        Ok(shown)
    }

    fn choose_for(
        &self,
        group: &Group,
        now: SystemTime,
        shown: &mut Shown,
        signed: &mut HashMap<Vec<String>, Signed>,
    ) -> Result<(), AuthorityError> {
        let mut rest = Vec::new();
        for name in group.names.iter().filter(|name| !shown.names.contains_key(*name)).cloned().collect::<Vec<_>>() {
            match self.file(group, &name).and_then(|watched| Some((watched, watched.credential.as_ref()?))) {
                Some((watched, credential)) => shown.show(vec![name], credential, Standing::of_file(watched)),
                None => rest.push(name),
            }
        }
        let from_acme = |name: &String| group.signer.orders(name);
        let (order, local): (Order, Vec<String>) = rest.into_iter().partition(from_acme);
        if !local.is_empty() {
            let own = self.signed(&local, Source::Local, now)?;
            shown.show(
                local.clone(),
                &own.credential,
                Standing::new(&own.credential, Source::Local, Some(own.renewal), None),
            );
            signed.insert(local, own);
        }
        if order.is_empty() {
            return Ok(());
        }
        let obtained = self.obtained.get(&order);
        let renewal = obtained.and_then(|obtained| obtained.renewal);
        let trouble = obtained.and_then(|obtained| obtained.trouble.clone());
        match obtained.and_then(|obtained| obtained.credential.as_ref()) {
            Some(credential) => {
                shown.show(order.clone(), credential, Standing::new(credential, Source::Acme, renewal, trouble));
            }
            None => {
                let own = self.signed(&order, Source::StandIn, now)?;
                shown.show(
                    order.clone(),
                    &own.credential,
                    Standing::new(&own.credential, Source::StandIn, renewal, trouble),
                );
                signed.insert(order.clone(), own);
            }
        }
        shown.orders.push(order);
        Ok(())
    }

    /// The file that is for a name: of those of its group and those for all the first that says it, else its group's first.
    fn file(&self, group: &Group, name: &str) -> Option<&Watched> {
        let usable = |pair| self.files.get(pair).filter(|watched: &&Watched| watched.credential.is_some());
        let says = |watched: &&Watched| watched.credential.as_ref().is_some_and(|credential| credential.is_for(name));
        let mut all = group.files.iter().chain(&self.wanted.files).filter_map(usable);
        all.find(says).or_else(|| group.files.iter().find_map(usable))
    }

    /// Uses another local CA from now on: what the one before has signed is to be signed anew.
    pub(super) fn trust(&mut self, authority: Arc<Authority>) {
        if self.authority.as_ref().is_none_or(|before| before.root() != authority.root()) {
            self.signed.retain(|_, signed| signed.source != Source::Local);
            self.authority = Some(authority);
        }
    }

    /// What was signed for these names, or is now.
    fn signed(&self, names: &[String], source: Source, now: SystemTime) -> Result<Signed, AuthorityError> {
        let known = self.signed.get(names).filter(|known| known.is_good(now) && known.source == source);
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let credential = match (&source, &self.authority) {
            (Source::Local, Some(authority)) => authority.sign(names, now)?,
            _ => authority::stand_in(names, now)?,
        };
        // A third of its life is left for whatever stands in the way of the next one.
        Ok(Signed { credential, source, renewal: now + authority::LIFE * 2 / 3 })
    }

    /// Whether something that was signed here is to be signed anew.
    pub(super) fn is_due(&self, now: SystemTime) -> bool {
        self.signed.values().any(|signed| !signed.is_good(now))
    }
}

impl Shown {
    /// What is shown for a name, as it is or as one of a wildcard.
    fn of(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let wildcard = || self.names.get(&format!("*.{}", name.split_once('.')?.1));
        self.names.get(name).or_else(wildcard).cloned()
    }

    /// Shows it for these names; one that is shown already is told once.
    fn show(&mut self, names: Vec<String>, credential: &Credential, mut standing: Standing) {
        let certified = credential.certified();
        self.names.extend(names.iter().map(|name| (name.clone(), Arc::clone(&certified))));
        match self.standing.iter_mut().find(|known| known.source == standing.source && known.is_of_file()) {
            Some(known) => known.names.extend(names),
            None => {
                standing.names = names;
                self.standing.push(standing);
            }
        }
    }
}
