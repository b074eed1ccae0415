//! The mail domains of the configuration, checked.

use std::collections::BTreeMap;

use sportello_wire::mail::{Address, Domain};

use crate::judge::Judging;
use crate::published::MtaSts;

/// All of them: those that are named, and perhaps one for every other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailDomains {
    named: BTreeMap<Box<str>, MailDomain>,
    others: Option<MailDomain>,
    /// The first that keeps mail: that of an address without a domain.
    own: Option<Box<str>>,
}

/// One domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailDomain {
    /// Its name, as it is asked for; `*` for every other one.
    pub name: Box<str>,
    /// Where it is written; 0 where it is not.
    pub line: usize,
    /// What becomes of its mail.
    pub handling: Handling,
}

/// What becomes of mail to a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handling {
    /// It is refused.
    Refused,
    /// Whatever the address, it is kept in the one inbox.
    Captured {
        /// Where that is written; 0 where it is not.
        line: usize,
    },
    /// It goes to accounts and by aliases.
    Accounts(Box<Book>),
}

/// The addresses of a domain, beside its accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// By what is before the `@`, in small letters.
    pub aliases: BTreeMap<Box<str>, Alias>,
    /// For all that nobody bears.
    pub catch_all: Option<Alias>,
    /// What `a+b` means.
    pub plus_tags: PlusTags,
    /// Who answers for the domain (RFC 5321 §4.5.1, RFC 2142 §5).
    pub postmaster: Option<Alias>,
    /// What becomes of what its accounts send elsewhere.
    pub outgoing: Outgoing,
    /// How what other servers send to it is judged.
    pub judging: Judging,
    /// The policy by which others send to it over TLS.
    pub mta_sts: MtaSts,
}

/// An address that stands for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Where it is written.
    pub line: usize,
    /// What for.
    pub members: Vec<Member>,
}

/// One of those for whom an alias stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// An address, here or elsewhere.
    Address(Address),
    /// A command of the configuration.
    Program(Box<str>),
}

/// What `a+b` means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlusTags {
    /// `a`, unless there is an `a+b`.
    #[default]
    On,
    /// Nothing of its own.
    Off,
}

/// What becomes of mail that is sent to addresses that are not ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outgoing {
    /// It goes to their servers.
    #[default]
    Sent,
    /// It is kept in the one inbox.
    Captured,
}

/// An alias that is of no use, by itself or with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tangle {
    /// It leads back to itself, by these.
    Cycle(Vec<String>),
    /// It leads on by more than [`MailDomains::DEEPEST`] others.
    TooDeep,
    /// It stands for more than [`MailDomains::MOST_MEMBERS`].
    TooMany,
}

impl MailDomains {
    /// The most addresses for which one stands, all together.
    pub const MOST_MEMBERS: usize = 1_000;
    /// The most aliases by which one address leads to another.
    pub const DEEPEST: usize = 10;

    /// Takes one in; the first of its name stays.
    pub fn add(&mut self, domain: MailDomain) {
        let keeps = !matches!(domain.handling, Handling::Refused);
        if domain.name.as_ref() == "*" {
            self.others.get_or_insert(domain);
            return;
        }
        if keeps && self.own.is_none() {
            self.own = Some(domain.name.clone());
        }
        self.named.entry(domain.name.clone()).or_insert(domain);
    }

    /// One for everybody: all is captured.
    pub fn captured() -> Self {
        let others = MailDomain { name: "*".into(), line: 0, handling: Handling::Captured { line: 0 } };
        Self { others: Some(others), ..Self::default() }
    }

    /// The domain of this name, or that for every other one.
    pub fn of(&self, domain: &Domain) -> Option<&MailDomain> {
        if let Some(found) = domain.asked_for().and_then(|name| self.named.get(name.as_str())) {
            return Some(found);
        }
        self.others.as_ref()
    }

    /// What becomes of mail that is sent by an address of this domain, to addresses that are not ours.
    pub fn outgoing(&self, sender: &Domain) -> Outgoing {
        match self.of(sender).map(|domain| &domain.handling) {
            Some(Handling::Captured { .. }) => Outgoing::Captured,
            Some(Handling::Accounts(book)) => book.outgoing,
            Some(Handling::Refused) | None => Outgoing::Sent,
        }
    }

    /// The domain of this name, as it is asked for.
    pub fn named(&self, name: &str) -> Option<&MailDomain> {
        self.named.get(name)
    }

    /// That for every other one.
    pub fn others(&self) -> Option<&MailDomain> {
        self.others.as_ref()
    }

    /// All of them, by name, that for every other one last.
    pub fn iter(&self) -> impl Iterator<Item = &MailDomain> {
        self.named.values().chain(&self.others)
    }

    /// Those with accounts.
    pub fn with_accounts(&self) -> impl Iterator<Item = (&str, &Book)> {
        self.named.values().filter_map(|domain| match &domain.handling {
            Handling::Accounts(book) => Some((domain.name.as_ref(), book.as_ref())),
            _ => None,
        })
    }

    /// The domain of an address without one.
    pub fn own(&self) -> Option<&MailDomain> {
        self.own.as_deref().and_then(|name| self.named(name)).or(self.others.as_ref())
    }

    /// Whether mail to a domain is kept here, so that none of it is sent on.
    pub fn is_ours(&self, domain: &Domain) -> bool {
        self.of(domain).is_some_and(|domain| domain.handling != Handling::Refused)
    }

    /// Whether all mail that is kept is captured.
    pub fn only_capture(&self) -> bool {
        self.with_accounts().next().is_none()
    }

    /// What is wrong with the alias of this folded address, looked at with all others.
    pub fn tangle(&self, alias: &str) -> Option<Tangle> {
        let mut way = vec![alias.to_owned()];
        let mut members = 0;
        self.follow(&mut way, &mut members).err()
    }

    fn follow(&self, way: &mut Vec<String>, members: &mut usize) -> Result<(), Tangle> {
        let Some(alias) = way.last().and_then(|address| self.alias(address)) else { return Ok(()) };
        if way.len() > Self::DEEPEST {
            return Err(Tangle::TooDeep);
        }
        for member in &alias.members {
            *members += 1;
            if *members > Self::MOST_MEMBERS {
                return Err(Tangle::TooMany);
            }
            let Member::Address(address) = member else { continue };
            let next = folded(address);
            // An alias that stands for its own name too means the account of that name.
            if way.last() == Some(&next) {
                continue;
            }
            let is_back = way.contains(&next);
            way.push(next);
            if is_back {
                return Err(Tangle::Cycle(std::mem::take(way)));
            }
            self.follow(way, members)?;
            way.pop();
        }
        Ok(())
    }

    /// The alias of a folded address.
    pub fn alias(&self, address: &str) -> Option<&Alias> {
        let (local, domain) = address.rsplit_once('@')?;
        match &self.named(domain)?.handling {
            Handling::Accounts(book) => book.aliases.get(local),
            _ => None,
        }
    }
}

/// A name by which somebody asks for an account, as accounts are kept: as [`folded`]; what is no address is nobody's.
pub fn folded_name(name: &str) -> String {
    Address::parse(name.as_bytes()).map_or_else(|_| name.to_lowercase(), |address| folded(&address))
}

/// An address as it is compared here: in small letters, its domain as it is asked for, nothing in quotes. RFC 5321 §2.4 leaves it to
/// the domain whether case makes a difference; in ours it makes none.
pub fn folded(address: &Address) -> String {
    let domain = address.domain();
    let domain = domain.asked_for().unwrap_or_else(|| domain.to_string().to_lowercase());
    format!("{}@{domain}", address.local().to_lowercase())
}
