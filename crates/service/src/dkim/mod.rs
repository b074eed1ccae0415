//! Our own signatures: the keys of our domains, and what is written in front of mail that goes out (RFC 6376, RFC 8463).
//!
//! A domain has a pair of keys at a time, RSA-2048 and Ed25519, since not everybody can verify the latter. Keys change with overlap:
//! [`Keyring::make`] makes the next pair, whose records are published; [`Keyring::rotate`] lets it sign, and the pair before it only
//! be verified; [`Keyring::retire`] forgets that one, a week later at the earliest, when no mail that it signed is under way.
//!
//! Knows no queue and no name server. Bounded by: [`KEYS_MOST`] keys of a domain, and one domain's keys are one secret of the store,
//! so that every step is whole.

mod key;
mod signer;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use sportello_store::{Error as StoreError, Store};
use sportello_wire::mail::Domain;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use key::Key;
pub use key::{Algorithm, KeyView, Standing};
pub use signer::{SignError, Signer};

/// The most keys of one domain.
pub const KEYS_MOST: usize = 8;
/// How long a key's record stays published after it signed for the last time: longer than any mail is on its way.
pub const OVERLAP: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The most octets of a domain's name, so that its selectors have room before it.
const DOMAIN_LONGEST: usize = 220;
/// Before the domain, in the name of its secret.
const SECRET: &str = "dkim/";

/// The keys of all domains, in the store.
#[derive(Clone, Debug)]
pub struct Keyring(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    store: Store,
    /// One change at a time: each reads what is there and writes it anew.
    changing: Mutex<()>,
    /// Those that sign now.
    signing: ArcSwap<HashMap<String, Arc<signer::Keys>>>,
}

/// Why keys were not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// It is no domain that mail could be from.
    #[error("`{0}` is no domain")]
    Domain(String),
    /// It has no keys.
    #[error("{0} has no keys yet: make them first")]
    None(String),
    /// The next pair is there already.
    #[error("{0} has its next pair of keys already: publish their records, then rotate")]
    NextIsThere(String),
    /// There is no next pair.
    #[error("{0} has no next pair of keys: make it first, and publish its records")]
    NoNext(String),
    /// The pair before is still there.
    #[error("{0} still has the keys before: retire them first")]
    BeforeIsThere(String),
    /// There is nothing to retire.
    #[error("{0} has no keys that could be retired")]
    NothingToRetire(String),
    /// Mail that they signed may be under way.
    #[error(
        "the keys of {domain} that signed until lately must stay published for {hours} more hours, since mail may be on its way"
    )]
    TooEarly {
        /// Whose.
        domain: String,
        /// For how long.
        hours: u64,
    },
    /// The store did not do it.
    #[error("the store did not take it")]
    Store(#[from] StoreError),
    /// Keys could not be made, or read.
    #[error("{0}")]
    Key(String),
}

/// Whether keys may be retired before their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Only when no mail that they signed can be under way.
    Wait,
    /// Now: somebody else may have them.
    Now,
}

impl Keyring {
    /// The keys that `store` has.
    pub async fn open(store: Store) -> Result<Self, KeyringError> {
        let inside = Inside { store, changing: Mutex::new(()), signing: ArcSwap::default() };
        let keyring = Self(Arc::new(inside));
        for name in keyring.0.store.secret_names(SECRET).await? {
            let Some(domain) = name.strip_prefix(SECRET) else { continue };
            let keys = keyring.read(domain).await?;
            keyring.use_now(domain, &keys)?;
        }
        Ok(keyring)
    }

    /// What signs with them.
    pub fn signer(&self) -> Signer {
        Signer::new(self.clone())
    }

    /// The keys of a domain, or of all.
    pub async fn list(&self, domain: Option<&str>) -> Result<Vec<KeyView>, KeyringError> {
        let names = match domain {
            Some(domain) => vec![format!("{SECRET}{}", checked(domain)?)],
            None => self.0.store.secret_names(SECRET).await?,
        };
        let mut views = Vec::new();
        for name in names {
            let Some(domain) = name.strip_prefix(SECRET) else { continue };
            views.extend(self.read(domain).await?.iter().map(|key| key.view(domain)));
        }
        Ok(views)
    }

    /// Makes a domain's next pair of keys; its first pair signs at once. Returns the new ones, whose records are to be published.
    pub async fn make(&self, domain: &str) -> Result<Vec<KeyView>, KeyringError> {
        let domain = checked(domain)?;
        let _alone = self.0.changing.lock().await;
        let mut keys = self.read(&domain).await?;
        if keys.iter().any(|key| key.standing == Standing::Next) {
            return Err(KeyringError::NextIsThere(domain));
        }
        let standing = if keys.is_empty() { Standing::Signing } else { Standing::Next };
        let (now, taken) = (now_ms(), keys.iter().map(|key| key.selector.clone()).collect::<Vec<_>>());
        let made = spawn_blocking(move || key::make_pair(&taken, standing, now));
        let made = made.await.map_err(|error| KeyringError::Key(error.to_string()))??;
        let views = made.iter().map(|key| key.view(&domain)).collect();
        keys.extend(made);
        self.keep(&domain, &keys).await?;
        Ok(views)
    }

    /// Lets the next pair sign, and the one before be only verified.
    pub async fn rotate(&self, domain: &str) -> Result<Vec<KeyView>, KeyringError> {
        let domain = checked(domain)?;
        let _alone = self.0.changing.lock().await;
        let mut keys = self.read(&domain).await?;
        if keys.is_empty() {
            return Err(KeyringError::None(domain));
        }
        if !keys.iter().any(|key| key.standing == Standing::Next) {
            return Err(KeyringError::NoNext(domain));
        }
        if keys.iter().any(|key| key.standing == Standing::Before) {
            return Err(KeyringError::BeforeIsThere(domain));
        }
        let now = now_ms();
        for key in &mut keys {
            key.standing = match key.standing {
                Standing::Next => Standing::Signing,
                Standing::Signing | Standing::Before => Standing::Before,
            };
            key.since_ms = now;
        }
        self.keep(&domain, &keys).await?;
        Ok(keys.iter().map(|key| key.view(&domain)).collect())
    }

    /// Forgets the pair before. Returns what was forgotten: its records are no longer needed.
    pub async fn retire(&self, domain: &str, haste: Haste) -> Result<Vec<KeyView>, KeyringError> {
        let domain = checked(domain)?;
        let _alone = self.0.changing.lock().await;
        let keys = self.read(&domain).await?;
        let (gone, kept): (Vec<Key>, Vec<Key>) = keys.into_iter().partition(|key| key.standing == Standing::Before);
        let Some(since) = gone.iter().map(|key| key.since_ms).max() else {
            return Err(KeyringError::NothingToRetire(domain));
        };
        let age = Duration::from_millis(now_ms().saturating_sub(since));
        if haste == Haste::Wait && age < OVERLAP {
            let hours = (OVERLAP - age).as_secs().div_ceil(3_600);
            return Err(KeyringError::TooEarly { domain, hours });
        }
        self.keep(&domain, &kept).await?;
        Ok(gone.iter().map(|key| key.view(&domain)).collect())
    }

    async fn read(&self, domain: &str) -> Result<Vec<Key>, KeyringError> {
        let Some(bytes) = self.0.store.secret(&format!("{SECRET}{domain}")).await? else { return Ok(Vec::new()) };
        serde_json::from_slice(&bytes)
            .map_err(|_| KeyringError::Key(format!("the kept keys of {domain} cannot be read")))
    }

    async fn keep(&self, domain: &str, keys: &[Key]) -> Result<(), KeyringError> {
        let bytes = serde_json::to_vec(keys).map_err(|error| KeyringError::Key(error.to_string()))?;
        self.0.store.keep_secret(&format!("{SECRET}{domain}"), bytes).await?;
        self.use_now(domain, keys)
    }

    fn use_now(&self, domain: &str, keys: &[Key]) -> Result<(), KeyringError> {
        let signing = Arc::new(signer::Keys::new(domain, keys)?);
        self.0.signing.rcu(|before| {
            let mut after = HashMap::clone(before);
            after.insert(domain.to_owned(), Arc::clone(&signing));
            after
        });
        Ok(())
    }

    fn of(&self, domain: &str) -> Option<Arc<signer::Keys>> {
        self.0.signing.load().get(domain).cloned()
    }
}

/// A domain as its keys are kept: in ASCII and small letters.
fn checked(domain: &str) -> Result<String, KeyringError> {
    let refused = || KeyringError::Domain(domain.to_owned());
    let name = mail_auth::common::to_a_label(domain.trim_end_matches('.')).to_ascii_lowercase();
    match Domain::parse(name.as_bytes()) {
        Ok(Domain::Name(_)) if name.is_ascii() && name.len() <= DOMAIN_LONGEST => Ok(name),
        _ => Err(refused()),
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
