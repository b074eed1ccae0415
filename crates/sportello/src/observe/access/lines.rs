//! What one worker has to say to access logs: lines gather here, one block for each log, and are handed over together.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sportello_net::Connection;
use sportello_wire::http1::trace::Trace;
use sportello_wire::http1::{Head, Version};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::format::{Access, Format};
use super::writer::{Queue, Sink};
use crate::observe::request_line::WallClock;

/// The access log of a site.
#[derive(Clone, Debug)]
pub struct SiteLog {
    /// Where its lines go.
    pub sink: Arc<Sink>,
    /// How they are written.
    pub format: Format,
}

/// What was answered, and when.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// The status.
    pub status: u16,
    /// Bytes of the answer.
    pub bytes: u64,
    /// When the request's first byte was read.
    pub started: Instant,
    /// When its answer was ready.
    pub ended: Instant,
}

/// A block is handed over when it is this long …
const BLOCK: usize = 64 * 1024;
/// … or this old.
const BLOCK_AGE: Duration = Duration::from_millis(100);

/// One worker's lines.
#[derive(Debug)]
pub struct Lines {
    queue: Queue,
    blocks: Vec<(Arc<Sink>, Vec<u8>)>,
    clock: WallClock,
    dirty: Rc<Notify>,
}

thread_local! {
    static LINES: RefCell<Option<Lines>> = const { RefCell::new(None) };
}

impl Lines {
    /// Makes this thread, a worker's, gather lines, and starts the task that hands them over. To be called within the worker's event
    /// loop.
    pub fn install(queue: Queue) {
        let dirty = Rc::new(Notify::new());
        let lines = Self { queue, blocks: Vec::new(), clock: WallClock::now(), dirty: Rc::clone(&dirty) };
        LINES.set(Some(lines));
        tokio::task::spawn_local(async move {
            loop {
                dirty.notified().await;
                tokio::time::sleep(BLOCK_AGE).await;
                LINES.with_borrow_mut(|lines| {
                    if let Some(lines) = lines {
                        lines.clock = WallClock::now();
                        lines.hand_over();
                    }
                });
            }
        });
    }

    fn hand_over(&mut self) {
        for (sink, block) in mem::take(&mut self.blocks) {
            self.queue.hand_over(&sink, block);
        }
    }

    fn add(&mut self, log: &SiteLog, access: &Access<'_>) {
        if self.blocks.is_empty() {
            self.dirty.notify_one();
        }
        let at = self.blocks.iter().position(|(sink, _)| Arc::ptr_eq(sink, &log.sink));
        let at = at.unwrap_or_else(|| {
            self.blocks.push((Arc::clone(&log.sink), Vec::new()));
            self.blocks.len() - 1
        });
        let Some((sink, block)) = self.blocks.get_mut(at) else { return };
        log.format.write(block, access);
        if block.len() >= BLOCK {
            self.queue.hand_over(sink, mem::take(block));
        }
    }
}

impl Drop for Lines {
    /// The worker ends: its last lines must not end with it.
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// A site with an access log has answered a request.
pub fn told(log: &SiteLog, connection: &Connection, head: &Head<'_>, said: Said) {
    LINES.with_borrow_mut(|lines| {
        let Some(lines) = lines else { return };
        let secured = connection.secured();
        // Two are none (W3C Trace Context, level 1 §3.2).
        let mut traces = head.fields.values(Trace::FIELD);
        let trace = traces.next().filter(|_| traces.next().is_none()).and_then(Trace::parse);
        let access = Access {
            at: lines.clock.at(said.ended),
            client: connection.peer().ip(),
            user: None,
            method: head.verb,
            target: head.raw_target,
            protocol: if head.version == Version::Http10 { "HTTP/1.0" } else { "HTTP/1.1" },
            status: said.status,
            bytes: said.bytes,
            referer: head.fields.value("referer"),
            agent: head.fields.value("user-agent"),
            took: said.ended.saturating_duration_since(said.started),
            host: head.host,
            upstream: None,
            tls: secured.as_ref().map(|secured| secured.version),
            trace,
        };
        lines.add(log, &access);
    });
}
