//! Who somebody is, proved (SASL, RFC 4422): PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 7677), both sides.
//!
//! Challenges and responses as bytes; the protocol that carries them writes them in base64 or as they are. Knows no account: the
//! server's side asks whoever drives it for a verdict on a password or for the keys of a name. Knows no source of chance either:
//! nonces are handed in. Bounded by: [`LONGEST_NAME`], [`LONGEST_PASSWORD`], [`LONGEST_MESSAGE`].

pub mod client;
mod mechanism;
pub mod scram;
pub mod server;

use std::fmt;

pub use mechanism::Mechanism;

/// Octets of a name that proves itself: an address fits.
pub const LONGEST_NAME: usize = 320;
/// Octets of a password.
pub const LONGEST_PASSWORD: usize = 1_024;
/// Octets of one challenge or response; two names and a password fit.
pub const LONGEST_MESSAGE: usize = 2_048;

/// A password that shows itself to nobody by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<str>);

impl Password {
    /// Any text, of at most [`LONGEST_PASSWORD`] octets.
    pub fn new(text: &str) -> Option<Self> {
        (text.len() <= LONGEST_PASSWORD).then(|| Self(text.into()))
    }

    /// As it was given.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// As it is hashed: letters that look alike and mean the same become one (RFC 4013). What SASLprep forbids stays as it is, so
    /// that a password that could be chosen can be used.
    pub fn prepared(&self) -> String {
        stringprep::saslprep(&self.0).map_or_else(|_| self.0.to_string(), |text| text.into_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// Whether this may be a name: text that somebody can see, of bounded length.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_bounded_and_shows_itself_only_when_asked() {
        let longest = "x".repeat(LONGEST_PASSWORD);
        assert!(Password::new(&longest).is_some() && Password::new(&format!("{longest}x")).is_none());
        let password = Password::new("open sesame").unwrap();
        assert_eq!((password.reveal(), format!("{password:?}").as_str()), ("open sesame", "Password(…)"));
    }

    #[test]
    fn passwords_that_mean_the_same_are_hashed_alike() {
        // RFC 4013 §3: its examples, and one that it forbids.
        for (text, expect) in [
            ("I\u{ad}X", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u{aa}", "a"),
            ("\u{2168}", "IX"),
            ("\u{7}", "\u{7}"),
        ] {
            assert_eq!(Password::new(text).unwrap().prepared(), expect, "{text:?}");
        }
    }

    #[test]
    fn a_name_can_be_seen_and_is_bounded() {
        let longest = "x".repeat(LONGEST_NAME);
        assert!(is_name("alice@example.org") && is_name("\u{e4}") && is_name(&longest));
        for text in ["", "a\0b", "a\nb", &format!("{longest}x")] {
            assert!(!is_name(text), "{text:?}");
        }
    }
}
