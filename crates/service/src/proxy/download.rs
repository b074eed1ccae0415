//! The body of an answer on its way to the client, read when the client's side asks for it.
//!
//! Drives what is left of the request too: an answer may come before the request has ended. Holds one piece at a time. The
//! connection goes back to its pool as soon as the body is whole, and only if nothing came behind it, the request is out, and
//! neither side wants to close.

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use sportello_wire::http1::client::Body;
use sportello_wire::http1::head::Persistence;

use super::Proxy;
use super::exchange::Exchange;
use super::fault::Fault;
use super::place::Lease;
use crate::web::{Broken, Pieces};

/// One body.
pub(super) struct Download {
    proxy: Rc<Proxy>,
    /// The upstream's number.
    index: usize,
    /// The connection, while the body is not whole.
    exchange: Option<Exchange>,
    /// A piece that was found already.
    found: Option<Bytes>,
    /// What was read and not looked at.
    held: Bytes,
    body: Body,
    persistence: Persistence,
    endless: Ends,
    _lease: Lease,
}

/// Whether a body has an end of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Itself,
    /// Events go on for as long as somebody listens.
    Never,
}

impl Download {
    pub(super) fn new(
        proxy: Rc<Proxy>,
        index: usize,
        exchange: Exchange,
        (held, body): (Bytes, Body),
        (persistence, endless): (Persistence, Ends),
        lease: Lease,
    ) -> Self {
        Self { proxy, index, exchange: Some(exchange), found: None, held, body, persistence, endless, _lease: lease }
    }

    /// The next piece of what was read already; none: more must be read, or it is over.
    pub(super) fn held_piece(&mut self) -> Result<Option<Bytes>, Broken> {
        while !self.held.is_empty() && !self.body.is_done() {
            let step = self.body.step(&self.held).map_err(|_| Broken::Malformed)?;
            let piece = self.held.get(step.data.clone()).map(|data| self.held.slice_ref(data));
            self.held.advance(step.used.min(self.held.len()));
            match piece {
                Some(piece) if !piece.is_empty() => {
                    self.finish();
                    return Ok(Some(piece));
                }
                _ if step.used == 0 => return Ok(None),
                _ => {}
            }
        }
        self.finish();
        Ok(None)
    }

    /// Gives a piece back that was found too early.
    pub(super) fn put_back(&mut self, piece: Bytes) {
        self.found = Some(piece);
    }

    /// Whether all of the body was read.
    pub(super) fn is_over(&self) -> bool {
        self.exchange.is_none()
    }

    /// Lets go of the connection where the body is whole.
    fn finish(&mut self) {
        if !self.body.is_done() {
            return;
        }
        let Some(exchange) = self.exchange.take() else { return };
        self.proxy.answered(self.index);
        let whole = exchange.upload.is_done() && self.held.is_empty();
        if whole && self.persistence == Persistence::KeepAlive {
            self.proxy.keep(self.index, exchange.conn);
        }
    }

    /// Ends it before its end.
    fn fail(&mut self, fault: &Fault) -> Poll<Option<Result<Bytes, Broken>>> {
        let exchange = self.exchange.take();
        // Who has nothing to tell for long is not ill for that, and events end whenever their application wants.
        let is_quiet = matches!(fault, Fault::Stalled) || self.endless == Ends::Never;
        if !is_quiet && exchange.is_some_and(|exchange| exchange.blames_upstream(fault)) {
            self.proxy.failed(self.index, fault);
        }
        let broken = if let Fault::Body(broken) = fault { broken.clone() } else { Broken::Left };
        Poll::Ready(Some(Err(broken)))
    }
}

impl Pieces for Download {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if let Some(piece) = self.found.take() {
            return Poll::Ready(Some(Ok(piece)));
        }
        loop {
            // What is left of the request first, so that its end finds it sent.
            if let Some(exchange) = &mut self.exchange
                && let Err(fault) = exchange.poll_upload(context)
            {
                return self.fail(&fault);
            }
            match self.held_piece() {
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(piece))),
                Ok(None) => {}
                Err(broken) => {
                    self.exchange = None;
                    return Poll::Ready(Some(Err(broken)));
                }
            }
            let Some(exchange) = &mut self.exchange else { return Poll::Ready(None) };
            match exchange.poll_read(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(fault)) => return self.fail(&fault),
                Poll::Ready(Ok(bytes)) if bytes.is_empty() => {
                    if self.body.closed().is_err() {
                        return self.fail(&Fault::Closed);
                    }
                    self.exchange = None;
                    self.proxy.answered(self.index);
                    return Poll::Ready(None);
                }
                Poll::Ready(Ok(bytes)) => self.held = bytes,
            }
        }
    }

    fn left(&self) -> Option<u64> {
        let found = self.found.as_ref().map_or(0, |piece| piece.len() as u64);
        self.body.left().map(|left| left.saturating_add(found))
    }

    fn is_endless(&self) -> bool {
        self.endless == Ends::Never
    }
}

/// The body that an answer to HEAD would have had: only its length is told (RFC 9110 §9.3.2).
pub(super) struct Untold(pub(super) Option<u64>);

impl Pieces for Untold {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        Poll::Ready(None)
    }

    fn left(&self) -> Option<u64> {
        self.0
    }
}
