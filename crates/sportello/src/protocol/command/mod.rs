//! Commands coming in: RESP2, RESP3 and lines of text on one channel.
//!
//! `session` moves bytes, `dispatch` finds what a request asks for: a built-in answers at once, a [`Task`](task::Task) (a program,
//! mail, the picture of the server) is waited for. Requests of one connection are answered in the order they came; behind a
//! running program the next ones wait. The client's leaving kills its program, within two seconds.
//!
//! Knows no other protocol. Bounded by: the parser's [`Limits`], the channel's deadlines, the runner's permits; answers are sent
//! whenever 64 KiB have gathered.

mod builtin;
mod client;
mod dispatch;
mod help;
mod input;
mod mail;
mod outcome;
mod session;
mod show;
mod task;

use std::rc::Rc;

use sportello_net::{Connection, Workers};
use sportello_service::picture::Observer;
use sportello_service::run::Runner;
use sportello_store::Store;
pub use sportello_wire::resp::Limits;

pub use self::builtin::RESERVED;
use self::session::{Parting, Session};

/// What every session of a channel has in common.
pub struct Service {
    /// Mail.
    pub store: Store,
    /// Programs.
    pub runner: Runner,
    /// The picture of the server.
    pub observer: Observer,
    /// To list and to close connections.
    pub workers: Workers,
    /// Bounds on one request.
    pub limits: Limits,
}

/// Serves one connection to its end. Dropping the future closes the connection and kills the program that runs for it.
pub async fn serve(connection: Connection, service: Rc<Service>) {
    let mut session = Session::new(connection, &service);
    if session.run().await == Parting::Close {
        // In a box, so that no session has to be large for its last moments.
        Box::pin(session.into_connection().close()).await;
    }
}
