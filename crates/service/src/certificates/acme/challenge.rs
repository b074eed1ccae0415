//! How names are proved to be ours: what a CA asks for, where it looks, what it must find.
//!
//! Knows no CA and opens nothing: whoever carries a [`Proof`] out is the [`House`](super::House).

use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use thiserror::Error;

/// The ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// HTTP-01 (RFC 8555 §8.3): an answer over plain HTTP on port 80.
    Http,
    /// TLS-ALPN-01 (RFC 8737): a certificate on port 443.
    Tls,
    /// DNS-01 (RFC 8555 §8.4): a TXT record; the only way for a wildcard.
    Dns,
}

/// What is shown to a CA for one name.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// How.
    pub way: Way,
    /// The name, without `*.`.
    pub name: String,
    /// What the CA asks for over HTTP.
    pub token: String,
    /// What it is answered over HTTP: the key authorization.
    pub answer: String,
    /// Its SHA-256, which the certificate of TLS-ALPN-01 holds.
    pub digest: Vec<u8>,
    /// The same in base64url: the value of the TXT record.
    pub value: String,
}

/// The certificate of TLS-ALPN-01 cannot be made.
#[derive(Debug, Error)]
pub enum ProofError {
    /// The name is none, or there is no randomness.
    #[error("no certificate can be made for the challenge")]
    Make(#[from] rcgen::Error),
    /// The key cannot be used.
    #[error("the key of the challenge's certificate cannot be used")]
    Key(#[from] rustls::Error),
}

impl Way {
    /// As people write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls-alpn",
            Self::Dns => "dns",
        }
    }

    /// Whether names that begin with `*.` can be proved so.
    pub fn is_for_wildcards(self) -> bool {
        self == Self::Dns
    }
}

impl Proof {
    /// The TXT record of DNS-01.
    pub fn record(&self) -> String {
        format!("_acme-challenge.{}", self.name)
    }

    /// The certificate of TLS-ALPN-01 (RFC 8737 §3).
    ///
    /// # Errors
    /// When none can be made for the name.
    pub fn certificate(&self) -> Result<Arc<CertifiedKey>, ProofError> {
        let mut params = CertificateParams::new(vec![self.name.clone()])?;
        params.distinguished_name = DistinguishedName::new();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(&self.digest)];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.der().clone();
        let key = aws_lc_rs::sign::any_supported_type(&PrivateKeyDer::Pkcs8(key.serialize_der().into()))?;
        Ok(Arc::new(CertifiedKey::new(vec![certificate], key)))
    }
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Proof({} for {})", self.way.word(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    #[test]
    fn what_tls_alpn_01_shows() {
        let proof = Proof {
            way: Way::Tls,
            name: "www.example.org".to_owned(),
            token: String::new(),
            answer: String::new(),
            digest: vec![7; 32],
            value: String::new(),
        };
        let shown = proof.certificate().unwrap();
        let (_, certificate) = X509Certificate::from_der(&shown.cert[0]).unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap().value;
        assert_eq!(names.general_names.len(), 1);
        assert!(format!("{:?}", names.general_names[0]).contains("www.example.org"));
        // RFC 8737 §3: critical, 1.3.6.1.5.5.7.1.31, the digest as an octet string.
        let extension =
            certificate.iter_extensions().find(|extension| extension.oid.to_string() == "1.3.6.1.5.5.7.1.31").unwrap();
        assert!(extension.critical);
        assert_eq!(extension.value, [[4, 32].as_slice(), &[7; 32]].concat());
        assert_eq!(proof.record(), "_acme-challenge.www.example.org");
        assert!(Proof { digest: vec![7; 32], name: "ä".to_owned(), ..proof }.certificate().is_err());
    }
}
