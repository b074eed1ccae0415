//! A connection that another protocol has taken over (RFC 9110 §7.8): bytes go both ways, unread, until the other side ends. A client
//! that ends its half is still told what the other side says.
//!
//! While nothing goes either way a tunnel holds no buffer. A side that does not read holds up the other, by one piece each way.
//! Bounded by the time that both may be silent, by the client's write deadline, and by the end of the grace when the server stops.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use sportello_net::{Buffer, Connection, Ended, Moved, Pace, Patience, Wants};
use sportello_service::web::{Tunnel, Wire};
use tokio::io::ReadBuf;
use tokio::time::{Instant, Sleep};

use super::session::Session;

/// One read from the other side.
const READ: usize = 16 * 1024;

thread_local! {
    /// What a read goes into before its length is known: one for all tunnels of a worker.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// A tunnel under way.
struct Way {
    stream: Box<dyn Wire>,
    /// What came from the other side and is still to be written to the client.
    waiting: Bytes,
    /// Whether the other side has said all it says.
    is_over: bool,
    /// Whether something was written to the other side and perhaps not sent on.
    is_unflushed: bool,
    half: Half,
    pace: Pace,
    /// When a byte went last.
    active: Instant,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    /// Bytes that came from the other side.
    sent: u64,
}

/// The client's half of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Open,
    /// It says nothing more; the other side is not told yet.
    Ended,
    /// The other side knows.
    Told,
}

impl Session<'_> {
    /// Passes bytes both ways until the other side ends; how many the client was sent.
    pub(super) async fn tunnel(&mut self, tunnel: Tunnel) -> Result<u64, Ended> {
        self.flush().await?;
        let mut way = Way {
            stream: tunnel.stream,
            sent: tunnel.first.len() as u64,
            waiting: tunnel.first,
            is_over: false,
            is_unflushed: false,
            half: Half::Open,
            pace: self.connection.pace(),
            active: Instant::now(),
            idle: tunnel.idle,
            silence: Box::pin(tokio::time::sleep(tunnel.idle)),
        };
        poll_fn(|context| way.poll(context, self.connection, &mut self.input)).await?;
        Ok(way.sent)
    }
}

impl Way {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut Connection,
        input: &mut Buffer,
    ) -> Poll<Result<(), Ended>> {
        loop {
            self.take(context)?;
            if self.is_over && self.waiting.is_empty() && !connection.has_unsent() {
                return Poll::Ready(Ok(()));
            }
            self.give(context, input)?;
            // What was read and the other side has not taken may be all that the client says.
            let reads = self.half == Half::Open && input.is_empty();
            let wants = Wants {
                read: if reads { Some(&mut *input) } else { None },
                write: &[&self.waiting],
                patience: if reads { Patience::Silence } else { Patience::HalfClosed },
            };
            match connection.poll_step(context, wants, &mut self.pace)? {
                Poll::Ready(Moved::Read(0)) => self.half = Half::Ended,
                Poll::Ready(Moved::Read(_)) => {}
                Poll::Ready(Moved::Written(count)) => self.waiting.advance(count.min(self.waiting.len())),
                Poll::Pending => {
                    ready!(self.poll_silence(context));
                    return Poll::Ready(Ok(()));
                }
            }
            self.active = Instant::now();
        }
    }

    /// Reads from the other side what is there, once the client has all that came before.
    fn take(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if !self.waiting.is_empty() || self.is_over {
            return Ok(());
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(scratch);
            if Pin::new(&mut *self.stream).poll_read(context, &mut read)?.is_ready() {
                self.waiting = Bytes::copy_from_slice(read.filled());
                self.sent = self.sent.saturating_add(self.waiting.len() as u64);
                self.is_over = self.waiting.is_empty();
                self.active = Instant::now();
            }
            Ok(())
        })
    }

    /// Writes to the other side what it takes of what the client said, and behind all of it that this was all.
    fn give(&mut self, context: &mut Context<'_>, input: &mut Buffer) -> io::Result<()> {
        while !input.is_empty() {
            match Pin::new(&mut *self.stream).poll_write(context, input.filled())? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => {
                    input.consume(count);
                    self.is_unflushed = true;
                }
                Poll::Pending => return Ok(()),
            }
        }
        if self.is_unflushed {
            self.is_unflushed = Pin::new(&mut *self.stream).poll_flush(context)?.is_pending();
        }
        if self.half == Half::Ended && !self.is_unflushed {
            // One that cannot be told is read until it ends as well.
            let told = Pin::new(&mut *self.stream).poll_shutdown(context).is_ready();
            self.half = if told { Half::Told } else { Half::Ended };
        }
        Ok(())
    }

    /// Ready when neither side has said anything for too long. The timer is moved when it fires, not with every byte.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.silence.as_mut().poll(context));
            let until = self.active + self.idle;
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            self.silence.as_mut().reset(until);
        }
    }
}
