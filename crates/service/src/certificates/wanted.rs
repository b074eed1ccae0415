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
    /// A CA of the world that is asked by ACME, for names that it can know; the local CA for the others.
    Acme,
    /// A CA of one's own that is asked by ACME, which may know whatever name leads to this machine from elsewhere; the local CA for the
    /// others.
    OwnAcme,
    /// The local CA.
    #[default]
    Local,
}

impl Signer {
    /// Whether a CA is asked by ACME for a certificate for this name.
    pub(super) fn orders(self, name: &str) -> bool {
        match self {
            Self::Acme => is_public(name),
            Self::OwnAcme => is_from_elsewhere(name),
            Self::Local => false,
        }
    }
}

/// The files of a certificate: a chain and its key, which may be one file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// The chain, the server's own certificate first.
    pub chain: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Endings that no CA of the world signs for: RFC 6761, RFC 6762, RFC 8375, RFC 7686, ICANN's `internal`, and those of RFC 6762 appendix G
/// that routers give out.
const PRIVATE: [&str; 14] = [
    "localhost",
    "local",
    "test",
    "example",
    "invalid",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "home.arpa",
    "onion",
    "localdomain",
];

/// Whether a CA of the world can know a name.
fn is_public(name: &str) -> bool {
    let host = name.strip_prefix("*.").unwrap_or(name);
    host.contains('.') && host.parse::<IpAddr>().is_err() && !PRIVATE.iter().any(|ending| is_beneath(host, ending))
}

/// Whether a name can mean this machine to another one: no address, for which nothing is ordered, and not `localhost` (RFC 6761 §6.3).
fn is_from_elsewhere(name: &str) -> bool {
    let host = name.strip_prefix("*.").unwrap_or(name);
    host.parse::<IpAddr>().is_err() && !is_beneath(host, "localhost")
}

fn is_beneath(host: &str, ending: &str) -> bool {
    host.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_ca_can_know() {
        for (name, world, own) in [
            ("example.org", true, true),
            ("*.example.org", true, true),
            ("xn--bcher-kva.example.org", true, true),
            ("mylocal.org", true, true),
            ("localhost", false, false),
            ("a.localhost", false, false),
            ("mylocalhost", false, true),
            ("laptop", false, true),
            ("*.laptop", false, true),
            ("nas.local", false, true),
            ("git.internal", false, true),
            ("nas.lan", false, true),
            ("a.example", false, true),
            ("a.home.arpa", false, true),
            ("127.0.0.1", false, false),
            ("192.168.1.1", false, false),
            ("::1", false, false),
            ("2001:db8::1", false, false),
        ] {
            assert_eq!((Signer::Acme.orders(name), Signer::OwnAcme.orders(name)), (world, own), "{name}");
            assert!(!Signer::Local.orders(name));
        }
    }
}
