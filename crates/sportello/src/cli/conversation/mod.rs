//! A client's connection: blocking, with a deadline on every wait, and what was received but not yet read.
//!
//! The protocols are spoken on top of it by [`http`], [`smtp`] and [`resp`], which own no socket call. Bounded by
//! [`Deadlines`] and, in what it holds, by the parsers above: none asks for more before it has refused too much.

pub mod http;
pub mod resp;
pub mod smtp;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::place::{Place, Way};

/// How long a client waits.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// For the connection, over all addresses of a name.
    pub connect: Duration,
    /// For the next bytes, in or out.
    pub idle: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), idle: Duration::from_secs(60) }
    }
}

/// Why nothing more can be said or heard.
#[derive(Debug, Error)]
pub enum Error {
    /// The name has no address.
    #[error("there is no address for {0}")]
    Name(String, #[source] io::Error),
    /// Nobody took the connection.
    #[error("nobody answers at {0}")]
    Connect(Way, #[source] io::Error),
    /// A deadline has passed.
    #[error("{0} did not answer within {1:?}")]
    TimedOut(Way, Duration),
    /// The server closed the connection when an answer was due.
    #[error("{0} closed the connection without an answer")]
    Closed(Way),
    /// The connection broke.
    #[error("the connection to {0} broke")]
    Broken(Way, #[source] io::Error),
}

/// One connection.
#[derive(Debug)]
pub struct Conversation {
    stream: Stream,
    way: Way,
    deadlines: Deadlines,
    held: Vec<u8>,
    /// How much of `held` has been read.
    read: usize,
}

impl Conversation {
    /// Connects.
    pub fn open(place: &Place, deadlines: Deadlines) -> Result<Self, Error> {
        let addresses = (place.host.as_str(), place.port).to_socket_addrs();
        let addresses = addresses.map_err(|error| Error::Name(place.host.clone(), error))?;
        let until = Instant::now() + deadlines.connect;
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                last = io::ErrorKind::TimedOut.into();
                break;
            }
            match TcpStream::connect_timeout(&address, left).and_then(|stream| ready(stream, deadlines)) {
                Ok(stream) => return Ok(Self::over(Stream::Tcp(stream), Way::Tcp(place.clone()), deadlines)),
                Err(error) => last = error,
            }
        }
        Err(Error::Connect(Way::Tcp(place.clone()), last))
    }

    /// Connects to a server of this machine, by its socket where there is one.
    pub fn reach(way: &Way, deadlines: Deadlines) -> Result<Self, Error> {
        let path = match way {
            Way::Tcp(place) => return Self::open(place, deadlines),
            Way::Socket(path) => path,
        };
        let connected = UnixStream::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(deadlines.idle))?;
            stream.set_write_timeout(Some(deadlines.idle))?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => Ok(Self::over(Stream::Unix(stream), way.clone(), deadlines)),
            Err(error) => Err(Error::Connect(way.clone(), error)),
        }
    }

    fn over(stream: Stream, way: Way, deadlines: Deadlines) -> Self {
        Self { stream, way, deadlines, held: Vec::new(), read: 0 }
    }

    /// Our own end, where it has an address.
    pub fn local(&self) -> Result<SocketAddr, Error> {
        let local = match &self.stream {
            Stream::Tcp(stream) => stream.local_addr(),
            Stream::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        local.map_err(|error| Error::Broken(self.way.clone(), error))
    }

    /// Where it goes, as it was asked for.
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// Sends all of it.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.write_all(bytes).map_err(|error| self.broken(error))
    }

    /// What has been received and not been consumed.
    pub fn held(&self) -> &[u8] {
        self.held.get(self.read..).unwrap_or_default()
    }

    /// The first `count` bytes held have been read.
    pub fn consume(&mut self, count: usize) {
        self.read = self.held.len().min(self.read.saturating_add(count));
        if self.read == self.held.len() {
            self.held.clear();
            self.read = 0;
        }
    }

    /// Waits for more bytes; 0 when the server has closed its side.
    pub fn receive(&mut self) -> Result<usize, Error> {
        if self.read > 0 {
            self.held.drain(..self.read);
            self.read = 0;
        }
        let before = self.held.len();
        self.held.resize(before + Self::STEP, 0);
        let outcome = loop {
            match self.stream.read(self.held.get_mut(before..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        self.held.truncate(before + outcome.as_ref().copied().unwrap_or(0));
        outcome.map_err(|error| self.broken(error))
    }

    /// Waits for more bytes where the server owes some.
    pub fn receive_more(&mut self) -> Result<(), Error> {
        match self.receive()? {
            0 => Err(Error::Closed(self.way.clone())),
            _ => Ok(()),
        }
    }

    fn broken(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Error::TimedOut(self.way.clone(), self.deadlines.idle)
            }
            _ => Error::Broken(self.way.clone(), error),
        }
    }

    /// The most bytes of one read.
    const STEP: usize = 64 * 1024;
}

/// What a conversation goes over.
#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            Self::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ready(stream: TcpStream, deadlines: Deadlines) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(deadlines.idle))?;
    stream.set_write_timeout(Some(deadlines.idle))?;
    Ok(stream)
}
