//! One request as rows, inside the writer's transaction.
//!
//! Knows nothing of threads, batches and answers.

use rusqlite::{Connection, OptionalExtension, params};

use crate::blob::incoming::Body;
use crate::error::Error;
use crate::import::Repeat;
use crate::queue::Outgoing;
use crate::retention::Retention;
use crate::sqlite::ledger::{Ledgers, overflow};
use crate::sqlite::reader::Oldest;
use crate::sqlite::trouble::Trouble;
use crate::sqlite::{queue, schema, tags};
use crate::types::{Flags, MailboxId, MessageId, Place, Seen};

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
    /// Each mailbox once.
    pub(crate) places: Vec<Place>,
    pub(crate) trace: Option<String>,
    /// For what comes from a file.
    pub(crate) taken: Option<Taken>,
    /// The other servers it goes to.
    pub(crate) outgoing: Vec<Outgoing>,
    /// When somebody should look at what of it is in the queue.
    pub(crate) attention_ms: i64,
}

/// Which of equal messages from files this is, and whether it may come again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) ordinal: u32,
    pub(crate) repeat: Repeat,
}

/// Where something is done to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// Wherever it is.
    Everywhere,
    /// In this mailbox alone.
    Mailbox(MailboxId),
}

/// What a deletion took away.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// How many messages were taken out of where they were to be taken out.
    pub(crate) number: usize,
    /// Those of them that are nowhere any more.
    pub(crate) gone: Vec<MessageId>,
    /// Those of these whose bodies are files to remove after the commit.
    pub(crate) files: Vec<MessageId>,
}

/// Sets or clears `\Seen`; how many of the messages are there.
pub(crate) fn set_seen(
    connection: &Connection,
    ledgers: &mut Ledgers,
    within: Within,
    ids: &[MessageId],
    seen: Seen,
) -> Result<usize, Trouble> {
    let mut found = 0;
    for id in ids {
        let entries = entries_of(connection, *id, within)?;
        found += usize::from(!entries.is_empty());
        for entry in entries {
            let flags = match seen {
                Seen::Yes => entry.flags.with(Flags::SEEN),
                Seen::No => entry.flags.without(Flags::SEEN),
            };
            if flags == entry.flags {
                continue;
            }
            let ledger = ledgers.mailbox(connection, entry.mailbox)?;
            let modseq = ledger.change()?;
            ledger.unseen += if seen == Seen::Yes { -1 } else { 1 };
            connection.prepare_cached(schema::UPDATE_FLAGS)?.execute(params![
                entry.mailbox.0,
                entry.uid,
                flags.0,
                modseq
            ])?;
        }
    }
    Ok(found)
}

/// Moves the MODSEQ of a message wherever it is: something of it has changed.
pub(crate) fn touch(connection: &Connection, ledgers: &mut Ledgers, id: MessageId) -> Result<(), Trouble> {
    for entry in entries_of(connection, id, Within::Everywhere)? {
        let modseq = ledgers.mailbox(connection, entry.mailbox)?.change()?;
        connection.prepare_cached(schema::UPDATE_MODSEQ)?.execute(params![entry.mailbox.0, entry.uid, modseq])?;
    }
    Ok(())
}

/// Takes a message into its mailboxes and into the queue.
pub(crate) fn accept(connection: &Connection, ledgers: &mut Ledgers, row: &Row) -> Result<(), Trouble> {
    let (size, hash, file) = match &row.body {
        Body::Memory { bytes, hash, .. } => (bytes.len() as u64, hash, 0),
        Body::File(placed) => (placed.length, &placed.hash, 1),
    };
    let size = i64::try_from(size).map_err(|_| overflow())?;
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
    if let Some(trace) = &row.trace {
        connection.prepare_cached(schema::INSERT_TRACE)?.execute(params![row.id.0, trace])?;
    }
    for Place { mailbox, flags, quota } in &row.places {
        let (uid, modseq) = ledgers.add(connection, *mailbox, *flags, size, *quota)?;
        connection.prepare_cached(schema::INSERT_ENTRY)?.execute(params![mailbox.0, uid, row.id.0, modseq, flags.0])?;
        if let Some(Taken { ordinal, repeat }) = row.taken {
            let noted =
                connection.prepare_cached(schema::INSERT_IMPORTED)?.execute(params![mailbox.0, hash, ordinal])?;
            if noted == 0 && repeat == Repeat::Refused {
                return Err(Trouble::Request(Error::Taken));
            }
        }
    }
    queue::enqueue(connection, ledgers, row)
}

/// Takes messages out of where they are; what is nowhere any more goes.
pub(crate) fn delete(
    connection: &Connection,
    ledgers: &mut Ledgers,
    within: Within,
    ids: &[MessageId],
) -> Result<Removed, Trouble> {
    let mut removed = Removed::default();
    let mut untagged = 0;
    for id in ids {
        let found: Option<(i64, i64)> = connection
            .prepare_cached(schema::SIZE_AND_PLACE)?
            .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((size, file)) = found else { continue };
        let entries = entries_of(connection, *id, within)?;
        if entries.is_empty() {
            continue;
        }
        for entry in entries {
            ledgers.remove(connection, entry.mailbox, entry.flags, size)?;
            connection.prepare_cached(schema::DELETE_ENTRY)?.execute(params![entry.mailbox.0, entry.uid])?;
        }
        removed.number += 1;
        untagged += remove_unneeded(connection, *id, file, &mut removed)?;
    }
    if untagged > 0 {
        tags::prune(connection)?;
    }
    Ok(removed)
}

/// An entry of the queue is over: its message goes when nothing else needs it.
pub(crate) fn sent(connection: &Connection, id: MessageId, removed: &mut Removed) -> Result<(), Trouble> {
    let mut statement = connection.prepare_cached(schema::SIZE_AND_PLACE)?;
    let file = statement.query_row([id.0], |row| row.get(1)).optional()?;
    if let Some(file) = file
        && remove_unneeded(connection, id, file, removed)? > 0
    {
        tags::prune(connection)?;
    }
    Ok(())
}

/// Removes a message if nothing needs it any more; how many tags it had then.
fn remove_unneeded(connection: &Connection, id: MessageId, file: i64, removed: &mut Removed) -> Result<usize, Trouble> {
    let is_needed: bool = connection.prepare_cached(schema::IS_NEEDED)?.query_row([id.0], |row| row.get(0))?;
    if is_needed {
        return Ok(0);
    }
    removed.files.extend((file == 1).then_some(id));
    removed.gone.push(id);
    remove_rows(connection, id, file)
}

/// Removes a message that nothing needs any more; how many tags it had.
fn remove_rows(connection: &Connection, id: MessageId, file: i64) -> Result<usize, Trouble> {
    if file != 1 {
        connection.prepare_cached(schema::DELETE_BODY)?.execute([id.0])?;
    }
    connection.prepare_cached(schema::DELETE_TRACE)?.execute([id.0])?;
    let untagged = connection.prepare_cached(schema::UNTAG)?.execute([id.0])?;
    connection.prepare_cached(schema::DELETE_MESSAGE)?.execute([id.0])?;
    Ok(untagged)
}

/// Deletes those of the oldest caught messages that still must go. Others may have deleted some since they were looked
/// for, and each that is deleted here may be the last that is too much.
pub(crate) fn retire(
    connection: &Connection,
    ledgers: &mut Ledgers,
    oldest: &[Oldest],
    rule: &Retention,
    now_ms: u64,
) -> Result<Removed, Trouble> {
    let mut retired = Removed::default();
    for message in oldest {
        let caught = ledgers.caught();
        if rule.must_go(message, caught.messages(), caught.bytes(), now_ms) {
            let more = delete(connection, ledgers, Within::Mailbox(MailboxId::INBOX), &[message.id])?;
            retired.number += more.number;
            retired.gone.extend(more.gone);
            retired.files.extend(more.files);
        }
    }
    Ok(retired)
}

/// Moves the end of the leased ids.
pub(crate) fn lease(connection: &Connection, end: i64) -> rusqlite::Result<()> {
    connection.prepare_cached(schema::LEASE)?.execute([end]).map(drop)
}

struct Entry {
    mailbox: MailboxId,
    uid: u32,
    flags: Flags,
}

fn entries_of(connection: &Connection, id: MessageId, within: Within) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = connection.prepare_cached(schema::ENTRIES_OF)?;
    let entries = statement.query_map([id.0], |row| {
        Ok(Entry { mailbox: MailboxId(row.get(0)?), uid: row.get(1)?, flags: Flags(row.get(2)?) })
    })?;
    let is_meant = |entry: &rusqlite::Result<Entry>| match (within, entry) {
        (Within::Mailbox(mailbox), Ok(entry)) => entry.mailbox == mailbox,
        _ => true,
    };
    entries.filter(is_meant).collect()
}
