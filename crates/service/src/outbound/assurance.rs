//! How a mail server is spoken to over TLS: whose certificate is believed, and what that proves.
//!
//! Opportunistic TLS believes anybody (RFC 7435): it keeps out who only listens. A policy of the domain (MTA-STS, RFC 8461) or of its DNS (DANE, RFC 7672)
//! says who must answer. Bounded by: [`CHAIN_MOST`] certificates of a chain.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256, Sha512};

use crate::dns::Tlsa;

/// What is asked of a server.
#[derive(Clone, Debug)]
pub(super) enum Demand {
    /// That it speaks in plain text: a relay for which that is configured.
    Plain,
    /// TLS if it can, whoever it is.
    Opportunistic,
    /// The same, and what a policy would have said is noted (RFC 8461 §5, testing).
    Noted(Arc<RootCertStore>),
    /// A certificate in its name that one of these vouches for.
    Certified(Arc<RootCertStore>),
    /// A certificate that one of these says (RFC 7672); at least one is of use.
    Dane(Vec<Tlsa>),
    /// TLS, whoever it is: its records say that there is TLS and nothing of use besides (RFC 7672 §2.2).
    Encrypted,
}

/// What a connection has proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Assurance {
    /// Nothing: anybody can listen.
    Clear,
    /// Nobody listens, and anybody may have answered.
    Encrypted,
    /// The server is who it should be.
    Verified,
}

/// Certificates of a chain that are looked at.
const CHAIN_MOST: usize = 10;

impl Demand {
    /// Whether nothing may be sent without TLS.
    pub(super) fn needs_tls(&self) -> bool {
        matches!(self, Self::Certified(_) | Self::Dane(_) | Self::Encrypted)
    }
}

/// Believes by a demand, and keeps what it found.
#[derive(Debug)]
pub(super) struct Judge {
    demand: Demand,
    provider: Arc<CryptoProvider>,
    found: Mutex<Option<Result<(), rustls::Error>>>,
}

impl Judge {
    /// A judge, and how a connection is begun whose server it judges.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(demand: Demand) -> Result<(Arc<Self>, Arc<ClientConfig>), rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let judge = Arc::new(Self { demand, provider: Arc::clone(&provider), found: Mutex::new(None) });
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let verifier: Arc<dyn ServerCertVerifier> = Arc::<Self>::clone(&judge);
        let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Ok((judge, Arc::new(config)))
    }

    /// What the handshake proved, and why not more.
    pub(super) fn assurance(&self) -> (Assurance, Option<String>) {
        match &*self.found.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Ok(())) => (Assurance::Verified, None),
            Some(Err(error)) => (Assurance::Encrypted, Some(error.to_string())),
            None => (Assurance::Encrypted, None),
        }
    }

    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Option<Result<(), rustls::Error>> {
        let chain = chain.get(..CHAIN_MOST).unwrap_or(chain);
        match &self.demand {
            Demand::Plain | Demand::Opportunistic | Demand::Encrypted => None,
            Demand::Noted(roots) | Demand::Certified(roots) => {
                let builder =
                    WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&self.provider));
                Some(match builder.build() {
                    Ok(verifier) => verifier.verify_server_cert(certificate, chain, name, ocsp, now).map(drop),
                    Err(error) => Err(rustls::Error::General(error.to_string())),
                })
            }
            Demand::Dane(records) => Some(self.verify_dane(records, certificate, chain, name, now)),
        }
    }

    /// RFC 7672 §3.1: one record that matches is enough.
    fn verify_dane(
        &self,
        records: &[Tlsa],
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let mut last = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        for record in records {
            match record.usage {
                // RFC 7672 §3.1.1: neither its name nor its dates matter.
                3 if matches(record, certificate) => return Ok(()),
                2 => match self.verify_anchored(record, certificate, chain, name, now) {
                    Ok(()) => return Ok(()),
                    Err(error) => last = error,
                },
                _ => {}
            }
        }
        Err(last)
    }

    /// RFC 7672 §3.1.2: the authority is in the chain, or in the record itself.
    fn verify_anchored(
        &self,
        record: &Tlsa,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let mut anchors = RootCertStore::empty();
        for candidate in chain.iter().filter(|candidate| matches(record, candidate)) {
            // What is no authority vouches for nothing.
            let _ = anchors.add(candidate.clone().into_owned());
        }
        if (record.selector, record.matching) == (0, 0) {
            let _ = anchors.add(CertificateDer::from(record.data.clone()));
        }
        if anchors.is_empty() {
            return Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
        }
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &anchors, chain, now, algorithms)?;
        verify_server_name(&parsed, name)
    }
}

/// Whether a record could ever match: the others count as if they were not there (RFC 7672 §2.2, §3.1.3).
pub(super) fn is_of_use(record: &Tlsa) -> bool {
    let length = match record.matching {
        0 => !record.data.is_empty(),
        1 => record.data.len() == 32,
        2 => record.data.len() == 64,
        _ => false,
    };
    matches!(record.usage, 2 | 3) && record.selector <= 1 && length
}

/// RFC 6698 §2.1.2 and §2.1.3.
fn matches(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    let key;
    let selected: &[u8] = match record.selector {
        0 => certificate,
        1 => {
            let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return false };
            key = parsed.tbs_certificate.subject_pki.raw.to_vec();
            &key
        }
        _ => return false,
    };
    match record.matching {
        0 => record.data == selected,
        1 => record.data[..] == Sha256::digest(selected)[..],
        2 => record.data[..] == Sha512::digest(selected)[..],
        _ => false,
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = self.verify(certificate, chain, name, ocsp, now);
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found.clone();
        match found {
            Some(Err(error)) if self.demand.needs_tls() => Err(error),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::certificates::Authority;

    struct House {
        root: CertificateDer<'static>,
        leaf: CertificateDer<'static>,
    }

    fn house(name: &str) -> House {
        let now = SystemTime::now();
        let authority = Authority::make(now, "test").unwrap();
        let credential = authority.sign(&[name.to_owned()], now).unwrap();
        let root = CertificateDer::from_pem_slice(authority.root().as_bytes()).unwrap();
        let leaf = credential.certified().cert.first().unwrap().clone();
        House { root, leaf }
    }

    fn roots(house: &House) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(house.root.clone()).unwrap();
        Arc::new(roots)
    }

    fn judged(demand: Demand, house: &House, chain: &[CertificateDer<'_>], name: &str) -> (bool, Assurance) {
        let (judge, _) = Judge::new(demand).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let let_in = judge.verify_server_cert(&house.leaf, chain, &name, &[], UnixTime::now()).is_ok();
        (let_in, judge.assurance().0)
    }

    fn key(certificate: &CertificateDer<'_>) -> Vec<u8> {
        x509_parser::parse_x509_certificate(certificate).unwrap().1.tbs_certificate.subject_pki.raw.to_vec()
    }

    #[test]
    fn what_is_demanded_is_what_is_believed() {
        let (ours, other) = (house("mx.example.org"), house("mx.example.org"));
        for demand in [Demand::Opportunistic, Demand::Encrypted] {
            assert_eq!(judged(demand, &ours, &[], "other.example"), (true, Assurance::Encrypted));
        }
        assert_eq!(judged(Demand::Certified(roots(&ours)), &ours, &[], "mx.example.org"), (true, Assurance::Verified));
        assert_eq!(
            judged(Demand::Certified(roots(&ours)), &ours, &[], "mx.example.net"),
            (false, Assurance::Encrypted)
        );
        assert_eq!(
            judged(Demand::Certified(roots(&other)), &ours, &[], "mx.example.org"),
            (false, Assurance::Encrypted)
        );
        assert_eq!(judged(Demand::Noted(roots(&other)), &ours, &[], "mx.example.org"), (true, Assurance::Encrypted));
        assert_eq!(judged(Demand::Noted(roots(&ours)), &ours, &[], "mx.example.org"), (true, Assurance::Verified));
    }

    #[test]
    fn dane_believes_its_records_alone() {
        let (ours, other) = (house("mx.example.org"), house("mx.example.org"));
        let record = |usage, selector, matching, certificate: &CertificateDer<'_>| {
            let selected = if selector == 0 { certificate.to_vec() } else { key(certificate) };
            let data = match matching {
                0 => selected,
                1 => Sha256::digest(&selected).to_vec(),
                _ => Sha512::digest(&selected).to_vec(),
            };
            Tlsa { usage, selector, matching, data }
        };
        let chain = [ours.root.clone()];
        for (selector, matching) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
            let check = |usage, certificate, chain: &[CertificateDer<'_>], name: &str, expect: bool| {
                let record = record(usage, selector, matching, certificate);
                assert!(is_of_use(&record));
                let records = vec![record_of_another(), record];
                assert_eq!(
                    judged(Demand::Dane(records), &ours, chain, name).0,
                    expect,
                    "{usage} {selector} {matching} {name}"
                );
            };
            // The name does not matter where the certificate itself is named, and does where its authority is.
            check(3, &ours.leaf, &[], "elsewhere.example", true);
            check(3, &other.leaf, &[], "mx.example.org", false);
            check(3, &ours.root, &chain, "mx.example.org", false);
            check(2, &ours.root, &chain, "mx.example.org", true);
            check(2, &ours.root, &chain, "elsewhere.example", false);
            check(2, &other.root, &chain, "mx.example.org", false);
            // An authority that nobody shows is known only where the record is the authority.
            check(2, &ours.root, &[], "mx.example.org", (selector, matching) == (0, 0));
        }
    }

    fn record_of_another() -> Tlsa {
        Tlsa { usage: 3, selector: 1, matching: 1, data: vec![7; 32] }
    }

    #[test]
    fn records_that_can_never_match_are_of_no_use() {
        let check = |usage, selector, matching, length, expect: bool| {
            let record = Tlsa { usage, selector, matching, data: vec![0; length] };
            assert_eq!(is_of_use(&record), expect, "{record:?}");
        };
        check(3, 1, 1, 32, true);
        check(2, 0, 2, 64, true);
        check(3, 0, 0, 1, true);
        for (usage, selector, matching, length) in [
            (0, 1, 1, 32),
            (1, 1, 1, 32),
            (255, 1, 1, 32),
            (3, 2, 1, 32),
            (3, 1, 3, 32),
            (3, 1, 1, 31),
            (3, 1, 1, 33),
            (3, 1, 2, 32),
            (3, 0, 0, 0),
        ] {
            check(usage, selector, matching, length, false);
        }
    }
}
