//! One connection, owned by the session loop that serves it.
//!
//! It is read before it is registered with the reactor, so a client that asks one thing and leaves costs no registration.
//! Every wait is bounded by the channel's [`Deadlines`](crate::Deadlines) and ends at once when the connection is killed.

mod ahead;
mod secure;
mod step;
mod stream;
mod write;

pub use step::{Moved, Pace, Patience, Wants};
pub use stream::Stream;

use std::cell::Cell;
use std::fmt::Display;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::buffer::spare_capacity;
use rustix::net::RecvFlags;
use thiserror::Error;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::TcpStream;
use tokio::task::coop::poll_proceed;

use crate::ban::Bans;
use crate::buffer::Buffer;
use crate::channel::Channel;
use crate::deadline::{Deadline, Tick, rate_due, ticks};
use crate::lane::Lane;
use crate::limit::{Permit, SourcePermit};
use crate::registry::{Entry, Phase, Registry};
use crate::sys;
use crate::tcp_info::TcpInfo;
use crate::tls::Session;

/// Why a connection can no longer be read or written.
#[derive(Debug, Error)]
pub enum Ended {
    /// The peer closed or reset it.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer kept us waiting too long.
    #[error("the peer kept us waiting ({0:?})")]
    TimedOut(Deadline),
    /// The server stops.
    #[error("the server stops")]
    Stopping,
    /// Somebody here closed it.
    #[error("the connection was closed from this side")]
    Killed,
    /// The two do not agree on how to encrypt, or what came was not encrypted as agreed.
    #[error("TLS failed")]
    Tls(#[source] rustls::Error),
    /// What came instead of a handshake is none: the connection can still be written to, in plain text.
    #[error("the peer does not speak TLS")]
    NotTls,
    /// Its source shakes hands too often.
    #[error("the peer shakes hands too often")]
    TooOften,
    /// Its source holds too many connections.
    #[error("its source holds too many connections")]
    Crowded,
    /// The kernel says something else.
    #[error("the connection failed")]
    Io(#[source] io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected => Self::Closed,
            io::ErrorKind::TimedOut => Self::TimedOut(Deadline::Write),
            _ => Self::Io(error),
        }
    }
}

/// The address of whoever is at the other end of a Unix socket: this machine, and port 0, which no TCP peer has.
pub const UNIX_PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// Who was at the other end of a Unix socket when it connected, as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The process; 0 when it is in a PID namespace that cannot be seen from here.
    pub process: u32,
    /// Its user.
    pub user: u32,
    /// Its group.
    pub group: u32,
}

impl Credentials {
    pub(crate) fn of_raw(socket: RawFd) -> Option<Self> {
        let raw = sys::peer_credentials(socket)?;
        Some(Self { process: u32::try_from(raw.pid).unwrap_or(0), user: raw.uid, group: raw.gid })
    }
}

enum Socket {
    /// Not yet known to the reactor.
    Fresh(OwnedFd),
    /// A stream of TCP or, by the same calls, of a Unix socket: nothing that is asked of it here is TCP's alone.
    Registered(TcpStream),
    /// Between the two, and after a registration that failed.
    Gone,
}

/// One accepted connection. Dropping it closes the socket.
pub struct Connection {
    socket: Socket,
    /// What is between the socket and the session, where it is encrypted.
    tls: Option<Box<Session>>,
    registry: Rc<Registry>,
    entry: Rc<Entry>,
    /// As it was when the latest request began.
    channel: Arc<Channel>,
    key: usize,
    /// Since when the request under way is read.
    request_since: Cell<Tick>,
    /// Its bytes so far.
    request_bytes: Cell<u64>,
    /// Whether readiness was put aside by [`Connection::left`], so that the socket must be asked before the reactor.
    ask_socket: bool,
    permits: (Permit, SourcePermit),
}

/// What a closing connection still swallows so that the peer reads our last answer instead of a reset: what a fast network brings of a
/// large upload until its sender has looked at the answer.
const LINGER_BYTES: u64 = 16 * 1024 * 1024;
const LINGER_TICKS: Tick = 20;
/// Never, in effect; unlike [`Tick::MAX`] it tells that nothing of ours is waited for.
const STREAMING: Tick = Tick::MAX - 1;

impl Connection {
    pub(crate) fn new(
        socket: OwnedFd,
        id: u64,
        peer: SocketAddr,
        lane: Rc<Lane>,
        registry: Rc<Registry>,
        permits: (Permit, SourcePermit),
    ) -> Self {
        let now = registry.refresh();
        lane.counters.accepted.add(1);
        let channel = lane.channel();
        let entry = Rc::new(Entry::new(id, lane, peer, socket.as_raw_fd(), now));
        let key = registry.insert(&entry);
        Self {
            socket: Socket::Fresh(socket),
            tls: None,
            registry,
            entry,
            channel,
            key,
            request_since: Cell::new(now),
            request_bytes: Cell::new(0),
            ask_socket: false,
            permits,
        }
    }

    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn entry(&self) -> Rc<Entry> {
        Rc::clone(&self.entry)
    }

    /// Its id, unique in this process.
    pub fn id(&self) -> u64 {
        self.entry.id
    }

    /// The client, as whoever connected for it [has said](Self::is_for); [`UNIX_PEER`] when it came over a Unix socket.
    pub fn peer(&self) -> SocketAddr {
        self.entry.peer.get()
    }

    /// The server's list of bans: whoever compares the client's credentials tells it of a failure.
    pub fn bans(&self) -> &Bans {
        self.permits.0.bans()
    }

    /// Which process and user the client is, when it came over a Unix socket.
    pub fn credentials(&self) -> Option<Credentials> {
        self.entry.credentials()
    }

    /// The address it came to; for a channel on the wildcard address, that.
    pub fn local(&self) -> SocketAddr {
        self.channel.address
    }

    /// Its channel, as it was when the latest request began.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// The worker that holds it, from 0.
    pub fn worker(&self) -> usize {
        self.registry.worker
    }

    /// Requests answered on it so far.
    pub fn request_number(&self) -> u64 {
        self.entry.requests.get()
    }

    /// Bytes received and sent on it so far.
    pub fn bytes(&self) -> (u64, u64) {
        (self.entry.bytes_in.get(), self.entry.bytes_out.get())
    }

    /// Says what it is doing, for people; the first 64 bytes are kept.
    pub fn set_doing(&self, what: impl Display) {
        self.entry.set_doing(what);
    }

    /// The name that the client gave itself.
    pub fn name(&self) -> String {
        self.entry.name()
    }

    /// Keeps the name that the client gave itself.
    pub fn set_name(&self, name: &str) {
        self.entry.set_name(name);
    }

    /// Whether the server drains or the channel is taken away, so that this connection's present request is to be its last.
    pub fn is_stopping(&self) -> bool {
        self.phase() != Phase::Serving
    }

    fn phase(&self) -> Phase {
        self.registry.phase().max(self.entry.lane.phase())
    }

    /// Whether somebody here has closed it, as the next wait for its peer will tell.
    pub fn is_killed(&self) -> bool {
        self.entry.killed.get()
    }

    /// Counts one request answered on it.
    pub fn count_request(&self, failed: Failed) {
        self.entry.requests.set(self.entry.requests.get() + 1);
        let counters = &self.entry.lane.counters;
        counters.requests.add(1);
        if failed == Failed::Yes {
            counters.failures.add(1);
        }
    }

    /// What the kernel says of it.
    pub fn tcp_info(&self) -> Option<TcpInfo> {
        TcpInfo::of_raw(self.entry.socket)
    }

    /// Between requests: waits for the next request's first bytes without holding memory, then fills `buffer`, and starts
    /// the request's clock. `Ok(0)`: the peer closed its side. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Also [`Ended::Stopping`], as soon as the server drains and no request has come.
    pub async fn idle(&mut self, buffer: &mut Buffer) -> Result<usize, Ended> {
        let wait = self.begin_idling();
        let count = poll_fn(|context| self.poll_read(context, buffer, wait)).await?;
        self.begin_request(count);
        Ok(count)
    }

    /// Like [`Connection::idle`], for a session that keeps nothing from one request to the next, not even what it was doing:
    /// the buffer is taken when the bytes are there. An empty one: the peer closed its side.
    ///
    /// # Errors
    /// As [`Connection::idle`].
    pub fn request(&mut self) -> impl Future<Output = Result<Buffer, Ended>> {
        self.entry.forget_labels();
        let wait = self.begin_idling();
        // Not an async function: what it holds while it waits is what every idle connection holds.
        poll_fn(move |context| {
            let mut buffer = Buffer::new();
            let count = ready!(self.poll_read(context, &mut buffer, wait))?;
            self.begin_request(count);
            Poll::Ready(Ok(buffer))
        })
    }

    fn begin_idling(&self) -> Wait {
        let deadlines = &self.channel.deadlines;
        let (wait, kind) = if self.entry.requests.get() == 0 && self.entry.bytes_in.get() == 0 {
            (deadlines.first_byte, Deadline::FirstByte)
        } else {
            (deadlines.idle, Deadline::Idle)
        };
        self.entry.between.set(true);
        self.entry.forget_wait();
        Wait { due: self.registry.now().saturating_add(ticks(wait)), kind, until: Phase::Draining }
    }

    fn begin_request(&mut self, bytes: usize) {
        self.entry.lane.renew(&mut self.channel);
        self.entry.between.set(false);
        self.next_request(bytes);
    }

    /// Starts the clock of a request whose first `bytes` came together with the one before, now that that one is answered.
    pub fn next_request(&self, bytes: usize) {
        self.request_since.set(self.registry.now());
        self.request_bytes.set(bytes as u64);
    }

    /// Within a request: appends more bytes to `buffer`. `Ok(0)`: the peer closed its side, or `buffer` is full. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// When the peer stops, creeps, or takes longer than a request may.
    pub async fn read(&mut self, buffer: &mut Buffer) -> Result<usize, Ended> {
        let deadlines = &self.channel.deadlines;
        let between = self.registry.now().saturating_add(ticks(deadlines.between_bytes));
        let rate = rate_due(deadlines, self.request_since.get(), self.request_bytes.get());
        let whole = self.request_since.get().saturating_add(ticks(deadlines.request));
        let (due, kind) = if whole <= between && whole <= rate {
            (whole, Deadline::Request)
        } else if rate < between {
            (rate, Deadline::Rate)
        } else {
            (between, Deadline::BetweenBytes)
        };
        let wait = Wait { due, kind, until: Phase::Over };
        self.entry.forget_wait();
        let count = poll_fn(|context| self.poll_read(context, buffer, wait)).await?;
        self.request_bytes.set(self.request_bytes.get().saturating_add(count as u64));
        Ok(count)
    }

    /// Completes when the peer closes or resets, when somebody kills the connection, or when the grace of a stopping server
    /// is over: to race against a running program. Reads nothing; a peer that has shut down its sending side counts as gone.
    pub async fn left(&mut self) -> Ended {
        self.gone(Phase::Over).await
    }

    /// Like [`Connection::left`], and also completes as soon as the server drains: to race against a stream without an end.
    pub async fn left_or_stopping(&mut self) -> Ended {
        self.gone(Phase::Draining).await
    }

    /// Says to the peer that nothing more will come, then swallows briefly what it still sends, so that our last answer is not
    /// lost to a reset.
    pub async fn close(mut self) {
        self.entry.between.set(true);
        if self.end().await.is_err() || self.shutdown().is_err() {
            return;
        }
        let due = self.registry.now().saturating_add(LINGER_TICKS);
        let wait = Wait { due, kind: Deadline::Idle, until: Phase::Over };
        self.entry.forget_wait();
        let mut buffer = Buffer::new();
        let mut swallowed = 0;
        while swallowed < LINGER_BYTES {
            match poll_fn(|context| self.poll_read(context, &mut buffer, wait)).await {
                Ok(0) | Err(_) => return,
                Ok(count) => swallowed += count as u64,
            }
            buffer.consume(usize::MAX);
        }
    }

    async fn gone(&mut self, until: Phase) -> Ended {
        if let Err(ended) = self.register() {
            return ended;
        }
        let due = if until == Phase::Draining { STREAMING } else { Tick::MAX };
        let wait = Wait { due, kind: Deadline::Idle, until };
        self.entry.forget_wait();
        poll_fn(|context| {
            if let Poll::Ready(ended) = self.poll_closed(context) {
                return Poll::Ready(ended);
            }
            match self.pending(context, wait) {
                Some(ended) => Poll::Ready(ended),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Whether the peer has closed, without taking what it sent before.
    fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        let Socket::Registered(stream) = &self.socket else { return Poll::Ready(Ended::Closed) };
        while stream.poll_read_ready(context).is_ready() {
            match peer_has_closed(stream) {
                Ok(false) => {}
                Ok(true) => return Poll::Ready(Ended::Closed),
                Err(error) => return Poll::Ready(error.into()),
            }
            // Bytes of the next request are here: put their readiness aside, or this would spin. Whoever reads next asks the
            // socket; where nothing was put aside, the reactor still knows all, and a read for nothing is saved.
            self.ask_socket = true;
            let _ = stream.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
        Poll::Pending
    }

    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut Buffer, wait: Wait) -> Poll<Result<usize, Ended>> {
        match self.poll_bytes(context, buffer) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => {
                buffer.release();
                match self.pending(context, wait) {
                    Some(ended) => Poll::Ready(Err(ended)),
                    None => Poll::Pending,
                }
            }
        }
    }

    /// What has come, without a bound on the wait for it.
    fn poll_bytes(&mut self, context: &mut Context<'_>, buffer: &mut Buffer) -> Poll<Result<usize, Ended>> {
        if self.entry.killed.get() {
            return Poll::Ready(Err(Ended::Killed));
        }
        if self.tls.is_some() {
            return self.poll_bytes_secure(context, buffer);
        }
        if self.ask_socket || matches!(self.socket, Socket::Fresh(_)) {
            // A read past the reactor spends no budget by itself: a peer whose bytes never run dry would own the worker.
            let budget = ready!(poll_proceed(context));
            if let Some(result) = self.read_unregistered(buffer) {
                budget.made_progress();
                return Poll::Ready(result);
            }
        }
        if let Err(ended) = self.register() {
            return Poll::Ready(Err(ended));
        }
        let Socket::Registered(stream) = &mut self.socket else { return Poll::Ready(Err(Ended::Closed)) };
        ready!(stream.poll_read_ready(context))?;
        let Some(room) = buffer.room() else { return Poll::Ready(Ok(0)) };
        let count = ready!(pin!(stream.read_buf(room)).poll(context))?;
        self.received(count);
        Poll::Ready(Ok(count))
    }

    /// Reads from the socket directly where the reactor does not know it or may have forgotten what is there; `None` when
    /// there is nothing yet.
    fn read_unregistered(&mut self, buffer: &mut Buffer) -> Option<Result<usize, Ended>> {
        let socket = match &self.socket {
            Socket::Fresh(socket) => socket.as_fd(),
            Socket::Registered(stream) if self.ask_socket => stream.as_fd(),
            _ => return None,
        };
        let Some(room) = buffer.room() else { return Some(Ok(0)) };
        match rustix::net::recv(socket, spare_capacity(room), RecvFlags::DONTWAIT) {
            Ok((count, _)) => {
                self.received(count);
                Some(Ok(count))
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {
                self.ask_socket = false;
                None
            }
            Err(error) => Some(Err(io::Error::from(error).into())),
        }
    }

    /// What to do when nothing has come: end, or wait until `wait` is over.
    fn pending(&self, context: &mut Context<'_>, wait: Wait) -> Option<Ended> {
        if self.entry.killed.get() {
            return Some(Ended::Killed);
        }
        if self.entry.is_expired() {
            self.entry.arrived(self.registry.now());
            return Some(Ended::TimedOut(wait.kind));
        }
        if self.phase() >= wait.until {
            return Some(Ended::Stopping);
        }
        self.entry.wait_until(wait.due, context.waker());
        None
    }

    fn register(&mut self) -> Result<(), Ended> {
        if let Socket::Registered(_) = self.socket {
            return Ok(());
        }
        let Socket::Fresh(socket) = std::mem::replace(&mut self.socket, Socket::Gone) else {
            return Err(Ended::Closed);
        };
        self.socket = Socket::Registered(TcpStream::from_std(socket.into())?);
        Ok(())
    }

    fn shutdown(&self) -> io::Result<()> {
        let socket = match &self.socket {
            Socket::Fresh(socket) => socket.as_fd(),
            Socket::Registered(stream) => stream.as_fd(),
            Socket::Gone => return Err(io::ErrorKind::NotConnected.into()),
        };
        Ok(rustix::net::shutdown(socket, rustix::net::Shutdown::Write)?)
    }

    fn received(&self, count: usize) {
        self.entry.arrived(self.registry.now());
        self.entry.bytes_in.set(self.entry.bytes_in.get() + count as u64);
        self.entry.lane.counters.bytes_in.add(count as u64);
    }

    fn sent(&self, count: usize) {
        self.entry.bytes_out.set(self.entry.bytes_out.get() + count as u64);
        self.entry.lane.counters.bytes_out.add(count as u64);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.registry.remove(self.key);
        self.entry.lane.counters.closed.add(1);
    }
}

/// Whether a request was answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It was.
    Yes,
    /// It was not.
    No,
}

/// One wait: when it is over, what is then said, and which phase of stopping ends it early.
#[derive(Clone, Copy)]
struct Wait {
    due: Tick,
    kind: Deadline,
    until: Phase,
}

/// Looks whether the peer has closed, without taking bytes: true at the end of the stream when nothing is left to read, or
/// when the kernel says so by POLLRDHUP though bytes are left.
fn peer_has_closed(stream: &TcpStream) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut polled = [PollFd::new(stream, PollFlags::RDHUP)];
    poll(&mut polled, Some(&Timespec::default()))?;
    Ok(polled[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR))
}

#[cfg(test)]
mod tests;
