//! What an HTTP channel hands to a service, and what it gets back.
//!
//! A service never holds the client's connection: it is given a [`Request`] and returns an [`Answer`]; the protocol frames it
//! (length, date, `Connection`, HEAD, 304 without a body).

use std::borrow::Cow;
use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

/// One request, its body already read whole (the protocol bounds it).
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, … as sent; HTTP methods are case-sensitive (RFC 9110 §9.1).
    pub method: String,
    /// The path of the target, still percent-encoded, beginning with `/`.
    pub path: String,
    /// The query without its `?`, still percent-encoded.
    pub query: Option<String>,
    /// Field lines in the order they came, names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Bytes,
    /// The client.
    pub peer: SocketAddr,
}

impl Request {
    /// The first value of a field (`name` in lower case), where it is text.
    pub fn field(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(field, _)| field == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code, 200 to 599.
    pub status: u16,
    /// Field lines, without those that frame the message (Content-Length, Transfer-Encoding, Connection, Date).
    pub fields: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: Body,
}

/// The body of an [`Answer`].
#[derive(Debug)]
pub enum Body {
    /// No body.
    Empty,
    /// All of it, in memory.
    Bytes(Bytes),
    /// A part of an open file: first byte and length.
    File {
        /// The file; its offset is not used.
        file: Arc<File>,
        /// The first byte to send.
        start: u64,
        /// How many bytes to send.
        length: u64,
    },
    /// Bytes as they are made (server-sent events): sent at once, chunked; ends when the sender is dropped.
    Stream(tokio::sync::mpsc::Receiver<Bytes>),
}

impl Answer {
    /// An answer in memory with its media type.
    pub fn bytes(status: u16, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, fields: vec![("content-type", Cow::Borrowed(media_type))], body: Body::Bytes(body.into()) }
    }

    /// The same answer with one more field. The value must hold no CR, LF or NUL: the protocol refuses to send it otherwise.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}
