//! Other channels while the server runs: some are added, some are taken away, some change.
//!
//! In two steps. First every worker makes ready to accept on what is new, which may fail; then nothing has happened. Then the
//! table of ports is replaced at once, and each worker makes what it does agree with the table, however often it is told and in
//! whatever state it is: so a worker that dies in between comes up with the new channels too.
//!
//! Knows nothing of what is served. Bounded by: [`PATIENCE`] for each step of each worker.

use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use thiserror::Error;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;
use tracing::warn;

use crate::accept::{Accepted, Acceptor};
use crate::channel::Channel;
use crate::counters::{ChannelCounters, WorkerCounters};
use crate::lane::Lane;
use crate::limit::Limit;
use crate::listener::Listener;
use crate::port::Port;
use crate::registry::Phase;
use crate::sys;
use crate::worker::{Order, Serve, Worker, Workers, ask};

/// One channel from now on.
#[derive(Debug)]
pub enum Next {
    /// The one of this number, on its sockets, with these settings. Its connections live on.
    Kept(Channel),
    /// A new one on the sockets of the one of the number `from`, which is taken away.
    TakenOver {
        /// That one's number.
        from: usize,
        /// The new one.
        channel: Channel,
    },
    /// A new one on sockets of its own.
    New(Listener),
}

/// Why there are no other channels; all is as it was.
#[derive(Debug, Error)]
pub enum RenewError {
    /// A worker cannot accept on a new channel.
    #[error("worker-{0} cannot listen on a new channel")]
    Worker(usize, #[source] io::Error),
    /// A worker does not answer.
    #[error("worker-{0} does not answer")]
    Stuck(usize),
    /// The workers end.
    #[error("the server stops")]
    Stopping,
    /// There is no channel of this number.
    #[error("there is no channel {0} to keep")]
    Unknown(usize),
}

/// How long a worker may take for one step.
const PATIENCE: Duration = Duration::from_secs(5);

/// All ports of the process.
pub(crate) struct Ports {
    /// Those of the server's channels, in the order people see them.
    now: Vec<Arc<Port>>,
    /// Those that were taken away and may still have connections.
    past: Vec<Arc<Port>>,
}

impl Ports {
    pub(crate) fn of(listeners: Vec<Listener>, limit: &Arc<Limit>) -> Self {
        let port = |listener| Arc::new(Port::of(listener, limit));
        Self { now: listeners.into_iter().map(port).collect(), past: Vec::new() }
    }

    /// Closes the process's descriptors of a worker's sockets.
    pub(crate) fn close(&self, worker: usize) {
        self.now.iter().chain(&self.past).for_each(|port| port.close(worker));
    }

    /// Closes them for the ports that were taken away: a worker that died may have left them open, and nobody accepts on them.
    pub(crate) fn close_past(&self, worker: usize) {
        self.past.iter().for_each(|port| port.close(worker));
    }

    fn holds(&self, port: &Arc<Port>) -> bool {
        self.now.iter().any(|now| Arc::ptr_eq(now, port))
    }

    fn find(&self, index: usize) -> Option<&Arc<Port>> {
        self.now.iter().find(|port| port.index == index)
    }

    /// Puts others in the place of those of now.
    fn replace(&mut self, now: Vec<Arc<Port>>) {
        let before = mem::replace(&mut self.now, now);
        let gone: Vec<_> = before.into_iter().filter(|port| !self.holds(port)).collect();
        self.past.extend(gone);
    }

    /// Forgets those that are no more; what was counted on them stays with the workers.
    fn forget(&mut self, workers: &[Arc<WorkerCounters>]) {
        // Whoever is the last to hold one cannot have a connection on it, and there is none on its way.
        let (left, over): (Vec<_>, Vec<_>) =
            mem::take(&mut self.past).into_iter().partition(|port| Arc::strong_count(port) > 1 || port.open() > 0);
        self.past = left;
        for port in over {
            for (worker, counters) in workers.iter().zip(&port.counters) {
                worker.past_requests.fetch_add(counters.requests.total(), Ordering::Relaxed);
            }
        }
    }
}

/// One channel and what was counted on it.
pub struct ChannelReport {
    /// The channel, with the address it really has.
    pub channel: Arc<Channel>,
    counters: Vec<Arc<ChannelCounters>>,
}

impl ChannelReport {
    /// The sum over all workers.
    pub fn sum(&self, count: impl Fn(&ChannelCounters) -> u64) -> u64 {
        self.counters.iter().map(|counters| count(counters)).sum()
    }
}

impl Workers {
    /// The channels of now, with the ports they really have, and what was counted on them.
    pub fn channels(&self) -> Vec<ChannelReport> {
        let report = |port: &Arc<Port>| ChannelReport { channel: port.channel(), counters: port.counters.clone() };
        self.0.ports().now.iter().map(report).collect()
    }

    /// Requests that a worker has answered.
    pub fn requests(&self, worker: usize) -> u64 {
        let mut ports = self.0.ports();
        ports.forget(self.counters());
        let counted = ports.now.iter().chain(&ports.past).filter_map(|port| port.counters.get(worker));
        let past = self.counters().get(worker).map_or(0, |own| own.past_requests.load(Ordering::Relaxed));
        counted.map(|counters| counters.requests.total()).sum::<u64>().saturating_add(past)
    }

    /// From now on there are the channels `next`, and bounds of `all` connections and `per_source`. `swap` is called when nothing
    /// can fail any more, before any worker is told: it puts in place what [`Serve::renew`] makes services from.
    ///
    /// Connections of channels that are no more finish the request they are in and end. Dropping the future before `swap` was
    /// called leaves all as it was, later the workers are told one after the other and some may not be.
    ///
    /// # Errors
    /// When a worker cannot listen on what is new; then nothing has changed.
    pub async fn renew(
        &self,
        next: Vec<Next>,
        (all, per_source): (usize, usize),
        swap: impl FnOnce(),
    ) -> Result<(), RenewError> {
        let made = self.make(next)?;
        if let Err(error) = self.prepare(&made).await {
            for inbox in &self.0.inboxes {
                // Nothing is to be listened on: what was made ready is given up.
                let _ = timeout(PATIENCE, ask(inbox, |answer| Order::Prepare(Vec::new(), answer))).await;
            }
            return Err(error);
        }
        {
            let mut ports = self.0.ports();
            swap();
            let now = made.into_iter().map(Made::put).collect();
            ports.replace(now);
            ports.forget(self.counters());
            self.0.limit.set(all, per_source);
        }
        for (worker, inbox) in self.0.inboxes.iter().enumerate() {
            if timeout(PATIENCE, ask(inbox, Order::Renew)).await.is_err() {
                warn!(worker, "a worker is slow to take over other channels; it will when it comes to it");
            }
        }
        Ok(())
    }

    /// Finds the ports that are kept and makes those that are new.
    fn make(&self, next: Vec<Next>) -> Result<Vec<Made>, RenewError> {
        let ports = self.0.ports();
        let find = |index| ports.find(index).cloned().ok_or(RenewError::Unknown(index));
        let make = |next| {
            Ok(match next {
                Next::Kept(channel) => Made::Kept(find(channel.index)?, channel),
                Next::TakenOver { from, channel } => Made::TakenOver(find(from)?, channel),
                Next::New(listener) => Made::New(Arc::new(Port::of(listener, &self.0.limit))),
            })
        };
        next.into_iter().map(make).collect()
    }

    async fn prepare(&self, made: &[Made]) -> Result<(), RenewError> {
        let new: Vec<_> = made.iter().filter_map(Made::listens_on).collect();
        for (worker, inbox) in self.0.inboxes.iter().enumerate() {
            let asked = ask(inbox, |answer| Order::Prepare(new.clone(), answer));
            match timeout(PATIENCE, asked).await {
                Ok(Some(Ok(()))) => {}
                Ok(Some(Err(error))) => return Err(RenewError::Worker(worker, error)),
                Ok(None) => return Err(RenewError::Stopping),
                Err(_) => return Err(RenewError::Stuck(worker)),
            }
        }
        Ok(())
    }
}

/// One channel to come.
enum Made {
    Kept(Arc<Port>, Channel),
    TakenOver(Arc<Port>, Channel),
    New(Arc<Port>),
}

impl Made {
    /// Its number and the port whose sockets it will listen on, where a worker must make ready.
    fn listens_on(&self) -> Option<(usize, Arc<Port>)> {
        match self {
            Self::Kept(..) => None,
            Self::TakenOver(from, channel) => Some((channel.index, Arc::clone(from))),
            Self::New(port) => Some((port.index, Arc::clone(port))),
        }
    }

    /// Its port, from now on.
    fn put(self) -> Arc<Port> {
        match self {
            Self::Kept(port, channel) => {
                port.change(channel);
                port
            }
            Self::TakenOver(from, channel) => Arc::new(from.taken_over(channel)),
            Self::New(port) => port,
        }
    }
}

impl<S: Serve> Worker<S> {
    /// Registers the sockets of channels to come with this loop, in place of those that were made ready before.
    pub(crate) fn prepare(&self, ports: &[(usize, Arc<Port>)]) -> io::Result<()> {
        self.prepared.take();
        if self.registry.phase() != Phase::Serving {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let ready = |(index, port): &(usize, Arc<Port>)| Ok((*index, self.watch(port)?));
        let ready: io::Result<Vec<_>> = ports.iter().map(ready).collect();
        self.prepared.replace(ready?);
        Ok(())
    }

    /// Makes what this worker does agree with the table of ports.
    pub(crate) async fn renew(self: &Rc<Self>) -> io::Result<()> {
        if self.registry.phase() != Phase::Serving {
            return Ok(());
        }
        self.service.renew();
        let now = self.workers.0.ports().now.clone();
        let is_now = |lane: &Rc<Lane>| now.iter().any(|port| Arc::ptr_eq(port, &lane.port));
        let (stay, gone): (Vec<Acceptor>, Vec<_>) =
            self.acceptors.take().into_iter().partition(|acceptor| is_now(&acceptor.lane));
        self.acceptors.replace(stay);
        for acceptor in gone {
            let lane = Rc::clone(&acceptor.lane);
            acceptor.stop(self).await;
            lane.port.close(self.registry.worker);
            self.registry.enter_lane(&lane, Phase::Draining);
        }
        self.lanes.borrow().iter().filter(|lane| is_now(lane)).for_each(|lane| lane.change());
        let result = self.accept_new();
        self.prepared.take();
        // Those that are in nobody else's hands have no connection.
        self.lanes.borrow_mut().retain(|lane| Rc::strong_count(lane) > 1);
        result
    }

    /// Accepts on those ports of the table on which it does not yet.
    pub(crate) fn accept_new(self: &Rc<Self>) -> io::Result<()> {
        let now = self.workers.0.ports().now.clone();
        for port in &now {
            let accepts = |acceptor: &Acceptor| Arc::ptr_eq(&acceptor.lane.port, port);
            if self.acceptors.borrow().iter().any(accepts) {
                continue;
            }
            let ready = |(index, _): &mut (usize, Rc<AsyncFd<OwnedFd>>)| *index == port.index;
            let prepared = self.prepared.borrow_mut().extract_if(.., ready).next();
            let socket = prepared.map_or_else(|| self.watch(port), |(_, socket)| Ok(socket))?;
            let acceptor = self.accept_on(&self.lane(port), socket);
            self.acceptors.borrow_mut().push(acceptor);
        }
        Ok(())
    }

    /// Serves a connection that another worker accepted, perhaps on a channel that this one has not heard of yet.
    pub(crate) async fn adopt(self: &Rc<Self>, accepted: Accepted) -> io::Result<()> {
        let is_known = self.lanes.borrow().iter().any(|lane| Arc::ptr_eq(&lane.port, &accepted.port));
        if !is_known && self.workers.0.ports().holds(&accepted.port) {
            self.renew().await?;
        }
        self.serve(accepted);
        Ok(())
    }

    /// This worker's lane of a port.
    pub(crate) fn lane(&self, port: &Arc<Port>) -> Rc<Lane> {
        let mut lanes = self.lanes.borrow_mut();
        if let Some(lane) = lanes.iter().find(|lane| Arc::ptr_eq(&lane.port, port)) {
            return Rc::clone(lane);
        }
        let lane = Rc::new(Lane::new(port, self.registry.worker));
        if !self.workers.0.ports().holds(port) {
            lane.enter(Phase::Draining);
        }
        lanes.push(Rc::clone(&lane));
        lane
    }

    fn watch(&self, port: &Port) -> io::Result<Rc<AsyncFd<OwnedFd>>> {
        Ok(Rc::new(sys::watch(port.socket(self.registry.worker)?)?))
    }
}
