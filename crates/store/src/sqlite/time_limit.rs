//! A connection whose reads are bounded in time.
//!
//! SQLite looks at the clock every [`STEPS`] instructions of its machine and stops a read that is over its time; a
//! single slow read of the disk is not interrupted, nor the putting together of the list of one word's places.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Instructions of SQLite's machine between two looks at the clock; some 10 to 100 µs.
const STEPS: i32 = 1000;

/// The connection.
#[derive(Debug)]
pub(crate) struct Timed {
    connection: Connection,
    clock: Instant,
    /// Microseconds after `clock` at which the present read is stopped.
    stop_at: Arc<AtomicU64>,
    time: Duration,
}

impl Timed {
    /// From now on no [`Timed::read`] runs longer than `time`.
    pub(crate) fn new(mut connection: Connection, time: Duration) -> rusqlite::Result<Self> {
        let clock = Instant::now();
        let stop_at = Arc::new(AtomicU64::new(u64::MAX));
        let limit = Arc::clone(&stop_at);
        connection.progress_handler(STEPS, Some(move || micros(clock) >= limit.load(Ordering::Relaxed)))?;
        Ok(Self { connection, clock, stop_at, time })
    }

    /// One read.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let time = u64::try_from(self.time.as_micros()).unwrap_or(u64::MAX);
        self.stop_at.store(micros(self.clock).saturating_add(time), Ordering::Relaxed);
        let result = read(&self.connection);
        self.stop_at.store(u64::MAX, Ordering::Relaxed);
        result
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
