//! One command line, read (RFC 5321 §4.1.1).
//!
//! Knows nothing of what is allowed when: that is the session's. Nothing is repaired, except what real clients write and no
//! one reads in two ways: spaces behind a command (§4.1.1 asks for that) and one behind `FROM:` and `TO:`.

use thiserror::Error;

use super::reply::Reply;
use crate::mail::address;
use crate::mail::{ForwardPath, ReversePath};

/// A command with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Ehlo(Box<str>),
    Helo(Box<str>),
    Mail(Mail),
    Rcpt(ForwardPath),
    Data,
    Bdat(Chunk),
    Rset,
    StartTls,
    Noop,
    Vrfy,
    Help,
    Quit,
}

/// What MAIL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Where reports of failure go.
    pub sender: ReversePath,
    /// The size the client declared (RFC 1870), octets; `None` where it declared none, or zero.
    pub size: Option<u64>,
    /// The body's type (RFC 6152).
    pub body: BodyType,
    /// Whether it said SMTPUTF8 (RFC 6531): addresses and header may be UTF-8.
    pub utf8: bool,
}

/// A chunk of a message, as BDAT announces it (RFC 3030 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Its octets.
    pub(super) octets: u64,
    /// Whether the message ends with it.
    pub(super) last: bool,
}

/// The BODY parameter of RFC 6152 and RFC 3030 §3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyType {
    /// `7BIT`, or nothing said.
    #[default]
    SevenBit,
    /// `8BITMIME`. A declaration: bytes are taken as they come.
    EightBitMime,
    /// `BINARYMIME`: the body is not made of lines, so it can come by BDAT only.
    BinaryMime,
}

/// Why a line is no command of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Longer than the limit.
    #[error("command line too long")]
    TooLong,
    /// It ends with LF alone, or has a CR in its middle.
    #[error("a line ends with CR LF, and with nothing else (nc: -C)")]
    LineEnd,
    /// A control character or NUL.
    #[error("a command has no control characters")]
    Control,
    /// Another protocol knocks here.
    #[error("this is an SMTP channel")]
    Foreign,
    /// No such command.
    #[error("command not recognised")]
    Unknown,
    /// A command of an RFC, not built here.
    #[error("command not implemented")]
    NotBuilt,
    /// A BDAT whose length is not known, so that its data would be read as commands.
    #[error("syntax: BDAT octets [LAST]")]
    Bdat,
    /// A byte above 127 where only ASCII may be.
    #[error("a command is ASCII but for addresses")]
    EightBit,
    /// Arguments are missing, too many or malformed: how it is written.
    #[error("syntax: {0}")]
    Syntax(&'static str),
    /// A parameter of MAIL or RCPT that was not offered.
    #[error("parameter not recognised")]
    Parameter,
    /// The argument of MAIL FROM.
    #[error("sender refused: {0}")]
    Sender(#[source] address::Error),
    /// The argument of RCPT TO.
    #[error("recipient refused: {0}")]
    Recipient(#[source] address::Error),
    /// RFC 6531 §3.5: an address outside ASCII, in a mail that did not say SMTPUTF8.
    #[error("an address outside ASCII needs MAIL FROM:<address> SMTPUTF8")]
    NonAscii,
}

impl Error {
    /// Whether what follows on the connection can still be told apart.
    pub(super) fn ends_session(self) -> bool {
        matches!(self, Self::TooLong | Self::LineEnd | Self::Foreign | Self::Bdat)
    }

    /// What the client reads.
    pub(super) fn reply(self) -> Reply {
        let (code, enhanced) = match self {
            Self::TooLong | Self::LineEnd | Self::Control | Self::EightBit => (500, "5.5.2"),
            Self::Foreign => (554, "5.5.1"),
            Self::Unknown => (500, "5.5.1"),
            Self::NotBuilt => (502, "5.5.1"),
            Self::Syntax(_) | Self::Bdat => (501, "5.5.4"),
            Self::Parameter => (555, "5.5.4"),
            Self::NonAscii => (553, "5.6.7"),
            Self::Sender(_) => (501, "5.1.7"),
            Self::Recipient(_) => (501, "5.1.3"),
        };
        Reply::with_text(code, enhanced, format!("Error: {self}"))
    }
}

/// Whether a line that begins with this byte is none of SMTP's: a TLS ClientHello (0x16), a RESP array (`*`), anything but a
/// letter, a space or a line end. Told before the line is whole, since a foreign protocol may never end one.
pub(super) fn is_foreign(first: u8) -> bool {
    !(first.is_ascii_alphabetic() || matches!(first, b' ' | b'\t' | b'\r' | b'\n'))
}

impl Command {
    /// Reads a line that has lost its CR LF.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Error> {
        if line.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(if line.contains(&b'\r') { Error::LineEnd } else { Error::Control });
        }
        let line = line.trim_ascii_end(); // RFC 5321 §4.1.1: trailing white space is tolerated
        let end = line.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(line.len());
        let (verb, arguments) = line.split_at(end);
        let is = |known: &[&str]| known.iter().any(|known| verb.eq_ignore_ascii_case(known.as_bytes()));
        match () {
            () if is(&["MAIL"]) => return Self::mail(arguments),
            () if is(&["RCPT"]) => return Self::rcpt(arguments),
            // A web page can make a browser post to any port: the connection must not live to the request's body.
            () if is(&HTTP_METHODS) => return Err(Error::Foreign),
            () if is(&["BDAT"]) => return bdat(arguments).ok_or(Error::Bdat),
            () if is(&NOT_BUILT) => return Err(Error::NotBuilt),
            () => {}
        }
        let arguments = match arguments.split_first() {
            None => arguments,
            Some((b' ', arguments)) => arguments,
            Some(_) => return Err(Error::Unknown),
        };
        if !arguments.is_ascii() && is(&["NOOP", "HELP"]) {
            return Err(Error::EightBit);
        }
        let without =
            |command: Self, syntax| if arguments.is_empty() { Ok(command) } else { Err(Error::Syntax(syntax)) };
        match () {
            () if is(&["EHLO"]) => hello_name(arguments).map(Self::Ehlo).ok_or(Error::Syntax("EHLO domain")),
            () if is(&["HELO"]) => hello_name(arguments).map(Self::Helo).ok_or(Error::Syntax("HELO domain")),
            () if is(&["DATA"]) => without(Self::Data, "DATA"),
            () if is(&["RSET"]) => without(Self::Rset, "RSET"),
            () if is(&["STARTTLS"]) => without(Self::StartTls, "STARTTLS"),
            () if is(&["QUIT"]) => without(Self::Quit, "QUIT"),
            () if is(&["NOOP"]) => Ok(Self::Noop),
            () if is(&["HELP"]) => Ok(Self::Help),
            () if is(&["VRFY"]) && arguments.is_empty() => Err(Error::Syntax("VRFY address")),
            () if is(&["VRFY"]) => Ok(Self::Vrfy),
            () => Err(Error::Unknown),
        }
    }

    fn mail(arguments: &[u8]) -> Result<Self, Error> {
        let path = path(arguments, "FROM:").ok_or(Error::Syntax("MAIL FROM:<address>"))?;
        let (sender, parameters) = ReversePath::parse(path).map_err(Error::Sender)?;
        let mut mail = Mail { sender, size: None, body: BodyType::SevenBit, utf8: false };
        let mut seen = [false; 3];
        for parameter in Parameters::new(parameters)? {
            let (keyword, value) = parameter?;
            let known = ["SIZE", "BODY", "SMTPUTF8"].map(|known| keyword.eq_ignore_ascii_case(known.as_bytes()));
            let Some(seen) = seen.iter_mut().zip(known).find_map(|(seen, known)| known.then_some(seen)) else {
                return Err(Error::Parameter);
            };
            if std::mem::replace(seen, true) {
                return Err(Error::Syntax("a parameter is given once"));
            }
            match known {
                [true, ..] => mail.size = size(value.unwrap_or_default())?,
                [_, true, _] => mail.body = body_type(value.unwrap_or_default())?,
                // RFC 6531 §3.4: the parameter has no value.
                _ if value.is_some() => return Err(Error::Syntax("SMTPUTF8 has no value")),
                _ => mail.utf8 = true,
            }
        }
        if !mail.utf8 && !mail.sender.is_ascii() {
            return Err(Error::NonAscii);
        }
        Ok(Self::Mail(mail))
    }

    fn rcpt(arguments: &[u8]) -> Result<Self, Error> {
        let path = path(arguments, "TO:").ok_or(Error::Syntax("RCPT TO:<address>"))?;
        let (recipient, parameters) = ForwardPath::parse(path).map_err(Error::Recipient)?;
        match Parameters::new(parameters)?.next() {
            None => Ok(Self::Rcpt(recipient)),
            Some(parameter) => Err(parameter.map_or_else(|error| error, |_| Error::Parameter)),
        }
    }
}

const HTTP_METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"];

const NOT_BUILT: [&str; 11] =
    ["AUTH", "EXPN", "TURN", "ETRN", "ATRN", "SEND", "SOML", "SAML", "XCLIENT", "XFORWARD", "BURL"];

/// A name as clients give it: one word of printable ASCII. That it is a domain is not asked: too many are not, and RFC 5321
/// §4.1.4 forbids to refuse mail for it.
fn hello_name(arguments: &[u8]) -> Option<Box<str>> {
    let is_good = !arguments.is_empty()
        && arguments.len() <= address::Domain::LONGEST
        && arguments.iter().all(u8::is_ascii_graphic);
    if is_good { Some(String::from_utf8_lossy(arguments).into()) } else { None }
}

/// What stands behind ` FROM:` or ` TO:`.
fn path<'a>(arguments: &'a [u8], keyword: &str) -> Option<&'a [u8]> {
    let (written, path) = arguments.strip_prefix(b" ")?.split_at_checked(keyword.len())?;
    if !written.eq_ignore_ascii_case(keyword.as_bytes()) {
        return None;
    }
    Some(path.strip_prefix(b" ").unwrap_or(path))
}

/// The parameters behind a path: ` KEYWORD` or ` KEYWORD=value`, with single spaces (RFC 5321 §4.1.2).
struct Parameters<'a> {
    rest: &'a [u8],
}

impl<'a> Parameters<'a> {
    fn new(rest: &'a [u8]) -> Result<Self, Error> {
        if rest.is_empty() || rest.starts_with(b" ") { Ok(Self { rest }) } else { Err(MALFORMED) }
    }
}

const MALFORMED: Error = Error::Syntax("<address> KEYWORD=value");

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<(&'a [u8], Option<&'a [u8]>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.strip_prefix(b" ")?;
        let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        let (parameter, rest) = rest.split_at(end);
        self.rest = rest;
        let equals = memchr::memchr(b'=', parameter).unwrap_or(parameter.len());
        let (keyword, value) = parameter.split_at(equals);
        let is_keyword = keyword.first().is_some_and(u8::is_ascii_alphanumeric)
            && keyword.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        Some(if is_keyword { Ok((keyword, value.strip_prefix(b"="))) } else { Err(MALFORMED) })
    }
}

/// RFC 3030 §2: ` octets` or ` octets LAST`. A number beyond 64 bits is as good as the largest.
fn bdat(arguments: &[u8]) -> Option<Command> {
    let arguments = arguments.strip_prefix(b" ")?;
    let (digits, last) = match memchr::memchr(b' ', arguments) {
        Some(end) => {
            let (digits, marker) = arguments.split_at(end);
            (digits, marker.eq_ignore_ascii_case(b" LAST").then_some(true)?)
        }
        None => (arguments, false),
    };
    number(digits).map(|octets| Command::Bdat(Chunk { octets, last }))
}

/// 1 to 20 digits; a number beyond 64 bits is the largest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 20 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX))
}

/// RFC 1870 §4: 1 to 20 digits. A number beyond 64 bits is as good as the largest. Zero says nothing.
fn size(value: &[u8]) -> Result<Option<u64>, Error> {
    let size = number(value).ok_or(Error::Syntax("SIZE=octets"))?;
    Ok(Some(size).filter(|&size| size != 0))
}

fn body_type(value: &[u8]) -> Result<BodyType, Error> {
    if value.eq_ignore_ascii_case(b"7BIT") {
        Ok(BodyType::SevenBit)
    } else if value.eq_ignore_ascii_case(b"8BITMIME") {
        Ok(BodyType::EightBitMime)
    } else if value.eq_ignore_ascii_case(b"BINARYMIME") {
        Ok(BodyType::BinaryMime)
    } else {
        Err(Error::Syntax("BODY=7BIT, BODY=8BITMIME or BODY=BINARYMIME"))
    }
}

#[cfg(test)]
mod tests;
