//! Message ids, given at once and never twice.
//!
//! The database holds the first id that nobody can have been given (`counter.message`). A run leases a block by moving
//! that number ahead in a synced transaction *before* it gives the first id of the block; so after a crash the rest of
//! the block is skipped, never repeated. A clean close gives the rest back.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::types::MessageId;

/// Ids leased at once. More than can be asked for while the writer leases the next block.
pub(crate) const BLOCK: i64 = 1 << 16;

/// The ids of this run.
#[derive(Debug)]
pub(crate) struct Ids {
    next: AtomicI64,
    /// The first id that is not leased.
    end: AtomicI64,
    asked: AtomicBool,
}

/// Whether the lease wants to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supply {
    Enough,
    Low,
}

impl Ids {
    /// Ids from `next` on; `end` is what the database holds.
    pub(crate) fn new(next: i64, end: i64) -> Self {
        Self { next: AtomicI64::new(next), end: AtomicI64::new(end), asked: AtomicBool::new(false) }
    }

    /// The next id, or `None` while the lease is used up. `Low` is said to one caller per block.
    pub(crate) fn next(&self) -> (Option<MessageId>, Supply) {
        let end = self.end.load(Ordering::Acquire);
        let give = |next: i64| (next < end).then(|| next.saturating_add(1));
        let given = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, give);
        let left = end.saturating_sub(given.unwrap_or(end));
        let low = left < BLOCK / 2 && !self.asked.swap(true, Ordering::Relaxed);
        (given.ok().map(MessageId), if low { Supply::Low } else { Supply::Enough })
    }

    /// The end that the next lease should have.
    pub(crate) fn wanted_end(&self) -> i64 {
        self.end.load(Ordering::Relaxed).saturating_add(BLOCK)
    }

    /// The database holds `end` now.
    pub(crate) fn leased(&self, end: i64) {
        self.end.store(end, Ordering::Release);
        self.asked.store(false, Ordering::Relaxed);
    }

    /// The asking failed: the next caller asks again.
    pub(crate) fn not_leased(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }

    /// Gives no more; the first id that nobody was given. Called once.
    pub(crate) fn stop(&self) -> i64 {
        // One atomic step: who comes after it finds nothing, who came before it is counted.
        self.next.swap(i64::MAX, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_to_the_end_of_the_lease_and_not_beyond() {
        let ids = Ids::new(7, 9);
        assert_eq!(ids.next(), (Some(MessageId(7)), Supply::Low));
        assert_eq!(ids.next(), (Some(MessageId(8)), Supply::Enough), "low is said once");
        assert_eq!(ids.next(), (None, Supply::Enough));
        let end = ids.wanted_end();
        ids.leased(end);
        assert_eq!(ids.next(), (Some(MessageId(9)), Supply::Enough));
        assert_eq!(ids.stop(), 10);
        assert_eq!(ids.next().0, None);
    }

    #[test]
    fn low_is_said_again_when_the_lease_failed() {
        let ids = Ids::new(1, 3);
        assert_eq!(ids.next().1, Supply::Low);
        ids.not_leased();
        assert_eq!(ids.next().1, Supply::Low);
    }
}
