//! Mail addresses as an SMTP envelope writes them (RFC 5321 §4.1.2), in ASCII or in UTF-8 (RFC 6531 §3.3).
//!
//! Knows nothing of the addresses in header fields, which have comments, names and groups, and nothing of who is local.
//! Bounded by: [`Address::LONGEST`], [`Domain::LONGEST`], [`Domain::LONGEST_LABEL`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::international;

/// A mailbox address: what is before the `@`, and what is behind it. Made only by [`Address::parse`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    local: Box<str>,
    domain: Domain,
}

/// The part behind the `@`. Made only by [`Domain::parse`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// A name as written, its case kept; compare without case.
    Name(Box<str>),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr),
}

/// Where a message came from: the argument of MAIL FROM.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: a report that must not be answered by another one (RFC 5321 §4.5.5).
    Null,
    /// An address.
    Address(Address),
}

/// Where a message goes: the argument of RCPT TO.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain, which every server must know (RFC 5321 §4.1.1.3).
    Postmaster,
    /// An address.
    Address(Address),
}

/// Why some bytes are no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// No `<` at the start or no `>` at the end.
    #[error("an address is written between < and >")]
    Brackets,
    /// Bytes above 127 that are no UTF-8.
    #[error("the address is not UTF-8")]
    Utf8,
    /// Longer than the RFC allows.
    #[error("the address is too long")]
    TooLong,
    /// Nothing before the `@`, or something that must be quoted there.
    #[error("the part before the @ is malformed")]
    Local,
    /// No `@`.
    #[error("the address has no domain")]
    NoDomain,
    /// What is behind the `@` is neither a name nor an address in brackets.
    #[error("the part behind the @ is malformed")]
    Domain,
    /// `<>` where somebody must be named.
    #[error("the address is empty")]
    Empty,
    /// A list of hosts before the address that is not one.
    #[error("the source route is malformed")]
    Route,
}

impl Address {
    /// A path is at most 256 octets with its two brackets (RFC 5321 §4.5.3.1.3). The 64 octets of §4.5.3.1.1 for the local
    /// part alone are not enforced: bounce addresses of real senders are longer, and §4.5.3.1 asks not to impose limits.
    /// Octets, also of UTF-8.
    pub const LONGEST: usize = 254;

    /// Reads `Local-part "@" ( Domain / address-literal )`, all of `text`.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(text).map_err(|_| Error::Utf8)?;
        if text.len() > Self::LONGEST {
            return Err(Error::TooLong);
        }
        let (local, rest) = match text.bytes().next() {
            None => return Err(Error::Empty),
            Some(b'"') => quoted_local(text)?,
            Some(_) => plain_local(text)?,
        };
        let domain = rest.strip_prefix('@').ok_or(if rest.is_empty() { Error::NoDomain } else { Error::Local })?;
        Ok(Self { local, domain: Domain::parse(domain.as_bytes())? })
    }

    /// An address of these two parts, the first without quotes.
    ///
    /// # Errors
    /// When they are none together: as [`Address::parse`] of what they would be written as.
    pub fn of(local: &str, domain: &Domain) -> Result<Self, Error> {
        Self::parse(Self { local: local.into(), domain: domain.clone() }.to_string().as_bytes())
    }

    /// What is before the `@`, its quotes taken away: `a b` for `"a b"@example.org`.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// What is behind the `@`.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether it is written in ASCII, so that it needs no SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.is_ascii()
    }
}

/// The dot-atom at the start of `text`, and what follows it.
fn plain_local(text: &str) -> Result<(Box<str>, &str), Error> {
    let end = text.find('@').unwrap_or(text.len());
    let (local, rest) = text.split_at(end);
    if !is_dot_atom(local) {
        return Err(Error::Local);
    }
    Ok((local.into(), rest))
}

/// The quoted string at the start of `text` without its quotes, and what follows it.
fn quoted_local(text: &str) -> Result<(Box<str>, &str), Error> {
    let mut local = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((local.into(), text.get(at + 1..).unwrap_or_default())),
            // RFC 5321 §4.1.2: quoted-pairSMTP is ASCII, also under RFC 6531.
            '\\' => match characters.next() {
                Some((_, quoted @ ' '..='~')) => local.push(quoted),
                _ => return Err(Error::Local),
            },
            ' '..='~' => local.push(character),
            _ if !character.is_ascii() && is_seen(character) => local.push(character),
            _ => return Err(Error::Local),
        }
    }
    Err(Error::Local)
}

/// RFC 5322 §3.2.3: atoms with single dots between them; RFC 6531 §3.3 adds what is outside ASCII.
fn is_dot_atom(text: &str) -> bool {
    let is_atext = |character: char| {
        character.is_ascii_alphanumeric()
            || "!#$%&'*+-/=?^_`{|}~".contains(character)
            || (!character.is_ascii() && is_seen(character))
    };
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// Whether a character outside ASCII may stand in an address. RFC 6531 lets all of them; those that end a line, that nobody
/// sees, or that turn the direction of the text are refused, since they only serve to show another address than there is.
fn is_seen(character: char) -> bool {
    let is_hidden = matches!(character,
        '\u{ad}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}');
    !(is_hidden || character.is_control() || character.is_whitespace())
}

/// Whether a character outside ASCII may stand in a label. Its full grammar is IDNA's (RFC 5892), which whoever asks for the
/// name's address must know; here those are refused that another reader could take for a dot or for ASCII.
fn is_in_label(character: char) -> bool {
    let is_punctuation = matches!(character,
        '\u{2000}'..='\u{200b}' | '\u{200e}'..='\u{206f}' | '\u{2100}'..='\u{214f}' | '\u{3000}'..='\u{3004}'
        | '\u{fe10}'..='\u{fe19}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ffef}');
    is_seen(character) && !is_punctuation
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_atom(&self.local) {
            formatter.write_str(&self.local)?;
        } else {
            formatter.write_str("\"")?;
            for character in self.local.chars() {
                if matches!(character, '"' | '\\') {
                    formatter.write_str("\\")?;
                }
                write!(formatter, "{character}")?;
            }
            formatter.write_str("\"")?;
        }
        write!(formatter, "@{}", self.domain)
    }
}

impl Domain {
    /// RFC 5321 §4.5.3.1.2.
    pub const LONGEST: usize = 255;
    /// RFC 1035 §2.3.4; characters, since outside ASCII the octets of a label are counted in another encoding.
    pub const LONGEST_LABEL: usize = 63;

    /// Reads a domain name or an address in brackets, all of `text`.
    ///
    /// Underscores are let through: names of containers and Windows machines have them, and no one reads them otherwise.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        if text.len() > Self::LONGEST {
            return Err(Error::TooLong);
        }
        if let Some(literal) = text.strip_prefix(b"[") {
            return Self::literal(literal.strip_suffix(b"]").ok_or(Error::Domain)?);
        }
        let text = std::str::from_utf8(text).map_err(|_| Error::Utf8)?;
        let is_let_dig = |character: char| {
            character.is_ascii_alphanumeric()
                || matches!(character, '-' | '_')
                || (!character.is_ascii() && is_in_label(character))
        };
        let label_is_good = |label: &str| {
            !label.is_empty()
                && label.chars().count() <= Self::LONGEST_LABEL
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(is_let_dig)
        };
        if !text.split('.').all(label_is_good) {
            return Err(Error::Domain);
        }
        Ok(Self::Name(text.into()))
    }

    /// Whether it is written in ASCII.
    pub fn is_ascii(&self) -> bool {
        match self {
            Self::Name(name) => name.is_ascii(),
            Self::Literal(_) => true,
        }
    }

    /// The name by which it is compared and asked for: in small letters, in A-labels (RFC 5890 §2.3.2.1), so that
    /// `Bücher.example` and `XN--bcher-kva.example` are one. `None` for an address in brackets and for what nobody can ask for.
    pub fn asked_for(&self) -> Option<String> {
        match self {
            Self::Name(name) => international::asked_for(name).ok().map(|name| name.to_ascii_lowercase()),
            Self::Literal(_) => None,
        }
    }

    /// RFC 5321 §4.1.3; of the tagged literals only IPv6 is defined.
    fn literal(text: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(text).map_err(|_| Error::Domain)?;
        let address = match text.split_at_checked(5) {
            Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => address.parse::<Ipv6Addr>().map(IpAddr::V6),
            _ => text.parse::<Ipv4Addr>().map(IpAddr::V4),
        };
        address.map(Self::Literal).map_err(|_| Error::Domain)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Literal(address) => fmt_literal(formatter, *address),
        }
    }
}

/// Writes an address literal as RFC 5321 §4.1.3 does.
pub(crate) fn fmt_literal(formatter: &mut fmt::Formatter<'_>, address: IpAddr) -> fmt::Result {
    match address {
        IpAddr::V4(address) => write!(formatter, "[{address}]"),
        IpAddr::V6(address) => write!(formatter, "[IPv6:{address}]"),
    }
}

impl ReversePath {
    /// Reads the path at the start of `text`; gives it with the bytes behind its `>`.
    pub fn parse(text: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (inside, rest) = brackets(text)?;
        if inside.is_empty() {
            return Ok((Self::Null, rest));
        }
        Ok((Self::Address(Address::parse(without_route(inside)?)?), rest))
    }

    /// Whether it needs no SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Address(address) => address.is_ascii(),
        }
    }
}

impl fmt::Display for ReversePath {
    /// As in `Return-Path` but without brackets: nothing at all for the null path.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

impl ForwardPath {
    /// Reads the path at the start of `text`; gives it with the bytes behind its `>`.
    pub fn parse(text: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (inside, rest) = brackets(text)?;
        if inside.eq_ignore_ascii_case(b"postmaster") {
            return Ok((Self::Postmaster, rest));
        }
        Ok((Self::Address(Address::parse(without_route(inside)?)?), rest))
    }

    /// Whether it needs no SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        match self {
            Self::Postmaster => true,
            Self::Address(address) => address.is_ascii(),
        }
    }

    /// Whether both are of one domain.
    pub fn is_same_domain(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Postmaster, Self::Postmaster) => true,
            (Self::Address(one), Self::Address(other)) => match (&one.domain, &other.domain) {
                (Domain::Name(one), Domain::Name(other)) => one.eq_ignore_ascii_case(other),
                (one, other) => one == other,
            },
            _ => false,
        }
    }
}

impl fmt::Display for ForwardPath {
    /// Without brackets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => formatter.write_str("postmaster"),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

/// What stands between `<` and its `>`, and what follows. A `>` inside a quoted string is part of it.
fn brackets(text: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let inside = text.strip_prefix(b"<").ok_or(Error::Brackets)?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in inside.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => {
                let (inside, rest) = inside.split_at(at);
                return Ok((inside, rest.get(1..).unwrap_or_default()));
            }
            _ => {}
        }
    }
    Err(Error::Brackets)
}

/// Drops a source route, `@one,@two:`: it must be accepted and should be ignored (RFC 5321 §4.1.1.3, appendix C).
fn without_route(mut path: &[u8]) -> Result<&[u8], Error> {
    if !path.starts_with(b"@") {
        return Ok(path);
    }
    loop {
        path = path.strip_prefix(b"@").ok_or(Error::Route)?;
        let from = if path.starts_with(b"[") { memchr::memchr(b']', path).ok_or(Error::Route)? } else { 0 };
        let end = from + memchr::memchr2(b',', b':', path.get(from..).unwrap_or_default()).ok_or(Error::Route)?;
        let (host, rest) = path.split_at(end);
        Domain::parse(host).map_err(|_| Error::Route)?;
        let (separator, rest) = rest.split_at(1);
        if separator == b":" {
            return Ok(rest);
        }
        path = rest;
    }
}

#[cfg(test)]
mod tests;
