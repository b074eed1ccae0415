//! Moves the write-ahead log into the database, off the commit path.
//!
//! A commit only appends to the log. When [`SOFT`] pages wait there, the writer wakes `store-checkpoint`, which copies
//! them (PASSIVE: it waits for nobody) while commits go on. As long as commits go on the log never ends, so it is never
//! begun anew and grows; at [`HARD`] pages the writer copies the few that are left itself, between two commits, and the
//! next commit begins at the log's start. A reader that still needs old pages puts that off, and a read is bounded in
//! time; so the log is bounded, by [`HARD`] and what is committed during one read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use rusqlite::Connection;

use crate::counters::Counters;
use crate::sqlite::trouble::Trouble;
use crate::sqlite::{Role, open};

/// Bytes of a page.
pub(crate) const PAGE: i64 = 4096;
/// Pages in the log that are worth a checkpoint: 16 MiB.
pub(crate) const SOFT: i64 = 4096;
/// Pages in the log at which the writer helps: 64 MiB.
pub(crate) const HARD: i64 = 16384;

/// The thread, and what it last did.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
    /// Pages of the present log that are in the database.
    copied: Arc<AtomicI64>,
    /// Pages in the log at which the writer helps next.
    help_at: i64,
}

/// What one checkpoint found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Pages in the log.
    pub(crate) log: i64,
    /// Those of them that are in the database.
    pub(crate) copied: i64,
}

impl Checkpointer {
    /// Starts the thread with a connection of its own.
    pub(crate) fn start(database: &Path, counters: &Arc<Counters>) -> rusqlite::Result<std::io::Result<Self>> {
        let connection = open(database, Role::Writer)?;
        let copied = Arc::new(AtomicI64::new(0));
        let (wake, woken) = sync_channel(1);
        let work = {
            let (counters, copied) = (Arc::clone(counters), Arc::clone(&copied));
            move || {
                while woken.recv().is_ok() && counters.check().is_ok() {
                    if let Some(progress) = passive(&connection, &counters) {
                        copied.store(progress.copied, Ordering::Relaxed);
                    }
                }
            }
        };
        let thread = Builder::new().name("store-checkpoint".to_owned()).spawn(work);
        Ok(thread.map(|thread| Self { wake, thread, copied, help_at: HARD }))
    }

    /// After a commit that left `log` pages in the log.
    pub(crate) fn after_commit(&mut self, log: i64, connection: &Connection, counters: &Counters) {
        if log < SOFT {
            // A new log: it begins with nothing copied.
            self.copied.store(0, Ordering::Relaxed);
            self.help_at = HARD;
        } else if log >= self.help_at {
            self.help_at = log + SOFT;
            passive(connection, counters);
        } else if log - self.copied.load(Ordering::Relaxed) >= SOFT {
            // Full: it is already told.
            let _ = self.wake.try_send(());
        }
    }

    /// Lets the thread end and waits for it.
    pub(crate) fn stop(self) {
        drop(self.wake);
        let _ = self.thread.join();
    }
}

/// Copies what can be copied without waiting. A failure that is not a lack of room fails the store.
fn passive(connection: &Connection, counters: &Counters) -> Option<Progress> {
    checkpoint(connection, counters, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// Copies everything and empties the log: at the close.
pub(crate) fn truncate(connection: &Connection, counters: &Counters) -> Option<Progress> {
    checkpoint(connection, counters, "PRAGMA wal_checkpoint(TRUNCATE)")
}

fn checkpoint(connection: &Connection, counters: &Counters, sql: &str) -> Option<Progress> {
    let progress = |row: &rusqlite::Row<'_>| Ok(Progress { log: row.get(1)?, copied: row.get(2)? });
    let done = connection.prepare_cached(sql).and_then(|mut statement| statement.query_row((), progress));
    match done.map_err(Trouble::from) {
        Ok(progress) => Some(progress),
        Err(Trouble::Fatal(why)) => {
            counters.fail("a checkpoint", &why);
            None
        }
        Err(why) => {
            tracing::warn!(?why, "a checkpoint is put off");
            None
        }
    }
}
