//! At start: what a crash left between a body and its row.
//!
//! Runs once, under the lock and before any thread of the store, so nothing is on its way. A file in `spool/` is stale.
//! A body without a row was never answered with 250, or its message was deleted: removed. A row without its body is
//! damage from outside: told and kept, so that its envelope can still be read. Names that are not ours are left alone.

use std::collections::HashSet;

use crate::error::OpenError;
use crate::folder::Folder;
use crate::types::MessageId;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Files removed from the spool.
    pub(crate) stale: usize,
    /// Bodies removed because they had no row.
    pub(crate) orphans: usize,
    /// Rows whose body is not there.
    pub(crate) missing: usize,
}

/// The most missing bodies that the log names one by one.
const NAMED: usize = 20;

/// Whether `blobs/` holds any body.
pub(crate) fn has_bodies(folder: &Folder) -> Result<bool, OpenError> {
    Ok(folder.blob_names()?.iter().any(|name| name.parse::<MessageId>().is_ok()))
}

/// Sweeps both folders; `in_files` are the messages whose rows say that their body is a file.
pub(crate) fn sweep(folder: &Folder, in_files: impl Iterator<Item = MessageId>) -> Result<Swept, OpenError> {
    let mut swept = Swept::default();
    for name in folder.spool_names()? {
        folder.remove_stale(&name);
        swept.stale += 1;
    }
    let mut bodies = HashSet::new();
    for name in folder.blob_names()? {
        match name.parse::<MessageId>() {
            Ok(id) => drop(bodies.insert(id)),
            Err(_) => tracing::warn!(name, "a file in blobs is not one of ours: left alone"),
        }
    }
    for id in in_files {
        if !bodies.remove(&id) {
            swept.missing += 1;
            if swept.missing <= NAMED {
                tracing::error!(%id, "the body of a stored message is missing from blobs");
            }
        }
    }
    for id in bodies {
        folder.remove_blob(id);
        swept.orphans += 1;
    }
    if swept != Swept::default() {
        let Swept { stale, orphans, missing } = swept;
        tracing::info!(stale, orphans, missing, "swept what the last run left");
    }
    Ok(swept)
}
