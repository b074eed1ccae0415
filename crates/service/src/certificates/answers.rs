//! What a CA that asks by HTTP is answered (RFC 8555 §8.3): tokens and their answers, shared by all workers.
//!
//! The HTTP protocol asks here before it looks for a site: the question is about the name, whatever it serves. Bounded by [`MOST`].

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// Under which a CA asks.
pub const BENEATH: &str = "/.well-known/acme-challenge/";
/// Answers at once.
pub const MOST: usize = 1_000;

/// The answers. Cloning gives another handle to the same ones; reading takes no lock.
#[derive(Clone, Debug, Default)]
pub struct Answers(Arc<ArcSwap<HashMap<Box<str>, Arc<str>>>>);

/// There are [`MOST`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST} questions of a CA are open already")]
pub struct TooManyAnswers;

impl Answers {
    /// Answers `token` with `answer` until [`Answers::end`].
    ///
    /// # Errors
    /// When there are too many.
    pub fn give(&self, token: &str, answer: &str) -> Result<(), TooManyAnswers> {
        let answer: Arc<str> = answer.into();
        let before = self.0.rcu(|answers| {
            let mut answers = HashMap::clone(answers);
            if answers.len() < MOST || answers.contains_key(token) {
                answers.insert(token.into(), Arc::clone(&answer));
            }
            answers
        });
        if before.len() < MOST || before.contains_key(token) { Ok(()) } else { Err(TooManyAnswers) }
    }

    /// Answers `token` no more.
    pub fn end(&self, token: &str) {
        self.0.rcu(|answers| {
            let mut answers = HashMap::clone(answers);
            answers.remove(token);
            answers
        });
    }

    /// Answers nothing any more.
    pub fn end_all(&self) {
        self.0.store(Arc::default());
    }

    /// The answer for a path as it was asked: a token has no byte that is written in two ways (RFC 8555 §8.3).
    pub fn of(&self, path: &str) -> Option<Arc<str>> {
        let token = path.strip_prefix(BENEATH)?;
        self.0.load().get(token).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_answered_from_when_it_is_given_until_its_end() {
        let answers = Answers::default();
        let shared = answers.clone();
        assert_eq!(shared.of("/.well-known/acme-challenge/abc"), None);
        answers.give("abc", "abc.print").unwrap();
        assert_eq!(shared.of("/.well-known/acme-challenge/abc").as_deref(), Some("abc.print"));
        for path in ["/.well-known/acme-challenge/", "/.well-known/acme-challenge/ab", "/abc", "abc", ""] {
            assert_eq!(shared.of(path), None, "{path}");
        }
        answers.end("abc");
        answers.end("never given");
        assert_eq!(shared.of("/.well-known/acme-challenge/abc"), None);
    }

    #[test]
    fn there_is_a_bound() {
        let answers = Answers::default();
        for number in 0..MOST {
            answers.give(&number.to_string(), "x").unwrap();
        }
        assert_eq!(answers.give("one more", "x"), Err(TooManyAnswers));
        answers.give("7", "y").unwrap();
        assert_eq!(answers.of("/.well-known/acme-challenge/7").as_deref(), Some("y"));
        answers.end("7");
        answers.give("one more", "x").unwrap();
    }
}
