//! HTTP/2 to upstreams (RFC 9113), by the `h2` crate behind this seam: frames, HPACK and flow control are its, what is asked and answered
//! is ours and the same as over HTTP/1.1.
//!
//! Many requests share a connection ([`line`]), and each worker has its own. Nothing is pushed, no protocol is changed, trailers are
//! dropped as they are over HTTP/1.1.
//! Bounded by [`LINES_MOST`] connections for each worker and upstream, [`STREAMS_MOST`] requests or what the upstream says on each,
//! [`STREAM_WINDOW`] bytes of an answer that its client has not taken, the same head, the same waits and the same tries as over HTTP/1.1.
//! An upstream that says much and answers little is left ([`line::IDLE_TALK_MOST`]).

mod call;
mod download;
mod head;
mod line;
mod pass;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use self::line::{Line, Share};
use super::dial;
use super::fault::Fault;
use super::ticks::{Clock, Ticks};
use super::upstream::Upstream;

pub(super) use self::call::ask;

/// The most connections that a worker has to one upstream.
pub(super) const LINES_MOST: usize = 16;
/// Requests on one connection at once, where the upstream allows as many: what it must allow at least, by RFC 9113 §6.5.2.
pub(super) const STREAMS_MOST: u32 = 100;
/// Bytes of one answer that were sent and not taken. The connection's window is that of all its streams together: a client that
/// takes nothing holds up nobody else.
const STREAM_WINDOW: u32 = 64 * 1024;

/// The connections of one worker to one upstream.
pub(super) struct Lines {
    lines: RefCell<Vec<Rc<Line>>>,
    /// Told when there may be room again.
    room: Rc<Notify>,
    is_dialing: Cell<bool>,
    /// The last attempt to connect that failed, and how many have.
    failed: RefCell<(u64, Option<Fault>)>,
    clock: Rc<Clock>,
    idle_age: Ticks,
}

impl Lines {
    pub(super) fn new(clock: &Rc<Clock>, idle_age: Duration) -> Self {
        Self {
            lines: RefCell::default(),
            room: Rc::default(),
            is_dialing: Cell::new(false),
            failed: RefCell::default(),
            clock: Rc::clone(clock),
            idle_age: Ticks::of(idle_age),
        }
    }

    /// Room for one request, on the first connection that has some, so that those that are not needed grow old; on a new one where none
    /// has. One connects at a time, and the others wait for it, but not for longer than `within`. Dropping the future leaves all to others.
    async fn room(&self, upstream: &Upstream, within: Duration) -> Result<Share, Fault> {
        let until = Instant::now() + within;
        let failures = self.failed.borrow().0;
        loop {
            let changed = self.room.notified();
            if let Some(share) = self.share() {
                return Ok(share);
            }
            if let (count, Some(fault)) = &*self.failed.borrow()
                && *count != failures
            {
                return Err(alike(fault));
            }
            if self.is_dialing.get() || self.lines.borrow().len() >= LINES_MOST {
                let is_dialing = self.is_dialing.get();
                let waited = timeout_at(until, changed).await;
                waited.map_err(|_| if is_dialing { Fault::ConnectTimeout } else { Fault::Full })?;
                continue;
            }
            let dialing = Dialing::begin(self);
            let dialed = timeout_at(until, self.dial(upstream, within)).await;
            match dialed.unwrap_or(Err(Fault::ConnectTimeout)) {
                Ok(line) => self.lines.borrow_mut().push(line),
                Err(fault) => {
                    let mut failed = self.failed.borrow_mut();
                    *failed = (failed.0.wrapping_add(1), Some(alike(&fault)));
                    return Err(fault);
                }
            }
            drop(dialing);
        }
    }

    fn share(&self) -> Option<Share> {
        let mut lines = self.lines.borrow_mut();
        lines.retain(|line| line.is_open());
        let share = lines.iter().find_map(Line::share)?;
        // What is told to one is told on while there is room.
        if lines.iter().any(|line| line.has_room()) {
            self.room.notify_one();
        }
        Some(share)
    }

    async fn dial(&self, upstream: &Upstream, within: Duration) -> Result<Rc<Line>, Fault> {
        let stream = dial::dial(upstream, within).await?;
        upstream.figures.connections.one_more();
        Line::open(stream, &self.clock, self.idle_age, Rc::clone(&self.room)).await
    }

    /// How many are open.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lines.borrow().iter().filter(|line| line.is_open()).count()
    }
}

impl Drop for Lines {
    /// What is under way goes on; then each connection ends.
    fn drop(&mut self) {
        self.lines.borrow().iter().for_each(|line| line.retire());
    }
}

/// Somebody connects. Dropped, whoever waits goes on.
struct Dialing<'l>(&'l Lines);

impl<'l> Dialing<'l> {
    fn begin(lines: &'l Lines) -> Self {
        lines.is_dialing.set(true);
        Self(lines)
    }
}

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        self.0.is_dialing.set(false);
        self.0.room.notify_waiters();
    }
}

/// The same fault for those who waited for the same connection.
fn alike(fault: &Fault) -> Fault {
    match fault {
        Fault::Connect(error) => Fault::Connect(match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(error.kind(), error.to_string()),
        }),
        Fault::Unresolved => Fault::Unresolved,
        Fault::NotHttp2 => Fault::NotHttp2,
        Fault::ConnectTimeout => Fault::ConnectTimeout,
        _ => Fault::Closed,
    }
}
