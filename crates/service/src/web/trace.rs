//! The trace of a request (W3C Trace Context), read from its fields and told to whoever is asked next.
//!
//! Costs nothing where nobody asks for it. Bounded by [`STATE_MOST`] characters and [`MEMBERS_MOST`] members of `tracestate`; a longer
//! one is not passed on, for a part of it would be another one.

use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use sportello_wire::http1::field::{self, Lines};
use sportello_wire::http1::trace::Trace;

use super::Request;

/// The field in which those who take part keep what they know.
const STATE: &str = "tracestate";
/// Its characters, commas counted (W3C Trace Context §3.3.1.5: at least so many are to be passed on).
const STATE_MOST: usize = 512;
/// Its members (§3.3.1.1).
const MEMBERS_MOST: usize = 32;

/// The trace that these fields name: two fields are none (§3.2.1).
pub fn named(fields: &impl Lines) -> Option<Trace> {
    let mut values = fields.values_of(Trace::FIELD);
    let first = values.next()?;
    if values.next().is_some() { None } else { Trace::parse(first) }
}

/// A new one.
pub fn begin() -> Trace {
    Trace::begin(random())
}

/// Makes the request say, to whoever is asked next, of which trace it is: that which came or a new one, by a step of its own.
pub fn pass_on(request: &mut Request) {
    let named = named(&request.fields);
    let trace = request.notes.trace_from(named).step(random());
    // §3.3: without a trace that is understood its state means nothing.
    if named.is_none() || !is_bounded(request) {
        request.fields.remove(STATE);
    }
    request.fields.remove(Trace::FIELD);
    request.fields.add_parsed(Bytes::from_static(Trace::FIELD.as_bytes()), Bytes::copy_from_slice(&trace.written()));
}

fn is_bounded(request: &Request) -> bool {
    let lines = || request.fields.values(STATE);
    let length = lines().fold(0usize, |length, line| length.saturating_add(line.len()).saturating_add(1));
    length <= STATE_MOST.saturating_add(1) && lines().flat_map(field::list).count() <= MEMBERS_MOST
}

/// Bytes that nobody can foresee: keys that the system made at the thread's first call, one step further each time.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    for part in bytes.chunks_mut(8) {
        let drawn = RandomState::new().hash_one(0u8).to_ne_bytes();
        part.iter_mut().zip(drawn).for_each(|(byte, drawn)| *byte = drawn);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::site::tests::request;

    const CAME: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn passed(lines: &[(&str, &str)]) -> (Trace, Request) {
        let mut asked = request("/");
        for (name, value) in lines {
            asked.fields.add((*name).to_owned(), (*value).to_owned()).unwrap();
        }
        pass_on(&mut asked);
        assert_eq!(asked.fields.values(Trace::FIELD).count(), 1);
        (named(&asked.fields).unwrap(), asked)
    }

    #[test]
    fn a_trace_that_is_understood_goes_on_by_another_step() {
        let (trace, asked) = passed(&[("traceparent", CAME), ("tracestate", "a=1"), ("tracestate", "b=2, c=3")]);
        let came = Trace::parse(CAME.as_bytes()).unwrap();
        assert_eq!(trace.id().to_string(), came.id().to_string());
        assert!(trace != came && trace.is_sampled());
        assert_eq!(asked.fields.values("tracestate").collect::<Vec<_>>(), [&b"a=1"[..], b"b=2, c=3"]);
        assert_eq!(asked.notes.trace(), Some(came));
    }

    #[test]
    fn anything_else_begins_a_new_one_and_its_state_stays_behind() {
        for lines in [
            &[][..],
            &[("traceparent", "00-0-0-01")],
            &[("traceparent", CAME), ("traceparent", CAME)],
            &[("traceparent", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
        ] {
            let with_state = [lines, &[("tracestate", "a=1")]].concat();
            let (trace, asked) = passed(&with_state);
            assert_ne!(trace.id().to_string(), "0af7651916cd43dd8448eb211c80319c", "{lines:?}");
            assert!(!asked.fields.has("tracestate"), "{lines:?}");
        }
    }

    #[test]
    fn what_is_kept_of_a_trace_is_passed_on_up_to_its_bounds() {
        let member = |length: usize| format!("a={}", "x".repeat(length - 2));
        let members = |count: usize| vec!["a=1"; count].join(",");
        for (state, kept) in [
            (member(STATE_MOST), true),
            (member(STATE_MOST + 1), false),
            (members(MEMBERS_MOST), true),
            (members(MEMBERS_MOST + 1), false),
        ] {
            let (_, asked) = passed(&[("traceparent", CAME), ("tracestate", &state)]);
            assert_eq!(asked.fields.text("tracestate"), kept.then_some(&*state), "{state}");
        }
    }

    #[test]
    fn no_two_begin_alike() {
        let many: HashSet<String> = (0..10_000).map(|_| begin().to_string()).collect();
        assert_eq!(many.len(), 10_000);
    }
}
