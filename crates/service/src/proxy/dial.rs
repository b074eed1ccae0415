//! Opens connections to upstreams.
//!
//! Of several addresses the next one is tried when one fails or is slow, and the first that answers is taken (RFC 8305, without its
//! sorting). Bounded by the time to connect, for all addresses together.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use super::address::Place;
use super::fault::Fault;
use super::stream::Stream;

/// Opens a connection.
pub(super) async fn dial(place: &Place, within: Duration) -> Result<Stream, Fault> {
    let opened = timeout(within, async {
        match place {
            Place::Socket(address) => tcp(*address).await.map(Stream::Tcp),
            Place::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
            Place::Name(name, port) => {
                let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), *port)).await?.collect();
                first_of(addresses).await.map(Stream::Tcp)
            }
        }
    });
    match opened.await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Fault::Connect(error)),
        Err(_) => Err(Fault::ConnectTimeout),
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
/// The most addresses that are tried.
const ADDRESSES_MOST: usize = 8;

type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>;

async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter().take(ADDRESSES_MOST);
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = waiting.next() {
            attempts.push(Box::pin(tcp(address)));
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
