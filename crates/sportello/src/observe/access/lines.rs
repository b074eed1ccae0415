//! What one worker has to say to access logs: lines gather here, one block for each log, and are handed over together.

use std::cell::RefCell;
use std::mem;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sportello_net::tls::Secured;
use sportello_service::certificates::subject;
use sportello_service::web::{Notes, trace};
use sportello_wire::http1::field;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::format::{Access, Format};
use super::writer::Sink;
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
    /// Whether all of it went.
    pub is_whole: bool,
}

/// A block is handed over when it is this long …
const BLOCK: usize = 64 * 1024;
/// … or this old.
const BLOCK_AGE: Duration = Duration::from_millis(100);

/// One worker's lines.
#[derive(Debug)]
pub struct Lines {
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
    pub fn install() {
        let dirty = Rc::new(Notify::new());
        let lines = Self { blocks: Vec::new(), clock: WallClock::now(), dirty: Rc::clone(&dirty) };
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
            sink.hand_over(block);
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
            sink.hand_over(mem::take(block));
        }
    }
}

impl Drop for Lines {
    /// The worker ends: its last lines must not end with it.
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// What was asked of a site with an access log, whatever it came in.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a, L> {
    /// Who asked, as far as that is believed.
    pub client: IpAddr,
    /// The method.
    pub method: &'a [u8],
    /// The target as it was sent.
    pub target: &'a [u8],
    /// The authority.
    pub host: &'a [u8],
    /// `HTTP/1.1`.
    pub protocol: &'static str,
    /// The fields.
    pub fields: &'a L,
}

/// A site with an access log has answered a request.
pub fn told<L: field::Lines>(
    log: &SiteLog,
    secured: Option<&Secured>,
    asked: &Asked<'_, L>,
    notes: Option<&Notes>,
    said: Said,
) {
    let account = notes.and_then(Notes::account);
    let shown = || secured.and_then(|secured| secured.client.as_ref()).map(|own| subject(own).into());
    let user: Option<Box<str>> = account.or_else(shown);
    let upstream = notes.and_then(Notes::asked);
    let route = notes.and_then(Notes::route);
    // Only who tells of it makes one.
    let is_told = log.format == Format::Json;
    let known = notes.and_then(Notes::trace).filter(|_| is_told);
    let trace = known.or_else(|| is_told.then(|| trace::named(asked.fields).unwrap_or_else(trace::begin)));
    let first = |name| asked.fields.values_of(name).next();
    LINES.with_borrow_mut(|lines| {
        let Some(lines) = lines else { return };
        let access = Access {
            at: lines.clock.at(said.ended),
            client: asked.client,
            user: user.as_deref().map(str::as_bytes),
            method: asked.method,
            target: asked.target,
            protocol: asked.protocol,
            status: said.status,
            bytes: said.bytes,
            referer: first("referer"),
            agent: first("user-agent"),
            took: said.took(),
            host: asked.host,
            route: route.as_deref(),
            upstream: upstream.as_ref(),
            tls: secured.map(|secured| (secured.version, secured.name.as_deref())),
            trace,
        };
        lines.add(log, &access);
    });
}

impl Said {
    /// From its first byte to its answer.
    pub fn took(&self) -> Duration {
        self.ended.saturating_duration_since(self.started)
    }
}
