//! Passwords that were right a moment ago, so that a client which logs in for each mail costs one slow hash in a while.
//!
//! What is kept is a keyed hash, good only together with what the store keeps of the password now: when that changes, nothing here is
//! good any more. Bounded by [`KNOWN_FOR`] and [`KNOWN_MOST`].

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sportello_store::Credential;
use sportello_wire::sasl::Password;
use tokio::time::Instant;

use super::credential::{Key, keyed};

/// How long a password that was right need not be hashed again.
const KNOWN_FOR: Duration = Duration::from_secs(300);
/// How many are known.
const KNOWN_MOST: usize = 4_096;

/// All that are known.
pub(crate) struct Known {
    /// Of this process alone.
    key: Key,
    since: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Known {
    pub(crate) fn new(key: Key) -> Self {
        Self { key, since: Mutex::default() }
    }

    /// What stands for this password of this account, as the store keeps it now.
    pub(crate) fn token(&self, account: u64, kept: &Credential, password: &Password) -> [u8; 32] {
        let kept = kept.as_bytes();
        let (account, length) = (account.to_be_bytes(), (kept.len() as u64).to_be_bytes());
        keyed(&self.key, &[&account, &length, kept, password.reveal().as_bytes()])
    }

    pub(crate) fn has(&self, token: &[u8; 32]) -> bool {
        self.with(|since| since.get(token).is_some_and(|since| since.elapsed() < KNOWN_FOR))
    }

    pub(crate) fn keep(&self, token: [u8; 32]) {
        self.with(|since| {
            if since.len() >= KNOWN_MOST {
                since.retain(|_, since| since.elapsed() < KNOWN_FOR);
            }
            if since.len() < KNOWN_MOST {
                since.insert(token, Instant::now());
            }
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashMap<[u8; 32], Instant>) -> T) -> T {
        look(&mut self.since.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_bounded_in_number_and_time() {
        let known = Known::new([7; 32]);
        let token = |number: u64| known.token(number, &Credential::new(*b"kept"), &Password::new("secret").unwrap());
        for number in 0..=KNOWN_MOST as u64 {
            known.keep(token(number));
        }
        assert!(known.has(&token(KNOWN_MOST as u64 - 1)) && !known.has(&token(KNOWN_MOST as u64)));
        tokio::time::advance(KNOWN_FOR - Duration::from_millis(1)).await;
        assert!(known.has(&token(0)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!known.has(&token(0)));
        known.keep(token(9_999));
        assert!(known.has(&token(9_999)), "what is over makes room");
    }
}
