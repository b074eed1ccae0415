//! Hashes that are slow on purpose, on blocking threads: a few at a time in the whole process, and few that wait.
//!
//! Knows nothing of accounts. Bounded by [`AT_ONCE`] and [`WAITING_MOST`].

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;

use crate::failure::{Class, Failure};

/// Hashes that are computed at once, whoever wants them: fewer than a worker has threads for its files, so that these are served while
/// somebody guesses passwords. One needs 19 MiB.
const AT_ONCE: usize = 2;
/// Those who wait for one.
pub(crate) const WAITING_MOST: usize = 64;

static PERMITS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AT_ONCE)));

/// A queue of its own for those places.
#[derive(Debug, Default)]
pub(crate) struct Hashing {
    waiting: AtomicUsize,
    done: AtomicU64,
}

impl Hashing {
    /// Does it when there is a place. It is done to the end whoever leaves meanwhile: the place is free only then.
    ///
    /// # Errors
    /// [`Class::Busy`] where too many wait.
    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        let busy = || Failure::new(Class::Busy, "too many log in at once, try later");
        let _waiting = Waiting::among(&self.waiting).ok_or_else(busy)?;
        let permit = Arc::clone(&PERMITS).acquire_owned().await.map_err(Failure::internal)?;
        self.done.fetch_add(1, Ordering::Relaxed);
        let job = move || {
            let _permit = permit;
            job()
        };
        tokio::task::spawn_blocking(job).await.map_err(Failure::internal)
    }

    /// How often it was done.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

/// One that waits, counted as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn among(count: &'a AtomicUsize) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(count);
        (before < WAITING_MOST).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_bounded() {
        let hashing = Hashing::default();
        let places: Vec<_> = (0..WAITING_MOST).map(|_| Waiting::among(&hashing.waiting).unwrap()).collect();
        assert!(Waiting::among(&hashing.waiting).is_none());
        drop(places);
        assert!(Waiting::among(&hashing.waiting).is_some());
    }
}
