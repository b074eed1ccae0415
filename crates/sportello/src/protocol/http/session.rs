//! The life of one HTTP connection: read, answer what can be answered from memory, write all of it at once, wait for the rest.
//!
//! The future of an idle connection is what it costs in memory, so whatever waits for something else than the next request
//! is boxed.

use std::ops::Range;
use std::rc::Rc;

use sportello_net::{Buffer, Connection, Ended};
use sportello_service::files::HotFile;
use sportello_wire::http1::answer::Said;
use sportello_wire::http1::head::worth_parsing;
use sportello_wire::http1::{Head, Persistence, Refusal};
use tokio::time::Instant;
use tracing::debug;

use super::memory::{self, Arrival, Halt};
use super::outbox::Outbox;
use super::{Limits, Served, fault};
use crate::observe::{self, Done};

/// One connection and what has come and is to go over it.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) served: Rc<Served>,
    pub(super) limits: Rc<Limits>,
    pub(super) input: Buffer,
    pub(super) outbox: Outbox,
}

/// How a connection ends when nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The peer has all it asked for, and nothing more of it is on the way.
    Done,
    /// More of the peer's bytes may be on the way: closing at once would reset the connection and lose the last answer
    /// (RFC 9112 §9.6).
    Linger,
}

/// What becomes of a connection after an answer that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Request,
    End(End),
}

impl Next {
    /// What the answer says of it.
    pub(super) fn said(self, head: &Head<'_>) -> Said {
        let persistence = if self == Self::Request { Persistence::KeepAlive } else { Persistence::Close };
        Said::to(head.version, persistence)
    }
}

impl Session {
    pub(super) fn new(connection: Connection, served: Rc<Served>, limits: Rc<Limits>) -> Self {
        Self { connection, served, limits, input: Buffer::new(), outbox: Outbox::default() }
    }

    /// Serves the connection until it ends.
    pub(super) async fn run(mut self) {
        match self.requests().await {
            Ok(End::Done) => {}
            Ok(End::Linger) => Box::pin(self.connection.close()).await,
            Err(ended) => debug!(connection = self.connection.id(), %ended, "connection ended"),
        }
    }

    async fn requests(&mut self) -> Result<End, Ended> {
        loop {
            self.outbox.release();
            match self.connection.idle(&mut self.input).await {
                Ok(0) => return Ok(End::Done),
                Ok(_) => {}
                Err(Ended::Stopping) => return Ok(End::Linger),
                Err(ended) => return Err(ended),
            }
            if let Next::End(end) = self.arrived().await? {
                return Ok(end);
            }
        }
    }

    /// Answers what has arrived, until nothing of it is left.
    async fn arrived(&mut self) -> Result<Next, Ended> {
        let mut arrival = Arrival::now();
        loop {
            let Self { connection, served, limits, input, outbox } = &mut *self;
            match memory::answer(connection, (served, &limits.head), input, outbox, arrival) {
                Halt::Empty => {
                    self.flush().await?;
                    return Ok(Next::Request);
                }
                Halt::Full => self.flush().await?,
                Halt::Body(file, body, persistence) => {
                    self.write_body(&file, body).await?;
                    if persistence == Persistence::Close {
                        return Ok(Next::End(self.last()));
                    }
                }
                Halt::Last => {
                    self.flush().await?;
                    return Ok(Next::End(self.last()));
                }
                Halt::Partial(before) => {
                    self.flush().await?;
                    if !Box::pin(self.read_more(before, arrival.at)).await? {
                        return Ok(Next::End(End::Done));
                    }
                    arrival = Arrival::now();
                }
                Halt::Ask => {
                    if let Next::End(end) = Box::pin(self.ask(arrival)).await? {
                        self.flush().await?;
                        return Ok(Next::End(end));
                    }
                    self.connection.next_request(self.input.filled().len());
                }
                Halt::Refused(refusal) => {
                    self.refuse(refusal, arrival.at);
                    self.flush().await?;
                    return Ok(Next::End(End::Linger));
                }
            }
        }
    }

    /// Reads until the head that begins in the buffer may be whole; false: the peer has closed its side first.
    async fn read_more(&mut self, before: usize, started: Instant) -> Result<bool, Ended> {
        loop {
            match self.connection.read(&mut self.input).await {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(ended @ Ended::TimedOut(_)) => {
                    // RFC 9110 §15.5.9. If it does not fit into the socket now, it need not be said.
                    fault::timed_out(self.outbox.open());
                    let sent = self.connection.try_write(self.outbox.bytes())?;
                    self.unread(408, sent as u64, started);
                    return Err(ended);
                }
                Err(ended) => return Err(ended),
            }
            if worth_parsing(before, self.input.filled(), &self.limits.head) {
                return Ok(true);
            }
        }
    }

    /// Writes what waits.
    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        let waiting = self.outbox.bytes();
        if waiting.is_empty() {
            return Ok(());
        }
        let written = self.connection.try_write(waiting)?;
        if let Some(rest) = waiting.get(written..).filter(|rest| !rest.is_empty()) {
            // Rare, and its future is large: an idle connection shall not pay for it.
            Box::pin(self.connection.write_all(rest)).await?;
        }
        self.outbox.clear();
        Ok(())
    }

    /// Writes what waits and a part of a file behind it, in one go.
    async fn write_body(&mut self, file: &HotFile, body: Range<usize>) -> Result<(), Ended> {
        Box::pin(self.connection.write_parts(&[self.outbox.bytes(), file.part(body)])).await?;
        self.outbox.clear();
        Ok(())
    }

    /// How to end after an answer that said so.
    pub(super) fn last(&self) -> End {
        if self.input.is_empty() && !self.connection.is_stopping() { End::Done } else { End::Linger }
    }

    /// Answers what is no request, and notes it.
    pub(super) fn refuse(&mut self, refusal: Refusal, started: Instant) {
        debug!(connection = self.connection.id(), %refusal, "request refused");
        let out = self.outbox.open();
        let before = out.len();
        fault::refused(out, refusal);
        let bytes = (out.len() - before) as u64;
        self.unread(refusal.status(), bytes, started);
    }

    /// Notes the answer to something that could not be read as a request.
    fn unread(&self, status: u16, bytes: u64, started: Instant) {
        let mut digits = itoa::Buffer::new();
        let outcome = digits.format(status);
        let ended = Instant::now();
        let done = Done { verb: b"?", object: b"", outcome, bytes, started, ended, failed: true };
        observe::answered(&self.connection, done);
    }
}
