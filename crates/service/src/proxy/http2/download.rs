//! The body of an answer on its way to the client, read when the client's side asks for it: what it has not asked for keeps the stream's
//! window shut.
//!
//! Drives what is left of the request too. Holds one piece at a time, and its stream until its end; dropped before, the stream is reset.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;

use super::super::Proxy;
use super::super::download::Ends;
use super::super::fault::Fault;
use super::super::place::Lease;
use super::call::Call;
use crate::web::{Broken, Pieces};

/// One body.
pub(super) struct Download {
    proxy: Rc<Proxy>,
    /// The upstream's number.
    index: usize,
    /// The stream, while the body is not whole.
    under_way: Option<(Call, RecvStream)>,
    /// A piece that was found already.
    pub(super) found: Option<Bytes>,
    left: Option<u64>,
    ends: Ends,
    _lease: Lease,
}

impl Download {
    pub(super) fn new(
        proxy: Rc<Proxy>,
        index: usize,
        under_way: (Call, RecvStream),
        (left, ends): (Option<u64>, Ends),
        lease: Lease,
    ) -> Self {
        Self { proxy, index, under_way: Some(under_way), found: None, left, ends, _lease: lease }
    }

    /// Whether all of the body was read.
    pub(super) fn is_over(&self) -> bool {
        self.under_way.is_none()
    }

    /// Lets go of the stream where the body is whole.
    fn finish_if_whole(&mut self) {
        if self.under_way.as_ref().is_some_and(|(_, body)| body.is_end_stream()) {
            self.under_way = None;
            self.proxy.answered(self.index);
        }
    }

    fn fail(&mut self, fault: &Fault) -> Broken {
        let call = self.under_way.take();
        // Who has nothing to tell for long is not ill for that, and events end whenever their application wants.
        let is_quiet = matches!(fault, Fault::Stalled) || self.ends == Ends::Never;
        if !is_quiet && call.is_some_and(|(call, _)| call.blames_upstream(fault)) {
            self.proxy.failed(self.index, fault);
        }
        if let Fault::Body(broken) = fault { broken.clone() } else { Broken::Left }
    }
}

impl Pieces for Download {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if let Some(piece) = self.found.take() {
            return Poll::Ready(Some(Ok(piece)));
        }
        let Some((call, body)) = &mut self.under_way else { return Poll::Ready(None) };
        // What is left of the request first, so that its end finds it sent.
        if let Err(fault) = call.poll_upload(context) {
            return Poll::Ready(Some(Err(self.fail(&fault))));
        }
        match ready!(call.poll_read(context, body)) {
            Some(Ok(piece)) => {
                self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
                self.finish_if_whole();
                Poll::Ready(Some(Ok(piece)))
            }
            Some(Err(fault)) => Poll::Ready(Some(Err(self.fail(&fault)))),
            None if self.left.is_some_and(|left| left > 0) => Poll::Ready(Some(Err(self.fail(&Fault::Closed)))),
            None => {
                self.under_way = None;
                self.proxy.answered(self.index);
                Poll::Ready(None)
            }
        }
    }

    fn left(&self) -> Option<u64> {
        let found = self.found.as_ref().map_or(0, |piece| piece.len() as u64);
        self.left.map(|left| left.saturating_add(found))
    }

    fn is_endless(&self) -> bool {
        self.ends == Ends::Never
    }
}
