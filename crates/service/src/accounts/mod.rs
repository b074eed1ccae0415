//! Who somebody is: names and passwords of accounts, compared; the keys by which SCRAM proves them.
//!
//! A handle over the store, the same for every protocol. Whether a name is there, is disabled, or has another password: it costs the
//! same slow hash and is told in the same words. Knows no connection and no ban list; whoever asks tells that of a refusal. Bounded by:
//! places for slow hashes, passwords that are known again, and what the store bounds.

mod credential;
mod hashing;
mod keep;
mod known;

use std::fmt;
use std::sync::Arc;

use sportello_store::{Account, AppPassword, AppPasswordId, Scope, Standing, Store};
use sportello_wire::sasl::Password;
use sportello_wire::sasl::scram::Keys;

use crate::directory::folded_name;
use crate::failure::{Class, Failure};

use self::credential::{Key, keyed, random};
use self::known::Known;

pub(crate) use self::hashing::Hashing;
pub use self::keep::{Change, NewAccount};

/// The accounts of the store. Clones are the same.
#[derive(Clone, Debug)]
pub struct Accounts {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    /// The store's own: for the salts of SCRAM and the hashes of passwords that we made.
    key: Key,
    hashing: Hashing,
    known: Known,
}

/// Somebody who has said who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The account, as it is now.
    pub account: Account,
    /// By which of its passwords.
    pub by: By,
}

/// Which password it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The account's own, which is good for everything.
    Password,
    /// One for a program.
    AppPassword(AppPasswordId, String),
}

/// What SCRAM needs for one name (RFC 5802 §5): the keys to give to the exchange, and whose they are.
#[derive(Clone, Debug)]
pub struct ScramOffer {
    /// For a name that there is not they look the same, every time the same, and no proof will do.
    pub keys: Keys,
    name: String,
    scope: Scope,
    /// In the order of the pairs: which password, as the store keeps it.
    holders: Vec<(By, sportello_store::Credential)>,
}

/// How often the use of a password for a program is noted.
const NOTED_EVERY_MS: u64 = 60_000;

/// The secret's name in the store.
const KEY: &str = "accounts/key";

/// One sentence for a name that is not there, one that is disabled, and a wrong password.
const REFUSED: &str = "the name or the password is wrong";

impl Accounts {
    /// The accounts of this store; makes the store's secret when there is none.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn open(store: Store) -> Result<Self, Failure> {
        let key = match store.secret(KEY).await? {
            Some(kept) => Key::try_from(kept).map_err(|_| Failure::internal("the accounts' secret is damaged"))?,
            None => {
                let key = random()?;
                store.keep_secret(KEY, key.to_vec()).await?;
                key
            }
        };
        let known = Known::new(random()?);
        Ok(Self { inner: Arc::new(Inner { store, key, hashing: Hashing::default(), known }) })
    }

    /// Whether this is a password of that name, good for this. A refusal is [`Class::Unauthenticated`]; the caller counts it.
    ///
    /// # Errors
    /// Besides: [`Class::Busy`] where too many log in at once, and what the store says.
    pub async fn verify(&self, name: &str, password: &Password, scope: Scope) -> Result<Authenticated, Failure> {
        let found = self.inner.store.login(&folded_name(name)).await?;
        let found = found.filter(|(account, _)| account.standing == Standing::Active);
        if let Some((account, app_passwords)) = &found
            && let Some(used) = app_passwords.iter().find(|known| {
                known.scopes.has(scope) && credential::is_generated(&known.credential, password, &self.inner.key)
            })
        {
            self.note_use(used).await;
            return Ok(Authenticated { account: account.clone(), by: of(used) });
        }
        let kept = found.as_ref().and_then(|(account, _)| account.credential.clone());
        let token = match (&found, &kept) {
            (Some((account, _)), Some(kept)) => Some(self.inner.known.token(account.id.number(), kept, password)),
            _ => None,
        };
        let is_known = token.is_some_and(|token| self.inner.known.has(&token));
        if !is_known {
            let password = password.clone();
            // For an account that is not there too.
            if !self.inner.hashing.run(move || credential::is_chosen(kept.as_ref(), &password)).await? {
                return Err(refused());
            }
            token.into_iter().for_each(|token| self.inner.known.keep(token));
        }
        let (account, _) = found.ok_or_else(refused)?;
        Ok(Authenticated { account, by: By::Password })
    }

    /// What SCRAM needs for a name; the same amount of work whether there is one.
    ///
    /// # Errors
    /// What the store says.
    pub async fn scram(&self, name: &str, scope: Scope) -> Result<ScramOffer, Failure> {
        let name = folded_name(name);
        let found = self.inner.store.login(&name).await?;
        let found = found.filter(|(account, _)| account.standing == Standing::Active);
        let mut holders = Vec::new();
        if let Some((account, app_passwords)) = found {
            holders.extend(account.credential.map(|kept| (By::Password, kept)));
            let good = app_passwords.into_iter().filter(|known| known.scopes.has(scope));
            holders.extend(good.map(|known| (of(&known), known.credential)));
        }
        let with_pairs = holders.into_iter().filter_map(|(by, kept)| Some((credential::pair(&kept)?, (by, kept))));
        let (pairs, holders) = with_pairs.unzip();
        let keys = Keys { salt: self.salt(&name), iterations: credential::ITERATIONS, pairs };
        Ok(ScramOffer { keys, name, scope, holders })
    }

    /// Lets in who has proved to know the password of the pair of this number, if it is still one of the account's.
    ///
    /// # Errors
    /// As [`Accounts::verify`].
    pub async fn proved(&self, offer: &ScramOffer, pair: usize) -> Result<Authenticated, Failure> {
        let (by, kept) = offer.holders.get(pair).ok_or_else(refused)?;
        let found = self.inner.store.login(&offer.name).await?;
        let (account, app_passwords) =
            found.filter(|(account, _)| account.standing == Standing::Active).ok_or_else(refused)?;
        match by {
            By::Password if account.credential.as_ref() == Some(kept) => {}
            By::AppPassword(id, _) => {
                let same = |known: &&AppPassword| known.id == *id && known.scopes.has(offer.scope);
                let used = app_passwords.iter().find(same).ok_or_else(refused)?;
                self.note_use(used).await;
            }
            By::Password => return Err(refused()),
        }
        Ok(Authenticated { account, by: by.clone() })
    }

    /// A nonce for one exchange of SCRAM.
    ///
    /// # Errors
    /// When the machine gives no chance.
    pub fn nonce(&self) -> Result<[u8; 18], Failure> {
        random()
    }

    /// How many slow hashes were computed.
    pub fn hashes(&self) -> u64 {
        self.inner.hashing.done()
    }

    /// The salt of a name's passwords, whether there is an account of that name or not.
    fn salt(&self, name: &str) -> Vec<u8> {
        keyed(&self.inner.key, &[b"salt\0", name.as_bytes()]).get(..16).unwrap_or_default().to_vec()
    }

    /// Notes the use of a password for a program, now and then. Nobody is kept out where that fails.
    async fn note_use(&self, used: &AppPassword) {
        let now_ms = now_ms();
        if used.used_ms.is_some_and(|last| now_ms.saturating_sub(last) < NOTED_EVERY_MS) {
            return;
        }
        if let Err(error) = self.inner.store.used_app_password(used.id, now_ms).await {
            tracing::debug!(%error, "the use of a password is not noted");
        }
    }
}

/// Secrets: they are not shown.
impl fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Inner").field("hashing", &self.hashing).finish_non_exhaustive()
    }
}

fn of(used: &AppPassword) -> By {
    By::AppPassword(used.id, used.name.clone())
}

fn refused() -> Failure {
    Failure::new(Class::Unauthenticated, REFUSED)
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
