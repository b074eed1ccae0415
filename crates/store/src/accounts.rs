//! The contract's operations on accounts: who has mailboxes here.
//!
//! As on its first page each is whole; only the deletion of an account is a chain of steps, any of which may be the last
//! one that a crash lets through, and which then goes on when it is asked for again.

use std::sync::atomic::Ordering;

use crate::account::{
    Account, AccountChange, AccountId, AppPassword, AppPasswordId, NewAccount, NewAppPassword, SpecialUse,
};
use crate::contract::{Store, at_most, now_ms};
use crate::error::Error;
use crate::page::Selection;
use crate::sqlite::accounts::{Order, Outcome, json};
use crate::sqlite::writer::Request;
use crate::types::{Envelope, Mailbox, MailboxId};

impl Store {
    /// Makes an account with the mailboxes of [`SpecialUse::ALL`]. [`Error::Taken`] where the address, in whatever case,
    /// is one already. Dropping this future may still do it.
    pub async fn create_account(&self, new: NewAccount) -> Result<AccountId, Error> {
        if new.address.is_empty() {
            return Err(Error::Refused("an account has an address".into()));
        }
        at_most("bytes in an address", new.address.len(), Envelope::LONGEST_ADDRESS)?;
        let groups = checked(&new.groups)?;
        self.made(Order::Create { new, groups, now_ms: now_ms() }).await.map(AccountId)
    }

    /// The account of an address, in whatever case it is written.
    pub async fn account(&self, address: &str) -> Result<Option<Account>, Error> {
        let address = address.to_owned();
        self.inner.readers.run(move |reader| reader.account_by_address(&address)).await?
    }

    /// What is needed to let somebody in: the account of an address with its passwords for programs, of one moment.
    pub async fn login(&self, address: &str) -> Result<Option<(Account, Vec<AppPassword>)>, Error> {
        let address = address.to_owned();
        self.inner.readers.run(move |reader| reader.login(&address)).await?
    }

    /// The oldest account of a domain that is not being deleted.
    pub async fn first_account(&self, domain: &str) -> Result<Option<Account>, Error> {
        let domain = domain.to_owned();
        self.inner.readers.run(move |reader| reader.first_account(&domain)).await?
    }

    /// An account by its number.
    pub async fn account_by_id(&self, id: AccountId) -> Result<Option<Account>, Error> {
        self.inner.readers.run(move |reader| reader.account(id)).await?
    }

    /// Accounts in the order of their addresses, those after `after`: at most `limit`, and at most
    /// [`Account::MOST_OF_A_PAGE`].
    pub async fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<Account>, Error> {
        let (after, most) = (after.map(str::to_owned), limit.min(Account::MOST_OF_A_PAGE));
        self.inner.readers.run(move |reader| reader.accounts(after.as_deref(), most)).await?
    }

    /// A number that has grown when whoever changed an account is told so. What was read of accounts at the same number is
    /// still so, but for the bytes of their messages.
    pub fn account_changes(&self) -> u64 {
        self.inner.bodies.counters.account_changes.load(Ordering::Relaxed)
    }

    /// Changes an account; `false` when it is not here or is being deleted. Dropping this future may still do it.
    pub async fn change_account(&self, id: AccountId, change: AccountChange) -> Result<bool, Error> {
        if let AccountChange::Groups(groups) = &change {
            checked(groups)?;
        }
        self.found(Order::Change(id, change)).await
    }

    /// Deletes an account with all its mailboxes and messages; `false` when it is not here. From the first step on nothing
    /// comes into it and its passwords are gone. Messages go in transactions of at most [`Store::STEP`]: an error, or
    /// dropping this future, may leave it [`Standing::Leaving`](crate::Standing::Leaving), and asking again goes on.
    pub async fn delete_account(&self, id: AccountId) -> Result<bool, Error> {
        if !self.found(Order::Leave(id)).await? {
            return Ok(false);
        }
        for mailbox in self.mailboxes_of(id).await? {
            self.delete_each(Selection::Mailbox(mailbox.id)).await?;
        }
        while self.found(Order::ForgetImported(id)).await? {}
        // Nothing came into them meanwhile.
        if self.found(Order::Finish(id)).await? { Ok(true) } else { Err(Error::Busy) }
    }

    /// Keeps a password for one program. [`Error::Taken`] where the account has one of this name, [`Error::NoAccount`]
    /// where it is not here. At most [`AppPassword::MOST`] of one account.
    pub async fn add_app_password(&self, account: AccountId, new: NewAppPassword) -> Result<AppPasswordId, Error> {
        if new.name.is_empty() {
            return Err(Error::Refused("a password for a program has a name".into()));
        }
        at_most("bytes in the name of a password", new.name.len(), AppPassword::LONGEST_NAME)?;
        self.made(Order::AddAppPassword { account, new, now_ms: now_ms() }).await.map(AppPasswordId)
    }

    /// The passwords for programs of an account, in the order of their names.
    pub async fn app_passwords(&self, account: AccountId) -> Result<Vec<AppPassword>, Error> {
        self.inner.readers.run(move |reader| reader.app_passwords(account)).await?
    }

    /// Forgets a password for a program; `false`: there was none of this name.
    pub async fn remove_app_password(&self, account: AccountId, name: &str) -> Result<bool, Error> {
        self.found(Order::RemoveAppPassword(account, name.to_owned())).await
    }

    /// Notes that a password for a program was used, at this moment (milliseconds since 1970).
    pub async fn used_app_password(&self, id: AppPasswordId, at_ms: u64) -> Result<bool, Error> {
        self.found(Order::UseAppPassword(id, i64::try_from(at_ms).unwrap_or(i64::MAX))).await
    }

    /// The mailboxes of an account, the oldest first; at most [`Mailbox::MOST_OF_AN_ACCOUNT`].
    pub async fn mailboxes_of(&self, account: AccountId) -> Result<Vec<Mailbox>, Error> {
        self.inner.readers.run(move |reader| reader.mailboxes_of(account)).await?
    }

    /// A mailbox by its number.
    pub async fn mailbox_by_id(&self, id: MailboxId) -> Result<Option<Mailbox>, Error> {
        self.inner.readers.run(move |reader| reader.mailbox(id)).await?
    }

    /// A mailbox of an account by its name, which is meant as it is written; only `INBOX` is the same in whatever case
    /// (RFC 9051 §5.1).
    pub async fn mailbox(&self, account: AccountId, name: &str) -> Result<Option<MailboxId>, Error> {
        let name = shown(name).to_owned();
        self.inner.readers.run(move |reader| reader.mailbox_of(account, &name)).await?
    }

    /// Makes a mailbox of an account. [`Error::Taken`] where it has one of this name. At most
    /// [`Mailbox::MOST_OF_AN_ACCOUNT`]. Dropping this future may still do it.
    pub async fn make_mailbox(&self, account: AccountId, name: &str) -> Result<MailboxId, Error> {
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(Error::Refused("the name of a mailbox is not empty and has no control characters".into()));
        }
        at_most("bytes in the name of a mailbox", name.len(), Mailbox::LONGEST_NAME)?;
        self.made(Order::MakeMailbox(account, shown(name).to_owned())).await.map(MailboxId)
    }

    async fn made(&self, order: Order) -> Result<i64, Error> {
        match self.ordered(order).await? {
            Outcome::Made(number) => Ok(number),
            Outcome::Found(_) => Err(Error::Closed),
        }
    }

    async fn found(&self, order: Order) -> Result<bool, Error> {
        Ok(self.ordered(order).await? == Outcome::Found(true))
    }

    async fn ordered(&self, order: Order) -> Result<Outcome, Error> {
        self.writable()?;
        self.inner.writer.ask(|asker| Request::Account(Box::new(order), asker)).await
    }
}

/// The groups as they are stored.
fn checked(groups: &[String]) -> Result<String, Error> {
    at_most("groups of one account", groups.len(), Account::MOST_GROUPS)?;
    at_most("bytes in the name of a group", groups.iter().map(String::len).max().unwrap_or(0), Account::LONGEST_GROUP)?;
    json(groups)
}

/// The name as it is stored.
fn shown(name: &str) -> &str {
    match SpecialUse::ALL {
        [(SpecialUse::Inbox, inbox), ..] if name.eq_ignore_ascii_case(inbox) => inbox,
        _ => name,
    }
}
