//! The memory that the bodies of all requests share, beyond the little that each may take anyway.
//!
//! It does not know what is kept in that memory. Bounded by [`FREE`] bytes of each body and by the budget for all of them.

use sportello_net::Buffer;
use thiserror::Error;
use tokio::sync::{Semaphore, SemaphorePermit};

/// So many bytes, for all who take a [`Share`] of them.
pub(super) struct Budget {
    left: Semaphore,
}

impl Budget {
    pub(super) const fn new(bytes: usize) -> Self {
        Self { left: Semaphore::const_new(bytes) }
    }
}

/// What one body takes of a budget; given back when it is dropped.
pub(super) struct Share<'a> {
    budget: &'a Budget,
    taken: Option<SemaphorePermit<'a>>,
}

/// Others hold what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too many large requests are under way; come again in a moment")]
pub(super) struct Spent;

impl<'a> Share<'a> {
    /// Nothing yet.
    pub(super) const fn of(budget: &'a Budget) -> Self {
        Self { budget, taken: None }
    }

    /// From now on `bytes` are held, if more than before.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), Spent> {
        let had = self.taken.as_ref().map_or(0, SemaphorePermit::num_permits);
        let more = bytes.saturating_sub(FREE).saturating_sub(had);
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| Spent)?;
        let permit = self.budget.left.try_acquire_many(more).map_err(|_| Spent)?;
        match &mut self.taken {
            Some(taken) => taken.merge(permit),
            None => self.taken = Some(permit),
        }
        Ok(())
    }
}

/// Bytes of each body that are not counted: no more than the buffer they come through.
pub(super) const FREE: usize = Buffer::CAPACITY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_to_the_last_byte_and_given_back() {
        let budget = Budget::new(10);
        let (mut first, mut second) = (Share::of(&budget), Share::of(&budget));
        for bytes in [FREE, FREE + 3, FREE + 2, FREE + 10] {
            assert_eq!(first.hold(bytes), Ok(()), "{bytes}");
        }
        assert_eq!(first.hold(FREE + 11), Err(Spent));
        assert_eq!(second.hold(FREE), Ok(()), "what is free is free for all");
        assert_eq!(second.hold(FREE + 1), Err(Spent));
        drop(first);
        assert_eq!(second.hold(FREE + 11), Err(Spent));
        assert_eq!(second.hold(FREE + 10), Ok(()));
        assert_eq!(Share::of(&budget).hold(usize::MAX), Err(Spent));
    }
}
