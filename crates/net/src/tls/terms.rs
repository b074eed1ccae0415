//! On what terms a channel speaks TLS: versions, protocols, whether clients show certificates, how sessions are resumed.
//!
//! A ticket lets a client come again without showing its certificate. So each policy for client certificates has a ticketer of
//! its own, which [`Tickets`] keeps over a reload: what one policy let in, another one never resumes.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;

use super::certificates::{Certificates, Challenges};
use crate::rate::{Often, Rate, TooOften};

/// The protocol by which a CA asks for a name (RFC 8737 §3).
const CHALLENGE: &[u8] = b"acme-tls/1";

/// What is asked of a client. Two that are equal share their tickets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Client {
    /// No certificate.
    #[default]
    Anyone,
    /// A certificate of one of these authorities, if it has one; a wrong one is refused.
    MayShow(Authorities),
    /// A certificate of one of these authorities.
    MustShow(Authorities),
}

/// The certificates of authorities, as DER.
type Authorities = Vec<CertificateDer<'static>>;

/// What a channel's TLS is.
pub struct Terms {
    usual: Arc<ServerConfig>,
    challenge: Arc<ServerConfig>,
    handshakes: Rate,
}

/// Why there can be no such terms.
#[derive(Debug, Error)]
pub enum TermsError {
    /// An authority's certificate cannot be used.
    #[error("the certificate of an authority cannot be used")]
    Authority(#[source] rustls::Error),
    /// There are no authorities.
    #[error("clients are to show certificates, and there is no authority that they may be of")]
    NoAuthority,
    /// No randomness, or what else the library says.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// The ticketers, by what is asked of a client.
#[derive(Default)]
pub struct Tickets(Mutex<HashMap<Client, Arc<dyn ProducesTickets>>>);

impl Tickets {
    /// The ticketer of a policy: always the same.
    fn of(&self, client: &Client) -> Result<Arc<dyn ProducesTickets>, TermsError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(client) {
            return Ok(Arc::clone(known));
        }
        let ticketer = aws_lc_rs::Ticketer::new().map_err(TermsError::Tls)?;
        all.insert(client.clone(), Arc::clone(&ticketer));
        Ok(ticketer)
    }

    /// Forgets the ticketers of policies that are in use no more.
    pub fn keep(&self, in_use: &[Client]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|client, _| in_use.contains(client));
    }
}

impl Terms {
    /// The terms of a channel that speaks `protocols` (by their ALPN names, the preferred one first; none: it is not asked), of which
    /// each source may shake hands so `often`.
    ///
    /// # Errors
    /// When an authority's certificate is none.
    pub fn new(
        certificates: &Certificates,
        client: &Client,
        protocols: &[&[u8]],
        often: Often,
        tickets: &Tickets,
    ) -> Result<Self, TermsError> {
        let mut usual = config(client, Arc::new(certificates.clone()))?;
        usual.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        usual.ticketer = tickets.of(client)?;
        let mut challenge = config(&Client::Anyone, Arc::new(Challenges(certificates.clone())))?;
        challenge.alpn_protocols = vec![CHALLENGE.to_vec()];
        challenge.send_tls13_tickets = 0;
        Ok(Self { usual: Arc::new(usual), challenge: Arc::new(challenge), handshakes: Rate::new(often) })
    }

    /// Whether one more handshake of a source may begin.
    pub(crate) fn admit(&self, source: IpAddr) -> Result<(), TooOften> {
        if source.is_loopback() { Ok(()) } else { self.handshakes.take(source) }
    }

    /// By which configuration a handshake goes on.
    pub(crate) fn choose(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let is_challenge = hello.alpn().is_some_and(|mut names| names.any(|name| name == CHALLENGE));
        Arc::clone(if is_challenge { &self.challenge } else { &self.usual })
    }
}

fn config(client: &Client, resolver: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, TermsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(TermsError::Tls)?;
    let builder = match client {
        Client::Anyone => builder.with_no_client_auth(),
        Client::MayShow(authorities) => {
            let verifier = verifier(authorities, provider)?.allow_unauthenticated();
            builder.with_client_cert_verifier(verifier.build().map_err(|_| TermsError::NoAuthority)?)
        }
        Client::MustShow(authorities) => {
            let verifier = verifier(authorities, provider)?;
            builder.with_client_cert_verifier(verifier.build().map_err(|_| TermsError::NoAuthority)?)
        }
    };
    let mut config = builder.with_cert_resolver(resolver);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn verifier(
    authorities: &Authorities,
    provider: Arc<CryptoProvider>,
) -> Result<rustls::server::ClientCertVerifierBuilder, TermsError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(TermsError::Authority)?;
    }
    Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider))
}

impl fmt::Debug for Terms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Terms").field("protocols", &self.usual.alpn_protocols).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tickets")
    }
}
