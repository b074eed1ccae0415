//! Accepting: on its own sockets a worker takes who comes, as far as there are places, and gives some to workers that have less
//! to do.
//!
//! Bounded by: [`Limit`](crate::limit::Limit) before accept and straight after; [`BackOff`] where the kernel has nothing to
//! accept with.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, spawn_local};
use tracing::{debug, warn};

use crate::channel::Channel;
use crate::connection::{Connection, UNIX_PEER};
use crate::lane::Lane;
use crate::limit::{Permit, SourcePermit};
use crate::port::Port;
use crate::worker::{Order, Serve, Worker};

/// A connection that no worker serves yet.
pub(crate) struct Accepted {
    socket: OwnedFd,
    peer: SocketAddr,
    pub(crate) port: Arc<Port>,
    permits: (Permit, SourcePermit),
}

impl<S: Serve> Worker<S> {
    /// Begins to accept on a lane; `socket` is this worker's, registered with its loop.
    pub(crate) fn accept_on(self: &Rc<Self>, lane: &Rc<Lane>, socket: Rc<AsyncFd<OwnedFd>>) -> Acceptor {
        let task = self.vital(Rc::clone(self).accept(Rc::clone(&socket), Rc::clone(lane)));
        Acceptor { lane: Rc::clone(lane), socket, task }
    }

    async fn accept(self: Rc<Self>, socket: Rc<AsyncFd<OwnedFd>>, lane: Rc<Lane>) {
        let mut back_off = BackOff::default();
        loop {
            // The permit is taken before accept, but only when there is somebody to accept: an idle worker holds none that
            // another one needs.
            let Ok(mut ready) = socket.readable().await else { return };
            let Some(permit) = lane.port.limit.admit().await else { return };
            match ready.try_io(|socket| accept_one(socket.get_ref())) {
                Ok(Ok(accepted)) => {
                    back_off = BackOff::default();
                    if let Some(accepted) = self.admit(accepted, permit, &lane) {
                        self.place(accepted);
                    }
                }
                Ok(Err(error)) => {
                    drop((ready, permit));
                    back_off.after(&error, &lane.channel()).await;
                }
                Err(_would_block) => {}
            }
        }
    }

    /// Counts a connection against its source.
    fn admit(&self, (socket, peer): (OwnedFd, SocketAddr), permit: Permit, lane: &Lane) -> Option<Accepted> {
        let Some(source) = self.workers.0.limit.source(peer.ip()) else {
            debug!(channel = lane.channel().name, %peer, "refused: its source holds too many connections, or is banned");
            lane.counters.refused.add(1);
            return None;
        };
        Some(Accepted { socket, peer, port: Arc::clone(&lane.port), permits: (permit, source) })
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

    /// Serves a connection here.
    pub(crate) fn serve(&self, accepted: Accepted) {
        let Accepted { socket, peer, port, permits } = accepted;
        let id = self.workers.0.next_id.fetch_add(1, Ordering::Relaxed);
        let connection = Connection::new(socket, id, peer, self.lane(&port), Rc::clone(&self.registry), permits);
        spawn_local(self.service.serve(connection));
    }
}

/// One lane's accepting task.
pub(crate) struct Acceptor {
    pub(crate) lane: Rc<Lane>,
    socket: Rc<AsyncFd<OwnedFd>>,
    task: AbortHandle,
}

impl Acceptor {
    /// Ends accepting without resetting whoever the kernel has queued already: they are served, as far as there are places, unless
    /// another channel accepts them on the same socket.
    pub(crate) async fn stop<S: Serve>(self, worker: &Worker<S>) {
        self.task.abort();
        // The aborted task gives back a permit it may hold.
        tokio::task::yield_now().await;
        if self.lane.port.is_taken_over() {
            return;
        }
        while let Some(permit) = self.lane.port.limit.admit_now() {
            let Ok(accepted) = accept_one(self.socket.get_ref()) else { return };
            if let Some(accepted) = worker.admit(accepted, permit, &self.lane) {
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
