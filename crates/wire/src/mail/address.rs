//! Mail addresses as an SMTP envelope writes them (RFC 5321 §4.1.2).
//!
//! Knows nothing of the addresses in header fields, which have comments, names and groups, and nothing of who is local.
//! Bounded by: [`Address::LONGEST`], [`Domain::LONGEST`], [`Domain::LONGEST_LABEL`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

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
    /// A byte above 127, which needs SMTPUTF8.
    #[error("the address has a character outside ASCII")]
    NonAscii,
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
    pub const LONGEST: usize = 254;

    /// Reads `Local-part "@" ( Domain / address-literal )`, all of `text`.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        if !text.is_ascii() {
            return Err(Error::NonAscii);
        }
        if text.len() > Self::LONGEST {
            return Err(Error::TooLong);
        }
        let (local, rest) = match text.first() {
            None => return Err(Error::Empty),
            Some(b'"') => quoted_local(text)?,
            Some(_) => plain_local(text)?,
        };
        let domain = rest.strip_prefix(b"@").ok_or(if rest.is_empty() { Error::NoDomain } else { Error::Local })?;
        Ok(Self { local, domain: Domain::parse(domain)? })
    }

    /// What is before the `@`, its quotes taken away: `a b` for `"a b"@example.org`.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// What is behind the `@`.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }
}

/// The dot-atom at the start of `text`, and what follows it.
fn plain_local(text: &[u8]) -> Result<(Box<str>, &[u8]), Error> {
    let end = memchr::memchr(b'@', text).unwrap_or(text.len());
    let (local, rest) = text.split_at(end);
    if !is_dot_atom(local) {
        return Err(Error::Local);
    }
    Ok((ascii(local), rest))
}

/// The quoted string at the start of `text` without its quotes, and what follows it.
fn quoted_local(text: &[u8]) -> Result<(Box<str>, &[u8]), Error> {
    let mut local = String::new();
    let mut bytes = text.iter().enumerate().skip(1);
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'"' => return Ok((local.into(), text.get(at + 1..).unwrap_or_default())),
            b'\\' => match bytes.next() {
                Some((_, &quoted @ b' '..=b'~')) => local.push(char::from(quoted)),
                _ => return Err(Error::Local),
            },
            b' '..=b'~' => local.push(char::from(byte)),
            _ => return Err(Error::Local),
        }
    }
    Err(Error::Local)
}

/// RFC 5322 §3.2.3: atoms with single dots between them.
fn is_dot_atom(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'.').all(|atom| {
        !atom.is_empty()
            && atom.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(byte))
    })
}

/// `text`, which the caller knows to be ASCII.
fn ascii(text: &[u8]) -> Box<str> {
    String::from_utf8_lossy(text).into()
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_atom(self.local.as_bytes()) {
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
    /// RFC 1035 §2.3.4.
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
        let label_is_good = |label: &[u8]| {
            !label.is_empty()
                && label.len() <= Self::LONGEST_LABEL
                && !label.starts_with(b"-")
                && !label.ends_with(b"-")
                && label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if !text.split(|&byte| byte == b'.').all(label_is_good) {
            return Err(Error::Domain);
        }
        Ok(Self::Name(ascii(text)))
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
