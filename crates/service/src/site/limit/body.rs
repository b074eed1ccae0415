//! A request's body, up to a bound.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::site::ours::Ours;
use crate::web::{Broken, Incoming, Pieces};

/// Whether a body went beyond its bound while it was read.
#[derive(Clone, Debug, Default)]
pub(in crate::site) struct Overrun(Rc<Cell<bool>>);

impl Overrun {
    /// Whether it did.
    pub(in crate::site) fn happened(&self) -> bool {
        self.0.get()
    }
}

pub(in crate::site) fn too_large() -> Ours {
    Ours::new(413, "the request's body is larger than it may be here")
}

/// The same body, which breaks beyond `most` bytes; one that says so before is refused at once.
pub(in crate::site) fn capped(body: Incoming, most: u64) -> Result<(Incoming, Option<Overrun>), Ours> {
    let Incoming::Pieces(inner) = body else { return Ok((Incoming::Empty, None)) };
    match inner.left() {
        Some(left) if left > most => Err(too_large()),
        Some(_) => Ok((Incoming::Pieces(inner), None)),
        None => {
            let overrun = Overrun::default();
            Ok((Incoming::Pieces(Box::new(Capped { inner, left: most, overrun: overrun.clone() })), Some(overrun)))
        }
    }
}

struct Capped {
    inner: Box<dyn Pieces>,
    left: u64,
    overrun: Overrun,
}

impl Pieces for Capped {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        self.inner.poll_piece(context).map(|piece| match piece {
            Some(Ok(bytes)) => match self.left.checked_sub(bytes.len() as u64) {
                Some(left) => {
                    self.left = left;
                    Some(Ok(bytes))
                }
                None => {
                    self.overrun.0.set(true);
                    Some(Err(Broken::TooLarge))
                }
            },
            other => other,
        })
    }

    fn left(&self) -> Option<u64> {
        None
    }
}
