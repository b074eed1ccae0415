//! The life of one HTTP connection: read, answer what can be answered from memory, write all of it at once, wait for the rest.
//!
//! Between two requests there is no [`Session`], only the future of [`run`]: that is what an idle connection costs in memory.
//! What needs no waiting is answered without another future; the future of the rest is boxed, and few have one at a time.

use std::pin::Pin;
use std::rc::Rc;

use sportello_net::{Buffer, Connection, Deadline, Ended};
use sportello_wire::http1::answer::Said;
use sportello_wire::http1::head::{parse, worth_parsing};
use sportello_wire::http1::{Head, Persistence, Refusal};
use tokio::time::Instant;
use tracing::debug;

use super::memory::{self, Arrival, Begun, Halt};
use super::outbox::Outbox;
use super::told::{self, Asked};
use super::{Service, fault, http2};
use crate::current::Current;
use crate::observe::{self, Done, access};

/// Serves a connection until it ends.
#[expect(clippy::manual_async_fn, reason = "an async function keeps two places for each of its arguments")]
pub(super) fn run(mut connection: Box<Connection>, service: Current<Service>) -> impl Future<Output = ()> {
    async move {
        let exit = loop {
            let arrived = connection.request().await;
            // Nothing else is kept in the future: what is borrowed in it would have its place there while it waits.
            let next = match answer(&mut connection, &service, arrived) {
                Progress::Answered(next) => next,
                Progress::Waiting(rest) => match rest.await {
                    Ok(Turn::Http1(next)) => Ok(next),
                    Ok(Turn::Http2(input)) => break Exit::Http2(input),
                    Err(ended) => Err(ended),
                },
                Progress::Http2(input) => break Exit::Http2(input),
            };
            match next {
                Ok(Next::Request) => {}
                Ok(Next::End(end)) => break Exit::Done(end),
                Err(ended) => break Exit::Broken(ended),
            }
        };
        if let Some(rest) = finish(connection, service, exit) {
            rest.await;
        }
    }
}

/// What is still to be done for a connection.
fn finish(
    mut connection: Box<Connection>,
    service: Current<Service>,
    exit: Exit,
) -> Option<Pin<Box<dyn Future<Output = ()>>>> {
    match exit {
        Exit::Done(End::Done) => end(connection),
        Exit::Done(End::Linger) => Some(Box::pin(connection.close())),
        Exit::Http2(input) => Some(Box::pin(http2::serve(connection, input, service))),
        Exit::Broken(ended) => {
            if matches!(ended, Ended::TimedOut(Deadline::Idle | Deadline::FirstByte)) {
                connection.end_at_once();
            }
            debug!(connection = connection.id(), %ended, "connection ended");
            None
        }
    }
}

/// Ends a connection whose client has asked for nothing more. Where nothing is encrypted, the kernel has all that was written; elsewhere
/// the rest is sent and its end is told, so that it cannot be taken for one that was cut off (RFC 8446 §6.1, RFC 9112 §9.8).
fn end(mut connection: Box<Connection>) -> Option<Pin<Box<dyn Future<Output = ()>>>> {
    if !connection.is_secure() {
        return None;
    }
    Some(Box::pin(async move {
        // Who does not read it is not told.
        let _ = connection.end().await;
    }))
}

/// Why a connection is served no longer as it was.
enum Exit {
    Done(End),
    /// From here on it is HTTP/2.
    Http2(Buffer),
    Broken(Ended),
}

/// Answers what has arrived, at once where that is possible.
fn answer<'c>(
    connection: &'c mut Connection,
    service: &'c Current<Service>,
    arrived: Result<Buffer, Ended>,
) -> Progress<'c> {
    Progress::Answered(match arrived {
        Ok(input) if input.is_empty() => Ok(Next::End(End::Done)),
        Ok(input) if connection.request_number() == 0 && input.filled().starts_with(http2::PREFACE) => {
            return Progress::Http2(input);
        }
        Ok(input) if connection.request_number() == 0 && http2::PREFACE.starts_with(input.filled()) => {
            return Progress::Waiting(Box::pin(decide(connection, service, input)));
        }
        Ok(input) => match Session::new(connection, service, input).answer() {
            Ok(progress) => return progress,
            Err(ended) => Err(ended),
        },
        Err(Ended::Stopping) => Ok(Next::End(End::Linger)),
        Err(ended) => Err(ended),
    })
}

/// Waits until it is seen whether a client that said a part of the preface says all of it (RFC 9113 §3.4); if not, what it says is
/// answered. Bounded by the deadlines of a head.
async fn decide(connection: &mut Connection, service: &Current<Service>, input: Buffer) -> Result<Turn, Ended> {
    let started = Instant::now();
    let mut session = Session::new(connection, service, input);
    while !session.input.filled().starts_with(http2::PREFACE) {
        if !http2::PREFACE.starts_with(session.input.filled()) {
            return match session.answer()? {
                Progress::Answered(next) => next.map(Turn::Http1),
                Progress::Waiting(rest) => rest.await,
                Progress::Http2(input) => Ok(Turn::Http2(input)),
            };
        }
        if session.more(started).await? == 0 {
            return Ok(Turn::Http1(Next::End(End::Done)));
        }
    }
    Ok(Turn::Http2(std::mem::take(&mut session.input)))
}

/// One connection, what has come over it, and what is to go over it, until all of that is answered.
pub(super) struct Session<'c> {
    pub(super) connection: &'c mut Connection,
    current: &'c Current<Service>,
    /// The one with which what is answered now began.
    pub(super) service: Rc<Service>,
    pub(super) input: Buffer,
    pub(super) outbox: Outbox,
}

/// How far what has come is answered.
enum Progress<'c> {
    Answered(Result<Next, Ended>),
    /// The client speaks another version; this is what has come of it.
    Http2(Buffer),
    /// The rest waits for something.
    Waiting(Pin<Box<dyn Future<Output = Result<Turn, Ended>> + 'c>>),
}

/// Which version a client speaks.
enum Turn {
    /// The one that this session speaks, which was answered.
    Http1(Next),
    /// The other; this is what has come of it.
    Http2(Buffer),
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

impl<'c> Session<'c> {
    pub(super) fn new(connection: &'c mut Connection, current: &'c Current<Service>, input: Buffer) -> Self {
        Self { connection, current, service: current.now(), input, outbox: Outbox::default() }
    }

    fn answer(mut self) -> Result<Progress<'c>, Ended> {
        let arrival = Arrival::now();
        let next = match self.answer_from_memory(arrival) {
            Halt::Empty if self.flush_at_once()? => Next::Request,
            Halt::Last if self.flush_at_once()? => Next::End(self.last()),
            halt => {
                let rest = async move { self.answer_rest(halt, arrival).await.map(Turn::Http1) };
                return Ok(Progress::Waiting(Box::pin(rest)));
            }
        };
        Ok(Progress::Answered(Ok(next)))
    }

    fn answer_from_memory(&mut self, arrival: Arrival) -> Halt {
        memory::answer(self.connection, &self.service, &mut self.input, &mut self.outbox, arrival)
    }

    /// Goes on after `halt`, until nothing of what has arrived is left.
    async fn answer_rest(mut self, mut halt: Halt, mut arrival: Arrival) -> Result<Next, Ended> {
        loop {
            match halt {
                Halt::Empty => {
                    self.flush().await?;
                    return Ok(Next::Request);
                }
                Halt::Full => self.flush().await?,
                Halt::Body(begun) => {
                    self.write_body(&begun).await?;
                    arrival.began = arrival.at;
                    if begun.persistence == Persistence::Close {
                        return Ok(Next::End(self.last()));
                    }
                }
                Halt::Last => {
                    self.flush().await?;
                    return Ok(Next::End(self.last()));
                }
                Halt::Partial(before) => {
                    self.flush().await?;
                    let began = arrival.began;
                    if !self.read_more(before, began).await? {
                        return Ok(Next::End(End::Done));
                    }
                    arrival = Arrival { began, ..Arrival::now() };
                }
                Halt::Ask(length) => {
                    if let Next::End(end) = Box::pin(self.ask(length, arrival)).await? {
                        self.flush().await?;
                        return Ok(Next::End(end));
                    }
                    self.connection.next_request(self.input.filled().len());
                    arrival.began = arrival.at;
                }
                Halt::Refused(refusal) => {
                    self.refuse(refusal, arrival.at);
                    self.flush().await?;
                    return Ok(Next::End(End::Linger));
                }
            }
            self.current.renew(&mut self.service);
            let left = self.input.filled().len();
            halt = self.answer_from_memory(arrival);
            if self.input.filled().len() != left {
                arrival.began = arrival.at;
            }
        }
    }

    /// Reads until the head that begins in the buffer may be whole; false: the peer has closed its side first.
    async fn read_more(&mut self, before: usize, started: Instant) -> Result<bool, Ended> {
        loop {
            if self.more(started).await? == 0 {
                return Ok(false);
            }
            if worth_parsing(before, self.input.filled(), &self.service.limits.head) {
                return Ok(true);
            }
        }
    }

    /// Reads more of a head; how many bytes, none where the peer has closed its side.
    async fn more(&mut self, started: Instant) -> Result<usize, Ended> {
        let read = self.connection.read(&mut self.input).await;
        if matches!(read, Err(Ended::TimedOut(_))) {
            // RFC 9110 §15.5.9. If it does not fit into the socket now, it need not be said.
            fault::timed_out(self.outbox.open());
            let sent = self.connection.try_write(self.outbox.bytes())?;
            self.connection.end_at_once();
            self.unread(408, sent as u64, started);
        }
        read
    }

    /// Writes what waits.
    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        if !self.flush_at_once()? {
            // Rare, and its future is large.
            Box::pin(self.connection.write_all(self.outbox.bytes())).await?;
            self.outbox.clear();
        }
        Ok(())
    }

    /// Writes of what waits as much as the socket takes now; whether that is all.
    fn flush_at_once(&mut self) -> Result<bool, Ended> {
        let waiting = self.outbox.bytes();
        if !waiting.is_empty() {
            let written = self.connection.try_write(waiting)?;
            self.outbox.written(written);
        }
        Ok(self.outbox.bytes().is_empty() && !self.connection.has_unsent())
    }

    /// Writes what waits and the body of the answer at its end, in one go; tells of the answer, and is done with its request.
    async fn write_body(&mut self, begun: &Begun) -> Result<(), Ended> {
        let waiting = self.outbox.bytes();
        let before = self.connection.bytes().1 + waiting.len().saturating_sub(begun.head) as u64;
        let sent = self.connection.write_parts(&[waiting, begun.file.part(begun.rest.clone())]).await;
        let said = match sent {
            Ok(()) => access::Said::now(begun.status, (begun.head + begun.rest.len()) as u64, begun.started),
            Err(_) => access::Said::cut(begun.status, self.connection.bytes().1.saturating_sub(before), begun.started),
        };
        // Invariant: what was whole in the buffer still is.
        if let Ok(Some(head)) = parse(self.input.filled(), &self.service.limits.head) {
            told::answered((self.connection, &self.service), &Asked::of(&head), None, said);
        }
        self.input.consume(begun.length);
        self.outbox.clear();
        sent
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
    pub(super) fn unread(&self, status: u16, bytes: u64, started: Instant) {
        unread(self.connection, status, bytes, started);
    }
}

/// Notes the answer to something that could not be read as a request.
pub(super) fn unread(connection: &Connection, status: u16, bytes: u64, started: Instant) {
    let mut digits = itoa::Buffer::new();
    let outcome = digits.format(status);
    let ended = Instant::now();
    let done = Done { verb: b"?", object: b"", outcome, bytes, started, ended, failed: true };
    observe::answered(connection, done);
}
