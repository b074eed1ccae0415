//! What HTTP-01 asks for: by token, the answer that a CA is given (RFC 8555 §8.3).
//!
//! Every plain HTTP channel answers from this one table, whatever host is asked for and before any site is looked for. Nothing in it
//! is secret: a CA reads it over plain HTTP. Reading takes no lock. Bounded by [`MOST`].

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// Tokens at once: more names than one certificate may have.
pub(super) const MOST: usize = 1_000;

/// Where a CA asks.
pub const PREFIX: &[u8] = b"/.well-known/acme-challenge/";

/// The answers. Clones share the table.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Arc<ArcSwap<HashMap<Box<str>, Arc<str>>>>);

impl Tokens {
    /// The answer for a path as it stands in a request, if one is expected there.
    pub fn answer(&self, path: &[u8]) -> Option<Arc<str>> {
        let token = std::str::from_utf8(path.strip_prefix(PREFIX)?).ok()?;
        self.0.load().get(token).cloned()
    }

    /// Answers `token` with `answer` from now on. `false`: there are too many, or it is no token.
    pub fn publish(&self, token: &str, answer: &str) -> bool {
        // RFC 8555 §8.3: base64url; anything else would be a path of another's choosing.
        let is_token =
            !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let table = self.0.load();
        if !is_token || table.len() >= MOST && !table.contains_key(token) {
            return false;
        }
        self.change(|table| _ = table.insert(token.into(), answer.into()));
        true
    }

    /// Answers `token` no more.
    pub fn withdraw(&self, token: &str) {
        self.change(|table| _ = table.remove(token));
    }

    fn change(&self, change: impl Fn(&mut HashMap<Box<str>, Arc<str>>)) {
        self.0.rcu(|table| {
            let mut table = HashMap::clone(table);
            change(&mut table);
            table
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_answered_from_when_it_is_published_until_it_is_withdrawn() {
        let tokens = Tokens::default();
        let path = b"/.well-known/acme-challenge/a-B_9";
        assert!(tokens.answer(path).is_none());
        assert!(tokens.publish("a-B_9", "a-B_9.thumb"));
        assert_eq!(tokens.answer(path).as_deref(), Some("a-B_9.thumb"));
        for other in
            [b"/.well-known/acme-challenge/".as_slice(), b"/a-B_9", b"/.well-known/acme-challenge/a-B_9/", b"a-B_9"]
        {
            assert!(tokens.answer(other).is_none());
        }
        tokens.withdraw("a-B_9");
        assert!(tokens.answer(path).is_none());
    }

    #[test]
    fn what_is_no_token_and_what_is_too_much_is_not_published() {
        let tokens = Tokens::default();
        for wrong in ["", "a/b", "..", "a b", "ä", "a%2fb", "a\r\n"] {
            assert!(!tokens.publish(wrong, "x"), "{wrong:?}");
        }
        for number in 0..MOST {
            assert!(tokens.publish(&format!("t{number}"), "x"));
        }
        assert!(!tokens.publish("more", "x"));
        assert!(tokens.publish("t0", "y"), "one that is there may be changed");
    }
}
