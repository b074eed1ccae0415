//! A connection to a mail server, on which a client's session speaks.
//!
//! Knows nothing of where it leads. Bounded by the times of RFC 5321 §4.5.3.2 for each reply, however slowly it comes, and by
//! [`Limits`] for what a server may say.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::{Buf, BytesMut};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use sportello_wire::sasl::{self, Mechanism, Password};
use sportello_wire::smtp::client::{Awaited, Broken, Event, Limits, Reply, Session, TextFault};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::assurance::Assurance;
use super::letter::Letter;
use super::transcript::{Secret, Transcript};
use crate::proxy::stream::Stream;

/// The connection and its session.
pub(super) struct Line {
    stream: Stream,
    pub(super) session: Session,
    held: BytesMut,
    pub(super) peer: SocketAddr,
    pub(super) assurance: Assurance,
}

/// The connection is of no use any more.
#[derive(Debug, Error)]
pub(super) enum Lost {
    /// The server cannot be believed.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It closed.
    #[error("the server closed the connection")]
    Closed,
    /// It failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The server is too slow.
    #[error("the server did not answer {0}")]
    TimedOut(&'static str),
    /// TLS failed.
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    /// The message may not leave as it is.
    #[error(transparent)]
    Text(#[from] TextFault),
    /// It cannot be read.
    #[error("the message cannot be read: {0}")]
    Letter(io::Error),
}

/// Why a server does not know us.
#[derive(Debug, Error)]
pub(super) enum NotKnown {
    /// The connection is lost.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// It offers no way that we go.
    #[error("the server offers no way to log in that is known here")]
    NoMechanism,
    /// It says no.
    #[error("the server does not let us in: {}", .0.text())]
    Refused(Reply),
    /// The exchange fails on our side.
    #[error("the login fails: {0}")]
    Exchange(&'static str),
}

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(60);
/// How long a piece of what we say may take to leave (RFC 5321 §4.5.3.2.5).
const BLOCK: Duration = Duration::from_secs(180);
/// How long a server may take to say good-bye.
const LEAVE: Duration = Duration::from_secs(5);
/// Bytes that are read at a time.
const READ: usize = 4 * 1024;

/// RFC 5321 §4.5.3.2.
fn patience(awaited: Awaited) -> (Duration, &'static str) {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    match awaited {
        Awaited::Greeting => (minutes(5), "the connection within 5 minutes"),
        Awaited::Nothing | Awaited::Command => (minutes(5), "a command within 5 minutes"),
        Awaited::TextBegin => (minutes(2), "DATA within 2 minutes"),
        Awaited::TextEnd => (minutes(10), "the message within 10 minutes"),
    }
}

impl Line {
    /// On a connection that was opened; encrypted at once where `tls` says so.
    pub(super) async fn open(
        stream: TcpStream,
        own_name: &str,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> Result<Self, Lost> {
        let peer = stream.peer_addr()?;
        let session = Session::new(own_name, Limits::default());
        let line =
            Self { stream: Stream::Tcp(stream), session, held: BytesMut::new(), peer, assurance: Assurance::Clear };
        match tls {
            Some((config, name)) => line.encrypted(config, name).await,
            None => Ok(line),
        }
    }

    async fn encrypted(self, config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, Lost> {
        let Stream::Tcp(tcp) = self.stream else { return Err(Lost::Tls(io::ErrorKind::AlreadyExists.into())) };
        let shaken = timeout(HANDSHAKE, TlsConnector::from(config).connect(name, tcp)).await;
        let stream = shaken.map_err(|_| Lost::TimedOut("the TLS handshake within a minute"))?.map_err(Lost::Tls)?;
        Ok(Self { stream: Stream::Tls(Box::new(stream)), assurance: Assurance::Encrypted, ..self })
    }

    /// After [`Event::StartTls`]: shakes hands, and greets anew.
    pub(super) async fn secure(
        self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        transcript: &mut Transcript,
    ) -> Result<(Self, Event), Lost> {
        let mut line = self.encrypted(config, name).await?;
        // Invariant: the session refuses what stands behind the reply to STARTTLS.
        line.held.clear();
        let mut out = Vec::new();
        line.session.secured(&mut out);
        let event = line.advance(&mut out, transcript).await?;
        Ok((line, event))
    }

    /// Sends `out`, and reads until something comes of it.
    pub(super) async fn advance(&mut self, out: &mut Vec<u8>, transcript: &mut Transcript) -> Result<Event, Lost> {
        transcript.said(out);
        self.listen(out, transcript).await
    }

    /// The same, where what is sent is not told.
    async fn listen(&mut self, out: &mut Vec<u8>, transcript: &mut Transcript) -> Result<Event, Lost> {
        let sent = self.send(out).await;
        out.clear();
        loop {
            let (within, what) = patience(self.session.awaited());
            let heard = timeout(within, self.hear(out, transcript)).await.map_err(|_| Lost::TimedOut(what))?;
            let event = match (heard, &sent) {
                (Ok(event), _) => event,
                // A server that has had enough answers and closes before it has read it all: its reply says more than ours.
                (Err(Lost::Closed | Lost::Io(_)), Err(_)) => return Err(sent.err().unwrap_or(Lost::Closed)),
                (Err(error), _) => return Err(error),
            };
            match event {
                Event::NeedMore => {
                    transcript.said(out);
                    self.send(out).await?;
                    out.clear();
                }
                // What goes with the text is sent with it.
                event => {
                    transcript.said(out);
                    return Ok(event);
                }
            }
        }
    }

    /// Reads until there is something to be done or to be sent.
    async fn hear(&mut self, out: &mut Vec<u8>, transcript: &mut Transcript) -> Result<Event, Lost> {
        loop {
            let received = self.session.receive(&self.held, out);
            match received {
                Ok(progress) => {
                    let (used, _) = self.held.split_at(progress.consumed.min(self.held.len()));
                    transcript.heard(used);
                    self.held.advance(used.len());
                    if progress.event != Event::NeedMore || !out.is_empty() {
                        return Ok(progress.event);
                    }
                }
                Err(broken) => {
                    transcript.heard(&self.held);
                    return Err(broken.into());
                }
            }
            self.held.reserve(READ);
            if self.stream.read_buf(&mut self.held).await? == 0 {
                return Err(Lost::Closed);
            }
        }
    }

    async fn send(&mut self, out: &[u8]) -> Result<(), Lost> {
        if out.is_empty() {
            return Ok(());
        }
        let sending = async {
            self.stream.write_all(out).await?;
            self.stream.flush().await
        };
        Ok(timeout(BLOCK, sending).await.map_err(|_| Lost::TimedOut("what was sent by reading it"))??)
    }

    /// After [`Event::Text`]: sends the message, and hears what comes of it. `out` has what goes before it.
    pub(super) async fn deliver(
        &mut self,
        letter: &Letter,
        out: &mut Vec<u8>,
        transcript: &mut Transcript,
    ) -> Result<Event, Lost> {
        let mut offset = 0;
        loop {
            let piece = letter.piece(offset).await.map_err(Lost::Letter)?;
            if piece.is_empty() {
                break;
            }
            offset += piece.len() as u64;
            self.session.text(&piece, out)?;
            if offset >= letter.size() {
                break;
            }
            // It may have had enough.
            if self.send(out).await.is_err() {
                transcript.note(&format!("the server stopped reading within {offset} bytes of the message"));
                out.clear();
                return self.listen(out, transcript).await;
            }
            out.clear();
        }
        self.session.end(out)?;
        transcript.note(&format!("{offset} bytes of the message"));
        self.listen(out, transcript).await
    }

    /// Logs in, by the best way that the server offers.
    pub(super) async fn log_in(
        &mut self,
        name: &str,
        password: &Password,
        transcript: &mut Transcript,
    ) -> Result<(), NotKnown> {
        let binding = self.binding();
        let offered = self.session.offered().mechanisms;
        let ways = [
            (offered.scram_sha_256_plus && binding.is_some(), Mechanism::ScramSha256Plus),
            (offered.scram_sha_256, Mechanism::ScramSha256),
            (offered.plain, Mechanism::Plain),
            (offered.login, Mechanism::Login),
        ];
        let (_, mechanism) = ways.into_iter().find(|(is_offered, _)| *is_offered).ok_or(NotKnown::NoMechanism)?;
        let mut nonce = [0; 18];
        aws_lc_rs::default_provider()
            .secure_random
            .fill(&mut nonce)
            .map_err(|_| NotKnown::Exchange("there is no randomness"))?;
        let exchange = sasl::client::Exchange::new(mechanism, name, password.clone(), &nonce, binding);
        let mut exchange = exchange.ok_or(NotKnown::Exchange("the name or the password cannot be said so"))?;
        let mut out = Vec::new();
        let initial = exchange.initial().map(|initial| BASE64_STANDARD.encode(initial));
        self.session.authenticate(mechanism.name(), initial.as_deref(), &mut out);
        transcript.said(&out);
        transcript.keep_secret(Secret::Yes);
        let outcome = self.exchange(&mut exchange, &mut out, transcript).await;
        transcript.keep_secret(Secret::No);
        outcome
    }

    async fn exchange(
        &mut self,
        exchange: &mut sasl::client::Exchange,
        out: &mut Vec<u8>,
        transcript: &mut Transcript,
    ) -> Result<(), NotKnown> {
        /// Challenges of one exchange; the longest mechanism has two.
        const CHALLENGES_MOST: usize = 4;
        for _ in 0..=CHALLENGES_MOST {
            match self.listen(out, transcript).await? {
                Event::Challenge(challenge) => {
                    let challenge = BASE64_STANDARD.decode(challenge).ok();
                    match challenge.and_then(|challenge| exchange.respond(&challenge).ok()) {
                        Some(response) => self.session.respond(&BASE64_STANDARD.encode(response), out),
                        None => self.session.cancel(out),
                    }
                }
                Event::Authenticated if exchange.is_satisfied() => return Ok(()),
                Event::Authenticated => {
                    return Err(NotKnown::Exchange("the server does not prove that it knows the password"));
                }
                Event::NotAuthenticated(reply) | Event::Closing(reply) => return Err(NotKnown::Refused(reply)),
                _ => break,
            }
        }
        Err(NotKnown::Exchange("the server asks for too much"))
    }

    /// RFC 9266: what ties a login to this connection. Only of TLS 1.3, where it always does.
    fn binding(&self) -> Option<[u8; 32]> {
        let Stream::Tls(stream) = &self.stream else { return None };
        let (_, connection) = stream.get_ref();
        if connection.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
            return None;
        }
        connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[])).ok()
    }

    /// How it is encrypted, for people.
    pub(super) fn cipher(&self) -> Option<String> {
        let Stream::Tls(stream) = &self.stream else { return None };
        let (_, connection) = stream.get_ref();
        let version = connection.protocol_version().and_then(|version| version.as_str().map(str::to_owned))?;
        let suite = connection.negotiated_cipher_suite()?;
        Some(format!("{version} {}", suite.suite().as_str().unwrap_or_default()))
    }

    /// Whether it may carry another message: nothing is under way, and the server has said nothing meanwhile.
    pub(super) fn is_usable(&mut self) -> bool {
        self.session.is_idle() && self.held.is_empty() && self.stream.is_quiet()
    }

    /// Says good-bye, and waits a little for the answer (RFC 5321 §4.1.1.10).
    pub(super) async fn leave(mut self, transcript: &mut Transcript) {
        let mut out = Vec::new();
        self.session.quit(&mut out);
        if out.is_empty() {
            return;
        }
        // Whatever comes of it, it is over.
        let _ = timeout(LEAVE, self.advance(&mut out, transcript)).await;
    }
}
