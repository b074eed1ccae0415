//! What is kept of one certificate: the certificate with its key, what came of the latest orders, when to renew it.
//!
//! A row holds all of it, so that a certificate and what follows from it are kept in one write. Names of rows begin with the CA's,
//! so that the certificates of a staging CA are never shown when it is not asked any more. Bounded by the store's bound for a row.

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::plan::Window;
use crate::certificates::Credential;
use crate::certificates::credential::CredentialError;
use crate::clock::Seconds;

/// A row.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Record {
    /// The names that were asked for, in order.
    pub(super) names: Vec<String>,
    /// What the CA signed, if it did.
    pub(super) signed: Option<Signed>,
    /// When to renew that.
    pub(super) renew_at: Seconds,
    /// The window that the CA suggested last, in which `renew_at` lies.
    pub(super) window: Option<Window>,
    /// When to ask for it again.
    pub(super) ask_at: Seconds,
    /// Orders that failed in a row; one that is under way counts.
    pub(super) failures: u32,
    /// No order before.
    pub(super) not_before: Seconds,
    /// The CA has said so itself: no order before, whoever wants one.
    #[serde(default)]
    pub(super) told_not_before: Seconds,
    /// What went wrong last, if nothing went well since.
    pub(super) last: Option<Said>,
}

/// A certificate as it is kept.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Signed {
    /// The chain in PEM.
    pub(super) chain: String,
    /// The key in PEM.
    pub(super) key: String,
}

/// What was said, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) at: Seconds,
    pub(super) text: String,
}

impl Signed {
    pub(super) fn credential(&self) -> Result<Credential, CredentialError> {
        Credential::read(self.chain.as_bytes(), self.key.as_bytes())
    }
}

impl Record {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        // Invariant: a struct of text and numbers is always JSON.
        serde_json::to_vec(self).expect("a record is JSON")
    }
}

/// The names of all rows of one CA.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    prefix: String,
}

impl Rows {
    /// Those of the CA with this directory.
    pub(super) fn of(directory: &str) -> Self {
        Self { prefix: format!("acme/{}/", digest(directory.as_bytes(), 8)) }
    }

    pub(super) fn account(&self) -> String {
        format!("{}account", self.prefix)
    }

    pub(super) fn pace(&self) -> String {
        format!("{}pace", self.prefix)
    }

    /// What the names of certificates begin with.
    pub(super) fn certificates(&self) -> String {
        format!("{}certificate/", self.prefix)
    }

    /// The certificate for these names, which are in order.
    pub(super) fn certificate(&self, names: &[String]) -> String {
        format!("{}{}", self.certificates(), digest(names.join(" ").as_bytes(), 32))
    }
}

fn digest(bytes: &[u8], length: usize) -> String {
    Sha256::digest(bytes).iter().take(length).map(|byte| format!("{byte:02x}")).collect()
}

/// The certificate that a server shows of a chain.
pub(super) fn own(credential: &Credential) -> Option<CertificateDer<'static>> {
    credential.certified().cert.first().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_different_cas_and_names_have_different_names() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (one, other) = (Rows::of("https://a.example/dir"), Rows::of("https://b.example/dir"));
        assert_ne!(one.account(), other.account());
        let all = [names(&["a.example"]), names(&["b.example"]), names(&["a.example", "b.example"])];
        for (number, names) in all.iter().enumerate() {
            assert!(one.certificate(names).starts_with(&one.certificates()));
            assert!(one.certificate(names).len() < 100);
            assert!(all.iter().take(number).all(|earlier| one.certificate(earlier) != one.certificate(names)));
        }
    }

    #[test]
    fn what_is_kept_is_read_again_and_what_is_damaged_is_nothing() {
        let record = Record { names: vec!["a.example".to_owned()], failures: 3, not_before: 7, ..Record::default() };
        let again = Record::read(&record.bytes()).unwrap();
        assert_eq!((again.names, again.failures, again.not_before), (record.names, 3, 7));
        for damaged in ["", "{", "[]", "{\"names\":1}"] {
            assert!(Record::read(damaged.as_bytes()).is_none(), "{damaged}");
        }
    }
}
