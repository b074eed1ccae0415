//! What certificates the configuration wants: for which names, from where.

use std::net::IpAddr;
use std::path::PathBuf;

/// What is wanted. Nothing, where no channel speaks TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Names that share a certificate. A name of several groups is the first one's: sites go before this machine's own names.
    pub groups: Vec<Group>,
    /// Certificates for whatever names they say. Who names nothing that is known is shown the first one.
    pub files: Vec<Pair>,
    /// Without files, who names nothing that is known is shown the certificate of this name; without it, of the first one of all.
    pub usual: Option<String>,
}

/// Names that share a certificate: those of one site, or this machine's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Host names in lower case (as A-labels), `*.` names, addresses without brackets.
    pub names: Vec<String>,
    /// Certificates for just these names.
    pub files: Vec<Pair>,
    /// Who signs for those of them that no file is for.
    pub signer: Signer,
}

impl Wanted {
    /// All files.
    pub(super) fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.files.iter().chain(self.groups.iter().flat_map(|group| &group.files))
    }
}

/// Who signs where no file is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signer {
    /// A CA that is asked by ACME, for names that it can know; the local CA for the others.
    Acme,
    /// The local CA.
    #[default]
    Local,
}

/// The files of a certificate: a chain and its key, which may be one file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// The chain, the server's own certificate first.
    pub chain: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Endings that no CA signs for: RFC 6761, RFC 6762, RFC 8375, RFC 7686 and ICANN's `internal`.
const PRIVATE: [&str; 9] =
    ["localhost", "local", "test", "example", "invalid", "internal", "home.arpa", "onion", "localdomain"];

/// Whether a CA of the world can know a name.
pub fn is_public(name: &str) -> bool {
    let host = name.strip_prefix("*.").unwrap_or(name);
    let is_private =
        |ending: &&str| host.strip_suffix(*ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    host.contains('.') && host.parse::<IpAddr>().is_err() && !PRIVATE.iter().any(is_private)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_ca_can_know() {
        for (name, expect) in [
            ("example.org", true),
            ("*.example.org", true),
            ("xn--bcher-kva.example.org", true),
            ("mylocal.org", true),
            ("localhost", false),
            ("a.localhost", false),
            ("laptop", false),
            ("*.laptop", false),
            ("nas.local", false),
            ("a.example", false),
            ("a.home.arpa", false),
            ("127.0.0.1", false),
            ("::1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_public(name), expect, "{name}");
        }
    }
}
