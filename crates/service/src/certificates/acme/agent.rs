//! HTTP to a CA: one HTTP/1.1 connection over TLS, kept for the next request to the same host.
//!
//! Knows nothing of ACME. What is not `https:` is refused, redirections are not followed (RFC 8555 §6.1, §7.1), a server that
//! cannot be verified is not spoken with. Bounded by [`CONNECT`] and [`EXCHANGE`] for each request, [`ANSWER_MOST`] bytes of an answer.

use std::error::Error as StdError;
use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a connection and its handshake may take.
pub(super) const CONNECT: Duration = Duration::from_secs(15);
/// How long a request may take, with the connection where one is made.
pub(super) const EXCHANGE: Duration = Duration::from_secs(60);
/// Bytes of an answer.
pub(super) const ANSWER_MOST: usize = 1 << 20;

/// Speaks with a CA. Clones share the connection.
#[derive(Clone)]
pub struct Agent(Arc<Shared>);

struct Shared {
    tls: TlsConnector,
    kept: Mutex<Option<Kept>>,
}

/// A connection that may be used again.
struct Kept {
    authority: Authority,
    sender: SendRequest<Full<Bytes>>,
}

/// Why a CA could not be spoken with.
#[derive(Debug, Error)]
pub enum AgentError {
    /// Nobody is trusted.
    #[error(
        "this machine's store of trusted CAs is empty, so the CA's own server cannot be verified: install ca-certificates, or name the CA's root with ca-root"
    )]
    NobodyTrusted,
    /// What was given as a root is none.
    #[error("no root certificate in PEM is in the file of ca-root")]
    Root(#[source] Box<dyn StdError + Send + Sync>),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// Not `https:`, or no host.
    #[error("the CA gives the address {0}, which is not https")]
    Address(String),
    /// No connection.
    #[error("no connection to {host}")]
    Connect {
        /// The CA's host.
        host: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It does not answer, or not in HTTP.
    #[error("{host} does not answer as a web server does")]
    Http {
        /// The CA's host.
        host: String,
        /// Why not.
        source: hyper::Error,
    },
    /// The answer is too long or ends too early.
    #[error("the answer of {host} cannot be read")]
    Answer {
        /// The CA's host.
        host: String,
        /// Why not.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// It takes too long.
    #[error("{0} does not answer in time")]
    TimedOut(String),
}

/// Whom to trust: the authorities of a file in PEM and no others, or without one those that the machine trusts. Reads the machine's store.
///
/// # Errors
/// When that is nobody.
pub fn trusted(root: Option<&[u8]>) -> Result<RootCertStore, AgentError> {
    let mut roots = RootCertStore::empty();
    match root {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| AgentError::Root(error.into()))?;
                roots.add(certificate).map_err(|error| AgentError::Root(error.into()))?;
            }
            if roots.is_empty() {
                return Err(AgentError::Root("it holds no certificate".into()));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(AgentError::NobodyTrusted);
            }
        }
    }
    Ok(roots)
}

impl Agent {
    /// One that believes servers that `roots` vouch for.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(roots: RootCertStore) -> Result<Self, AgentError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(AgentError::Tls)?;
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        Ok(Self(Arc::new(Shared { tls: TlsConnector::from(Arc::new(config)), kept: Mutex::new(None) })))
    }

    /// Asks, on the kept connection or a new one, and reads the answer whole.
    async fn exchange(&self, request: Request<BodyWrapper<Bytes>>) -> Result<Response<Bytes>, AgentError> {
        let (authority, mut request) = origin_form(request).await?;
        let host = authority.to_string();
        let mut sender = match self.take(&authority) {
            Some(mut kept) => match kept.try_send_request(request).await {
                Ok(answer) => return self.answer(Kept { authority, sender: kept }, answer).await,
                // It was closed meanwhile and the request did not leave: only then may it be sent again.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => {
                        request = unsent;
                        self.connect(&authority).await?
                    }
                    None => return Err(AgentError::Http { host, source: failed.into_error() }),
                },
            },
            None => self.connect(&authority).await?,
        };
        match sender.send_request(request).await {
            Ok(answer) => self.answer(Kept { authority, sender }, answer).await,
            Err(source) => Err(AgentError::Http { host, source }),
        }
    }

    fn take(&self, authority: &Authority) -> Option<SendRequest<Full<Bytes>>> {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        (kept.authority == *authority && kept.sender.is_ready()).then_some(kept.sender)
    }

    async fn connect(&self, authority: &Authority) -> Result<SendRequest<Full<Bytes>>, AgentError> {
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        let socket = TcpStream::connect((name, authority.port_u16().unwrap_or(443)));
        self.encrypt(authority, name, socket).await
    }

    /// Speaks TLS on a connection that is being opened, and HTTP over it.
    async fn encrypt(
        &self,
        authority: &Authority,
        name: &str,
        socket: impl Future<Output = std::io::Result<TcpStream>>,
    ) -> Result<SendRequest<Full<Bytes>>, AgentError> {
        let server = ServerName::try_from(name.to_owned()).map_err(|_| AgentError::Address(authority.to_string()))?;
        let connecting = async { self.0.tls.connect(server, socket.await?).await };
        let stream = match timeout(CONNECT, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => return Err(AgentError::Connect { host: authority.to_string(), source }),
            Err(_) => return Err(AgentError::TimedOut(authority.to_string())),
        };
        let failed = |source| AgentError::Http { host: authority.to_string(), source };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        // It ends when the sender is dropped, and the sender is this agent's.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a web server ends");
            }
        });
        Ok(sender)
    }

    /// Asks `host` for `path` on a connection that somebody else has opened, reads the answer whole, and closes it.
    ///
    /// # Errors
    /// When it cannot be verified or does not answer as a web server does.
    pub(crate) async fn get(&self, host: &str, socket: TcpStream, path: &str) -> Result<Response<Bytes>, AgentError> {
        let wrong = || AgentError::Address(format!("https://{host}{path}"));
        let authority = Authority::try_from(host).map_err(|_| wrong())?;
        let asking = async {
            let value = HeaderValue::from_str(host).map_err(|_| wrong())?;
            let request =
                Request::builder().uri(path).header(HOST, value).body(Full::default()).map_err(|_| wrong())?;
            let mut sender = self.encrypt(&authority, host, ready(Ok(socket))).await?;
            let failed = |source| AgentError::Http { host: host.to_owned(), source };
            let (parts, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
            Ok(Response::from_parts(parts, whole(host, body).await?))
        };
        timeout(EXCHANGE, asking).await.unwrap_or_else(|_| Err(AgentError::TimedOut(host.to_owned())))
    }

    async fn answer(&self, kept: Kept, answer: Response<Incoming>) -> Result<Response<Bytes>, AgentError> {
        let (parts, body) = answer.into_parts();
        let body = whole(kept.authority.as_str(), body).await?;
        *self.0.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(Response::from_parts(parts, body))
    }
}

/// A body, read whole.
async fn whole(host: &str, body: Incoming) -> Result<Bytes, AgentError> {
    let read = Limited::new(body, ANSWER_MOST).collect().await;
    Ok(read.map_err(|source| AgentError::Answer { host: host.to_owned(), source })?.to_bytes())
}

/// The request as HTTP/1.1 wants it on a connection to its host (RFC 9112 §3.2.1).
async fn origin_form(request: Request<BodyWrapper<Bytes>>) -> Result<(Authority, Request<Full<Bytes>>), AgentError> {
    let (mut parts, body) = request.into_parts();
    let wrong = || AgentError::Address(parts.uri.to_string());
    if parts.uri.scheme_str() != Some("https") {
        return Err(wrong());
    }
    let authority = parts.uri.authority().cloned().ok_or_else(wrong)?;
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    parts.uri = target.parse::<Uri>().map_err(|_| wrong())?;
    parts.headers.insert(HOST, host);
    let Ok(body) = body.collect().await;
    Ok((authority, Request::from_parts(parts, Full::new(body.to_bytes()))))
}

impl HttpClient for Agent {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let agent = self.clone();
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        Box::pin(async move {
            let answer = match timeout(EXCHANGE, agent.exchange(request)).await {
                Ok(answer) => answer,
                Err(_) => Err(AgentError::TimedOut(host)),
            };
            let (parts, body) = answer.map_err(|error| instant_acme::Error::Other(error.into()))?.into_parts();
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Agent")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_it_trusts() {
        let root = crate::certificates::Authority::make(std::time::SystemTime::now(), "laptop").unwrap();
        assert_eq!(trusted(Some(root.root().as_bytes())).unwrap().len(), 1);
        for wrong in ["", "text", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", root.key()] {
            assert!(matches!(trusted(Some(wrong.as_bytes())), Err(AgentError::Root(_))), "{wrong}");
        }
    }

    #[tokio::test]
    async fn only_https_is_spoken_and_the_target_is_in_origin_form() {
        let request = |uri: &str| Request::builder().uri(uri).body(BodyWrapper::from(b"x".to_vec())).unwrap();
        let (authority, asked) = origin_form(request("https://ca.example:14000/dir?x=1")).await.unwrap();
        assert_eq!((authority.as_str(), asked.uri().to_string().as_str()), ("ca.example:14000", "/dir?x=1"));
        assert_eq!(asked.headers()["host"], "ca.example:14000");
        let (_, asked) = origin_form(request("https://ca.example")).await.unwrap();
        assert_eq!(asked.uri(), "/");
        for wrong in ["http://ca.example/dir", "/dir", "ca.example:443"] {
            assert!(matches!(origin_form(request(wrong)).await, Err(AgentError::Address(_))), "{wrong}");
        }
    }
}
