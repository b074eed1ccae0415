//! Reads: each on a `store-reader-*` thread with a connection that cannot write, each bounded in time.
//!
//! A read sees one committed state and makes no writer wait.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::account::{AccountId, SpecialUse};
use crate::error::Error;
use crate::folder::Folder;
use crate::index::door::Key;
use crate::index::file::connect_to_read;
use crate::index::words::Words;
use crate::page::{Page, Start, Window};
use crate::sqlite::time_limit::Timed;
use crate::sqlite::trouble::of_read;
use crate::sqlite::{Role, open, schema};
use crate::tag::{Tag, TagCount};
use crate::types::{
    Envelope, Flags, ListPage, Mailbox, MailboxId, MessageId, MessageRow, ModSeq, Origin, Preview, StoredBody, Summary,
    Uid,
};

/// One reader's own.
pub(crate) struct Reader {
    rows: Timed,
    folder: Arc<Folder>,
    time: Duration,
    /// The way to the search index, for what a list shows from it.
    previews: Key,
}

/// A message that is not yet indexed.
#[derive(Debug)]
pub(crate) struct ToIndex {
    pub(crate) uid: Uid,
    pub(crate) id: MessageId,
    pub(crate) words: Words,
    /// `None` where it is a file.
    pub(crate) body: Option<Vec<u8>>,
}

/// One of the oldest messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Oldest {
    pub(crate) id: MessageId,
    pub(crate) size: u64,
    pub(crate) received_ms: u64,
}

impl Reader {
    /// A reader whose reads take at most `time`.
    pub(crate) fn open(folder: &Arc<Folder>, time: Duration, previews: Key) -> rusqlite::Result<Self> {
        let rows = Timed::new(open(&folder.database(), Role::Reader)?, time)?;
        Ok(Self { rows, folder: Arc::clone(folder), time, previews })
    }

    /// All mailboxes.
    pub(crate) fn mailboxes(&self) -> Result<Vec<Mailbox>, Error> {
        self.bounded(|connection| connection.prepare_cached(schema::MAILBOXES)?.query_map((), mailbox)?.collect())
    }

    /// One mailbox.
    pub(crate) fn mailbox(&self, id: MailboxId) -> Result<Option<Mailbox>, Error> {
        self.bounded(|connection| connection.prepare_cached(schema::MAILBOX)?.query_row([id.0], mailbox).optional())
    }

    /// What was decided for a message.
    pub(crate) fn trace(&self, id: MessageId) -> Result<Option<String>, Error> {
        self.bounded(|connection| {
            connection.prepare_cached(schema::TRACE)?.query_row([id.0], |row| row.get(0)).optional()
        })
    }

    /// One page of a mailbox.
    pub(crate) fn list(&self, page: ListPage) -> Result<Vec<MessageRow>, Error> {
        let start = page.before.map_or(Start::Newest, Start::Before);
        let window = Window { start, limit: page.limit };
        let mut rows = self.bounded(|connection| window_of(connection, page.mailbox, window))?;
        self.add_previews(&mut rows);
        Ok(rows)
    }

    /// The messages with a UID above `after`, oldest first.
    pub(crate) fn list_after(&self, mailbox: MailboxId, after: Uid, limit: usize) -> Result<Vec<MessageRow>, Error> {
        let mut rows: Vec<MessageRow> = self.bounded(|connection| {
            let mut statement = connection.prepare_cached(schema::LIST_AFTER)?;
            statement.query_map(params![mailbox.0, after.0, limit as i64], message)?.collect()
        })?;
        self.add_previews(&mut rows);
        Ok(rows)
    }

    /// One page of a mailbox with its sums, both of one moment.
    pub(crate) fn page(&self, mailbox: MailboxId, window: Window) -> Result<Page, Error> {
        let mut page = self.bounded(|connection| {
            let moment = connection.unchecked_transaction()?;
            let sums = moment
                .prepare_cached(schema::SUMS)?
                .query_row([mailbox.0], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (messages, unread) = sums.unwrap_or_default();
            let rows = window_of(&moment, mailbox, window)?;
            Ok(Page { rows, messages, unread })
        })?;
        self.add_previews(&mut page.rows);
        Ok(page)
    }

    /// The messages with a UID between these two (neither is meant), oldest first.
    pub(crate) fn uids(
        &self,
        mailbox: MailboxId,
        after: Uid,
        before: Uid,
        most: usize,
    ) -> Result<Vec<(Uid, MessageId)>, Error> {
        self.bounded(|connection| {
            let mut statement = connection.prepare_cached(schema::UIDS)?;
            let found = statement.query_map(params![mailbox.0, after.0, before.0, most as i64], |row| {
                Ok((Uid(row.get(0)?), MessageId(row.get(1)?)))
            })?;
            found.collect()
        })
    }

    /// The oldest messages, oldest first.
    pub(crate) fn oldest(&self, most: usize) -> Result<Vec<Oldest>, Error> {
        self.bounded(|connection| {
            let mut statement = connection.prepare_cached(schema::OLDEST)?;
            let oldest = statement.query_map(params![MailboxId::INBOX.0, most as i64], |row| {
                Ok(Oldest { id: MessageId(row.get(0)?), size: row.get(1)?, received_ms: row.get(2)? })
            })?;
            oldest.collect()
        })
    }

    /// All tags, each with how many messages have it.
    pub(crate) fn tags(&self) -> Result<Vec<TagCount>, Error> {
        self.bounded(|connection| {
            let mut statement = connection.prepare_cached(schema::TAGS)?;
            let tags =
                statement.query_map((), |row| Ok(TagCount { tag: Tag::stored(row.get(0)?), messages: row.get(1)? }))?;
            tags.collect()
        })
    }

    /// What is kept by a name.
    pub(crate) fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.bounded(|connection| {
            connection.prepare_cached(schema::SECRET)?.query_row([name], |row| row.get(0)).optional()
        })
    }

    /// The names that begin so.
    pub(crate) fn secret_names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.bounded(|connection| {
            connection.prepare_cached(schema::SECRET_NAMES)?.query_map([prefix], |row| row.get(0))?.collect()
        })
    }

    /// One message.
    pub(crate) fn message(&self, id: MessageId) -> Result<Option<MessageRow>, Error> {
        let mut row = self
            .bounded(|connection| connection.prepare_cached(schema::MESSAGE)?.query_row([id.0], message).optional())?;
        self.add_previews(row.as_mut_slice());
        Ok(row)
    }

    /// Those of these messages that are not here any more.
    pub(crate) fn not_here(&self, ids: &[MessageId]) -> Result<Vec<MessageId>, Error> {
        let mut gone = Vec::new();
        for id in ids {
            if self.place(*id)?.is_none() {
                gone.push(*id);
            }
        }
        Ok(gone)
    }

    /// The messages with a UID above `after`, oldest first: at most `most`, and none more once they have `bytes` bytes.
    /// One short read for all of them, so that a long work on them holds no moment of the database.
    pub(crate) fn to_index(
        &self,
        mailbox: MailboxId,
        after: Uid,
        most: usize,
        bytes: usize,
    ) -> Result<Vec<ToIndex>, Error> {
        self.bounded(|connection| {
            let mut statement = connection.prepare_cached(schema::TO_INDEX)?;
            let mut rows = statement.query(params![mailbox.0, after.0, most as i64])?;
            let (mut found, mut sum) = (Vec::new(), 0usize);
            while sum < bytes
                && let Some(row) = rows.next()?
            {
                let body: Option<Vec<u8>> = row.get(9)?;
                sum = sum.saturating_add(body.as_ref().map_or(0, Vec::len));
                let (uid, id) = (Uid(row.get(0)?), MessageId(row.get(1)?));
                found.push(ToIndex { uid, id, words: Words::of_row(row)?, body });
            }
            Ok(found)
        })
    }

    /// What the index knows of them. Nothing that fails here is worth failing a list.
    fn add_previews(&self, rows: &mut [MessageRow]) {
        let open = |file: &Path| Timed::new(connect_to_read(file)?, self.time);
        if let Err(why) = self.previews.read(open, |connection| add_previews(connection, rows)) {
            tracing::debug!(%why, "a list is shown without previews");
        }
    }

    /// One message's body.
    pub(crate) fn body(&self, id: MessageId) -> Result<Option<StoredBody>, Error> {
        let Some((size, file)) = self.place(id)? else { return Ok(None) };
        if file != 0 {
            return self.body_in_file(id, size);
        }
        let bytes: Option<Vec<u8>> = self.bounded(|connection| {
            connection.prepare_cached(schema::BODY)?.query_row([id.0], |row| row.get(0)).optional()
        })?;
        match bytes {
            Some(bytes) => Ok(Some(StoredBody::Memory(Bytes::from(bytes)))),
            None => self.gone(id),
        }
    }

    fn body_in_file(&self, id: MessageId, length: u64) -> Result<Option<StoredBody>, Error> {
        match self.folder.open_blob(id) {
            Ok(file) => Ok(Some(StoredBody::File { file: Arc::new(file), length })),
            Err(why) if why.kind() == io::ErrorKind::NotFound => self.gone(id),
            Err(why) => Err(Error::io("opening a body", why)),
        }
    }

    /// Its body was not found: deleted between two looks, or lost.
    fn gone(&self, id: MessageId) -> Result<Option<StoredBody>, Error> {
        match self.place(id)? {
            None => Ok(None),
            Some(_) => Err(Error::Damaged(format!("the body of message {id} is missing").into())),
        }
    }

    fn place(&self, id: MessageId) -> Result<Option<(u64, i64)>, Error> {
        self.bounded(|connection| {
            let mut statement = connection.prepare_cached(schema::SIZE_AND_PLACE)?;
            statement.query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
    }

    pub(crate) fn bounded<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        self.rows.read(read).map_err(|why| of_read(&why))
    }
}

/// What the index knows of the messages of these rows.
pub(crate) fn add_previews(connection: &Connection, rows: &mut [MessageRow]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT snippet, attachments FROM document WHERE id = ?1")?;
    for row in rows {
        let preview = |row: &Row<'_>| Ok(Preview { snippet: row.get(0)?, attachments: row.get(1)? });
        row.preview = statement.query_row([row.id.0], preview).optional()?;
    }
    Ok(())
}

fn window_of(connection: &Connection, mailbox: MailboxId, window: Window) -> rusqlite::Result<Vec<MessageRow>> {
    let limit = window.rows() as i64;
    // Above every UID where no page came before: RFC 9051 has 32 bits for it.
    let mut before = i64::from(u32::MAX) + 1;
    match window.start {
        Start::At(passed) => {
            let passed = i64::try_from(passed).unwrap_or(i64::MAX);
            let mut statement = connection.prepare_cached(schema::LIST_AT)?;
            return statement.query_map(params![mailbox.0, limit, passed], message)?.collect();
        }
        Start::Before(uid) => before = uid.0.into(),
        Start::Newest => {}
    }
    let mut statement = connection.prepare_cached(schema::LIST)?;
    statement.query_map(params![mailbox.0, before, limit], message)?.collect()
}

/// The columns of `schema::MAILBOXES`.
pub(crate) fn mailbox(row: &Row<'_>) -> rusqlite::Result<Mailbox> {
    Ok(Mailbox {
        id: MailboxId(row.get(0)?),
        name: row.get(1)?,
        uid_validity: row.get(2)?,
        uid_next: Uid(row.get(3)?),
        highest_modseq: ModSeq(row.get(4)?),
        messages: row.get(5)?,
        unseen: row.get(6)?,
        bytes: row.get(7)?,
        account: row.get::<_, Option<i64>>(8)?.map(AccountId),
        special: row.get::<_, Option<usize>>(9)?.and_then(SpecialUse::stored),
    })
}

/// The columns of `schema::LIST`, `schema::LIST_AT` and `schema::MESSAGE`.
pub(crate) fn message(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    let connection: i64 = row.get(13)?;
    Ok(MessageRow {
        id: MessageId(row.get(0)?),
        mailbox: MailboxId(row.get(1)?),
        uid: Uid(row.get(2)?),
        modseq: ModSeq(row.get(3)?),
        flags: Flags(row.get(4)?),
        size: row.get(5)?,
        hash: row.get(6)?,
        received_ms: row.get(7)?,
        envelope: Envelope { sender: row.get(8)?, recipients: parsed(row, 9, |text| serde_json::from_str(text))? },
        origin: Origin {
            peer: parsed(row, 10, str::parse)?,
            helo: row.get(11)?,
            channel: row.get(12)?,
            connection: connection.cast_unsigned(),
        },
        summary: Summary {
            from: row.get(14)?,
            to: row.get(15)?,
            subject: row.get(16)?,
            date_unix: row.get(17)?,
            message_id: row.get(18)?,
        },
        tags: parsed(row, 19, |text| serde_json::from_str::<Vec<String>>(text))?.into_iter().map(Tag::stored).collect(),
        preview: None,
    })
}

/// A column whose text has a shape of its own.
pub(crate) fn parsed<T, E>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    use rusqlite::types::{FromSqlError, Type};
    let text = row.get_ref(column)?;
    let text = text.as_str().map_err(|why: FromSqlError| {
        rusqlite::Error::FromSqlConversionFailure(column, text.data_type(), Box::new(why))
    })?;
    parse(text).map_err(|why| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(why)))
}
