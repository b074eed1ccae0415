//! The values that cross the contract: what is given to the store and what it gives back.
//!
//! Knows nothing of SQLite and nothing of files but an open descriptor. Bounded by the constants named at each field.

use std::fmt;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::account::{AccountId, SpecialUse};
use crate::blob::incoming::Incoming;
use crate::index::extract::Extractor;
use crate::queue::Outgoing;
use crate::retention::Retention;
use crate::tag::Tag;

/// How a store is opened. [`Settings::new`] gives the usual values.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state folder; made (mode 0700), with what is missing above it, when it does not exist.
    pub folder: PathBuf,
    /// Bytes of bodies that may be in memory at once, in the whole process.
    pub memory_budget: u64,
    /// A body of up to this many bytes stays in memory and becomes a row; a longer one is a file.
    pub memory_body: usize,
    /// Bytes of the disk that bodies never take, so that rows, the write-ahead log and deletions still have room.
    pub disk_reserve: u64,
    /// How many writes may wait for the writer; the next one waits its turn.
    pub queue: usize,
    /// How long one read may run.
    pub read_time: Duration,
    /// What reads the text of messages for the search.
    pub extractor: Extractor,
    /// How much mail is kept.
    pub retention: Retention,
}

impl Settings {
    /// The defaults: 64 MiB of memory, bodies of up to 128 KiB in it, 64 MiB of disk left alone.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            memory_budget: 64 << 20,
            memory_body: 128 << 10,
            disk_reserve: 64 << 20,
            queue: 1024,
            read_time: Duration::from_secs(2),
            extractor: Extractor::default(),
            retention: Retention::default(),
        }
    }
}

/// A message's number in this store, for ever: never given twice, neither after a deletion nor after a crash. As text
/// (decimal) it is the queue id that the 250 names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(crate) i64);

impl MessageId {
    /// The number itself, 1 or more.
    pub fn number(self) -> u64 {
        self.0.unsigned_abs()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for MessageId {
    type Err = NotAnId;

    /// Reads exactly what `Display` writes: decimal digits without sign or leading zero.
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) || text.starts_with('0') {
            return Err(NotAnId);
        }
        text.parse().map(Self).map_err(|_| NotAnId)
    }
}

/// The text is not a message's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the number of a message")]
pub struct NotAnId;

/// A mailbox's number in this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId(pub(crate) i64);

impl MailboxId {
    /// The mailbox in which every message is caught; it always exists.
    pub const INBOX: Self = Self(1);

    /// The number itself, 1 or more.
    pub fn number(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// The mailbox of this number, which may not be there.
    pub fn numbered(number: u64) -> Self {
        Self(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A message's number in one mailbox, strictly ascending, never given twice (RFC 9051 §2.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub u32);

/// The number of a change in one mailbox, strictly ascending, 63 bits (RFC 7162 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModSeq(pub u64);

/// A message's flags in one mailbox (RFC 9051 §2.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub(crate) u32);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// `\Seen`: somebody has read it.
    pub const SEEN: Self = Self(1);
    /// `\Answered`.
    pub const ANSWERED: Self = Self(2);
    /// `\Flagged`: it wants attention.
    pub const FLAGGED: Self = Self(4);
    /// `\Deleted`: it is to be removed.
    pub const DELETED: Self = Self(8);
    /// `\Draft`.
    pub const DRAFT: Self = Self(16);

    /// These and those.
    #[must_use]
    pub fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// These but not those.
    #[must_use]
    pub fn without(self, those: Self) -> Self {
        Self(self.0 & !those.0)
    }

    /// Whether all of those are among them.
    pub fn has(self, those: Self) -> bool {
        self.0 & those.0 == those.0
    }

    /// Whether somebody has read it (`\Seen`).
    pub fn seen(self) -> bool {
        self.has(Self::SEEN)
    }
}

/// Whether a message counts as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Read.
    Yes,
    /// Not read.
    No,
}

/// From whom and to whom, as the SMTP envelope said it (RFC 5321 §2.3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The reverse-path without its angle brackets; empty for the null one.
    pub sender: String,
    /// The forward-paths, in the order they were given; at most [`Envelope::MOST_RECIPIENTS`].
    pub recipients: Vec<String>,
}

impl Envelope {
    /// The most recipients of one message.
    pub const MOST_RECIPIENTS: usize = 1000;
    /// The most bytes of one address.
    pub const LONGEST_ADDRESS: usize = 998;
}

/// Where a message came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client.
    pub peer: SocketAddr,
    /// The name it gave with EHLO or HELO.
    pub helo: String,
    /// The channel's name.
    pub channel: String,
    /// The connection's number in that run of the server.
    pub connection: u64,
}

/// What a list shows of a message, decoded for people. Each text is cut at [`Summary::LONGEST`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The From field.
    pub from: String,
    /// The To field.
    pub to: String,
    /// The Subject field.
    pub subject: String,
    /// The Date field, seconds since 1970, where it can be read.
    pub date_unix: Option<i64>,
    /// The Message-ID field.
    pub message_id: String,
}

impl Summary {
    /// The most bytes kept of each text.
    pub const LONGEST: usize = 998;
}

/// One message to take.
///
/// Its body holds the whole message as it is to be read back: the session writes its own Received field (which may name
/// [`Incoming::id`]) with the first [`Incoming::write`], before what the client sends.
#[derive(Debug)]
pub struct Accept {
    /// From whom and to whom.
    pub envelope: Envelope,
    /// Where it came from.
    pub origin: Origin,
    /// What a list shows of it.
    pub summary: Summary,
    /// The message.
    pub body: Incoming,
    /// The mailboxes it goes into, at most [`Accept::MOST_PLACES`]; one that is named again counts once. At least one, or
    /// something in `queue`.
    pub places: Vec<Place>,
    /// The other servers it goes to: one for each sender, at most [`Outgoing::MOST`].
    pub queue: Vec<Outgoing>,
    /// What was found out about it and decided for it, as JSON of at most [`Accept::LONGEST_TRACE`] bytes.
    pub trace: Option<String>,
}

impl Accept {
    /// The most mailboxes of one message.
    pub const MOST_PLACES: usize = 2000;
    /// The most bytes of a trace.
    pub const LONGEST_TRACE: usize = 16 << 10;
}

/// One mailbox that a message goes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its flags there.
    pub flags: Flags,
    /// Whether the quota of the mailbox's account bounds it.
    pub quota: Quota,
}

impl Place {
    /// The mailbox that catches, unread.
    pub const CAUGHT: Self = Self::new(MailboxId::INBOX);

    /// Into this mailbox, unread, within the quota.
    pub const fn new(mailbox: MailboxId) -> Self {
        Self { mailbox, flags: Flags::NONE, quota: Quota::Kept }
    }
}

/// Whether an account's quota bounds what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// What would pass it is refused: [`Error::OverQuota`](crate::Error::OverQuota).
    Kept,
    /// What the server itself must not lose, such as a report of mail that did not go out, comes in spite of it.
    Passed,
}

/// A message that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its number: the queue id.
    pub id: MessageId,
}

/// One mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Its number.
    pub id: MailboxId,
    /// Its name.
    pub name: String,
    /// Changes when its UIDs begin anew (RFC 9051 §2.3.1.1).
    pub uid_validity: u32,
    /// The UID the next message gets.
    pub uid_next: Uid,
    /// The number of its latest change.
    pub highest_modseq: ModSeq,
    /// How many messages it holds.
    pub messages: u64,
    /// How many of them nobody has read.
    pub unseen: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Whose it is; `None`: nobody's, it catches.
    pub account: Option<AccountId>,
    /// What it is for, where it is one of those that an account begins with.
    pub special: Option<SpecialUse>,
}

impl Mailbox {
    /// The most mailboxes of one account.
    pub const MOST_OF_AN_ACCOUNT: usize = 1000;
    /// The most bytes of a name.
    pub const LONGEST_NAME: usize = 255;
}

/// One page of a mailbox, newest first.
#[derive(Clone, Copy, Debug)]
pub struct ListPage {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Only messages with a lesser UID: the last one of the page before.
    pub before: Option<Uid>,
    /// How many, at most [`ListPage::MOST`].
    pub limit: usize,
}

impl ListPage {
    /// The most rows of one page; a greater limit counts as this one.
    pub const MOST: usize = 200;
}

/// What is known of a message without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// Its number in the store.
    pub id: MessageId,
    /// The mailbox it is in.
    pub mailbox: MailboxId,
    /// Its number there.
    pub uid: Uid,
    /// The number of its latest change there.
    pub modseq: ModSeq,
    /// Its flags there.
    pub flags: Flags,
    /// Bytes of the whole message.
    pub size: u64,
    /// SHA-256 of the whole message.
    pub hash: [u8; 32],
    /// When it was accepted, milliseconds since 1970.
    pub received_ms: u64,
    /// From whom and to whom.
    pub envelope: Envelope,
    /// Where it came from.
    pub origin: Origin,
    /// What a list shows of it.
    pub summary: Summary,
    /// Its tags, in the order of their names; at most [`Tag::MOST_OF_A_MESSAGE`].
    pub tags: Vec<Tag>,
    /// What the search index knows of it; `None` while it is not yet indexed.
    pub preview: Option<Preview>,
}

/// What a list shows of a message's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// How its text begins, in one line; at most [`Preview::LONGEST`] characters.
    pub snippet: String,
    /// How many attachments it has.
    pub attachments: u32,
}

impl Preview {
    /// The most characters of a snippet.
    pub const LONGEST: usize = 250;
}

/// The whole message, byte for byte.
#[derive(Clone, Debug)]
pub enum StoredBody {
    /// In memory, at most `Settings::memory_body` bytes.
    Memory(Bytes),
    /// An open file that holds it and nothing else; it stays readable when the message is deleted meanwhile.
    File {
        /// The file; its offset is not used.
        file: Arc<File>,
        /// Its bytes.
        length: u64,
    },
}

impl StoredBody {
    /// Bytes of the message.
    pub fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

/// What [`Store::verify`](crate::Store::verify) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The body is what was accepted.
    Whole,
    /// The body is there and is not what was accepted.
    Damaged,
    /// The row is there and its body is not.
    Missing,
}

/// The store's figures since it was opened; reading them costs a few loads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages in all mailboxes.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Messages accepted.
    pub accepted: u64,
    /// Transactions committed; accepted ÷ commits is the size of a group.
    pub commits: u64,
    /// Bodies that are in memory now, bytes.
    pub memory_bytes: u64,
    /// Bodies that went through the spool.
    pub spooled: u64,
    /// Messages that the retention deleted.
    pub retired: u64,
    /// Messages that were indexed for the search.
    pub indexed: u64,
    /// Why indexing waits, if it does. Mail is taken as before.
    pub index_waits: Option<String>,
    /// Why writes are refused, if they are.
    pub failed: Option<String>,
}
