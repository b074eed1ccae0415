//! One request and its answer on one connection to an application: the body goes out as it comes, the answer comes in as it is asked for.
//!
//! Both at once, in the task of whoever waits for the answer; so a client that does not read slows the application down, and an application
//! that does not read slows the client down. Only what the application takes, and what it gives of an answer, counts as progress: not what it
//! writes to its standard error. Bounded by: one piece of the body, [`ROOM`] bytes of what came, the bounds of a head, [`Timeouts`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use sportello_wire::fastcgi::answer::{Ended, Found, Records, Status};
use sportello_wire::fastcgi::head::{self, Head, Reader};
use sportello_wire::fastcgi::request::{end_of_stdin, stdin};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Timeouts;
use super::complaints::Complaints;
use super::fault::Fault;
use super::pool::Lent;
use crate::web::{Incoming, Pieces};

/// What is read at once.
const ROOM: usize = 32 * 1024;

/// The body of a request, as it is to be sent.
#[derive(Debug)]
pub(super) enum Input {
    /// None.
    None,
    /// All of it.
    Here(Bytes),
    /// As it comes.
    Coming(Incoming),
}

impl Input {
    /// How long it is; nothing: there is none.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Here(bytes) => Some(bytes.len() as u64),
            Self::Coming(body) => body.left(),
        }
    }

    /// Whether nobody is waited for.
    pub(super) fn is_here(&self) -> bool {
        !matches!(self, Self::Coming(_))
    }

    /// The same once more, of one that is here.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Here(bytes) => Self::Here(bytes.clone()),
            Self::None | Self::Coming(_) => Self::None,
        }
    }
}

/// One exchange. Dropping it closes the connection, unless it came to its end.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Until it is given back.
    lent: Option<Lent>,
    sending: Sending,
    /// What is being written.
    out: Bytes,
    records: Records,
    /// What was read and not dealt with.
    read: BytesMut,
    is_untouched: bool,
    phase: Phase,
    timeouts: Timeouts,
    silence: Pin<Box<Sleep>>,
    /// Whether the application is waited for, until `silence` is over.
    is_awaited: bool,
    complaints: Complaints,
}

/// What is to be sent behind what is being written.
#[derive(Debug)]
enum Sending {
    Body(Incoming),
    /// Nothing.
    Done,
    /// Nothing, since the application takes no more. It may have answered.
    Refused,
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Head,
    Body,
}

/// Who keeps a request from being sent further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    ForClient,
    ForApplication,
}

/// What comes of an answer.
pub(super) enum Event {
    /// A piece of what the application writes; never empty.
    Output(Bytes),
    /// It has answered to the end.
    End,
}

impl Exchange {
    /// `begin` is the beginning of the request, all but its body.
    pub(super) fn new(lent: Lent, begin: Vec<u8>, input: Input, timeouts: Timeouts, complaints: Complaints) -> Self {
        let mut out = begin;
        let sending = match input {
            Input::Coming(body) => Sending::Body(body),
            Input::None | Input::Here(_) => {
                if let Input::Here(bytes) = input {
                    stdin(&bytes, &mut out);
                }
                end_of_stdin(&mut out);
                Sending::Done
            }
        };
        Self {
            lent: Some(lent),
            sending,
            out: out.into(),
            records: Records::new(),
            read: BytesMut::new(),
            is_untouched: true,
            phase: Phase::Head,
            timeouts,
            silence: Box::pin(sleep_until(Instant::now())),
            is_awaited: false,
            complaints,
        }
    }

    /// Whether nothing of an answer has come.
    pub(super) fn is_untouched(&self) -> bool {
        self.is_untouched
    }

    /// Whether its connection is of use for another request, if this one ends well: the request is out, and connections are kept.
    pub(super) fn may_be_kept(&self) -> bool {
        let is_out = self.out.is_empty() && matches!(self.sending, Sending::Done);
        is_out && self.lent.as_ref().is_some_and(Lent::may_be_kept)
    }

    /// Script and request, for the log.
    pub(super) fn about(&self) -> (&str, &str) {
        self.complaints.about()
    }

    /// Sends the request and waits for the head of its answer; what of its body came with it. Once.
    pub(super) async fn head(&mut self) -> Result<(Head, Bytes), Fault> {
        let mut reader = Reader::new(head::Limits::default());
        loop {
            match std::future::poll_fn(|context| self.poll_event(context)).await? {
                Event::Output(mut piece) => {
                    let (used, head) = reader.take(&piece)?;
                    piece.advance(used);
                    if let Some(head) = head {
                        self.phase = Phase::Body;
                        self.is_awaited = false;
                        return Ok((head, piece));
                    }
                }
                Event::End => return Err(Fault::Closed),
            }
        }
    }

    /// The next thing of the answer. After [`Event::End`] or a fault it is not asked again.
    pub(super) fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<Event, Fault>> {
        loop {
            if let Some(event) = self.event()? {
                return Poll::Ready(Ok(event));
            }
            match self.poll_send(context)? {
                Waits::ForClient => self.is_awaited = false,
                // Asked before reading: who writes errors without end is not read for ever.
                Waits::ForApplication if self.poll_silence(context).is_ready() => {
                    return Poll::Ready(Err(Fault::Silent));
                }
                Waits::ForApplication => {}
            }
            match ready!(self.poll_read(context)) {
                Ok(0) => return Poll::Ready(Err(Fault::Closed)),
                Ok(_) => self.is_untouched = false,
                Err(error) => return Poll::Ready(Err(Fault::Io(error))),
            }
        }
    }

    /// The next thing in what was read.
    fn event(&mut self) -> Result<Option<Event>, Fault> {
        while !self.read.is_empty() {
            let (used, found) = self.records.step(&self.read)?;
            let taken = self.read.split_to(used.min(self.read.len()));
            match found {
                Some(Found::Stdout(range)) => {
                    if self.phase == Phase::Body {
                        self.is_awaited = false;
                    }
                    return Ok(Some(Event::Output(taken.freeze().slice(range))));
                }
                Some(Found::Stderr(range)) => self.complaints.add(taken.get(range).unwrap_or_default()),
                Some(Found::End(ended)) => return self.end(ended).map(Some),
                None => {}
            }
        }
        Ok(None)
    }

    fn end(&mut self, ended: Ended) -> Result<Event, Fault> {
        if ended.status != Status::Complete {
            return Err(Fault::Refused(ended.status));
        }
        let is_whole = self.out.is_empty() && matches!(self.sending, Sending::Done);
        if let Some(lent) = self.lent.take()
            && is_whole
            && self.read.is_empty()
        {
            lent.give_back();
        }
        Ok(Event::End)
    }

    /// Sends what can be sent; who is waited for then.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Result<Waits, Fault> {
        loop {
            while !self.out.is_empty() {
                let Some(lent) = &mut self.lent else { return Ok(Waits::ForApplication) };
                match Pin::new(&mut lent.stream).poll_write(context, &self.out) {
                    Poll::Pending => return Ok(Waits::ForApplication),
                    Poll::Ready(Ok(count)) if count > 0 => {
                        self.out.advance(count.min(self.out.len()));
                        self.is_awaited = false;
                    }
                    // It takes no more: whether it has answered, reading tells.
                    Poll::Ready(_) => {
                        self.out = Bytes::new();
                        self.sending = Sending::Refused;
                    }
                }
            }
            let Sending::Body(body) = &mut self.sending else { return Ok(Waits::ForApplication) };
            let mut records = Vec::new();
            match poll_piece(body, context) {
                Poll::Pending => return Ok(Waits::ForClient),
                Poll::Ready(Some(Ok(piece))) => stdin(&piece, &mut records),
                Poll::Ready(Some(Err(broken))) => return Err(Fault::Body(broken)),
                Poll::Ready(None) => {
                    end_of_stdin(&mut records);
                    self.sending = Sending::Done;
                }
            }
            self.out = records.into();
        }
    }

    /// Reads more; 0: the application has closed the connection.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(lent) = &mut self.lent else { return Poll::Ready(Ok(0)) };
        // All that was read is dealt with here.
        self.read.resize(ROOM, 0);
        let mut into = ReadBuf::new(&mut self.read);
        let read = Pin::new(&mut lent.stream).poll_read(context, &mut into);
        let count = into.filled().len();
        self.read.truncate(if matches!(read, Poll::Ready(Ok(()))) { count } else { 0 });
        read.map_ok(|()| count)
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let most = match self.phase {
            Phase::Head => self.timeouts.head,
            Phase::Body => self.timeouts.between,
        };
        if !self.is_awaited {
            self.is_awaited = true;
            self.silence.as_mut().reset(Instant::now() + most);
        }
        self.silence.as_mut().poll(context)
    }
}

fn poll_piece(body: &mut Incoming, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, crate::web::Broken>>> {
    match body {
        Incoming::Empty => Poll::Ready(None),
        Incoming::Pieces(pieces) => Pieces::poll_piece(&mut **pieces, context),
    }
}
