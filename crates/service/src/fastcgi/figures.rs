//! What is counted of one application by all workers, whatever the configuration.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counts of one application.
#[derive(Debug, Default)]
pub struct Figures {
    requests: AtomicU64,
    connections: AtomicU64,
    failures: AtomicU64,
}

impl Figures {
    /// Requests that it was asked, connections that were opened to it for them, and requests that failed there.
    pub fn totals(&self) -> [u64; 3] {
        [&self.requests, &self.connections, &self.failures].map(|count| count.load(Ordering::Relaxed))
    }

    pub(super) fn asked(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}
