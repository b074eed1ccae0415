//! The head of an answer, and the chunks of a body whose length is not known (RFC 9112 §4, §7.1).
//!
//! Exact in what leaves: a value that holds CR, LF, NUL or another control character is refused, so that no one can split an
//! answer. Bounded by what it is given.

use thiserror::Error;

use super::field;
use super::head::Persistence;

/// Where the 29 bytes of the date stand in an answer that begins with `HTTP/1.1 200 OK`: right after the status line, so
/// that a prebuilt head can be patched.
pub const DATE_OF_OK: usize = b"HTTP/1.1 200 OK\r\ndate: ".len();

/// The last chunk and the end of the (empty) trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The interim answer to `Expect: 100-continue` (RFC 9110 §15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A field that must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a field of the answer holds a character that may not be sent")]
pub struct UnsafeField;

/// Writes one head into a buffer.
#[derive(Debug)]
pub struct AnswerHead<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> AnswerHead<'o> {
    /// Begins a head: status line and date.
    pub fn begin(out: &'o mut Vec<u8>, status: u16, date: &[u8; 29]) -> Self {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
        out.push(b' ');
        out.extend_from_slice(reason(status).as_bytes());
        out.extend_from_slice(b"\r\ndate: ");
        out.extend_from_slice(date);
        out.extend_from_slice(b"\r\n");
        Self { out }
    }

    /// Adds a field, or nothing at all where it may not be sent.
    pub fn field(&mut self, name: &str, value: &[u8]) -> Result<(), UnsafeField> {
        if name.is_empty() || !name.bytes().all(field::is_token_byte) || !field::is_value(value) {
            return Err(UnsafeField);
        }
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Adds a field that was found fit to be sent when it was made.
    pub fn checked_field(&mut self, name: &[u8], value: &[u8]) {
        debug_assert!(
            !name.is_empty() && name.iter().all(|&byte| field::is_token_byte(byte)) && field::is_value(value)
        );
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Adds fields of our own making, whole lines with their CRLF.
    pub fn lines(&mut self, lines: &'static str) {
        self.out.extend_from_slice(lines.as_bytes());
    }

    /// Adds Content-Length.
    pub fn length(&mut self, length: u64) {
        self.number("content-length: ", length);
    }

    /// Adds `Content-Range: bytes first-last/whole` (RFC 9110 §14.4).
    pub fn content_range(&mut self, part: super::range::Part, whole: u64) {
        self.out.extend_from_slice(b"content-range: bytes ");
        self.out.extend_from_slice(itoa::Buffer::new().format(part.start).as_bytes());
        self.out.push(b'-');
        let last = part.start.saturating_add(part.length).saturating_sub(1);
        self.out.extend_from_slice(itoa::Buffer::new().format(last).as_bytes());
        self.number("/", whole);
    }

    /// Adds the Content-Range of a 416 (RFC 9110 §15.5.17).
    pub fn unsatisfied_range(&mut self, whole: u64) {
        self.number("content-range: bytes */", whole);
    }

    fn number(&mut self, before: &str, number: u64) {
        self.out.extend_from_slice(before.as_bytes());
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// Ends the head: what becomes of the connection, and the empty line.
    pub fn end(self, said: Said) {
        self.out.extend_from_slice(said.line().as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }
}

/// What an answer says of the connection (RFC 9112 §9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing: HTTP/1.1 lives on by itself.
    Nothing,
    /// `keep-alive`, for an HTTP/1.0 client that asked.
    KeepAlive,
    /// `close`
    Close,
    /// `upgrade`: another protocol begins behind this head (RFC 9110 §7.8).
    Upgrade,
}

impl Said {
    /// What to say to a client of this version.
    pub fn to(version: super::Version, persistence: Persistence) -> Self {
        match (version, persistence) {
            (_, Persistence::Close) => Self::Close,
            (super::Version::Http11, Persistence::KeepAlive) => Self::Nothing,
            (super::Version::Http10, Persistence::KeepAlive) => Self::KeepAlive,
        }
    }

    /// The field line that says it.
    pub fn line(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::KeepAlive => "connection: keep-alive\r\n",
            Self::Close => "connection: close\r\n",
            Self::Upgrade => "connection: upgrade\r\n",
        }
    }
}

/// Appends one chunk. Empty data appends nothing, for an empty chunk would end the body.
pub fn chunk(out: &mut Vec<u8>, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    chunk_size(out, data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends what stands before a chunk of `size` bytes, at least one; behind them `\r\n` is to follow.
pub fn chunk_size(out: &mut Vec<u8>, size: usize) {
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = (size >> (place * 4)) & 15;
        out.push(b"0123456789abcdef"[digit]);
    }
    out.extend_from_slice(b"\r\n");
}

/// The reason phrase of a status (RFC 9110 §15); empty for one this server never sends.
pub fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::Version;
    use crate::http1::range::Part;

    const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    #[test]
    fn a_head_is_written_exactly() {
        let mut out = Vec::new();
        let mut head = AnswerHead::begin(&mut out, 206, DATE);
        head.field("content-type", b"text/plain; charset=utf-8").unwrap();
        head.length(3);
        head.content_range(Part { start: 2, length: 3 }, 10);
        head.end(Said::to(Version::Http10, Persistence::KeepAlive));
        let expect = "HTTP/1.1 206 Partial Content\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
            content-type: text/plain; charset=utf-8\r\ncontent-length: 3\r\ncontent-range: bytes 2-4/10\r\n\
            connection: keep-alive\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }

    #[test]
    fn the_date_stands_where_it_is_patched() {
        let mut out = Vec::new();
        AnswerHead::begin(&mut out, 200, DATE).end(Said::Nothing);
        assert_eq!(&out[DATE_OF_OK..DATE_OF_OK + 29], DATE);
    }

    #[test]
    fn what_could_split_an_answer_is_not_written() {
        let cases: [(&str, &[u8]); 8] = [
            ("a", b"x\r\nset-cookie: y"),
            ("a", b"x\ny"),
            ("a", b"x\ry"),
            ("a", b"x\0y"),
            ("a", b"x\x7f"),
            ("a b", b"x"),
            ("a:", b"x"),
            ("", b"x"),
        ];
        for (name, value) in cases {
            let mut out = Vec::new();
            let mut head = AnswerHead::begin(&mut out, 200, DATE);
            assert_eq!(head.field(name, value), Err(UnsafeField), "{name:?}");
            head.end(Said::Nothing);
            assert!(out.ends_with(b"GMT\r\n\r\n"), "{name:?}");
        }
    }

    #[test]
    fn chunks_carry_their_size() {
        for (length, size) in [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (4096, "1000\r\n"), (4095, "fff\r\n")] {
            let mut out = Vec::new();
            chunk(&mut out, &vec![b'x'; length]);
            assert!(out.starts_with(size.as_bytes()), "{length}");
            assert_eq!(out.len(), size.len() + length + 2);
        }
        let mut out = Vec::new();
        chunk(&mut out, b"");
        assert!(out.is_empty());
    }
}
