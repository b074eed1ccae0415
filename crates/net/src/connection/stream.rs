//! A connection as a stream of bytes, for a protocol engine that wants to own it, while its session still sees it.
//!
//! What the engine writes is gathered and sent when the session says so: once for everything that one waking brought, instead of once
//! for each message. Bounded by [`GATHERED_MOST`] bytes that wait to be sent; then by the channel's deadlines: for a peer that does not
//! read, and for one that has nothing under way and says nothing.

use std::cell::{Ref, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Connection, Ended, Wait};
use crate::buffer::Buffer;
use crate::deadline::{Deadline, Tick, ticks};
use crate::registry::Phase;

/// Bytes that wait to be sent before the engine has to wait too.
const GATHERED_MOST: usize = 64 * 1024;

/// A connection that is shared by the engine that speaks its protocol and the session that carries it out. Clones are the same one.
#[derive(Clone)]
pub struct Stream(Rc<RefCell<Shared>>);

struct Shared {
    connection: Box<Connection>,
    /// What was read and not taken.
    input: Buffer,
    /// What is to be sent.
    output: Vec<u8>,
    /// Since when the peer takes nothing.
    blocked: Option<Tick>,
    /// Since when nothing is under way.
    resting: Option<Tick>,
    /// Why it is no more, as far as the engine could not be told.
    ended: Option<Ended>,
}

impl Stream {
    /// A connection of which `input` was read already.
    pub fn new(connection: Box<Connection>, input: Buffer) -> Self {
        connection.entry.forget_wait();
        let shared = Shared { connection, input, output: Vec::new(), blocked: None, resting: None, ended: None };
        Self(Rc::new(RefCell::new(shared)))
    }

    /// The connection, to look at. Not to be held across a wait.
    pub fn connection(&self) -> Ref<'_, Connection> {
        Ref::map(self.0.borrow(), |shared| &*shared.connection)
    }

    /// From now on something is under way: its peer may be silent.
    pub fn work(&self) {
        let mut shared = self.0.borrow_mut();
        shared.resting = None;
        shared.connection.entry.between.set(false);
    }

    /// From now on nothing is under way: its peer must say something before it has idled for too long.
    pub fn rest(&self) {
        let mut shared = self.0.borrow_mut();
        let now = shared.connection.registry.now();
        shared.resting.get_or_insert(now);
        shared.connection.entry.between.set(true);
    }

    /// Sends what was gathered; ready when the kernel has all of it.
    ///
    /// # Errors
    /// When the connection is gone, or the peer does not read.
    pub fn poll_send(&self, context: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        self.0.borrow_mut().poll_send(context)
    }

    /// To be called before the session waits: for how long is decided by what is true now, not when something was read or written.
    /// What is given back is why it must not wait.
    pub fn wait(&self, context: &mut Context<'_>) -> Option<Ended> {
        self.0.borrow().wait(context)
    }

    /// Why it ended, where that is known.
    pub fn ended(&self) -> Option<Ended> {
        self.0.borrow_mut().ended.take()
    }

    /// The connection, once nobody else holds it.
    pub fn into_connection(self) -> Option<Box<Connection>> {
        Rc::into_inner(self.0).map(|shared| shared.into_inner().connection)
    }
}

impl Shared {
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        ready!(self.poll_give(context))?;
        // What is encrypted is not sent before the kernel has it.
        self.send_on(context)?;
        if self.connection.has_unsent() {
            return self.poll_blocked();
        }
        self.blocked = None;
        Poll::Ready(Ok(()))
    }

    /// As [`Shared::poll_send`]; ready when what was gathered is written.
    fn poll_give(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        self.connection.register()?;
        while !self.output.is_empty() {
            match self.connection.poll_write(context, &[&self.output]) {
                Poll::Ready(written) => {
                    self.output.drain(..written?);
                    self.blocked = None;
                }
                Poll::Pending => return self.poll_blocked(),
            }
        }
        if self.output.capacity() > GATHERED_MOST || self.resting.is_some() {
            self.output = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Sends of what is encrypted what the socket takes; a peer that takes some reads.
    fn send_on(&mut self, context: &mut Context<'_>) -> Result<(), Ended> {
        if self.connection.send_on(context)? > 0 {
            self.blocked = None;
        }
        Ok(())
    }

    /// The peer takes nothing more for now.
    fn poll_blocked(&mut self) -> Poll<Result<(), Ended>> {
        let now = self.connection.registry.now();
        self.blocked.get_or_insert(now);
        Poll::Pending
    }

    /// What to do when nothing can be done: end, or wait.
    fn wait(&self, context: &mut Context<'_>) -> Option<Ended> {
        let deadlines = &self.connection.channel.deadlines;
        let blocked = self.blocked.map(|since| (since.saturating_add(ticks(deadlines.write)), Deadline::Write));
        let resting = self.resting.map(|since| (since.saturating_add(ticks(deadlines.idle)), Deadline::Idle));
        let (due, kind) = blocked.or(resting).unwrap_or((Tick::MAX, Deadline::Idle));
        // Bytes that come put an expiry aside; they do not help a peer that reads nothing.
        if self.blocked.is_some() && due <= self.connection.registry.now() {
            return Some(Ended::TimedOut(kind));
        }
        self.connection.pending(context, Wait { due, kind, until: Phase::Over })
    }

    fn fail(&mut self, ended: Ended) -> io::Error {
        let kind = match &ended {
            Ended::Closed | Ended::Killed | Ended::Stopping => io::ErrorKind::ConnectionAborted,
            Ended::TimedOut(_) => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        self.ended = Some(ended);
        kind.into()
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let shared = &mut *self.0.borrow_mut();
        if shared.input.is_empty() {
            if let Err(ended) = shared.send_on(context) {
                return Poll::Ready(Err(shared.fail(ended)));
            }
            match shared.connection.poll_bytes(context, &mut shared.input) {
                Poll::Ready(Ok(_)) => shared.connection.entry.arrived(shared.connection.registry.now()),
                Poll::Ready(Err(ended)) => return Poll::Ready(Err(shared.fail(ended))),
                Poll::Pending => {
                    shared.input.release();
                    return Poll::Pending;
                }
            }
        }
        let filled = shared.input.filled();
        let count = filled.len().min(into.remaining());
        into.put_slice(&filled[..count]);
        shared.input.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let shared = &mut *self.0.borrow_mut();
        if shared.output.len() >= GATHERED_MOST
            && let Err(ended) = ready!(shared.poll_give(context))
        {
            return Poll::Ready(Err(shared.fail(ended)));
        }
        let count = bytes.len().min(GATHERED_MOST - shared.output.len());
        shared.output.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let shared = &mut *self.0.borrow_mut();
        if shared.output.len() >= GATHERED_MOST
            && let Err(ended) = ready!(shared.poll_give(context))
        {
            return Poll::Ready(Err(shared.fail(ended)));
        }
        let mut total = 0;
        for part in parts {
            let count = part.len().min(GATHERED_MOST - shared.output.len());
            shared.output.extend_from_slice(&part[..count]);
            total += count;
        }
        Poll::Ready(Ok(total))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing: the session sends, with [`Stream::poll_send`].
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Nothing: the session closes the connection.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
