//! The ways of readers to `search.db`.
//!
//! Every connection that reads it lies behind a [`Door`], one per reading thread. Before the file is thrown away and
//! made anew all doors are shut at once, so that nobody holds the old file, and nobody's closing can touch the new one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::Connection;
use rusqlite::ffi::ErrorCode;

use crate::index::indexer::Alarm;
use crate::sqlite::time_limit::Timed;

/// All doors to one file.
#[derive(Debug)]
pub(crate) struct Doors {
    file: PathBuf,
    /// Whether there is a whole file of our version behind them.
    open: AtomicBool,
    /// A reader found the file damaged.
    damaged: AtomicBool,
    /// Who is told of damage.
    alarm: OnceLock<Alarm>,
    doors: Vec<Door>,
}

type Door = Mutex<Option<Timed>>;

/// One thread's door.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    doors: Arc<Doors>,
    number: usize,
}

impl Doors {
    /// `number` doors, all shut.
    pub(crate) fn new(file: PathBuf, number: usize) -> Arc<Self> {
        let doors = std::iter::repeat_with(|| Mutex::new(None)).take(number).collect();
        Arc::new(Self {
            file,
            open: AtomicBool::new(false),
            damaged: AtomicBool::new(false),
            alarm: OnceLock::new(),
            doors,
        })
    }

    /// The key to one of them.
    pub(crate) fn key(self: &Arc<Self>, number: usize) -> Key {
        Key { doors: Arc::clone(self), number }
    }

    /// The file behind them.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// From now on damage is told to the thread that mends it. Only the first one counts.
    pub(crate) fn tell(&self, alarm: Alarm) {
        let _ = self.alarm.set(alarm);
    }

    /// There is a whole file of our version.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// Shuts all, closing every connection, while the file is made anew; opens them if that went well.
    pub(crate) fn shut_while<T, E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.open.store(false, Ordering::Release);
        let mut held: Vec<MutexGuard<'_, Option<Timed>>> = self.doors.iter().map(lock).collect();
        for connection in &mut held {
            drop(connection.take());
        }
        let made = make()?;
        self.damaged.store(false, Ordering::Release);
        self.open();
        Ok(made)
    }

    /// Whether a reader found the file damaged since it was made.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }
}

impl Key {
    /// Reads behind the door, through a connection that `open` makes from the file's path at the first time. `None`:
    /// there is nothing to read, now or because this read found out. A read that was over its time is an error.
    pub(crate) fn read<T>(
        &self,
        open: impl FnOnce(&Path) -> rusqlite::Result<Timed>,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        let Some(mut door) = self.doors.doors.get(self.number).map(lock) else { return Ok(None) };
        if !self.doors.open.load(Ordering::Acquire) {
            return Ok(None);
        }
        let found = match door.take().map_or_else(|| open(&self.doors.file), Ok) {
            Ok(connection) => door.insert(connection).read(read),
            Err(why) => Err(why),
        };
        match found {
            Ok(found) => Ok(Some(found)),
            Err(why) if why.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Err(why),
            Err(why) => {
                drop(door.take());
                self.judge(&why);
                Ok(None)
            }
        }
    }

    /// Whether an error is the file's fault: then it is made anew.
    fn judge(&self, why: &rusqlite::Error) {
        use ErrorCode::{CannotOpen, DatabaseCorrupt, NotADatabase, SystemIoFailure};
        tracing::warn!(%why, "the search index could not be read");
        if let Some(DatabaseCorrupt | NotADatabase | CannotOpen | SystemIoFailure) = why.sqlite_error_code() {
            self.doors.damaged.store(true, Ordering::Release);
            self.doors.open.store(false, Ordering::Release);
            if let Some(alarm) = self.doors.alarm.get() {
                alarm.damaged();
            }
        }
    }
}

fn lock(door: &Door) -> MutexGuard<'_, Option<Timed>> {
    door.lock().unwrap_or_else(PoisonError::into_inner)
}
