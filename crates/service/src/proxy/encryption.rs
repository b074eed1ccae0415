//! How an upstream is spoken to over TLS: whose certificate is believed, and who we are.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::address::Version;
use crate::certificates::acme::{AgentError, trusted};

/// A checked way to speak TLS.
#[derive(Clone)]
pub struct Encryption(Arc<Checked>);

struct Checked {
    one: Arc<ClientConfig>,
    /// The same, asking for HTTP/2 and nothing else.
    two: Arc<ClientConfig>,
    /// A hash of all that it was made from.
    print: [u8; 32],
}

/// What HTTP/2 over TLS is called (RFC 9113 §3.2).
pub(super) const H2: &[u8] = b"h2";
/// Sessions that may be taken up again; rustls's own bound.
const SESSIONS_MOST: usize = 256;

/// Whose certificate is believed.
#[derive(Debug)]
pub enum Believe {
    /// One that these vouch for, in the upstream's name.
    Roots(RootCertStore),
    /// Anybody's: whoever can answer at the upstream's address can be it.
    Anyone,
}

/// Who we are to an upstream: a chain, its own certificate first, and its key.
#[derive(Debug)]
pub struct Identity {
    /// The chain.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
}

/// It cannot be spoken so.
#[derive(Debug, Error)]
#[error("TLS cannot be spoken so")]
pub struct BadEncryption(#[from] rustls::Error);

impl Believe {
    /// Those that the certificates in `pem` vouch for; without them, those that the machine's own vouch for. Reads the machine's store.
    ///
    /// # Errors
    /// When that is nobody.
    pub fn vouched(pem: Option<&[u8]>) -> Result<Self, AgentError> {
        trusted(pem).map(Self::Roots)
    }
}

impl Identity {
    /// From a chain and a key, both in PEM.
    ///
    /// # Errors
    /// When one of them is none.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, BadIdentity> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(BadIdentity::Chain)?;
        Ok(Self { chain, key: PrivateKeyDer::from_pem_slice(key).map_err(|_| BadIdentity::Key)? })
    }
}

/// What makes no [`Identity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadIdentity {
    /// The chain.
    #[error("this file holds no certificate in PEM")]
    Chain,
    /// The key.
    #[error("this file holds no key in PEM")]
    Key,
}

impl Encryption {
    /// Believes these, and shows this.
    ///
    /// # Errors
    /// When key and certificate do not belong together.
    pub fn new(believe: Believe, identity: Option<Identity>) -> Result<Self, BadEncryption> {
        let print = print(&believe, identity.as_ref());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match believe {
            Believe::Roots(roots) => builder.with_root_certificates(roots),
            Believe::Anyone => builder.dangerous().with_custom_certificate_verifier(Arc::new(BelievesAnyone(provider))),
        };
        let config = match identity {
            Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        };
        let mut two = config.clone();
        two.alpn_protocols = vec![H2.to_vec()];
        // What one server agreed to in one protocol is not taken up in the other.
        two.resumption = Resumption::in_memory_sessions(SESSIONS_MOST);
        Ok(Self(Arc::new(Checked { one: Arc::new(config), two: Arc::new(two), print })))
    }

    /// How a connection is begun on which this version is spoken.
    pub(super) fn of(&self, version: Version) -> Arc<ClientConfig> {
        Arc::clone(match version {
            Version::One => &self.0.one,
            Version::Two => &self.0.two,
        })
    }
}

/// Two are the same if they were made from the same.
impl PartialEq for Encryption {
    fn eq(&self, other: &Self) -> bool {
        self.0.print == other.0.print
    }
}

impl Eq for Encryption {}

fn print(believe: &Believe, identity: Option<&Identity>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    match believe {
        Believe::Anyone => add(b"anyone"),
        Believe::Roots(roots) => roots.roots.iter().for_each(|root| {
            add(b"root");
            add(root.subject.as_ref());
            add(root.subject_public_key_info.as_ref());
            add(root.name_constraints.as_ref().map_or(&[], AsRef::as_ref));
        }),
    }
    if let Some(Identity { chain, key }) = identity {
        chain.iter().for_each(|certificate| {
            add(b"certificate");
            add(certificate);
        });
        add(b"key");
        add(key.secret_der());
    }
    hash.finalize().into()
}

impl fmt::Debug for Encryption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Encryption")
    }
}

/// Checks that whoever answers has the key of the certificate it shows, and nothing more.
#[derive(Debug)]
struct BelievesAnyone(Arc<CryptoProvider>);

impl ServerCertVerifier for BelievesAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
