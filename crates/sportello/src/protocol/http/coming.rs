//! The body of a request while it comes: decoded as it is asked for, one piece at a time, so that a slow service slows its client
//! down and nothing is gathered between them.
//!
//! The connection's session holds an [`Intake`], the service the [`Coming`] at its other end. Bounded by one piece, which is what one
//! read brought.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use sportello_net::Buffer;
use sportello_service::web::{Broken, Incoming, Pieces};
use sportello_wire::http1::Refusal;
use sportello_wire::http1::body::{Decoder, End, Framing};

/// The session's end.
pub(super) struct Intake {
    decoder: Decoder,
    /// None where there is no body: nobody waits at its other end.
    shared: Option<Rc<RefCell<Shared>>>,
}

/// The service's end.
struct Coming(Rc<RefCell<Shared>>);

struct Shared {
    piece: Option<Bytes>,
    end: Option<Result<(), Broken>>,
    /// How many bytes are still to be given out, where that is known.
    left: Option<u64>,
    /// Who waits for a piece.
    reader: Option<Waker>,
    /// Who reads the connection.
    session: Option<Waker>,
}

/// What the intake wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Bytes of the connection.
    Bytes,
    /// Nothing: what it has is not taken yet, nobody asks, or it has all.
    Nothing,
    /// The service has something new to look at.
    Look,
}

impl Intake {
    /// Of a request that has no body.
    pub(super) fn none() -> Self {
        Self { decoder: Decoder::empty(), shared: None }
    }

    /// A body of this framing, and what the service is given of it.
    ///
    /// # Errors
    /// When it is declared longer than any may be.
    pub(super) fn new(framing: Framing) -> Result<(Self, Incoming), Refusal> {
        let decoder = Decoder::new(framing, u64::MAX)?;
        let left = match framing {
            Framing::Length(0) => return Ok((Self { decoder, shared: None }, Incoming::Empty)),
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        let shared = Rc::new(RefCell::new(Shared::new(left)));
        let incoming = Incoming::Pieces(Box::new(Coming(Rc::clone(&shared))));
        Ok((Self { decoder, shared: Some(shared) }, incoming))
    }

    /// Whether all of it has been read.
    pub(super) fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// Whether somebody waits for a piece of it that has not come.
    pub(super) fn is_asked(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.borrow().reader.is_some())
    }

    /// How many bytes of it are still to come at least.
    pub(super) fn left(&self) -> Option<u64> {
        self.shared.as_ref().map_or(Some(0), |shared| shared.borrow().left)
    }

    /// Hands over what `input` begins with, if it is asked for.
    ///
    /// # Errors
    /// When it is not framed as it should be: the service is told, and the connection is of no more use.
    pub(super) fn advance(&mut self, context: &Context<'_>, input: &mut Buffer) -> Result<Demand, Refusal> {
        let Some(shared) = &self.shared else { return Ok(Demand::Nothing) };
        let mut shared = shared.borrow_mut();
        if shared.end.is_some() || shared.piece.is_some() || shared.reader.is_none() {
            shared.session = Some(context.waker().clone());
            return Ok(Demand::Nothing);
        }
        let filled = input.filled();
        let step = match self.decoder.decode(filled) {
            Ok(step) => step,
            Err(refusal) => {
                shared.finish(Err(Broken::Malformed));
                return Err(refusal);
            }
        };
        let data = filled.get(step.data).unwrap_or_default();
        if !data.is_empty() {
            shared.piece = Some(Bytes::copy_from_slice(data));
        }
        let ended = step.end == End::Reached;
        if ended {
            shared.end = Some(Ok(()));
        }
        let told = ended || shared.piece.is_some();
        if told {
            shared.wake_reader();
        }
        input.consume(step.consumed);
        Ok(if told { Demand::Look } else { Demand::Bytes })
    }

    /// Reads past what `input` holds of it; whether that was its end.
    ///
    /// # Errors
    /// When it is not framed as it should be.
    pub(super) fn skip(&mut self, input: &mut Buffer) -> Result<bool, Refusal> {
        while !self.is_done() && !input.is_empty() {
            let step = self.decoder.decode(input.filled())?;
            input.consume(step.consumed);
        }
        Ok(self.is_done())
    }

    /// It does not come whole.
    pub(super) fn break_off(&mut self, broken: Broken) {
        if let Some(shared) = &self.shared {
            shared.borrow_mut().finish(Err(broken));
        }
    }
}

impl Shared {
    fn new(left: Option<u64>) -> Self {
        Self { piece: None, end: None, left, reader: None, session: None }
    }

    fn finish(&mut self, end: Result<(), Broken>) {
        self.end = Some(end);
        self.wake_reader();
    }

    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Tells the session that the service asks, or no longer does, where another task than the session's own did.
    fn wake_session(&mut self, context: &Context<'_>) {
        if let Some(session) = self.session.take_if(|session| !session.will_wake(context.waker())) {
            session.wake();
        }
    }
}

impl Pieces for Coming {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let mut shared = self.0.borrow_mut();
        if let Some(piece) = shared.piece.take() {
            shared.left = shared.left.map(|left| left.saturating_sub(piece.len() as u64));
            return Poll::Ready(Some(Ok(piece)));
        }
        if let Some(end) = &shared.end {
            return Poll::Ready(end.clone().err().map(Err));
        }
        shared.reader = Some(context.waker().clone());
        shared.wake_session(context);
        Poll::Pending
    }

    fn left(&self) -> Option<u64> {
        self.0.borrow().left
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn look(incoming: &mut Incoming, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let Incoming::Pieces(pieces) = incoming else { return Poll::Ready(None) };
        pieces.poll_piece(context)
    }

    fn buffer(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::new();
        buffer.room().unwrap().extend_from_slice(bytes);
        buffer
    }

    #[test]
    fn nothing_is_taken_that_is_not_asked_for() {
        let mut context = Context::from_waker(Waker::noop());
        let (mut intake, mut incoming) = Intake::new(Framing::Length(5)).unwrap();
        let mut input = buffer(b"abc");
        assert_eq!(intake.advance(&context, &mut input), Ok(Demand::Nothing));
        assert!(look(&mut incoming, &mut context).is_pending());
        assert_eq!(intake.advance(&context, &mut input), Ok(Demand::Look));
        assert_eq!(look(&mut incoming, &mut context), Poll::Ready(Some(Ok(Bytes::from_static(b"abc")))));
        assert_eq!(incoming.left(), Some(2));
        assert!(look(&mut incoming, &mut context).is_pending());
        assert_eq!(intake.advance(&context, &mut input), Ok(Demand::Bytes));
        let mut input = buffer(b"deGET");
        assert_eq!(intake.advance(&context, &mut input), Ok(Demand::Look));
        assert_eq!(input.filled(), b"GET", "what follows is not of this body");
        assert_eq!(look(&mut incoming, &mut context), Poll::Ready(Some(Ok(Bytes::from_static(b"de")))));
        assert_eq!(look(&mut incoming, &mut context), Poll::Ready(None));
        assert!(intake.is_done());
    }

    #[test]
    fn what_is_no_body_breaks_it() {
        let mut context = Context::from_waker(Waker::noop());
        let (mut intake, mut incoming) = Intake::new(Framing::Chunked).unwrap();
        assert!(look(&mut incoming, &mut context).is_pending());
        let mut input = buffer(b"1\r\nax");
        assert_eq!(intake.advance(&context, &mut input), Ok(Demand::Look));
        assert_eq!(look(&mut incoming, &mut context), Poll::Ready(Some(Ok(Bytes::from_static(b"a")))));
        assert!(look(&mut incoming, &mut context).is_pending());
        assert_eq!(intake.advance(&context, &mut input), Err(Refusal::BadChunk));
        assert_eq!(look(&mut incoming, &mut context), Poll::Ready(Some(Err(Broken::Malformed))));
    }
}
