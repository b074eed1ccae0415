//! A channel as the process holds it: its listening sockets, its bound, and what each worker counts on it.
//!
//! It outlives its place among the server's channels: when a reload takes a channel away, its port lives on, without sockets,
//! until its last connection has ended. What a reload changes of a channel is swapped here and taken over by each worker when
//! it is told. Bounded by: one socket for each worker.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, mem};

use crate::channel::Channel;
use crate::counters::ChannelCounters;
use crate::limit::{ChannelLimit, Limit};
use crate::listener::{Listener, defer_accept};
use crate::socket_file::SocketFile;

/// One channel's port, shared by all workers.
pub(crate) struct Port {
    /// The channel's.
    pub(crate) index: usize,
    pub(crate) limit: Arc<ChannelLimit>,
    /// By worker.
    pub(crate) counters: Vec<Arc<ChannelCounters>>,
    channel: Mutex<Arc<Channel>>,
    sockets: Mutex<Sockets>,
    /// Whether another channel listens on its sockets now.
    is_taken_over: AtomicBool,
}

/// The process's own listening sockets of a port.
#[derive(Default)]
struct Sockets {
    /// By worker; closed ones are gone.
    by_worker: Vec<Option<OwnedFd>>,
    /// That of a Unix socket; removed when the last worker has closed its socket.
    file: Option<SocketFile>,
}

impl Port {
    pub(crate) fn of(listener: Listener, limit: &Arc<Limit>) -> Self {
        let Listener { channel, sockets, file } = listener;
        let by_worker: Vec<_> = sockets.into_iter().map(Some).collect();
        Self::new(channel, by_worker.len(), limit, Sockets { by_worker, file })
    }

    /// The port of a channel whose connections come from elsewhere than a socket of this process.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn without_sockets(channel: Channel, limit: &Arc<Limit>) -> Self {
        Self::new(Arc::new(channel), 1, limit, Sockets::default())
    }

    fn new(channel: Arc<Channel>, workers: usize, limit: &Arc<Limit>, sockets: Sockets) -> Self {
        Self {
            index: channel.index,
            limit: Arc::new(ChannelLimit::new(channel.most_connections, limit)),
            counters: (0..workers).map(|_| Arc::default()).collect(),
            channel: Mutex::new(channel),
            sockets: Mutex::new(sockets),
            is_taken_over: AtomicBool::new(false),
        }
    }

    /// The channel as it is now.
    pub(crate) fn channel(&self) -> Arc<Channel> {
        Arc::clone(&self.channel.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on the channel is as `channel` says: all but its number and where it listens.
    pub(crate) fn change(&self, channel: Channel) {
        let mut now = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = Channel { index: self.index, address: now.address, ..channel };
        if **now == channel {
            return;
        }
        self.limit.set(channel.most_connections);
        self.sockets().adjust(&channel);
        *now = Arc::new(channel);
    }

    /// A port on the sockets of this one, which has none from then on.
    pub(crate) fn taken_over(&self, channel: Channel) -> Self {
        let sockets = mem::take(&mut *self.sockets());
        sockets.adjust(&channel);
        let channel = Channel { address: self.channel().address, ..channel };
        self.is_taken_over.store(true, Ordering::Release);
        Self::new(Arc::new(channel), self.counters.len(), self.limit.whole(), sockets)
    }

    /// Whether whoever is queued on its sockets is another port's.
    pub(crate) fn is_taken_over(&self) -> bool {
        self.is_taken_over.load(Ordering::Acquire)
    }

    /// A descriptor of a worker's own for its socket.
    pub(crate) fn socket(&self, worker: usize) -> io::Result<OwnedFd> {
        let sockets = self.sockets();
        let own = sockets.by_worker.get(worker).and_then(Option::as_ref).ok_or(io::ErrorKind::NotConnected)?;
        own.try_clone()
    }

    /// Closes the process's descriptor of a worker's socket; the worker has closed its own.
    pub(crate) fn close(&self, worker: usize) {
        let mut sockets = self.sockets();
        if let Some(own) = sockets.by_worker.get_mut(worker) {
            own.take();
        }
        if sockets.by_worker.iter().all(Option::is_none) {
            sockets.file.take();
        }
    }

    /// Connections that are open on it.
    pub(crate) fn open(&self) -> u64 {
        let open = |counters: &Arc<ChannelCounters>| counters.accepted.total().saturating_sub(counters.closed.total());
        self.counters.iter().map(open).sum()
    }

    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sockets {
    /// Gives listening sockets what a channel wants of them.
    fn adjust(&self, channel: &Channel) {
        if self.file.is_some() {
            return;
        }
        for socket in self.by_worker.iter().flatten() {
            // They listen already: this changes the length of the queue alone.
            if let Err(error) = rustix::net::listen(socket, channel.backlog) {
                tracing::warn!(channel = channel.name, %error, "cannot change the backlog");
            }
            defer_accept(socket.as_raw_fd(), channel.speaker);
        }
    }
}
