//! The directory with the store's accounts behind it: what sessions ask at each recipient.
//!
//! What is known of accounts is remembered as long as no account has changed, so that mail to a few busy addresses costs no look-up;
//! an account with a quota is looked up each time, since mail changes what it holds. What is nobody's is not remembered: those who try
//! names fill nothing. Bounded by [`Addresses::MOST_REMEMBERED`] accounts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::aws_lc_rs;
use sportello_store::{self as store, Account, AccountId, Store};
use sportello_wire::mail::srs::Srs;
use sportello_wire::mail::{Address, ForwardPath, ReversePath};
use tokio::sync::OnceCell;

use super::{Asked, Directory, Holder, MailDomains, Resolution, Standing, Wanted};

/// Answers what addresses mean, with the accounts of a store. Clones share what is remembered.
#[derive(Clone, Debug)]
pub struct Addresses {
    domains: Arc<MailDomains>,
    store: Store,
    srs: Arc<OnceCell<Srs>>,
    remembered: Arc<Mutex<Remembered>>,
}

/// How much room the mailbox of an account must have to be given mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// For so many bytes, at least one.
    For(u64),
    /// None: what comes is taken whatever the quota says, as reports are.
    Any,
}

/// What is known of accounts, while none has changed.
#[derive(Debug, Default)]
struct Remembered {
    /// The number of the last change that is in it.
    change: u64,
    accounts: HashMap<Box<str>, Holder<AccountId>>,
}

impl Addresses {
    /// The most accounts that are remembered; then all are forgotten.
    pub const MOST_REMEMBERED: usize = 4096;
    /// By which name the store keeps the key for rewritten senders.
    pub const KEY: &str = "srs/key";

    /// Of these domains and the accounts of this store, where the key for rewritten senders is, or is put when it is first needed.
    /// A process makes one and its others [`with`](Self::with) it: two made apart might each put a key of their own.
    pub fn new(domains: Arc<MailDomains>, store: Store) -> Self {
        Self { domains, store, srs: Arc::default(), remembered: Arc::default() }
    }

    /// With other domains, and the same key: what a reload makes of it.
    #[must_use]
    pub fn with(&self, domains: Arc<MailDomains>) -> Self {
        Self { domains, ..self.clone() }
    }

    /// The domains.
    pub fn domains(&self) -> &Arc<MailDomains> {
        &self.domains
    }

    /// What becomes of mail from `sender` to `recipient`, today, where it needs so much room.
    ///
    /// # Errors
    /// When the store cannot say; then nothing is known, and the client is to come again.
    pub async fn resolve(
        &self,
        recipient: &ForwardPath,
        sender: &ReversePath,
        room: Room,
    ) -> Result<Resolution<AccountId>, store::Error> {
        let asked = Asked { recipient, sender, today: today() };
        let accounts = async |wanted: Wanted<'_>| self.look_up(wanted, room).await;
        self.directory().await?.resolve(asked, accounts).await
    }

    /// Whether an account may send as an address.
    ///
    /// # Errors
    /// When the store cannot say.
    pub async fn may_send_as(&self, account: AccountId, address: &Address) -> Result<bool, store::Error> {
        let accounts = async |wanted: Wanted<'_>| self.look_up(wanted, Room::Any).await;
        self.directory().await?.may_send_as(&account, address, accounts).await
    }

    async fn directory(&self) -> Result<Directory, store::Error> {
        // Where no domain has aliases nothing is forwarded, and no key is made.
        let srs = match self.domains.only_capture() {
            true => Srs::new([0; Srs::KEY]),
            false => self.srs.get_or_try_init(|| self.key()).await?.clone(),
        };
        Ok(Directory::new(Arc::clone(&self.domains), srs))
    }

    /// The key for rewritten senders: that which is kept, or a new one.
    async fn key(&self) -> Result<Srs, store::Error> {
        let kept = self.store.secret(Self::KEY).await?.and_then(|bytes| <[u8; Srs::KEY]>::try_from(bytes).ok());
        if let Some(key) = kept {
            return Ok(Srs::new(key));
        }
        let mut key = [0; Srs::KEY];
        let random = aws_lc_rs::default_provider().secure_random.fill(&mut key);
        random.map_err(|_| store::Error::Refused("this machine gives no randomness for a key".into()))?;
        self.store.keep_secret(Self::KEY, key.to_vec()).await?;
        Ok(Srs::new(key))
    }

    async fn look_up(&self, wanted: Wanted<'_>, room: Room) -> Result<Option<Holder<AccountId>>, store::Error> {
        let address = match wanted {
            Wanted::First(domain) => {
                let found = self.store.first_account(domain).await?;
                return Ok(found.and_then(|account| holder(account, room)));
            }
            Wanted::Account(address) => address,
        };
        let change = self.store.account_changes();
        if let Some(known) = self.known(change, |accounts| accounts.get(address).cloned()) {
            return Ok(Some(known));
        }
        let Some(account) = self.store.account(address).await? else { return Ok(None) };
        let may_be_remembered = account.quota.is_none();
        let found = holder(account, room);
        if let (Some(found), true) = (&found, may_be_remembered && self.store.account_changes() == change) {
            self.known(change, |accounts| {
                if accounts.len() >= Self::MOST_REMEMBERED {
                    accounts.clear();
                }
                accounts.insert(address.into(), found.clone())
            });
        }
        Ok(found)
    }

    /// Does something with what is known as of this change; with nothing, where something newer is.
    fn known<T>(
        &self,
        change: u64,
        of: impl FnOnce(&mut HashMap<Box<str>, Holder<AccountId>>) -> Option<T>,
    ) -> Option<T> {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.change < change {
            *remembered = Remembered { change, ..Remembered::default() };
        }
        if remembered.change == change { of(&mut remembered.accounts) } else { None }
    }
}

/// The account, unless it is on its way out.
fn holder(account: Account, room: Room) -> Option<Holder<AccountId>> {
    let has_room = match room {
        Room::For(bytes) => account.has_room_for(bytes.max(1)),
        Room::Any => true,
    };
    let standing = match account.standing {
        store::Standing::Leaving => return None,
        store::Standing::Disabled => Standing::Disabled,
        store::Standing::Active if has_room => Standing::Open,
        store::Standing::Active => Standing::OverQuota,
    };
    Some(Holder { id: account.id, address: account.address.into(), standing })
}

fn today() -> u64 {
    const DAY: u64 = 86_400;
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / DAY)
}

#[cfg(test)]
mod tests;
