//! The load of a protocol whose request and answer are always the same bytes: HTTP GET, RESP PING.
//!
//! Knows no protocol: it sends `request`, counts `answer` bytes and throws them away unread (`MSG_TRUNC`); over TLS it
//! counts what the records hold, without decrypting them. That the answers are right is checked before and after
//! ([`super::http::answer`], [`super::resp::answer`]).
//! Bounded by: the connections, the time, and [`STALL`] without any answer.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::sealed::Sealed;
use crate::error::{Doing, Error};
use crate::rounds::Meter;

/// What is exchanged, and how.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// The bytes of all requests that are sent at once; of several, each connection has one, in turn. Their answers are of
    /// one length.
    pub(crate) requests: Vec<Vec<u8>>,
    /// The length of all their answers.
    pub(crate) answer: u64,
    /// Requests in one of `requests`.
    pub(crate) depth: u64,
    pub(crate) connections: usize,
    pub(crate) kind: Kind,
    /// Kept connections may be encrypted.
    pub(crate) secrecy: Secrecy,
}

/// How long a connection is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// For the whole slice.
    Kept,
    /// For one request; the server closes after its answer, as the request asks it to.
    NewEach,
}

/// Whether it is encrypted.
#[derive(Debug, Clone)]
pub(crate) enum Secrecy {
    Plain,
    /// Each connection names one of the names, in turn.
    Tls(Arc<ClientConfig>, Vec<ServerName<'static>>),
}

struct Connection {
    socket: OwnedFd,
    /// Where it is encrypted.
    sealed: Option<Box<Sealed>>,
    missing: u64,
    sent: Instant,
}

/// So long without an answer means that the answers are not as long as they should be.
const STALL: Duration = Duration::from_secs(10);
/// The most that is thrown away in one call.
const GULP: usize = 1 << 20;

impl Exchange {
    /// Loads `address` for `time`, and lets what is under way finish. Returns the requests answered.
    pub(crate) fn run(&self, address: SocketAddr, time: Duration, meter: &mut Meter) -> Result<u64, Error> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).doing(|| "making an epoll".to_owned())?;
        let mut connections = Vec::with_capacity(self.connections);
        let now = Instant::now();
        for index in 0..self.connections {
            let (socket, sealed) = match &self.secrecy {
                Secrecy::Plain => (connect(address)?, None),
                // One answer is read and decrypted: with it all is here that is said once, like tickets.
                Secrecy::Tls(config, names) => {
                    let name = in_turn(names, index).ok_or_else(|| Error::not_so("no name of a server"))?;
                    let (socket, sealed) = Sealed::open(address, config, name, self.request(index), self.answer)?;
                    (socket, Some(Box::new(sealed)))
                }
            };
            connections.push(Connection { socket, sealed, missing: self.answer, sent: now });
        }
        for (index, connection) in connections.iter().enumerate() {
            watch(&epoll, connection, index)?;
        }
        let end = meter.begin() + time;
        for (index, connection) in connections.iter_mut().enumerate() {
            self.send(connection, index)?;
        }
        let mut drive =
            Drive { exchange: self, address, epoll, end, open: self.connections, answered: 0, gulp: vec![0; GULP] };
        drive.all(&mut connections, meter)?;
        meter.end();
        Ok(drive.answered)
    }

    fn request(&self, index: usize) -> &[u8] {
        in_turn(&self.requests, index).map(Vec::as_slice).unwrap_or_default()
    }

    fn send(&self, connection: &mut Connection, index: usize) -> Result<(), Error> {
        connection.missing = self.answer;
        connection.sent = Instant::now();
        let request = self.request(index);
        if request.is_empty() {
            return Ok(());
        }
        if let Some(sealed) = &mut connection.sealed {
            return sealed.send(&connection.socket, request);
        }
        let sent =
            rustix::net::send(&connection.socket, request, SendFlags::NOSIGNAL).doing(|| "sending".to_owned())?;
        if sent == request.len() { Ok(()) } else { Err(Error::not_so("a request did not fit into the socket")) }
    }
}

/// One slice under way.
struct Drive<'a> {
    exchange: &'a Exchange,
    address: SocketAddr,
    epoll: OwnedFd,
    end: Instant,
    open: usize,
    answered: u64,
    gulp: Vec<u8>,
}

impl Drive<'_> {
    fn all(&mut self, connections: &mut [Connection], meter: &mut Meter) -> Result<(), Error> {
        let mut events: Vec<Event> = Vec::with_capacity(connections.len());
        let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut last = Instant::now();
        let mut idle_polls = 0_u32;
        while self.open > 0 {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&at_once)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).doing(|| "polling".to_owned()),
            }
            if events.is_empty() {
                idle_polls = idle_polls.wrapping_add(1);
                if idle_polls.is_multiple_of(1024) && last.elapsed() > STALL {
                    return Err(Error::not_so("no answer for 10 s: the answers are shorter than those checked"));
                }
                continue;
            }
            for event in &events {
                let Some(connection) = connections.get_mut(event.data.u64() as usize) else { continue };
                self.receive(connection, event.data.u64() as usize, meter)?;
            }
            // One clock for the watchdog, only now and then.
            idle_polls = 0;
            last = Instant::now();
        }
        Ok(())
    }

    fn receive(&mut self, connection: &mut Connection, index: usize, meter: &mut Meter) -> Result<(), Error> {
        // Records are counted by their heads, so they are not thrown away unread.
        let flags = if connection.sealed.is_some() { RecvFlags::empty() } else { RecvFlags::TRUNC };
        let received = match rustix::net::recv(&connection.socket, self.gulp.as_mut_slice(), flags) {
            Ok((0, _)) if connection.sealed.is_some() => return Err(Error::not_so("the server closed a connection")),
            Ok((count, received)) => match &mut connection.sealed {
                None => received as u64,
                Some(sealed) => match sealed.count(self.gulp.get(..count).unwrap_or_default())? {
                    // A part of a record.
                    0 => return Ok(()),
                    plain => plain,
                },
            },
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(Errno::CONNRESET) if self.exchange.kind == Kind::NewEach && connection.missing == 0 => 0,
            Err(error) => return Err(error).doing(|| "receiving".to_owned()),
        };
        if received > connection.missing {
            return Err(Error::not_so("an answer is longer than the one checked"));
        }
        connection.missing -= received;
        match self.exchange.kind {
            Kind::Kept if received == 0 => Err(Error::not_so("the server closed a kept connection")),
            Kind::Kept if connection.missing > 0 => Ok(()),
            Kind::Kept => {
                if self.count(connection, meter) {
                    self.exchange.send(connection, index)?;
                }
                Ok(())
            }
            Kind::NewEach if received > 0 => Ok(()),
            Kind::NewEach if connection.missing > 0 => Err(Error::not_so("closed before the end of an answer")),
            Kind::NewEach => {
                if self.count(connection, meter) {
                    connection.sent = Instant::now();
                    // Replacing the socket closes the old one and takes it out of the epoll.
                    connection.socket = connect(self.address)?;
                    let began = connection.sent;
                    self.exchange.send(connection, index)?;
                    connection.sent = began;
                    watch(&self.epoll, connection, index)?;
                } else {
                    epoll::delete(&self.epoll, &connection.socket).doing(|| "leaving the epoll".to_owned())?;
                }
                Ok(())
            }
        }
    }

    /// Counts a finished answer; whether there is time for another.
    fn count(&mut self, connection: &Connection, meter: &mut Meter) -> bool {
        let now = Instant::now();
        meter.answered(now - connection.sent, self.exchange.depth);
        self.answered += self.exchange.depth;
        let more = now < self.end;
        if !more {
            self.open -= 1;
        }
        more
    }
}

/// What is next when all have their turns.
fn in_turn<T>(all: &[T], index: usize) -> Option<&T> {
    all.get(index.checked_rem(all.len())?)
}

/// A connected, non-blocking socket.
pub(super) fn connect(address: SocketAddr) -> Result<OwnedFd, Error> {
    // Connecting blocks: on loopback the handshake is over when the call returns.
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .doing(|| "making a socket".to_owned())?;
    sockopt::set_tcp_nodelay(&socket, true).doing(|| "setting TCP_NODELAY".to_owned())?;
    rustix::net::connect(&socket, &address).doing(|| format!("connecting to {address}"))?;
    rustix::io::ioctl_fionbio(&socket, true).doing(|| "making a socket non-blocking".to_owned())?;
    Ok(socket)
}

fn watch(epoll: &OwnedFd, connection: &Connection, index: usize) -> Result<(), Error> {
    epoll::add(epoll, &connection.socket, EventData::new_u64(index as u64), EventFlags::IN)
        .doing(|| "watching a socket".to_owned())
}
