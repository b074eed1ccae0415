//! What of the disk is promised to bodies that are still arriving.
//!
//! Two guards, since either alone has a hole. *Promises*: at MAIL the declared size is added to one sum, and the sum
//! must fit into what `statvfs` calls available, less the reserve; so a thousand senders cannot each be promised the
//! same free gigabyte. *Blocks*: a spool file takes its blocks with `fallocate` before bytes are written, and its
//! promise shrinks by as much; so another program that fills the disk between our look and our write makes the
//! allocation fail, not the write in the middle. The promise shrinks only after the blocks are taken: for a moment both
//! count, which errs on the safe side.
//!
//! `statvfs` is asked at most every [`FRESH`], always again before anybody is refused, and again once somebody met a
//! full disk. Knows nothing of messages.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::Error;

/// How long an answer of `statvfs` is believed.
const FRESH: Duration = Duration::from_millis(20);

/// The disk under the state folder.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: OwnedFd,
    reserve: u64,
    promised: AtomicU64,
    started: Instant,
    available: AtomicU64,
    /// Milliseconds after `started` until which `available` is believed.
    fresh_until: AtomicU64,
}

impl Disk {
    /// The disk that holds `folder`, of which `reserve` bytes are never promised.
    pub(crate) fn new(folder: OwnedFd, reserve: u64) -> Arc<Self> {
        Arc::new(Self {
            folder,
            reserve,
            promised: AtomicU64::new(0),
            started: Instant::now(),
            available: AtomicU64::new(0),
            fresh_until: AtomicU64::new(0),
        })
    }

    /// Promises `bytes`, or says that there is no room.
    pub(crate) fn promise(self: &Arc<Self>, bytes: u64) -> Result<Promise, Error> {
        let mut promise = Promise { disk: Arc::clone(self), bytes: 0 };
        promise.grow_by(bytes)?;
        Ok(promise)
    }

    /// Somebody met a full disk: the last answer of `statvfs` is not to be believed.
    pub(crate) fn look_again(&self) {
        self.fresh_until.store(0, Ordering::Release);
    }

    fn has_room(&self, promised: u64) -> Result<bool, Error> {
        let Some(needed) = promised.checked_add(self.reserve) else { return Ok(false) };
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now < self.fresh_until.load(Ordering::Acquire) && needed <= self.available.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let state = rustix::fs::fstatvfs(&self.folder).map_err(|why| Error::io("asking for free disk space", why))?;
        let available = state.f_bavail.saturating_mul(state.f_frsize);
        self.available.store(available, Ordering::Relaxed);
        self.fresh_until.store(now.saturating_add(FRESH.as_millis() as u64), Ordering::Release);
        Ok(needed <= available)
    }
}

/// A part of the disk that one body may still take; given back on drop.
#[derive(Debug)]
pub(crate) struct Promise {
    disk: Arc<Disk>,
    bytes: u64,
}

impl Promise {
    /// Bytes promised and not yet taken.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Promises `more`, or is left as it was.
    pub(crate) fn grow_by(&mut self, more: u64) -> Result<(), Error> {
        // Added first and looked at after: two at once both count, so both cannot get the last free bytes.
        let add = |sum: u64| sum.checked_add(more);
        let before = self.disk.promised.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        let Ok(before) = before else { return Err(Error::DiskFull) };
        let room = self.disk.has_room(before.saturating_add(more));
        if !matches!(room, Ok(true)) {
            self.disk.promised.fetch_sub(more, Ordering::AcqRel);
            return Err(room.err().unwrap_or(Error::DiskFull));
        }
        self.bytes = self.bytes.saturating_add(more);
        Ok(())
    }

    /// Another one of the same disk.
    pub(crate) fn another(&self, bytes: u64) -> Result<Self, Error> {
        self.disk.promise(bytes)
    }

    /// See [`Disk::look_again`].
    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// `less` bytes of it are now blocks of a file.
    pub(crate) fn shrink_by(&mut self, less: u64) {
        let less = less.min(self.bytes);
        self.disk.promised.fetch_sub(less, Ordering::AcqRel);
        self.bytes -= less;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.shrink_by(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(reserve: u64) -> Arc<Disk> {
        Disk::new(std::fs::File::open(std::env::temp_dir()).unwrap().into(), reserve)
    }

    #[test]
    fn promises_add_up_and_come_back() {
        let disk = disk(0);
        let mut first = disk.promise(1000).unwrap();
        let second = disk.promise(500).unwrap();
        assert_eq!(disk.promised.load(Ordering::Relaxed), 1500);
        first.shrink_by(400);
        first.grow_by(1).unwrap();
        assert_eq!((first.bytes(), disk.promised.load(Ordering::Relaxed)), (601, 1101));
        drop(first);
        drop(second);
        assert_eq!(disk.promised.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_leaves_no_trace() {
        let disk = disk(0);
        assert!(matches!(disk.promise(1 << 60), Err(Error::DiskFull)));
        let mut small = disk.promise(1).unwrap();
        assert!(matches!(small.grow_by(u64::MAX), Err(Error::DiskFull)));
        assert!(matches!(small.grow_by(1 << 60), Err(Error::DiskFull)));
        assert_eq!((small.bytes(), disk.promised.load(Ordering::Relaxed)), (1, 1));
    }

    #[test]
    fn two_cannot_be_promised_the_same_bytes() {
        let disk = disk(0);
        let state = rustix::fs::fstatvfs(&disk.folder).unwrap();
        let most_of_it = state.f_bavail * state.f_frsize / 10 * 6;
        let first = disk.promise(most_of_it).unwrap();
        assert!(matches!(disk.promise(most_of_it), Err(Error::DiskFull)));
        drop(first);
        disk.promise(most_of_it).unwrap();
    }

    #[test]
    fn the_reserve_is_never_promised() {
        assert!(matches!(disk(u64::MAX).promise(1), Err(Error::DiskFull)));
        assert!(matches!(disk(1 << 60).promise(1), Err(Error::DiskFull)));
    }
}
