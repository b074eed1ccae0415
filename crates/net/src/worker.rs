//! Worker threads: each accepts on its own sockets and serves what it accepts on one single-threaded event loop.
//!
//! A panic in one connection's code ends that connection. A worker that dies is started again on the same sockets, which
//! belong to the process. What it accepts is in `accept`, how its channels change while it runs in `renew`.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tokio::time::timeout;
use tracing::error;

use crate::accept::{Accepted, Acceptor};
use crate::ban::Bans;
use crate::connection::Connection;
use crate::counters::WorkerCounters;
use crate::lane::Lane;
use crate::limit::Limit;
use crate::listener::Listener;
use crate::port::Port;
use crate::registry::{ConnectionReport, Phase, Registry};
use crate::renew::Ports;

/// Serves connections. One value per worker, made on the worker's own thread, so it need not be `Send`.
pub trait Serve: 'static {
    /// Serves one connection until it ends.
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + 'static;

    /// The channels are other ones, or changed: [`Workers::renew`] has swapped what services are made from. Connections that are
    /// open live on.
    fn renew(&self) {}
}

/// All workers. Cloning gives another handle to the same ones.
#[derive(Clone)]
pub struct Workers(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) ports: Mutex<Ports>,
    pub(crate) limit: Arc<Limit>,
    pub(crate) inboxes: Vec<mpsc::Sender<Order>>,
    pub(crate) loads: Vec<Load>,
    counters: Vec<Arc<WorkerCounters>>,
    pub(crate) next_id: AtomicU64,
    /// Whether no worker is to accept any more, not even one that is started again.
    is_draining: AtomicBool,
}

impl Shared {
    pub(crate) fn ports(&self) -> MutexGuard<'_, Ports> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a worker has to do, as the others see it.
#[derive(Default)]
pub(crate) struct Load {
    counters: Arc<WorkerCounters>,
    /// Those that were handed to it and wait for it: without them all others would give to whoever is slow to wake.
    pub(crate) handed: AtomicUsize,
}

impl Load {
    fn connections(&self) -> usize {
        let open = self.counters.open.load(Ordering::Relaxed);
        open.saturating_add(self.handed.load(Ordering::Relaxed))
    }
}

/// What may be said to a worker.
pub(crate) enum Order {
    /// Serve a connection that another worker accepted.
    Adopt(Box<Accepted>),
    Report(usize, oneshot::Sender<Vec<ConnectionReport>>),
    Kill(u64, oneshot::Sender<bool>),
    /// Make ready to accept: for each channel to come, by its number, the port whose sockets it will listen on.
    Prepare(Vec<(usize, Arc<Port>)>, oneshot::Sender<io::Result<()>>),
    /// The ports are other ones, or changed.
    Renew(oneshot::Sender<io::Result<()>>),
    /// Accept no more, finish what is in flight, then end.
    Drain,
    /// The grace is over.
    Over,
    /// A part of the worker that must live has died.
    Died,
}

/// Orders that may wait for a worker; a sender beyond waits in its turn.
const INBOX: usize = 1024;

impl Workers {
    /// The list of bans, which every channel looks at.
    pub fn bans(&self) -> &Bans {
        self.0.limit.bans()
    }

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
        let (inboxes, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(INBOX)).unzip();
        let counters: Vec<Arc<WorkerCounters>> = (0..count).map(|_| Arc::default()).collect();
        let load = |counters: &Arc<WorkerCounters>| Load { counters: Arc::clone(counters), ..Load::default() };
        let limit = Arc::new(limit);
        let workers = Self(Arc::new(Shared {
            ports: Mutex::new(Ports::of(listeners, &limit)),
            limit,
            inboxes,
            loads: counters.iter().map(load).collect(),
            counters,
            next_id: AtomicU64::new(1),
            is_draining: AtomicBool::new(false),
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
        self.0.is_draining.store(true, Ordering::Release);
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
    pub(crate) fn less_loaded(&self, than: usize, load: usize) -> Option<usize> {
        let (index, least) = (self.0.loads.iter().enumerate())
            .filter(|(index, _)| *index != than)
            .map(|(index, load)| (index, load.connections()))
            .min_by_key(|(_, load)| *load)?;
        (load >= least + 4 + least / 8).then_some(index)
    }
}

/// How long a worker may take to answer; one that takes longer is stuck, on a dead disk perhaps.
pub(crate) const ANSWER: Duration = Duration::from_secs(1);

/// Asks one worker; `None` when it has ended.
pub(crate) async fn ask<T>(inbox: &mpsc::Sender<Order>, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
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
        let Some(counters) = workers.0.counters.get(index) else { return Ok(()) };
        let worker = Worker {
            workers: workers.clone(),
            registry: Rc::new(Registry::new(index, Arc::clone(counters))),
            service: make(workers, index),
            lanes: RefCell::default(),
            acceptors: RefCell::default(),
            prepared: RefCell::default(),
        };
        Rc::new(worker).work(inbox).await
    });
    // Nothing may wait for a blocking task at the end: each one is bounded, and owns what it uses.
    runtime.shutdown_background();
    result
}

/// Threads per worker for what must not run on its loop (opening and reading cold files).
const BLOCKING_THREADS: usize = 4;

pub(crate) struct Worker<S> {
    pub(crate) workers: Workers,
    pub(crate) registry: Rc<Registry>,
    pub(crate) service: S,
    /// Those it accepts on, and those that have connections.
    pub(crate) lanes: RefCell<Vec<Rc<Lane>>>,
    pub(crate) acceptors: RefCell<Vec<Acceptor>>,
    /// Sockets of channels to come, by the channel's number.
    pub(crate) prepared: RefCell<Vec<(usize, Rc<AsyncFd<OwnedFd>>)>>,
}

impl<S: Serve> Worker<S> {
    async fn work(self: Rc<Self>, inbox: &mut mpsc::Receiver<Order>) -> io::Result<()> {
        self.vital(Rc::clone(&self.registry).sweep_on());
        self.workers.0.ports().close_past(self.registry.worker);
        if self.workers.0.is_draining.load(Ordering::Acquire) {
            // The one before died of it, and its connections with it.
            self.drain().await;
        } else {
            self.accept_new()?;
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
                    self.adopt(*accepted).await?;
                }
                Order::Report(most, answer) => {
                    let _ = answer.send(self.registry.report(most));
                }
                Order::Kill(id, answer) => {
                    let _ = answer.send(self.registry.kill(id));
                }
                Order::Prepare(ports, answer) => {
                    let _ = answer.send(self.prepare(&ports));
                }
                Order::Renew(answer) => {
                    self.renew().await?;
                    let _ = answer.send(Ok(()));
                }
                Order::Drain => self.drain().await,
                Order::Over => self.registry.enter(Phase::Over),
                Order::Died => panic!("a vital task of the worker died"),
            }
        }
    }

    async fn drain(&self) {
        let acceptors = self.acceptors.take();
        for acceptor in acceptors {
            acceptor.stop(self).await;
        }
        self.prepared.take();
        self.workers.0.ports().close(self.registry.worker);
        self.registry.enter(Phase::Draining);
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

    /// Runs a task without which the worker must not go on.
    pub(crate) fn vital(&self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
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
}
