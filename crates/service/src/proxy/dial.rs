//! Opens connections to upstreams.
//!
//! Of several addresses the next one is tried when one fails or is slow, and the first that answers is taken (RFC 8305, without its
//! sorting). Bounded by the time to connect, for all addresses together.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;

use super::address::{Place, Speech, Version};
use super::encryption::{Encryption, H2};
use super::fault::Fault;
use super::stream::Stream;
use super::upstream::Upstream;

/// Opens a connection, and encrypts it where that is to be.
pub(super) async fn dial(upstream: &Upstream, within: Duration) -> Result<Stream, Fault> {
    let until = Instant::now() + within;
    let address = &upstream.member.address;
    let opened = async {
        let tcp = match &address.place {
            Place::Unix(path) => return unix(path).await.map(Stream::Unix).map_err(Fault::Connect),
            Place::Socket(address) => tcp(*address).await,
            Place::Name(..) => {
                let addresses = upstream.addresses.as_ref().ok_or(Fault::Unresolved)?.known(until).await?;
                first_of(&addresses, |address| Box::pin(tcp(address))).await
            }
        };
        let tcp = tcp.map_err(Fault::Connect)?;
        match (address.speech, &upstream.member.encryption) {
            (Speech::Plain, _) => Ok(Stream::Tcp(tcp)),
            (Speech::Encrypted, Some(encryption)) => encrypted(upstream, encryption, tcp).await,
            (Speech::Encrypted, None) => Err(Fault::Connect(io::ErrorKind::Unsupported.into())),
        }
    };
    timeout_at(until, opened).await.unwrap_or(Err(Fault::ConnectTimeout))
}

async fn encrypted(upstream: &Upstream, encryption: &Encryption, tcp: TcpStream) -> Result<Stream, Fault> {
    let name = upstream.member.server_name.clone().or_else(|| upstream.member.address.server_name());
    let name = name.ok_or_else(|| Fault::Connect(io::ErrorKind::InvalidInput.into()))?;
    let version = upstream.member.address.version;
    let stream = TlsConnector::from(encryption.of(version)).connect(name, tcp).await;
    let stream = stream.map_err(|error| if is_refusal(&error) { Fault::NotHttp2 } else { Fault::Connect(error) })?;
    // RFC 9113 §3.3: who was not asked, or says nothing, speaks another protocol.
    if version == Version::Two && stream.get_ref().1.alpn_protocol() != Some(H2) {
        return Err(Fault::NotHttp2);
    }
    Ok(Stream::Tls(Box::new(stream)))
}

/// Whether the other side speaks none of the protocols that it was asked for (RFC 7301 §3.2).
fn is_refusal(error: &io::Error) -> bool {
    use rustls::{AlertDescription, Error};
    let refusal = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    error.get_ref().and_then(|inner| inner.downcast_ref()) == Some(&refusal)
}

/// A Unix socket whose queue is full says so at once and tells nobody when there is room (man 2 connect, EAGAIN): it is asked again.
const ASKED_AGAIN: Duration = Duration::from_millis(10);

/// Connects; forever, where there is no room.
async fn unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(ASKED_AGAIN).await,
            connected => return connected,
        }
    }
}

async fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Heads and small bodies go out in one write; nothing is to wait for an acknowledgement.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// How long an address may take before the next one is tried beside it (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// One try at an address.
pub(crate) type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>;

/// The first connection of those that `connect` opens, each next one tried when one fails or is slow.
pub(crate) async fn first_of(
    addresses: &[SocketAddr],
    connect: impl Fn(SocketAddr) -> Attempt,
) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter().copied();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = waiting.next() {
            attempts.push(connect(address));
        }
        if attempts.is_empty() {
            return Err(last);
        }
        let is_last = waiting.len() == 0;
        let mut next = Box::pin(sleep(ATTEMPT_DELAY));
        let outcome = poll_fn(|context| {
            let mut failed = None;
            attempts.retain_mut(|attempt| match attempt.as_mut().poll(context) {
                Poll::Pending => true,
                Poll::Ready(outcome) => {
                    failed = match failed.take() {
                        Some(Ok(stream)) => Some(Ok(stream)),
                        _ => Some(outcome),
                    };
                    false
                }
            });
            match failed {
                Some(outcome) => Poll::Ready(Some(outcome)),
                None if !is_last => next.as_mut().poll(context).map(|()| None),
                None => Poll::Pending,
            }
        });
        match outcome.await {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => last = error,
            None => {}
        }
    }
}
