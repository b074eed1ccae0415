//! Commands coming in: RESP2, RESP3 and lines of text on one channel.
//!
//! `session` moves bytes, `dispatch` finds what a request asks for: a built-in answers at once, a [`Task`](task::Task) (a program,
//! mail, the picture of the server) is waited for. Requests of one connection are answered in the order they came; behind a
//! running program the next ones wait. The client's leaving kills its program, within two seconds. `slow` and `monitor` keep and show
//! requests for those who look after the server.
//!
//! Knows no other protocol. Bounded by: the parser's [`Limits`], the channel's deadlines, the runner's permits; answers are sent
//! whenever 64 KiB have gathered.

mod account;
mod builtin;
mod client;
mod dispatch;
mod dkim;
mod docs;
mod help;
mod input;
mod kept;
mod mail;
mod mailbox;
mod monitor;
mod outcome;
mod queue;
mod refused;
mod session;
mod show;
mod slow;
mod syntax;
mod task;
mod watch;

use std::rc::Rc;
use std::sync::Arc;

use sportello_net::{Connection, Workers};
use sportello_service::accounts::Accounts;
use sportello_service::certificates::Keyring;
use sportello_service::directory::MailDomains;
use sportello_service::dkim::Keyring as DkimKeyring;
use sportello_service::picture::Observer;
use sportello_service::run::Runner;
use sportello_store::Store;
pub use sportello_wire::resp::Limits;
use sportello_wire::resp::Reply;

pub use self::account::{AccountTerms, AccountView, AppPasswordView, BanView, Done};
pub use self::builtin::RESERVED;
pub use self::help::described;
pub use self::mailbox::LARGEST;
use self::monitor::{Audience, Monitors};
use self::session::{Parting, Session};
pub use self::slow::Settings as SlowLogSettings;
use self::slow::SlowLog;
use crate::current::Current;
use crate::reload::Reloads;

/// What is kept of requests for the whole process: the slow ones, and who watches. A handle: clones share them.
#[derive(Clone, Debug, Default)]
pub struct Records {
    slow: Arc<SlowLog>,
    monitors: Arc<Monitors>,
}

/// What every session of a channel has in common, on one worker.
pub struct Service {
    store: Store,
    runner: Runner,
    observer: Observer,
    keyring: Keyring,
    dkim: Option<DkimKeyring>,
    mail: Arc<MailDomains>,
    workers: Workers,
    limits: Limits,
    channels: Rc<[usize]>,
    records: Records,
    slow_log: SlowLogSettings,
    reloads: Option<Reloads>,
    accounts: Option<Accounts>,
    audience: Audience,
}

/// What a [`Service`] is made from.
pub struct Parts {
    /// Mail.
    pub store: Store,
    /// Programs.
    pub runner: Runner,
    /// The picture of the server.
    pub observer: Observer,
    /// The certificates.
    pub keyring: Keyring,
    /// The keys by which our mail is signed, on the channel of this machine's administrator.
    pub dkim: Option<DkimKeyring>,
    /// The domains whose mail that may be.
    pub mail: Arc<MailDomains>,
    /// To list and to close connections.
    pub workers: Workers,
    /// Bounds on one request.
    pub limits: Limits,
    /// The indexes of the command channels.
    pub channels: Rc<[usize]>,
    /// What is kept for the whole process.
    pub records: Records,
    /// Which requests are slow.
    pub slow_log: SlowLogSettings,
    /// Whom to ask for a reload, on the channel of this machine's administrator.
    pub reloads: Option<Reloads>,
    /// Who has mailboxes here, likewise.
    pub accounts: Option<Accounts>,
}

impl Service {
    /// To be called on the worker's thread.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            store,
            runner,
            observer,
            keyring,
            dkim,
            mail,
            workers,
            limits,
            channels,
            records,
            slow_log,
            reloads,
            accounts,
        } = parts;
        let audience = Audience::new(Arc::clone(&records.monitors));
        Self {
            store,
            runner,
            observer,
            keyring,
            dkim,
            mail,
            workers,
            limits,
            channels,
            records,
            slow_log,
            reloads,
            accounts,
            audience,
        }
    }
}

/// Tells a client that speaks in plain text to a channel with TLS what is wrong, and closes.
pub async fn not_tls(mut connection: Box<Connection>) {
    let mut reply = Reply::new();
    reply.error("ERR", "this channel is encrypted: speak TLS (redis-cli --tls)");
    // It is being sent away; what does not fit into the socket now need not be said.
    let _ = connection.try_write(reply.bytes());
    connection.close().await;
}

/// Serves one connection to its end. Dropping the future closes the connection and kills the program that runs for it.
pub fn serve(connection: Connection, service: impl Into<Current<Service>>) -> impl Future<Output = ()> {
    converse(connection, service.into())
}

async fn converse(connection: Connection, service: Current<Service>) {
    let mut session = Session::new(connection, service);
    if session.run().await == Parting::Close {
        // In a box, so that no session has to be large for its last moments.
        Box::pin(session.into_connection().close()).await;
    }
}
