//! A body that was put aside, read piece by piece: each on a blocking thread when the one before it is with whoever wants it, so that who is
//! slow keeps no thread.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tracing::error;

use super::Aside;
use crate::compress::aside;
use crate::web::{Broken, Pieces};

/// One that is read.
pub(super) struct Put {
    left: u64,
    work: Work,
}

type Reading = dyn Future<Output = io::Result<(Aside, Bytes)>>;

enum Work {
    Idle(Box<Aside>),
    Busy(Pin<Box<Reading>>),
    /// Its file is closed.
    Over,
}

impl Put {
    pub(super) fn new(body: Aside) -> Self {
        Self { left: body.length(), work: Work::Idle(Box::new(body)) }
    }
}

impl Pieces for Put {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            match std::mem::replace(&mut self.work, Work::Over) {
                Work::Over => return Poll::Ready(None),
                Work::Idle(_) if self.left == 0 => return Poll::Ready(None),
                Work::Idle(body) => {
                    let at = body.length().saturating_sub(self.left);
                    let read = move || body.read(at).map(|piece| (*body, piece));
                    self.work = Work::Busy(Box::pin(async move { aside(read).await? }));
                }
                Work::Busy(mut reading) => match reading.as_mut().poll(context) {
                    Poll::Pending => {
                        self.work = Work::Busy(reading);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok((body, piece))) => {
                        self.left = self.left.saturating_sub(piece.len() as u64);
                        // After the last piece the room is others' at once.
                        if self.left > 0 {
                            self.work = Work::Idle(Box::new(body));
                        }
                        return Poll::Ready(Some(Ok(piece)));
                    }
                    Poll::Ready(Err(error)) => {
                        error!(%error, "a body that was put aside cannot be read");
                        return Poll::Ready(Some(Err(Broken::Malformed)));
                    }
                },
            }
        }
    }

    fn left(&self) -> Option<u64> {
        Some(self.left)
    }
}
