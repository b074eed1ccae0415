//! The policy by which other servers send mail over verified TLS only (MTA-STS, RFC 8461).

use std::time::Duration;

use sha2::{Digest, Sha256};

/// What others are asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: there is no policy.
    Off,
    /// To send all the same where TLS fails.
    #[default]
    Testing,
    /// Not to send then.
    Enforce,
}

/// A domain's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MtaSts {
    /// What is asked.
    pub mode: Mode,
    /// For how long others keep it, in whole seconds.
    pub max_age: Duration,
}

impl MtaSts {
    /// Where it lies on its host (RFC 8461 §3.3).
    pub const PATH: &str = "/.well-known/mta-sts.txt";
    /// The host that has it, before the domain.
    pub const HOST: &str = "mta-sts";
    /// RFC 8461 §3.2: weeks or more are wished for.
    const USUAL: Duration = Duration::from_secs(7 * 86_400);

    /// The text of it, for mail that `mx` takes; `None` where there is none. RFC 8461 §3.2.
    pub fn text(&self, mx: &str) -> Option<String> {
        let mode = match self.mode {
            Mode::Off => return None,
            Mode::Testing => "testing",
            Mode::Enforce => "enforce",
        };
        let age = self.max_age.as_secs();
        Some(format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: {age}\r\n"))
    }

    /// The record that says that there is one, and changes with it. RFC 8461 §3.1: an id of at most 32 letters and digits.
    pub fn record(&self, mx: &str) -> Option<String> {
        let hash = Sha256::digest(self.text(mx)?);
        let id: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Some(format!("v=STSv1; id={id};"))
    }
}

impl Default for MtaSts {
    fn default() -> Self {
        Self { mode: Mode::default(), max_age: Self::USUAL }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_written_as_the_rfc_does() {
        let policy = MtaSts { mode: Mode::Enforce, max_age: Duration::from_secs(86_400) };
        let text = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmax_age: 86400\r\n";
        assert_eq!(policy.text("mail.example.org").unwrap(), text);
        assert!(MtaSts::default().text("a.example").unwrap().contains("mode: testing\r\n"));
        let off = MtaSts { mode: Mode::Off, ..policy };
        assert_eq!((off.text("a.example"), off.record("a.example")), (None, None));
        // The id is one, and another for another policy.
        let record = policy.record("mail.example.org").unwrap();
        let id = record.strip_prefix("v=STSv1; id=").unwrap().strip_suffix(';').unwrap();
        assert!(id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(policy.record("mail.example.org").unwrap(), record);
        assert_ne!(policy.record("other.example.org").unwrap(), record);
        assert_ne!(MtaSts::default().record("mail.example.org").unwrap(), record);
    }
}
