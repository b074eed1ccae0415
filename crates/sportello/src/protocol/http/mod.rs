//! HTTP/1.1 over one connection: what arrives is read, answered from memory where that is possible, and answered in order.
//!
//! Knows the grammar only through `sportello_wire::http1`, and what it serves only as [`Served`]. The way of a request:
//! [`session`] reads and writes, [`memory`] answers without waiting, [`ask`] waits for disk or desk, [`framed`] turns what a
//! service says into bytes, [`fault`] says what went wrong, [`sites`] finds whose request it is, [`guard`] keeps foreign websites
//! away from loopback.
//!
//! Bounded by: [`Limits`] for heads and bodies, [`BODIES`] and [`UNREAD_MOST`] for bodies, [`FLUSH_AT`] bytes of answers that wait
//! to be written, the channel's deadlines for every wait.

mod again;
mod ask;
mod budget;
mod clock;
mod coming;
mod exchange;
mod fault;
mod framed;
mod guard;
mod http2;
mod intake;
mod memory;
mod neutral;
mod outbox;
mod representation;
mod session;
mod sites;
mod told;
mod tunnel;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sportello_net::tls::Terms;
use sportello_net::{Buffer, Connection};
use sportello_service::certificates::Answers;
use sportello_service::desk::Desk;
use sportello_wire::http1;
use tokio::time::Instant;

use crate::current::Current;
use budget::Budget;

pub use guard::{Claim, Foreign, Reach, asked_alike, site as site_of};
pub use sites::{BadSiteName, SiteName, Sites, TakenName};

/// What one HTTP channel serves on one worker.
pub enum Served {
    /// Folders, by the host that is asked for.
    Sites(Sites),
    /// The desk.
    Desk(Desk),
}

/// What a request may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Its head.
    pub head: http1::Limits,
    /// Bytes of its body, where one is wanted: by the desk; beyond: 413.
    pub body: u64,
    /// From when on one is told of as slow, unless its site says so.
    pub slow: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: http1::Limits::default(), body: 1024 * 1024, slow: None }
    }
}

/// What a channel serves, and within what bounds.
pub struct Service {
    /// What it serves, which other channels may serve too.
    pub served: Rc<Served>,
    /// Its bounds.
    pub limits: Limits,
    /// What is answered to a CA that asks for a name, whatever is served.
    pub answers: Answers,
    /// What its clients are asked, where that is not the same for all names.
    pub terms: Option<Arc<Terms>>,
    /// The port with TLS to which every request for a site is sent, where none is answered here.
    pub https: Option<u16>,
}

/// Serves one connection until it ends. In a box, since each future that passes it on keeps a place for it.
pub fn serve(connection: Box<Connection>, service: impl Into<Current<Service>>) -> impl Future<Output = ()> {
    session::run(connection, service.into())
}

/// Serves one connection whose client has agreed to speak HTTP/2 until it ends.
pub async fn serve_http2(connection: Box<Connection>, service: impl Into<Current<Service>>) {
    http2::serve(connection, Buffer::new(), service.into()).await;
}

/// Tells a client that speaks plain HTTP to a channel with TLS what is wrong, and closes.
pub async fn not_tls(mut connection: Box<Connection>) {
    let mut out = Vec::new();
    fault::not_tls(&mut out);
    // It is being sent away; what does not fit into the socket now need not be said.
    let sent = connection.try_write(&out).unwrap_or(0);
    session::unread(&connection, 400, sent as u64, Instant::now());
    connection.close().await;
}

/// The memory of all bodies of this process under way; beyond: 503.
static BODIES: Budget = Budget::new(64 * 1024 * 1024);
/// How much of a body no one wants is read past, so that the connection may live on.
const UNREAD_MOST: u64 = 64 * 1024;
/// Answers are written once this much of them waits.
const FLUSH_AT: usize = 64 * 1024;
/// A body of at least this length is written from where it is, a smaller one is copied to the others.
const COPY_BELOW: usize = 16 * 1024;

#[cfg(test)]
mod tests;
