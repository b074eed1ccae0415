//! `search.db`: what is in it, and every statement that changes it.
//!
//! ```text
//! document   one row per indexed message: its texts as `words` took them apart, its snippet, its number of attachments
//! words      FTS5 over the texts of `document`, which it does not hold itself
//! mark       per mailbox the last UID whose message is indexed
//! state      'clean': whether the last run took every deleted message out before it ended
//! ```
//!
//! It can be made anew from `store.db` at any time, so it is never migrated and never mended: another version, damage,
//! or marks that do not fit the mailboxes, and it is thrown away. `synchronous=NORMAL`: after a loss of power it is as
//! it was some moments before, and goes on from there.
//!
//! What a deletion leaves: nothing. FTS5's `secure-delete` takes the words out of the index instead of noting that they
//! are gone, `PRAGMA secure_delete` overwrites what is freed, and emptying the log removes the older pages from there.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

use crate::index::words::{COLUMNS, TOKENIZE, Words};
use crate::types::{MailboxId, MessageId, Preview, Uid};

/// "SPTS" in ASCII.
const APPLICATION: i64 = 0x5350_5453;
/// Another one is thrown away.
const VERSION: i64 = 1;
/// Pages in its log that are worth a checkpoint: 16 MiB.
const CHECKPOINT: i64 = 4096;
/// Of the page cache, in KiB; negative, as SQLite wants it.
const CACHE: i64 = -8192;

/// Bytes of its log that are too many: 32 MiB.
const MOST_LOG: u64 = 32 << 20;

/// The open file, for its one writer.
#[derive(Debug)]
pub(crate) struct IndexFile {
    connection: Connection,
    /// The path of its log.
    log: PathBuf,
}

/// How far a mailbox is indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) mailbox: MailboxId,
    pub(crate) uid_validity: u32,
    pub(crate) uid: Uid,
}

/// Whether the last run took every deleted message out before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Clean,
    Unclean,
}

impl IndexFile {
    /// Opens a file of this version; `None` when there is none.
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let file = Self { connection: connect(path)?, log: beside(path, "-wal") };
        let number = |sql: &str| file.connection.query_row(sql, (), |row| row.get::<_, i64>(0));
        let ours = number("PRAGMA application_id")? == APPLICATION && number("PRAGMA user_version")? == VERSION;
        Ok(ours.then_some(file))
    }

    /// Before the first deletion of a run: notes, synced, that the run has not ended; how the last one did. A file that
    /// cannot be written is thrown away, for the next run would take it for one without the words of deleted messages.
    pub(crate) fn begin_run(path: &Path) -> Ended {
        let note = || -> rusqlite::Result<Ended> {
            let Some(file) = Self::open(path)? else { return Ok(Ended::Unclean) };
            let ended = file.ended()?;
            if ended == Ended::Clean {
                file.connection.pragma_update(None, "synchronous", "FULL")?;
                file.set_ended(Ended::Unclean)?;
            }
            Ok(ended)
        };
        note().unwrap_or_else(|why| {
            tracing::warn!(%why, "the search index is made anew: it cannot be written");
            // What cannot be removed is no file of ours.
            if let Err(why) = remove_files(path) {
                tracing::warn!(%why, "the search index cannot be removed");
            }
            Ended::Unclean
        })
    }

    /// Throws away what is there and makes an empty one. Nobody else may have it open.
    pub(crate) fn make(path: &Path) -> Result<Self, MakeError> {
        remove_files(path)?;
        // Made here for its mode, which SQLite gives to its other files.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let connection = connect(path)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        let columns = COLUMNS.join(", ");
        let texts = COLUMNS.map(|column| format!("{column} TEXT NOT NULL")).join(", ");
        connection.execute_batch(&format!(
            "BEGIN;
             CREATE TABLE document (id INTEGER PRIMARY KEY, attachments INTEGER NOT NULL, snippet TEXT NOT NULL,
                 {texts}) STRICT;
             CREATE INDEX document_with_attachments ON document (id) WHERE attachments > 0;
             CREATE VIRTUAL TABLE words USING fts5({columns}, content = 'document', content_rowid = 'id',
                 columnsize = 0, {TOKENIZE});
             INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
             CREATE TABLE mark (mailbox INTEGER PRIMARY KEY, uid_validity INTEGER NOT NULL, uid INTEGER NOT NULL) STRICT;
             CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
             INSERT INTO state VALUES ('clean', 0);
             PRAGMA application_id = {APPLICATION};
             PRAGMA user_version = {VERSION};
             COMMIT;"
        ))?;
        Ok(Self { connection, log: beside(path, "-wal") })
    }

    /// Begins a transaction.
    pub(crate) fn begin(&self) -> rusqlite::Result<()> {
        self.execute("BEGIN IMMEDIATE", ())
    }

    /// Commits it.
    pub(crate) fn commit(&self) -> rusqlite::Result<()> {
        self.execute("COMMIT", ())
    }

    /// Undoes it, if SQLite has not already.
    pub(crate) fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            let _ = self.execute("ROLLBACK", ());
        }
    }

    /// How far the mailboxes are indexed.
    pub(crate) fn marks(&self) -> rusqlite::Result<Vec<Mark>> {
        let mut statement = self.connection.prepare_cached("SELECT mailbox, uid_validity, uid FROM mark")?;
        let marks = statement.query_map((), |row| {
            Ok(Mark { mailbox: MailboxId(row.get(0)?), uid_validity: row.get(1)?, uid: Uid(row.get(2)?) })
        })?;
        marks.collect()
    }

    /// Notes how far a mailbox is indexed.
    pub(crate) fn set_mark(&self, mark: Mark) -> rusqlite::Result<()> {
        let Mark { mailbox, uid_validity, uid } = mark;
        self.execute("REPLACE INTO mark VALUES (?1, ?2, ?3)", params![mailbox.0, uid_validity, uid.0])
    }

    /// Forgets how far a mailbox is indexed.
    pub(crate) fn remove_mark(&self, mailbox: MailboxId) -> rusqlite::Result<()> {
        self.execute("DELETE FROM mark WHERE mailbox = ?1", [mailbox.0])
    }

    /// Whether a message is in.
    pub(crate) fn has(&self, id: MessageId) -> rusqlite::Result<bool> {
        self.connection.prepare_cached("SELECT 1 FROM document WHERE id = ?1")?.exists([id.0])
    }

    /// Puts a message in, unless it is there.
    pub(crate) fn put(&self, id: MessageId, words: &Words, preview: &Preview) -> rusqlite::Result<()> {
        let Preview { snippet, attachments } = preview;
        let [sender, recipient, cc, subject, body, names, message_id] = words.texts();
        let put = self
            .connection
            .prepare_cached(
                "INSERT INTO document VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
            )?
            .execute(params![id.0, attachments, snippet, sender, recipient, cc, subject, body, names, message_id])?;
        if put > 0 {
            self.execute(
                "INSERT INTO words (rowid, sender, recipient, cc, subject, body, names, message_id) \
                 SELECT id, sender, recipient, cc, subject, body, names, message_id FROM document WHERE id = ?1",
                [id.0],
            )?;
        }
        Ok(())
    }

    /// Takes messages out; how many of them were in.
    pub(crate) fn forget(&self, ids: &[MessageId]) -> rusqlite::Result<usize> {
        let mut forgotten = 0;
        for id in ids {
            // In this order: the words to take out are read from the document.
            self.execute("DELETE FROM words WHERE rowid = (SELECT id FROM document WHERE id = ?1)", [id.0])?;
            forgotten += self.connection.prepare_cached("DELETE FROM document WHERE id = ?1")?.execute([id.0])?;
        }
        Ok(forgotten)
    }

    /// Up to `most` messages above `after`, up to `until`, that are in.
    pub(crate) fn ids(&self, after: MessageId, until: MessageId, most: usize) -> rusqlite::Result<Vec<MessageId>> {
        let sql = "SELECT id FROM document WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_map(params![after.0, until.0, most as i64], |row| row.get(0).map(MessageId))?.collect()
    }

    /// The message with the greatest number that is in.
    pub(crate) fn last(&self) -> rusqlite::Result<Option<MessageId>> {
        self.connection
            .query_row("SELECT max(id) FROM document", (), |row| Ok(row.get::<_, Option<i64>>(0)?.map(MessageId)))
    }

    /// How many messages are in.
    pub(crate) fn number(&self) -> rusqlite::Result<u64> {
        self.connection.query_row("SELECT count(*) FROM document", (), |row| row.get(0))
    }

    /// How the last run ended.
    fn ended(&self) -> rusqlite::Result<Ended> {
        let clean = self.connection.query_row("SELECT value FROM state WHERE name = 'clean'", (), |row| row.get(0))?;
        Ok(if clean { Ended::Clean } else { Ended::Unclean })
    }

    /// Notes how this run ends, or that it has not ended.
    pub(crate) fn set_ended(&self, ended: Ended) -> rusqlite::Result<()> {
        self.execute("UPDATE state SET value = ?1 WHERE name = 'clean'", [ended == Ended::Clean])
    }

    /// Moves the log into the database and empties it; `false` when somebody reads it for longer than `patience`. Who
    /// begins to read meanwhile is not waited for.
    pub(crate) fn empty_log(&self, patience: Duration) -> rusqlite::Result<bool> {
        self.connection.busy_timeout(patience)?;
        let emptied = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get::<_, i64>(0).map(|busy| busy == 0));
        self.connection.busy_timeout(Duration::ZERO)?;
        emptied
    }

    /// Whether the log has become longer than it may: readers keep it from being begun anew.
    pub(crate) fn is_log_long(&self) -> bool {
        fs::metadata(&self.log).is_ok_and(|log| log.len() > MOST_LOG)
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute(values).map(drop)
    }
}

/// Why an empty file could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MakeError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
}

fn remove_files(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
    }
    Ok(())
}

/// One of SQLite's files beside `path`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A connection that reads the file.
pub(crate) fn connect_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", "ON")?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Nobody else writes it; only an emptying of the log may wait.
    connection.busy_timeout(Duration::ZERO)?;
    // A closing that emptied the log would remove it by its name, whoever's it is by then.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn the_log_is_emptied_when_those_who_read_it_have_ended() {
        let place = std::env::temp_dir().join(format!("sportello-index-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir(&place).unwrap();
        let path = place.join("search.db");
        let mut file = IndexFile::make(&path).unwrap();
        let ((begun, has_begun), (end, is_to_end)) = (channel(), channel::<()>());
        let reader = {
            let path = path.clone();
            std::thread::spawn(move || {
                let connection = connect_to_read(&path).unwrap();
                connection.execute_batch("BEGIN; SELECT count(*) FROM mark").unwrap();
                begun.send(()).unwrap();
                is_to_end.recv().unwrap_err();
                connection.execute_batch("COMMIT").unwrap();
            })
        };
        has_begun.recv().unwrap();
        file.begin().unwrap();
        file.put(MessageId(1), &Words::default(), &Preview { snippet: String::new(), attachments: 0 }).unwrap();
        file.commit().unwrap();
        assert!(!file.empty_log(Duration::ZERO).unwrap());
        drop(end);
        assert!(file.empty_log(Duration::from_secs(60)).unwrap());
        assert_eq!(fs::metadata(&file.log).unwrap().len(), 0);
        reader.join().unwrap();
        file.log = place.join("log");
        assert!(!file.is_log_long(), "absent");
        for (length, is_long) in [(MOST_LOG, false), (MOST_LOG + 1, true)] {
            fs::File::create(&file.log).unwrap().set_len(length).unwrap();
            assert_eq!(file.is_log_long(), is_long);
        }
        fs::remove_dir_all(&place).unwrap();
    }
}
