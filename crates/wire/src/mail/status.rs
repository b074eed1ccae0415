//! Enhanced status codes (RFC 3463): `5.1.1`, in replies (RFC 2034 §4) and in reports (RFC 3464 §2.3.4).
//!
//! Bounded by: the grammar; a value is five bytes.

use std::fmt;

/// One code. Made only by [`Status::parse`] and [`Status::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    class: Class,
    subject: u16,
    detail: u16,
}

/// What a code says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// `2`: done.
    Success,
    /// `4`: may work later.
    Transient,
    /// `5`: will not work.
    Permanent,
}

impl Status {
    /// `class.subject.detail`; what has more than three digits counts as 999.
    pub const fn new(class: Class, subject: u16, detail: u16) -> Self {
        const fn cut(number: u16) -> u16 {
            if number > 999 { 999 } else { number }
        }
        Self { class, subject: cut(subject), detail: cut(detail) }
    }

    /// The code at the front of a reply's text, where it has one of the reply's own class (RFC 2034 §4).
    pub fn of_reply(code: u16, text: &[u8]) -> Option<Self> {
        let word = text.split(|byte| matches!(byte, b' ' | b'\t')).next()?;
        let status = Self::parse(std::str::from_utf8(word).ok()?)?;
        (u16::from(status.class.digit()) == code / 100).then_some(status)
    }

    /// Reads exactly what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let class = match parts.next()? {
            "2" => Class::Success,
            "4" => Class::Transient,
            "5" => Class::Permanent,
            _ => return None,
        };
        let mut number = || {
            let part = parts.next()?;
            let plain = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
            let padded = part.len() > 1 && part.starts_with('0');
            if plain && !padded { part.parse().ok() } else { None }
        };
        let (subject, detail) = (number()?, number()?);
        parts.next().is_none().then_some(Self { class, subject, detail })
    }

    /// What it says first.
    pub fn class(self) -> Class {
        self.class
    }
}

impl Class {
    /// The first digit.
    pub fn digit(self) -> u8 {
        match self {
            Self::Success => 2,
            Self::Transient => 4,
            Self::Permanent => 5,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.class.digit(), self.subject, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_from_the_front_of_a_reply_of_its_class() {
        for (code, text, expect) in [
            (550, "5.1.1 no such user", Some("5.1.1")),
            (250, "2.0.0", Some("2.0.0")),
            (421, "4.7.999\tlater", Some("4.7.999")),
            (550, "4.1.1 of another class", None),
            (550, "5.1", None),
            (550, "5.1.1.1 no", None),
            (550, "5.1.1000 no", None),
            (550, "5.01.1 no", None),
            (550, "5..1 no", None),
            (550, "5.1.+1 no", None),
            (350, "3.0.0 no", None),
            (550, "", None),
        ] {
            let status = Status::of_reply(code, text.as_bytes());
            assert_eq!(status.map(|status| status.to_string()).as_deref(), expect, "{text:?}");
        }
        assert_eq!(Status::of_reply(550, b"5.1.1\xff no"), None);
        assert_eq!(Status::new(Class::Permanent, 1000, 0).to_string(), "5.999.0");
    }
}
