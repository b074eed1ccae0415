//! How often a mail channel refused what a source did too early, too often or too much of.
//!
//! Knows no source and no reply. Shared by all workers: whoever is refused waits for nothing, and what is not refused never comes
//! here. Bounded by: one number for each [`Reason`].

use std::sync::atomic::{AtomicU64, Ordering};

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The client spoke before it was greeted (554).
    Pregreet,
    /// Its source connects too often (421).
    ConnectionRate,
    /// Its source begins too many messages (450).
    MessageRate,
    /// Its source names too many recipients (450).
    RecipientRate,
    /// Its source makes too many errors (421).
    ErrorRate,
    /// Unfinished messages of its source hold too much disk (452).
    DiskShare,
}

impl Reason {
    /// All of them, in the order in which they can happen to a client.
    pub const ALL: [Self; 6] = [
        Self::ConnectionRate,
        Self::Pregreet,
        Self::MessageRate,
        Self::RecipientRate,
        Self::ErrorRate,
        Self::DiskShare,
    ];

    /// Its name, for figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pregreet => "pregreet",
            Self::ConnectionRate => "connection-rate",
            Self::MessageRate => "message-rate",
            Self::RecipientRate => "recipient-rate",
            Self::ErrorRate => "error-rate",
            Self::DiskShare => "disk-share",
        }
    }
}

/// The counts of one channel since the start.
#[derive(Debug, Default)]
pub struct Refusals([AtomicU64; Reason::ALL.len()]);

impl Refusals {
    /// One more.
    pub(super) fn add(&self, reason: Reason) {
        if let Some(count) = self.of(reason) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many for this reason.
    pub fn total(&self, reason: Reason) -> u64 {
        self.of(reason).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn of(&self, reason: Reason) -> Option<&AtomicU64> {
        self.0.get(reason as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_name_and_a_count_of_its_own() {
        let refusals = Refusals::default();
        for (times, reason) in Reason::ALL.into_iter().enumerate() {
            (0..=times).for_each(|_| refusals.add(reason));
        }
        let counts = Reason::ALL.map(|reason| refusals.total(reason));
        assert_eq!(counts, [1, 2, 3, 4, 5, 6]);
        let mut names = Reason::ALL.map(Reason::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
