//! An exchange with a service: its request's body comes while it works, and its answer may go while the body still comes.
//!
//! One task does all of it: it lets the service go on, hands it what came, sends what it gave, and watches for the client's leaving,
//! which ends the service's work. Nothing is gathered: a piece of the body is read when the service asks for it, a piece of the
//! answer is asked for when the one before is with the kernel. Bounded by one read of body, [`GATHERED`] bytes of small pieces and one
//! piece of answer; in time by the connection's deadlines while the client is waited for, and by the service while it is.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use sportello_net::{Connection, Deadline, Ended, Moved, Pace, Patience, Wants};
use sportello_service::web::{Answer, Body, Broken, Notes, Pieces};
use sportello_wire::http1::answer::{CONTINUE, LAST_CHUNK, chunk, chunk_size};
use sportello_wire::http1::body::Framing;
use sportello_wire::http1::field::Known;
use sportello_wire::http1::{Head, Persistence, Version};

use super::coming::{Demand, Intake};
use super::intake::{Expectation, IntakeError};
use super::memory::{self, Arrival};
use super::session::{End, Next, Session};
use super::told::{self, Asked};
use super::{COPY_BELOW, UNREAD_MOST, fault};
use crate::observe::access;

/// Small pieces of an answer are written together up to this.
const GATHERED: usize = COPY_BELOW;

/// What an exchange keeps beside its session.
pub(super) struct Exchange {
    intake: Intake,
    expectation: Expectation,
    pace: Pace,
    /// What the service has found out, where one answers.
    notes: Option<Rc<Notes>>,
}

impl Exchange {
    /// One whose request has no body, or whose body was read already.
    pub(super) fn without_body(connection: &Connection) -> Self {
        Self { intake: Intake::none(), expectation: Expectation::None, pace: connection.pace(), notes: None }
    }

    /// What is known of its request beside its head.
    pub(super) fn notes(&self) -> Option<&Notes> {
        self.notes.as_deref()
    }
}

/// What of an answer waits for the socket: small pieces with their framing, then one large piece, then what ends it.
#[derive(Default)]
struct Waiting {
    piece: Bytes,
    tail: &'static [u8],
}

impl Session<'_> {
    /// Lets `service` answer the request of this head, whose body comes through `intake`.
    pub(super) async fn exchange(
        &mut self,
        head: &Head<'_>,
        (mut service, notes): (Pin<Box<dyn Future<Output = Answer>>>, Rc<Notes>),
        intake: Intake,
        arrival: Arrival,
    ) -> Result<Next, IntakeError> {
        let waits = head.present.has(Known::Expect) && head.framing != Framing::Length(0);
        let expectation = if waits { Expectation::Continue } else { Expectation::None };
        let notes = Some(notes);
        let mut exchange = Exchange { intake, expectation, pace: self.connection.pace(), notes };
        let answer = match poll_fn(|context| self.poll_answer(context, &mut service, &mut exchange)).await {
            Ok(answer) => answer,
            Err(error) => {
                if let IntakeError::Ended(ended) = &error {
                    let said = self.unanswered(ended, arrival);
                    told::answered((self.connection, &self.service), &Asked::of(head), exchange.notes(), said);
                }
                return Err(error);
            }
        };
        drop(service);
        exchange.notes.iter().for_each(|notes| notes.is_answered(&answer));
        Ok(self.give(head, fault::worded(&head.fields, answer), &mut exchange, arrival).await?)
    }

    fn poll_answer(
        &mut self,
        context: &mut Context<'_>,
        service: &mut Pin<Box<dyn Future<Output = Answer>>>,
        exchange: &mut Exchange,
    ) -> Poll<Result<Answer, IntakeError>> {
        loop {
            if let Poll::Ready(answer) = service.as_mut().poll(context) {
                return Poll::Ready(Ok(answer));
            }
            while self.advance(context, exchange)? != Demand::Look {
                ready!(self.poll_move(context, exchange, &mut Waiting::default(), Patience::None))?;
            }
        }
    }

    /// Hands over what of the body has come, and asks the client for it where it waits to be asked.
    fn advance(&mut self, context: &Context<'_>, exchange: &mut Exchange) -> Result<Demand, IntakeError> {
        if exchange.expectation == Expectation::Continue && exchange.intake.is_asked() {
            exchange.expectation = Expectation::None;
            if self.input.is_empty() {
                self.outbox.open().extend_from_slice(CONTINUE);
            }
        }
        Ok(exchange.intake.advance(context, &mut self.input)?)
    }

    /// One step of the connection: writes what waits, reads what of the body is asked for.
    fn poll_move(
        &mut self,
        context: &mut Context<'_>,
        exchange: &mut Exchange,
        waiting: &mut Waiting,
        patience: Patience,
    ) -> Poll<Result<(), Ended>> {
        // Bytes that are there and not asked for belong to what follows.
        let reads = exchange.intake.is_asked() && !exchange.intake.is_done();
        let gathered = self.outbox.bytes().len();
        let wants = Wants {
            read: if reads { Some(&mut self.input) } else { None },
            write: &[self.outbox.bytes(), &waiting.piece, waiting.tail],
            patience,
        };
        match ready!(self.connection.poll_step(context, wants, &mut exchange.pace))? {
            Moved::Read(0) => {
                exchange.intake.break_off(Broken::Left);
                return Poll::Ready(Err(Ended::Closed));
            }
            Moved::Read(_) => {}
            Moved::Written(count) => {
                self.outbox.written(count);
                waiting.written(count.saturating_sub(gathered));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// What is told of a request that has no answer when its connection ends.
    pub(super) fn unanswered(&mut self, ended: &Ended, arrival: Arrival) -> access::Said {
        let (status, bytes) = match ended {
            Ended::TimedOut(Deadline::Write) => (499, 0),
            Ended::TimedOut(_) => (408, self.too_late()),
            Ended::Stopping | Ended::Killed => (503, 0),
            _ => (499, 0),
        };
        access::Said::now(status, bytes, arrival.began)
    }

    /// RFC 9110 §15.5.9: the rest of a body did not come. If it does not fit into the socket now, it need not be said. How many bytes
    /// were.
    fn too_late(&mut self) -> u64 {
        self.outbox.clear();
        fault::timed_out(self.outbox.open());
        let sent = self.connection.try_write(self.outbox.bytes()).unwrap_or(0);
        self.connection.end_at_once();
        sent as u64
    }

    /// Sends the answer, and says what becomes of the connection.
    async fn give(
        &mut self,
        head: &Head<'_>,
        answer: Answer,
        exchange: &mut Exchange,
        arrival: Arrival,
    ) -> Result<Next, Ended> {
        let next = match answer.body {
            // What follows on the connection is not ours.
            Body::Tunnel(_) => Next::End(End::Done),
            _ => self.next_after(head, exchange),
        };
        if exchange.expectation == Expectation::Continue {
            // RFC 9110 §10.1.1: what asks the client to go on stands before an answer, not in it. Nobody gets this body any more.
            exchange.expectation = Expectation::None;
            exchange.intake.break_off(Broken::Left);
        }
        let next = self.send_while(head, answer, next, arrival, exchange).await?;
        if next != Next::Request || exchange.intake.is_done() {
            return Ok(next);
        }
        // What is left of the body is read past, where the next request begins.
        self.flush().await?;
        // The client is not held to account for the time that the service took.
        self.connection.next_request(self.input.filled().len());
        loop {
            match exchange.intake.skip(&mut self.input) {
                Ok(true) => return Ok(next),
                Ok(false) => {}
                Err(_) => return Ok(Next::End(End::Linger)),
            }
            match self.connection.read(&mut self.input).await {
                Ok(0) => return Err(Ended::Closed),
                Ok(_) => {}
                // It may still read the answer.
                Err(Ended::TimedOut(_)) => return Ok(Next::End(End::Linger)),
                Err(ended) => return Err(ended),
            }
        }
    }

    /// What becomes of the connection behind the answer: it cannot go on behind a body that nobody reads to its end.
    fn next_after(&self, head: &Head<'_>, exchange: &Exchange) -> Next {
        let is_held_back = exchange.expectation == Expectation::Continue;
        let may_skip = exchange.intake.left().is_some_and(|left| left <= UNREAD_MOST);
        if !exchange.intake.is_done() && (is_held_back || !may_skip) {
            return Next::End(End::Linger);
        }
        match memory::persistence(self.connection, head) {
            Persistence::KeepAlive => Next::Request,
            Persistence::Close => Next::End(self.last()),
        }
    }

    /// Sends what the service gives until that is all, while the rest of the request comes. How many bytes of content that were.
    pub(super) async fn flow(
        &mut self,
        head: &Head<'_>,
        pieces: Box<dyn Pieces>,
        exchange: &mut Exchange,
    ) -> Result<u64, Ended> {
        let mut flow = Flow::new(head, pieces);
        let went = poll_fn(|context| self.poll_flow(context, &mut flow, exchange)).await;
        if went.is_err() && flow.promised.is_none() && !flow.chunked {
            // Else what was cut off would look like the whole (RFC 9112 §8).
            self.connection.break_off();
        }
        went.map(|()| flow.sent)
    }

    fn poll_flow(
        &mut self,
        context: &mut Context<'_>,
        flow: &mut Flow,
        exchange: &mut Exchange,
    ) -> Poll<Result<(), Ended>> {
        loop {
            flow.gather(context, self.outbox.open());
            let is_sent = self.outbox.bytes().is_empty() && flow.waiting.is_empty() && !self.connection.has_unsent();
            if flow.over.is_some() && is_sent {
                // What did not come whole is given as far as it came, and not ended as if it had.
                return Poll::Ready(
                    flow.over.take().unwrap_or(Ok(())).map_err(|broken| io::Error::other(broken).into()),
                );
            }
            // A body that is broken is told to the service, whose answer may still end well.
            if matches!(self.advance(context, exchange), Ok(Demand::Look) | Err(_)) {
                continue;
            }
            match ready!(self.poll_move(context, exchange, &mut flow.waiting, flow.patience)) {
                Err(Ended::Stopping) if flow.patience == Patience::Endless => {
                    flow.patience = Patience::None;
                    flow.is_cut = true;
                }
                result => result?,
            }
        }
    }
}

/// The content of an answer on its way.
struct Flow {
    pieces: Box<dyn Pieces>,
    /// How many bytes were promised.
    promised: Option<u64>,
    chunked: bool,
    patience: Patience,
    waiting: Waiting,
    /// Whether nothing more is to be asked for.
    is_cut: bool,
    /// How it ended at the service.
    over: Option<Result<(), Broken>>,
    /// Bytes that were taken from the service.
    sent: u64,
}

impl Flow {
    fn new(head: &Head<'_>, pieces: Box<dyn Pieces>) -> Self {
        let promised = pieces.left();
        Self {
            promised,
            chunked: promised.is_none() && head.version == Version::Http11,
            patience: if pieces.is_endless() { Patience::Endless } else { Patience::None },
            waiting: Waiting::default(),
            is_cut: false,
            over: None,
            sent: 0,
            pieces,
        }
    }

    /// Takes what the service has, as long as it is little.
    fn gather(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) {
        while self.over.is_none() && self.waiting.is_empty() && out.len() < GATHERED {
            let next = if self.is_cut { Poll::Ready(None) } else { self.pieces.poll_piece(context) };
            let taken = match next {
                Poll::Pending => return,
                Poll::Ready(None) => {
                    self.over = Some(self.end(out));
                    return;
                }
                Poll::Ready(Some(piece)) => piece.and_then(|piece| self.take(piece, out)),
            };
            if let Err(broken) = taken {
                self.over = Some(Err(broken));
            }
        }
    }

    fn take(&mut self, piece: Bytes, out: &mut Vec<u8>) -> Result<(), Broken> {
        self.sent = self.sent.saturating_add(piece.len() as u64);
        if self.promised.is_some_and(|promised| self.sent > promised) {
            return Err(Broken::TooLarge);
        }
        match (piece.len() < COPY_BELOW, self.chunked) {
            (true, true) => chunk(out, &piece),
            (true, false) => out.extend_from_slice(&piece),
            (false, chunked) => {
                if chunked {
                    chunk_size(out, piece.len());
                    self.waiting.tail = b"\r\n";
                }
                self.waiting.piece = piece;
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        if self.promised.is_some_and(|promised| self.sent < promised) {
            return Err(Broken::Left);
        }
        if self.chunked {
            out.extend_from_slice(LAST_CHUNK);
        }
        Ok(())
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.piece.is_empty() && self.tail.is_empty()
    }

    /// So many bytes behind the outbox were written.
    fn written(&mut self, count: usize) {
        let of_piece = count.min(self.piece.len());
        let _ = self.piece.split_to(of_piece);
        self.tail = self.tail.get(count - of_piece..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests;
