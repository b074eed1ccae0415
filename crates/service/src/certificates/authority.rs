//! The local CA: signs for names that no other CA vouches for, on a laptop or until another one has signed.
//!
//! Its root is this machine's own, made at the first need and anew before its end; who trusts it (`sportello ca`) trusts every certificate made with
//! its key, so the key never leaves the store. Names that end in nothing but this machine's (`localhost`, addresses) are as good as any other.
//!
//! Bounded by: [`LIFE`] of what it signs, [`ROOT_LIFE`] of its root.

use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use super::credential::{Credential, CredentialError, validity};

/// How long what it signs is good.
pub const LIFE: Duration = Duration::from_secs(90 * 86_400);
/// How long its root is good.
pub const ROOT_LIFE: Duration = Duration::from_secs(3_650 * 86_400);
/// Clocks differ.
const EARLIER: Duration = Duration::from_secs(3_600);
/// 2020-01-01. A root is good from then on, so that one that was made by a clock that runs ahead is good once it is set right.
const ROOT_BEGINS: Duration = Duration::from_secs(1_577_836_800);
/// 2025-01-01. An earlier clock is that of a machine that has not heard what time it is: this program is younger.
const YOUNGEST: Duration = Duration::from_secs(1_735_689_600);

/// The local CA.
pub struct Authority {
    root: String,
    key: String,
    issuer: Issuer<'static, KeyPair>,
    /// From when until when its root is good.
    validity: Range<SystemTime>,
}

/// Why it cannot sign.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// What was kept of it is no CA.
    #[error("the local CA cannot be read")]
    Damaged(#[source] rcgen::Error),
    /// A name that no certificate can have.
    #[error("no certificate can be for {0:?}")]
    Name(String),
    /// The library says something else.
    #[error("the local CA cannot sign")]
    Sign(#[source] rcgen::Error),
    /// What was signed cannot be used.
    #[error("what the local CA signed cannot be used")]
    Useless(#[from] CredentialError),
}

impl Authority {
    /// A new one, good at `now` and for [`ROOT_LIFE`] from then on, for the machine that people know as `host`. A clock that cannot be
    /// right is not believed.
    ///
    /// # Errors
    /// When the library cannot make a key.
    pub fn make(now: SystemTime, host: &str) -> Result<Self, AuthorityError> {
        let begins = SystemTime::UNIX_EPOCH + ROOT_BEGINS;
        Self::make_for(begins..now.max(SystemTime::UNIX_EPOCH + YOUNGEST) + ROOT_LIFE, host)
    }

    /// One that is good so long.
    pub(super) fn make_for(validity: Range<SystemTime>, host: &str) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Sign)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Sportello local CA");
        params.distinguished_name.push(DnType::CommonName, format!("Sportello local CA of {host}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = validity.start.into();
        params.not_after = validity.end.into();
        let root = params.self_signed(&key).map_err(AuthorityError::Sign)?.pem();
        let kept = key.serialize_pem();
        Ok(Self { root, key: kept, issuer: Issuer::new(params, key), validity })
    }

    /// The one that was kept.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(root: &str, key: &str) -> Result<Self, AuthorityError> {
        let pair = KeyPair::from_pem(key).map_err(AuthorityError::Damaged)?;
        let issuer = Issuer::from_ca_cert_pem(root, pair).map_err(AuthorityError::Damaged)?;
        let own = CertificateDer::from_pem_slice(root.as_bytes()).map_err(CredentialError::Pem)?;
        let validity = validity(&own)?;
        Ok(Self { root: root.to_owned(), key: key.to_owned(), issuer, validity })
    }

    /// Whether what it signs at `now` can be trusted for all of its [`LIFE`]. Before any moment that this program can have seen the
    /// clock is wrong, and says nothing against it.
    pub fn is_good(&self, now: SystemTime) -> bool {
        let has_begun = self.validity.start <= now || now < SystemTime::UNIX_EPOCH + YOUNGEST;
        has_begun && now + LIFE <= self.validity.end
    }

    /// Its root, which clients are to trust, in PEM.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Its key in PEM, to be kept.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A certificate for these names (host names, `*.` names, addresses), good from `now` on.
    ///
    /// # Errors
    /// When one of them is no name.
    pub fn sign(&self, names: &[String], now: SystemTime) -> Result<Credential, AuthorityError> {
        let mut params = params_for(names, now)?;
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(AuthorityError::Sign)?;
        let own = params.signed_by(&key, &self.issuer).map_err(AuthorityError::Sign)?;
        let root = CertificateDer::from_pem_slice(self.root.as_bytes()).map_err(CredentialError::Pem)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Ok(Credential::of(vec![own.der().clone(), root], &key)?)
    }
}

/// A certificate for these names that vouches for itself, until there is one that somebody vouches for.
///
/// # Errors
/// When one of them is no name.
pub fn stand_in(names: &[String], now: SystemTime) -> Result<Credential, AuthorityError> {
    let mut params = params_for(names, now)?;
    params.distinguished_name.push(DnType::OrganizationName, "Sportello stand-in");
    let key = KeyPair::generate().map_err(AuthorityError::Sign)?;
    let own = params.self_signed(&key).map_err(AuthorityError::Sign)?;
    Ok(Credential::of(vec![own.der().clone()], &PrivateKeyDer::Pkcs8(key.serialize_der().into()))?)
}

fn params_for(names: &[String], now: SystemTime) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names.iter().map(|name| alternative(name)).collect::<Result<_, _>>()?;
    params.distinguished_name = DistinguishedName::new();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.not_before = (now - EARLIER).into();
    params.not_after = (now + LIFE).into();
    Ok(params)
}

/// Whether a certificate can be for this name: a host name, a `*.` name, an address.
pub fn is_for_certificates(name: &str) -> bool {
    alternative(name).is_ok()
}

fn alternative(name: &str) -> Result<SanType, AuthorityError> {
    if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let host = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // RFC 1035 §2.3.4.
    if name.len() > 253 || !host.split('.').all(is_label) {
        return Err(AuthorityError::Name(name.to_owned()));
    }
    let name = Ia5String::try_from(name.to_ascii_lowercase()).map_err(|_| AuthorityError::Name(name.to_owned()))?;
    Ok(SanType::DnsName(name))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    /// As a client that trusts the root and nothing else.
    fn trusts(authority: &Authority, credential: &Credential, name: &str, now: SystemTime) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.root().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let certified = credential.certified();
        let (own, rest) = certified.cert.split_first().unwrap();
        let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap());
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(own, rest, &name, &[], now).is_ok()
    }

    #[test]
    fn who_trusts_its_root_trusts_what_it_signs_for_those_names_and_as_long_as_it_is_good() {
        let now = SystemTime::now();
        let made = Authority::make(now, "laptop").unwrap();
        let names = ["Localhost", "*.dev.localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        let again = Authority::read(made.root(), made.key()).unwrap();
        for authority in [&made, &again] {
            let credential = authority.sign(&names, now).unwrap();
            assert_eq!(credential.facts().names, ["localhost", "*.dev.localhost", "127.0.0.1", "::1"]);
            assert_eq!(credential.facts().issuer, "Sportello local CA");
            for (name, expect) in [
                ("localhost", true),
                ("a.dev.localhost", true),
                ("127.0.0.1", true),
                ("::1", true),
                ("a.example", false),
            ] {
                assert_eq!(trusts(&made, &credential, name, now), expect, "{name}");
            }
            assert!(trusts(&made, &credential, "localhost", now + LIFE - EARLIER));
            assert!(!trusts(&made, &credential, "localhost", now + LIFE + EARLIER));
        }
        let another = Authority::make(now, "laptop").unwrap();
        assert!(!trusts(&made, &another.sign(&names, now).unwrap(), "localhost", now));
    }

    #[test]
    fn what_is_no_name_is_told() {
        let authority = Authority::make(SystemTime::now(), "laptop").unwrap();
        let long = format!("{}.example", "a".repeat(64));
        for name in ["", "a b", "a..b", "*", "a.*", "ä.example", ".", &long, &"a.".repeat(127)] {
            assert!(!is_for_certificates(name), "{name}");
            let error = authority.sign(&[name.to_owned()], SystemTime::now()).err().unwrap();
            assert!(matches!(&error, AuthorityError::Name(said) if said == name), "{name}: {error}");
        }
    }

    #[test]
    fn a_root_of_a_wrong_clock_is_good_once_it_is_set_right_and_no_root_is_used_near_its_end() {
        let at = |years: u32| SystemTime::UNIX_EPOCH + years * Duration::from_secs(365 * 86_400);
        // Made in 1970, in 2026 and in 2038, all are good in 2027, as read too.
        for made in [at(0), at(56), at(68)] {
            let made = Authority::make(made, "laptop").unwrap();
            let read = Authority::read(made.root(), made.key()).unwrap();
            assert!([&made, &read].iter().all(|authority| authority.is_good(at(57)) && authority.is_good(at(0))));
        }
        let authority = Authority::make_for(at(60)..at(70), "laptop").unwrap();
        for (now, expect) in [
            // A clock that stands where it began.
            (at(0), true),
            (at(56), false),
            (at(60) - EARLIER, false),
            (at(60), true),
            (at(70) - LIFE, true),
            (at(70) - LIFE + EARLIER, false),
            (at(80), false),
        ] {
            assert_eq!(authority.is_good(now), expect, "{now:?}");
        }
    }

    #[test]
    fn what_was_kept_badly_is_told() {
        let made = Authority::make(SystemTime::now(), "laptop").unwrap();
        for (root, key) in [("", made.key()), (made.root(), ""), (made.key(), made.root())] {
            assert!(matches!(Authority::read(root, key), Err(AuthorityError::Damaged(_))));
        }
    }
}
