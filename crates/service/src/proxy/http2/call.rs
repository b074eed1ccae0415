//! One request and the head of its answer, on a stream of a connection that others share.
//!
//! The answer may come before the request is out: both go on at the same time. Interim answers are swallowed, but not without end.
//! Bounded by [`INTERIM_MOST`], by the bounds of its connection, and by the waits of [`Waits`].

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::{HeaderValue, Request as Head, Response, header};
use sportello_wire::http1::client::Announced;

use super::super::exchange::{INTERIM_MOST, Waits};
use super::super::fault::Fault;
use super::super::health::Health;
use super::super::settings::Timeouts;
use super::super::ticks::{Clock, Ticks, Watch};
use super::super::upload::{self, Upload};
use super::super::upstream::Upstream;
use super::line::{Line, Share, WORTH_OF_PIECE};
use super::{dial, head};
use crate::web::Incoming;

/// A request under way. Dropped before its end, the stream is reset.
pub(super) struct Call {
    pub(super) upload: Box<Upload>,
    /// `None` where the head was the whole request, or nothing could be sent.
    stream: Option<SendStream<Bytes>>,
    answer: Option<ResponseFuture>,
    watch: Watch,
    waits: Waits,
    /// What had come on the connection when a wait began.
    heard: u64,
    pub(super) share: Share,
}

/// Why there is no head.
pub(super) struct Failed {
    pub(super) fault: Fault,
    /// Whether any of an answer had come.
    pub(super) had_begun: bool,
}

impl Call {
    /// Sends the head of a request; its body follows while the answer is waited for. One that cannot be sent comes back.
    pub(super) fn begin(
        share: Share,
        head: Head<()>,
        mut upload: Box<Upload>,
        watch: Watch,
        waits: Waits,
    ) -> Result<Self, Box<(Fault, Box<Upload>)>> {
        let is_whole = upload.begin_unframed();
        match share.send(head, is_whole) {
            Ok((answer, stream)) => {
                let heard = share.received();
                let stream = (!is_whole).then_some(stream);
                Ok(Self { upload, stream, answer: Some(answer), watch, waits, heard, share })
            }
            Err(error) => Err(Box::new((share.fault(error), upload))),
        }
    }

    /// Sends, until the head of the answer is there. The request need not be out then. Dropping the future leaves the call of no use.
    pub(super) async fn head(&mut self) -> Result<Response<RecvStream>, Failed> {
        let mut interim = 0;
        let outcome = poll_fn(|context| self.poll_head(context, &mut interim)).await;
        self.watch.disarm();
        self.answer = None;
        if outcome.is_ok() {
            self.share.is_answered();
        }
        outcome.map_err(|fault| Failed { fault, had_begun: interim > 0 })
    }

    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        interim: &mut usize,
    ) -> Poll<Result<Response<RecvStream>, Fault>> {
        let is_uploading = self.poll_upload(context)?.is_pending();
        let Some(answer) = &mut self.answer else { return Poll::Ready(Err(Fault::Closed)) };
        while let Poll::Ready(Some(Ok(said))) = answer.poll_informational(context) {
            // RFC 9113 §8.6.
            if said.status() == http::StatusCode::SWITCHING_PROTOCOLS {
                return Poll::Ready(Err(Fault::Upgrade));
            }
            *interim = interim.saturating_add(1);
            if *interim > INTERIM_MOST {
                return Poll::Ready(Err(Fault::Interim));
            }
        }
        if let Poll::Ready(outcome) = Pin::new(answer).poll(context) {
            return Poll::Ready(outcome.map_err(|error| self.share.fault(error)));
        }
        let (ticks, fault) = match (is_uploading, self.upload.waits()) {
            (true, upload::Waits::ForClient) => {
                self.watch.disarm();
                return Poll::Pending;
            }
            (true, upload::Waits::ForUpstream) => (self.waits.between, Fault::Stalled),
            (false, _) => (self.waits.head, Fault::HeadTimeout),
        };
        ready!(self.poll_wait(context, ticks));
        Poll::Ready(Err(fault))
    }

    /// Goes on sending. Progress begins each wait anew.
    pub(super) fn poll_upload(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, Fault> {
        let Some(stream) = &mut self.stream else { return Ok(Poll::Ready(())) };
        let before = self.upload.written();
        let polled = self.upload.poll_engine(context, stream);
        if self.upload.written() != before {
            let written = self.upload.written().saturating_sub(before);
            self.share.earn(written.saturating_add(WORTH_OF_PIECE));
            self.watch.disarm();
        }
        match polled {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(())) => {
                // One that was refused is reset at the end of the exchange only: its answer may still come.
                if self.upload.is_done() {
                    self.stream = None;
                }
                Ok(Poll::Ready(()))
            }
            Poll::Ready(Err(fault)) => Err(fault),
        }
    }

    /// The next bytes of the answer's body, given back to its windows as they are taken; `None`: that was all.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        body: &mut RecvStream,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            match body.poll_data(context) {
                Poll::Ready(Some(Ok(piece))) => {
                    self.share.took(piece.len());
                    // It cannot fail: so much was received.
                    let _ = body.flow_control().release_capacity(piece.len());
                    // Nothing is no sign of life.
                    if !piece.is_empty() {
                        self.watch.disarm();
                        return Poll::Ready(Some(Ok(piece)));
                    }
                }
                // RFC 9113 §8.1: said behind a whole answer, where the rest of the request is not wanted.
                Poll::Ready(Some(Err(error)))
                    if error.is_reset() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR) =>
                {
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(self.share.fault(error)))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    ready!(self.poll_wait(context, self.waits.between));
                    return Poll::Ready(Some(Err(Fault::Stalled)));
                }
            }
        }
    }

    /// Waits for the upstream. From a connection on which nothing at all came meanwhile nothing more is hoped for: it may be cut.
    fn poll_wait(&mut self, context: &mut Context<'_>, ticks: Ticks) -> Poll<()> {
        if self.watch.is_resting() {
            self.heard = self.share.received();
        }
        self.watch.ensure(ticks);
        ready!(self.watch.poll(context));
        if self.share.received() == self.heard {
            self.share.retire();
        }
        Poll::Ready(())
    }

    /// Whether a fault says something of the upstream; see [`Exchange`](super::super::exchange::Exchange::blames_upstream).
    pub(super) fn blames_upstream(&self, fault: &Fault) -> bool {
        let is_end = fault.is_end() || matches!(fault, Fault::Broke(_) | Fault::Refused);
        fault.is_upstreams() && !(is_end && self.upload.is_taking())
    }
}

/// Asks an upstream whether it is well, on a connection of its own; the status of its answer.
pub(in super::super) async fn ask(
    upstream: &Upstream,
    health: &Health,
    host: &[u8],
    clock: &Rc<Clock>,
) -> Result<u16, Fault> {
    let stream = dial::dial(upstream, health.within).await?;
    let line = Line::open(stream, clock, Ticks::of(health.within), Rc::default()).await?;
    let share = line.share().ok_or(Fault::Full)?;
    let mut head = head::begin(upstream, b"GET", &health.target, host)?;
    head.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static("sportello"));
    let timeouts = Timeouts { head: health.within, between: health.within, ..Timeouts::default() };
    let upload = Box::new(Upload::new(Incoming::Empty, Announced::Nothing));
    let call = Call::begin(share, head, upload, clock.watch(), Waits::of(&timeouts));
    let mut call = call.map_err(|failed| failed.0)?;
    // It ends with this one.
    line.retire();
    let answer = call.head().await.map_err(|failed| failed.fault)?;
    Ok(answer.status().as_u16())
}
