//! An MTA-STS record and policy, read (RFC 8461 §3.1, §3.2).

use thiserror::Error;

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// How strictly it is meant.
    pub(crate) mode: Mode,
    /// The mail servers, as patterns in lower case.
    pub(crate) servers: Vec<String>,
    /// For how many seconds it holds.
    pub(crate) max_age: u64,
}

/// How strictly it is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Mail goes nowhere else.
    Enforce,
    /// Mail goes where it goes, and failures would be reported.
    Testing,
    /// There is no policy any more.
    None,
}

/// It is no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum BadPolicy {
    /// No text.
    #[error("the policy is no text")]
    Text,
    /// Another version, or none.
    #[error("the policy does not begin with version: STSv1")]
    Version,
    /// No mode that is known.
    #[error("the policy has no mode")]
    Mode,
    /// No age, or none that is allowed.
    #[error("the policy has no max_age")]
    MaxAge,
    /// No server, or what is none.
    #[error("the policy names no mail server")]
    Server,
}

/// RFC 8461 §3.2: about a year.
const MAX_AGE: u64 = 31_557_600;
/// Servers of one policy.
const SERVERS_MOST: usize = 1_000;

impl Policy {
    /// Reads `key: value` lines, ended by LF or CR LF. Of a key that is written twice the first one counts, but for `mx`.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, BadPolicy> {
        let text = std::str::from_utf8(text).map_err(|_| BadPolicy::Text)?;
        let pairs: Vec<(&str, &str)> = text
            .split('\n')
            .filter_map(|line| line.strip_suffix('\r').unwrap_or(line).split_once(':'))
            .map(|(key, value)| (key.trim_matches([' ', '\t']), value.trim_matches([' ', '\t'])))
            .collect();
        let first = |key| pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        if first("version") != Some("STSv1") {
            return Err(BadPolicy::Version);
        }
        let mode = match first("mode") {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            _ => return Err(BadPolicy::Mode),
        };
        let is_number =
            |value: &&str| !value.is_empty() && value.len() <= 10 && value.bytes().all(|byte| byte.is_ascii_digit());
        let max_age =
            first("max_age").filter(is_number).and_then(|value| value.parse::<u64>().ok()).ok_or(BadPolicy::MaxAge)?;
        let servers: Vec<String> = pairs
            .iter()
            .filter(|(key, _)| *key == "mx")
            .take(SERVERS_MOST)
            .map(|(_, value)| value.to_ascii_lowercase())
            .collect();
        if mode != Mode::None && servers.is_empty() || !servers.iter().all(|server| is_pattern(server)) {
            return Err(BadPolicy::Server);
        }
        Ok(Self { mode, servers, max_age: max_age.min(MAX_AGE) })
    }

    /// Whether a mail server is one of them. RFC 8461 §4.1: `*.` stands for one label.
    pub(crate) fn names(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.servers.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && rest == parent),
            None => host == *pattern,
        })
    }
}

fn is_pattern(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// Whether a TXT record is one of MTA-STS.
pub(super) fn is_record(text: &[u8]) -> bool {
    text.strip_prefix(b"v=STSv1")
        .is_some_and(|rest| rest.iter().find(|byte| !matches!(byte, b' ' | b'\t')) == Some(&b';'))
}

/// Its `id`: 1 to 32 letters and digits.
pub(super) fn id(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let field = text.split(';').find_map(|field| field.trim_matches([' ', '\t']).strip_prefix("id="))?;
    let is_id = (1..=32).contains(&field.len()) && field.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then(|| field.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_strictly() {
        let good =
            "version: STSv1\r\nmode: enforce\r\nmx: Mail.example.org\r\nmx: *.example.net\r\nmax_age: 604800\r\n";
        let policy = Policy::parse(good.as_bytes()).unwrap();
        let servers = vec!["mail.example.org".to_owned(), "*.example.net".to_owned()];
        assert_eq!(policy, Policy { mode: Mode::Enforce, servers, max_age: 604_800 });
        assert_eq!(Policy::parse(good.replace("\r\n", "\n").as_bytes()), Ok(policy));
        assert_eq!(Policy::parse(good.replace("604800", "9999999999").as_bytes()).unwrap().max_age, MAX_AGE);
        let none = Policy::parse(b"version:STSv1\nmode:none\nmax_age:0").unwrap();
        assert_eq!((none.mode, none.max_age), (Mode::None, 0));
        for (from, to, expect) in [
            ("STSv1", "STSv2", BadPolicy::Version),
            ("version: STSv1\r\n", "", BadPolicy::Version),
            ("enforce", "maybe", BadPolicy::Mode),
            ("604800", "-1", BadPolicy::MaxAge),
            ("604800", "99999999999", BadPolicy::MaxAge),
            ("604800", "", BadPolicy::MaxAge),
            ("mx: ", "my: ", BadPolicy::Server),
            ("*.example.net", "*.*.example.net", BadPolicy::Server),
            ("*.example.net", "a b", BadPolicy::Server),
        ] {
            assert_eq!(Policy::parse(good.replace(from, to).as_bytes()), Err(expect), "{from} → {to}");
        }
        assert_eq!(Policy::parse(b"version: STSv1\n\xff"), Err(BadPolicy::Text));
    }

    #[test]
    fn a_star_is_one_label() {
        let text = b"version: STSv1\nmode: testing\nmx: mx.example.org\nmx: *.example.net\nmax_age: 1";
        let policy = Policy::parse(text).unwrap();
        for host in ["mx.example.org", "MX.example.org", "a.example.net"] {
            assert!(policy.names(host), "{host}");
        }
        for host in
            ["example.org", "a.mx.example.org", "example.net", "a.b.example.net", ".example.net", "aexample.net"]
        {
            assert!(!policy.names(host), "{host}");
        }
    }

    #[test]
    fn a_record_names_its_policy() {
        for good in ["v=STSv1; id=20160831085700Z;", "v=STSv1;id=20160831085700Z", "v=STSv1 ;x=y; id=20160831085700Z ;"]
        {
            assert!(is_record(good.as_bytes()), "{good}");
            assert_eq!(id(good.as_bytes()).as_deref(), Some("20160831085700Z"), "{good}");
        }
        for bad in ["v=STSv1", "v=STSv10; id=1", "v=STSv2; id=1", " v=STSv1; id=1", "V=STSv1; id=1", "v=spf1 -all"] {
            assert!(!is_record(bad.as_bytes()), "{bad}");
        }
        for bad in ["v=STSv1; id=", "v=STSv1; id=a b", "v=STSv1;", &format!("v=STSv1; id={}", "a".repeat(33))] {
            assert_eq!(id(bad.as_bytes()), None, "{bad}");
        }
        assert!(id(format!("v=STSv1; id={}", "a".repeat(32)).as_bytes()).is_some());
    }
}
