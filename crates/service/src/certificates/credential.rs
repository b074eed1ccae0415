//! A chain of certificates with the key of the first, as a server shows it; what the first one says.
//!
//! Knows no file: it is given text. What is taken is a chain in PEM (RFC 7468), the server's own certificate first, and its key as PKCS #8,
//! PKCS #1 or SEC 1. Bounded by [`MOST`] bytes and [`LONGEST`] certificates.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use thiserror::Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

/// Bytes of a file of certificates or of a key.
pub const MOST: usize = 256 * 1024;
/// Certificates of one chain.
pub const LONGEST: usize = 16;

/// A chain and its key.
#[derive(Clone)]
pub struct Credential {
    certified: Arc<CertifiedKey>,
    facts: Facts,
}

/// What the first certificate of a chain says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The names it is for, in lower case, as they are written: host names, `*.` names, addresses.
    pub names: Vec<String>,
    /// Who signed it, by the name that people know: the organisation, or the common name.
    pub issuer: String,
    /// From when it is good.
    pub not_before: SystemTime,
    /// Until when it is good.
    pub not_after: SystemTime,
}

/// What cannot be shown to clients.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// More bytes than [`MOST`].
    #[error("it has more than {MOST} bytes")]
    TooLarge,
    /// More certificates than [`LONGEST`].
    #[error("it has more than {LONGEST} certificates: leave only the server's own and those between it and the CA")]
    TooLong,
    /// No certificate.
    #[error("it has no certificate: a line `-----BEGIN CERTIFICATE-----` is expected")]
    NoCertificate,
    /// No key.
    #[error(
        "it has no private key that can be used: a line `-----BEGIN PRIVATE KEY-----` is expected, and no password"
    )]
    NoKey,
    /// No PEM.
    #[error("it is not well-formed PEM")]
    Pem(#[source] pem::Error),
    /// No certificate inside.
    #[error("its certificate {0} is not well-formed")]
    Malformed(usize),
    /// A certificate that names nobody.
    #[error("its certificate has no subject alternative name, and clients look at nothing else")]
    NoName,
    /// A key that the library does not know.
    #[error(
        "its private key cannot be used: an ECDSA key (P-256, P-384), an Ed25519 or an RSA key of at least 2048 bits is expected"
    )]
    Key(#[source] rustls::Error),
    /// Another certificate's key.
    #[error("the private key belongs to another certificate")]
    KeyOfAnother,
}

impl Credential {
    /// Reads a chain and a key; both may be in one text.
    ///
    /// # Errors
    /// Says what is wrong, without the file's name, which is not known here.
    pub fn read(chain: &[u8], key: &[u8]) -> Result<Self, CredentialError> {
        if chain.len().max(key.len()) > MOST {
            return Err(CredentialError::TooLarge);
        }
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .take(LONGEST + 1)
            .collect::<Result<_, _>>()
            .map_err(CredentialError::Pem)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => CredentialError::NoKey,
            error => CredentialError::Pem(error),
        })?;
        Self::of(chain, &key)
    }

    /// Joins a chain and its key.
    ///
    /// # Errors
    /// As [`Credential::read`].
    pub fn of(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'static>) -> Result<Self, CredentialError> {
        if chain.len() > LONGEST {
            return Err(CredentialError::TooLong);
        }
        let facts = Facts::of(chain.first().ok_or(CredentialError::NoCertificate)?)?;
        for (number, certificate) in chain.iter().enumerate().skip(1) {
            X509Certificate::from_der(certificate).map_err(|_| CredentialError::Malformed(number + 1))?;
        }
        let key = aws_lc_rs::sign::any_supported_type(key).map_err(CredentialError::Key)?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(_) => return Err(CredentialError::KeyOfAnother),
        }
        Ok(Self { certified: Arc::new(certified), facts })
    }

    /// As it is put into the table of certificates.
    pub fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// What its certificate says.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether it is for `name` (RFC 9525 §6.3: `*` stands for exactly one label).
    pub fn is_for(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        self.facts.names.iter().any(|known| *known == name || Some(known) == wildcard.as_ref())
    }
}

/// A certificate in a few words: its subject as RFC 4514 writes it, and the SHA-256 of all of it.
pub fn described(certificate: &CertificateDer<'_>) -> String {
    let print = Sha256::digest(certificate).iter().fold(String::new(), |print, byte| format!("{print}{byte:02x}"));
    format!("{} sha256:{print}", subject(certificate))
}

/// The subject of a certificate as RFC 4514 writes it; empty where it has none.
pub fn subject(certificate: &CertificateDer<'_>) -> String {
    X509Certificate::from_der(certificate).map(|(_, read)| read.subject().to_string()).unwrap_or_default()
}

/// Reads the certificates of authorities, as a server or a client trusts them.
///
/// # Errors
/// When there is none, or what is there is no certificate.
pub fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    if pem.len() > MOST {
        return Err(CredentialError::TooLarge);
    }
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(CredentialError::Pem)?;
    for (number, certificate) in all.iter().enumerate() {
        X509Certificate::from_der(certificate).map_err(|_| CredentialError::Malformed(number + 1))?;
    }
    if all.is_empty() { Err(CredentialError::NoCertificate) } else { Ok(all) }
}

impl Facts {
    fn of(certificate: &CertificateDer<'_>) -> Result<Self, CredentialError> {
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| CredentialError::Malformed(1))?;
        let names = match certificate.subject_alternative_name() {
            Ok(Some(alternatives)) => alternatives.value.general_names.iter().filter_map(name).collect(),
            Ok(None) => Vec::new(),
            Err(_) => return Err(CredentialError::Malformed(1)),
        };
        if names.is_empty() {
            return Err(CredentialError::NoName);
        }
        let issuer = certificate.issuer();
        let known = issuer.iter_organization().chain(issuer.iter_common_name()).find_map(|name| name.as_str().ok());
        let validity = certificate.validity();
        Ok(Self {
            names,
            issuer: known.map_or_else(|| issuer.to_string(), str::to_owned),
            not_before: moment(validity.not_before),
            not_after: moment(validity.not_after),
        })
    }
}

/// From when until when a certificate is good.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Result<Range<SystemTime>, CredentialError> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| CredentialError::Malformed(1))?;
    let validity = certificate.validity();
    Ok(moment(validity.not_before)..moment(validity.not_after))
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn moment(time: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, date_time_ymd};

    use super::*;

    fn signed(names: &[&str], key: &KeyPair) -> String {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2026, 1, 2);
        params.not_after = date_time_ymd(2026, 4, 2);
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "An Authority");
        params.self_signed(key).unwrap().pem()
    }

    #[test]
    fn what_a_certificate_says() {
        let key = KeyPair::generate().unwrap();
        let chain = signed(&["WWW.Example.org", "*.example.net", "192.0.2.1", "2001:db8::1"], &key);
        let credential = Credential::read(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let facts = credential.facts();
        assert_eq!(facts.names, ["www.example.org", "*.example.net", "192.0.2.1", "2001:db8::1"]);
        assert_eq!(facts.issuer, "An Authority");
        assert_eq!(facts.not_after.duration_since(facts.not_before).unwrap(), Duration::from_secs(90 * 86_400));
        for (name, is_for) in [
            ("www.example.org", true),
            ("WWW.EXAMPLE.ORG", true),
            ("example.org", false),
            ("a.example.net", true),
            ("a.b.example.net", false),
            ("example.net", false),
            ("192.0.2.1", true),
        ] {
            assert_eq!(credential.is_for(name), is_for, "{name}");
        }
        let both = format!("{}{chain}", key.serialize_pem());
        Credential::read(both.as_bytes(), both.as_bytes()).unwrap();
    }

    #[test]
    fn keys_of_every_usual_kind_and_not_those_of_others() {
        for algorithm in
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &PKCS_ED25519, &PKCS_RSA_SHA256]
        {
            let (key, other) = (KeyPair::generate_for(algorithm).unwrap(), KeyPair::generate_for(algorithm).unwrap());
            let chain = signed(&["a.example"], &key);
            Credential::read(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
            let error = Credential::read(chain.as_bytes(), other.serialize_pem().as_bytes()).unwrap_err();
            assert!(matches!(error, CredentialError::KeyOfAnother), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_shown_is_told_from_what_can() {
        let key = KeyPair::generate().unwrap();
        let chain = signed(&["a.example"], &key);
        let pem = key.serialize_pem();
        let cut = &chain[..chain.len() / 2];
        let wrong = chain.replacen("MII", "AII", 1);
        let said = |chain: &str, key: &str| Credential::read(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string();
        for (chain, key, expect) in [
            ("", &*pem, "it has no certificate"),
            (&*pem, &*pem, "it has no certificate"),
            (&*chain, "", "it has no private key"),
            (&*chain, &*chain, "it has no private key"),
            (cut, &*pem, "not well-formed PEM"),
            (&*wrong, &*pem, "its certificate 1 is not well-formed"),
            (&*format!("{chain}{wrong}"), &*pem, "its certificate 2 is not well-formed"),
            (&*signed(&[], &KeyPair::generate().unwrap()), &*pem, "no subject alternative name"),
            (&*chain.repeat(LONGEST + 1), &*pem, "more than 16 certificates"),
            (&*" ".repeat(MOST + 1), &*pem, "more than 262144 bytes"),
        ] {
            let said = said(chain, key);
            assert!(said.contains(expect), "{said:?}, not {expect:?}");
        }
        Credential::read(chain.repeat(LONGEST).as_bytes(), pem.as_bytes()).unwrap();
    }
}
