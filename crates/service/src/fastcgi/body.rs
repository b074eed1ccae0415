//! The answer of an application as one of ours: the fields that may be passed on, the body as it comes.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use sportello_wire::fastcgi::head::{self, Head};
use sportello_wire::http1::Method;
use tokio::task::spawn_local;
use tokio::time::timeout;
use tracing::warn;

use super::Place;
use super::exchange::{Event, Exchange};
use super::fault::Fault;
use crate::web::{Answer, Body, Broken, Pieces};

/// Fields that concern one connection (RFC 9110 §7.6.1), or that the protocol writes itself.
const KEPT_BACK: [&[u8]; 8] =
    [b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"date"];

/// Makes an answer of a head and what came behind it. What has no body is not waited for.
pub(super) async fn answer(
    exchange: Exchange,
    (head, first): (Head, Bytes),
    method: Method,
    place: Place,
) -> Result<Answer, Fault> {
    let mut answer = Answer::empty(head.status);
    for (name, value) in &head.fields {
        if KEPT_BACK.iter().any(|kept| name.eq_ignore_ascii_case(kept)) {
            continue;
        }
        // The head was checked, so this refuses nothing.
        let name = String::from_utf8(name.clone()).map_err(|_| head::Error::Field)?;
        answer.fields.add(name, value.clone()).map_err(|_| head::Error::Field)?;
    }
    let has_none = matches!(head.status, 204 | 205 | 304);
    if !has_none && method != Method::Head {
        let output = Output { exchange: Some(exchange), first, left: head.length, _place: place };
        return Ok(answer.over(Body::Pieces(Box::new(output))));
    }
    end_aside(exchange, place).await;
    Ok(if has_none { answer } else { answer.over(Body::Pieces(Box::new(Unsent(head.length)))) })
}

/// The most output that is read where none is wanted.
const UNWANTED_MOST: usize = 1 << 20;
/// How long it is waited for.
const UNWANTED_WITHIN: Duration = Duration::from_secs(1);

/// Lets an answer end that nobody wants more of, so that its connection can be used again: what is there now, the rest in a task of its
/// own that ends within [`UNWANTED_WITHIN`], or with the worker's other tasks. A connection that is not kept is closed at once.
async fn end_aside(mut exchange: Exchange, place: Place) {
    if !exchange.may_be_kept() {
        return;
    }
    let mut room = UNWANTED_MOST;
    if poll_fn(|context| Poll::Ready(poll_drain(&mut exchange, &mut room, context).is_pending())).await {
        spawn_local(async move {
            let _place = place;
            let _ = timeout(UNWANTED_WITHIN, poll_fn(|context| poll_drain(&mut exchange, &mut room, context))).await;
        });
    }
}

/// Reads an answer to its end. What is wrong with it now is nobody's matter.
fn poll_drain(exchange: &mut Exchange, room: &mut usize, context: &mut Context<'_>) -> Poll<()> {
    while let Ok(Event::Output(piece)) = ready!(exchange.poll_event(context)) {
        match room.checked_sub(piece.len()) {
            Some(less) => *room = less,
            None => break,
        }
    }
    Poll::Ready(())
}

/// The body of an answer.
struct Output {
    /// Until its end.
    exchange: Option<Exchange>,
    /// What came with the head.
    first: Bytes,
    left: Option<u64>,
    _place: Place,
}

impl Output {
    fn take(&mut self, piece: Bytes) -> Result<Bytes, Fault> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(piece.len() as u64).ok_or(Fault::Length)?;
        }
        Ok(piece)
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>> {
        if !self.first.is_empty() {
            let first = std::mem::take(&mut self.first);
            return Poll::Ready(self.take(first).map(Some));
        }
        let Some(exchange) = &mut self.exchange else { return Poll::Ready(Ok(None)) };
        let event = ready!(exchange.poll_event(context));
        Poll::Ready(match event? {
            Event::Output(piece) => self.take(piece).map(Some),
            Event::End if self.left.is_some_and(|left| left > 0) => Err(Fault::Length),
            Event::End => {
                self.exchange = None;
                Ok(None)
            }
        })
    }
}

impl Pieces for Output {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let next = ready!(self.poll_next(context));
        Poll::Ready(match next {
            Ok(piece) => piece.map(Ok),
            Err(fault) => {
                if let Some(exchange) = self.exchange.take() {
                    let (request, script) = exchange.about();
                    warn!(request, script, %fault, "an answer of the application broke off");
                }
                Some(Err(Broken::from(&fault)))
            }
        })
    }

    fn left(&self) -> Option<u64> {
        self.left
    }
}

/// The body that another method would have got: how long it is, and nothing of it.
struct Unsent(Option<u64>);

impl Pieces for Unsent {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        Poll::Ready(None)
    }

    fn left(&self) -> Option<u64> {
        self.0
    }
}
