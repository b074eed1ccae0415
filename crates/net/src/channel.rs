//! A channel: one TCP port and what is the same for all its connections.

use std::net::SocketAddr;

use crate::deadline::Deadlines;

/// One TCP port with its name, limits and deadlines. Which protocol is spoken on it is known by whoever serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its number, unique in this process: given by whoever makes it, and not to another one after it.
    pub index: usize,
    /// Its name, as people and logs say it.
    pub name: String,
    /// Where it listens. Port 0 until it is bound.
    pub address: SocketAddr,
    /// Whether it listens on a loopback address only.
    pub loopback: bool,
    /// Who speaks first.
    pub speaker: Speaker,
    /// How long a peer may keep us waiting.
    pub deadlines: Deadlines,
    /// The most connections open on it at once, over all workers.
    pub most_connections: usize,
    /// Connections the kernel holds for us before we accept them.
    pub backlog: i32,
}

/// Which side of a protocol speaks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The client, so the kernel may wait for its first bytes (`TCP_DEFER_ACCEPT`).
    Client,
    /// The client, but it may also say nothing for long; the connection is accepted at once.
    ClientWhenItWants,
    /// The server, with a greeting.
    Server,
}
