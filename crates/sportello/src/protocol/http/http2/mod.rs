//! HTTP/2 over one connection (RFC 9113), by the `h2` crate behind this seam: frames, HPACK and flow control are its, what is asked and
//! answered is ours and the same as over HTTP/1.1.
//!
//! The engine owns the connection's bytes. What is in memory is answered at once ([`quick`]); each other stream is a task of its own.
//! What the answers of one waking add up to is written at once.
//! Bounded by [`STREAMS_MOST`] streams, [`WINDOW`] bytes of bodies that no service has taken, `BUFFERED_MOST` bytes of answer for each
//! stream, the channel's limits for heads; by its deadlines for a peer that does not read, holds a window shut or opens it by drops, stops
//! within a body or has nothing under way. A client that takes back more than it lets be answered is sent away ([`TAKEN_BACK_MOST`]),
//! and so is one that says much and asks little ([`IDLE_TALK_MOST`]).

mod answer;
mod asked;
mod coming;
mod quick;
mod teller;
mod window;

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use sportello_net::deadline::Deadline;
use sportello_net::{Buffer, Connection, Ended, Stream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tracing::debug;

use self::quick::Given;
use self::teller::Teller;
use super::Service;
use super::memory::Arrival;
use crate::current::Current;

/// What a client says first that knows beforehand what this server speaks (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Streams of one connection at once; nginx's bound.
const STREAMS_MOST: u32 = 128;
/// Bytes of bodies of one connection that were sent and not taken.
const WINDOW: u32 = 256 * 1024;
/// The same for one stream.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Bytes of an answer that the engine holds for one stream.
const BUFFERED_MOST: usize = 32 * 1024;
/// Streams that a client may take back beyond those that it let be answered (CVE-2023-44487).
const TAKEN_BACK_MOST: u64 = 100;
/// Frames of one kind that may wait to be handled before the client is sent away.
const PENDING_MOST: usize = 32;

/// Bytes that a client may send beyond those that its requests are worth: a flood of PING, SETTINGS, WINDOW_UPDATE, PRIORITY or of
/// frames that nobody knows ends there.
const IDLE_TALK_MOST: u64 = 1024 * 1024;
/// What a byte of a body is worth: it may come in a frame of its own, whose head has nine.
const WORTH_OF_BYTE: u64 = 10;
/// What a piece of an answer is worth: the client opens two windows for it, with frames of 13 bytes.
const WORTH_OF_PIECE: u64 = 64;

/// How long a client may go on to ask after it was told not to: as long as it may take until it has heard.
const HEARD_MOST: Duration = Duration::from_secs(1);

/// What the streams of a connection share.
struct Shared {
    stream: Stream,
    current: Current<Service>,
    /// Told when the server drains: what has no end of its own ends then.
    draining: Notify,
    is_draining: Cell<bool>,
    answered: Cell<u64>,
    taken_back: Cell<u64>,
    /// Bytes that the client may have sent for what it asked.
    worth: Cell<u64>,
}

impl Shared {
    fn earn(&self, bytes: u64) {
        self.worth.set(self.worth.get().saturating_add(bytes));
    }

    /// Whether the client sends what no request needs.
    fn is_flooded(&self) -> bool {
        let (received, _) = self.stream.connection().bytes();
        received > self.worth.get().saturating_add(IDLE_TALK_MOST)
    }
}

/// Serves a connection whose client speaks HTTP/2, of which `input` was read already, until it ends.
pub(super) async fn serve(connection: Box<Connection>, input: Buffer, current: Current<Service>) {
    let stream = Stream::new(connection, input);
    let end = talk(&stream, current).await;
    let ended = stream.ended();
    let is_there = match &end {
        Ok(()) => true,
        Err(error) => {
            debug!(%error, ?ended, "an HTTP/2 connection ended");
            // Who is sent away shall read why.
            matches!(error, End::Protocol(error) if !error.is_io())
        }
    };
    if let Some(connection) = stream.into_connection().filter(|_| is_there) {
        Box::pin(connection.close()).await;
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Protocol(#[from] h2::Error),
    #[error(transparent)]
    Connection(#[from] Ended),
}

async fn talk(stream: &Stream, current: Current<Service>) -> Result<(), End> {
    let limits = current.now().limits.head;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MOST)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buffer_size(BUFFERED_MOST)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
        .max_concurrent_reset_streams(PENDING_MOST)
        .max_pending_accept_reset_streams(PENDING_MOST)
        .max_local_error_reset_streams(Some(PENDING_MOST));
    stream.rest();
    let mut handshake = std::pin::pin!(builder.handshake::<_, Bytes>(stream.clone()));
    let connection = poll_fn(|context| {
        let shaken = handshake.as_mut().poll(context);
        if let Poll::Ready(Err(ended)) = stream.poll_send(context) {
            return Poll::Ready(Err(End::from(ended)));
        }
        match shaken {
            Poll::Pending => stream.wait(context).map_or(Poll::Pending, |ended| Poll::Ready(Err(ended.into()))),
            shaken => shaken.map_err(End::from),
        }
    })
    .await?;
    let shared = Rc::new(Shared {
        stream: stream.clone(),
        current,
        draining: Notify::new(),
        is_draining: Cell::new(false),
        answered: Cell::new(0),
        taken_back: Cell::new(0),
        worth: Cell::new(0),
    });
    let head_most = limits.head as u64;
    let mut talk = Talk {
        connection,
        tasks: JoinSet::new(),
        shared,
        head_most,
        arrival: None,
        is_over: false,
        is_told: false,
        closing: None,
        fault: None,
    };
    let end = poll_fn(|context| talk.poll(context)).await;
    // What is still under way holds the connection, which is to be closed in order.
    talk.tasks.shutdown().await;
    end
}

/// What a step has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The engine has something to do.
    More,
    /// All is said.
    Over,
}

/// The conversation of one connection.
struct Talk {
    connection: h2::server::Connection<Stream, Bytes>,
    tasks: JoinSet<()>,
    shared: Rc<Shared>,
    /// Bytes of a head at most, which is what a request is worth.
    head_most: u64,
    /// What holds for all that one waking brings.
    arrival: Option<Arrival>,
    /// Whether the engine has nothing more to do.
    is_over: bool,
    /// Whether it was told that all is over.
    is_told: bool,
    /// Runs from when it was told that nothing more is to be begun.
    closing: Option<Pin<Box<Sleep>>>,
    /// Why, where that was no proper end.
    fault: Option<h2::Error>,
}

impl Talk {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.drain_if_told();
        self.arrival = None;
        loop {
            if ready!(self.poll_step(context))? == Step::Over {
                return Poll::Ready(self.fault.take().map_or(Ok(()), |fault| Err(fault.into())));
            }
        }
    }

    /// Everything that can be done now; ready when the engine has something more to do, or nothing at all any more.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Result<Step, End>> {
        self.poll_engine(context);
        if self.shared.is_flooded() && !self.is_over {
            // Nothing more earns it anything.
            self.shared.earn(u64::MAX);
            return self.send_away(Reason::ENHANCE_YOUR_CALM);
        }
        let sent = self.shared.stream.poll_send(context)?;
        if self.is_over && sent.is_ready() {
            return Poll::Ready(Ok(Step::Over));
        }
        // A stream that ended may have left something to say to the engine, which was woken then.
        while let Poll::Ready(Some(ended)) = self.tasks.poll_join_next(context) {
            match ended {
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                _ => {}
            }
        }
        if self.tasks.is_empty() {
            self.shared.stream.rest();
            if self.is_closing(context) && !self.is_over && !self.is_told {
                return self.send_away(Reason::NO_ERROR);
            }
        }
        match self.shared.stream.wait(context) {
            None => Poll::Pending,
            // RFC 9113 §9.1: who is left because nothing is under way is told so.
            Some(Ended::TimedOut(Deadline::Idle)) if !self.is_told => self.send_away(Reason::NO_ERROR),
            Some(ended) => Poll::Ready(Err(ended.into())),
        }
    }

    /// Lets the engine go on as far as it can.
    fn poll_engine(&mut self, context: &mut Context<'_>) {
        while !self.is_over {
            match self.connection.poll_accept(context) {
                Poll::Ready(Some(Ok((request, respond)))) => self.begin(context, request, respond),
                // What says why goes out first.
                Poll::Ready(Some(Err(error))) => (self.fault, self.is_over) = (Some(error), true),
                Poll::Ready(None) => self.is_over = true,
                Poll::Pending => return,
            }
        }
    }

    /// Nothing more is read: the last it is told is why.
    fn send_away(&mut self, why: Reason) -> Poll<Result<Step, End>> {
        self.is_told = true;
        self.connection.abrupt_shutdown(why);
        Poll::Ready(Ok(Step::More))
    }

    /// Whether it is over with connections that were told so, but do not say that they have heard it.
    fn is_closing(&mut self, context: &mut Context<'_>) -> bool {
        self.closing.as_mut().is_some_and(|closing| closing.as_mut().poll(context).is_ready())
    }

    fn begin(
        &mut self,
        context: &mut Context<'_>,
        request: http::Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) {
        if self.is_closing(context) {
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        let shared = &self.shared;
        shared.earn(self.head_most);
        if shared.taken_back.get() > shared.answered.get().saturating_add(TAKEN_BACK_MOST) {
            self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            return;
        }
        shared.stream.work();
        let service = shared.current.now();
        let (head, body) = request.into_parts();
        let Arrival { at, batch, .. } = *self.arrival.get_or_insert_with(Arrival::now);
        let given = quick::answer(shared, &service, (&head, &body), &mut respond, batch);
        let teller = || Teller::new(shared, &service, &head, None, at);
        match given {
            Some(Given::Whole(bytes)) => {
                let teller = teller();
                teller.begun(200);
                teller.went(bytes);
                teller.answered();
            }
            Some(Given::TakenBack) => teller().taken_back(),
            Some(Given::Begun(stream, content)) => {
                self.tasks.spawn_local(answer::follow(Rc::clone(shared), service, head, (stream, content)));
            }
            None => {
                self.tasks.spawn_local(answer::answer(Rc::clone(shared), service, (head, body), respond));
            }
        }
    }

    /// RFC 9113 §6.8: what was begun is answered, nothing more is begun.
    fn drain_if_told(&mut self) {
        let shared = &self.shared;
        if !shared.is_draining.get() && shared.stream.connection().is_stopping() {
            shared.is_draining.set(true);
            shared.draining.notify_waiters();
            self.closing = Some(Box::pin(tokio::time::sleep(HEARD_MOST)));
            self.connection.graceful_shutdown();
        }
    }
}

#[cfg(test)]
mod tests;
