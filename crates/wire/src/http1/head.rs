//! The head of a request: from bytes to [`Head`], in one pass, without allocation (RFC 9112 §2 to §6).
//!
//! Knows no connection: it is given what has arrived so far, and says `None` where more is needed. A prefix of a message is
//! either waited for or refused as the whole message would be. Bounded by [`Limits`].

use super::Refusal;
use super::body::Framing;
use super::field::{self, Before, Fields, Known, Present};
use super::target::{self, Absolute, Host, Scheme, Target};

/// What a head may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request line without its CRLF; beyond: 414.
    pub request_line: usize,
    /// Bytes of the head with its last empty line; beyond: 431.
    pub head: usize,
    /// Field lines; beyond: 431.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_line: 8 * 1024, head: 16 * 1024, fields: 100 }
    }
}

/// The head of one request. Borrowed from the bytes it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method as an enum.
    pub method: Method,
    /// The method as sent; methods are case-sensitive (RFC 9110 §9.1).
    pub verb: &'a [u8],
    /// The target as sent, for logs.
    pub raw_target: &'a [u8],
    /// The target.
    pub target: Target<'a>,
    /// The scheme, where the target was in absolute form.
    pub scheme: Option<Scheme>,
    /// The version.
    pub version: Version,
    /// The authority asked for, checked against its grammar; empty where HTTP/1.0 named none.
    pub host: &'a [u8],
    /// The host in it.
    pub named: Option<Host<'a>>,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether the client wants the connection to live on.
    pub persistence: Persistence,
    /// Which of the fields that matter are there.
    pub present: Present,
    /// All fields.
    pub fields: Fields<'a>,
    /// How many bytes the head took, with its last empty line.
    pub length: usize,
}

/// A method of RFC 9110 §9.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// OPTIONS
    Options,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// Any other token.
    Other,
}

/// A version this server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// Whether a connection lives on after the answer (RFC 9112 §9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It lives on.
    KeepAlive,
    /// It is closed.
    Close,
}

/// Reads a request head from the beginning of `bytes`. `Ok(None)`: not all of it has arrived.
pub fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Option<Head<'a>>, Refusal> {
    parse_native(bytes, limits).map_err(|refusal| match foreign(bytes) {
        Some(protocol) => Refusal::Foreign(protocol),
        None => refusal,
    })
}

/// Whether a head that was incomplete at `before` bytes should be parsed again now: only a line end or a limit can change
/// the outcome. This keeps a head that trickles in from being parsed once per byte.
pub fn worth_parsing(before: usize, bytes: &[u8], limits: &Limits) -> bool {
    let passed = |limit: usize| before < limit && bytes.len() >= limit;
    passed(limits.head)
        || passed(limits.request_line.saturating_add(2))
        // Behind an empty line.
        || passed(limits.request_line.saturating_add(4))
        || bytes.get(before..).is_none_or(|new| memchr::memchr(b'\n', new).is_some())
}

/// Makes the names of the fields of a head that was parsed lower case, so that whoever takes parts of it need not.
pub fn lower_names(head: &mut [u8]) {
    let begin = if head.starts_with(b"\r\n") { 2 } else { 0 };
    let mut lines = head.get_mut(begin..).unwrap_or_default().split_inclusive_mut(|&byte| byte == b'\n');
    // The request line has none.
    lines.next();
    for line in lines {
        let name = memchr::memchr(b':', line).and_then(|colon| line.get_mut(..colon));
        name.unwrap_or_default().make_ascii_lowercase();
    }
}

fn parse_native<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Option<Head<'a>>, Refusal> {
    let start = match bytes {
        [] | [b'\r'] => return Ok(None),
        // RFC 9112 §2.2: at least one empty line before the request line should be ignored.
        [b'\r', b'\n', ..] => 2,
        [b'\r', ..] => return Err(Refusal::BareCr),
        [b'\n', ..] => return Err(Refusal::BareLf),
        _ => 0,
    };
    let Some(line) = RequestLine::parse(bytes.get(start..).unwrap_or_default(), limits)? else { return Ok(None) };
    let begin = start + line.length;
    let Some(block) = Block::parse(bytes, begin, limits)? else { return Ok(None) };
    block.finish(bytes, line, begin).map(Some)
}

struct RequestLine<'a> {
    verb: &'a [u8],
    raw_target: &'a [u8],
    target: Target<'a>,
    absolute: Option<Absolute<'a>>,
    version: Version,
    length: usize,
}

/// Longer methods are unknown here (RFC 9112 §3: 501).
const METHOD_MOST: usize = 32;

impl<'a> RequestLine<'a> {
    fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Option<Self>, Refusal> {
        // The method first, so that what is no HTTP at all is refused by its first byte.
        let Some(method_end) = bytes.iter().take(METHOD_MOST + 1).position(|&byte| !field::is_token_byte(byte)) else {
            return if bytes.len() > METHOD_MOST { Err(Refusal::LongMethod) } else { Ok(None) };
        };
        if method_end == 0 || bytes.get(method_end) != Some(&b' ') {
            return Err(Refusal::BadMethod);
        }
        let most = limits.request_line.saturating_add(2);
        let window = bytes.get(..most).unwrap_or(bytes);
        let Some(end) = memchr::memchr(b'\n', window) else {
            return if bytes.len() >= most { Err(Refusal::LongRequestLine) } else { Ok(None) };
        };
        let Some((&b'\r', line)) = bytes.get(..end).and_then(<[u8]>::split_last) else { return Err(Refusal::BareLf) };
        let (verb, rest) = line.split_at(method_end);
        Self::after_method(verb, rest.get(1..).unwrap_or_default(), end + 1).map(Some)
    }

    fn after_method(verb: &'a [u8], rest: &'a [u8], length: usize) -> Result<Self, Refusal> {
        if memchr::memchr(b'\r', rest).is_some() {
            return Err(Refusal::BareCr);
        }
        // Exactly one SP on either side of the target: any other number is malformed (RFC 9112 §3).
        let Some(space) = memchr::memrchr(b' ', rest) else { return Err(Refusal::BadRequestLine) };
        let (raw_target, version) = rest.split_at(space);
        let version = match version {
            b" HTTP/1.1" => Version::Http11,
            b" HTTP/1.0" => Version::Http10,
            // RFC 9110 §15.6.6, and the preface of HTTP/2.
            [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(Refusal::BadVersion);
            }
            _ => return Err(Refusal::BadRequestLine),
        };
        if verb == b"CONNECT" {
            return Err(Refusal::Connect);
        }
        let (target, absolute) = target::parse(raw_target)?;
        if target == Target::Asterisk && verb != b"OPTIONS" {
            return Err(Refusal::BadTarget);
        }
        Ok(Self { verb, raw_target, target, absolute, version, length })
    }
}

/// The field lines, and what the known ones said.
#[derive(Default)]
struct Block<'a> {
    present: Present,
    host: &'a [u8],
    length: Option<u64>,
    wants_close: bool,
    wants_keep_alive: bool,
    expect: Option<&'a [u8]>,
    /// Where the block ends, before its empty line.
    end: usize,
}

impl<'a> Block<'a> {
    fn parse(bytes: &'a [u8], begin: usize, limits: &Limits) -> Result<Option<Self>, Refusal> {
        let mut block = Self { end: begin, ..Self::default() };
        let window = bytes.get(..limits.head).unwrap_or(bytes);
        let incomplete = if bytes.len() >= limits.head { Err(Refusal::LongHead) } else { Ok(None) };
        let mut lines = 0;
        loop {
            let rest = window.get(block.end..).unwrap_or_default();
            match rest {
                [] | [b'\r'] => return incomplete,
                [b'\r', b'\n', ..] => return Ok(Some(block)),
                [b'\r', ..] => return Err(Refusal::BareCr),
                [b'\n', ..] => return Err(Refusal::BareLf),
                [b' ' | b'\t', ..] => return Err(Refusal::Folded),
                _ if lines == limits.fields => return Err(Refusal::ManyFields),
                _ => lines += 1,
            }
            let Some(colon) = rest.iter().position(|&byte| !field::is_token_byte(byte)) else { return incomplete };
            match rest.get(colon) {
                Some(b':') if colon > 0 => {}
                Some(b' ' | b'\t') => return Err(Refusal::SpaceBeforeColon),
                _ => return Err(Refusal::BadFieldName),
            }
            let (name, rest) = rest.split_at(colon);
            let Some(end) = memchr::memchr(b'\n', rest) else { return incomplete };
            let Some((&b'\r', value)) = rest.get(1..end).and_then(<[u8]>::split_last) else {
                return Err(Refusal::BareLf);
            };
            if !field::is_value(value) {
                let bare_cr = memchr::memchr(b'\r', value).is_some();
                return Err(if bare_cr { Refusal::BareCr } else { Refusal::BadFieldValue });
            }
            if let Some(known) = Known::of(name) {
                block.note(known, field::trim(value))?;
            }
            block.end += colon + end + 1;
        }
    }

    fn note(&mut self, known: Known, value: &'a [u8]) -> Result<(), Refusal> {
        let repeated = self.present.note(known) == Before::Present;
        match known {
            Known::Host if repeated => return Err(Refusal::TwoHosts),
            Known::Host => self.host = value,
            // RFC 9112 §6.3 (5) allows equal lengths to be merged; see Refusal::TwoLengths for why they are not.
            Known::ContentLength if repeated => return Err(Refusal::TwoLengths),
            // A leading zero is allowed by the grammar, and is octal to some readers.
            Known::ContentLength if value.len() > 1 && value.starts_with(b"0") => return Err(Refusal::BadLength),
            Known::ContentLength => self.length = Some(decimal(value).ok_or(Refusal::BadLength)?),
            Known::TransferEncoding if repeated => return Err(Refusal::BadCoding),
            Known::TransferEncoding if !value.eq_ignore_ascii_case(b"chunked") => return Err(Refusal::BadCoding),
            Known::Connection => {
                for option in field::list(value) {
                    self.wants_close |= option.eq_ignore_ascii_case(b"close");
                    self.wants_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            Known::Expect if repeated => return Err(Refusal::BadExpectation),
            Known::Expect => self.expect = Some(value),
            _ => {}
        }
        Ok(())
    }

    fn finish(self, bytes: &'a [u8], line: RequestLine<'a>, begin: usize) -> Result<Head<'a>, Refusal> {
        let field = match (self.present.has(Known::Host), line.version) {
            (true, _) => Some(Host::parse(self.host).ok_or(Refusal::BadHost)?),
            (false, Version::Http10) => None,
            (false, Version::Http11) => return Err(Refusal::NoHost),
        };
        let (host, named) = match line.absolute {
            Some(Absolute { authority, .. }) => (authority, Host::parse(authority)),
            None => (self.host, field),
        };
        let chunked = self.present.has(Known::TransferEncoding);
        let framing = match self.length {
            Some(_) if chunked => return Err(Refusal::LengthAndCoding),
            _ if chunked && line.version == Version::Http10 => return Err(Refusal::CodingInOld),
            _ if chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::Length(0),
        };
        let mut present = self.present;
        match self.expect {
            // RFC 9110 §10.1.1: an HTTP/1.0 client's expectation is ignored.
            Some(_) if line.version == Version::Http10 => present = present.without(Known::Expect),
            Some(value) if !value.eq_ignore_ascii_case(b"100-continue") => return Err(Refusal::BadExpectation),
            _ => {}
        }
        let persistence = match line.version {
            Version::Http11 if !self.wants_close => Persistence::KeepAlive,
            Version::Http10 if self.wants_keep_alive && !self.wants_close => Persistence::KeepAlive,
            _ => Persistence::Close,
        };
        Ok(Head {
            method: Method::of(line.verb),
            verb: line.verb,
            raw_target: line.raw_target,
            target: line.target,
            scheme: line.absolute.map(|absolute| absolute.scheme),
            version: line.version,
            host,
            named,
            framing,
            persistence,
            present,
            fields: Fields::new(bytes.get(begin..self.end).unwrap_or_default()),
            length: self.end + 2,
        })
    }
}

impl Method {
    fn of(verb: &[u8]) -> Self {
        match verb {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"OPTIONS" => Self::Options,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }
}

/// Digits and nothing else, within 64 bits (RFC 9110 §8.6).
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// The protocol that was meant, where what was refused looks like one.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x16, ..] => Some("TLS: use http:// with this port"),
        [b'S', b'S', b'H', b'-', ..] => Some("SSH"),
        [b'*' | b'$', b'0'..=b'9', ..] => Some("RESP (the protocol of Redis)"),
        _ => {
            let greeting = bytes.get(..5)?;
            let mail = [b"EHLO ", b"HELO ", b"MAIL "].iter().any(|word| greeting.eq_ignore_ascii_case(*word));
            mail.then_some("SMTP")
        }
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
