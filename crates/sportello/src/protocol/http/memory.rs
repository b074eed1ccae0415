//! Answers that need no waiting: files in memory. No allocation, no suspension; this is the hot path.

use std::ops::Range;
use std::rc::Rc;

use sportello_net::{Buffer, Connection};
use sportello_service::files::{Batch, HotFile};
use sportello_wire::http1::answer::Said;
use sportello_wire::http1::body::Framing;
use sportello_wire::http1::field::Known;
use sportello_wire::http1::head::parse;
use sportello_wire::http1::target::Target;
use sportello_wire::http1::{Head, Limits, Method, Persistence, Refusal};
use tokio::time::Instant;

use super::guard::{self, Reach};
use super::outbox::Outbox;
use super::representation::{Content, begin_hot};
use super::sites::Sites;
use super::{COPY_BELOW, FLUSH_AT, Served};
use crate::observe::{self, Done};

/// Where the run over what has arrived came to a halt.
pub(super) enum Halt {
    /// All was answered.
    Empty,
    /// A part of a head is left: this many bytes.
    Partial(usize),
    /// Enough is waiting to be written.
    Full,
    /// The body of the last answer is to be written from where it is.
    Body(Rc<HotFile>, Range<usize>, Persistence),
    /// The last answer was the connection's last.
    Last,
    /// The next request needs waiting for something.
    Ask,
    /// The next bytes are no request.
    Refused(Refusal),
}

/// What holds for all bytes that one read brought.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// When they were read.
    pub(super) at: Instant,
    /// After which moment files must have been compared.
    pub(super) batch: Batch,
}

impl Arrival {
    /// To be made after the read.
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), batch: Batch::begin() }
    }
}

/// Answers as many requests as can be answered from memory, in order.
pub(super) fn answer(
    connection: &Connection,
    served: &Served,
    input: &mut Buffer,
    outbox: &mut Outbox,
    arrival: Arrival,
) -> Halt {
    let second = super::clock::second();
    let reach = reach(connection);
    // One look at the clock tells the time of all: they are answered within microseconds, and written together.
    let mut ended = None;
    loop {
        let filled = input.filled();
        if filled.is_empty() {
            return Halt::Empty;
        }
        if outbox.bytes().len() >= FLUSH_AT {
            return Halt::Full;
        }
        let head = match parse(filled, &Limits::default()) {
            Ok(Some(head)) => head,
            Ok(None) if filled == b"\r\n" => {
                // RFC 9112 §2.2: an empty line before a request is ignored, so it begins none.
                input.consume(2);
                return Halt::Empty;
            }
            Ok(None) => {
                if ended.is_some() {
                    connection.next_request(filled.len());
                }
                return Halt::Partial(filled.len());
            }
            Err(refusal) => return Halt::Refused(refusal),
        };
        let Served::Sites(sites) = served else { return Halt::Ask };
        let Some(file) = hot(sites, &head, reach, arrival) else { return Halt::Ask };
        let persistence = persistence(connection, &head);
        let out = outbox.open();
        let before = out.len();
        let decided = begin_hot(out, &head, &file, Said::to(head.version, persistence), &second);
        let Content::One(body) = decided.content else {
            // Several parts are put together where there is time.
            out.truncate(before);
            return Halt::Ask;
        };
        // A body in memory is addressable.
        let body = body.start as usize..body.end as usize;
        let sent = (out.len() - before + body.len()) as u64;
        if body.len() < COPY_BELOW {
            out.extend_from_slice(file.part(body.clone()));
        }
        let ended = *ended.get_or_insert_with(Instant::now);
        told(connection, &head, decided.status, sent, (arrival.at, ended));
        let length = head.length;
        input.consume(length);
        if body.len() >= COPY_BELOW {
            return Halt::Body(file, body, persistence);
        }
        if persistence == Persistence::Close {
            return Halt::Last;
        }
    }
}

/// The file in memory that answers this request, if it is as plain as that.
fn hot(sites: &Sites, head: &Head<'_>, reach: Reach, arrival: Arrival) -> Option<Rc<HotFile>> {
    let Target::Path { path, .. } = head.target else { return None };
    let plain = matches!(head.method, Method::Get | Method::Head)
        && head.framing == Framing::Length(0)
        && !head.present.has(Known::Expect);
    if plain { guard::site(head, reach, sites).ok()?.hot(path, arrival.batch) } else { None }
}

/// What this channel answers to.
pub(super) fn reach(connection: &Connection) -> Reach {
    if connection.channel().loopback { Reach::Loopback } else { Reach::Network }
}

/// Whether the connection lives on after this request: as the client wishes, unless the server drains.
pub(super) fn persistence(connection: &Connection, head: &Head<'_>) -> Persistence {
    if connection.is_stopping() { Persistence::Close } else { head.persistence }
}

/// Notes one answered request.
pub(super) fn answered(connection: &Connection, head: &Head<'_>, status: u16, bytes: u64, started: Instant) {
    told(connection, head, status, bytes, (started, Instant::now()));
}

fn told(connection: &Connection, head: &Head<'_>, status: u16, bytes: u64, (started, ended): (Instant, Instant)) {
    let mut digits = itoa::Buffer::new();
    let done = Done {
        verb: head.verb,
        object: head.raw_target,
        outcome: digits.format(status),
        bytes,
        started,
        ended,
        failed: status >= 400,
    };
    observe::answered(connection, done);
}
