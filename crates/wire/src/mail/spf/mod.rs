//! SPF records as text (RFC 7208 §4.5, §5, §6, §12): who may send in a domain's name, as the domain says it.
//!
//! Asks no name server and decides nothing: whoever evaluates a [`Policy`] does. Strict: what the grammar does not allow is an
//! [`Error`], wherever in the record it stands (§4.6). Bounded by: [`Policy::LONGEST`] octets, and by what an expansion of macros may
//! give ([`Macros::LONGEST_NAME`](macros::Macros::LONGEST_NAME)).

pub mod macros;
mod terms;

use std::net::{Ipv4Addr, Ipv6Addr};

use thiserror::Error;

pub use macros::{Macros, Variables};

/// What a domain says in its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Looked at one after the other until one matches.
    pub directives: Vec<Directive>,
    /// Whose record counts where none matches (§6.1).
    pub redirect: Option<Macros>,
    /// Where the words for a failure are found (§6.2).
    pub explanation: Option<Macros>,
}

/// What follows where a mechanism matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// What follows.
    pub qualifier: Qualifier,
    /// When.
    pub mechanism: Mechanism,
    /// As it is written, for people.
    pub text: Box<str>,
}

/// The result that a match gives (§4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qualifier {
    /// `+`
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// `?`
    Neutral,
}

/// Which clients are meant (§5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Every one.
    All,
    /// Those that another domain lets pass.
    Include(Macros),
    /// The addresses of a name, or of the domain itself.
    A(Option<Macros>, Prefixes),
    /// The addresses of those who take a domain's mail.
    Mx(Option<Macros>, Prefixes),
    /// Those whose name lies in a domain.
    Ptr(Option<Macros>),
    /// A network of IPv4.
    Ip4(Ipv4Addr, u8),
    /// A network of IPv6.
    Ip6(Ipv6Addr, u8),
    /// Those for whom a name has an address.
    Exists(Macros),
}

/// How many bits of an address must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// Of IPv4, 0 to 32.
    pub v4: u8,
    /// Of IPv6, 0 to 128.
    pub v6: u8,
}

/// Why some text is no policy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Longer than [`Policy::LONGEST`].
    #[error("the record is longer than {} octets", Policy::LONGEST)]
    TooLong,
    /// Not `v=spf1`.
    #[error("the record does not begin with v=spf1")]
    Version,
    /// An octet that is not printable ASCII.
    #[error("the record holds what is not ASCII")]
    NotAscii,
    /// A term of no known form.
    #[error("`{0}` is neither a mechanism nor a modifier")]
    Term(Box<str>),
    /// `redirect` or `exp` twice (§6).
    #[error("`{0}` is there twice")]
    Twice(&'static str),
}

impl Policy {
    /// The most octets of a record that is read.
    pub const LONGEST: usize = 8 << 10;

    /// Whether a TXT record is one of SPF (§4.5): `v=spf1`, alone or with a space behind it, in any case.
    pub fn is_one(text: &[u8]) -> bool {
        let Some((version, rest)) = text.split_at_checked(VERSION.len()) else { return false };
        version.eq_ignore_ascii_case(VERSION) && rest.first().is_none_or(|byte| *byte == b' ')
    }

    /// Reads a whole record.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        if text.len() > Self::LONGEST {
            return Err(Error::TooLong);
        }
        if !Self::is_one(text) {
            return Err(Error::Version);
        }
        let rest = text.get(VERSION.len()..).unwrap_or_default();
        if rest.iter().any(|byte| !matches!(byte, b' '..=b'~')) {
            return Err(Error::NotAscii);
        }
        let rest = std::str::from_utf8(rest).map_err(|_| Error::NotAscii)?;
        let mut policy = Self { directives: Vec::new(), redirect: None, explanation: None };
        for term in rest.split(' ').filter(|term| !term.is_empty()) {
            policy.take(term)?;
        }
        Ok(policy)
    }

    fn take(&mut self, term: &str) -> Result<(), Error> {
        match terms::read(term).ok_or_else(|| Error::Term(term.into()))? {
            terms::Term::Directive(directive) => self.directives.push(directive),
            terms::Term::Redirect(target) => once(&mut self.redirect, target, "redirect")?,
            terms::Term::Explanation(target) => once(&mut self.explanation, target, "exp")?,
            terms::Term::Unknown => {}
        }
        Ok(())
    }
}

const VERSION: &[u8] = b"v=spf1";

fn once(place: &mut Option<Macros>, target: Macros, name: &'static str) -> Result<(), Error> {
    if place.replace(target).is_some() { Err(Error::Twice(name)) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
