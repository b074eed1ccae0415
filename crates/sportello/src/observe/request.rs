//! One answered request: counted, logged, and offered to the sample that the desk shows.
//!
//! Lines gather in the worker's own buffer and go to the log's thread in blocks, so that a request costs no lock and no system
//! call.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sportello_net::{Connection, Failed};
use sportello_service::picture::RequestView;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::log::Log;
use super::request_line::{Asker, RequestLines};

/// One request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    /// What was asked: `GET`, `MAIL`, `PING`.
    pub verb: &'a [u8],
    /// Of what: a target, a message's id and its sender, a command's arguments. Cut at [`OBJECT_MOST`] bytes.
    pub object: &'a [u8],
    /// What was answered: `200`, `250`, `ok`, `exit 1`.
    pub outcome: &'a str,
    /// Bytes of the answer.
    pub bytes: u64,
    /// When its first byte was read.
    pub started: Instant,
    /// When its answer was ready. Answers made in one go from memory share one look at the clock.
    pub ended: Instant,
    /// Whether it was answered with an error.
    pub failed: bool,
}

impl Done<'_> {
    /// Microseconds from its first byte to its answer.
    pub(super) fn took_us(&self) -> u64 {
        u64::try_from(self.ended.saturating_duration_since(self.started).as_micros()).unwrap_or(u64::MAX)
    }
}

/// The part of an object that is kept.
const OBJECT_MOST: usize = 256;
/// A block of lines is handed on when it is this long …
const BLOCK: usize = 128 * 1024;
/// Room for the line that makes a block full.
const LINE_MOST: usize = 4 * 1024;
/// … or this old.
const BLOCK_AGE: Duration = Duration::from_millis(100);
/// Requests that a worker offers to the sample per `BLOCK_AGE`.
const SAMPLED: u32 = 5;
/// Requests that the sample keeps per worker.
const SAMPLE_LENGTH: usize = 64;

/// The sample of one worker's requests, oldest first.
pub type Samples = Arc<Mutex<VecDeque<RequestView>>>;

/// A worker's own recorder. Made on the worker's thread; [`answered`] finds it there.
#[derive(Debug)]
pub struct Recorder {
    lines: Vec<u8>,
    request_lines: RequestLines,
    log: Log,
    logs_requests: bool,
    worker: usize,
    sample_left: u32,
    samples: Samples,
    dirty: Rc<Notify>,
}

thread_local! {
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

impl Recorder {
    /// Makes this thread, a worker's, record requests, and starts the task that hands lines on. To be called within the
    /// worker's event loop.
    pub fn install(worker: usize, log: Log, samples: Samples) {
        let dirty = Rc::new(Notify::new());
        let recorder = Self {
            lines: Vec::new(),
            request_lines: RequestLines::new(log.form()),
            logs_requests: log.has_requests(),
            log,
            worker,
            sample_left: SAMPLED,
            samples,
            dirty: Rc::clone(&dirty),
        };
        RECORDER.set(Some(recorder));
        tokio::task::spawn_local(async move {
            loop {
                dirty.notified().await;
                tokio::time::sleep(BLOCK_AGE).await;
                Self::hand_on();
            }
        });
    }

    /// Hands on what has gathered on this thread.
    pub fn hand_on() {
        RECORDER.with_borrow_mut(|recorder| {
            let Some(recorder) = recorder else { return };
            recorder.sample_left = SAMPLED;
            recorder.request_lines.look_at_clock();
            if !recorder.lines.is_empty() {
                recorder.log.write(mem::take(&mut recorder.lines));
            }
        });
    }

    fn record(&mut self, connection: &Connection, done: &Done<'_>) {
        let object = done.object.get(..OBJECT_MOST).unwrap_or(done.object);
        if self.logs_requests {
            let lines = &mut self.lines;
            if lines.capacity() == 0 {
                *lines = self.log.spare(BLOCK + LINE_MOST);
            }
            let asker = Asker {
                channel: &connection.channel().name,
                connection: connection.id(),
                request: connection.request_number(),
                peer: connection.peer(),
            };
            self.request_lines.write(lines, asker, done, object);
            if lines.len() >= BLOCK {
                self.log.write(mem::take(&mut self.lines));
            }
        }
        if self.sample_left > 0 {
            if self.sample_left == SAMPLED {
                self.dirty.notify_one();
            }
            self.sample_left -= 1;
            self.sample(connection, done, object);
        }
    }

    fn sample(&self, connection: &Connection, done: &Done<'_>, object: &[u8]) {
        let (verb, object) = (String::from_utf8_lossy(done.verb), String::from_utf8_lossy(object));
        let separator = if object.is_empty() { "" } else { " " };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let view = RequestView {
            id: format!("{}.{}", connection.id(), connection.request_number()),
            channel: connection.channel().name.clone(),
            worker: format!("worker-{}", self.worker),
            peer: Some(connection.peer()),
            at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            what: format!("{verb}{separator}{object}"),
            outcome: done.outcome.to_owned(),
            bytes: done.bytes,
            took_us: done.took_us(),
        };
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() >= SAMPLE_LENGTH {
            samples.pop_front();
        }
        samples.push_back(view);
    }
}

impl Drop for Recorder {
    /// The worker ends: its last lines must not end with it.
    fn drop(&mut self) {
        if !self.lines.is_empty() {
            self.log.write(mem::take(&mut self.lines));
        }
    }
}

/// One request was answered on `connection`: counts it, logs it, and offers it to the sample.
pub fn answered(connection: &Connection, done: Done<'_>) {
    connection.count_request(if done.failed { Failed::Yes } else { Failed::No });
    RECORDER.with_borrow_mut(|recorder| {
        if let Some(recorder) = recorder {
            recorder.record(connection, &done);
        }
    });
}
