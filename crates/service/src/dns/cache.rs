//! Answers that still hold. Bounded by [`ANSWERS_MOST`] and by [`VALID`].

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Found, Kind, Unanswered};

/// The answers.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<(String, Kind), (Answer, Instant)>>);

/// What was answered, also that there is nothing.
type Answer = Result<Found, Unanswered>;

/// Answers that are kept; one more lets go of those that have expired, or of all.
const ANSWERS_MOST: usize = 4_096;
/// How long an answer is kept at least, and at most.
const VALID: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3_600));

impl Cache {
    pub(super) fn find(&self, name: &str, kind: Kind, now: Instant) -> Option<Answer> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (found, until) = answers.get(&(name.to_owned(), kind))?;
        (*until > now).then(|| found.clone())
    }

    pub(super) fn keep(&self, name: &str, kind: Kind, (answer, valid): (Answer, Duration), now: Instant) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= ANSWERS_MOST {
            answers.retain(|_, (_, until)| *until > now);
            if answers.len() >= ANSWERS_MOST {
                answers.clear();
            }
        }
        let until = now + valid.clamp(VALID.0, VALID.1);
        answers.insert((name.to_owned(), kind), (answer, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(valid: Duration) -> (Answer, Duration) {
        (Err(Unanswered::NoRecords), valid)
    }

    #[test]
    fn answers_hold_as_long_as_they_may_and_are_bounded() {
        let (cache, now) = (Cache::default(), Instant::now());
        for (valid, last) in
            [(Duration::ZERO, VALID.0), (Duration::from_secs(60), Duration::from_secs(60)), (Duration::MAX, VALID.1)]
        {
            cache.keep("a", Kind::Mx, nothing(valid), now);
            assert!(cache.find("a", Kind::Mx, now + last - Duration::from_millis(1)).is_some());
            assert!(cache.find("a", Kind::Mx, now + last).is_none());
        }
        assert!(cache.find("a", Kind::A, now).is_none() && cache.find("b", Kind::Mx, now).is_none());
        for at in 1..ANSWERS_MOST {
            cache.keep(&at.to_string(), Kind::A, nothing(Duration::from_secs(60)), now);
        }
        assert!(cache.find("a", Kind::Mx, now).is_some());
        cache.keep("one more", Kind::A, nothing(Duration::from_secs(60)), now);
        assert!(cache.find("a", Kind::Mx, now).is_none() && cache.find("one more", Kind::A, now).is_some());
    }
}
