//! The buffer that a connection reads into, lent by the worker.
//!
//! Bounded by: [`Buffer::CAPACITY`] per connection, and [`POOLED`] spare ones kept per worker.

use std::cell::RefCell;
use std::mem;

/// Bytes that were read and not yet consumed. It owns memory only while it holds bytes or is being filled.
#[derive(Debug, Default)]
pub struct Buffer {
    /// Empty and without capacity while nothing is lent; otherwise of capacity `CAPACITY`.
    bytes: Vec<u8>,
    /// How many of `bytes` were consumed.
    start: usize,
}

impl Buffer {
    /// The most bytes it holds.
    pub const CAPACITY: usize = 16 * 1024;

    /// An empty buffer, without memory.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0 }
    }

    /// What was read and not consumed.
    pub fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Marks the first `count` bytes of [`Buffer::filled`] as consumed; more than there are counts as all.
    pub fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.bytes.len());
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Whether nothing is left to consume.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Whether it holds `CAPACITY` bytes that were not consumed.
    pub fn is_full(&self) -> bool {
        self.filled().len() >= Self::CAPACITY
    }

    /// Gives the memory back to the worker when nothing is in it.
    pub fn release(&mut self) {
        if self.is_empty() && self.bytes.capacity() > 0 {
            self.start = 0;
            give_back(mem::take(&mut self.bytes));
        }
    }

    /// The vector to append to, with at least one byte of spare capacity, never grown; `None` when the buffer is full.
    pub fn room(&mut self) -> Option<&mut Vec<u8>> {
        if self.is_full() {
            return None;
        }
        if self.bytes.capacity() == 0 {
            self.bytes = take();
        } else if self.start > 0 && self.bytes.len() == self.bytes.capacity() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        Some(&mut self.bytes)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.capacity() > 0 {
            give_back(mem::take(&mut self.bytes));
        }
    }
}

/// Spare buffers that a worker keeps: enough for the connections that are served in one turn of its loop.
const POOLED: usize = 32;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn take() -> Vec<u8> {
    POOL.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(Buffer::CAPACITY))
}

fn give_back(mut bytes: Vec<u8>) {
    bytes.clear();
    // While the thread ends its pool may be gone already; then the memory is simply freed.
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.len() < POOLED {
            pool.push(bytes);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_its_capacity_and_not_one_byte_more() {
        let mut buffer = Buffer::new();
        assert!(buffer.filled().is_empty());
        let room = buffer.room().unwrap();
        room.resize(Buffer::CAPACITY - 1, b'x');
        assert!(!buffer.is_full());
        buffer.room().unwrap().push(b'y');
        assert!(buffer.is_full());
        assert!(buffer.room().is_none());
        buffer.consume(1);
        let room = buffer.room().unwrap();
        assert_eq!(room.capacity() - room.len(), 1);
        assert_eq!(buffer.filled().last(), Some(&b'y'));
    }

    #[test]
    fn memory_goes_back_when_it_is_empty() {
        let mut buffer = Buffer::new();
        buffer.room().unwrap().extend_from_slice(b"abc");
        buffer.release();
        assert_eq!(buffer.filled(), b"abc");
        buffer.consume(99);
        buffer.release();
        assert_eq!(buffer.bytes.capacity(), 0);
        assert_eq!(POOL.with_borrow(Vec::len), 1);
    }
}
