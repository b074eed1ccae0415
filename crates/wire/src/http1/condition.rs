//! Conditional requests (RFC 9110 §13): the five fields, in the order of §13.2.2.
//!
//! Knows no file: it is given the validators of what would be sent.

use super::field::{self, Known, Present};
use super::range::{self, Selected};
use super::{Head, Method};
use crate::date;

/// What a representation can be compared by.
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// The strong entity tag, with its quotes.
    pub etag: &'a [u8],
    /// Last-Modified, seconds since 1970.
    pub modified: u64,
    /// Bytes of the representation.
    pub length: u64,
}

/// What the conditions and the range of a request come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answer with this much of the representation: 200, 206 or 416.
    Send(Selected),
    /// 304
    NotModified,
    /// 412
    Failed,
}

/// Evaluates a request's preconditions and range. `now`: seconds since 1970, to read two-digit years.
pub fn evaluate(head: &Head<'_>, validators: &Validators<'_>, now: u64) -> Outcome {
    if !head.present.has_any(Present::SELECTING) {
        return Outcome::Send(Selected::Whole);
    }
    let reading = matches!(head.method, Method::Get | Method::Head);
    // RFC 9110 §13.2.2 (1) and (2)
    if head.present.has(Known::IfMatch) {
        if !any_tag(head, "if-match", |tag| tag == validators.etag) {
            return Outcome::Failed;
        }
    } else if let Some(since) = moment(head, Known::IfUnmodifiedSince, "if-unmodified-since", now)
        && validators.modified > since
    {
        return Outcome::Failed;
    }
    // (3) and (4)
    if head.present.has(Known::IfNoneMatch) {
        // RFC 9110 §13.1.2: weak comparison.
        if any_tag(head, "if-none-match", |tag| tag.strip_prefix(b"W/").unwrap_or(tag) == validators.etag) {
            return if reading { Outcome::NotModified } else { Outcome::Failed };
        }
    } else if reading
        && let Some(since) = moment(head, Known::IfModifiedSince, "if-modified-since", now)
        && validators.modified <= since
    {
        return Outcome::NotModified;
    }
    // (5). Range is defined for GET alone (RFC 9110 §14.2).
    if head.method == Method::Get && head.present.has(Known::Range) && if_range(head, validators, now) {
        let mut values = head.fields.values("range");
        if let (Some(value), None) = (values.next(), values.next()) {
            return Outcome::Send(range::select(value, validators.length));
        }
    }
    Outcome::Send(Selected::Whole)
}

/// Whether the field is `*` or holds a tag that `same` accepts. Several lines are one list (RFC 9110 §5.3).
fn any_tag(head: &Head<'_>, name: &str, same: impl Fn(&[u8]) -> bool) -> bool {
    // The tags of this server hold no comma, so a tag of another's that does can be cut in pieces without harm.
    head.fields.values(name).any(|value| value == b"*" || field::list(value).any(&same))
}

/// The date of a field that came once and can be read; any other is ignored (RFC 9110 §13.1.3, §13.1.4).
fn moment(head: &Head<'_>, known: Known, name: &str, now: u64) -> Option<u64> {
    if !head.present.has(known) {
        return None;
    }
    let mut values = head.fields.values(name);
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    date::parse_http_date(value, now)
}

/// Whether the Range field counts (RFC 9110 §13.1.5): the validator must match exactly, and be a strong one.
fn if_range(head: &Head<'_>, validators: &Validators<'_>, now: u64) -> bool {
    if !head.present.has(Known::IfRange) {
        return true;
    }
    let mut values = head.fields.values("if-range");
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    if value.ends_with(b"\"") {
        // Strong comparison: `W/"…"` never equals a strong tag.
        return value == validators.etag;
    }
    // RFC 9110 §8.8.2.2: a date is strong only once the second it names is past.
    date::parse_http_date(value, now) == Some(validators.modified) && validators.modified < now
}

#[cfg(test)]
mod tests;
