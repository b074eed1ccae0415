//! One try of a request at an upstream of HTTP/2, and what its answer becomes.
//!
//! A request that the upstream did not look at is sent anew, whatever it asks for (RFC 9113 §8.7), as long as none of its body is gone;
//! one whose connection broke, by the rule that holds over HTTP/1.1. Bounded by [`REPEATS_MOST`] and [`FAREWELLS_MOST`] for each upstream.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use h2::RecvStream;
use http::Response;
use sportello_wire::http1::Method;
use sportello_wire::http1::client::Error;

use super::super::download::{Ends, Untold};
use super::super::fault::Fault;
use super::super::place::Lease;
use super::super::upstream::{UnderWay, Upstream};
use super::super::{Attempt, Missed, Proxy, forward, is_events};
use super::call::{Call, Failed};
use super::download::Download;
use super::head;
use super::line::Share;
use crate::web::{Answer, Body, Broken, Pieces, Request};

/// How often a request is sent to the same upstream once more.
const REPEATS_MOST: usize = 2;
/// How often beyond that, where a connection ended behind others that it had answered: nginx says farewell after so many requests, and
/// who is many at once may come too late several times.
const FAREWELLS_MOST: usize = 16;

impl Proxy {
    /// One try at one upstream.
    pub(in super::super) async fn through_http2(
        self: &Rc<Self>,
        index: usize,
        upstream: &Arc<Upstream>,
        mut attempt: Attempt,
        counted: Option<UnderWay>,
    ) -> Result<Answer, Missed> {
        // What it asks for is not among what HTTP/2 has; another upstream may speak HTTP/1.1.
        if forward::upgrade(&attempt.request).is_some() {
            return Err(Missed { fault: Fault::NoUpgrade, is_upstreams: false, again: Some(attempt) });
        }
        let mut repeats = Repeats::default();
        loop {
            let settings = &self.upstreams.settings;
            let head = head::request(&attempt.request, settings, upstream, attempt.announced);
            let head = head.map_err(|error| Missed { fault: error.into(), is_upstreams: false, again: None })?;
            let share = match self.room_at(index, upstream).await {
                Ok(share) => share,
                Err(fault) => return Err(Missed { is_upstreams: fault.is_upstreams(), fault, again: Some(attempt) }),
            };
            attempt.request.notes.is_connected();
            let was_used = share.was_used;
            let Attempt { request, announced, upload, place } = attempt;
            let mut worth = if was_used { Worth::Repeating } else { Worth::Nothing };
            let (failed, is_upstreams, upload) = match Call::begin(share, head, upload, self.clock.watch(), self.waits)
            {
                Err(failed) => {
                    let (fault, upload) = *failed;
                    let is_upstreams = fault.is_upstreams();
                    (Failed { fault, had_begun: false }, is_upstreams, upload)
                }
                Ok(mut call) => match call.head().await {
                    Ok(answer) => {
                        let lease = Lease { _place: place, _under_way: counted };
                        let answer = self.answer_http2(index, upstream, &request, call, answer, lease);
                        return answer.map_err(Missed::from);
                    }
                    Err(failed) => {
                        let is_upstreams = call.blames_upstream(&failed.fault);
                        if matches!(failed.fault, Fault::Refused) && call.share.was_farewell() {
                            worth = Worth::Farewell;
                        }
                        (failed, is_upstreams, call.upload)
                    }
                },
            };
            if worth == Worth::Nothing && matches!(failed.fault, Fault::Refused) {
                worth = Worth::Repeating;
            }
            let may = may_repeat(&failed, &request) && upload.is_repeatable();
            attempt = Attempt { request, announced, upload, place };
            if !may || !repeats.allow(worth) {
                return Err(Missed { fault: failed.fault, is_upstreams, again: may.then_some(attempt) });
            }
        }
    }

    /// Room for a request on a connection to this upstream.
    async fn room_at(&self, index: usize, upstream: &Upstream) -> Result<Share, Fault> {
        let lines = self.lines.get(index).ok_or(Fault::NoUpstream)?;
        lines.room(upstream, self.upstreams.settings.timeouts.connect).await
    }

    fn answer_http2(
        self: &Rc<Self>,
        index: usize,
        upstream: &Upstream,
        request: &Request,
        call: Call,
        answer: Response<RecvStream>,
        lease: Lease,
    ) -> Result<Answer, Unfit> {
        let unfit = |error: Error| Unfit { fault: error.into(), is_upstreams: true };
        let (head, body) = answer.into_parts();
        let status = head.status.as_u16();
        // What HTTP/1.1 cannot say is not passed on.
        if !(200..600).contains(&status) {
            return Err(unfit(Error::StatusLine));
        }
        let fields = head::fields(&head.headers).map_err(unfit)?;
        let length = head::length(&head.headers);
        request.notes.heard(status);
        upstream.began();
        let is_bodiless = matches!(status, 204 | 304);
        if is_bodiless || request.method == Method::Head {
            self.answered(index);
            let body =
                if is_bodiless { Body::Bytes(bytes::Bytes::new()) } else { Body::Pieces(Box::new(Untold(length))) };
            return Ok(Answer { status, fields, body });
        }
        let ends = if is_events(&fields) { Ends::Never } else { Ends::Itself };
        if ends == Ends::Never {
            self.answered(index);
        }
        if body.is_end_stream() {
            self.answered(index);
            // What it says with its status alone stays so.
            return Ok(Answer { status, fields, body: Body::Bytes(bytes::Bytes::new()) });
        }
        let mut download = Download::new(Rc::clone(self), index, (call, body), (length, ends), lease);
        // What is whole already is given whole.
        let first = download.poll_piece(&mut Context::from_waker(Waker::noop()));
        let body = match first {
            Poll::Ready(Some(Ok(piece))) if download.is_over() => Body::Bytes(piece),
            Poll::Ready(None) => Body::Bytes(bytes::Bytes::new()),
            // Whose fault that is was noted with it.
            Poll::Ready(Some(Err(broken))) => {
                let fault = if broken == Broken::Left { Fault::Closed } else { Fault::Body(broken) };
                return Err(Unfit { fault, is_upstreams: false });
            }
            Poll::Ready(Some(Ok(piece))) => {
                download.found = Some(piece);
                Body::Pieces(Box::new(download))
            }
            Poll::Pending => Body::Pieces(Box::new(download)),
        };
        Ok(Answer { status, fields, body })
    }
}

/// How often one request was sent to the same upstream once more.
#[derive(Default)]
struct Repeats {
    all: usize,
    farewells: usize,
}

/// What a failure leaves to be hoped for at the same upstream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Worth {
    Nothing,
    Repeating,
    /// The connection ended behind others that it had answered.
    Farewell,
}

impl Repeats {
    /// Whether it may be sent once more.
    fn allow(&mut self, worth: Worth) -> bool {
        let (count, most) = match worth {
            Worth::Nothing => return false,
            Worth::Repeating => (&mut self.all, REPEATS_MOST),
            Worth::Farewell => (&mut self.farewells, FAREWELLS_MOST),
        };
        *count += 1;
        *count <= most
    }
}

/// An answer that cannot be passed back.
struct Unfit {
    fault: Fault,
    /// Whether that says something of the upstream that was not noted yet.
    is_upstreams: bool,
}

impl From<Unfit> for Missed {
    fn from(Unfit { fault, is_upstreams }: Unfit) -> Self {
        Self { fault, is_upstreams, again: None }
    }
}

/// Whether the same may be asked again, as far as its body allows. Who was waited for in vain may still do what was asked.
fn may_repeat(failed: &Failed, request: &Request) -> bool {
    match failed.fault {
        _ if failed.had_begun => false,
        Fault::Refused => true,
        Fault::Closed | Fault::Io(_) => forward::is_idempotent(request),
        _ => false,
    }
}
