//! The head of an answer with a file's content: 200, 206, 304, 412 or 416, as the request's conditions and range come out.
//!
//! The same for a file in memory and one on the disk.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;

use sportello_service::files::{Description, HotFile};
use sportello_wire::http1::answer::{AnswerHead, DATE_OF_OK, Said};
use sportello_wire::http1::condition::{Outcome, evaluate};
use sportello_wire::http1::multipart::{Boundary, Multipart};
use sportello_wire::http1::range::Selected;
use sportello_wire::http1::{Head, Method};

use super::COPY_BELOW;
use super::clock::Second;

/// What was decided: the status, and what follows the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) status: u16,
    pub(super) content: Content,
}

/// Which bytes of the file follow the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// These, perhaps none.
    One(Range<u64>),
    /// Several parts, and what separates them.
    Parts(Box<Multipart>),
}

impl Content {
    /// Bytes of the body.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::One(range) => range.end.saturating_sub(range.start),
            Self::Parts(parts) => parts.length(),
        }
    }
}

/// Writes a 200 with the whole of a file in memory: a small one in one piece. Returns which part of the body is left to be written
/// from where it is.
pub(super) fn write_whole(
    out: &mut Vec<u8>,
    file: &HotFile,
    method: Method,
    said: Said,
    second: &Second,
) -> Range<usize> {
    let length = file.body().len();
    let date = out.len() + DATE_OF_OK;
    let copied = method != Method::Head && length < COPY_BELOW;
    if said == Said::Nothing {
        out.extend_from_slice(if copied { file.message() } else { file.head() });
    } else {
        out.extend_from_slice(file.open_head());
        out.extend_from_slice(said.line().as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(if copied { file.body() } else { b"" });
    }
    patch(out, date, second);
    if copied || method == Method::Head { 0..0 } else { 0..length }
}

fn patch(out: &mut [u8], date: usize, second: &Second) {
    if let Some(place) = out.get_mut(date..date + second.date.len()) {
        place.copy_from_slice(&second.date);
    }
}

/// Writes the head for a file in memory: the prebuilt one where the whole is to be sent.
pub(super) fn begin_hot(out: &mut Vec<u8>, head: &Head<'_>, file: &HotFile, said: Said, second: &Second) -> Decided {
    let outcome = evaluate(head, &file.description().validators(), second.unix);
    if outcome != Outcome::Send(Selected::Whole) {
        return begin_as(out, head, file.description(), outcome, said, second);
    }
    let date = out.len() + DATE_OF_OK;
    if said == Said::Nothing {
        out.extend_from_slice(file.head());
    } else {
        out.extend_from_slice(file.open_head());
        out.extend_from_slice(said.line().as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    patch(out, date, second);
    Decided { status: 200, content: Content::One(body(head, 0, file.body().len() as u64)) }
}

/// Writes the head for a file on the disk.
pub(super) fn begin(out: &mut Vec<u8>, head: &Head<'_>, file: &Description, said: Said, second: &Second) -> Decided {
    let outcome = evaluate(head, &file.validators(), second.unix);
    begin_as(out, head, file, outcome, said, second)
}

fn begin_as(
    out: &mut Vec<u8>,
    head: &Head<'_>,
    file: &Description,
    outcome: Outcome,
    said: Said,
    second: &Second,
) -> Decided {
    let length = file.validators().length;
    let status = match &outcome {
        Outcome::Send(Selected::Whole) => 200,
        Outcome::Send(Selected::Part(_) | Selected::Parts(_)) => 206,
        Outcome::Send(Selected::Unsatisfiable) => 416,
        Outcome::NotModified => 304,
        Outcome::Failed => 412,
    };
    let mut answer = AnswerHead::begin(out, status, &second.date);
    let content = match outcome {
        Outcome::Send(Selected::Whole) => {
            file.write_with_type(&mut answer);
            answer.length(length);
            Content::One(body(head, 0, length))
        }
        Outcome::Send(Selected::Part(part)) => {
            file.write_with_type(&mut answer);
            answer.length(part.length);
            answer.content_range(part, length);
            Content::One(body(head, part.start, part.length))
        }
        Outcome::Send(Selected::Parts(parts)) => {
            let parts = Multipart::new(&parts, length, file.media_type(), Boundary::from_random(unforeseen()));
            // Hexadecimal digits and a fixed text: always safe.
            let _ = answer.field("content-type", parts.content_type().as_bytes());
            file.write(&mut answer);
            answer.length(parts.length());
            // Range is defined for GET alone, so this is no answer to HEAD.
            Content::Parts(parts.into())
        }
        Outcome::Send(Selected::Unsatisfiable) => {
            answer.unsatisfied_range(length);
            answer.length(0);
            Content::One(0..0)
        }
        // RFC 9110 §15.4.5: no content, and the fields that a 200 would have had for caches.
        Outcome::NotModified => {
            file.write(&mut answer);
            Content::One(0..0)
        }
        Outcome::Failed => {
            answer.length(0);
            Content::One(0..0)
        }
    };
    answer.end(said);
    Decided { status, content }
}

/// A number that no one can guess: the standard library's keys against collisions come from the kernel.
fn unforeseen() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// HEAD has the fields of GET and nothing after them (RFC 9110 §9.3.2).
fn body(head: &Head<'_>, start: u64, length: u64) -> Range<u64> {
    if head.method == Method::Head { 0..0 } else { start..start.saturating_add(length) }
}
