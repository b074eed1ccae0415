//! Requests as they go out: by a client of ours, and to an upstream for somebody else.
//!
//! Exact in what leaves: a part that would make it another request, or two, is refused.

use thiserror::Error;

use crate::http1::field;

/// A request without a body. Neither part may hold a space or a control character: [`write_request`] refuses them.
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
    let start = out.len();
    let written = written(request, out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn written(request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let (method, target) = (request.method.as_bytes(), request.target.as_bytes());
    let mut head = RequestHead::begin(out, method, target, None, request.host.as_bytes())?;
    for (name, value) in request.fields {
        head.field(name, value.as_bytes())?;
    }
    head.end();
    Ok(())
}

/// Writes the head of a request into a buffer. What has been written of one that was refused is to be thrown away.
#[derive(Debug)]
pub struct RequestHead<'o> {
    out: &'o mut Vec<u8>,
}

/// The body that is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// None, and nothing said about it.
    Nothing,
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunks,
}

impl<'o> RequestHead<'o> {
    /// Begins a head: request line and Host.
    ///
    /// # Errors
    /// When the method is no token, or the target or the host holds anything but visible ASCII.
    pub fn begin(
        out: &'o mut Vec<u8>,
        method: &[u8],
        path: &[u8],
        query: Option<&[u8]>,
        host: &[u8],
    ) -> Result<Self, Unwritable> {
        let word = |text: &[u8]| !text.is_empty() && is_visible(text);
        let method_fits = !method.is_empty() && method.iter().all(|&byte| field::is_token_byte(byte));
        if !method_fits || !word(path) || !is_visible(query.unwrap_or_default()) || !word(host) {
            return Err(Unwritable);
        }
        out.extend_from_slice(method);
        out.push(b' ');
        out.extend_from_slice(path);
        if let Some(query) = query {
            out.push(b'?');
            out.extend_from_slice(query);
        }
        out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
        out.extend_from_slice(host);
        out.extend_from_slice(b"\r\n");
        Ok(Self { out })
    }

    /// Adds a field.
    ///
    /// # Errors
    /// When its name is no token, or its value holds a line end, a NUL or another control character.
    pub fn field(&mut self, name: &str, value: &[u8]) -> Result<(), Unwritable> {
        if name.is_empty() || !name.bytes().all(field::is_token_byte) || !field::is_value(value) {
            return Err(Unwritable);
        }
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Says how the body is framed (RFC 9112 §6).
    pub fn announce(&mut self, body: Announced) {
        match body {
            Announced::Nothing => {}
            Announced::Length(length) => {
                self.out.extend_from_slice(b"content-length: ");
                self.out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
                self.out.extend_from_slice(b"\r\n");
            }
            Announced::Chunks => self.out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
    }

    /// Ends the head.
    pub fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Without early exit, so that the compiler makes SIMD of it.
fn is_visible(text: &[u8]) -> bool {
    !text.iter().fold(false, |bad, &byte| bad | !(0x21..=0x7e).contains(&byte))
}
