//! One request and the head of its answer, on one connection.
//!
//! The answer may come before the request is out: both go on at the same time. Interim answers are swallowed (RFC 9110 §15.2), but
//! not without end. Bounded by [`HEAD`] and [`INTERIM_MOST`], and by the waits in [`Waits`].

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use sportello_wire::http1::client::{Limits, Places, Received};

use super::fault::Fault;
use super::intake::Intake;
use super::pool::Conn;
use super::settings::Timeouts;
use super::ticks::Ticks;
use super::upload::{self, Upload};

/// What the head of an answer may be.
pub(super) const HEAD: Limits = Limits { head: 64 * 1024, fields: 200 };
/// The most interim answers before one.
pub(super) const INTERIM_MOST: usize = 16;

/// How long the waits of an exchange are.
#[derive(Clone, Copy)]
pub(super) struct Waits {
    pub(super) head: Ticks,
    pub(super) between: Ticks,
}

impl Waits {
    pub(super) fn of(timeouts: &Timeouts) -> Self {
        Self { head: Ticks::of(timeouts.head), between: Ticks::of(timeouts.between) }
    }
}

/// A connection with a request on it.
pub(super) struct Exchange {
    pub(super) conn: Conn,
    pub(super) upload: Box<Upload>,
    pub(super) intake: Rc<Intake>,
    pub(super) waits: Waits,
}

/// Bytes that begin with the head of a final answer (or of a 101), and what was read in it.
pub(super) struct Heard {
    pub(super) bytes: Bytes,
    places: Places,
}

impl Heard {
    /// The head.
    pub(super) fn head(&self) -> Received<'_> {
        self.places.in_bytes(&self.bytes)
    }
}

/// Why there is no head.
pub(super) struct Failed {
    pub(super) fault: Fault,
    /// Whether any byte of an answer had come.
    pub(super) had_begun: bool,
}

impl Failed {
    /// Whether nothing was heard, so that the same could be asked again. Who was waited for in vain may still do what was asked.
    pub(super) fn may_repeat(&self) -> bool {
        !self.had_begun && matches!(self.fault, Fault::Closed | Fault::Io(_))
    }
}

impl Exchange {
    /// Sends, until the head of the answer is there. The request need not be out then. Dropping the future leaves the connection
    /// of no use.
    pub(super) async fn head(&mut self) -> Result<Heard, Failed> {
        let mut incoming = Incoming { partial: BytesMut::new(), interim: 0, had_begun: false };
        let outcome = poll_fn(|context| self.poll_head(context, &mut incoming)).await;
        self.conn.watch.disarm();
        outcome.map_err(|fault| Failed { fault, had_begun: incoming.had_begun })
    }

    fn poll_head(&mut self, context: &mut Context<'_>, incoming: &mut Incoming) -> Poll<Result<Heard, Fault>> {
        let mut uploading = self.poll_upload(context)?.is_pending();
        loop {
            let bytes = match self.intake.poll(context, &mut self.conn.stream) {
                Poll::Ready(Ok(bytes)) => bytes,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Fault::Io(error))),
                Poll::Pending => break,
            };
            if bytes.is_empty() {
                return Poll::Ready(Err(Fault::Closed));
            }
            if let Some(heard) = incoming.take(bytes)? {
                return Poll::Ready(Ok(heard));
            }
            uploading = self.poll_upload(context)?.is_pending();
        }
        let fault = self.wait(context, uploading);
        ready!(fault);
        Poll::Ready(Err(if uploading { Fault::Stalled } else { Fault::HeadTimeout }))
    }

    /// Whether a fault says something of the upstream. A client that sends its request slowly, or never all of it, is what an
    /// upstream may close a connection for.
    pub(super) fn blames_upstream(&self, fault: &Fault) -> bool {
        fault.is_upstreams() && !(fault.is_end() && self.upload.is_taking())
    }

    /// Goes on sending. Progress begins each wait anew.
    pub(super) fn poll_upload(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, Fault> {
        if self.upload.is_done() {
            return Ok(Poll::Ready(()));
        }
        let before = self.upload.written();
        let polled = self.upload.poll(context, &mut self.conn.stream);
        if self.upload.written() != before {
            self.conn.watch.disarm();
        }
        match polled {
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Ready(Err(fault)) => Err(fault),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// The next bytes of the answer's body; none: the upstream has closed.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, Fault>> {
        match self.intake.poll(context, &mut self.conn.stream) {
            Poll::Ready(outcome) => {
                self.conn.watch.disarm();
                Poll::Ready(outcome.map_err(Fault::Io))
            }
            Poll::Pending => {
                self.conn.watch.ensure(self.waits.between);
                self.conn.watch.poll(context).map(|()| Err(Fault::Stalled))
            }
        }
    }

    /// Waits for the upstream; not while the client is waited for, which its own deadlines bound.
    fn wait(&mut self, context: &mut Context<'_>, uploading: bool) -> Poll<()> {
        match (uploading, self.upload.waits()) {
            (true, upload::Waits::ForClient) => {
                self.conn.watch.disarm();
                return Poll::Pending;
            }
            (true, upload::Waits::ForUpstream) => self.conn.watch.ensure(self.waits.between),
            (false, _) => self.conn.watch.ensure(self.waits.head),
        }
        self.conn.watch.poll(context)
    }
}

/// The beginning of an answer.
struct Incoming {
    /// A head that is not whole.
    partial: BytesMut,
    interim: usize,
    had_begun: bool,
}

impl Incoming {
    /// Takes what has come; tells when the head of a final answer is whole.
    fn take(&mut self, bytes: Bytes) -> Result<Option<Heard>, Fault> {
        self.had_begun = true;
        let mut bytes = if self.partial.is_empty() {
            bytes
        } else {
            let before = self.partial.len();
            self.partial.extend_from_slice(&bytes);
            // Only a line end or the bound can change the outcome: a head that trickles in is not read once per byte.
            if before < HEAD.head && self.partial.len() < HEAD.head && memchr::memchr(b'\n', &bytes).is_none() {
                return Ok(None);
            }
            self.partial.split().freeze()
        };
        loop {
            if bytes.is_empty() {
                return Ok(None);
            }
            let length = match Received::parse(&bytes, &HEAD)? {
                None => {
                    self.partial = BytesMut::from(&bytes[..]);
                    return Ok(None);
                }
                Some(head) if head.status >= 200 || head.status == 101 => {
                    let places = head.places();
                    return Ok(Some(Heard { bytes, places }));
                }
                Some(head) => head.length,
            };
            self.interim = self.interim.saturating_add(1);
            if self.interim > INTERIM_MOST {
                return Err(Fault::Interim);
            }
            bytes = bytes.slice(length..);
        }
    }
}
