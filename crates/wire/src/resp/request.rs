//! Requests: bytes in, arguments out.
//!
//! Stricter than Redis, where a request could be read in two ways: a length has no sign and no leading zero, every length and
//! every bulk string ends in exactly CR LF, a text line holds no control characters.

use std::fmt;

use thiserror::Error;

use super::line;

/// Reads requests from a growing buffer. Keeps its scratch space between requests, so that a request costs no allocation.
#[derive(Debug, Default)]
pub struct Parser {
    limits: Limits,
    /// Bytes of the requests that were taken.
    taken: u64,
    spans: Vec<Span>,
    text: Vec<u8>,
}

/// What the bytes at hand hold.
#[derive(Debug)]
pub enum Next<'a> {
    /// Not a whole request yet: there is none before the input is `needed` bytes long (at least one more than now).
    Incomplete {
        /// The length of input before which asking again is in vain.
        needed: usize,
    },
    /// An empty line or an empty array: no request, no answer.
    Nothing {
        /// Bytes of the input it took.
        consumed: usize,
    },
    /// One request.
    Request {
        /// Its name and arguments; at least one.
        arguments: Arguments<'a>,
        /// Bytes of the input it took.
        consumed: usize,
    },
    /// No request can begin here: answer `-ERR` and close.
    Refused(Refused),
}

/// Bounds on one request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Arguments, the name included.
    pub arguments: usize,
    /// Bytes of one argument.
    pub argument: usize,
    /// Bytes of one request, its framing included.
    pub request: usize,
    /// Bytes of a text line without its end.
    pub line: usize,
    /// Bytes of all requests together.
    pub in_all: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { arguments: 1024, argument: 512 << 10, request: 1 << 20, line: 64 << 10, in_all: u64::MAX }
    }
}

impl Limits {
    /// For a client that has yet to say who it is, on a channel that asks: as Redis has them, 10 arguments of 16 KiB each, and
    /// 1 MiB in all. [`Parser::admit`] lifts them.
    pub fn unauthenticated() -> Self {
        Self { arguments: 10, argument: 16 << 10, request: 1 << 20, line: 16 << 10, in_all: 1 << 20 }
    }
}

/// Why no request can begin here. `Display` is what follows `-ERR `.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The number after `*` is no number, or above [`Limits::arguments`].
    #[error("Protocol error: invalid multibulk length")]
    ArrayLength,
    /// The number after `$` is no number, or above [`Limits::argument`].
    #[error("Protocol error: invalid bulk length")]
    BulkLength,
    /// An element that is not a bulk string.
    #[error("Protocol error: expected '$', got '{}'", .0.escape_ascii())]
    NotBulk(u8),
    /// A bulk string is followed by something else than CR LF.
    #[error("Protocol error: expected CR LF after a bulk string")]
    BulkEnd,
    /// Above [`Limits::request`].
    #[error("Protocol error: too big request")]
    RequestLength,
    /// Above [`Limits::line`].
    #[error("Protocol error: too big inline request")]
    LineLength,
    /// Above [`Limits::in_all`].
    #[error("Protocol error: too many bytes without authentication")]
    InAll,
    /// More words than [`Limits::arguments`].
    #[error("Protocol error: too many words in a line")]
    Words,
    /// A quote without its pair, or with something else than white space behind it.
    #[error("Protocol error: unbalanced quotes in request")]
    Quotes,
    /// A control character in a text line.
    #[error("Protocol error: control character in a line")]
    Control,
    /// Another protocol's greeting.
    #[error("this is a command channel: it speaks RESP or lines of text (try HELP), not {0}")]
    Foreign(Foreign),
}

/// Protocols that are told apart from a text line. A page in a browser can make it send HTTP to any port: such a request must
/// not reach a command in its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A request line, `POST` or `Host:` (as Redis guards itself).
    Http,
    /// `EHLO`, `HELO`, `LHLO`.
    Smtp,
    /// `SSH-2.0-…`.
    Ssh,
    /// A handshake record (RFC 8446 §5.1).
    Tls,
}

impl fmt::Display for Foreign {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Http => "HTTP",
            Self::Smtp => "SMTP",
            Self::Ssh => "SSH",
            Self::Tls => "TLS",
        })
    }
}

/// The name and the arguments of one request, where they lie.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    source: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Arguments<'a> {
    /// How many, the name included.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Never so for what [`Next::Request`] holds.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The name of the command.
    pub fn name(&self) -> &'a [u8] {
        self.at(0).unwrap_or_default()
    }

    /// One argument; 0 is the name.
    pub fn at(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).and_then(|span| self.source.get(span.start..span.end))
    }

    /// All of them from one on, in order.
    pub fn from(&self, first: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (source, spans) = (self.source, self.spans.get(first..).unwrap_or_default());
        spans.iter().filter_map(move |span| source.get(span.start..span.end))
    }
}

/// Where one argument lies in its source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Parser {
    /// A parser with these bounds.
    pub fn new(limits: Limits) -> Self {
        Self { limits, taken: 0, spans: Vec::new(), text: Vec::new() }
    }

    /// The client has said who it is: from its next request on these bounds hold.
    pub fn admit(&mut self, limits: Limits) {
        self.limits = limits;
        self.taken = 0;
    }

    /// The first request of `input`.
    ///
    /// What was given as a request or as nothing is to be consumed, and not asked for again.
    pub fn next<'a>(&'a mut self, input: &'a [u8]) -> Next<'a> {
        self.spans.clear();
        let found = match input.first() {
            None => Ok(Found::Incomplete { needed: 1 }),
            Some(b'*') => self.array(input),
            Some(_) => self.line(input),
        };
        let (consumed, source) = match found {
            Ok(Found::Input { consumed }) => (consumed, input),
            Ok(Found::Text { consumed }) => (consumed, self.text.as_slice()),
            Ok(Found::Incomplete { needed }) => return Next::Incomplete { needed },
            Err(refused) => return Next::Refused(refused),
        };
        self.taken = self.taken.saturating_add(consumed as u64);
        if self.taken > self.limits.in_all {
            self.spans.clear();
            return Next::Refused(Refused::InAll);
        }
        if self.spans.is_empty() {
            return Next::Nothing { consumed };
        }
        Next::Request { arguments: Arguments { source, spans: &self.spans }, consumed }
    }

    /// Gives scratch space back before a long wait, but for what a short request needs.
    pub fn rest(&mut self) {
        self.spans.clear();
        self.spans.shrink_to(RESTING_SPANS);
        self.text = Vec::new();
    }

    fn array(&mut self, input: &[u8]) -> Result<Found, Refused> {
        let Some((count, mut at)) = length(input, 1, self.limits.arguments, Refused::ArrayLength)? else {
            return Ok(Found::more(input));
        };
        for _ in 0..count {
            match input.get(at) {
                None => return Ok(Found::more(input)),
                Some(b'$') => {}
                Some(&other) => return Err(Refused::NotBulk(other)),
            }
            let Some((size, start)) = length(input, at + 1, self.limits.argument, Refused::BulkLength)? else {
                return if input.len() > self.limits.request {
                    Err(Refused::RequestLength)
                } else {
                    Ok(Found::more(input))
                };
            };
            let end = start + size;
            if end + 2 > self.limits.request {
                return Err(Refused::RequestLength);
            }
            match input.get(end..end + 2) {
                Some(b"\r\n") => {}
                Some(_) => return Err(Refused::BulkEnd),
                None if input.get(end).is_some_and(|&byte| byte != b'\r') => return Err(Refused::BulkEnd),
                None => return Ok(Found::Incomplete { needed: end + 2 }),
            }
            self.spans.push(Span { start, end });
            at = end + 2;
        }
        Ok(Found::Input { consumed: at })
    }

    fn line(&mut self, input: &[u8]) -> Result<Found, Refused> {
        // RFC 8446 §5.1: the first record of a TLS client is of type handshake (22). It need not hold an LF.
        match input {
            [0x16, ..] => return Err(Refused::Foreign(Foreign::Tls)),
            [b'\r' | b'\n' | b'\t', ..] => {}
            [byte, ..] if byte.is_ascii_control() => return Err(Refused::Control),
            _ => {}
        }
        let window = input.get(..self.limits.line + 2).unwrap_or(input);
        let end = memchr::memchr(b'\n', window);
        let line = window.get(..end.unwrap_or(window.len())).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > self.limits.line {
            return Err(Refused::LineLength);
        }
        let Some(end) = end else { return Ok(Found::more(input)) };
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(Refused::Control);
        }
        let consumed = end + 1;
        let quoted = line::split(line, self.limits.arguments, &mut self.text, &mut self.spans)?;
        let source = if quoted { self.text.as_slice() } else { line };
        if let Some(foreign) = foreign(&Arguments { source, spans: &self.spans }) {
            return Err(Refused::Foreign(foreign));
        }
        Ok(if quoted { Found::Text { consumed } } else { Found::Input { consumed } })
    }
}

/// A step of [`Parser::next`], and where the spans point into.
enum Found {
    Incomplete { needed: usize },
    Input { consumed: usize },
    Text { consumed: usize },
}

impl Found {
    /// One byte more than there is.
    fn more(input: &[u8]) -> Self {
        Self::Incomplete { needed: input.len() + 1 }
    }
}

/// Arguments that a parser keeps room for while nothing comes.
const RESTING_SPANS: usize = 8;

/// A length at `at`: digits, CR LF; no sign, no leading zero, at most `most`. `None`: not all of it is there.
fn length(input: &[u8], at: usize, most: usize, refused: Refused) -> Result<Option<(usize, usize)>, Refused> {
    // What nearly every length is: one digit.
    if let Some([digit @ b'0'..=b'9', b'\r', b'\n']) = input.get(at..at + 3) {
        let value = usize::from(digit - b'0');
        return if value > most { Err(refused) } else { Ok(Some((value, at + 3))) };
    }
    let mut value = 0usize;
    for (place, &byte) in input.get(at..).unwrap_or_default().iter().enumerate() {
        match byte {
            b'0'..=b'9' if place == 0 || value > 0 => {
                value = value.saturating_mul(10).saturating_add(usize::from(byte - b'0'))
            }
            b'\r' if place > 0 => {
                return match input.get(at + place + 1) {
                    Some(b'\n') => Ok(Some((value, at + place + 2))),
                    Some(_) => Err(refused),
                    None => Ok(None),
                };
            }
            _ => return Err(refused),
        }
        if value > most {
            return Err(refused);
        }
    }
    Ok(None)
}

/// Whether a line is the beginning of another protocol.
fn foreign(words: &Arguments<'_>) -> Option<Foreign> {
    let name = words.name();
    let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
    // RFC 9112 §3: method SP request-target SP HTTP-version.
    let request_line = words.len() == 3 && words.at(2).is_some_and(|version| version.starts_with(b"HTTP/"));
    if request_line || is(b"POST") || is(b"Host:") {
        Some(Foreign::Http)
    } else if is(b"EHLO") || is(b"HELO") || is(b"LHLO") {
        Some(Foreign::Smtp)
    } else if name.starts_with(b"SSH-") {
        Some(Foreign::Ssh)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
