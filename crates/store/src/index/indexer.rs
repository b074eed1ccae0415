//! The thread `indexer`, as the other threads see it.
//!
//! The writer leaves the numbers of deleted messages and a sign that something has changed, and goes on: nothing here
//! is waited for by a commit. What the thread then does is in `follow`. Bounded by [`MOST_REMOVALS`].

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{Builder, JoinHandle};

use tokio::sync::watch;

use crate::index::follow::{Follower, Tools};
use crate::types::MessageId;

/// Deleted messages that are noted one by one; beyond that all that are indexed are compared with those that are here.
const MOST_REMOVALS: usize = 100_000;

/// The thread.
#[derive(Debug)]
pub(crate) struct Indexer {
    bell: Bell,
    progress: watch::Receiver<Progress>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer tells the thread.
#[derive(Clone, Debug)]
pub(crate) struct Bell {
    wake: Arc<SyncSender<()>>,
    shared: Arc<Shared>,
}

/// How those that read the index tell the thread of damage. It keeps neither the thread nor its progress alive.
#[derive(Debug)]
pub(crate) struct Alarm {
    wake: Weak<SyncSender<()>>,
    told: Weak<watch::Sender<Progress>>,
}

/// Somebody waits until all is indexed.
#[derive(Debug)]
pub(crate) struct Awaiting<'s>(&'s Shared);

/// What the threads share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    removals: Mutex<Removals>,
    phase: AtomicU8,
    /// How many wait until all is indexed.
    awaited: AtomicUsize,
}

/// Deleted messages that may still be indexed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Removals {
    /// The first were deleted first.
    These(VecDeque<MessageId>),
    /// Some that are not known.
    Unknown,
}

/// What the thread is to do; only ever a later one follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Follow the mailboxes.
    Follow,
    /// Read no more of `store.db`.
    Quiet,
    /// Take out what was deleted, and end.
    End,
}

/// How far the thread is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The number of the change up to which all is done; `None` before the first time that all was done.
    pub(crate) change: Option<u64>,
    /// Why it waits, if it does.
    pub(crate) stalled: Option<Arc<str>>,
    /// Whether it has stopped reading `store.db`.
    pub(crate) quiet: bool,
}

impl Indexer {
    /// Starts the thread.
    pub(crate) fn start(tools: Tools) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let (told, progress) = watch::channel(Progress::default());
        let told = Arc::new(told);
        let bell = Bell { wake: Arc::new(wake), shared: Arc::default() };
        tools.doors.tell(Alarm { wake: Arc::downgrade(&bell.wake), told: Arc::downgrade(&told) });
        let follower = Follower::new(tools, told, Arc::clone(&bell.shared));
        let thread = Builder::new().name("indexer".to_owned()).spawn(move || follower.run(&woken))?;
        // The last run may have left something to do.
        bell.ring();
        Ok(Self { bell, progress, thread: Mutex::new(Some(thread)) })
    }

    /// For the writer.
    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Who waits for the index, for as long as this lives: mail gathers no longer.
    pub(crate) fn await_all(&self) -> Awaiting<'_> {
        self.bell.shared.await_all()
    }

    /// Returns when it reads no more of `store.db`.
    pub(crate) async fn quiet(&self) {
        self.enter(Phase::Quiet);
        // An error says that the thread has ended.
        let _ = self.progress.clone().wait_for(|progress| progress.quiet).await;
    }

    /// Lets it take out what was deleted, and joins it.
    pub(crate) async fn close(&self) {
        self.enter(Phase::End);
        let mut progress = self.progress.clone();
        while progress.changed().await.is_ok() {}
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the indexer panicked");
        }
    }

    fn enter(&self, phase: Phase) {
        self.bell.shared.phase.fetch_max(phase as u8, Ordering::Release);
        self.bell.ring();
    }
}

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.0.awaited.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bell {
    /// Messages were deleted; to be said before anybody else learns of it.
    pub(crate) fn deleted(&self, ids: &[MessageId]) {
        self.shared.removals().add(ids);
    }

    /// Something has changed. Never waits.
    pub(crate) fn ring(&self) {
        // Full: it is already told.
        let _ = self.wake.try_send(());
    }
}

impl Alarm {
    /// The index is of no use any more: nothing is indexed until it is made anew, which begins at once.
    pub(crate) fn damaged(&self) {
        if let Some(told) = self.told.upgrade() {
            told.send_modify(|progress| progress.change = None);
        }
        if let Some(wake) = self.wake.upgrade() {
            let _ = wake.try_send(());
        }
    }
}

impl Shared {
    pub(crate) fn removals(&self) -> MutexGuard<'_, Removals> {
        self.removals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn await_all(&self) -> Awaiting<'_> {
        self.awaited.fetch_add(1, Ordering::Relaxed);
        Awaiting(self)
    }

    pub(crate) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Follow,
            1 => Phase::Quiet,
            _ => Phase::End,
        }
    }
}

impl Default for Removals {
    fn default() -> Self {
        Self::These(VecDeque::new())
    }
}

impl Removals {
    fn add(&mut self, ids: &[MessageId]) {
        match self {
            Self::These(noted) if noted.len() + ids.len() <= MOST_REMOVALS => noted.extend(ids),
            _ => *self = Self::Unknown,
        }
    }

    /// Takes those that were noted first, at most so many; `None` where they are not known.
    pub(crate) fn take(&mut self, most: usize) -> Option<Vec<MessageId>> {
        match self {
            Self::These(noted) => Some(noted.drain(..noted.len().min(most)).collect()),
            Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removals_are_noted_up_to_the_bound_and_not_beyond() {
        let mut removals = Removals::default();
        removals.add(&vec![MessageId(1); MOST_REMOVALS]);
        assert!(matches!(&removals, Removals::These(ids) if ids.len() == MOST_REMOVALS));
        removals.add(&[]);
        assert_ne!(removals, Removals::Unknown);
        removals.add(&[MessageId(2)]);
        assert_eq!(removals, Removals::Unknown);
        removals.add(&[MessageId(3)]);
        assert_eq!(removals, Removals::Unknown, "what was not noted stays unknown");
    }

    #[test]
    fn removals_are_taken_in_the_order_in_which_they_were_noted() {
        let mut removals = Removals::default();
        removals.add(&[1, 2, 3].map(MessageId));
        assert_eq!(removals.take(2), Some([1, 2].map(MessageId).to_vec()));
        removals.add(&[MessageId(4)]);
        assert_eq!(removals.take(2), Some([3, 4].map(MessageId).to_vec()));
        assert_eq!(removals.take(2), Some(Vec::new()));
        assert_eq!(Removals::Unknown.take(2), None);
    }

    #[test]
    fn it_is_awaited_until_the_last_one_no_longer_waits() {
        let shared = Shared::default();
        let (one, other) = (shared.await_all(), shared.await_all());
        drop(one);
        assert!(shared.is_awaited());
        drop(other);
        assert!(!shared.is_awaited());
    }
}
