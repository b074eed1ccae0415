//! How a connection that a load balancer has made comes to its client: by what is said ahead of the client's own bytes (the PROXY
//! protocol).
//!
//! Asked of those alone whom the channel names: nobody else can say who he is. Bounded by the longest header, and by the time of a
//! handshake.

use std::net::SocketAddr;

use sportello_net::{Connection, Ended};
use sportello_wire::proxy_protocol::{self, Header, LONGEST};
use thiserror::Error;

/// Why nobody is introduced.
#[derive(Debug, Error)]
pub enum NotIntroduced {
    /// What was said is no introduction.
    #[error(transparent)]
    Malformed(#[from] proxy_protocol::Error),
    /// It did not come, or its client is one too many.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// Hears for whom a connection is.
///
/// # Errors
/// When nothing such is said: the connection is to be closed, for whoever made it would take any answer for its client's.
pub async fn hear(connection: &mut Connection) -> Result<(), NotIntroduced> {
    let read = |bytes: &[u8]| match proxy_protocol::parse(bytes) {
        Ok(None) => None,
        Ok(Some(header)) => Some((header.length, Ok(header))),
        Err(error) => Some((0, Err(error))),
    };
    let Header { client, .. } = connection.ahead(LONGEST, read).await??;
    match client.filter(|client| is_possible(connection.peer(), *client)) {
        Some(client) => Ok(connection.is_for(client)?),
        None => Ok(()),
    }
}

/// Whether such a client can have come that way: this machine's own do not come over another one.
fn is_possible(introducer: SocketAddr, client: SocketAddr) -> bool {
    let is_here = |address: SocketAddr| address.ip().to_canonical().is_loopback();
    !is_here(client) || is_here(introducer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_comes_to_this_machine_from_itself_over_another_one() {
        for (introducer, client, expect) in [
            ("192.0.2.1:1", "198.51.100.1:1", true),
            ("127.0.0.1:1", "198.51.100.1:1", true),
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("192.0.2.1:1", "127.0.0.1:1", false),
            ("192.0.2.1:1", "[::1]:1", false),
            ("192.0.2.1:1", "[::ffff:127.0.0.1]:1", false),
        ] {
            assert_eq!(is_possible(introducer.parse().unwrap(), client.parse().unwrap()), expect, "{client}");
        }
    }
}
