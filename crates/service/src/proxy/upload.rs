//! A request on its way out: its head, and its body piece by piece as the client sends it and the upstream takes it.
//!
//! The head and a first piece that is there already go out in one write. Holds one piece at a time. A body that does not come as
//! it was announced ends the exchange: half a request is never passed on as a whole one.

mod engine;

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use sportello_wire::http1::client::Announced;
use tokio::io::AsyncWrite;

use super::fault::Fault;
use super::stream::Stream;
use crate::web::{Broken, Incoming};

/// One request on its way out.
pub(super) struct Upload {
    body: Incoming,
    announced: Announced,
    /// Bytes of a body of known length that have not been taken from the client.
    left: u64,
    /// The head, then the beginning of each chunk.
    out: Vec<u8>,
    /// How much of `out` is written.
    out_written: usize,
    piece: Bytes,
    /// The end of a chunk.
    tail: &'static [u8],
    phase: Phase,
    /// Whether the upstream takes no more of it; its answer may still come.
    refused: bool,
    /// Bytes that the kernel has taken.
    written: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// More may come from the client.
    Taking,
    /// All has been taken from the client.
    Taken,
    /// All is with the kernel.
    Done,
}

/// Whom an upload waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    ForClient,
    ForUpstream,
}

impl Upload {
    pub(super) fn new(body: Incoming, announced: Announced) -> Self {
        let left = if let Announced::Length(length) = announced { length } else { 0 };
        Self {
            body,
            announced,
            left,
            out: Vec::new(),
            out_written: 0,
            piece: Bytes::new(),
            tail: b"",
            phase: Phase::Taking,
            refused: false,
            written: 0,
        }
    }

    /// Begins, or begins anew where it [is repeatable](Self::is_repeatable): `head` goes out first.
    pub(super) fn begin(&mut self, head: Vec<u8>) {
        self.written = 0;
        self.refused = false;
        self.out_written = 0;
        self.out = head;
        self.tail = b"";
        if self.has_no_body() {
            self.phase = Phase::Taken;
        } else if !self.piece.is_empty() {
            self.frame();
        } else if self.phase == Phase::Taken {
            // It was found to be empty before.
            self.end_chunks();
        }
    }

    /// Whether the request can be sent anew on another connection, as far as its body is concerned: none of it was sent.
    pub(super) fn is_repeatable(&self) -> bool {
        self.has_no_body() || self.written == 0
    }

    /// How many bytes the kernel has taken.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether all of it is with the kernel.
    pub(super) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Whether the client has not sent all of it.
    pub(super) fn is_taking(&self) -> bool {
        self.phase == Phase::Taking
    }

    fn has_no_body(&self) -> bool {
        matches!(self.announced, Announced::Nothing | Announced::Length(0))
    }

    /// Whom it waits for, after it was pending.
    pub(super) fn waits(&self) -> Waits {
        if self.has_unwritten() || self.phase != Phase::Taking { Waits::ForUpstream } else { Waits::ForClient }
    }

    /// Goes on until all is written or somebody is waited for. An upstream that takes no more is no fault yet: it may have
    /// answered already.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, stream: &mut Stream) -> Poll<Result<(), Fault>> {
        if self.refused || self.phase == Phase::Done {
            return Poll::Ready(Ok(()));
        }
        match ready!(self.poll_on(context, stream)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(Stop::Client(broken)) => Poll::Ready(Err(Fault::Body(broken))),
            Err(Stop::Refused) => {
                self.refused = true;
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_on(&mut self, context: &mut Context<'_>, stream: &mut Stream) -> Poll<Result<(), Stop>> {
        // What the client has sent already goes out together with the head.
        if self.written == 0 && self.piece.is_empty() && self.phase == Phase::Taking {
            let _ = self.poll_take(context)?;
        }
        loop {
            while self.has_unwritten() {
                let count = ready!(self.poll_write(context, stream)).map_err(|_| Stop::Refused)?;
                self.wrote(count);
            }
            match self.phase {
                Phase::Taking => {
                    if self.poll_take(context)?.is_pending() {
                        ready!(Pin::new(&mut *stream).poll_flush(context)).map_err(|_| Stop::Refused)?;
                        return Poll::Pending;
                    }
                }
                Phase::Taken => {
                    ready!(Pin::new(&mut *stream).poll_flush(context)).map_err(|_| Stop::Refused)?;
                    self.phase = Phase::Done;
                    self.out = Vec::new();
                }
                Phase::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Takes the next piece from the client, and frames it.
    fn poll_take(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, Stop> {
        let Incoming::Pieces(pieces) = &mut self.body else {
            self.phase = Phase::Taken;
            return Ok(Poll::Ready(()));
        };
        let Poll::Ready(piece) = pieces.poll_piece(context) else { return Ok(Poll::Pending) };
        match (piece, self.announced) {
            (Some(Err(broken)), _) => return Err(Stop::Client(broken)),
            (Some(Ok(piece)), Announced::Length(_)) => {
                let left = self.left.checked_sub(piece.len() as u64);
                self.left = left.ok_or(Stop::Client(Broken::Malformed))?;
                self.piece = piece;
                if self.left == 0 {
                    self.phase = Phase::Taken;
                }
            }
            (Some(Ok(piece)), _) => {
                self.piece = piece;
                self.frame();
            }
            (None, Announced::Length(_)) if self.left > 0 => return Err(Stop::Client(Broken::Left)),
            (None, _) => {
                self.end_chunks();
                self.phase = Phase::Taken;
            }
        }
        Ok(Poll::Ready(()))
    }

    /// Puts the piece into a chunk (RFC 9112 §7.1), where chunks were announced.
    fn frame(&mut self) {
        // An empty chunk would be the last one.
        if self.announced == Announced::Chunks && !self.piece.is_empty() {
            // Writing to memory does not fail.
            let _ = write!(self.out, "{:x}\r\n", self.piece.len());
            self.tail = b"\r\n";
        }
    }

    fn end_chunks(&mut self) {
        if self.announced == Announced::Chunks {
            self.out.extend_from_slice(b"0\r\n\r\n");
        }
    }

    fn has_unwritten(&self) -> bool {
        self.out_written < self.out.len() || !self.piece.is_empty() || !self.tail.is_empty()
    }

    fn poll_write(&self, context: &mut Context<'_>, stream: &mut Stream) -> Poll<io::Result<usize>> {
        let out = self.out.get(self.out_written..).unwrap_or_default();
        let count = if self.piece.is_empty() && self.tail.is_empty() {
            ready!(Pin::new(stream).poll_write(context, out))?
        } else {
            let parts = [IoSlice::new(out), IoSlice::new(&self.piece), IoSlice::new(self.tail)];
            ready!(Pin::new(stream).poll_write_vectored(context, &parts))?
        };
        Poll::Ready(if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(count) })
    }

    fn wrote(&mut self, count: usize) {
        self.written = self.written.saturating_add(count as u64);
        let of_out = count.min(self.out.len().saturating_sub(self.out_written));
        self.out_written = self.out_written.saturating_add(of_out);
        if self.out_written == self.out.len() {
            self.out.clear();
            self.out_written = 0;
        }
        let of_piece = count.saturating_sub(of_out).min(self.piece.len());
        self.piece.advance(of_piece);
        let of_tail = count.saturating_sub(of_out).saturating_sub(of_piece);
        self.tail = self.tail.get(of_tail..).unwrap_or_default();
    }
}

/// Why an upload stops.
enum Stop {
    /// The upstream takes no more.
    Refused,
    /// The client's body is not whole.
    Client(Broken),
}
