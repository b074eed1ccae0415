//! What a request asks for: the forms of a request target (RFC 9112 §3.2), the host it names, and the way from a raw path to
//! the names of a tree.
//!
//! Percent-encoding is taken off exactly once; what leaves the root, or could be read as another path by another reader, is
//! refused. Bounded by the request line.

use std::net::{Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::Refusal;

/// A request target a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A path beginning with `/`, still encoded, and what follows the first `?`.
    Path {
        /// The path.
        path: &'a [u8],
        /// The query without its `?`.
        query: Option<&'a [u8]>,
    },
    /// `*`: the server itself (OPTIONS only).
    Asterisk,
}

/// What a target in absolute form says beside the path (RFC 9112 §3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Absolute<'a> {
    pub(super) scheme: Scheme,
    /// It takes Host's place.
    pub(super) authority: &'a [u8],
}

/// The scheme of a target in absolute form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http:`
    Http,
    /// `https:`
    Https,
}

/// A target and, where it was in absolute form, the rest of that.
pub(super) type Parsed<'a> = (Target<'a>, Option<Absolute<'a>>);

/// Reads origin-form, absolute-form of http and https, and `*`.
pub(super) fn parse(raw: &[u8]) -> Result<Parsed<'_>, Refusal> {
    match raw {
        [b'/', ..] => Ok((split(raw).ok_or(Refusal::BadTarget)?, None)),
        b"*" => Ok((Target::Asterisk, None)),
        _ => absolute(raw).ok_or(Refusal::BadTarget),
    }
}

fn split(raw: &[u8]) -> Option<Target<'_>> {
    // Visible ASCII only. RFC 3986 allows fewer in a path, but browsers send `[`, `|` and others bare; a fragment is never sent.
    if raw.iter().fold(false, |bad, &byte| bad | (byte <= b' ') | (byte >= 0x7f) | (byte == b'#')) {
        return None;
    }
    Some(match memchr::memchr(b'?', raw) {
        Some(mark) => Target::Path { path: raw.get(..mark)?, query: raw.get(mark + 1..) },
        None => Target::Path { path: raw, query: None },
    })
}

fn absolute(raw: &[u8]) -> Option<Parsed<'_>> {
    let plain = strip_scheme(raw, b"http://").map(|rest| (Scheme::Http, rest));
    let (scheme, rest) = plain.or_else(|| Some((Scheme::Https, strip_scheme(raw, b"https://")?)))?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    Host::parse(authority)?;
    let target = match split(rest)? {
        // RFC 9110 §4.2.3: an empty path is `/`.
        Target::Path { path: b"", query } => Target::Path { path: b"/", query },
        target => target,
    };
    Some((target, Some(Absolute { scheme, authority })))
}

fn strip_scheme<'a>(raw: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (begin, rest) = raw.split_at_checked(scheme.len())?;
    begin.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// A host, as `host [":" port]` names it (RFC 3986 §3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// A registered name.
    Name(&'a [u8]),
    /// An IPv4 literal.
    V4(Ipv4Addr),
    /// An IPv6 literal, written in brackets.
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// Reads a Host field or an authority without user information. `None`: malformed, or empty.
    pub fn parse(authority: &'a [u8]) -> Option<Self> {
        let (host, port) = match authority {
            [b'[', rest @ ..] => {
                let close = memchr::memchr(b']', rest)?;
                let literal = std::str::from_utf8(rest.get(..close)?).ok()?;
                (Self::V6(literal.parse().ok()?), rest.get(close + 1..)?)
            }
            _ => {
                let end = memchr::memchr(b':', authority).unwrap_or(authority.len());
                let (name, port) = authority.split_at(end);
                (Self::name(name)?, port)
            }
        };
        match port {
            [] => Some(host),
            // RFC 3986 §3.2.3: the digits may be missing after the colon.
            [b':', digits @ ..] if digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit) => {
                let port = digits.iter().fold(0, |port: u32, digit| port * 10 + u32::from(digit - b'0'));
                (port <= 65_535).then_some(host)
            }
            _ => None,
        }
    }

    fn name(name: &'a [u8]) -> Option<Self> {
        // RFC 1035 §2.3.4 bounds a name at 255 octets.
        if name.is_empty() || name.len() > 255 {
            return None;
        }
        if name.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.') {
            if let Some(address) = v4(name) {
                return Some(Self::V4(address));
            }
            if name.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') {
                // All digits and dots but no address: `127.1` is 127.0.0.1 to some readers, so it is refused.
                return None;
            }
        }
        name.iter().all(|&byte| is_name_byte(byte)).then_some(Self::Name(name))
    }

    /// Whether it can only be this machine: `localhost`, `*.localhost` (RFC 6761 §6.3), 127.0.0.0/8 or `::1`. A name that
    /// merely resolves to loopback is not: that is how a website rebinds itself to a local server.
    pub fn is_loopback(self) -> bool {
        match self {
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.is_loopback(),
            Self::Name(name) => {
                let name = name.strip_suffix(b".").unwrap_or(name);
                let Some(at) = name.len().checked_sub(b"localhost".len()) else { return false };
                let (before, last) = name.split_at(at);
                last.eq_ignore_ascii_case(b"localhost") && (before.is_empty() || before.ends_with(b"."))
            }
        }
    }
}

/// Whether a byte may stand in a reg-name (RFC 3986 §3.2.2), percent-encoding left out: no one sends it, and readers decode it
/// differently.
fn is_name_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',' | b';' | b'=')
}

/// Four numbers of at most three digits and without leading zeros (RFC 3986 §3.2.2, dec-octet).
fn v4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let (mut place, mut value, mut digits) = (0, 0u16, 0);
    for &byte in text {
        match byte {
            b'0'..=b'9' if digits == 1 && value == 0 => return None,
            b'0'..=b'9' if digits < 3 => {
                value = value * 10 + u16::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && place < 3 => {
                octets[place] = u8::try_from(value).ok()?;
                (place, value, digits) = (place + 1, 0, 0);
            }
            _ => return None,
        }
    }
    octets[3] = u8::try_from(value).ok()?;
    (place == 3 && digits > 0).then(|| octets.into())
}

/// A raw path that names nothing in any tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadPath {
    /// `%` without two hexadecimal digits.
    #[error("a % in the path is not followed by two hexadecimal digits")]
    Encoding,
    /// `%00`, `%2F`, or a backslash: another reader could see another path.
    #[error("the path holds an encoded slash, a backslash or a NUL")]
    Ambiguous,
    /// `..` beyond the root.
    #[error("the path leaves the root")]
    LeavesRoot,
}

/// A decoded path beneath a root: names joined by `/`, no name empty, `.` or `..`; it never begins with `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreePath {
    /// The decoded names joined by `/`; empty for the root itself.
    pub names: Vec<u8>,
    /// Whether the path asked for a folder.
    pub end: PathEnd,
}

/// How a path ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathEnd {
    /// In a slash (or a dot segment): a folder is meant.
    #[default]
    Slash,
    /// In a name.
    Name,
}

impl TreePath {
    /// Decodes a raw path that begins with `/`: once; slashes in a row are one, then `.` and `..` are resolved (RFC 3986 §5.2.4). For all
    /// who read paths, this is the one place that does so.
    pub fn decode(raw: &[u8]) -> Result<Self, BadPath> {
        let mut names: Vec<u8> = Vec::with_capacity(raw.len());
        let mut end = PathEnd::Slash;
        let segments = raw.strip_prefix(b"/").unwrap_or(raw).split(|&byte| byte == b'/');
        for segment in segments {
            let mark = names.len();
            if mark > 0 {
                names.push(b'/');
            }
            let begin = names.len();
            decode_into(segment, &mut names)?;
            end = PathEnd::Slash;
            match names.get(begin..).unwrap_or_default() {
                b"" | b"." => names.truncate(mark),
                b".." if mark == 0 => return Err(BadPath::LeavesRoot),
                b".." => {
                    let parent = memchr::memrchr(b'/', names.get(..mark).unwrap_or_default()).unwrap_or(0);
                    names.truncate(parent);
                }
                _ => end = PathEnd::Name,
            }
        }
        Ok(Self { names, end })
    }

    /// The names, first to last.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.names.split(|&byte| byte == b'/').filter(|name| !name.is_empty())
    }

    /// Whether a name on the way begins with a dot; `.well-known` (RFC 8615) is open to all.
    pub fn is_hidden(&self) -> bool {
        self.segments().any(is_hidden_name)
    }
}

/// Whether this one name is hidden.
pub fn is_hidden_name(name: &[u8]) -> bool {
    name.starts_with(b".") && name != b".well-known"
}

fn decode_into(segment: &[u8], names: &mut Vec<u8>) -> Result<(), BadPath> {
    let mut bytes = segment.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(BadPath::Encoding),
            },
            other => other,
        };
        if matches!(byte, 0 | b'/' | b'\\') {
            return Err(BadPath::Ambiguous);
        }
        names.push(byte);
    }
    Ok(())
}

/// Takes the percent-encoding off one value of a query. `None`: malformed. Any byte may come out.
pub fn decode_query(value: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = value.iter().copied();
    let mut decoded = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => bytes.next().and_then(hex)? << 4 | bytes.next().and_then(hex)?,
            other => other,
        });
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Appends one name percent-encoded, so that it may stand in a path, an HTML attribute and a field value alike.
pub fn encode_name(name: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests;
