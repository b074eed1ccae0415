//! What is read from upstreams, in one buffer for all of a worker's connections.
//!
//! No connection holds a buffer while it waits. What is small is copied out, into memory that is [lent], so that a slow reader pins
//! little; what is large is handed on where it lies. Bounded by [`ROOM`] for each piece.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use super::lent;
use super::stream::Stream;

/// The buffer.
pub(super) struct Intake(RefCell<BytesMut>);

/// The largest piece.
pub(super) const ROOM: usize = 64 * 1024;
/// The least room that is worth a read.
const LEAST: usize = 32 * 1024;
/// Up to here copying costs less than what it would pin.
const COPIED: usize = 16 * 1024;

impl Intake {
    pub(super) fn new() -> Self {
        Self(RefCell::new(BytesMut::new()))
    }

    /// The next bytes; none: the other side has closed.
    pub(super) fn poll(&self, context: &mut Context<'_>, stream: &mut Stream) -> Poll<io::Result<Bytes>> {
        let mut buffer = self.0.borrow_mut();
        if buffer.capacity() < LEAST {
            buffer.reserve(ROOM);
        }
        let count = ready!(stream.poll_fill(context, &mut buffer))?;
        Poll::Ready(Ok(if count <= COPIED {
            let copied = if count <= lent::MOST { lent::copied(&buffer) } else { Bytes::copy_from_slice(&buffer) };
            buffer.clear();
            copied
        } else {
            buffer.split().freeze()
        }))
    }
}
