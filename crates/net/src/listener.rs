//! Listening sockets: bound whole or not at all, one per worker, owned by the process.
//!
//! The first socket of a channel is bound *without* `SO_REUSEPORT`: with the option set, a second server of the same user
//! would bind the same port silently and take half of the connections. Once it is ours the option is set on it, and the
//! siblings for the other workers are bound beside it. A Unix socket has no such option: there the workers share one.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use crate::channel::{Channel, Speaker};
use crate::connection::UNIX_PEER;
use crate::socket_file::{PathError, SocketFile};
use crate::sys;

/// One channel's listening sockets, one per worker.
#[derive(Debug)]
pub struct Listener {
    pub(crate) channel: Arc<Channel>,
    pub(crate) sockets: Vec<OwnedFd>,
    /// Removed when the last worker has closed its socket.
    pub(crate) file: Option<SocketFile>,
}

/// Why a channel cannot listen.
#[derive(Debug, Error)]
pub enum BindError {
    /// Somebody listens there.
    #[error("another program listens on {0} already")]
    Taken(SocketAddr),
    /// The address is not on this machine.
    #[error("{0} is not an address of this machine")]
    ForeignAddress(SocketAddr),
    /// A low port without the right to it.
    #[error("this user may not listen on {0}")]
    NotAllowed(SocketAddr),
    /// Anything else the kernel says.
    #[error("cannot listen on {address}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl BindError {
    fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken(address),
            io::ErrorKind::AddrNotAvailable => Self::ForeignAddress(address),
            io::ErrorKind::PermissionDenied => Self::NotAllowed(address),
            _ => Self::Other { address, source },
        }
    }
}

impl Listener {
    /// Binds one channel for `workers` workers and listens. Port 0 takes a free one, which [`Listener::channel`] then names.
    ///
    /// # Errors
    /// When any of the sockets cannot be bound; nothing is left listening then.
    pub fn bind(mut channel: Channel, workers: usize) -> Result<Self, BindError> {
        let wanted = channel.address;
        let fail = |source| BindError::new(wanted, source);
        let first = open(&channel).map_err(fail)?;
        first.bind(&wanted.into()).map_err(fail)?;
        first.set_reuse_port(true).map_err(fail)?;
        let bound = first.local_addr().map_err(fail)?.as_socket().unwrap_or(wanted);
        channel.address = bound;
        let mut sockets = vec![first];
        for _ in 1..workers {
            let sibling = open(&channel).map_err(fail)?;
            sibling.set_reuse_port(true).map_err(fail)?;
            sibling.bind(&bound.into()).map_err(fail)?;
            sockets.push(sibling);
        }
        for socket in &sockets {
            socket.listen(channel.backlog).map_err(fail)?;
        }
        let sockets = sockets.into_iter().map(OwnedFd::from).collect();
        Ok(Self { channel: Arc::new(channel), sockets, file: None })
    }

    /// Listens on a Unix socket at `path` for `workers` workers; only this user may connect to it. The file that a dead server
    /// left is replaced, and ours is removed when the workers accept no more. The channel's address becomes [`UNIX_PEER`], and
    /// it counts as loopback.
    ///
    /// # Errors
    /// When somebody listens there, something else is there, or the kernel refuses.
    pub fn unix(mut channel: Channel, path: &Path, workers: usize) -> Result<Self, PathError> {
        (channel.address, channel.loopback) = (UNIX_PEER, true);
        let (file, socket) = SocketFile::listen(path, channel.backlog)?;
        let fail = |source| PathError::Other { path: path.to_owned(), source };
        let mut sockets = vec![OwnedFd::from(socket)];
        while let Some(first) = sockets.first().filter(|_| sockets.len() < workers) {
            sockets.push(first.try_clone().map_err(fail)?);
        }
        Ok(Self { channel: Arc::new(channel), sockets, file: Some(file) })
    }

    /// The channel, with the port it really has.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }
}

/// A socket with what every connection accepted from it inherits.
fn open(channel: &Channel) -> io::Result<Socket> {
    let domain = Domain::for_address(channel.address);
    let socket = Socket::new(domain, Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    // A restart must not wait for the last server's connections to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    defer_accept(socket.as_raw_fd(), channel.speaker);
    Ok(socket)
}

/// Lets the kernel hold a connection until its first bytes are here, where the client speaks first, and else not. Only saves work, so
/// a refusal does not matter.
pub(crate) fn defer_accept(socket: RawFd, speaker: Speaker) {
    const WAIT: Duration = Duration::from_secs(10);
    let _ = sys::set_defer_accept(socket, if speaker == Speaker::Client { WAIT } else { Duration::ZERO });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::Deadlines;

    fn channel(address: &str) -> Channel {
        Channel {
            index: 0,
            name: "web".into(),
            address: address.parse().unwrap(),
            loopback: true,
            speaker: Speaker::Client,
            deadlines: Deadlines::default(),
            most_connections: 10,
            backlog: 16,
        }
    }

    #[test]
    fn a_second_server_is_refused_even_for_the_same_user() {
        let first = Listener::bind(channel("127.0.0.1:0"), 3).unwrap();
        assert_eq!(first.sockets.len(), 3);
        let address = first.channel().address;
        assert_ne!(address.port(), 0);
        for workers in [1, 3] {
            let second = Listener::bind(channel(&address.to_string()), workers);
            assert!(matches!(second, Err(BindError::Taken(taken)) if taken == address));
        }
        drop(first);
        Listener::bind(channel(&address.to_string()), 2).unwrap();
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        let error = Listener::bind(channel("192.0.2.1:0"), 1).unwrap_err();
        assert_eq!(error.to_string(), "192.0.2.1:0 is not an address of this machine");
    }
}
