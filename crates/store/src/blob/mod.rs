//! The way of a body, from the first byte to a row or a file.
//!
//! [`incoming`] takes the bytes as they arrive: up to `Settings::memory_body` of them in memory drawn from the
//! [`budget`], and beyond that, or when the budget is spent, in a file of the [`spool`], whose room on the [`disk`] is
//! promised at MAIL. A body in memory becomes a row of the group commit. A file is synced, renamed to `blobs/<message
//! id>`, its folder synced, and only then may its row commit. So at every moment a row has its body; a body without a
//! row is an orphan, which [`sweep`] removes at the next start.
//!
//! Before it is accepted a body can be read, and fields put in front of it: in memory by moving it, in a file by writing it once more
//! in `spool/`, before it is synced and placed.
//!
//! Knows nothing of rows. Files are written, synced and removed on the `blocking-*` threads only.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::counters::Counters;
use crate::folder::Folder;
use crate::threads::Pool;

pub(crate) mod budget;
pub(crate) mod disk;
pub(crate) mod incoming;
pub(crate) mod spool;
pub(crate) mod sweep;

/// What every arriving body shares.
#[derive(Debug)]
pub(crate) struct Bodies {
    pub(crate) budget: Arc<budget::Budget>,
    pub(crate) disk: Arc<disk::Disk>,
    pub(crate) folder: Arc<Folder>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) blocking: Pool<()>,
    pub(crate) memory_body: usize,
    pub(crate) closed: AtomicBool,
}
