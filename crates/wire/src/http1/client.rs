//! The client's half of HTTP/1.1: requests out, answer heads in, and how the body of an answer ends.
//!
//! Knows no socket, no redirect and no file. As strict as the server's half: an answer that could be framed in two ways is
//! refused. Bounded by [`Limits`] for heads; bodies are read by [`Body`], which holds nothing.

use std::ops::Range;

use thiserror::Error;

use super::Refusal;
use super::body::{Decoder, End, Framing};
use super::field;
use super::head::decimal;

/// What the head of an answer may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the head with its last empty line.
    pub head: usize,
    /// Field lines.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: 64 * 1024, fields: 200 }
    }
}

/// The head of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// 100 to 599.
    pub status: u16,
    /// The words after it; often empty, never to be relied on.
    pub reason: Vec<u8>,
    /// The minor version: 0 or 1.
    pub minor: u8,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What was asked, as far as it decides whether the answer has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// GET and everything like it.
    ForBody,
    /// HEAD.
    ForHead,
}

/// Why an answer cannot be read. The connection is of no use afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The first line is no status line (RFC 9112 §4).
    #[error("the server does not speak HTTP/1")]
    StatusLine,
    /// The head is longer than [`Limits::head`].
    #[error("the head of the answer is longer than {0} bytes")]
    LongHead(usize),
    /// There are more field lines than [`Limits::fields`].
    #[error("the answer has more than {0} fields")]
    ManyFields(usize),
    /// A field line is malformed: no colon, a bare CR or LF, a folded line, a control character.
    #[error("a field of the answer is malformed")]
    Field,
    /// Content-Length is no number, comes twice with different values or together with Transfer-Encoding, or the coding is
    /// not `chunked`: where the body ends cannot be known for certain (RFC 9112 §6.3).
    #[error("the answer does not say unmistakably where its body ends")]
    Framing,
    /// A chunk is malformed.
    #[error("the chunks of the answer are malformed")]
    Chunk,
    /// The connection was closed before the body was whole.
    #[error("the server closed the connection before the answer was whole")]
    Truncated,
}

/// A request as it goes out. Neither part may hold a space or a control character: [`write_request`] refuses them.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET` or `HEAD`.
    pub method: &'a str,
    /// Path and query, percent-encoded.
    pub target: &'a str,
    /// The authority, for Host.
    pub host: &'a str,
    /// Further fields.
    pub fields: &'a [(&'a str, &'a str)],
}

/// A part of a request holds what would make it another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the request would hold a space or a control character where none may be")]
pub struct Unwritable;

/// Writes a request without a body to the end of `out`.
pub fn write_request(request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let field =
        |(name, value): &(&str, &str)| name.bytes().all(field::is_token_byte) && field::is_value(value.as_bytes());
    if ![request.method, request.target, request.host].iter().all(|text| word(text))
        || !request.fields.iter().all(field)
    {
        return Err(Unwritable);
    }
    for part in [request.method, " ", request.target, " HTTP/1.1\r\nHost: ", request.host, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    for (name, value) in request.fields {
        for part in [*name, ": ", *value, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

impl Head {
    /// Reads the head of an answer from the front of `input`: the head and how many bytes it took, or `None` while it is not
    /// whole. Interim answers (1xx) are answers of their own.
    pub fn parse(input: &[u8], limits: &Limits) -> Result<Option<(Self, usize)>, Error> {
        let window = input.get(..limits.head).unwrap_or(input);
        let incomplete = || if input.len() >= limits.head { Err(Error::LongHead(limits.head)) } else { Ok(None) };
        let known = window.len().min(b"HTTP/1.".len());
        if window.get(..known) != b"HTTP/1.".get(..known) {
            return Err(Error::StatusLine);
        }
        let mut used = 0;
        let mut head: Option<Self> = None;
        loop {
            let rest = window.get(used..).unwrap_or_default();
            let Some(feed) = memchr::memchr(b'\n', rest) else { return incomplete() };
            let line = rest.get(..feed).and_then(|line| line.strip_suffix(b"\r"));
            used += feed + 1;
            match (&mut head, line) {
                (None, line) => head = Some(Self::status_line(line.ok_or(Error::StatusLine)?)?),
                (Some(_), Some(b"")) => return Ok(head.map(|head| (head, used))),
                (Some(head), _) if head.fields.len() >= limits.fields => return Err(Error::ManyFields(limits.fields)),
                (Some(head), line) => head.fields.push(field_line(line.ok_or(Error::Field)?)?),
            }
        }
    }

    fn status_line(line: &[u8]) -> Result<Self, Error> {
        let Some((&[b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9', b' ', a, b, c], rest)) =
            line.split_first_chunk::<12>()
        else {
            return Err(Error::StatusLine);
        };
        let digits = [a, b, c];
        let status = decimal(&digits).filter(|status| (100..600).contains(status)).ok_or(Error::StatusLine)?;
        // The space before an empty reason is often left out.
        let reason = match rest.split_first() {
            None => &[],
            Some((b' ', reason)) if field::is_value(reason) => reason,
            Some(_) => return Err(Error::StatusLine),
        };
        // RFC 9110 §2.5: a higher minor version is read as the highest that we know.
        let minor = (minor - b'0').min(1);
        Ok(Self { status: status as u16, reason: reason.to_vec(), minor, fields: Vec::new() })
    }

    /// Every value of a field, in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let named = move |(field, _): &&(Vec<u8>, Vec<u8>)| field.eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(named).map(|(_, value)| value.as_slice())
    }

    /// The value of a field, where it is text and given once.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (Some(value), None) => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }

    /// Status and reason, for people; what is not UTF-8 is replaced.
    pub fn status_text(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.reason)).trim_end().to_owned()
    }

    /// How the body of this answer is framed (RFC 9112 §6.3).
    pub fn body(&self, asked: Asked) -> Result<Body, Error> {
        let coded = self.values("transfer-encoding").count();
        let length = self.content_length()?;
        if coded > 1 || (coded == 1 && (length.is_some() || self.minor == 0)) {
            return Err(Error::Framing);
        }
        let framing = match (self.status, length) {
            _ if asked == Asked::ForHead => Framing::Length(0),
            (100..200 | 204 | 304, _) => Framing::Length(0),
            _ if coded == 1 => {
                let chunked =
                    self.field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
                if !chunked {
                    return Err(Error::Framing);
                }
                Framing::Chunked
            }
            (_, Some(length)) => Framing::Length(length),
            (_, None) => return Ok(Body(Until::Close)),
        };
        Decoder::new(framing, u64::MAX).map(|decoder| Body(Until::Decoded(decoder))).map_err(|_| Error::Framing)
    }

    /// Content-Length; `None` where it is missing.
    pub fn content_length(&self) -> Result<Option<u64>, Error> {
        let mut length = None;
        for member in self.values("content-length").flat_map(|value| value.split(|&byte| byte == b',')) {
            let value = decimal(field::trim(member)).ok_or(Error::Framing)?;
            // RFC 9110 §8.6: a list of equal lengths is one length; different ones are an attack or a fault.
            if length.is_some_and(|before| before != value) {
                return Err(Error::Framing);
            }
            length = Some(value);
        }
        Ok(length)
    }
}

/// Finds the end of one body.
#[derive(Debug)]
pub struct Body(Until);

#[derive(Debug)]
enum Until {
    Decoded(Decoder),
    Close,
}

/// What one call made of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many bytes of the input are dealt with.
    pub used: usize,
    /// Which of them are body.
    pub data: Range<usize>,
}

impl Body {
    /// Takes from `input` up to one run of body bytes. Nothing used of a non-empty input: the body has ended.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        match &mut self.0 {
            Until::Close => Ok(Step { used: input.len(), data: 0..input.len() }),
            Until::Decoded(decoder) => {
                let step = decoder.decode(input).map_err(|refusal| match refusal {
                    Refusal::LargeBody => Error::Framing,
                    _ => Error::Chunk,
                })?;
                debug_assert!(step.end == End::Reached || !decoder.is_done());
                Ok(Step { used: step.consumed, data: step.data })
            }
        }
    }

    /// Whether all of it has come. A body that ends with the connection never knows.
    pub fn is_done(&self) -> bool {
        matches!(&self.0, Until::Decoded(decoder) if decoder.is_done())
    }

    /// The server has closed the connection: was that the end of the body?
    pub fn closed(&self) -> Result<(), Error> {
        match &self.0 {
            Until::Close => Ok(()),
            Until::Decoded(decoder) if decoder.is_done() => Ok(()),
            Until::Decoded(_) => Err(Error::Truncated),
        }
    }
}

fn field_line(line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let colon = memchr::memchr(b':', line).ok_or(Error::Field)?;
    let (name, value) = line.split_at(colon);
    let value = value.get(1..).unwrap_or_default();
    // Folded lines (RFC 9112 §5.2) fail here too: a name does not begin with a space.
    let well_formed = !name.is_empty() && name.iter().all(|&byte| field::is_token_byte(byte)) && field::is_value(value);
    if !well_formed {
        return Err(Error::Field);
    }
    Ok((name.to_vec(), field::trim(value).to_vec()))
}

#[cfg(test)]
mod tests;
