//! The head of an answer with a file's content: 200, 206, 304, 412 or 416, as the request's conditions and range come out.
//!
//! The same for a file in memory and one on the disk.

use std::ops::Range;

use sportello_service::files::{Content, Description, HotFile, Represented, represent};
use sportello_wire::http1::answer::{AnswerHead, DATE_OF_OK, Said};
use sportello_wire::http1::condition::{Outcome, evaluate};
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

/// What the conditions and the range of a request come to for this file.
pub(super) fn outcome(head: &Head<'_>, file: &Description, second: &Second) -> Outcome {
    evaluate(head, &file.validators(), second.unix)
}

fn begin_as(
    out: &mut Vec<u8>,
    head: &Head<'_>,
    file: &Description,
    outcome: Outcome,
    said: Said,
    second: &Second,
) -> Decided {
    let Represented { status, fields, content } = represent(outcome, file);
    let mut answer = AnswerHead::begin(out, status, &second.date);
    for (name, value) in fields.iter() {
        // Invariant: what stands in Fields may be sent.
        let _ = answer.field(name, value);
    }
    // RFC 9110 §15.4.5: a 304 has no content; its length would be that of the 200.
    if status != 304 {
        answer.length(content.length());
    }
    answer.end(said);
    let content = if head.method == Method::Head { Content::One(0..0) } else { content };
    Decided { status, content }
}

/// HEAD has the fields of GET and nothing after them (RFC 9110 §9.3.2).
fn body(head: &Head<'_>, start: u64, length: u64) -> Range<u64> {
    if head.method == Method::Head { 0..0 } else { start..start.saturating_add(length) }
}
