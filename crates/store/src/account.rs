//! Accounts as values: who has mailboxes here, and the passwords of theirs.
//!
//! Knows nothing of hashing: a [`Credential`] is bytes that the service made and alone understands. Bounded by the
//! constants named at each type.

use std::fmt;

/// An account's number in this store, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub(crate) i64);

impl AccountId {
    /// The number itself, 1 or more.
    pub fn number(self) -> u64 {
        self.0.unsigned_abs()
    }
}

/// What the service made of a password. It is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(pub(crate) Box<[u8]>);

impl Credential {
    /// The most bytes.
    pub const LARGEST: usize = 4096;

    /// What the service made.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credential")
    }
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It takes mail, and its passwords are good.
    Active,
    /// It keeps its mail; nobody logs in with it.
    Disabled,
    /// Its deletion has begun: what it has goes, step by step.
    Leaving,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Its address, as it was written when it was made.
    pub address: String,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    /// Whether it may be used.
    pub standing: Standing,
    /// The most bytes of its messages; `None`: no bound.
    pub quota: Option<u64>,
    /// Bytes of its messages; one that is in two of its mailboxes counts twice.
    pub used: u64,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// What the service made of its password; `None`: it has none.
    pub credential: Option<Credential>,
}

impl Account {
    /// The most accounts of one store.
    pub const MOST: usize = 100_000;
    /// The most groups of one account.
    pub const MOST_GROUPS: usize = 32;
    /// The most bytes of a group's name.
    pub const LONGEST_GROUP: usize = 100;
    /// The most accounts that one [`Store::accounts`](crate::Store::accounts) gives.
    pub const MOST_OF_A_PAGE: usize = 1000;

    /// Whether so many bytes more are within its quota.
    pub fn has_room_for(&self, bytes: u64) -> bool {
        self.quota.is_none_or(|quota| self.used.saturating_add(bytes) <= quota)
    }
}

/// An account to make.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// Its address; another that differs only in the case of letters is the same.
    pub address: String,
    /// What the service made of its password.
    pub credential: Option<Credential>,
    /// The most bytes of its messages.
    pub quota: Option<u64>,
    /// The groups it is in.
    pub groups: Vec<String>,
}

/// One change of an account.
#[derive(Clone, Debug)]
pub enum AccountChange {
    /// Its passwords are good again.
    Enable,
    /// Nobody logs in with it.
    Disable,
    /// Another bound, or none. What is there stays.
    Quota(Option<u64>),
    /// These groups in the place of those it was in.
    Groups(Vec<String>),
    /// Another password, or none.
    Credential(Option<Credential>),
}

/// What a password for one program is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Scope {
    /// Handing in mail.
    Smtp = 1,
    /// Reading mail.
    Imap = 2,
    /// Sites.
    Http = 4,
    /// Commands.
    Command = 8,
}

impl Scope {
    /// All there are, with the names people write.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Smtp, "smtp"), (Self::Imap, "imap"), (Self::Http, "http"), (Self::Command, "command")];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(scope, _)| *scope == self).map_or("", |(_, name)| name)
    }

    /// The scope of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(scope, _)| *scope)
    }
}

/// Some scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(pub(crate) u32);

impl Scopes {
    /// Whether this one is among them.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope as u32 != 0
    }

    /// Those among them, in the order of [`Scope::ALL`].
    pub fn each(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().map(|(scope, _)| scope).filter(move |scope| self.has(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope as u32))
    }
}

/// The number of a password for one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AppPasswordId(pub(crate) i64);

/// A password for one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppPassword {
    /// Its number.
    pub id: AppPasswordId,
    /// What it was named, to tell it from the others of its account.
    pub name: String,
    /// What the service made of it.
    pub credential: Credential,
    /// What it is good for.
    pub scopes: Scopes,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    /// When it was last used, as far as that was noted.
    pub used_ms: Option<u64>,
}

impl AppPassword {
    /// The most of one account.
    pub const MOST: usize = 50;
    /// The most bytes of a name.
    pub const LONGEST_NAME: usize = 100;
}

/// A password for one program, to be made.
#[derive(Clone, Debug)]
pub struct NewAppPassword {
    /// Its name; no two of one account are the same.
    pub name: String,
    /// What the service made of it.
    pub credential: Credential,
    /// What it is good for.
    pub scopes: Scopes,
}

/// What a mailbox is for (RFC 6154 §2; RFC 9051 §5.1 on INBOX).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialUse {
    /// Where mail arrives.
    Inbox,
    /// Where what is not wanted arrives.
    Junk,
    /// What was sent.
    Sent,
    /// What is being written.
    Drafts,
    /// What was deleted.
    Trash,
    /// What is kept.
    Archive,
}

impl SpecialUse {
    /// The mailboxes that an account begins with, each with its name. Their places here are their numbers in the store.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Inbox, "Inbox"),
        (Self::Junk, "Junk"),
        (Self::Sent, "Sent"),
        (Self::Drafts, "Drafts"),
        (Self::Trash, "Trash"),
        (Self::Archive, "Archive"),
    ];

    pub(crate) fn stored(number: usize) -> Option<Self> {
        Self::ALL.get(number).map(|(special, _)| *special)
    }

    pub(crate) fn number(self) -> i64 {
        Self::ALL.iter().position(|(special, _)| *special == self).map_or(0, |place| place as i64)
    }
}
