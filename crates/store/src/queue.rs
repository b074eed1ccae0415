//! The queue: mail that is to be sent to other servers.
//!
//! An entry is one message with one sender for recipients at one destination; a message may have several entries. An
//! entry waits, is leased to whoever tries to send it, or is held until a person releases it. What a lease settles is
//! one transaction: what was delivered goes, what is left waits on, and the report to the sender is accepted with it.
//! Knows no schedule: when something is tried again, and when somebody looks at what was not, others say. Bounded by the
//! constants here and by [`Envelope::MOST_RECIPIENTS`](crate::Envelope::MOST_RECIPIENTS) of a message.

pub(crate) mod operations;

use std::fmt;

use sportello_wire::mail::{Notify, Ret, Status};
use sportello_wire::smtp::server::BodyType;

use crate::types::MessageId;

/// Where mail goes: the domain of its recipients, in lower case and in A-labels, or an address literal with its brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination(Box<str>);

impl Destination {
    /// The most bytes of a name.
    pub const LONGEST: usize = 300;

    /// A name in any case.
    pub fn new(name: &str) -> Self {
        Self(name.to_ascii_lowercase().into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A message for other servers, as it is accepted: one entry is made of it for each destination, or several where a
/// destination has more than [`Outgoing::MOST_TOGETHER`] recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The reverse-path without its angle brackets, as it is to be sent; empty for the null one.
    pub sender: String,
    /// To whom, and where that is.
    pub recipients: Vec<To>,
    /// What was said at MAIL.
    pub options: Options,
    /// What is sent first.
    pub priority: Priority,
}

impl Outgoing {
    /// The most recipients of one entry: what RFC 5321 §4.5.3.1.8 says every server takes.
    pub const MOST_TOGETHER: usize = 100;
    /// The most different senders of one message.
    pub const MOST: usize = 1000;
}

/// A recipient and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct To {
    /// Where it is.
    pub destination: Destination,
    /// Who it is.
    pub recipient: Recipient,
}

/// One recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// What of a destination is sent first. Within one, what is due first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Before all else.
    High,
    /// As usual.
    #[default]
    Normal,
    /// When nothing else waits.
    Bulk,
}

impl Priority {
    /// All, the first first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Bulk];
}

/// What a try at a recipient brought, for people and for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who says it.
    pub by: Speaker,
    /// Its status (RFC 3463).
    pub status: Status,
    /// The reply in one line with its code, such as `550 5.1.1 no such user`, or our own words. Cut at
    /// [`Answer::LONGEST`] bytes.
    pub text: String,
}

impl Answer {
    /// The most bytes kept of a text.
    pub const LONGEST: usize = 1000;
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The other server, in a reply.
    Server,
    /// We, without one.
    Ourselves,
}

/// A recipient that is not settled yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// Who it is.
    pub recipient: Recipient,
    /// What the last try brought; `None` before the first.
    pub last: Option<Answer>,
}

/// An entry's number in this store, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub(crate) i64);

impl EntryId {
    /// The number itself, 1 or more.
    pub fn number(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// The number that [`EntryId::number`] gave.
    pub fn of_number(number: u64) -> Option<Self> {
        i64::try_from(number).ok().map(Self)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Which opening of the store a lease is of. Ascends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub(crate) i64);

/// What an entry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// It waits for its time.
    Waiting,
    /// Somebody tries to send it.
    Leased,
    /// It waits for a person.
    Held,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub id: EntryId,
    /// Its message: the queue id that the 250 named.
    pub message: MessageId,
    /// Where it goes.
    pub destination: Destination,
    /// The reverse-path; empty for the null one.
    pub sender: String,
    /// Who has not got it yet.
    pub recipients: Vec<Unsettled>,
    /// What was said at MAIL.
    pub options: Options,
    /// What is sent first.
    pub priority: Priority,
    /// What it does.
    pub state: EntryState,
    /// Since when it is here, milliseconds since 1970.
    pub created_ms: u64,
    /// When it may be tried next.
    pub due_ms: u64,
    /// When somebody should look at it, whatever is tried meanwhile.
    pub attention_ms: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// How often the server ended while it was being tried: the other server may have taken it (RFC 5321 §6.1).
    pub interruptions: u32,
}

/// An entry that is leased: nobody else is given it until it is settled or given back, or the store opened again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The entry.
    pub entry: Entry,
    /// Of which opening the lease is.
    pub generation: Generation,
}

/// What came of a lease.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The entry.
    pub entry: EntryId,
    /// Of which opening the lease is.
    pub generation: Generation,
    /// Who has not got it and still may; without any the entry goes.
    pub left: Vec<Unsettled>,
    /// When they may be tried next.
    pub due_ms: u64,
    /// When somebody should look at them.
    pub attention_ms: u64,
    /// What was tried; `None` when it was only looked at.
    pub attempt: Option<Attempt>,
}

/// A try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// Whether the destination was reached.
    pub contact: Contact,
    /// The server that answered last.
    pub server: Option<String>,
    /// What was said, as text; cut at [`Attempt::LONGEST`] bytes.
    pub conversation: String,
}

impl Attempt {
    /// The most bytes kept of a conversation.
    pub const LONGEST: usize = 8 << 10;
}

/// Whether a destination was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// It was: its other entries may be tried when they are due.
    Reached,
    /// It was not: none of its entries is tried before this time, milliseconds since 1970.
    Unreached {
        /// Until then.
        until_ms: u64,
    },
}

/// What came of settling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is settled; with the number of the report, if there was one.
    Done(Option<MessageId>),
    /// The lease was not one any more: nothing was changed, no report was accepted.
    Stale,
}

/// What may be tried now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Destinations with something due, the longest due first.
    pub destinations: Vec<DueDestination>,
    /// When the next destination has something due, milliseconds since 1970.
    pub next_ms: Option<u64>,
    /// When somebody should look at an entry.
    pub attention_ms: Option<u64>,
}

/// A destination with something due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueDestination {
    /// Its name.
    pub destination: Destination,
    /// Attempts in a row that did not reach it.
    pub failures: u32,
}

/// Which entries an operation is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Only those of this message.
    pub message: Option<MessageId>,
    /// Only those of this destination.
    pub destination: Option<Destination>,
}

/// What a person does to entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// What waits is held.
    Hold,
    /// What is held waits, due at once.
    Release,
    /// What waits is due at once, and its destination may be tried at once.
    Retry,
    /// It goes, without a report; also what is being tried, which may still arrive.
    Delete,
}

/// A page of entries, newest first.
#[derive(Clone, Debug)]
pub struct EntryWindow {
    /// Which entries.
    pub of: Chosen,
    /// Only those before this one: the last of the page before.
    pub before: Option<EntryId>,
    /// How many, at most [`EntryWindow::MOST`].
    pub limit: usize,
}

impl EntryWindow {
    /// The most entries of one page.
    pub const MOST: usize = 200;
}

/// An entry with what a list shows of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// The entry.
    pub entry: Entry,
    /// Bytes of the message.
    pub size: u64,
    /// Its Subject field, for people.
    pub subject: String,
}

/// A destination with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationRow {
    /// Its name.
    pub destination: Destination,
    /// Whether a person has suspended it.
    pub standing: Standing,
    /// Attempts in a row that did not reach it.
    pub failures: u32,
    /// Entries that wait.
    pub waiting: u64,
    /// Entries that are being tried.
    pub leased: u64,
    /// Entries that are held.
    pub held: u64,
    /// When the next one may be tried, milliseconds since 1970; `None`: not by itself.
    pub next_ms: Option<u64>,
    /// The last attempt, where there was one.
    pub last: Option<Attempt>,
}

/// Whether anything is tried at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// When it is due.
    Open,
    /// Nothing, until a person resumes it.
    Suspended,
}

/// The queue's figures; reading them costs a few loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// Entries that wait.
    pub waiting: u64,
    /// Entries that are being tried.
    pub leased: u64,
    /// Entries that are held.
    pub held: u64,
    /// Entries that were being tried when the run before ended, and were tried again.
    pub interrupted: u64,
}
