//! MAIL and RCPT with their parameters: SIZE (RFC 1870), BODY (RFC 6152, RFC 3030), SMTPUTF8 (RFC 6531), RET, ENVID, NOTIFY and
//! ORCPT (RFC 3461), REQUIRETLS (RFC 8689), AUTH (RFC 4954 §5).
//!
//! A parameter that is not offered is refused, and one that is given twice. Bounded by: the command line.

use super::{Error, number};
use crate::mail::{ForwardPath, Notify, Ret, ReversePath, xtext};
use crate::smtp::server::role::{Auth, Offered};

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
    /// How much of the message a report of a failure brings back (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// What the sender calls this mail in reports, decoded (RFC 3461 §4.4).
    pub envelope_id: Option<Box<str>>,
    /// Whether it said REQUIRETLS (RFC 8689): it goes encrypted, to servers that are who they say, or not at all.
    pub require_tls: bool,
}

/// What RCPT says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// To whom.
    pub path: ForwardPath,
    /// Of what the sender wants to hear (RFC 3461 §4.1).
    pub notify: Notify,
    /// Whom the sender had named first, decoded: `rfc822;bob@example.org` (RFC 3461 §4.2).
    pub original: Option<Box<str>>,
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

impl From<ReversePath> for Mail {
    /// Without any parameter.
    fn from(sender: ReversePath) -> Self {
        let body = BodyType::SevenBit;
        Self { sender, size: None, body, utf8: false, ret: None, envelope_id: None, require_tls: false }
    }
}

impl From<ForwardPath> for Recipient {
    /// Without any parameter.
    fn from(path: ForwardPath) -> Self {
        Self { path, notify: Notify::default(), original: None }
    }
}

/// RFC 3461 §4.4: the most characters of ENVID, as it is written.
const LONGEST_ENVELOPE_ID: usize = 100;
/// RFC 3461 §4.2: the most characters of ORCPT, as it is written.
const LONGEST_ORIGINAL: usize = 500;

/// ` FROM:<address>` and parameters.
pub(super) fn mail(arguments: &[u8], offered: Offered) -> Result<Mail, Error> {
    let path = path(arguments, "FROM:").ok_or(Error::Syntax("MAIL FROM:<address>"))?;
    let (sender, parameters) = ReversePath::parse(path).map_err(Error::Sender)?;
    let mut mail = Mail::from(sender);
    let mut seen = Seen::default();
    for parameter in Parameters::new(parameters)? {
        let (keyword, value) = parameter?;
        let given = |known: &[u8]| keyword.eq_ignore_ascii_case(known);
        match () {
            () if given(b"SIZE") => mail.size = seen.once(0, size(value.unwrap_or_default())?)?,
            () if given(b"BODY") => mail.body = seen.once(1, body_type(value.unwrap_or_default())?)?,
            // RFC 6531 §3.4: the parameter has no value.
            () if given(b"SMTPUTF8") => mail.utf8 = seen.once(2, without_value(value, "SMTPUTF8 has no value")?)?,
            () if given(b"RET") && offered.reports => mail.ret = seen.once(3, Some(ret(value)?))?,
            () if given(b"ENVID") && offered.reports => mail.envelope_id = seen.once(4, Some(envelope_id(value)?))?,
            () if given(b"REQUIRETLS") && offered.require_tls => {
                mail.require_tls = seen.once(5, without_value(value, "REQUIRETLS has no value")?)?;
            }
            // RFC 4954 §5: who brought it in is known by the session; another's word for it is not taken.
            () if given(b"AUTH") && matches!(offered.auth, Auth::Offered(_)) => seen.once(6, submitter(value)?)?,
            () => return Err(Error::Parameter),
        }
    }
    if !mail.utf8 && !mail.sender.is_ascii() {
        return Err(Error::NonAscii);
    }
    Ok(mail)
}

/// ` TO:<address>` and parameters.
pub(super) fn rcpt(arguments: &[u8], offered: Offered) -> Result<Recipient, Error> {
    let path = path(arguments, "TO:").ok_or(Error::Syntax("RCPT TO:<address>"))?;
    let (path, parameters) = ForwardPath::parse(path).map_err(Error::Recipient)?;
    let mut recipient = Recipient::from(path);
    let mut seen = Seen::default();
    for parameter in Parameters::new(parameters)? {
        let (keyword, value) = parameter?;
        match () {
            () if !offered.reports => return Err(Error::Parameter),
            () if keyword.eq_ignore_ascii_case(b"NOTIFY") => recipient.notify = seen.once(0, notify(value)?)?,
            () if keyword.eq_ignore_ascii_case(b"ORCPT") => {
                recipient.original = seen.once(1, Some(original(value)?))?
            }
            () => return Err(Error::Parameter),
        }
    }
    Ok(recipient)
}

/// Which parameters were given.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    /// Gives the value of the parameter of that number, once.
    fn once<T>(&mut self, number: u8, value: T) -> Result<T, Error> {
        let bit = 1 << number;
        if self.0 & bit != 0 {
            return Err(Error::Syntax("a parameter is given once"));
        }
        self.0 |= bit;
        Ok(value)
    }
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

pub(super) const MALFORMED: Error = Error::Syntax("<address> KEYWORD=value");

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

fn without_value(value: Option<&[u8]>, refusal: &'static str) -> Result<bool, Error> {
    if value.is_none() { Ok(true) } else { Err(Error::Syntax(refusal)) }
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

fn ret(value: Option<&[u8]>) -> Result<Ret, Error> {
    text(value).and_then(|text| text.parse().ok()).ok_or(Error::Syntax("RET=FULL or RET=HDRS"))
}

fn notify(value: Option<&[u8]>) -> Result<Notify, Error> {
    let syntax = "NOTIFY=NEVER, or some of SUCCESS,FAILURE,DELAY";
    text(value).and_then(|text| text.parse().ok()).ok_or(Error::Syntax(syntax))
}

fn envelope_id(value: Option<&[u8]>) -> Result<Box<str>, Error> {
    let value = text(value).filter(|text| (1..=LONGEST_ENVELOPE_ID).contains(&text.len()));
    value.and_then(visible).ok_or(Error::Syntax("ENVID=xtext of at most 100 characters"))
}

/// RFC 3461 §4.2: a type of address, `;`, and the address in xtext.
fn original(value: Option<&[u8]>) -> Result<Box<str>, Error> {
    let is_type =
        |kind: &str| !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    text(value)
        .filter(|text| text.len() <= LONGEST_ORIGINAL)
        .and_then(|text| text.split_once(';'))
        .filter(|(kind, _)| is_type(kind))
        .and_then(|(kind, address)| Some(format!("{kind};{}", visible(address)?).into()))
        .ok_or(Error::Syntax("ORCPT=type;xtext of at most 500 characters"))
}

/// `<>` or an address in xtext.
fn submitter(value: Option<&[u8]>) -> Result<(), Error> {
    text(value)
        .filter(|text| !text.is_empty())
        .and_then(visible)
        .map(drop)
        .ok_or(Error::Syntax("AUTH=<> or AUTH=xtext"))
}

fn text(value: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(value?).ok()
}

/// What xtext says, where it is text that can be seen: it will stand in the header of a report, where the end of a line would begin
/// another field.
fn visible(xtext: &str) -> Option<Box<str>> {
    xtext::decode(xtext).filter(|text| !text.chars().any(char::is_control)).map(Into::into)
}
