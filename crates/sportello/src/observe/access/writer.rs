//! The threads that write access logs, and what workers hand them.
//!
//! A worker gathers lines and hands them over in blocks; it never waits. What a thread cannot take (it is behind, or the disk is
//! full) is counted as lost, and the count is logged. Each log is one [`Sink`], whichever site and whichever configuration writes to
//! it, so that one file is put aside by one hand: that of a thread of its own, so that one log which cannot be written (a file system
//! that hangs, a pipe that nobody reads) keeps no other waiting.
//!
//! Only the thread waits for a disk or for whoever reads standard output: nobody else takes the lock that it holds meanwhile. A reload
//! opens logs ([`Renewed`]) and leaves them in a place where the thread finds them with its next block.
//!
//! Bounded by: the logs that were configured; [`WAITING`] blocks of each and [`WAITING_IN_ALL`] of all, beyond which each may have one.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tracing::warn;

use super::file::{LogFile, Rotation};

/// Blocks that may wait for one log.
pub const WAITING: usize = 64;
/// Blocks that may wait for all logs. A log for which none waits has room for one also then.
pub const WAITING_IN_ALL: usize = 1024;
/// How often it is told that lines were lost.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, by an absolute path.
    File(PathBuf),
}

/// One log, shared by all that write to it.
#[derive(Debug)]
pub struct Sink {
    target: Target,
    /// The thread's alone: it holds it as long as the disk takes.
    state: Mutex<Opened>,
    /// What a reload has opened and the thread has not yet taken; held for a moment only.
    next: Mutex<Option<Opened>>,
    /// The thread's, which ends when this and what was handed over are gone.
    queue: mpsc::Sender<Told>,
    /// Blocks that wait for it, and for all threads.
    waiting: AtomicUsize,
    in_all: Arc<AtomicUsize>,
    /// Lines, since the beginning.
    lost: AtomicU64,
    /// When losses were told of, and how many in all; held for a moment only.
    told: Mutex<(Option<Instant>, u64)>,
}

/// A log as it is written.
#[derive(Debug, Default)]
struct Opened {
    /// `None` for standard output, or where opening it again has failed.
    file: Option<LogFile>,
    rotation: Rotation,
}

/// A log that was opened for a configuration that is not in force yet. Dropped, it leaves no trace.
#[derive(Debug)]
pub struct Renewed {
    sink: Arc<Sink>,
    opened: Opened,
}

impl Renewed {
    /// The log.
    pub fn sink(&self) -> &Arc<Sink> {
        &self.sink
    }

    /// What is written from now on goes where this says. Never waits.
    pub fn put_in_force(self) {
        let before = self.sink.next().replace(self.opened);
        // Closed without the lock.
        drop(before);
    }
}

/// All logs of the process. A handle: clones share them.
#[derive(Clone, Debug, Default)]
pub struct AccessLogs {
    sinks: Arc<Mutex<HashMap<Target, Weak<Sink>>>>,
    waiting: Arc<AtomicUsize>,
}

/// What a thread is told.
#[derive(Debug)]
enum Told {
    Block(Block),
    /// All before this is written; whoever waits for it is told.
    Flush(mpsc::SyncSender<()>),
}

/// Whole lines for one log, which lives as long as they do.
#[derive(Debug)]
struct Block {
    sink: Arc<Sink>,
    lines: Vec<u8>,
}

impl AccessLogs {
    /// The log of a target, open: opened again where it is in use already, so that one which was put aside by others goes on under
    /// its name. Waits for the disk, and never for its thread; nothing changes before [`Renewed::put_in_force`].
    ///
    /// # Errors
    /// When it cannot be opened, or no thread be started for it.
    pub fn open(&self, target: &Target, rotation: Rotation) -> io::Result<Renewed> {
        let file = match target {
            Target::Stdout => None,
            Target::File(path) => Some(LogFile::open(path)?),
        };
        let mut sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.retain(|_, sink| sink.strong_count() > 0);
        let known = sinks.get(target).and_then(Weak::upgrade);
        let sink = match known {
            Some(sink) => sink,
            None => {
                let sink = Arc::new(Sink::start(target.clone(), Arc::clone(&self.waiting))?);
                sinks.insert(target.clone(), Arc::downgrade(&sink));
                sink
            }
        };
        Ok(Renewed { sink, opened: Opened { file, rotation } })
    }

    /// Waits until all that was handed over is written, at most so long.
    pub fn flush(&self, patience: Duration) {
        let sinks: Vec<_> = {
            let sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
            sinks.values().filter_map(Weak::upgrade).collect()
        };
        let (done, written) = mpsc::sync_channel(sinks.len());
        let flushed = sinks.iter().filter(|sink| sink.queue.send(Told::Flush(done.clone())).is_ok()).count();
        let until = Instant::now().checked_add(patience);
        for _ in 0..flushed {
            let left = until.map_or(patience, |until| until.saturating_duration_since(Instant::now()));
            if written.recv_timeout(left).is_err() {
                return;
            }
        }
    }
}

impl Sink {
    /// A log and its thread.
    fn start(target: Target, in_all: Arc<AtomicUsize>) -> io::Result<Self> {
        let (queue, blocks) = mpsc::channel();
        thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            for told in blocks {
                match told {
                    Told::Block(block) => {
                        block.sink.write(&block.lines);
                        block.sink.waiting.fetch_sub(1, Ordering::Release);
                        block.sink.in_all.fetch_sub(1, Ordering::Release);
                    }
                    Told::Flush(done) => drop(done.send(())),
                }
            }
        })?;
        Ok(Self {
            target,
            state: Mutex::default(),
            next: Mutex::default(),
            queue,
            waiting: AtomicUsize::new(0),
            in_all,
            lost: AtomicU64::new(0),
            told: Mutex::default(),
        })
    }

    /// Hands whole lines over; never waits.
    pub fn hand_over(self: &Arc<Self>, lines: Vec<u8>) {
        let (before, in_all) =
            (self.waiting.fetch_add(1, Ordering::Acquire), self.in_all.fetch_add(1, Ordering::Acquire));
        let has_room = before == 0 || before < WAITING && in_all < WAITING_IN_ALL;
        let block = Block { sink: Arc::clone(self), lines };
        let refused = if has_room {
            self.queue.send(Told::Block(block)).err()
        } else {
            Some(mpsc::SendError(Told::Block(block)))
        };
        if let Some(mpsc::SendError(Told::Block(block))) = refused {
            self.waiting.fetch_sub(1, Ordering::Release);
            self.in_all.fetch_sub(1, Ordering::Release);
            self.lose(&block.lines);
            self.tell(None);
        }
    }

    /// Lines that were lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn lose(&self, lines: &[u8]) {
        self.lost.fetch_add(lines.iter().filter(|byte| **byte == b'\n').count() as u64, Ordering::Relaxed);
    }

    fn write(&self, lines: &[u8]) {
        let mut state = self.state();
        if let Some(next) = self.next().take() {
            *state = next;
        }
        let Opened { file, rotation } = &mut *state;
        let now = SystemTime::now();
        let result = match (&self.target, file) {
            (Target::Stdout, _) => io::stdout().lock().write_all(lines),
            (Target::File(_), Some(file)) => file.write(lines, *rotation, now),
            // What could not be opened before is tried again.
            (Target::File(path), file @ None) => {
                LogFile::open(path).and_then(|opened| file.insert(opened).write(lines, *rotation, now))
            }
        };
        let failed = result.err();
        if failed.is_some() {
            self.lose(lines);
        }
        self.tell(failed);
    }

    /// Tells what was lost and not told, unless it was just told of others.
    fn tell(&self, failed: Option<io::Error>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = self.lost();
        let is_time = told.0.is_none_or(|at| at.elapsed() >= TOLD_EVERY);
        if is_time && lost > told.1 {
            let (lines, log) = (lost.saturating_sub(told.1), self.name());
            *told = (Some(Instant::now()), lost);
            let why = failed.map_or_else(|| "it is written too slowly".to_owned(), |error| error.to_string());
            warn!(log, lines, why, "lines of an access log are lost");
        }
    }

    fn name(&self) -> String {
        match &self.target {
            Target::Stdout => "standard output".to_owned(),
            Target::File(path) => path.display().to_string(),
        }
    }

    fn state(&self) -> MutexGuard<'_, Opened> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> MutexGuard<'_, Option<Opened>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
