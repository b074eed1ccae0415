//! One request as rows, inside the writer's transaction.
//!
//! The mailboxes' counters live in the writer's memory (a [`Ledger`] each) and are written once per transaction,
//! however many messages it takes. Knows nothing of threads, batches and answers.

use rusqlite::{Connection, OptionalExtension, params};

use crate::blob::incoming::Body;
use crate::error::Error;
use crate::retention::Retention;
use crate::sqlite::reader::Oldest;
use crate::sqlite::trouble::Trouble;
use crate::sqlite::{schema, tags};
use crate::types::{Flags, MailboxId, MessageId, Seen};

/// A message as it is bound to the statements, made on the caller's thread.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: MessageId,
    pub(crate) body: Body,
    pub(crate) received_ms: i64,
    pub(crate) sender: String,
    /// A JSON array.
    pub(crate) recipients: String,
    pub(crate) peer: String,
    pub(crate) helo: String,
    pub(crate) channel: String,
    pub(crate) connection: i64,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) date_unix: Option<i64>,
    pub(crate) message_id: String,
}

/// One mailbox's counters: a copy of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) id: MailboxId,
    pub(crate) uid_next: u32,
    pub(crate) modseq: i64,
    pub(crate) messages: i64,
    pub(crate) unseen: i64,
    pub(crate) bytes: i64,
    pub(crate) changed: Changed,
}

/// Whether the row is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    No,
    Yes,
}

/// Sets or clears `\Seen` wherever the messages are; how many of them are somewhere.
pub(crate) fn set_seen(
    connection: &Connection,
    ledgers: &mut [Ledger],
    ids: &[MessageId],
    seen: Seen,
) -> Result<usize, Trouble> {
    let mut found = 0;
    for id in ids {
        found += usize::from(set_one_seen(connection, ledgers, *id, seen)?);
    }
    Ok(found)
}

fn set_one_seen(connection: &Connection, ledgers: &mut [Ledger], id: MessageId, seen: Seen) -> Result<bool, Trouble> {
    let entries = entries_of(connection, id)?;
    for entry in &entries {
        let flags = match seen {
            Seen::Yes => entry.flags | Flags::SEEN,
            Seen::No => entry.flags & !Flags::SEEN,
        };
        if flags == entry.flags {
            continue;
        }
        let ledger = ledger(ledgers, entry.mailbox)?;
        let modseq = ledger.change()?;
        ledger.unseen += if seen == Seen::Yes { -1 } else { 1 };
        connection.prepare_cached(schema::UPDATE_FLAGS)?.execute(params![entry.mailbox.0, entry.uid, flags, modseq])?;
    }
    Ok(!entries.is_empty())
}

/// Moves the MODSEQ of a message wherever it is: something of it has changed.
pub(crate) fn touch(connection: &Connection, ledgers: &mut [Ledger], id: MessageId) -> Result<(), Trouble> {
    for entry in entries_of(connection, id)? {
        let modseq = ledger(ledgers, entry.mailbox)?.change()?;
        connection.prepare_cached(schema::UPDATE_MODSEQ)?.execute(params![entry.mailbox.0, entry.uid, modseq])?;
    }
    Ok(())
}

/// Takes a message into the Inbox.
pub(crate) fn accept(connection: &Connection, ledgers: &mut [Ledger], row: &Row) -> Result<(), Trouble> {
    let ledger = ledger(ledgers, MailboxId::INBOX)?;
    let (size, hash, file) = match &row.body {
        Body::Memory { bytes, hash, .. } => (bytes.len() as u64, hash, 0),
        Body::File(placed) => (placed.length, &placed.hash, 1),
    };
    let size = i64::try_from(size).map_err(|_| overflow())?;
    let uid = ledger.uid_next;
    ledger.uid_next = uid.checked_add(1).ok_or_else(overflow)?;
    let modseq = ledger.change()?;
    ledger.messages += 1;
    ledger.unseen += 1;
    ledger.bytes = ledger.bytes.checked_add(size).ok_or_else(overflow)?;
    connection.prepare_cached(schema::INSERT_MESSAGE)?.execute(params![
        row.id.0,
        hash,
        size,
        file,
        row.received_ms,
        row.sender,
        row.recipients,
        row.peer,
        row.helo,
        row.channel,
        row.connection,
        row.from,
        row.to,
        row.subject,
        row.date_unix,
        row.message_id
    ])?;
    if let Body::Memory { bytes, .. } = &row.body {
        connection.prepare_cached(schema::INSERT_BODY)?.execute(params![row.id.0, bytes])?;
    }
    connection.prepare_cached(schema::INSERT_ENTRY)?.execute(params![ledger.id.0, uid, row.id.0, modseq])?;
    Ok(())
}

/// Deletes messages; how many there were, and whose bodies are files to remove after the commit.
pub(crate) fn delete(
    connection: &Connection,
    ledgers: &mut [Ledger],
    ids: &[MessageId],
) -> Result<(usize, Vec<MessageId>), Trouble> {
    let (mut deleted, mut files, mut untagged) = (0, Vec::new(), 0);
    for id in ids {
        let found: Option<(i64, i64)> = connection
            .prepare_cached(schema::SIZE_AND_PLACE)?
            .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((size, file)) = found else { continue };
        for entry in entries_of(connection, *id)? {
            let ledger = ledger(ledgers, entry.mailbox)?;
            ledger.change()?;
            ledger.messages -= 1;
            ledger.unseen -= i64::from(entry.flags & Flags::SEEN == 0);
            ledger.bytes -= size;
            connection.prepare_cached(schema::DELETE_ENTRY)?.execute(params![entry.mailbox.0, entry.uid])?;
        }
        if file == 1 {
            files.push(*id);
        } else {
            connection.prepare_cached(schema::DELETE_BODY)?.execute([id.0])?;
        }
        untagged += connection.prepare_cached(schema::UNTAG)?.execute([id.0])?;
        connection.prepare_cached(schema::DELETE_MESSAGE)?.execute([id.0])?;
        deleted += 1;
    }
    if untagged > 0 {
        tags::prune(connection)?;
    }
    Ok((deleted, files))
}

/// Deletes those of the oldest messages that still must go; which they were, and whose bodies are files to remove after
/// the commit. Others may have deleted some since they were looked for, and
/// each that is deleted here may be the last that is too much.
pub(crate) fn retire(
    connection: &Connection,
    ledgers: &mut [Ledger],
    oldest: &[Oldest],
    rule: &Retention,
    now_ms: u64,
) -> Result<(Vec<MessageId>, Vec<MessageId>), Trouble> {
    let (mut retired, mut files) = (Vec::new(), Vec::new());
    for message in oldest {
        let sum = |of: fn(&Ledger) -> i64| ledgers.iter().map(of).sum::<i64>().unsigned_abs();
        let (messages, bytes) = (sum(|ledger| ledger.messages), sum(|ledger| ledger.bytes));
        if rule.must_go(message, messages, bytes, now_ms) {
            let (number, more) = delete(connection, ledgers, &[message.id])?;
            retired.extend((number > 0).then_some(message.id));
            files.extend(more);
        }
    }
    Ok((retired, files))
}

/// Moves the end of the leased ids.
pub(crate) fn lease(connection: &Connection, end: i64) -> rusqlite::Result<()> {
    connection.prepare_cached(schema::LEASE)?.execute([end]).map(drop)
}

/// The ledgers as the database has them.
pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Vec<Ledger>> {
    let mut statement = connection.prepare(schema::MAILBOXES)?;
    let ledgers = statement.query_map((), |row| {
        Ok(Ledger {
            id: MailboxId(row.get(0)?),
            uid_next: row.get(3)?,
            modseq: row.get(4)?,
            messages: row.get(5)?,
            unseen: row.get(6)?,
            bytes: row.get(7)?,
            changed: Changed::No,
        })
    })?;
    ledgers.collect()
}

/// Writes the ledgers that changed.
pub(crate) fn save(connection: &Connection, ledgers: &mut [Ledger]) -> rusqlite::Result<()> {
    for ledger in ledgers.iter_mut().filter(|ledger| ledger.changed == Changed::Yes) {
        connection.prepare_cached(schema::UPDATE_MAILBOX)?.execute(params![
            ledger.id.0,
            ledger.uid_next,
            ledger.modseq,
            ledger.messages,
            ledger.unseen,
            ledger.bytes
        ])?;
        ledger.changed = Changed::No;
    }
    Ok(())
}

impl Ledger {
    /// One more change: its number.
    fn change(&mut self) -> Result<i64, Trouble> {
        self.modseq = self.modseq.checked_add(1).ok_or_else(overflow)?;
        self.changed = Changed::Yes;
        Ok(self.modseq)
    }
}

struct Entry {
    mailbox: MailboxId,
    uid: u32,
    flags: u32,
}

fn entries_of(connection: &Connection, id: MessageId) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = connection.prepare_cached(schema::ENTRIES_OF)?;
    let entries = statement
        .query_map([id.0], |row| Ok(Entry { mailbox: MailboxId(row.get(0)?), uid: row.get(1)?, flags: row.get(2)? }))?;
    entries.collect()
}

fn ledger(ledgers: &mut [Ledger], id: MailboxId) -> Result<&mut Ledger, Trouble> {
    let missing = || Trouble::Request(Error::Damaged("a mailbox is missing".into()));
    ledgers.iter_mut().find(|ledger| ledger.id == id).ok_or_else(missing)
}

fn overflow() -> Trouble {
    Trouble::Request(Error::Refused("a counter of the mailbox is at its end".into()))
}
