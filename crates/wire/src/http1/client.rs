//! The client's half of HTTP/1.1: requests out, answer heads in, and how the body of an answer ends.
//!
//! Knows no socket, no redirect and no file. As strict as the server's half: an answer that could be framed in two ways is
//! refused. Bounded by [`Limits`] for heads; bodies are read by [`Body`], which holds nothing.

mod received;
mod request;

use std::ops::Range;

use thiserror::Error;

pub use received::{Places, Received};
pub use request::{Announced, Request, RequestHead, Unwritable, write_request};

use self::received::Facts;
use super::Refusal;
use super::body::{Decoder, End};

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
    facts: Facts,
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

impl Head {
    /// Reads the head of an answer from the front of `input`: the head and how many bytes it took, or `None` while it is not
    /// whole. Interim answers (1xx) are answers of their own.
    pub fn parse(input: &[u8], limits: &Limits) -> Result<Option<(Self, usize)>, Error> {
        let Some(received) = Received::parse(input, limits)? else { return Ok(None) };
        let head = Self {
            status: received.status,
            reason: received.reason.to_vec(),
            minor: received.minor,
            fields: received.fields.map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
            facts: received.facts,
        };
        Ok(Some((head, received.length)))
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
        self.facts.body(self.status, self.minor, asked)
    }

    /// Content-Length; `None` where it is missing.
    pub fn content_length(&self) -> Result<Option<u64>, Error> {
        self.facts.content_length()
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

    /// How many bytes of it are still to come; `None` where only its end will tell.
    pub fn left(&self) -> Option<u64> {
        match &self.0 {
            Until::Decoded(decoder) => decoder.left(),
            Until::Close => None,
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

#[cfg(test)]
mod tests;
