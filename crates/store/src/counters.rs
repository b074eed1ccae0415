//! What the store counts about itself, and whether it still takes writes.
//!
//! Each count has one writer (the `store-writer`, or the thread that spools) and is read without locks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::Error;
use crate::sqlite::queue::Counts;

/// The counts, and the first failure.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) messages: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Of `messages` and `bytes`, those in mailboxes that catch.
    pub(crate) caught_messages: AtomicU64,
    pub(crate) caught_bytes: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) spooled: AtomicU64,
    pub(crate) indexed: AtomicU64,
    pub(crate) retired: AtomicU64,
    pub(crate) queue_waiting: AtomicU64,
    pub(crate) queue_leased: AtomicU64,
    pub(crate) queue_held: AtomicU64,
    pub(crate) queue_interrupted: AtomicU64,
    /// Changes of accounts.
    pub(crate) account_changes: AtomicU64,
    failed: OnceLock<Arc<str>>,
}

impl Counters {
    /// From now on all writes are refused. Only the first reason is kept; every one is told in the log.
    pub(crate) fn fail(&self, doing: &str, why: &dyn std::fmt::Display) -> Error {
        tracing::error!(doing, %why, "the store failed: writes are refused until it is reopened");
        let reason = self.failed.get_or_init(|| format!("{doing}: {why}").into());
        Error::Failed(Arc::clone(reason))
    }

    /// `Err(Failed)` once the store has failed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.failed.get().map_or(Ok(()), |reason| Err(Error::Failed(Arc::clone(reason))))
    }

    /// Why writes are refused, if they are.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failed.get().map(|reason| reason.to_string())
    }

    /// What the entries of the queue do.
    pub(crate) fn queue(&self, counts: Counts) {
        self.queue_waiting.store(counts.waiting.unsigned_abs(), Ordering::Relaxed);
        self.queue_leased.store(counts.leased.unsigned_abs(), Ordering::Relaxed);
        self.queue_held.store(counts.held.unsigned_abs(), Ordering::Relaxed);
    }

    /// Adds to one of the counts.
    pub(crate) fn add(count: &AtomicU64, amount: u64) {
        count.fetch_add(amount, Ordering::Relaxed);
    }
}
