//! Conditional requests (RFC 9110 §13): the five fields, in the order of §13.2.2.
//!
//! Knows no file: it is given the validators of what would be sent.

use super::field::{self, Lines, Present};
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
    evaluate_lines(head.method, &head.fields, validators, now)
}

/// As [`evaluate`], for field lines in any form.
pub fn evaluate_lines(method: Method, lines: &impl Lines, validators: &Validators<'_>, now: u64) -> Outcome {
    let has = |name: &str| lines.values_of(name).next().is_some();
    let reading = matches!(method, Method::Get | Method::Head);
    // RFC 9110 §13.2.2 (1) and (2)
    if has("if-match") {
        if !any_tag(lines, "if-match", |tag| tag == validators.etag) {
            return Outcome::Failed;
        }
    } else if let Some(since) = moment(lines, "if-unmodified-since", now)
        && validators.modified > since
    {
        return Outcome::Failed;
    }
    // (3) and (4)
    if has("if-none-match") {
        // RFC 9110 §13.1.2: weak comparison.
        if any_tag(lines, "if-none-match", |tag| tag.strip_prefix(b"W/").unwrap_or(tag) == validators.etag) {
            return if reading { Outcome::NotModified } else { Outcome::Failed };
        }
    } else if reading
        && let Some(since) = moment(lines, "if-modified-since", now)
        && validators.modified <= since
    {
        return Outcome::NotModified;
    }
    // (5). Range is defined for GET alone (RFC 9110 §14.2).
    if method == Method::Get
        && let Some(range) = only(lines, "range")
        && if_range(lines, validators, now)
    {
        return Outcome::Send(range::select(range, validators.length));
    }
    Outcome::Send(Selected::Whole)
}

/// Whether the field is `*` or holds a tag that `same` accepts. Several lines are one list (RFC 9110 §5.3).
fn any_tag(lines: &impl Lines, name: &str, same: impl Fn(&[u8]) -> bool) -> bool {
    // The tags of this server hold no comma, so a tag of another's that does can be cut in pieces without harm.
    lines.values_of(name).any(|value| value == b"*" || field::list(value).any(&same))
}

/// The value of a field that came once.
fn only<'f>(lines: &'f impl Lines, name: &'f str) -> Option<&'f [u8]> {
    let mut values = lines.values_of(name);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// The date of a field that came once and can be read; any other is ignored (RFC 9110 §13.1.3, §13.1.4).
fn moment(lines: &impl Lines, name: &str, now: u64) -> Option<u64> {
    date::parse_http_date(only(lines, name)?, now)
}

/// Whether the Range field counts (RFC 9110 §13.1.5): the validator must match exactly, and be a strong one.
fn if_range(lines: &impl Lines, validators: &Validators<'_>, now: u64) -> bool {
    let mut values = lines.values_of("if-range");
    let Some(value) = values.next() else { return true };
    if values.next().is_some() {
        return false;
    }
    if value.ends_with(b"\"") {
        // Strong comparison: `W/"…"` never equals a strong tag.
        return value == validators.etag;
    }
    // RFC 9110 §8.8.2.2: a date is strong only once the second it names is past.
    date::parse_http_date(value, now) == Some(validators.modified) && validators.modified < now
}

#[cfg(test)]
mod tests;
