//! One answered request: counted, logged, and offered to the sample that the desk shows.
//!
//! Lines gather in the worker's own buffer and go to the log's thread in blocks, so that a request costs no lock and no system
//! call.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sportello_net::{Connection, Failed};
use sportello_service::picture::RequestView;
use tokio::sync::Notify;

use super::line::LineWriter;
use super::log::Log;

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
    /// Whether it was answered with an error.
    pub failed: bool,
}

/// The part of an object that is kept.
const OBJECT_MOST: usize = 256;
/// A block of lines is handed on when it is this long …
const BLOCK: usize = 32 * 1024;
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
    writer: LineWriter,
    same: Same,
    log: Log,
    logs_requests: bool,
    worker: usize,
    sample_left: u32,
    samples: Samples,
    dirty: Rc<Notify>,
}

/// What all lines of one connection have in common, kept from the latest: requests often come several at once.
#[derive(Debug, Default)]
struct Same {
    connection: Option<u64>,
    /// Up to the request's number.
    before: Vec<u8>,
    /// From the client on.
    after: Vec<u8>,
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
            writer: LineWriter::new(log.form()),
            same: Same::default(),
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
            if !recorder.lines.is_empty() {
                recorder.log.write(mem::take(&mut recorder.lines));
            }
        });
    }

    fn record(&mut self, connection: &Connection, done: &Done<'_>) {
        let object = done.object.get(..OBJECT_MOST).unwrap_or(done.object);
        if self.logs_requests {
            let took = u64::try_from(done.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            let lines = &mut self.lines;
            if lines.capacity() == 0 {
                lines.reserve_exact(BLOCK + 1024);
            }
            self.writer.begin(lines, "info", b"request");
            let same = &mut self.same;
            if same.connection != Some(connection.id()) {
                same.connection = Some(connection.id());
                same.before.clear();
                self.writer.text(&mut same.before, "channel", connection.channel().name.as_bytes());
                self.writer.id_begin(&mut same.before, connection.id());
                same.after.clear();
                self.writer.peer(&mut same.after, connection.peer());
            }
            lines.extend_from_slice(&same.before);
            self.writer.id_end(lines, connection.request_number());
            lines.extend_from_slice(&same.after);
            self.writer.text(lines, "verb", done.verb);
            self.writer.text(lines, "object", object);
            self.writer.text(lines, "outcome", done.outcome.as_bytes());
            self.writer.number(lines, "bytes", done.bytes);
            self.writer.number(lines, "us", took);
            self.writer.end(lines);
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
            took_us: u64::try_from(done.started.elapsed().as_micros()).unwrap_or(u64::MAX),
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
