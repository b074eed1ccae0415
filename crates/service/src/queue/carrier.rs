//! The seam between the dispatcher, which decides what is sent when, and whoever carries it to another server.
//!
//! The dispatcher knows no DNS, no TLS and no SMTP; a carrier knows no schedule, no lease and no store. Bounded by: the
//! dispatcher hands over at most [`Batch::MOST_RECIPIENTS`]; a carrier bounds its own time.

use std::future::Future;

use sportello_store::StoredBody;
use sportello_store::queue::Outgoing;
pub use sportello_store::queue::{Answer, Destination, Options, Recipient, Script, Speaker, TlsNeed};

/// Carries mail to other servers.
pub trait Carrier {
    /// A connection that may carry more to the same destination.
    type Kept: 'static;

    /// Tries once to hand `batch` over, on `kept` if there is one and it is still of use, else on a new connection. Ends
    /// within a time of its own. What it returns has one fate per recipient, in their order.
    ///
    /// Dropping this future ends the connection; the other server may have taken the message by then.
    fn carry(&self, batch: Batch, kept: Option<Self::Kept>) -> impl Future<Output = Carried<Self::Kept>>;

    /// Takes leave (QUIT) of a connection that is not needed any more, within a few seconds. Dropping this future just
    /// closes it.
    fn part(&self, kept: Self::Kept) -> impl Future<Output = ()>;
}

/// One message for recipients of one destination: one transaction, or several where the other server takes fewer.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The queue entry, for logs.
    pub entry: u64,
    /// The message's number, which names it in replies and logs.
    pub message: u64,
    /// Where it goes.
    pub destination: Destination,
    /// Fields that are sent before the message, such as its signatures; whole lines with their CR LF, or nothing.
    pub prefix: Vec<u8>,
    /// The message as it was accepted.
    pub body: StoredBody,
    /// The reverse-path without its angle brackets; empty for the null one.
    pub sender: String,
    /// To whom; at least one.
    pub recipients: Vec<Recipient>,
    /// What was said at MAIL.
    pub options: Options,
}

impl Batch {
    /// The most recipients of one batch.
    pub const MOST_RECIPIENTS: usize = Outgoing::MOST_TOGETHER;
}

/// What came of a batch.
#[derive(Debug)]
pub struct Carried<K> {
    /// One for each recipient, in their order. What is missing counts as deferred.
    pub fates: Vec<Fate>,
    /// How far it came.
    pub reach: Reach,
    /// The server that answered last: its name and, in brackets, its address.
    pub server: Option<String>,
    /// Whether that server was asked for the reports that the sender wants. Where it was not, a delivery that was to be
    /// reported is reported here as relayed (RFC 3461 §5.2.2).
    pub reports: Reports,
    /// The conversation as text, secrets masked.
    pub conversation: String,
    /// The connection, where it may carry more.
    pub kept: Option<K>,
}

/// How far an attempt came: what the next attempts at this destination should expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A server answered MAIL, well or badly.
    Spoke,
    /// None did: no address, no connection, no greeting, no TLS that the policy takes, 421.
    Unreached,
}

/// Who will tell the sender of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reports {
    /// The other server was asked to.
    PassedOn,
    /// It does not know DSN: we do.
    Ours,
}

/// What came of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The other server has taken it.
    Delivered(Answer),
    /// Not now.
    Deferred(Answer),
    /// Not at all.
    Failed(Answer),
}
