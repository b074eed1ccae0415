//! Worker threads: each accepts on its own sockets and serves what it accepts on one single-threaded event loop.
//!
//! A panic in one connection's code ends that connection. A worker that dies is started again on the same sockets, which
//! belong to the process.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tokio::time::timeout;
use tracing::{debug, error, warn};

use crate::channel::Channel;
use crate::connection::{Connection, UNIX_PEER};
use crate::counters::WorkerCounters;
use crate::limit::{Limit, Permit, SourcePermit};
use crate::listener::Listener;
use crate::registry::{ConnectionReport, Phase, Registry};
use crate::socket_file::SocketFile;
use crate::sys;

/// Serves connections. One value per worker, made on the worker's own thread, so it need not be `Send`.
pub trait Serve: 'static {
    /// Serves one connection until it ends.
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + 'static;
}

/// All workers. Cloning gives another handle to the same ones.
#[derive(Clone)]
pub struct Workers(Arc<Shared>);

struct Shared {
    channels: Vec<Arc<Channel>>,
    sockets: Mutex<Sockets>,
    limit: Arc<Limit>,
    inboxes: Vec<mpsc::Sender<Order>>,
    loads: Vec<Load>,
    counters: Vec<Arc<WorkerCounters>>,
    next_id: AtomicU64,
}

/// What a worker has to do, as the others see it.
#[derive(Default)]
struct Load {
    /// Its open connections.
    open: Arc<AtomicUsize>,
    /// Those that were handed to it and wait for it: without them all others would give to whoever is slow to wake.
    handed: AtomicUsize,
}

impl Load {
    fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed).saturating_add(self.handed.load(Ordering::Relaxed))
    }
}

/// The process's own listening sockets.
struct Sockets {
    /// By worker, then by channel; emptied when the server stops.
    by_worker: Vec<Vec<OwnedFd>>,
    /// Those of Unix sockets; removed when the last worker has closed its sockets.
    files: Vec<SocketFile>,
}

impl Sockets {
    fn of(count: usize, listeners: Vec<Listener>) -> Self {
        let mut all = Self { by_worker: (0..count).map(|_| Vec::new()).collect(), files: Vec::new() };
        for listener in listeners {
            for (of_worker, socket) in all.by_worker.iter_mut().zip(listener.sockets) {
                of_worker.push(socket);
            }
            all.files.extend(listener.file);
        }
        all
    }

    fn close(&mut self, worker: usize) {
        if let Some(own) = self.by_worker.get_mut(worker) {
            own.clear();
        }
        if self.by_worker.iter().all(Vec::is_empty) {
            self.files.clear();
        }
    }
}

/// What may be said to a worker.
enum Order {
    /// Serve a connection that another worker accepted.
    Adopt(Box<Accepted>),
    Report(usize, oneshot::Sender<Vec<ConnectionReport>>),
    Kill(u64, oneshot::Sender<bool>),
    /// Accept no more, finish what is in flight, then end.
    Drain,
    /// The grace is over.
    Over,
    /// A part of the worker that must live has died.
    Died,
}

struct Accepted {
    socket: OwnedFd,
    peer: SocketAddr,
    channel: Arc<Channel>,
    permits: (Permit, SourcePermit),
}

/// Orders that may wait for a worker; a sender beyond waits in its turn.
const INBOX: usize = 1024;

impl Workers {
    /// Starts one worker thread per socket of each listener; `make` is called on each thread with the worker's number.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start<S: Serve>(
        listeners: Vec<Listener>,
        limit: Limit,
        make: impl Fn(&Workers, usize) -> S + Send + Sync + 'static,
    ) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
        let count = listeners.iter().map(|listener| listener.sockets.len()).min().unwrap_or(0);
        let channels: Vec<_> = listeners.iter().map(|listener| Arc::clone(&listener.channel)).collect();
        let (inboxes, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(INBOX)).unzip();
        let workers = Self(Arc::new(Shared {
            sockets: Mutex::new(Sockets::of(count, listeners)),
            limit: Arc::new(limit),
            inboxes,
            loads: (0..count).map(|_| Load::default()).collect(),
            counters: (0..count).map(|_| Arc::new(WorkerCounters::new(channels.len()))).collect(),
            channels,
            next_id: AtomicU64::new(1),
        }));
        let make = Arc::new(make);
        let mut threads = Vec::new();
        for (index, inbox) in receivers.into_iter().enumerate() {
            let (workers, make) = (workers.clone(), Arc::clone(&make));
            let thread = thread::Builder::new().name(format!("worker-{index}"));
            threads.push(thread.spawn(move || live(&workers, index, inbox, &*make))?);
        }
        Ok((workers, threads))
    }

    /// The channels, with the ports they really have.
    pub fn channels(&self) -> &[Arc<Channel>] {
        &self.0.channels
    }

    /// What each worker counts.
    pub fn counters(&self) -> &[Arc<WorkerCounters>] {
        &self.0.counters
    }

    /// Completes when every worker runs its loop, so that whoever connects now is served.
    pub async fn started(&self) {
        for inbox in &self.0.inboxes {
            ask(inbox, |answer| Order::Report(0, answer)).await;
        }
    }

    /// The oldest `most` open connections of each worker; none of a worker that does not answer within [`ANSWER`].
    pub async fn report(&self, most: usize) -> Vec<ConnectionReport> {
        let mut all = Vec::new();
        for inbox in &self.0.inboxes {
            let asked = timeout(ANSWER, ask(inbox, |answer| Order::Report(most, answer)));
            all.extend(asked.await.ok().flatten().unwrap_or_default());
        }
        all.sort_unstable_by_key(|report| report.id);
        all
    }

    /// Closes the connection `id`; `false` when there is none.
    pub async fn kill(&self, id: u64) -> bool {
        for inbox in &self.0.inboxes {
            let asked = timeout(ANSWER, ask(inbox, |answer| Order::Kill(id, answer)));
            if asked.await.ok().flatten() == Some(true) {
                return true;
            }
        }
        false
    }

    /// Accepts no more; connections finish the request they are in. The threads end when the last one is closed.
    pub async fn drain(&self) {
        self.tell(|| Order::Drain).await;
    }

    /// Ends the grace: whoever still waits for a peer is told that the server stops.
    pub async fn end_grace(&self) {
        self.tell(|| Order::Over).await;
    }

    async fn tell(&self, order: impl Fn() -> Order) {
        for inbox in &self.0.inboxes {
            // A worker that has ended already needs no telling; one that is stuck must not keep the others waiting.
            let _ = timeout(ANSWER, inbox.send(order())).await;
        }
    }

    /// A worker with clearly fewer connections than `load`, if there is one. "Clearly": handing over costs a wake-up.
    fn less_loaded(&self, than: usize, load: usize) -> Option<usize> {
        let (index, least) = (self.0.loads.iter().enumerate())
            .filter(|(index, _)| *index != than)
            .map(|(index, load)| (index, load.connections()))
            .min_by_key(|(_, load)| *load)?;
        (load >= least + 4 + least / 8).then_some(index)
    }
}

/// How long a worker may take to answer; one that takes longer is stuck, on a dead disk perhaps.
const ANSWER: Duration = Duration::from_secs(1);

/// Asks one worker; `None` when it has ended.
async fn ask<T>(inbox: &mpsc::Sender<Order>, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    inbox.send(order(answer)).await.ok()?;
    answered.await.ok()
}

/// A worker thread's life, over as many incarnations as it needs.
fn live<S: Serve>(
    workers: &Workers,
    index: usize,
    mut inbox: mpsc::Receiver<Order>,
    make: &impl Fn(&Workers, usize) -> S,
) {
    loop {
        let run = catch_unwind(AssertUnwindSafe(|| run(workers, index, &mut inbox, make)));
        match run {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error!(worker = index, %error, "worker cannot run; starting it again"),
            Err(_) => error!(worker = index, "worker died; starting it again"),
        }
        if let Some(counters) = workers.0.counters.get(index) {
            counters.restarts.add(1);
        }
        // A worker that dies at once must not burn the machine.
        thread::park_timeout(Duration::from_millis(200));
    }
}

fn run<S: Serve>(
    workers: &Workers,
    index: usize,
    inbox: &mut mpsc::Receiver<Order>,
    make: &impl Fn(&Workers, usize) -> S,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name(format!("disk-{index}"))
        .build()?;
    let tasks = LocalSet::new();
    let result = tasks.block_on(&runtime, async {
        let (Some(counters), Some(load)) = (workers.0.counters.get(index), workers.0.loads.get(index)) else {
            return Ok(());
        };
        let registry = Rc::new(Registry::new(index, Arc::clone(counters), Arc::clone(&load.open)));
        let worker = Rc::new(Worker { workers: workers.clone(), registry, service: make(workers, index) });
        worker.work(inbox).await
    });
    // Nothing may wait for a blocking task at the end: each one is bounded, and owns what it uses.
    runtime.shutdown_background();
    result
}

/// Threads per worker for what must not run on its loop (opening and reading cold files).
const BLOCKING_THREADS: usize = 4;

struct Worker<S> {
    workers: Workers,
    registry: Rc<Registry>,
    service: S,
}

impl<S: Serve> Worker<S> {
    async fn work(self: Rc<Self>, inbox: &mut mpsc::Receiver<Order>) -> io::Result<()> {
        self.vital(Rc::clone(&self.registry).sweep_on());
        let mut acceptors = Vec::new();
        for channel in self.workers.channels() {
            acceptors.push(self.acceptor(channel)?);
        }
        loop {
            if self.registry.phase() != Phase::Serving && self.registry.open() == 0 && inbox.is_empty() {
                return Ok(());
            }
            let Some(order) = self.next_order(inbox).await else { continue };
            match order {
                Order::Adopt(accepted) => {
                    if let Some(load) = self.workers.0.loads.get(self.registry.worker) {
                        load.handed.fetch_sub(1, Ordering::Relaxed);
                    }
                    self.serve(*accepted);
                }
                Order::Report(most, answer) => {
                    let _ = answer.send(self.registry.report(most));
                }
                Order::Kill(id, answer) => {
                    let _ = answer.send(self.registry.kill(id));
                }
                Order::Drain => {
                    for acceptor in acceptors.drain(..) {
                        acceptor.stop(&self).await;
                    }
                    let mut sockets = self.workers.0.sockets.lock().unwrap_or_else(PoisonError::into_inner);
                    sockets.close(self.registry.worker);
                    drop(sockets);
                    self.registry.enter(Phase::Draining);
                }
                Order::Over => self.registry.enter(Phase::Over),
                Order::Died => panic!("a vital task of the worker died"),
            }
        }
    }

    /// The next order; `None` when the number of connections or the phase changed, which may mean that all is done.
    async fn next_order(&self, inbox: &mut mpsc::Receiver<Order>) -> Option<Order> {
        if self.registry.phase() == Phase::Serving {
            return inbox.recv().await;
        }
        let mut changed = pin!(self.registry.changed.notified());
        poll_fn(|context| {
            if let Poll::Ready(order) = inbox.poll_recv(context) {
                return Poll::Ready(order);
            }
            changed.as_mut().poll(context).map(|()| None)
        })
        .await
    }

    fn acceptor(self: &Rc<Self>, channel: &Arc<Channel>) -> io::Result<Acceptor> {
        let sockets = self.workers.0.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let own = sockets.by_worker.get(self.registry.worker).and_then(|own| own.get(channel.index));
        let Some(own) = own else { return Err(io::ErrorKind::NotConnected.into()) };
        let socket = Rc::new(sys::watch(own.try_clone()?)?);
        drop(sockets);
        let task = self.vital(Rc::clone(self).accept(Rc::clone(&socket), Arc::clone(channel)));
        Ok(Acceptor { channel: Arc::clone(channel), socket, task })
    }

    /// Runs a task without which the worker must not go on.
    fn vital(&self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        let running = spawn_local(task);
        let abort = running.abort_handle();
        let Some(inbox) = self.workers.0.inboxes.get(self.registry.worker).cloned() else { return abort };
        spawn_local(async move {
            if running.await.is_err_and(|error| error.is_panic()) {
                let _ = inbox.send(Order::Died).await;
            }
        });
        abort
    }

    async fn accept(self: Rc<Self>, socket: Rc<AsyncFd<OwnedFd>>, channel: Arc<Channel>) {
        let mut back_off = BackOff::default();
        loop {
            // The permit is taken before accept, but only when there is somebody to accept: an idle worker holds none that
            // another one needs.
            let Ok(mut ready) = socket.readable().await else { return };
            let Some(permit) = self.workers.0.limit.admit(channel.index).await else { return };
            match ready.try_io(|socket| accept_one(socket.get_ref())) {
                Ok(Ok(accepted)) => {
                    back_off = BackOff::default();
                    if let Some(accepted) = self.admit(accepted, permit, &channel) {
                        self.place(accepted);
                    }
                }
                Ok(Err(error)) => {
                    drop((ready, permit));
                    back_off.after(&error, &channel).await;
                }
                Err(_would_block) => {}
            }
        }
    }

    /// Counts a connection against its source.
    fn admit(&self, (socket, peer): (OwnedFd, SocketAddr), permit: Permit, channel: &Arc<Channel>) -> Option<Accepted> {
        let Some(source) = self.workers.0.limit.source(peer.ip()) else {
            debug!(channel = channel.name, %peer, "refused: its source holds too many connections");
            if let Some(counters) = self.registry.channel(channel.index) {
                counters.refused.add(1);
            }
            return None;
        };
        Some(Accepted { socket, peer, channel: Arc::clone(channel), permits: (permit, source) })
    }

    /// Serves a connection here, or hands it to a worker that has clearly less to do.
    fn place(&self, accepted: Accepted) {
        let other = self.workers.less_loaded(self.registry.worker, self.registry.open());
        let shared = &self.workers.0;
        let Some((inbox, load)) = other.and_then(|other| shared.inboxes.get(other).zip(shared.loads.get(other))) else {
            return self.serve(accepted);
        };
        load.handed.fetch_add(1, Ordering::Relaxed);
        match inbox.try_send(Order::Adopt(Box::new(accepted))) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(order) | mpsc::error::TrySendError::Closed(order)) => {
                load.handed.fetch_sub(1, Ordering::Relaxed);
                if let Order::Adopt(accepted) = order {
                    self.serve(*accepted);
                }
            }
        }
    }

    fn serve(&self, accepted: Accepted) {
        let id = self.workers.0.next_id.fetch_add(1, Ordering::Relaxed);
        let registry = Rc::clone(&self.registry);
        let connection =
            Connection::new(accepted.socket, id, accepted.peer, accepted.channel, registry, accepted.permits);
        spawn_local(self.service.serve(connection));
    }
}

/// One channel's accepting task on one worker.
struct Acceptor {
    channel: Arc<Channel>,
    socket: Rc<AsyncFd<OwnedFd>>,
    task: AbortHandle,
}

impl Acceptor {
    /// Ends accepting without resetting whoever the kernel has queued already: they are served, as far as there are places.
    async fn stop<S: Serve>(self, worker: &Worker<S>) {
        self.task.abort();
        // The aborted task gives back a permit it may hold.
        tokio::task::yield_now().await;
        while let Some(permit) = worker.workers.0.limit.admit_now(self.channel.index) {
            let Ok(accepted) = accept_one(self.socket.get_ref()) else { return };
            if let Some(accepted) = worker.admit(accepted, permit, &self.channel) {
                worker.serve(accepted);
            }
        }
    }
}

/// How long to leave the kernel alone when it has nothing to accept with (EMFILE, ENFILE, ENOBUFS, ENOMEM).
#[derive(Default)]
struct BackOff {
    wait: Duration,
}

impl BackOff {
    const FIRST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_secs(1);

    async fn after(&mut self, error: &io::Error, channel: &Channel) {
        // What can go wrong with the one connection being accepted is that connection's (man 2 accept).
        if error.kind() == io::ErrorKind::ConnectionAborted || error.kind() == io::ErrorKind::Interrupted {
            return;
        }
        if self.wait.is_zero() {
            warn!(channel = channel.name, %error, "cannot accept; waiting");
        }
        self.wait = (self.wait * 2).clamp(Self::FIRST, Self::LONGEST);
        tokio::time::sleep(self.wait).await;
    }
}

fn accept_one(socket: &OwnedFd) -> io::Result<(OwnedFd, SocketAddr)> {
    let (socket, peer) = rustix::net::acceptfrom_with(socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let peer = peer.ok_or(io::ErrorKind::ConnectionAborted)?;
    match SocketAddr::try_from(peer.clone()) {
        Ok(peer) => Ok((socket, peer)),
        Err(_) if peer.address_family() == AddressFamily::UNIX => Ok((socket, UNIX_PEER)),
        Err(_) => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}
