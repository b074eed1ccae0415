//! The thread that writes access logs, and what workers hand it.
//!
//! A worker gathers lines and hands them over in blocks; it never waits. What the thread cannot take (it is behind, or the disk is
//! full) is counted as lost, and the count is logged. Each log is one [`Sink`], whichever site and whichever configuration writes to
//! it, so that one file is put aside by one hand.
//!
//! Only the thread waits for a disk or for whoever reads standard output: nobody else takes the lock that it holds meanwhile. A reload
//! opens logs ([`Renewed`]) and leaves them in a place where the thread finds them with its next block.
//!
//! Bounded by: [`WAITING`] blocks of each worker.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tracing::warn;

use super::file::{LogFile, Rotation};

/// Blocks of one worker that may wait for the thread.
pub const WAITING: usize = 16;
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
    state: Mutex<State>,
    /// What a reload has opened and the thread has not yet taken; held for a moment only.
    next: Mutex<Option<Opened>>,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    opened: Opened,
    told: Option<Instant>,
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

/// All logs of the process, and the thread that writes them. A handle: clones share them.
#[derive(Clone, Debug)]
pub struct AccessLogs {
    queue: mpsc::Sender<Told>,
    sinks: Arc<Mutex<HashMap<Target, Weak<Sink>>>>,
}

/// By which one worker hands its lines over.
#[derive(Debug)]
pub struct Queue {
    queue: mpsc::Sender<Told>,
    waiting: Arc<AtomicUsize>,
}

/// What the thread is told.
#[derive(Debug)]
enum Told {
    Block(Block),
    /// All before this is written; whoever waits for it is told.
    Flush(mpsc::SyncSender<()>),
}

/// Whole lines for one log.
#[derive(Debug)]
struct Block {
    sink: Arc<Sink>,
    lines: Vec<u8>,
    waiting: Arc<AtomicUsize>,
}

impl AccessLogs {
    /// Starts the thread. It ends when all handles, queues and what they handed over are gone.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start() -> io::Result<Self> {
        let (queue, blocks) = mpsc::channel();
        thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            for told in blocks {
                match told {
                    Told::Block(block) => {
                        block.sink.write(&block.lines);
                        block.waiting.fetch_sub(1, Ordering::Release);
                    }
                    Told::Flush(done) => drop(done.send(())),
                }
            }
        })?;
        Ok(Self { queue, sinks: Arc::default() })
    }

    /// The log of a target, open: opened again where it is in use already, so that one which was put aside by others goes on under
    /// its name. Waits for the disk, and never for the thread; nothing changes before [`Renewed::put_in_force`].
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self, target: &Target, rotation: Rotation) -> io::Result<Renewed> {
        let file = match target {
            Target::Stdout => None,
            Target::File(path) => Some(LogFile::open(path)?),
        };
        let mut sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.retain(|_, sink| sink.strong_count() > 0);
        let sink = sinks.get(target).and_then(Weak::upgrade).unwrap_or_else(|| {
            let new = Sink {
                target: target.clone(),
                state: Mutex::default(),
                next: Mutex::default(),
                lost: AtomicU64::new(0),
            };
            let sink = Arc::new(new);
            sinks.insert(target.clone(), Arc::downgrade(&sink));
            sink
        });
        Ok(Renewed { sink, opened: Opened { file, rotation } })
    }

    /// Waits until all that was handed over is written, at most so long.
    pub fn flush(&self, patience: Duration) {
        let (done, written) = mpsc::sync_channel(1);
        if self.queue.send(Told::Flush(done)).is_ok() {
            let _ = written.recv_timeout(patience);
        }
    }

    /// One worker's way to the thread.
    pub fn queue(&self) -> Queue {
        Queue { queue: self.queue.clone(), waiting: Arc::default() }
    }
}

impl Queue {
    /// Hands whole lines over; never waits.
    pub fn hand_over(&self, sink: &Arc<Sink>, lines: Vec<u8>) {
        if self.waiting.fetch_add(1, Ordering::Acquire) >= WAITING {
            self.waiting.fetch_sub(1, Ordering::Release);
            sink.lose(&lines);
            return;
        }
        let block = Block { sink: Arc::clone(sink), lines, waiting: Arc::clone(&self.waiting) };
        if let Err(mpsc::SendError(Told::Block(block))) = self.queue.send(Told::Block(block)) {
            block.sink.lose(&block.lines);
        }
    }
}

impl Sink {
    /// Lines that were lost and not yet told.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn lose(&self, lines: &[u8]) {
        self.lost.fetch_add(lines.iter().filter(|byte| **byte == b'\n').count() as u64, Ordering::Relaxed);
    }

    fn write(&self, lines: &[u8]) {
        let mut state = self.state();
        if let Some(next) = self.next().take() {
            state.opened = next;
        }
        let Opened { file, rotation } = &mut state.opened;
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
        let is_time = state.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY);
        if is_time && self.lost() > 0 {
            state.told = Some(Instant::now());
            let (lines, log) = (self.lost.swap(0, Ordering::Relaxed), self.name());
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> MutexGuard<'_, Option<Opened>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sportello-sinks-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Opens a log and puts it in force.
    fn opened(logs: &AccessLogs, target: &Target, rotation: Rotation) -> Arc<Sink> {
        let renewed = logs.open(target, rotation).unwrap();
        let sink = Arc::clone(renewed.sink());
        renewed.put_in_force();
        sink
    }

    fn settled(queue: &Queue) {
        while queue.waiting.load(Ordering::Acquire) > 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn one_file_is_one_sink_and_opening_it_again_finds_it_by_its_name() {
        let folder = folder("again");
        let target = Target::File(folder.join("a.log"));
        let logs = AccessLogs::start().unwrap();
        let queue = logs.queue();
        let one = opened(&logs, &target, Rotation::default());
        queue.hand_over(&one, b"1\n".to_vec());
        settled(&queue);
        fs::rename(folder.join("a.log"), folder.join("old.log")).unwrap();
        queue.hand_over(&one, b"2\n".to_vec());
        settled(&queue);
        let two = opened(&logs, &target, Rotation::default());
        assert!(Arc::ptr_eq(&one, &two));
        queue.hand_over(&one, b"3\n".to_vec());
        settled(&queue);
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!((read("old.log"), read("a.log")), ("1\n2\n".into(), "3\n".into()));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn so_many_blocks_wait_and_what_is_beyond_is_counted() {
        let folder = folder("behind");
        let logs = AccessLogs::start().unwrap();
        let (queue, other) = (logs.queue(), logs.queue());
        let sink = opened(&logs, &Target::File(folder.join("a.log")), Rotation::default());
        // The thread waits for this as it would for a disk.
        let held = sink.state();
        for _ in 0..WAITING {
            queue.hand_over(&sink, b"a\nb\n".to_vec());
        }
        assert_eq!(sink.lost(), 0);
        queue.hand_over(&sink, b"c\nd\n".to_vec());
        assert_eq!(sink.lost(), 2);
        // Another worker's lines have places of their own.
        other.hand_over(&sink, b"e\n".to_vec());
        assert_eq!(sink.lost(), 2);
        drop(held);
        settled(&queue);
        settled(&other);
        let text = fs::read_to_string(folder.join("a.log")).unwrap();
        assert_eq!(text.lines().count(), 2 * WAITING + 1);
        assert_eq!(sink.lost(), 0, "it was told");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_log_that_cannot_be_opened_leaves_what_is_open() {
        let folder = folder("refused");
        let path = folder.join("deep/a.log");
        fs::create_dir(folder.join("deep")).unwrap();
        let target = Target::File(path.clone());
        let logs = AccessLogs::start().unwrap();
        let queue = logs.queue();
        let sink = opened(&logs, &target, Rotation::default());
        fs::rename(folder.join("deep"), folder.join("moved")).unwrap();
        assert!(logs.open(&target, Rotation::default()).is_err());
        queue.hand_over(&sink, b"1\n".to_vec());
        settled(&queue);
        assert_eq!(fs::read_to_string(folder.join("moved/a.log")).unwrap(), "1\n");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn whoever_opens_a_log_does_not_wait_for_the_thread() {
        let folder = folder("stuck");
        let target = Target::File(folder.join("a.log"));
        let logs = AccessLogs::start().unwrap();
        let queue = logs.queue();
        let sink = opened(&logs, &target, Rotation::default());
        // As while the thread waits for a disk that does not answer.
        let held = sink.state();
        queue.hand_over(&sink, b"1\n".to_vec());
        fs::rename(folder.join("a.log"), folder.join("old.log")).unwrap();
        for _ in 0..3 {
            assert!(Arc::ptr_eq(&sink, &opened(&logs, &target, Rotation::default())));
        }
        drop(held);
        settled(&queue);
        assert_eq!(fs::read_to_string(folder.join("a.log")).unwrap(), "1\n", "what was opened last");
        assert_eq!(fs::read_to_string(folder.join("old.log")).unwrap(), "");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_was_opened_and_not_put_in_force_leaves_no_trace() {
        let folder = folder("refusing");
        let target = Target::File(folder.join("a.log"));
        let logs = AccessLogs::start().unwrap();
        let queue = logs.queue();
        let sink = opened(&logs, &target, Rotation { size: 4, ..Rotation::default() });
        let refused = logs.open(&target, Rotation { size: 1_000, ..Rotation::default() }).unwrap();
        assert!(Arc::ptr_eq(refused.sink(), &sink));
        drop(refused);
        for line in ["1\n", "2\n", "3\n"] {
            queue.hand_over(&sink, line.into());
        }
        settled(&queue);
        assert_eq!(fs::read_to_string(folder.join("a.log.1")).unwrap(), "1\n2\n", "the rotation of before");
        fs::remove_dir_all(&folder).unwrap();
    }
}
