//! The seam between the dispatcher, which decides what is sent when, and whoever carries it to another server.
//!
//! The dispatcher knows no DNS, no TLS and no SMTP; a carrier knows no schedule, no lease and no store. Bounded by: the
//! dispatcher hands over at most [`Batch::MOST_RECIPIENTS`]; a carrier bounds its own time.

use std::fmt;
use std::future::Future;

use sportello_store::StoredBody;
use sportello_wire::mail::{Notify, Ret, Status};
use sportello_wire::smtp::server::BodyType;

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

/// Where mail goes: the domain of its recipients, in lower case and in A-labels, or an address literal with its brackets.
/// By which servers that is reached (MX, a relay) is the carrier's affair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination(Box<str>);

impl Destination {
    /// As it is written in the queue.
    pub fn new(name: &str) -> Self {
        Self(name.to_ascii_lowercase().into())
    }

    /// As it is written in the queue.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
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
    /// The message as it was accepted. Signatures come before it.
    pub body: StoredBody,
    /// The reverse-path without its angle brackets; empty for the null one.
    pub sender: String,
    /// To whom; at least one.
    pub recipients: Vec<Recipient>,
    /// What was said at MAIL.
    pub options: Options,
}

impl Batch {
    /// The most recipients of one batch: what RFC 5321 §4.5.3.1.8 says every server takes.
    pub const MOST_RECIPIENTS: usize = 100;
}

/// One recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The forward-path without its angle brackets.
    pub address: String,
    /// What is to be reported of it.
    pub notify: Notify,
    /// What ORCPT said, decoded: `rfc822;Bob@example.org`.
    pub original: Option<String>,
}

/// What was said at MAIL, to be passed on where the other server knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What ENVID said, decoded.
    pub envelope_id: Option<String>,
    /// What RET said.
    pub ret: Option<Ret>,
    /// Whether REQUIRETLS was said (RFC 8689).
    pub tls: TlsNeed,
    /// Whether SMTPUTF8 was said (RFC 6531).
    pub script: Script,
    /// What BODY said.
    pub body: BodyType,
}

/// Whether a message may go without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsNeed {
    /// As the destination's policy has it.
    #[default]
    Policy,
    /// Never (REQUIRETLS).
    Required,
}

/// In which letters addresses and header are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Script {
    /// ASCII.
    #[default]
    Ascii,
    /// UTF-8: the other server must know SMTPUTF8.
    Utf8,
}

/// What came of a batch.
#[derive(Debug)]
pub struct Carried<K> {
    /// One for each recipient, in their order.
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

/// Why, for people and for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who says it.
    pub by: Speaker,
    /// Its status (RFC 3463); its class agrees with the fate.
    pub status: Status,
    /// The reply in one line with its code, such as `550 5.1.1 no such user`, or our own words.
    pub text: String,
}

/// Who says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The other server, in a reply.
    Server,
    /// We, without one.
    Ourselves,
}
