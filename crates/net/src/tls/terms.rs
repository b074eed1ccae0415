//! On what terms a channel speaks TLS: versions, protocols, whether clients show certificates, how sessions are resumed.
//!
//! A ticket lets a client come again without showing its certificate. So each policy for client certificates has a ticketer of
//! its own, which [`Tickets`] keeps over a reload: what one policy let in, another one never resumes.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError, Weak};

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

/// The oldest version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Oldest {
    /// TLS 1.2 (RFC 5246), with forward secrecy and authenticated encryption only.
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// What a channel's TLS shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What is asked of clients that name no name, or one that is not in `clients`.
    pub client: Client,
    /// What is asked of clients that name these: in lower case, `*.` for all beneath. A name of more labels goes first.
    pub clients: HashMap<String, Client>,
    /// The oldest version.
    pub oldest: Oldest,
    /// How often one source may shake hands. This machine may as often as it likes.
    pub handshakes: Often,
}

impl Default for Settings {
    /// Anyone, TLS 1.2 and 1.3, a hundred handshakes a second: a house full of people behind one address.
    fn default() -> Self {
        // Invariant: it is not zero.
        let often = NonZeroU32::new(6_000).unwrap_or(NonZeroU32::MIN);
        Self {
            client: Client::Anyone,
            clients: HashMap::new(),
            oldest: Oldest::Tls12,
            handshakes: Often::per_minute(often),
        }
    }
}

/// What a channel's TLS is.
pub struct Terms {
    usual: Arc<ServerConfig>,
    /// By the name that the client asks for, as in [`Settings::clients`].
    by_name: HashMap<String, Arc<ServerConfig>>,
    /// What a CA is answered by that asks for a name; `None`: it is taken for a client.
    challenge: Option<Arc<ServerConfig>>,
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

/// The ticketers, by what is asked of a client. One lives as long as the terms that use it.
#[derive(Default)]
pub struct Tickets(Mutex<HashMap<Client, Weak<dyn ProducesTickets>>>);

impl Tickets {
    /// The ticketer of a policy: the same for as long as anybody uses it.
    fn of(&self, client: &Client) -> Result<Arc<dyn ProducesTickets>, TermsError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, ticketer| ticketer.strong_count() > 0);
        if let Some(known) = all.get(client).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let ticketer = aws_lc_rs::Ticketer::new().map_err(TermsError::Tls)?;
        all.insert(client.clone(), Arc::downgrade(&ticketer));
        Ok(ticketer)
    }
}

impl Terms {
    /// The terms of a channel that speaks `protocols` (by their ALPN names, the preferred one first; none: it is not asked).
    ///
    /// # Errors
    /// When an authority's certificate is none.
    pub fn new(
        certificates: &Certificates,
        settings: &Settings,
        protocols: &[&[u8]],
        tickets: &Tickets,
    ) -> Result<Self, TermsError> {
        // Names that ask the same of clients share what is made for them.
        let mut made: HashMap<&Client, Arc<ServerConfig>> = HashMap::new();
        let mut of = |client| match made.get(client) {
            Some(known) => Ok::<_, TermsError>(Arc::clone(known)),
            None => {
                let mut config = config(client, settings.oldest, Arc::new(certificates.clone()))?;
                config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
                config.ticketer = tickets.of(client)?;
                Ok(Arc::clone(made.entry(client).or_insert(Arc::new(config))))
            }
        };
        let usual = of(&settings.client)?;
        let by_name = settings.clients.iter().map(|(name, client)| Ok((name.clone(), of(client)?)));
        let by_name = by_name.collect::<Result<_, TermsError>>()?;
        let mut challenge = config(&Client::Anyone, settings.oldest, Arc::new(Challenges(certificates.clone())))?;
        challenge.alpn_protocols = vec![CHALLENGE.to_vec()];
        challenge.send_tls13_tickets = 0;
        let handshakes = Rate::new(settings.handshakes);
        Ok(Self { usual, by_name, challenge: Some(Arc::new(challenge)), handshakes })
    }

    /// The same where no CA asks: it does so on connections that begin with TLS only (RFC 8737 §3), and who says that he is one must
    /// not be let in without what others are asked for.
    #[must_use]
    pub fn without_challenges(self) -> Self {
        Self { challenge: None, ..self }
    }

    /// Whether all clients are asked the same, whatever name they name.
    pub fn asks_all_the_same(&self) -> bool {
        self.by_name.values().all(|config| Arc::ptr_eq(config, &self.usual))
    }

    /// Whether a client that named `one` at its handshake was asked what one is asked that names `other`: whether it may ask for
    /// what the other is to be asked for. Names are in lower case; `None` is no name.
    pub fn asks_the_same(&self, one: Option<&str>, other: Option<&str>) -> bool {
        Arc::ptr_eq(self.of(one), self.of(other))
    }

    fn of(&self, name: Option<&str>) -> &Arc<ServerConfig> {
        let (Some(name), false) = (name, self.by_name.is_empty()) else { return &self.usual };
        let mut found = self.by_name.get(name);
        let mut rest = name;
        while let (None, Some((_, above))) = (found, rest.split_once('.')) {
            found = self.by_name.get(&format!("*.{above}"));
            rest = above;
        }
        found.unwrap_or(&self.usual)
    }

    /// Whether one more handshake of a source may begin.
    pub(crate) fn admit(&self, source: IpAddr) -> Result<(), TooOften> {
        if source.is_loopback() { Ok(()) } else { self.handshakes.take(source) }
    }

    /// By which configuration a handshake goes on.
    pub(crate) fn choose(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let is_challenge = hello.alpn().is_some_and(|mut names| names.any(|name| name == CHALLENGE));
        let challenge = self.challenge.as_ref().filter(|_| is_challenge);
        Arc::clone(challenge.unwrap_or_else(|| self.of(hello.server_name())))
    }
}

fn config(client: &Client, oldest: Oldest, resolver: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, TermsError> {
    let versions: &[_] = match oldest {
        Oldest::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        Oldest::Tls13 => &[&rustls::version::TLS13],
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(versions).map_err(TermsError::Tls)?;
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
    // The library's order, not whatever a client prefers.
    config.ignore_client_order = true;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticketer_lives_as_long_as_terms_that_use_it() {
        let tickets = Tickets::default();
        let terms = || Terms::new(&Certificates::default(), &Settings::default(), &[], &tickets).unwrap();
        let first = terms();
        let again = terms();
        assert!(Arc::ptr_eq(&first.usual.ticketer, &again.usual.ticketer), "over a reload");
        drop(first);
        assert!(Arc::ptr_eq(&again.usual.ticketer, &terms().usual.ticketer));
        drop(again);
        assert!(tickets.0.lock().unwrap().values().all(|ticketer| ticketer.upgrade().is_none()));
        drop(terms());
        assert_eq!(tickets.0.lock().unwrap().len(), 1, "what nobody uses is not kept");
    }
}
