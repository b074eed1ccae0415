//! Answers that wait to be written together. Its memory is the worker's: taken for the first answer, given back when all that
//! has come is answered.
//!
//! Bounded by [`super::FLUSH_AT`] and one answer.

use std::cell::RefCell;
use std::mem;

/// The bytes of one connection's answers that are not written yet.
#[derive(Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
}

/// Spare vectors that a worker keeps, and the largest it keeps.
const POOLED: usize = 8;
const POOLED_CAPACITY: usize = 256 * 1024;
/// What a fresh one begins with: some small answers.
const FIRST_CAPACITY: usize = 8 * 1024;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl Outbox {
    /// Where the next answer is appended.
    pub(super) fn open(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = POOL.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(FIRST_CAPACITY));
        }
        &mut self.bytes
    }

    /// What waits.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All of it was written.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// So many bytes of it were written.
    pub(super) fn written(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if self.bytes.capacity() == 0 {
            return;
        }
        let mut bytes = mem::take(&mut self.bytes);
        bytes.clear();
        // While the thread ends its pool may be gone already; then the memory is simply freed.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < POOLED && bytes.capacity() <= POOLED_CAPACITY {
                pool.push(bytes);
            }
        });
    }
}
