//! What is counted. Each set has one writer, a worker, so adding is a load and a store without a locked instruction.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A count with one writer and any number of readers.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; to be called by the one writer only.
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// The total since the start.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker counts on one channel, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ChannelCounters {
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections closed again, whoever closed.
    pub closed: Counter,
    /// Connections refused because their source holds too many.
    pub refused: Counter,
    /// TLS handshakes that agreed on something new.
    pub handshakes: Counter,
    /// TLS handshakes that went on with what an earlier one agreed on.
    pub resumed: Counter,
    /// TLS handshakes that failed, or were none.
    pub unsecured: Counter,
    /// Requests answered.
    pub requests: Counter,
    /// Requests answered with an error.
    pub failures: Counter,
    /// Bytes received.
    pub bytes_in: Counter,
    /// Bytes sent.
    pub bytes_out: Counter,
}

/// What one worker counts.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    /// How often the worker was started again after it died.
    pub restarts: Counter,
    /// Connections that it holds.
    pub(crate) open: AtomicUsize,
    /// Requests answered on channels that are no more.
    pub(crate) past_requests: AtomicU64,
}

impl WorkerCounters {
    /// Connections that this worker holds.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed) as u64
    }
}
