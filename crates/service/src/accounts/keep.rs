//! Accounts made, changed and deleted by who runs the server.
//!
//! Passwords are hashed here, so that the store and whoever asks never see more of them than they must. Bounded by [`FEWEST_LETTERS`] and
//! what the store bounds.

use sportello_store::{
    Account, AccountChange, AccountId, AppPassword, Error, NewAccount as Stored, NewAppPassword, Scopes, Store,
};
use sportello_wire::mail::Address;
use sportello_wire::sasl::Password;

use super::{Accounts, credential};
use crate::directory::{folded, folded_name};
use crate::failure::{Class, Failure};

/// Letters of a password that somebody chooses: fewer are guessed.
const FEWEST_LETTERS: usize = 8;

/// An account to make.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its address.
    pub address: String,
    /// Its password; without one only passwords for programs let it in.
    pub password: Option<Password>,
    /// The most bytes of its messages.
    pub quota: Option<u64>,
    /// The groups it is in.
    pub groups: Vec<String>,
}

/// One change of an account.
#[derive(Clone, Debug)]
pub enum Change {
    /// Its passwords are good again.
    Enable,
    /// Nobody logs in with it.
    Disable,
    /// Another bound, or none.
    Quota(Option<u64>),
    /// Other groups.
    Groups(Vec<String>),
    /// Another password.
    Password(Password),
}

impl Accounts {
    /// The store they are in.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The account of an address.
    ///
    /// # Errors
    /// [`Class::NotFound`] where there is none.
    pub async fn find(&self, address: &str) -> Result<Account, Failure> {
        let nobody = || Failure::new(Class::NotFound, format!("there is no account {address}"));
        self.inner.store.account(&folded_name(address)).await?.ok_or_else(nobody)
    }

    /// Makes an account with its mailboxes.
    ///
    /// # Errors
    /// [`Class::BadRequest`] where the address or the password will not do, [`Class::Conflict`] where the account is there already.
    pub async fn add(&self, new: NewAccount) -> Result<AccountId, Failure> {
        let NewAccount { address, password, quota, groups } = new;
        let parsed = Address::parse(address.as_bytes())
            .map_err(|error| Failure::new(Class::BadRequest, format!("{address} is no address: {error}")))?;
        let address = folded(&parsed);
        let credential = match password {
            Some(password) => Some(self.hashed(&address, password).await?),
            None => None,
        };
        let made =
            self.inner.store.create_account(Stored { address: address.clone(), credential, quota, groups }).await;
        made.map_err(|error| match error {
            Error::Taken => Failure::new(Class::Conflict, format!("there is an account {address} already")),
            error => error.into(),
        })
    }

    /// Changes an account. What was known of its passwords is not any more, where they change or it is disabled.
    ///
    /// # Errors
    /// [`Class::NotFound`] where there is none.
    pub async fn change(&self, address: &str, change: Change) -> Result<(), Failure> {
        let account = self.find(address).await?;
        let change = match change {
            Change::Enable => AccountChange::Enable,
            Change::Disable => AccountChange::Disable,
            Change::Quota(quota) => AccountChange::Quota(quota),
            Change::Groups(groups) => AccountChange::Groups(groups),
            Change::Password(password) => {
                AccountChange::Credential(Some(self.hashed(&account.address, password).await?))
            }
        };
        if self.inner.store.change_account(account.id, change).await? {
            return Ok(());
        }
        Err(Failure::new(Class::Conflict, format!("the account {address} is being deleted")))
    }

    /// Deletes an account with all its mail.
    ///
    /// # Errors
    /// [`Class::NotFound`] where there is none; after any other it may be half done, and is ended by asking again.
    pub async fn delete(&self, address: &str) -> Result<(), Failure> {
        let account = self.find(address).await?;
        self.inner.store.delete_account(account.id).await.map(drop).map_err(Failure::from)
    }

    /// Makes a password for one program: nobody sees it again.
    ///
    /// # Errors
    /// [`Class::NotFound`] where there is no such account, [`Class::Conflict`] where it has one of this name,
    /// [`Class::BadRequest`] where it would be good for nothing.
    pub async fn add_app_password(&self, address: &str, name: &str, scopes: Scopes) -> Result<Password, Failure> {
        if scopes.each().next().is_none() || name.is_empty() || name.chars().any(char::is_control) {
            return Err(Failure::new(
                Class::BadRequest,
                "a password for a program has a name and is good for something",
            ));
        }
        let account = self.find(address).await?;
        let (salt, key) = (self.salt(&account.address), self.inner.key);
        let (password, credential) = self.inner.hashing.run(move || credential::generated(&key, &salt)).await??;
        let new = NewAppPassword { name: name.to_owned(), credential, scopes };
        self.inner.store.add_app_password(account.id, new).await.map_err(|error| match error {
            Error::Taken => Failure::new(Class::Conflict, format!("{address} has a password named {name} already")),
            error => error.into(),
        })?;
        Ok(password)
    }

    /// The passwords for programs of an account.
    ///
    /// # Errors
    /// [`Class::NotFound`] where there is no such account.
    pub async fn app_passwords(&self, address: &str) -> Result<Vec<AppPassword>, Failure> {
        let account = self.find(address).await?;
        Ok(self.inner.store.app_passwords(account.id).await?)
    }

    /// Forgets a password for a program.
    ///
    /// # Errors
    /// [`Class::NotFound`] where there is none of this name.
    pub async fn remove_app_password(&self, address: &str, name: &str) -> Result<(), Failure> {
        let account = self.find(address).await?;
        if self.inner.store.remove_app_password(account.id, name).await? {
            return Ok(());
        }
        Err(Failure::new(Class::NotFound, format!("{address} has no password named {name}")))
    }

    async fn hashed(&self, address: &str, password: Password) -> Result<sportello_store::Credential, Failure> {
        if password.prepared().chars().count() < FEWEST_LETTERS {
            let told = format!("a password has at least {FEWEST_LETTERS} letters");
            return Err(Failure::new(Class::BadRequest, told));
        }
        let salt = self.salt(address);
        self.inner.hashing.run(move || credential::chosen(&password, &salt)).await?
    }
}
