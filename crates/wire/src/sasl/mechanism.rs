//! The mechanisms there are, by their names.

use std::fmt;

/// A way to prove who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// SCRAM-SHA-256-PLUS: as SCRAM-SHA-256, and both ends see that they share one TLS session (RFC 7677, RFC 9266).
    ScramSha256Plus,
    /// SCRAM-SHA-256: the password is never sent, and the server proves that it knows it too (RFC 7677).
    ScramSha256,
    /// PLAIN: name and password in one message (RFC 4616).
    Plain,
    /// LOGIN: name, then password (draft-murchison-sasl-login-00); what some mail programs still prefer.
    Login,
}

impl Mechanism {
    /// All of them, the best first.
    pub const ALL: [Self; 4] = [Self::ScramSha256Plus, Self::ScramSha256, Self::Plain, Self::Login];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The one of that name, in any case.
    pub fn of(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| name.eq_ignore_ascii_case(mechanism.name().as_bytes()))
    }

    /// Whether it binds the proof to the TLS session.
    pub fn binds(self) -> bool {
        self == Self::ScramSha256Plus
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name_in_any_case() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::of(mechanism.to_string().to_lowercase().as_bytes()), Some(mechanism));
        }
        for name in [&b""[..], b"SCRAM-SHA-1", b"PLAIN ", b"CRAM-MD5", b"EXTERNAL"] {
            assert_eq!(Mechanism::of(name), None);
        }
    }
}
