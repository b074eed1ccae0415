//! Which reports a sender asks for: NOTIFY and RET (RFC 3461 §4.1, §4.3), as they are said at RCPT and MAIL.
//!
//! Knows nothing of when something is reported. Bounded by: the grammar; a value is one byte.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What is to be reported of one recipient. By default nothing is said of it: failures are reported, and delays may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Notify(u8);

/// How much of the message comes back in a report of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// `FULL`: the whole message.
    Full,
    /// `HDRS`: its header.
    Headers,
}

/// The value is none that RFC 3461 knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Not `NEVER`, and not a list of `SUCCESS`, `FAILURE` and `DELAY` without repetition.
    #[error("NOTIFY is NEVER or some of SUCCESS, FAILURE, DELAY")]
    Notify,
    /// Neither `FULL` nor `HDRS`.
    #[error("RET is FULL or HDRS")]
    Ret,
}

const SUCCESS: u8 = 1;
const FAILURE: u8 = 2;
const DELAY: u8 = 4;
const NEVER: u8 = 8;
const NAMES: [(u8, &str); 3] = [(SUCCESS, "SUCCESS"), (FAILURE, "FAILURE"), (DELAY, "DELAY")];

impl Notify {
    /// Nothing is reported.
    pub const NEVER: Self = Self(NEVER);

    /// Whether the sender said anything: what was not said is not passed on either (RFC 3461 §5.2.1).
    pub fn is_said(self) -> bool {
        self.0 != 0
    }

    /// Whether a delivery is reported. Only where it was asked for.
    pub fn of_success(self) -> bool {
        self.0 & SUCCESS != 0
    }

    /// Whether a failure is reported. Also where nothing was said.
    pub fn of_failure(self) -> bool {
        self.0 == 0 || self.0 & FAILURE != 0
    }

    /// Whether a delay is reported. Also where nothing was said.
    pub fn of_delay(self) -> bool {
        self.0 == 0 || self.0 & DELAY != 0
    }

    /// As one byte, to be kept.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// What [`Notify::bits`] gave; what it never gives counts as nothing said.
    pub fn from_bits(bits: u8) -> Self {
        if bits <= NEVER { Self(bits) } else { Self::default() }
    }
}

impl FromStr for Notify {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.eq_ignore_ascii_case("NEVER") {
            return Ok(Self::NEVER);
        }
        let mut bits = 0;
        for word in text.split(',') {
            let known = NAMES.iter().find(|(_, name)| word.eq_ignore_ascii_case(name));
            let (bit, _) = known.filter(|(bit, _)| bits & bit == 0).ok_or(Error::Notify)?;
            bits |= bit;
        }
        Ok(Self(bits))
    }
}

/// As RCPT says it; empty where nothing is said.
impl fmt::Display for Notify {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return formatter.write_str("NEVER");
        }
        let mut between = "";
        for (_, name) in NAMES.iter().filter(|(bit, _)| self.0 & bit != 0) {
            write!(formatter, "{between}{name}")?;
            between = ",";
        }
        Ok(())
    }
}

impl FromStr for Ret {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            _ if text.eq_ignore_ascii_case("FULL") => Ok(Self::Full),
            _ if text.eq_ignore_ascii_case("HDRS") => Ok(Self::Headers),
            _ => Err(Error::Ret),
        }
    }
}

impl fmt::Display for Ret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_is_read_in_any_case_and_written_in_order() {
        for (text, expect) in [
            ("never", Ok("NEVER")),
            ("SUCCESS", Ok("SUCCESS")),
            ("delay,Failure", Ok("FAILURE,DELAY")),
            ("SUCCESS,FAILURE,DELAY", Ok("SUCCESS,FAILURE,DELAY")),
            ("", Err(Error::Notify)),
            ("NEVER,SUCCESS", Err(Error::Notify)),
            ("SUCCESS,SUCCESS", Err(Error::Notify)),
            ("SUCCESS,", Err(Error::Notify)),
            ("FAIL", Err(Error::Notify)),
        ] {
            let read = text.parse::<Notify>();
            assert_eq!(read.map(|notify| notify.to_string()).as_deref(), expect.as_deref(), "{text:?}");
            if let Ok(notify) = read {
                assert_eq!(Notify::from_bits(notify.bits()), notify, "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_reported_follows_from_what_was_said() {
        let of = |notify: Notify| [notify.of_success(), notify.of_failure(), notify.of_delay()];
        assert_eq!(of(Notify::default()), [false, true, true]);
        assert_eq!(of(Notify::NEVER), [false; 3]);
        assert_eq!(of("SUCCESS".parse().unwrap()), [true, false, false]);
        assert_eq!(of("FAILURE".parse().unwrap()), [false, true, false]);
        assert!(!Notify::default().is_said() && Notify::NEVER.is_said());
        for bits in 9..=u8::MAX {
            assert_eq!(Notify::from_bits(bits), Notify::default(), "{bits}");
        }
    }

    #[test]
    fn ret_is_one_of_two_words() {
        assert_eq!("hdrs".parse(), Ok(Ret::Headers));
        assert_eq!("FULL".parse(), Ok(Ret::Full));
        assert_eq!("".parse::<Ret>(), Err(Error::Ret));
        assert_eq!([Ret::Full, Ret::Headers].map(|ret| ret.to_string()), ["FULL", "HDRS"]);
    }
}
