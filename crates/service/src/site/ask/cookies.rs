//! The cookies of an answer that lets pass: they are the client's, so that a session which is used can be renewed.

use bytes::Bytes;

use crate::web::{Answer, Fields};

/// Cookies for the client, whatever its answer will be.
#[derive(Debug, Default)]
pub(in crate::site) struct Cookies(Vec<Bytes>);

impl Cookies {
    /// Those of an answer.
    pub(super) fn of(answer: &Fields) -> Self {
        Self(answer.values("set-cookie").map(Bytes::copy_from_slice).collect())
    }

    /// Bytes of them.
    pub(super) fn length(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// These behind those.
    pub(in crate::site) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// Gives them with `answer`, behind its own: a browser believes the last one of a name. No cache that others share may keep it then, since
    /// it would give one client's session to the next (RFC 9111 §7.3).
    pub(in crate::site) fn give(self, answer: &mut Answer) {
        if self.0.is_empty() {
            return;
        }
        for cookie in self.0 {
            // It was a field's value before.
            let _ = answer.fields.add("set-cookie", cookie);
        }
        // RFC 9213 §2: what is said to some caches in its place.
        for name in ["cdn-cache-control", "surrogate-control"] {
            answer.fields.remove(name);
        }
        if !answer.fields.values("cache-control").any(keeps_out) {
            let _ = answer.fields.set("cache-control", "private");
        }
    }
}

/// Whether a value of Cache-Control keeps all of an answer out of shared caches (RFC 9111 §5.2.2.5, §5.2.2.7): `private` with the names of
/// fields does not.
fn keeps_out(value: &[u8]) -> bool {
    let mut directives = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    directives.any(|one| one.eq_ignore_ascii_case(b"private") || one.eq_ignore_ascii_case(b"no-store"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_a_cookie_is_kept_by_no_shared_cache() {
        for (said, expect) in [
            (&[][..], &["private"][..]),
            (&["public, max-age=60"], &["private"]),
            (&["max-age=60", "PRIVATE , max-age=1"], &["max-age=60", "PRIVATE , max-age=1"]),
            (&["No-Store"], &["No-Store"]),
            (&["private=\"set-cookie\""], &["private"]),
            (&["s-maxage=60, x-private"], &["private"]),
        ] {
            let answer = |more: &[&'static str]| {
                let mut answer = Answer::empty(200).with("cdn-cache-control", "max-age=60").with("set-cookie", "a=1");
                more.iter().for_each(|value| answer.fields.add("cache-control", *value).unwrap());
                answer
            };
            let mut given = answer(said);
            Cookies(vec![Bytes::from_static(b"b=2"), Bytes::from_static(b"c=3")]).give(&mut given);
            assert_eq!(given.fields.values("set-cookie").collect::<Vec<_>>(), [b"a=1", b"b=2", b"c=3"]);
            let expect: Vec<_> = expect.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(given.fields.values("cache-control").collect::<Vec<_>>(), expect, "{said:?}");
            assert_eq!(given.fields.values("cdn-cache-control").count(), 0);
            // Without a cookie an answer is as it was.
            let mut left = answer(said);
            Cookies::default().give(&mut left);
            assert_eq!(
                (left.fields.values("cache-control").count(), left.fields.values("cdn-cache-control").count()),
                (said.len(), 1)
            );
        }
    }
}
