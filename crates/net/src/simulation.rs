//! A worker without a thread, for tests and fuzzing: sessions run on the event loop that asks for it, over socket pairs, and
//! time stands until it is moved.
//!
//! The clock is tokio's: everything here that measures or waits reads it, so ten minutes pass as fast as the sessions can live
//! through them. It is held, for by itself a paused clock leaps to the next timer whenever the loop has nothing to do, also while
//! the disk works; here it moves by [`Client::pass`] alone. Knows no protocol. Not part of the server: Cargo builds it for
//! tests only, with tokio's `test-util`.
//!
//! Bounded by: [`PATIENCE`] of real time for each wait, so that what hangs is told.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::{JoinHandle, LocalSet, spawn_blocking, spawn_local, yield_now};

use crate::channel::{Channel, Speaker};
use crate::connection::{Connection, UNIX_PEER};
use crate::deadline::{Deadlines, TICK};
use crate::lane::Lane;
use crate::limit::Limit;
use crate::port::Port;
use crate::registry::{ConnectionReport, Entry, Phase, Registry};

/// A channel on a loopback address, on a port of the kernel's choice where it is bound.
pub fn channel(speaker: Speaker, deadlines: Deadlines) -> Channel {
    Channel {
        index: 0,
        name: "simulated".into(),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        loopback: true,
        speaker,
        deadlines,
        most_connections: 100,
        backlog: 16,
    }
}

/// One worker and one channel in simulated time.
pub struct Simulation {
    registry: Rc<Registry>,
    lane: Rc<Lane>,
    limit: Arc<Limit>,
    next_id: Cell<u64>,
    /// Time does not move by itself while this lives.
    _held: mpsc::Sender<()>,
}

/// How long anything may take in real time before it is said to hang.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Turns of the loop in which nothing must move before all is taken to have settled.
const STEADY: usize = 6;

/// Runs `act` with a simulation of `channel`, on an event loop and a clock of their own.
///
/// # Panics
/// When the kernel gives no event loop; when `act` does.
pub fn run<T>(channel: Channel, act: impl AsyncFnOnce(&Simulation) -> T) -> T {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no event loop: {error}"));
    LocalSet::new().block_on(&runtime, async { act(&Simulation::new(channel)).await })
}

impl Simulation {
    /// To be made within a `LocalSet` on a single-threaded runtime whose clock is paused.
    pub fn new(channel: Channel) -> Self {
        let (held, release) = mpsc::channel();
        // A paused clock waits for blocking tasks.
        spawn_blocking(move || release.recv());
        let registry = Rc::new(Registry::new(0, Arc::default()));
        spawn_local(Rc::clone(&registry).sweep_on());
        let limit = Arc::new(Limit::new(channel.most_connections, channel.most_connections));
        let lane = Rc::new(Lane::new(&Arc::new(Port::without_sockets(channel, &limit)), 0));
        Self { registry, limit, lane, next_id: Cell::new(1), _held: held }
    }

    /// A client on this machine; `serve` is given the other end.
    ///
    /// # Panics
    /// When the channel has no place left or the kernel no socket pair.
    pub fn connect<F: Future<Output = ()> + 'static>(&self, serve: impl FnOnce(Connection) -> F) -> Client {
        self.connect_from(UNIX_PEER, serve)
    }

    /// A client from an address of one's choice.
    ///
    /// # Panics
    /// As [`Simulation::connect`].
    pub fn connect_from<F: Future<Output = ()> + 'static>(
        &self,
        peer: SocketAddr,
        serve: impl FnOnce(Connection) -> F,
    ) -> Client {
        let (theirs, ours) = pair().unwrap_or_else(|error| panic!("no socket pair: {error}"));
        let permit = self.lane.port.limit.admit_now();
        let Some(permits) = permit.zip(self.limit.source(peer.ip())) else { panic!("no place is left for {peer}") };
        let id = self.next_id.replace(self.next_id.get() + 1);
        let registry = Rc::clone(&self.registry);
        let connection = Connection::new(ours, id, peer, Rc::clone(&self.lane), registry, permits);
        let entry = connection.entry();
        let session = Some(spawn_local(serve(connection)));
        Client { stream: theirs, entry, session, heard: Vec::new(), ear: Ear::Open, is_over: false }
    }

    /// What the worker says of its connections.
    pub fn report(&self) -> Vec<ConnectionReport> {
        self.registry.report(usize::MAX)
    }

    /// Closes a connection from outside; false when there is none.
    pub fn kill(&self, id: u64) -> bool {
        self.registry.kill(id)
    }

    /// The server is asked to stop.
    pub fn drain(&self) {
        self.registry.enter(Phase::Draining);
    }

    /// A reload changes the channel's settings.
    pub fn change(&self, channel: Channel) {
        self.lane.port.change(channel);
        self.lane.change();
    }

    /// A reload takes the channel away.
    pub fn take_away(&self) {
        self.registry.enter_lane(&self.lane, Phase::Draining);
    }

    /// The server's grace is over.
    pub fn end_grace(&self) {
        self.registry.enter(Phase::Over);
    }
}

fn pair() -> io::Result<(UnixStream, OwnedFd)> {
    let (theirs, ours) = UnixStream::pair()?;
    theirs.set_nonblocking(true)?;
    ours.set_nonblocking(true)?;
    Ok((theirs, ours.into()))
}

/// Whether a client reads what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ear {
    Open,
    Shut,
}

/// One client, and the session that serves it.
pub struct Client {
    stream: UnixStream,
    entry: Rc<Entry>,
    /// `None` when it has ended.
    session: Option<JoinHandle<()>>,
    heard: Vec<u8>,
    ear: Ear,
    is_over: bool,
}

impl Client {
    /// Its connection's id.
    pub fn id(&self) -> u64 {
        self.entry.id
    }

    /// Sends all of `bytes`, as far as the session takes them, and lets it do what it does with them. False when it does not
    /// take all, since it has ended or waits until this client reads.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let mut left = bytes.as_ref();
        loop {
            let count = self.send_some(left);
            left = left.get(count..).unwrap_or_default();
            self.settle().await;
            if left.is_empty() || count == 0 {
                return left.is_empty();
            }
        }
    }

    /// Sends what the socket takes at once.
    pub fn send_some(&mut self, bytes: &[u8]) -> usize {
        self.stream.write(bytes).unwrap_or(0)
    }

    /// Says that nothing more will come.
    pub async fn shut_down(&mut self) {
        // The session may be gone already.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.settle().await;
    }

    /// From now on it reads nothing.
    pub fn shut_ear(&mut self) {
        self.ear = Ear::Shut;
    }

    /// It reads again, at most `most` bytes now; how many there were.
    pub fn listen(&mut self, most: usize) -> usize {
        let mut bytes = [0; 16 * 1024];
        let mut total = 0;
        while total < most {
            let room = bytes.len().min(most - total);
            match self.stream.read(&mut bytes[..room]) {
                Ok(0) => self.is_over = true,
                Ok(count) => {
                    self.heard.extend_from_slice(&bytes[..count]);
                    total += count;
                    continue;
                }
                // A reset ends it as well.
                Err(error) => self.is_over |= error.kind() != io::ErrorKind::WouldBlock,
            }
            break;
        }
        total
    }

    /// All that was said to it since it was last asked.
    pub fn heard(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.heard)
    }

    /// Whether the server has said that nothing more will come, and all was read.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether the session that serves it has ended.
    pub fn has_ended(&self) -> bool {
        self.session.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Time passes, tick by tick.
    pub async fn pass(&mut self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(TICK);
            left -= step;
            tokio::time::advance(step).await;
            self.settle().await;
        }
    }

    /// Lets the session work until it waits for this client, sends it a stream without an end, or has ended; no simulated time
    /// passes. What waits for something else for longer than [`PATIENCE`] is left: false.
    ///
    /// # Panics
    /// When the session did.
    pub async fn settle(&mut self) -> bool {
        let began = std::time::Instant::now();
        let mut steady = 0;
        while steady < STEADY {
            let before = self.progress();
            yield_now().await;
            if self.ear == Ear::Open {
                self.listen(usize::MAX);
            }
            let rests = self.has_ended() || self.entry.waits_for_peer();
            steady = if rests && before == self.progress() { steady + 1 } else { 0 };
            if !rests {
                // It waits for another thread, perhaps.
                std::thread::yield_now();
                if began.elapsed() > PATIENCE {
                    return false;
                }
            }
        }
        self.raise().await;
        true
    }

    /// Leaves; returns when the session has ended, and what was said until then.
    ///
    /// # Panics
    /// When the session did, or when it does not end.
    pub async fn leave(mut self) -> Vec<u8> {
        let _ = self.stream.shutdown(Shutdown::Both);
        let began = std::time::Instant::now();
        while !self.has_ended() {
            tokio::time::advance(TICK).await;
            yield_now().await;
            assert!(began.elapsed() < PATIENCE, "the session does not end though its client has left");
        }
        self.raise().await;
        self.heard
    }

    /// A panic of the session is one of the test.
    async fn raise(&mut self) {
        if let Some(session) = self.session.take_if(|session| session.is_finished())
            && let Err(error) = session.await
            && error.is_panic()
        {
            resume_unwind(error.into_panic());
        }
    }

    fn progress(&self) -> (u64, u64, usize, bool) {
        (self.entry.bytes_in.get(), self.entry.bytes_out.get(), self.heard.len(), self.has_ended())
    }
}
