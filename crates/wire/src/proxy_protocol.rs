//! What a proxy of TCP connections says ahead of its client's own bytes: for whom it connects (the PROXY protocol of HAProxy, versions 1
//! and 2, as of 2020-03-05).
//!
//! Read as strictly as a request, because who is believed to be there follows from it. What stands in it beside the client's address
//! (our own, and the fields of version 2) is passed over. Bounded by [`LONGEST`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::{self, FromStr};

use thiserror::Error;

/// The longest header in bytes, whatever it promises.
pub const LONGEST: usize = 4096;

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How many bytes it takes; what follows is the client's.
    pub length: usize,
    /// For whom the connection is; `None`: the proxy's own, as when it looks whether we are well, or for somebody without an address.
    pub client: Option<SocketAddr>,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// They begin as neither version does.
    #[error("what came first is no PROXY header")]
    Other,
    /// Version 1: the line is not as it must be, or too long.
    #[error("the line of the PROXY header is malformed")]
    Line,
    /// Version 2: a command, a family or a length that cannot be.
    #[error("the PROXY header is malformed")]
    Block,
    /// Version 2: longer than [`LONGEST`].
    #[error("the PROXY header is longer than {LONGEST} bytes")]
    Long,
}

/// How a header of version 2 begins (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What comes before the addresses: the signature, version and command, family and transport, a length.
const FIXED: usize = 16;
/// How a header of version 1 begins (§2.1).
const WORD: &[u8; 6] = b"PROXY ";
/// The longest line of version 1, with its end.
const LINE: usize = 107;

/// Reads a header at the beginning of `bytes`; `None`: it is not whole yet.
///
/// # Errors
/// As soon as no header can become of it.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Error> {
    if begins_as(bytes, SIGNATURE) {
        block(bytes)
    } else if begins_as(bytes, WORD) {
        line(bytes)
    } else {
        Err(Error::Other)
    }
}

fn begins_as(bytes: &[u8], beginning: &[u8]) -> bool {
    bytes.iter().zip(beginning).all(|(byte, expected)| byte == expected)
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`, or `PROXY UNKNOWN` and whatever follows on the line.
fn line(bytes: &[u8]) -> Result<Option<Header>, Error> {
    let searched = bytes.get(..LINE).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', searched) else {
        return if bytes.len() < LINE { Ok(None) } else { Err(Error::Line) };
    };
    let line = searched.get(WORD.len()..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.and_then(|line| str::from_utf8(line).ok()).ok_or(Error::Line)?;
    let mut words = line.split(' ');
    let client = match words.next() {
        Some("UNKNOWN") => return Ok(Some(Header { length: end.saturating_add(1), client: None })),
        Some("TCP4") => addresses::<Ipv4Addr>(&mut words),
        Some("TCP6") => addresses::<Ipv6Addr>(&mut words),
        _ => None,
    };
    match (client, words.next()) {
        (Some(client), None) => Ok(Some(Header { length: end.saturating_add(1), client: Some(client) })),
        _ => Err(Error::Line),
    }
}

/// The client's address of the four words: its own and ours, and two ports.
fn addresses<'a, A: FromStr + Into<IpAddr>>(words: &mut impl Iterator<Item = &'a str>) -> Option<SocketAddr> {
    let client: A = words.next()?.parse().ok()?;
    let _ours: A = words.next()?.parse().ok()?;
    let port = port(words.next()?)?;
    let _ours = self::port(words.next()?)?;
    Some(SocketAddr::new(client.into(), port))
}

/// Decimal, without a sign or leading zeros.
fn port(word: &str) -> Option<u16> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word.len() == 1 || !word.starts_with('0'));
    is_plain.then(|| word.parse().ok()).flatten()
}

/// Version 2: a block whose length it says.
fn block(bytes: &[u8]) -> Result<Option<Header>, Error> {
    // Version and command; what is known to be wrong is refused before the rest is waited for.
    let is_local = match bytes.get(12) {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(Error::Block),
    };
    let Some(fixed) = bytes.first_chunk::<FIXED>() else { return Ok(None) };
    let [.., _, family, high, low] = *fixed;
    let rest = usize::from(u16::from_be_bytes([high, low]));
    let length = FIXED.saturating_add(rest);
    if length > LONGEST {
        return Err(Error::Long);
    }
    // Of a stream: unspecified, IPv4, IPv6, a Unix socket; how long its addresses are.
    let least = match family {
        _ if is_local => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        _ => return Err(Error::Block),
    };
    if rest < least {
        return Err(Error::Block);
    }
    let Some(rest) = bytes.get(FIXED..length) else { return Ok(None) };
    let client = match family {
        _ if is_local => None,
        0x11 => rest.first_chunk().map(|&[a, b, c, d, _, _, _, _, high, low, _, _]: &[u8; 12]| {
            (IpAddr::from([a, b, c, d]), u16::from_be_bytes([high, low]))
        }),
        0x21 => rest
            .first_chunk::<16>()
            .zip(rest.get(32..34).and_then(|port| port.first_chunk()))
            .map(|(address, port): (&[u8; 16], &[u8; 2])| (IpAddr::from(*address), u16::from_be_bytes(*port))),
        _ => None,
    };
    Ok(Some(Header { length, client: client.map(SocketAddr::from) }))
}

#[cfg(test)]
mod tests;
