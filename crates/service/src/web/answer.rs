//! What a service says to a request.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::error;

use super::{Fields, Pieces};
use crate::files::Stored;

/// One answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code, 200 to 599; 101 with a [`Body::Tunnel`].
    pub status: u16,
    /// Field lines, without those that frame the message (Content-Length, Transfer-Encoding, Connection, Date).
    pub fields: Fields,
    /// The body.
    pub body: Body,
}

/// The body of an [`Answer`].
#[derive(Default)]
pub enum Body {
    /// No body: where the status says that something is wrong, words are found for it.
    #[default]
    Empty,
    /// All of it, in memory; of no bytes where somebody else said nothing.
    Bytes(Bytes),
    /// Some content of a file that a site serves.
    Stored(Stored),
    /// A part of an open file.
    File {
        /// The file; its offset is not used.
        file: Arc<File>,
        /// The first byte to send.
        start: u64,
        /// How many bytes to send.
        length: u64,
    },
    /// Pieces as they come: each is sent at once, and the next one asked for when it is with the kernel.
    Pieces(Box<dyn Pieces>),
    /// The connection itself, from the end of this answer's head on: bytes go both ways until one side ends (RFC 9110 §7.8).
    Tunnel(Tunnel),
}

/// A way through to somebody else, who has agreed to speak another protocol with the client.
pub struct Tunnel {
    /// The other side.
    pub stream: Box<dyn Wire>,
    /// What came from it already.
    pub first: Bytes,
    /// How long neither side may say anything.
    pub idle: Duration,
}

/// Both directions of a connection to somebody else.
pub trait Wire: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire for S {}

impl Answer {
    /// An answer with no body.
    pub fn empty(status: u16) -> Self {
        Self { status, fields: Fields::new(), body: Body::Empty }
    }

    /// An answer in memory with its media type.
    pub fn bytes(status: u16, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::empty(status).with("content-type", media_type).over(Body::Bytes(body.into()))
    }

    /// The same answer with this body.
    #[must_use]
    pub fn over(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// The same answer with one more field. One that cannot be sent makes it a 500: half an answer is none.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        let value = match value.into() {
            Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
            Cow::Owned(text) => Bytes::from(text),
        };
        match self.fields.add(name, value) {
            Ok(()) => self,
            Err(bad) => {
                error!(status = self.status, field = name, %bad, "an answer held a field that may not be sent");
                Self::empty(500)
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("Empty"),
            Self::Bytes(bytes) => write!(formatter, "Bytes({} bytes)", bytes.len()),
            Self::Stored(stored) => write!(formatter, "Stored({} bytes)", stored.content.length()),
            Self::File { start, length, .. } => write!(formatter, "File({length} bytes from {start})"),
            Self::Pieces(pieces) => write!(formatter, "Pieces({:?} left)", pieces.left()),
            Self::Tunnel(_) => formatter.write_str("Tunnel"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_cannot_be_split() {
        let answer = Answer::bytes(200, "text/plain", "a").with("location", "/\r\nset-cookie: x");
        assert_eq!((answer.status, answer.fields.len()), (500, 0));
        assert!(matches!(answer.body, Body::Empty));
    }
}
