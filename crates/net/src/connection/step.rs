//! Reading and writing in one task: an exchange in which the answer may go while the request still comes.
//!
//! Each direction keeps its own clock, which runs only while it waits for the peer: a client is not held to account for the time in
//! which nothing was asked of it. Whoever wants nothing learns when the peer leaves.

use std::io;
use std::task::{Context, Poll, ready};

use super::{Connection, Ended, STREAMING, Socket, Wait};
use crate::buffer::Buffer;
use crate::deadline::{Deadline, Deadlines, Tick, rate_due, ticks};
use crate::registry::Phase;

/// What an exchange wants of its connection now.
pub struct Wants<'w> {
    /// Where bytes of the peer go; without one none are taken, and its leaving is watched for where it has not closed its side.
    pub read: Option<&'w mut Buffer>,
    /// What is to be written, in its order; empty parts count as nothing.
    pub write: &'w [&'w [u8]],
    /// What the peer may take its time for.
    pub patience: Patience,
}

/// What a peer may take its time for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Nothing: what it was asked for must come, and what it asked for must be taken.
    None,
    /// For what it sends: it may be silent for as long as it likes.
    Silence,
    /// For silence, and it may have closed its side: who says nothing more has not left.
    HalfClosed,
    /// For ever, but the server's stop ends it at once: what it is sent has no end of its own.
    Endless,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// So many bytes were added to the buffer; 0: the peer has closed its side, or the buffer is full.
    Read(usize),
    /// So many bytes of the parts are on their way; 0: of what was written before, more is with the kernel.
    Written(usize),
}

/// How long the peer has kept one exchange waiting, in either direction.
#[derive(Debug, Default)]
pub struct Pace {
    reading: Side,
    writing: Side,
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    /// Since when the peer is waited for; 0 while it is not.
    since: Tick,
    /// What earlier waits took.
    spent: Tick,
    bytes: u64,
}

impl Side {
    /// Waits, or goes on to: by when the peer must have moved, and what is said if it has not.
    fn due(&mut self, now: Tick, progress: Tick, deadlines: &Deadlines) -> (Tick, Deadline) {
        if self.since == 0 {
            self.since = now.max(1);
        }
        let progress = self.since.saturating_add(progress);
        let rate = rate_due(deadlines, self.since, self.bytes).saturating_sub(self.spent);
        if rate < progress { (rate, Deadline::Rate) } else { (progress, Deadline::BetweenBytes) }
    }

    /// As [`Side::due`], for what is read: all that it is waited for adds up to a request at most.
    fn reading_due(&mut self, now: Tick, deadlines: &Deadlines) -> (Tick, Deadline) {
        let nearer = self.due(now, ticks(deadlines.between_bytes), deadlines);
        let whole = self.since.saturating_add(ticks(deadlines.request).saturating_sub(self.spent));
        if whole <= nearer.0 { (whole, Deadline::Request) } else { nearer }
    }

    fn rest(&mut self, now: Tick) {
        if self.since != 0 {
            self.spent = self.spent.saturating_add(now.saturating_sub(self.since));
            self.since = 0;
        }
    }

    fn moved(&mut self, now: Tick, count: usize) {
        self.rest(now);
        self.bytes = self.bytes.saturating_add(count as u64);
    }
}

impl Connection {
    /// Begins an exchange: a wait that was given up before ends no later one.
    pub fn pace(&self) -> Pace {
        self.entry.forget_wait();
        Pace::default()
    }

    /// Does what can be done of `wants`; what was done first. Ready after each step in either direction, writing before reading.
    ///
    /// # Errors
    /// When the connection is gone, when the peer has left and nothing was to be read, when it keeps us waiting, when the server stops.
    pub fn poll_step(
        &mut self,
        context: &mut Context<'_>,
        wants: Wants<'_>,
        pace: &mut Pace,
    ) -> Poll<Result<Moved, Ended>> {
        if self.entry.killed.get() {
            return Poll::Ready(Err(Ended::Killed));
        }
        self.register()?;
        let now = self.registry.now();
        let has_more = wants.write.iter().any(|part| !part.is_empty());
        if has_more {
            if let Poll::Ready(result) = self.poll_write(context, wants.write) {
                let count = result?;
                pace.writing.moved(now, count);
                self.entry.arrived(now);
                return Poll::Ready(Ok(Moved::Written(count)));
            }
        } else if self.send_on(context)? > 0 {
            pace.writing.moved(now, 0);
            self.entry.arrived(now);
            return Poll::Ready(Ok(Moved::Written(0)));
        }
        // What is encrypted is not sent before the kernel has it.
        let writes = has_more || self.has_unsent();
        if !writes {
            pace.writing.rest(now);
        }
        let waits_to_read = wants.read.is_some() && wants.patience == Patience::None;
        match wants.read {
            Some(buffer) => {
                if let Poll::Ready(result) = self.poll_bytes(context, buffer) {
                    let count = result?;
                    pace.reading.moved(now, count);
                    return Poll::Ready(Ok(Moved::Read(count)));
                }
                buffer.release();
            }
            None => {
                pace.reading.rest(now);
                if wants.patience != Patience::HalfClosed
                    && let Poll::Ready(ended) = self.poll_closed(context)
                {
                    return Poll::Ready(Err(ended));
                }
            }
        }
        let deadlines = &self.channel.deadlines;
        let writing = writes.then(|| (pace.writing.due(now, ticks(deadlines.write), deadlines).0, Deadline::Write));
        let reading = waits_to_read.then(|| pace.reading.reading_due(now, deadlines));
        let (until, never) = match wants.patience {
            Patience::Endless => (Phase::Draining, STREAMING),
            Patience::None | Patience::Silence | Patience::HalfClosed => (Phase::Over, Tick::MAX),
        };
        let nearer = writing.into_iter().chain(reading).min_by_key(|(due, _)| *due);
        let (due, kind) = nearer.unwrap_or((never, Deadline::Idle));
        match self.pending(context, Wait { due, kind, until }) {
            Some(ended) => Poll::Ready(Err(ended)),
            None => Poll::Pending,
        }
    }

    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, parts: &[&[u8]]) -> Poll<io::Result<usize>> {
        loop {
            match self.write_now(parts) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            let Socket::Registered(stream) = &self.socket else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            ready!(stream.poll_write_ready(context))?;
        }
    }
}
