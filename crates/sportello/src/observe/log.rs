//! The log: rare events by `tracing`, request lines by [`super::answered`], written to standard error by one thread.
//!
//! Whoever logs never waits: what the writer cannot take is counted, and the count is logged when there is room again.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use tracing::field::{Field, Visit};
use tracing::metadata::LevelFilter;
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

pub use super::line::Form;
use super::line::LineWriter;

/// Blocks of lines that may wait for the writer.
pub const QUEUE: usize = 32;
/// Written blocks whose memory is kept for the next ones.
const SPARE: usize = 4;
/// Smaller ones are lines of rare events, not worth keeping.
const SPARE_LEAST: usize = 16 * 1024;

/// Where lines go. Cloning gives another handle to the same log.
#[derive(Clone, Debug)]
pub struct Log {
    queue: mpsc::SyncSender<Block>,
    lost: Arc<AtomicU64>,
    /// Memory of blocks that were written.
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
    level: LevelFilter,
    form: Form,
}

#[derive(Debug)]
enum Block {
    Lines(Vec<u8>),
    /// Everything before this was written; tell whoever waits.
    Flush(mpsc::SyncSender<()>),
}

impl Log {
    /// Starts the writer and makes this the process's log; also of panics.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(level: LevelFilter, form: Form) -> io::Result<Self> {
        let (queue, blocks) = mpsc::sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let log = Self { queue, lost, spare: Arc::default(), level, form };
        let (lost, spare) = (Arc::clone(&log.lost), Arc::clone(&log.spare));
        let _writer: JoinHandle<()> =
            thread::Builder::new().name("log".into()).spawn(move || write_blocks(&blocks, &lost, &spare, form))?;
        let events = Events { log: log.clone(), writer: Mutex::new(LineWriter::new(form)) };
        // Only tests set one before; then theirs stays.
        let _ = tracing::subscriber::set_global_default(events);
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let thread = thread::current();
            let message = panic.payload_as_str().unwrap_or("");
            tracing::error!(place, thread = thread.name().unwrap_or(""), message, "panic");
        }));
        Ok(log)
    }

    /// One that nobody reads, for tests.
    #[cfg(test)]
    pub(crate) fn unheard() -> Self {
        let (queue, _) = mpsc::sync_channel(1);
        Self { queue, lost: Arc::default(), spare: Arc::default(), level: LevelFilter::OFF, form: Form::Text }
    }

    /// Whether one line per request is written.
    pub fn has_requests(&self) -> bool {
        self.level >= LevelFilter::INFO
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// An empty block of at least this capacity.
    pub(super) fn spare(&self, capacity: usize) -> Vec<u8> {
        let mut block = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        block.reserve_exact(capacity);
        block
    }

    /// Hands lines to the writer; never waits.
    pub(super) fn write(&self, lines: Vec<u8>) {
        let refused = self.queue.try_send(Block::Lines(lines));
        if let Err(
            mpsc::TrySendError::Full(Block::Lines(lines)) | mpsc::TrySendError::Disconnected(Block::Lines(lines)),
        ) = refused
        {
            let count = lines.iter().filter(|byte| **byte == b'\n').count();
            self.lost.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    /// Waits until everything logged before is written.
    pub fn flush(&self) {
        let (done, wait) = mpsc::sync_channel(1);
        if self.queue.send(Block::Flush(done)).is_ok() {
            let _ = wait.recv();
        }
    }
}

fn write_blocks(blocks: &mpsc::Receiver<Block>, lost: &AtomicU64, spare: &Mutex<Vec<Vec<u8>>>, form: Form) {
    let mut writer = LineWriter::new(form);
    while let Ok(block) = blocks.recv() {
        // Standard error may be closed or full: there is nowhere left to say so.
        match block {
            Block::Lines(mut lines) => {
                drop(io::stderr().write_all(&lines));
                lines.clear();
                let mut spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
                if spare.len() < SPARE && lines.capacity() >= SPARE_LEAST {
                    spare.push(lines);
                }
            }
            Block::Flush(done) => drop(done.send(())),
        }
        let count = lost.swap(0, Ordering::Relaxed);
        if count > 0 {
            let mut line = Vec::new();
            writer.begin(&mut line, "warn", b"log lines lost: standard error is read too slowly");
            writer.number(&mut line, "lines", count);
            writer.end(&mut line);
            drop(io::stderr().write_all(&line));
        }
    }
}

/// The process's `tracing` subscriber: events become lines, spans are not used.
struct Events {
    log: Log,
    writer: Mutex<LineWriter>,
}

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates' events are theirs to debug; what they warn of is ours to see.
        let ours = metadata.target().starts_with("sportello");
        *metadata.level() <= self.log.level && (ours || *metadata.level() <= Level::WARN)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.log.level)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG | Level::TRACE => "debug",
        };
        let mut line = Vec::with_capacity(256);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.begin(&mut line, level, fields.message.as_bytes());
        for (name, value) in &fields.others {
            writer.text(&mut line, name, value.as_bytes());
        }
        writer.end(&mut line);
        drop(writer);
        self.log.write(line);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write!(text, "{value:?}");
        self.take(field, text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
        self.take(field, text);
    }
}

impl Fields {
    fn take(&mut self, field: &Field, text: String) {
        if field.name() == "message" && self.message.is_empty() {
            self.message = text;
        } else {
            self.others.push((field.name(), text));
        }
    }
}
