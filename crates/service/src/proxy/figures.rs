//! What is counted of one upstream by all workers. Beside a request to another server an addition that others may wait for costs little.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counts of one upstream.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) requests: Count,
    pub(super) connections: Count,
    pub(super) failures: Count,
    pub(super) retries: Count,
    pub(super) ejections: Count,
}

/// A count with any number of writers.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
