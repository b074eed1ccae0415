//! Byte ranges (RFC 9110 §14): which part of a representation a request asks for.
//!
//! One range is honoured. Several in one request are answered with the whole, which RFC 9110 §14.2 allows.

use super::field;
use super::head::decimal;

/// What a Range field comes to for a representation of a known length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected {
    /// The whole: no range, one in another unit, a malformed one, or several (RFC 9110 §14.2).
    Whole,
    /// This part: 206.
    Part(Part),
    /// Nothing of it lies in the representation: 416.
    Unsatisfiable,
}

/// A part of a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first byte.
    pub start: u64,
    /// How many bytes; never 0.
    pub length: u64,
}

/// Reads a Range field's value against a representation of `length` bytes.
pub fn select(value: &[u8], length: u64) -> Selected {
    let Some((unit, set)) = value.split_at_checked(6) else { return Selected::Whole };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return Selected::Whole;
    }
    let mut members = field::list(set);
    let (Some(spec), None) = (members.next(), members.next()) else { return Selected::Whole };
    let Some(dash) = memchr::memchr(b'-', spec) else { return Selected::Whole };
    let (first, last) = spec.split_at(dash);
    let last = last.get(1..).unwrap_or_default();
    if !first.iter().chain(last).all(u8::is_ascii_digit) {
        return Selected::Whole;
    }
    match (first, last) {
        ([], []) => Selected::Whole,
        ([], suffix) => last_bytes(saturating(suffix), length),
        (first, last) => {
            let first = saturating(first);
            let last = if last.is_empty() { u64::MAX } else { saturating(last) };
            between(first, last, length)
        }
    }
}

fn last_bytes(suffix: u64, length: u64) -> Selected {
    match suffix {
        0 => Selected::Unsatisfiable,
        // RFC 9110 §14.1.2: satisfiable, yet no Content-Range can name a part of nothing.
        _ if length == 0 => Selected::Whole,
        _ => {
            let taken = suffix.min(length);
            Selected::Part(Part { start: length - taken, length: taken })
        }
    }
}

fn between(first: u64, last: u64, length: u64) -> Selected {
    if last < first {
        // RFC 9110 §14.1.1: such a range is invalid, and an invalid one is ignored.
        return Selected::Whole;
    }
    if first >= length {
        return Selected::Unsatisfiable;
    }
    Selected::Part(Part { start: first, length: last.min(length - 1) - first + 1 })
}

/// Digits beyond 64 bits are beyond every representation.
fn saturating(digits: &[u8]) -> u64 {
    decimal(digits).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_select_as_rfc_9110_says() {
        let part = |start, length| Selected::Part(Part { start, length });
        for (value, length, expect) in [
            ("bytes=0-0", 10, part(0, 1)),
            ("bytes=0-9", 10, part(0, 10)),
            ("bytes=0-10", 10, part(0, 10)),
            ("BYTES=2-4", 10, part(2, 3)),
            ("bytes=9-", 10, part(9, 1)),
            ("bytes=10-", 10, Selected::Unsatisfiable),
            ("bytes=-1", 10, part(9, 1)),
            ("bytes=-10", 10, part(0, 10)),
            ("bytes=-11", 10, part(0, 10)),
            ("bytes=-0", 10, Selected::Unsatisfiable),
            ("bytes=-5", 0, Selected::Whole),
            ("bytes=0-", 0, Selected::Unsatisfiable),
            ("bytes=5-4", 10, Selected::Whole),
            ("bytes=0-18446744073709551615", 10, part(0, 10)),
            ("bytes=0-99999999999999999999999", 10, part(0, 10)),
            ("bytes=99999999999999999999999-", 10, Selected::Unsatisfiable),
            ("bytes=0-", u64::MAX, part(0, u64::MAX)),
            ("bytes=0-0,2-3", 10, Selected::Whole),
            ("bytes=, 2-3", 10, part(2, 2)),
            ("bytes=-", 10, Selected::Whole),
            ("bytes=", 10, Selected::Whole),
            ("bytes=a-b", 10, Selected::Whole),
            ("bytes=1-2-3", 10, Selected::Whole),
            ("bytes=+1-2", 10, Selected::Whole),
            ("lines=0-1", 10, Selected::Whole),
            ("", 10, Selected::Whole),
        ] {
            assert_eq!(select(value.as_bytes(), length), expect, "{value} of {length}");
        }
    }
}
