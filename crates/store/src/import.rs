//! Messages from files: taken with the moment and the flags they had, and none twice.
//!
//! What was taken is noted in the message's own transaction: its hash, and which of equal messages it was ([`Import::ordinal`]).
//! So an import that is repeated, or goes on after a crash, finds what it did, however far that was. The note stays when the
//! message is deleted or moved. Bounded by one row of 50 bytes for each message taken, and by pages of [`Store::MOST_KNOWN`].

use crate::blob::incoming::Incoming;
use crate::contract::now_ms;
use crate::error::Error;
use crate::sqlite::apply::Taken;
use crate::sqlite::schema;
use crate::types::{Accept, Accepted, Envelope, MailboxId, MessageRow, Origin, Place, Summary, Uid};
use crate::{ListPage, Store};
use rusqlite::params;

/// One message to take from a file.
#[derive(Debug)]
pub struct Import {
    /// From whom and to whom, as far as the file says.
    pub envelope: Envelope,
    /// Who brings it.
    pub origin: Origin,
    /// What a list shows of it.
    pub summary: Summary,
    /// The message.
    pub body: Incoming,
    /// Where it goes, with its flags.
    pub place: Place,
    /// When it was received, milliseconds since 1970; a moment that has not come counts as now.
    pub received_ms: u64,
    /// How many messages with the very same bytes came before it from the same source into that mailbox.
    pub ordinal: u32,
    /// Whether it may come again.
    pub repeat: Repeat,
}

/// What becomes of a message that was taken from a file before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// [`Error::Taken`], though it may be gone since.
    Refused,
    /// It is taken once more: whoever asks has seen that it is gone.
    Taken,
}

/// That a message was taken from a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Imported {
    /// SHA-256 of the message.
    pub hash: [u8; 32],
    /// As in [`Import::ordinal`].
    pub ordinal: u32,
}

impl Store {
    /// The most rows that [`Store::hashes`] and [`Store::imported`] give.
    pub const MOST_KNOWN: usize = 5000;

    /// Takes a message from a file into a mailbox; returns when it is on disk with the note that it was taken.
    /// [`Error::Taken`]: it was taken before. Dropping this future may still do it.
    pub async fn import(&self, import: Import) -> Result<Accepted, Error> {
        let Import { envelope, origin, summary, body, place, received_ms, ordinal, repeat } = import;
        let received_ms = i64::try_from(received_ms).unwrap_or(i64::MAX).min(now_ms());
        let accept = Accept { envelope, origin, summary, body, places: vec![place], queue: Vec::new(), trace: None };
        self.take(accept, received_ms, Some(Taken { ordinal, repeat })).await
    }

    /// The hashes of the messages of a mailbox with a UID above `after`, by UID; at most [`Store::MOST_KNOWN`].
    pub async fn hashes(&self, mailbox: MailboxId, after: Uid) -> Result<Vec<(Uid, [u8; 32])>, Error> {
        let rows = move |connection: &rusqlite::Connection| {
            let mut statement = connection.prepare_cached(schema::HASHES)?;
            let rows = statement.query_map(params![mailbox.0, after.0, Self::MOST_KNOWN as i64], |row| {
                Ok((Uid(row.get(0)?), row.get(1)?))
            })?;
            rows.collect()
        };
        self.inner.readers.run(move |reader| reader.bounded(rows)).await?
    }

    /// What was taken from files into a mailbox, in order, behind `after`; at most [`Store::MOST_KNOWN`].
    pub async fn imported(&self, mailbox: MailboxId, after: Option<Imported>) -> Result<Vec<Imported>, Error> {
        let rows = move |connection: &rusqlite::Connection| {
            let (hash, ordinal) = after.map_or((Vec::new(), 0), |after| (after.hash.to_vec(), after.ordinal));
            let mut statement = connection.prepare_cached(schema::IMPORTED)?;
            let rows = statement.query_map(params![mailbox.0, hash, ordinal, Self::MOST_KNOWN as i64], |row| {
                Ok(Imported { hash: row.get(0)?, ordinal: row.get(1)? })
            })?;
            rows.collect()
        };
        self.inner.readers.run(move |reader| reader.bounded(rows)).await?
    }

    /// The messages of a mailbox with a UID above `after`, oldest first; at most `limit`, and at most [`ListPage::MOST`].
    pub async fn list_after(&self, mailbox: MailboxId, after: Uid, limit: usize) -> Result<Vec<MessageRow>, Error> {
        let limit = limit.min(ListPage::MOST);
        self.inner.readers.run(move |reader| reader.list_after(mailbox, after, limit)).await?
    }
}
