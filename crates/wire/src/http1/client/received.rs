//! The head of an answer as it arrived: read in one pass, borrowed from its bytes, without allocation.
//!
//! As strict as the reading of requests. What decides where the body ends and what becomes of the connection is gathered on the
//! way, so nobody walks over the fields again for it.

use std::ops::Range;

use super::{Asked, Body, Error, Limits, Until};
use crate::http1::body::{Decoder, Framing};
use crate::http1::field::{self, Fields};
use crate::http1::head::{Persistence, decimal};

/// The head of one answer, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// 100 to 599.
    pub status: u16,
    /// The words after it; often empty, never to be relied on.
    pub reason: &'a [u8],
    /// The minor version: 0 or 1.
    pub minor: u8,
    /// All fields.
    pub fields: Fields<'a>,
    /// How many bytes the head took, with its last empty line.
    pub length: usize,
    pub(super) facts: Facts,
}

/// A head that was read, without its bytes, for whoever keeps them: so it is read once.
#[derive(Clone, Debug)]
pub struct Places {
    status: u16,
    minor: u8,
    reason: Range<usize>,
    fields: Range<usize>,
    length: usize,
    facts: Facts,
}

impl Places {
    /// The head that was found in these bytes.
    pub fn in_bytes<'a>(&self, bytes: &'a [u8]) -> Received<'a> {
        let part = |place: &Range<usize>| bytes.get(place.clone()).unwrap_or_default();
        Received {
            status: self.status,
            reason: part(&self.reason),
            minor: self.minor,
            fields: Fields::new(part(&self.fields)),
            length: self.length,
            facts: self.facts,
        }
    }
}

/// What the fields said of the message's framing and of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    length: Length,
    codings: Codings,
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    nominates: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Absent,
    Given(u64),
    /// No number, or several that differ.
    Ambiguous,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Codings {
    #[default]
    None,
    Chunked,
    /// Another one, or several.
    Other,
}

impl<'a> Received<'a> {
    /// Reads the head of an answer from the front of `input`; `None` while it is not whole. Interim answers (1xx) are answers of
    /// their own.
    ///
    /// # Errors
    /// When it is malformed or passes a limit.
    pub fn parse(input: &'a [u8], limits: &Limits) -> Result<Option<Self>, Error> {
        let window = input.get(..limits.head).unwrap_or(input);
        let incomplete = || if input.len() >= limits.head { Err(Error::LongHead(limits.head)) } else { Ok(None) };
        let known = window.len().min(b"HTTP/1.".len());
        if window.get(..known) != b"HTTP/1.".get(..known) {
            return Err(Error::StatusLine);
        }
        let Some((line, mut used)) = line(window, 0, Error::StatusLine)? else { return incomplete() };
        let (status, minor, reason) = status_line(line)?;
        let (begin, mut count, mut facts) = (used, 0usize, Facts::default());
        loop {
            let Some((line, next)) = self::line(window, used, Error::Field)? else { return incomplete() };
            if line.is_empty() {
                let fields = Fields::new(window.get(begin..used).unwrap_or_default());
                return Ok(Some(Self { status, reason, minor, fields, length: next, facts }));
            }
            if count >= limits.fields {
                return Err(Error::ManyFields(limits.fields));
            }
            count = count.saturating_add(1);
            used = next;
            let (name, value) = field_line(line)?;
            facts.note(name, value);
        }
    }

    /// Where all of it stands.
    pub fn places(&self) -> Places {
        let end = self.length.saturating_sub(b"\r\n".len());
        let reason = b"HTTP/1.1 200 ".len();
        Places {
            status: self.status,
            minor: self.minor,
            reason: reason..reason.saturating_add(self.reason.len()),
            fields: end.saturating_sub(self.fields.block_length())..end,
            length: self.length,
            facts: self.facts,
        }
    }

    /// How the body of this answer is framed (RFC 9112 §6.3).
    ///
    /// # Errors
    /// When that could be read in two ways.
    pub fn body(&self, asked: Asked) -> Result<Body, Error> {
        self.facts.body(self.status, self.minor, asked)
    }

    /// Content-Length; `None` where it is missing.
    ///
    /// # Errors
    /// When it is no number, or several that differ.
    pub fn content_length(&self) -> Result<Option<u64>, Error> {
        self.facts.content_length()
    }

    /// Whether the connection may carry another request once this answer is read (RFC 9112 §9.3).
    pub fn persistence(&self) -> Persistence {
        let lives = !self.facts.close && (self.minor >= 1 || self.facts.keep_alive);
        if lives { Persistence::KeepAlive } else { Persistence::Close }
    }

    /// Whether Connection names Upgrade, without which a 101 agrees to nothing (RFC 9110 §7.8).
    pub fn upgrades(&self) -> bool {
        self.facts.upgrade
    }

    /// Whether Connection names fields that are for the next reader only (RFC 9110 §7.6.1).
    pub fn nominates(&self) -> bool {
        self.facts.nominates
    }
}

impl Facts {
    fn note(&mut self, name: &[u8], value: &[u8]) {
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => self.connection(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                let only = self.codings == Codings::None && value.eq_ignore_ascii_case(b"chunked");
                self.codings = if only { Codings::Chunked } else { Codings::Other };
            }
            _ => {}
        }
    }

    fn connection(&mut self, value: &[u8]) {
        for option in field::list(value) {
            match option.len() {
                5 if option.eq_ignore_ascii_case(b"close") => self.close = true,
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
                _ => self.nominates = true,
            }
        }
    }

    fn length(&mut self, value: &[u8]) {
        for member in value.split(|&byte| byte == b',') {
            // RFC 9110 §8.6: a list of equal lengths is one length; different ones are an attack or a fault.
            self.length = match (self.length, decimal(field::trim(member))) {
                (Length::Absent, Some(length)) => Length::Given(length),
                (Length::Given(before), Some(length)) if before == length => Length::Given(length),
                _ => Length::Ambiguous,
            };
        }
    }

    pub(super) fn content_length(self) -> Result<Option<u64>, Error> {
        match self.length {
            Length::Absent => Ok(None),
            Length::Given(length) => Ok(Some(length)),
            Length::Ambiguous => Err(Error::Framing),
        }
    }

    /// RFC 9112 §6.3.
    pub(super) fn body(self, status: u16, minor: u8, asked: Asked) -> Result<Body, Error> {
        let length = self.content_length()?;
        let coded = self.codings != Codings::None;
        if coded && (length.is_some() || minor == 0 || self.codings == Codings::Other) {
            return Err(Error::Framing);
        }
        let framing = match (status, length) {
            _ if asked == Asked::ForHead => Framing::Length(0),
            (100..200 | 204 | 304, _) => Framing::Length(0),
            _ if coded => Framing::Chunked,
            (_, Some(length)) => Framing::Length(length),
            (_, None) => return Ok(Body(Until::Close)),
        };
        Decoder::new(framing, u64::MAX).map(|decoder| Body(Until::Decoded(decoder))).map_err(|_| Error::Framing)
    }
}

/// The line that begins at `from`, without its CRLF, and where the next one begins; `None` while it has no end.
fn line(window: &[u8], from: usize, bare: Error) -> Result<Option<(&[u8], usize)>, Error> {
    let rest = window.get(from..).unwrap_or_default();
    let Some(feed) = memchr::memchr(b'\n', rest) else { return Ok(None) };
    let line = rest.get(..feed).and_then(|line| line.strip_suffix(b"\r")).ok_or(bare)?;
    Ok(Some((line, from.saturating_add(feed).saturating_add(1))))
}

/// Status, minor version, reason (RFC 9112 §4).
fn status_line(line: &[u8]) -> Result<(u16, u8, &[u8]), Error> {
    let Some((&[b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9', b' ', a, b, c], rest)) =
        line.split_first_chunk::<12>()
    else {
        return Err(Error::StatusLine);
    };
    let status = decimal(&[a, b, c]).and_then(|status| u16::try_from(status).ok());
    let status = status.filter(|status| (100..600).contains(status)).ok_or(Error::StatusLine)?;
    // The space before an empty reason is often left out.
    let reason = match rest.split_first() {
        None => &[],
        Some((b' ', reason)) if field::is_value(reason) => reason,
        Some(_) => return Err(Error::StatusLine),
    };
    // RFC 9110 §2.5: a higher minor version is read as the highest that we know.
    Ok((status, (minor - b'0').min(1), reason))
}

fn field_line(line: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let colon = memchr::memchr(b':', line).ok_or(Error::Field)?;
    let (name, value) = line.split_at(colon);
    let value = value.get(1..).unwrap_or_default();
    // Folded lines (RFC 9112 §5.2) fail here too: a name does not begin with a space.
    let well_formed = !name.is_empty() && name.iter().all(|&byte| field::is_token_byte(byte)) && field::is_value(value);
    if !well_formed {
        return Err(Error::Field);
    }
    Ok((name, field::trim(value)))
}
