//! The one budget from which every body in memory is drawn.
//!
//! Knows only bytes. Never blocks: a body that gets nothing goes to the spool instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of bodies that may be in memory, and how many are.
#[derive(Debug)]
pub(crate) struct Budget {
    most: u64,
    taken: AtomicU64,
}

impl Budget {
    /// A budget of `most` bytes.
    pub(crate) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { most, taken: AtomicU64::new(0) })
    }

    /// Bytes taken now.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> bool {
        let more = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.most);
        // The count guards no other memory, so no ordering is needed.
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

/// What one body holds of the budget; given back on drop.
#[derive(Debug)]
pub(crate) struct Grant {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Grant {
    /// Nothing yet.
    pub(crate) fn empty(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Bytes it holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds `bytes` in all, or is left as it was and says `false`.
    pub(crate) fn grow_to(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            if !self.budget.take(more) {
                return false;
            }
            self.bytes = bytes;
        }
        true
    }

    /// Gives back everything above `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.budget.taken.fetch_sub(less, Ordering::Relaxed);
        self.bytes -= less;
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_never_exceed_the_budget_and_all_comes_back() {
        let budget = Budget::new(10);
        let mut first = Grant::empty(&budget);
        let mut second = Grant::empty(&budget);
        assert!(first.grow_to(6));
        assert!(second.grow_to(4));
        assert!(!second.grow_to(5));
        assert_eq!((first.bytes(), second.bytes(), budget.taken()), (6, 4, 10));
        first.shrink_to(5);
        assert!(second.grow_to(5));
        assert!(second.grow_to(3), "less than it holds is already granted");
        assert_eq!(second.bytes(), 5);
        drop(first);
        drop(second);
        assert_eq!(budget.taken(), 0);
    }

    #[test]
    fn a_sum_that_overflows_is_refused() {
        let budget = Budget::new(u64::MAX);
        let mut first = Grant::empty(&budget);
        assert!(first.grow_to(u64::MAX));
        assert!(!Grant::empty(&budget).grow_to(1));
    }
}
