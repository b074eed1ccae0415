//! What the dispatcher counts.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// The counts, since the server began. Written by one thread.
#[derive(Debug, Default)]
pub struct Figures {
    attempts: AtomicU64,
    delivered: AtomicU64,
    deferred: AtomicU64,
    failed: AtomicU64,
    unreached: AtomicU64,
    reports: AtomicU64,
    unreported: AtomicU64,
}

/// The counts of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Tries at entries.
    pub attempts: u64,
    /// Recipients that other servers have taken.
    pub delivered: u64,
    /// Recipients that are to be tried again, each time.
    pub deferred: u64,
    /// Recipients that were given up.
    pub failed: u64,
    /// Tries that reached no server.
    pub unreached: u64,
    /// Reports to senders.
    pub reports: u64,
    /// Failures of which nobody could be told: the sender is null, or nobody has its address.
    pub unreported: u64,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Attempt,
    Delivered,
    Deferred,
    Failed,
    Unreached,
    Report,
    Unreported,
}

impl Figures {
    pub(super) fn count(&self, event: Event) {
        let count = match event {
            Event::Attempt => &self.attempts,
            Event::Delivered => &self.delivered,
            Event::Deferred => &self.deferred,
            Event::Failed => &self.failed,
            Event::Unreached => &self.unreached,
            Event::Report => &self.reports,
            Event::Unreported => &self.unreported,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts of this moment.
    pub fn read(&self) -> Counted {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counted {
            attempts: of(&self.attempts),
            delivered: of(&self.delivered),
            deferred: of(&self.deferred),
            failed: of(&self.failed),
            unreached: of(&self.unreached),
            reports: of(&self.reports),
            unreported: of(&self.unreported),
        }
    }
}
