//! Byte ranges (RFC 9110 §14): which part of a representation a request asks for.
//!
//! Several ranges are honoured so that no answer is much larger than the representation: at most [`MOST_RANGES`] of them, and
//! those that overlap or nearly touch become one. More than that are answered with the whole (RFC 9110 §14.2).

use super::field;
use super::head::decimal;

/// The most ranges that one request may ask for.
pub const MOST_RANGES: usize = 16;
/// Parts with at most this many bytes between them are sent as one: about what separates two parts (RFC 9110 §15.3.7.2).
pub const GAP: u64 = 80;

/// What a Range field comes to for a representation of a known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// The whole: no range, one in another unit, a malformed one, or too many (RFC 9110 §14.2).
    Whole,
    /// This part: 206.
    Part(Part),
    /// These parts, two at least, in the order asked for, none near another: a 206 of type multipart/byteranges.
    Parts(Box<[Part]>),
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
    let mut parts = Vec::new();
    let mut specs = 0;
    for spec in field::list(set) {
        specs += 1;
        if specs > MOST_RANGES {
            return Selected::Whole;
        }
        match one(spec, length) {
            Spec::Invalid => return Selected::Whole,
            Spec::Unsatisfiable => {}
            Spec::Everything => return Selected::Whole,
            Spec::Part(part) => join(&mut parts, part),
        }
    }
    match (specs, parts.as_slice()) {
        (0, _) => Selected::Whole,
        (_, []) => Selected::Unsatisfiable,
        // RFC 9110 §15.3.7.2: one part is no multipart.
        (_, [part]) => Selected::Part(*part),
        _ => Selected::Parts(parts.into()),
    }
}

/// What one range-spec comes to.
enum Spec {
    /// An invalid one makes the whole field invalid (RFC 9110 §14.1.1), and such a field is ignored.
    Invalid,
    Unsatisfiable,
    /// Satisfiable, yet no part of nothing can be named.
    Everything,
    Part(Part),
}

fn one(spec: &[u8], length: u64) -> Spec {
    let Some(dash) = memchr::memchr(b'-', spec) else { return Spec::Invalid };
    let (first, last) = spec.split_at(dash);
    let last = last.get(1..).unwrap_or_default();
    if !first.iter().chain(last).all(u8::is_ascii_digit) {
        return Spec::Invalid;
    }
    match (first, last) {
        ([], []) => Spec::Invalid,
        ([], suffix) => last_bytes(saturating(suffix), length),
        (first, last) => {
            let first = saturating(first);
            let last = if last.is_empty() { u64::MAX } else { saturating(last) };
            between(first, last, length)
        }
    }
}

fn last_bytes(suffix: u64, length: u64) -> Spec {
    match suffix {
        0 => Spec::Unsatisfiable,
        // RFC 9110 §14.1.2
        _ if length == 0 => Spec::Everything,
        _ => {
            let taken = suffix.min(length);
            Spec::Part(Part { start: length - taken, length: taken })
        }
    }
}

fn between(first: u64, last: u64, length: u64) -> Spec {
    if last < first {
        return Spec::Invalid;
    }
    if first >= length {
        return Spec::Unsatisfiable;
    }
    Spec::Part(Part { start: first, length: last.min(length - 1) - first + 1 })
}

/// Adds a part; with those that it overlaps, or that are so near that the lines between them would be longer than the gap, it
/// becomes one, in the place of the first of them (RFC 9110 §15.3.7.2). So no byte is sent twice.
fn join(parts: &mut Vec<Part>, mut new: Part) {
    let mut place = parts.len();
    while let Some(at) = parts.iter().position(|part| part.is_near(new)) {
        new = parts.remove(at).and(new);
        place = place.min(at);
    }
    parts.insert(place.min(parts.len()), new);
}

impl Part {
    /// The first byte behind it.
    pub fn end(self) -> u64 {
        self.start.saturating_add(self.length)
    }

    fn is_near(self, other: Self) -> bool {
        self.start <= other.end().saturating_add(GAP) && other.start <= self.end().saturating_add(GAP)
    }

    fn and(self, other: Self) -> Self {
        let start = self.start.min(other.start);
        Self { start, length: self.end().max(other.end()) - start }
    }
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
            ("bytes=-5, 0-3", 0, Selected::Whole),
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

    #[test]
    fn several_ranges_never_send_a_byte_twice() {
        let parts = |parts: &[(u64, u64)]| {
            let parts: Vec<_> = parts.iter().map(|&(start, length)| Part { start, length }).collect();
            match parts[..] {
                [part] => Selected::Part(part),
                _ => Selected::Parts(parts.into()),
            }
        };
        for (value, expect) in [
            ("bytes=0-0,500-501", parts(&[(0, 1), (500, 2)])),
            ("bytes=500-501,0-0", parts(&[(500, 2), (0, 1)])),
            ("bytes=-1 , 0-0", parts(&[(999, 1), (0, 1)])),
            ("bytes=0-9,,900-", parts(&[(0, 10), (900, 100)])),
            // Overlapping, equal, adjacent, nearly touching; at the gap and one beyond.
            ("bytes=0-9,5-14", parts(&[(0, 15)])),
            ("bytes=0-9,0-9,0-9", parts(&[(0, 10)])),
            ("bytes=0-9,10-19", parts(&[(0, 20)])),
            ("bytes=0-9,90-99", parts(&[(0, 100)])),
            ("bytes=0-9,91-99", parts(&[(0, 10), (91, 9)])),
            ("bytes=90-99,0-9", parts(&[(0, 100)])),
            ("bytes=0-,0-,0-", parts(&[(0, 1000)])),
            // The last joins the first two, in the first one's place.
            ("bytes=600-700,0-9,300-309,5-305", parts(&[(600, 101), (0, 310)])),
            ("bytes=0-9,900-999,200-299,5-950", parts(&[(0, 1000)])),
            // What lies outside is left out; if all does, 416.
            ("bytes=0-0,1000-", parts(&[(0, 1)])),
            ("bytes=1000-,-0,2000-3000", Selected::Unsatisfiable),
            // One that is malformed spoils all.
            ("bytes=0-0,x", Selected::Whole),
            ("bytes=0-0,9-8", Selected::Whole),
            ("bytes=0-0;500-501", Selected::Whole),
        ] {
            assert_eq!(select(value.as_bytes(), 1000), expect, "{value}");
        }
    }

    #[test]
    fn ranges_are_bounded_at_n_and_at_one_more() {
        let ask = |count: usize| {
            let specs: Vec<_> = (0..count).map(|number| format!("{0}-{0}", number * 100)).collect();
            select(format!("bytes={}", specs.join(",")).as_bytes(), 10_000)
        };
        assert!(matches!(ask(MOST_RANGES), Selected::Parts(parts) if parts.len() == MOST_RANGES));
        assert_eq!(ask(MOST_RANGES + 1), Selected::Whole);
        // Also where they would be one, and where most lie outside.
        assert_eq!(select(format!("bytes={}", "0-,".repeat(MOST_RANGES)).as_bytes(), 10), select(b"bytes=0-", 10));
        assert_eq!(select(format!("bytes={}", "0-,".repeat(MOST_RANGES + 1)).as_bytes(), 10), Selected::Whole);
        assert_eq!(select(format!("bytes={}", "99-,".repeat(MOST_RANGES + 1)).as_bytes(), 10), Selected::Whole);
    }
}
