//! Answers that need no waiting: files in memory. No allocation, no suspension; this is the hot path.

use std::mem;
use std::ops::Range;
use std::rc::Rc;

use sportello_net::{Buffer, Connection};
use sportello_service::files::{Batch, Content, Files, HotFile};
use sportello_service::site::Site;
use sportello_wire::http1::answer::Said;
use sportello_wire::http1::body::Framing;
use sportello_wire::http1::coding::Order;
use sportello_wire::http1::field::{Known, Present};
use sportello_wire::http1::head::parse;
use sportello_wire::http1::target::{Scheme, Target};
use sportello_wire::http1::{Head, Limits, Method, Persistence, Refusal};
use tokio::time::Instant;

use super::clock::Second;
use super::guard::{self, Claim, Reach};
use super::outbox::Outbox;
use super::representation::{begin_hot, write_whole};
use super::sites::Sites;
use super::told::{self, Asked};
use super::{COPY_BELOW, FLUSH_AT, Served, Service};
use crate::observe::access;

/// Where the run over what has arrived came to a halt.
pub(super) enum Halt {
    /// All was answered.
    Empty,
    /// A part of a head is left: this many bytes.
    Partial(usize),
    /// Enough is waiting to be written.
    Full,
    /// The body of the last answer is to be written from where it is, and the answer told of then.
    Body(Begun),
    /// The last answer was the connection's last.
    Last,
    /// The next request needs waiting for something; its head has so many bytes.
    Ask(usize),
    /// The next bytes are no request.
    Refused(Refusal),
}

/// What holds for all bytes that one read brought.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// When they were read.
    pub(super) at: Instant,
    /// When the first byte of the first request in them was read, which may have come before.
    pub(super) began: Instant,
    /// After which moment files must have been compared.
    pub(super) batch: Batch,
}

impl Arrival {
    /// To be made after the read.
    pub(super) fn now() -> Self {
        let at = Instant::now();
        Self { at, began: at, batch: Batch::begin() }
    }
}

/// Answers as many requests as can be answered from memory, in order.
pub(super) fn answer(
    connection: &Connection,
    service: &Service,
    input: &mut Buffer,
    outbox: &mut Outbox,
    arrival: Arrival,
) -> Halt {
    let mut run = Run {
        connection,
        limits: &service.limits.head,
        reach: reach(connection),
        second: super::clock::second(),
        arrival,
        ended: None,
    };
    loop {
        let filled = input.filled();
        if filled.is_empty() {
            return Halt::Empty;
        }
        if outbox.bytes().len() >= FLUSH_AT {
            return Halt::Full;
        }
        let ready = match &*service.served {
            // Each of its requests is compared with what its connection was made for, or sent elsewhere.
            Served::Sites(_) if service.terms.is_some() || service.https.is_some() => {
                run.parse(filled).and_then(|head| Err(Halt::Ask(head.length)))
            }
            Served::Sites(sites) => run.request(sites, filled, outbox.open()),
            Served::Desk(_) => run.parse(filled).and_then(|head| Err(Halt::Ask(head.length))),
        };
        match ready {
            Ok(ready) => {
                let (length, persistence) = match ready {
                    Ready::Whole { length, persistence } => (length, persistence),
                    Ready::Begun(begun) => return Halt::Body(begun),
                };
                input.consume(length);
                if persistence == Persistence::Close {
                    return Halt::Last;
                }
            }
            Err(Halt::Empty) => {
                // RFC 9112 §2.2: an empty line before a request is ignored, so it begins none.
                input.consume(EMPTY_LINE.len());
                return Halt::Empty;
            }
            Err(halt) => return halt,
        }
    }
}

const EMPTY_LINE: &[u8] = b"\r\n";

/// What holds for one run over what has arrived.
struct Run<'r> {
    connection: &'r Connection,
    limits: &'r Limits,
    reach: Reach,
    second: Second,
    arrival: Arrival,
    /// One look at the clock tells the time of all: they are answered within microseconds, and written together.
    ended: Option<Instant>,
}

/// A request that was answered.
enum Ready {
    /// Whole, and told of.
    Whole {
        persistence: Persistence,
        /// Bytes of the request.
        length: usize,
    },
    Begun(Begun),
}

/// An answer whose body is still to be written from where it is. Its request is still in the input.
pub(super) struct Begun {
    pub(super) file: Rc<HotFile>,
    pub(super) rest: Range<usize>,
    pub(super) persistence: Persistence,
    pub(super) status: u16,
    /// Bytes of its head.
    pub(super) head: usize,
    pub(super) started: Instant,
    /// Bytes of the request.
    pub(super) length: usize,
}

impl Run<'_> {
    /// Answers the request at the beginning of `input`.
    fn request(&mut self, sites: &Sites, input: &[u8], out: &mut Vec<u8>) -> Result<Ready, Halt> {
        let mut recent = sites.recent();
        // What was read lately was measured by the usual limits.
        let may_be_known = *self.limits == Limits::default();
        let known = if may_be_known { recent.find(input, self.reach) } else { None };
        if let Some(plain) = known {
            let file =
                plain.files.hot(plain.path(), plain.order, self.arrival.batch).ok_or(Halt::Ask(plain.length()))?;
            let persistence = self.persistence(plain.persistence);
            let before = out.len();
            let rest = write_whole(out, &file, plain.method, Said::to(plain.version, persistence), &self.second);
            let (length, head) = (plain.length(), out.len() - before);
            if !rest.is_empty() {
                let started = self.started();
                return Ok(Ready::Begun(Begun { file, rest, persistence, status: 200, head, started, length }));
            }
            let said = self.tell((plain.verb(), plain.object()), 200, head);
            told::count(&plain.tally, said);
            return Ok(Ready::Whole { persistence, length });
        }
        let head = self.parse(input)?;
        let ask = || Halt::Ask(head.length);
        let Some((site, files)) = admitted(sites, &head, self.reach) else { return Err(ask()) };
        let Target::Path { path, .. } = head.target else { return Err(ask()) };
        let order = order(&files, &head);
        let Some(file) = files.hot(path, order, self.arrival.batch) else { return Err(ask()) };
        let persistence = self.persistence(head.persistence);
        let said = Said::to(head.version, persistence);
        let before = out.len();
        let log = sites.log(&site);
        let (status, rest) = if head.present.has_any(Present::SELECTING) {
            write_selected(out, &head, &file, said, &self.second).ok_or_else(ask)?
        } else {
            // What is to be told of in an access log has to be read each time, and a scheme compared with the connection.
            if may_be_known && log.is_none() && head.scheme.is_none() {
                recent.keep(input, &head, (&files, order, site.tallies().whole()), self.reach);
            }
            (200, write_whole(out, &file, head.method, said, &self.second))
        };
        let (length, bytes) = (head.length, out.len() - before);
        if !rest.is_empty() {
            let started = self.started();
            return Ok(Ready::Begun(Begun { file, rest, persistence, status, head: bytes, started, length }));
        }
        let said = self.tell((head.verb, head.raw_target), status, bytes);
        told::count(site.tallies().whole(), said);
        if let Some(log) = log {
            told::logged(self.connection, log, &site, &Asked::of(&head), None, said);
        }
        Ok(Ready::Whole { persistence, length })
    }

    fn parse<'i>(&self, input: &'i [u8]) -> Result<Head<'i>, Halt> {
        match parse(input, self.limits) {
            Ok(Some(head)) => match of_another_scheme(head.scheme, self.connection.secured().is_some()) {
                Some(refusal) => Err(Halt::Refused(refusal)),
                None => Ok(head),
            },
            Ok(None) if input == EMPTY_LINE => Err(Halt::Empty),
            Ok(None) => {
                if self.ended.is_some() {
                    self.connection.next_request(input.len());
                }
                Err(Halt::Partial(input.len()))
            }
            Err(refusal) => Err(Halt::Refused(refusal)),
        }
    }

    fn persistence(&self, wanted: Persistence) -> Persistence {
        if self.connection.is_stopping() { Persistence::Close } else { wanted }
    }

    /// When the request that is answered now began. Only the first of them can have begun before what has come was read.
    fn started(&mut self) -> Instant {
        mem::replace(&mut self.arrival.began, self.arrival.at)
    }

    fn tell(&mut self, asked: (&[u8], &[u8]), status: u16, bytes: usize) -> access::Said {
        let ended = *self.ended.get_or_insert_with(Instant::now);
        let started = self.started();
        let said = access::Said { status, bytes: bytes as u64, started, ended, is_whole: true };
        told::told(self.connection, asked, said);
        said
    }
}

/// RFC 9110 §7.4: a target of https must not be answered over a plain connection; one of http is another origin's than what is answered over
/// TLS.
pub(super) fn of_another_scheme(scheme: Option<Scheme>, is_secured: bool) -> Option<Refusal> {
    match (scheme?, is_secured) {
        (Scheme::Https, false) => Some(Refusal::SecureTarget),
        (Scheme::Http, true) => Some(Refusal::PlainTarget),
        (Scheme::Https, true) | (Scheme::Http, false) => None,
    }
}

/// The site of a request, and its folder, that may be answered from memory, if request and site are as plain as that.
fn admitted(sites: &Sites, head: &Head<'_>, reach: Reach) -> Option<(Rc<Site>, Rc<Files>)> {
    let plain = matches!(head.method, Method::Get | Method::Head)
        && head.framing == Framing::Length(0)
        && !head.present.has(Known::Expect);
    if !plain {
        return None;
    }
    let site = guard::site(&Claim::of(head), reach, sites).ok()?;
    let files = Rc::clone(site.plain()?);
    Some((site, files))
}

/// In which order the client takes the forms of a file of these.
#[inline]
pub(super) fn order(files: &Files, head: &Head<'_>) -> Order {
    if head.present.has(Known::AcceptEncoding) {
        files.order(head.fields.values("accept-encoding"))
    } else {
        Order::PLAIN
    }
}

/// Writes what conditions and a range leave of a file, a small body with it; `None`, and nothing, where several parts are to be put
/// together.
fn write_selected(
    out: &mut Vec<u8>,
    head: &Head<'_>,
    file: &HotFile,
    said: Said,
    second: &Second,
) -> Option<(u16, Range<usize>)> {
    let before = out.len();
    let decided = begin_hot(out, head, file, said, second);
    let Content::One(part) = decided.content else {
        out.truncate(before);
        return None;
    };
    // A body in memory is addressable.
    let part = part.start as usize..part.end as usize;
    if part.len() >= COPY_BELOW {
        return Some((decided.status, part));
    }
    out.extend_from_slice(file.part(part));
    Some((decided.status, 0..0))
}

/// What this channel answers to.
pub(super) fn reach(connection: &Connection) -> Reach {
    if connection.channel().loopback { Reach::Loopback } else { Reach::Network }
}

/// Whether the connection lives on after this request: as the client wishes, unless the server drains.
pub(super) fn persistence(connection: &Connection, head: &Head<'_>) -> Persistence {
    if connection.is_stopping() { Persistence::Close } else { head.persistence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_answered_over_its_own_scheme_only() {
        for (scheme, is_secured, expect) in [
            (None, false, None),
            (None, true, None),
            (Some(Scheme::Http), false, None),
            (Some(Scheme::Https), true, None),
            (Some(Scheme::Https), false, Some(Refusal::SecureTarget)),
            (Some(Scheme::Http), true, Some(Refusal::PlainTarget)),
        ] {
            assert_eq!(of_another_scheme(scheme, is_secured), expect, "{scheme:?} {is_secured}");
            assert!(expect.is_none_or(|refusal| refusal.status() == 421));
        }
    }
}
