//! What one transaction says of its message before its text: senders, recipients, and what they wish.
//!
//! Paths are parsed addresses, wishes are encoded: nothing in them ends a command.

use thiserror::Error;

use super::extensions::Extensions;
use crate::mail::{ForwardPath, Notify, Ret, ReversePath, xtext};
use crate::smtp::server::BodyType;

/// One message for one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Where reports go.
    pub sender: ReversePath,
    /// To whom; at least one.
    pub recipients: Vec<Recipient>,
    /// Octets of the text as RFC 1870 §3 counts them: doubled dots as one, the last dot not at all.
    pub size: u64,
    /// What the text is made of.
    pub body: BodyType,
    /// Whether an address or the header is beyond ASCII (RFC 6531).
    pub utf8: bool,
    /// ENVID, decoded (RFC 3461 §4.4).
    pub envelope_id: Option<String>,
    /// RET (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: bool,
}

/// One recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The forward-path.
    pub path: ForwardPath,
    /// NOTIFY (RFC 3461 §4.1).
    pub notify: Notify,
    /// ORCPT, decoded: `rfc822;Bob@example.org` (RFC 3461 §4.2).
    pub original: Option<String>,
}

/// Why this server cannot take this message; another one of the same destination may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// RFC 1870 §6.2: it need not be tried.
    #[error("the message has {size} octets and the server takes {most}")]
    TooLarge {
        /// What it has.
        size: u64,
        /// What the server takes.
        most: u64,
    },
    /// RFC 6152 §3: it would have to be encoded anew, which would break its signatures.
    #[error("the message has 8-bit text and the server does not offer 8BITMIME")]
    EightBit,
    /// RFC 3030 §3.
    #[error("the message is binary and the server does not offer BINARYMIME")]
    Binary,
    /// RFC 6531 §3.5.
    #[error("the message has addresses or a header beyond ASCII and the server does not offer SMTPUTF8")]
    Utf8,
    /// RFC 8689 §4.1.
    #[error("the message requires TLS on all its way and the server does not offer REQUIRETLS")]
    RequireTls,
}

impl Envelope {
    /// Whether a server that offers this may be given it.
    pub(super) fn fits(&self, offered: &Extensions) -> Result<(), Unfit> {
        if let Some(Some(most)) = offered.size
            && self.size > most
        {
            return Err(Unfit::TooLarge { size: self.size, most });
        }
        match self.body {
            BodyType::EightBitMime if !offered.eight_bit => return Err(Unfit::EightBit),
            BodyType::BinaryMime if !(offered.binary && offered.chunking) => return Err(Unfit::Binary),
            _ => {}
        }
        if self.utf8 && !offered.utf8 {
            return Err(Unfit::Utf8);
        }
        if self.require_tls && !offered.require_tls {
            return Err(Unfit::RequireTls);
        }
        Ok(())
    }

    /// Writes MAIL, with those parameters that the server knows.
    pub(super) fn write_mail(&self, offered: &Extensions, out: &mut Vec<u8>) {
        let mut line = format!("MAIL FROM:<{}>", self.sender);
        if offered.size.is_some() {
            line += &format!(" SIZE={}", self.size);
        }
        match self.body {
            BodyType::EightBitMime => line += " BODY=8BITMIME",
            BodyType::BinaryMime => line += " BODY=BINARYMIME",
            BodyType::SevenBit => {}
        }
        if self.utf8 {
            line += " SMTPUTF8";
        }
        if self.require_tls {
            line += " REQUIRETLS";
        }
        if offered.dsn {
            if let Some(ret) = self.ret {
                line += &format!(" RET={ret}");
            }
            if let Some(id) = self.envelope_id.as_deref().filter(|id| is_short(id)) {
                line += &format!(" ENVID={}", xtext::encode(id));
            }
        }
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

impl Recipient {
    /// Writes RCPT, with those parameters that the server knows. RFC 3461 §5.2.1: what was not said is not said for the sender.
    pub(super) fn write_rcpt(&self, offered: &Extensions, out: &mut Vec<u8>) {
        let mut line = format!("RCPT TO:<{}>", self.path);
        if offered.dsn {
            if self.notify.is_said() {
                line += &format!(" NOTIFY={}", self.notify);
            }
            if let Some((kind, address)) = self.original.as_deref().and_then(original) {
                line += &format!(" ORCPT={kind};{}", xtext::encode(address));
            }
        }
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// What a parameter may have before it is encoded: RFC 3461 §4.4 gives 100, §4.2 500 characters of what is encoded.
fn is_short(text: &str) -> bool {
    text.len() <= 100
}

/// The type and the address of an original recipient. One beyond ASCII has an encoding of its own (RFC 6533 §3), and is not said.
fn original(text: &str) -> Option<(&str, &str)> {
    let (kind, address) = text.split_once(';')?;
    let is_atom = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_atom && address.is_ascii() && text.len() <= 166).then_some((kind, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(text: &str) -> ForwardPath {
        ForwardPath::parse(format!("<{text}>").as_bytes()).unwrap().0
    }

    fn envelope() -> Envelope {
        Envelope {
            sender: ReversePath::Null,
            recipients: Vec::new(),
            size: 77,
            body: BodyType::SevenBit,
            utf8: false,
            envelope_id: Some("a+b c".to_owned()),
            ret: Some(Ret::Headers),
            require_tls: false,
        }
    }

    #[test]
    fn a_server_is_told_what_it_knows() {
        let check = |envelope: &Envelope, offered: Extensions, expect: &str| {
            let mut out = Vec::new();
            envelope.write_mail(&offered, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        };
        check(&envelope(), Extensions::default(), "MAIL FROM:<>\r\n");
        let all = Extensions { size: Some(None), dsn: true, ..Extensions::default() };
        check(&envelope(), all, "MAIL FROM:<> SIZE=77 RET=HDRS ENVID=a+2Bb+20c\r\n");
        let sender = ReversePath::parse(b"<\"a b\"@x.example>").unwrap().0;
        let full = Envelope { sender, utf8: true, body: BodyType::BinaryMime, require_tls: true, ..envelope() };
        check(&full, Extensions::default(), "MAIL FROM:<\"a b\"@x.example> BODY=BINARYMIME SMTPUTF8 REQUIRETLS\r\n");
        let long = |length| Envelope { ret: None, envelope_id: Some("x".repeat(length)), ..envelope() };
        let dsn = Extensions { dsn: true, ..Extensions::default() };
        check(&long(100), dsn, &format!("MAIL FROM:<> ENVID={}\r\n", "x".repeat(100)));
        check(&long(101), dsn, "MAIL FROM:<>\r\n");
    }

    #[test]
    fn wishes_of_a_recipient_are_passed_on_and_cannot_end_the_command() {
        let check = |notify: &str, original: Option<&str>, dsn: bool, expect: &str| {
            let original = original.map(str::to_owned);
            let recipient =
                Recipient { path: forward("b@y.example"), notify: notify.parse().unwrap_or_default(), original };
            let mut out = Vec::new();
            recipient.write_rcpt(&Extensions { dsn, ..Extensions::default() }, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("RCPT TO:<b@y.example>{expect}\r\n"));
        };
        check("NEVER", Some("rfc822;b@z"), false, "");
        check("", None, true, "");
        check("delay,SUCCESS", Some("rfc822;b+1@z"), true, " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2B1@z");
        check("", Some("rfc822;a\r\nRSET"), true, " ORCPT=rfc822;a+0D+0ARSET");
        for wrong in ["x", ";a", "rf\r\nc;a", "utf-8;ü@z"] {
            check("", Some(wrong), true, "");
        }
    }

    #[test]
    fn what_a_server_does_not_take_is_known_before() {
        let offer = |change: fn(&mut Extensions)| {
            let mut offered = Extensions::default();
            change(&mut offered);
            offered
        };
        assert_eq!(envelope().fits(&offer(|offered| offered.size = Some(Some(77)))), Ok(()));
        let small = offer(|offered| offered.size = Some(Some(76)));
        assert_eq!(envelope().fits(&small), Err(Unfit::TooLarge { size: 77, most: 76 }));
        let check = |envelope: Envelope, expect: Unfit, enough: fn(&mut Extensions)| {
            assert_eq!(envelope.fits(&Extensions::default()), Err(expect));
            assert_eq!(envelope.fits(&offer(enough)), Ok(()));
        };
        let eight = Envelope { body: BodyType::EightBitMime, ..envelope() };
        check(eight, Unfit::EightBit, |offered| offered.eight_bit = true);
        check(Envelope { utf8: true, ..envelope() }, Unfit::Utf8, |offered| offered.utf8 = true);
        check(Envelope { require_tls: true, ..envelope() }, Unfit::RequireTls, |offered| offered.require_tls = true);
        let binary = Envelope { body: BodyType::BinaryMime, ..envelope() };
        check(binary.clone(), Unfit::Binary, |offered| (offered.binary, offered.chunking) = (true, true));
        assert_eq!(binary.fits(&offer(|offered| offered.binary = true)), Err(Unfit::Binary), "BDAT alone carries it");
    }
}
