//! One command line, read (RFC 5321 §4.1.1).
//!
//! Knows nothing of what is allowed when: that is the session's. Nothing is repaired, except what real clients write and no
//! one reads in two ways: spaces behind a command (§4.1.1 asks for that) and one behind `FROM:` and `TO:`.

mod parameters;

use std::fmt;

use thiserror::Error;

pub use self::parameters::{BodyType, Mail, Recipient};
use super::reply::Reply;
use super::role::{Auth, Offered};
use crate::mail::address;
use crate::sasl::Mechanism;
use crate::sasl::server::OffersBinding;

/// A command with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Ehlo(Box<str>),
    Helo(Box<str>),
    Mail(Mail),
    Rcpt(Recipient),
    Data,
    Bdat(Chunk),
    Rset,
    StartTls,
    Auth(Mechanism, Option<Initial>),
    Noop,
    Vrfy,
    Help,
    Quit,
}

/// A chunk of a message, as BDAT announces it (RFC 3030 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Its octets.
    pub(super) octets: u64,
    /// Whether the message ends with it.
    pub(super) last: bool,
}

/// The response that AUTH may bring along, still in base64: a secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Initial(pub(super) Box<[u8]>);

impl fmt::Debug for Initial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Initial(…)")
    }
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
    /// AUTH before TLS (RFC 4954 §4: not over a channel that others read).
    #[error("say STARTTLS first: no password is taken unencrypted")]
    Unencrypted,
    /// AUTH by a mechanism that is not offered.
    #[error("no such mechanism here")]
    Mechanism,
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
            Self::Unencrypted => (538, "5.7.11"),
            Self::Mechanism => (504, "5.5.4"),
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
    pub(super) fn parse(line: &[u8], offered: Offered) -> Result<Self, Error> {
        if line.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(if line.contains(&b'\r') { Error::LineEnd } else { Error::Control });
        }
        let line = line.trim_ascii_end(); // RFC 5321 §4.1.1: trailing white space is tolerated
        let end = line.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(line.len());
        let (verb, arguments) = line.split_at(end);
        let is = |known: &[&str]| known.iter().any(|known| verb.eq_ignore_ascii_case(known.as_bytes()));
        match () {
            () if is(&["MAIL"]) => return parameters::mail(arguments, offered).map(Self::Mail),
            () if is(&["RCPT"]) => return parameters::rcpt(arguments, offered).map(Self::Rcpt),
            () if is(&["AUTH"]) => return auth(arguments, offered.auth),
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
}

const HTTP_METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"];

const NOT_BUILT: [&str; 10] = ["EXPN", "TURN", "ETRN", "ATRN", "SEND", "SOML", "SAML", "XCLIENT", "XFORWARD", "BURL"];

/// A name as clients give it: one word of printable ASCII. That it is a domain is not asked: too many are not, and RFC 5321
/// §4.1.4 forbids to refuse mail for it.
fn hello_name(arguments: &[u8]) -> Option<Box<str>> {
    let is_good = !arguments.is_empty()
        && arguments.len() <= address::Domain::LONGEST
        && arguments.iter().all(u8::is_ascii_graphic);
    if is_good { Some(String::from_utf8_lossy(arguments).into()) } else { None }
}

/// RFC 4954 §4: ` mechanism` or ` mechanism initial-response`.
fn auth(arguments: &[u8], offered: Auth) -> Result<Command, Error> {
    let binding = match offered {
        Auth::None => return Err(Error::NotBuilt),
        Auth::OnceEncrypted => return Err(Error::Unencrypted),
        Auth::Offered(binding) => binding,
    };
    let mut words = arguments.split(|byte| *byte == b' ');
    let (Some(b""), Some(name), initial, None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(Error::Syntax("AUTH mechanism [initial-response]"));
    };
    let is_offered = |mechanism: &Mechanism| !mechanism.binds() || binding == OffersBinding::Yes;
    let mechanism = Mechanism::of(name).filter(is_offered).ok_or(Error::Mechanism)?;
    Ok(Command::Auth(mechanism, initial.map(|initial| Initial(initial.into()))))
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

#[cfg(test)]
mod tests;
