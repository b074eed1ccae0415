//! What a mail address means here: whose mailbox, which other addresses, which program, or nobody.
//!
//! The configuration says which domains are ours and what their aliases stand for ([`MailDomains`]); the accounts are asked for one
//! at a time. Every step of the way is told ([`Step`]), so that people see which line decided. Knows nothing of SMTP, of messages and
//! of how accounts are kept. Bounded by [`MailDomains::MOST_MEMBERS`] addresses and [`MailDomains::DEEPEST`] aliases of aliases for
//! each recipient, and [`Resolution::MOST_STEPS`] steps told.

mod addresses;
mod domains;
mod resolve;
mod walk;

use std::fmt;
use std::sync::Arc;

use sportello_wire::mail::srs::Srs;
use sportello_wire::mail::{Address, Domain, ForwardPath, ReversePath};

pub use self::addresses::{Addresses, Room};
pub use self::domains::{
    Alias, Book, Handling, MailDomain, MailDomains, Member, Outgoing, PlusTags, Tangle, folded, folded_name,
};

/// Answers what addresses mean. Clones are cheap and the same.
#[derive(Clone, Debug)]
pub struct Directory {
    domains: Arc<MailDomains>,
    srs: Srs,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Whose meaning.
    pub recipient: &'a ForwardPath,
    /// Who sends to it: forwarded mail goes on from an address that stands for this one.
    pub sender: &'a ReversePath,
    /// Days since 1970.
    pub today: u64,
}

/// What is asked of those who keep the accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// The account of this address, as [`folded`] writes it.
    Account(&'a str),
    /// The oldest account of this domain.
    First(&'a str),
}

/// An account, as far as mail to it is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder<Id> {
    /// Which.
    pub id: Id,
    /// Its address.
    pub address: Box<str>,
    /// Whether it takes mail.
    pub standing: Standing,
}

/// Whether an account takes mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Open,
    /// It has been closed by who runs the server.
    Disabled,
    /// It has as much as it may.
    OverQuota,
}

/// What an address means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution<Id> {
    /// Where its mail goes, each place once, in the order of what is written; never empty.
    pub outcome: Result<Vec<Delivery<Id>>, Refusal>,
    /// Members of an alias that get nothing, while others do: whoever sends the mail is to be told.
    pub left_out: Vec<LeftOut>,
    /// How that came about.
    pub trace: Vec<Step>,
}

impl<Id> Resolution<Id> {
    /// The most steps that are told.
    pub const MOST_STEPS: usize = 64;
}

/// One place where mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery<Id> {
    /// An account's mailbox.
    Mailbox {
        /// Whose.
        account: Id,
        /// Its address.
        address: Box<str>,
        /// What stood behind the `+`.
        tag: Option<Box<str>>,
    },
    /// Another server's address.
    Forward {
        /// To whom.
        address: Address,
        /// From whom it goes on.
        sender: ReversePath,
    },
    /// A program.
    Program {
        /// The command of the configuration.
        name: Box<str>,
        /// The address that stands for it.
        address: Address,
    },
    /// The one inbox in which mail is captured.
    Captured,
}

/// Why nobody gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its domain is not ours: 550 5.7.1, unless the sender may send anywhere.
    NotOurs,
    /// There is no such address: 550 5.1.1.
    Unknown,
    /// It is closed: 550 5.2.1.
    Disabled,
    /// It is full: 452 4.2.2.
    OverQuota,
}

/// Somebody who gets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Who.
    pub address: Address,
    /// Why.
    pub why: Refusal,
}

/// One step of the way, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The line of the configuration that decided; none where an account or a rule did.
    pub line: Option<usize>,
    /// What was found, a sentence without its full stop.
    pub told: String,
}

impl Directory {
    /// Of these domains; `srs` rewrites the senders of what is forwarded.
    pub fn new(domains: Arc<MailDomains>, srs: Srs) -> Self {
        Self { domains, srs }
    }

    /// The domains.
    pub fn domains(&self) -> &Arc<MailDomains> {
        &self.domains
    }

    /// What an address means. `accounts` is asked once for each address that could be an account's.
    ///
    /// # Errors
    /// Those of `accounts`: then nothing is known, and the client is to come again.
    pub async fn resolve<Id: Clone + PartialEq, E>(
        &self,
        asked: Asked<'_>,
        accounts: impl AsyncFn(Wanted<'_>) -> Result<Option<Holder<Id>>, E>,
    ) -> Result<Resolution<Id>, E> {
        resolve::resolve(self, asked, accounts).await
    }

    /// Whether an account may send as an address: its own, also with a plus tag, or one that its mail comes by, except a catch-all.
    ///
    /// # Errors
    /// Those of `accounts`.
    pub async fn may_send_as<Id: Clone + PartialEq, E>(
        &self,
        account: &Id,
        address: &Address,
        accounts: impl AsyncFn(Wanted<'_>) -> Result<Option<Holder<Id>>, E>,
    ) -> Result<bool, E> {
        resolve::may_send_as(self, account, address, accounts).await
    }

    /// What becomes of mail that is sent by an address, to addresses that are not ours.
    pub fn outgoing(&self, sender: &Domain) -> Outgoing {
        self.domains.outgoing(sender)
    }
}

impl Refusal {
    /// Why, in a few words for people.
    pub const fn told(self) -> &'static str {
        match self {
            Self::NotOurs => "its domain is not ours",
            Self::Unknown => "there is no such address",
            Self::Disabled => "the account is disabled",
            Self::OverQuota => "the account is over its quota",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "line {line}: {}", self.told),
            None => formatter.write_str(&self.told),
        }
    }
}

#[cfg(test)]
mod tests;
