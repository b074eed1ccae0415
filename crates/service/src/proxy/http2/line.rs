//! One connection to an upstream, shared by the requests of its worker.
//!
//! A task of its own drives the engine; it lives as long as the connection, and is dropped with the worker's other tasks. What the
//! upstream sends is weighed against what was asked of it: a flood of PING, SETTINGS or frames that nobody knows ends there.
//! Bounded by the streams that both sides allow, [`IDLE_TALK_MOST`], the age of a connection that carries nothing.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tracing::debug;

use super::super::exchange::HEAD;
use super::super::fault::Fault;
use super::super::stream::Stream;
use super::super::ticks::{Clock, Ticks, Watch};
use super::{STREAM_WINDOW, STREAMS_MOST};

/// Bytes that an upstream may send beyond those that were asked for.
pub(super) const IDLE_TALK_MOST: u64 = 1024 * 1024;
/// What a byte of a body is worth: it may come in a frame of its own, whose head has nine.
const WORTH_OF_BYTE: u64 = 10;
/// What a piece of a request is worth: the upstream opens two windows for it, with frames of 13 bytes.
pub(super) const WORTH_OF_PIECE: u64 = 64;
/// What a request is worth: the head of its answer, and what comes with any stream.
const WORTH_OF_REQUEST: u64 = HEAD.head as u64 + 1024;
/// Bytes of a request that the engine holds.
const BUFFERED_MOST: usize = 32 * 1024;
/// Streams that were taken back and may still be spoken of, or that the upstream broke.
const PENDING_MOST: usize = 32;
/// How long an upstream may take to hear that a connection is over.
const CLOSING: Duration = Duration::from_secs(1);

/// One connection.
pub(super) struct Line {
    /// `None`: no further request goes there.
    send: RefCell<Option<SendRequest<Bytes>>>,
    active: Cell<u32>,
    /// How many requests it has carried.
    carried: Cell<u64>,
    /// Whether any of them was answered.
    has_answered: Cell<bool>,
    /// Bytes that came, and those that the upstream may have sent.
    received: Rc<Cell<u64>>,
    worth: Cell<u64>,
    is_flooded: Cell<bool>,
    /// Of the task that drives it.
    waker: RefCell<Option<Waker>>,
    room: Rc<Notify>,
}

impl Line {
    /// Speaks HTTP/2 on this connection from now on.
    pub(super) async fn open(
        stream: Stream,
        clock: &Rc<Clock>,
        idle_age: Ticks,
        room: Rc<Notify>,
    ) -> Result<Rc<Self>, Fault> {
        let received = Rc::new(Cell::new(0));
        let metered = Metered { stream, received: Rc::clone(&received) };
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_max_send_streams(STREAMS_MOST as usize)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW.saturating_mul(STREAMS_MOST))
            .max_send_buffer_size(BUFFERED_MOST)
            .max_header_list_size(u32::try_from(HEAD.head).unwrap_or(u32::MAX))
            .max_concurrent_reset_streams(PENDING_MOST)
            .max_local_error_reset_streams(Some(PENDING_MOST));
        let shaken = builder.handshake::<_, Bytes>(metered).await;
        let (send, connection) = shaken.map_err(|error| fault(error, None))?;
        let line = Rc::new(Self {
            send: RefCell::new(Some(send)),
            active: Cell::new(0),
            carried: Cell::new(0),
            has_answered: Cell::new(false),
            received,
            worth: Cell::new(0),
            is_flooded: Cell::new(false),
            waker: RefCell::default(),
            room,
        });
        spawn_local(drive(Rc::clone(&line), connection, clock.watch(), idle_age));
        Ok(line)
    }

    /// Whether further requests may go there, now or when others have ended.
    pub(super) fn is_open(&self) -> bool {
        let mut send = self.send.borrow_mut();
        // After a GOAWAY, or when the numbers of streams are used up, nothing more can be begun.
        let is_ready = |send: &mut SendRequest<Bytes>| {
            !matches!(send.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(_)))
        };
        if send.as_mut().is_some_and(is_ready) {
            return true;
        }
        *send = None;
        false
    }

    pub(super) fn has_room(&self) -> bool {
        let most = self.send.borrow().as_ref().map_or(0, SendRequest::current_max_send_streams);
        (self.active.get() as usize) < most.min(STREAMS_MOST as usize)
    }

    /// A part of it for one request, if there is room.
    pub(super) fn share(self: &Rc<Self>) -> Option<Share> {
        if !self.has_room() {
            return None;
        }
        self.active.set(self.active.get().saturating_add(1));
        let was_used = self.carried.get() > 0;
        self.carried.set(self.carried.get().saturating_add(1));
        Some(Share { line: Rc::clone(self), was_used })
    }

    /// No further request goes there; it ends with the last one that is under way.
    pub(super) fn retire(&self) {
        self.send.borrow_mut().take();
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// A part of a connection, for one request.
pub(super) struct Share {
    line: Rc<Line>,
    /// Whether the connection had carried another request before.
    pub(super) was_used: bool,
}

impl Share {
    /// Sends the head of a request.
    pub(super) fn send(
        &self,
        head: Request<()>,
        is_whole: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        // A handle of its own: the engine's queue behind the upstream's bound is not used, for there is room.
        let send = self.line.send.borrow().clone();
        let mut send = send.ok_or(h2::Reason::REFUSED_STREAM)?;
        self.earn(WORTH_OF_REQUEST);
        send.send_request(head, is_whole)
    }

    /// A request was answered.
    pub(super) fn is_answered(&self) {
        self.line.has_answered.set(true);
    }

    /// Whether the connection is over, and has answered others.
    pub(super) fn was_farewell(&self) -> bool {
        self.line.has_answered.get() && !self.line.is_open()
    }

    /// The upstream may have sent so much more.
    pub(super) fn earn(&self, bytes: u64) {
        self.line.worth.set(self.line.worth.get().saturating_add(bytes));
    }

    /// So much of a body was taken.
    pub(super) fn took(&self, bytes: usize) {
        self.earn((bytes as u64).saturating_mul(WORTH_OF_BYTE));
    }

    /// How much came on the whole connection, for whomever.
    pub(super) fn received(&self) -> u64 {
        self.line.received.get()
    }

    /// No further request goes there.
    pub(super) fn retire(&self) {
        self.line.retire();
    }

    /// What an error of the engine says.
    pub(super) fn fault(&self, error: h2::Error) -> Fault {
        fault(error, Some(&self.line))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.line.active.set(self.line.active.get().saturating_sub(1));
        self.line.room.notify_one();
        self.line.wake();
    }
}

fn fault(error: h2::Error, line: Option<&Line>) -> Fault {
    if line.is_some_and(|line| line.is_flooded.get()) {
        return Fault::Flood;
    }
    match error.reason() {
        // RFC 9113 §6.8, §8.7: these were not looked at. The engine says the first only of streams beyond the last one.
        _ if error.is_remote() && error.is_go_away() => Fault::Refused,
        Some(h2::Reason::REFUSED_STREAM) if !error.is_library() => Fault::Refused,
        Some(reason) => Fault::Broke(reason.to_string()),
        None => match error.into_io() {
            // What the engine says where the other side has closed.
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Fault::Closed,
            Some(error) => Fault::Io(error),
            None => Fault::Closed,
        },
    }
}

async fn drive(line: Rc<Line>, mut connection: Connection<Metered, Bytes>, watch: Watch, idle_age: Ticks) {
    let mut driving = Driving { line: &line, watch, idle_age, is_closing: false };
    let end = poll_fn(|context| driving.poll(context, &mut connection)).await;
    if let Err(error) = &end {
        debug!(%error, flooded = line.is_flooded.get(), "a connection of HTTP/2 to an upstream ended");
    }
    // Whoever still waits on it hears that it is over; then others may open another one.
    drop(connection);
    line.send.borrow_mut().take();
    line.room.notify_waiters();
}

struct Driving<'l> {
    line: &'l Rc<Line>,
    watch: Watch,
    idle_age: Ticks,
    is_closing: bool,
}

impl Driving<'_> {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        engine: &mut Connection<Metered, Bytes>,
    ) -> Poll<Result<(), h2::Error>> {
        let line = self.line;
        *line.waker.borrow_mut() = Some(context.waker().clone());
        loop {
            if let Poll::Ready(end) = Pin::new(&mut *engine).poll(context) {
                return Poll::Ready(end);
            }
            if line.received.get() > line.worth.get().saturating_add(IDLE_TALK_MOST) {
                line.is_flooded.set(true);
                return Poll::Ready(Err(h2::Reason::ENHANCE_YOUR_CALM.into()));
            }
            if line.active.get() > 0 {
                self.watch.disarm();
                self.is_closing = false;
                return Poll::Pending;
            }
            let is_retired = line.send.borrow().is_none();
            if is_retired && !self.is_closing {
                self.is_closing = true;
                self.watch.arm(Ticks::of(CLOSING));
            }
            self.watch.ensure(self.idle_age);
            ready!(self.watch.poll(context));
            if is_retired {
                return Poll::Ready(Ok(()));
            }
            // Old, with nothing under way: it says farewell.
            line.send.borrow_mut().take();
        }
    }
}

/// A connection whose bytes are counted as they come.
struct Metered {
    stream: Stream,
    received: Rc<Cell<u64>>,
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        let came = into.filled().len().saturating_sub(before) as u64;
        self.received.set(self.received.get().saturating_add(came));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
