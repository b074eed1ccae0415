//! Moves the write-ahead log into the database, off the commit path, and keeps the log short.
//!
//! A commit only writes to the log. When [`SOFT`] pages wait there, the writer wakes `store-checkpoint`, which copies
//! them (PASSIVE: it waits for nobody) while commits go on. When it has copied nearly all, the writer copies the few that
//! are left itself, between two commits, and the next commit begins at the log's start, over bytes that are there: to
//! sync those costs half of what it costs to sync a file that grows. Commits that outrun the thread make the log longer;
//! at [`HARD`] pages the writer copies whatever is left. A reader that still needs old pages puts the new beginning off,
//! and where one read follows the other without a pause there is always one; so at [`MOST`] pages the writer waits for
//! those that are under way, each of which is bounded in time, and for no later ones. So the log is bounded, by [`MOST`]
//! and one group of commits, unless a single read hangs on the disk for longer than SQLite waits.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::{Builder, JoinHandle};

use rusqlite::Connection;

use crate::counters::Counters;
use crate::sqlite::trouble::Trouble;
use crate::sqlite::{Role, open};

/// Bytes of a page.
const PAGE: i64 = 4096;
/// Bytes of the log's header, and of the one before each of its pages.
const LOG_HEADER: i64 = 32;
const PAGE_HEADER: i64 = 24;
/// Pages in the log that are worth a checkpoint: 3 MiB.
pub(crate) const SOFT: i64 = 768;
/// So few are left that the writer copies them.
const FEW: i64 = SOFT / 2;
/// Pages in the log at which the writer helps in any case: 16 MiB.
pub(crate) const HARD: i64 = 4096;
/// Pages in the log at which it waits for readers: 32 MiB.
pub(crate) const MOST: i64 = 2 * HARD;

/// Bytes of a log of so many pages.
pub(crate) const fn log_bytes(pages: i64) -> i64 {
    LOG_HEADER + pages * (PAGE_HEADER + PAGE)
}

/// The thread, and what it last did.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
    /// Pages of the present log that are in the database.
    copied: Arc<AtomicI64>,
    /// Held by whoever copies: SQLite lets no second one, which would return with nothing done.
    turn: Arc<Mutex<()>>,
    /// Pages in the log after the last commit.
    last: i64,
    /// Pages in the log at which the thread is woken next.
    wake_at: i64,
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
        let turn = Arc::new(Mutex::new(()));
        let (wake, woken) = sync_channel(1);
        let work = {
            let (counters, copied, turn) = (Arc::clone(counters), Arc::clone(&copied), Arc::clone(&turn));
            move || {
                while woken.recv().is_ok() && counters.check().is_ok() {
                    let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(progress) = passive(&connection, &counters) {
                        copied.store(progress.copied, Ordering::Relaxed);
                    }
                    drop(turn);
                }
            }
        };
        let thread = Builder::new().name("store-checkpoint".to_owned()).spawn(work);
        Ok(thread.map(|thread| Self { wake, thread, copied, turn, last: 0, wake_at: SOFT, help_at: SOFT }))
    }

    /// After a commit that left `log` pages in the log.
    pub(crate) fn after_commit(&mut self, log: i64, connection: &Connection, counters: &Counters) {
        if log < SOFT || log < self.last {
            // A new log: it begins with nothing copied.
            self.copied.store(0, Ordering::Relaxed);
            (self.wake_at, self.help_at) = (SOFT, SOFT);
        }
        self.last = log;
        let few = log - self.copied.load(Ordering::Relaxed) <= FEW;
        if log >= self.help_at && (few || log >= HARD) {
            // A reader may keep the log from being begun anew: not again with every commit.
            self.help_at = log + FEW;
            let turn = match self.turn.try_lock() {
                Ok(turn) => Some(turn),
                Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
                // Here the commits wait for the thread.
                Err(TryLockError::WouldBlock) if log >= HARD => {
                    Some(self.turn.lock().unwrap_or_else(PoisonError::into_inner))
                }
                Err(TryLockError::WouldBlock) => None,
            };
            if turn.is_some() && counters.check().is_ok() {
                if log >= MOST {
                    restart(connection, counters);
                } else {
                    passive(connection, counters);
                }
            }
        } else if log >= self.wake_at {
            self.wake_at = log + SOFT;
            // Full: it is already told.
            let _ = self.wake.try_send(());
        }
    }

    /// Pages of the present log that the thread has copied.
    #[cfg(test)]
    pub(crate) fn copied(&self) -> i64 {
        self.copied.load(Ordering::Relaxed)
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

/// Copies everything, and waits until nobody reads the log any more: the next commit begins it anew.
fn restart(connection: &Connection, counters: &Counters) -> Option<Progress> {
    checkpoint(connection, counters, "PRAGMA wal_checkpoint(RESTART)")
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
