//! TLS on a connection (RFC 8446, RFC 5246): rustls between a [`Connection`](crate::Connection) and its socket.
//!
//! What a channel speaks is said by its [`Terms`]; which certificate a name is shown is looked up in one table,
//! [`Certificates`], that all channels share and that is replaced as a whole: a renewed certificate is in use with the next
//! handshake, everywhere. Knows nothing of where certificates come from. No data before the handshake ends (0-RTT): it could be replayed.
//!
//! Bounded by: the channel's deadline for handshakes, a rate of handshakes for each source, [`UNSENT_MOST`] bytes of a connection that
//! wait for the socket.

mod certificates;
mod session;
mod terms;

pub use certificates::{Certificates, Table};
pub use session::Secured;
pub use terms::{Client, Oldest, Settings, Terms, TermsError, Tickets};

pub(crate) use session::{FillError, Session, Taken};

/// Bytes that rustls may hold encrypted for a socket that takes no more; four records.
pub(crate) const UNSENT_MOST: usize = 64 * 1024;

#[cfg(test)]
mod tests;
