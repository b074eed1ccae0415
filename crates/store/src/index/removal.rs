//! Taking the words of deleted messages out of the index.
//!
//! Which they are the writer has noted, or, where too many were to be noted or a run has broken off, is found by comparing
//! all that is indexed with what is here. Those go first that were deleted first. Bounded by [`STEP`] messages per
//! transaction; where more must go than stay the file is thrown away instead ([`is_mostly_deleted`]).

use std::sync::atomic::Ordering;

use crate::index::file::IndexFile;
use crate::index::follow::{Fault, Log, Tools};
use crate::index::indexer::{Removals, Shared};
use crate::types::MessageId;

/// Deleted messages that are taken out in one transaction.
pub(super) const STEP: usize = 100;
/// Deleted messages that are taken out one by one even where fewer stay: an index that is made anew is no use meanwhile.
const FEW: u64 = 2000;

/// How far what is indexed is compared with what is here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison {
    /// The last that was.
    after: MessageId,
    /// The last that need be: those that are put in later are noted when they are deleted.
    until: MessageId,
}

/// Takes some of the deleted messages out, those first that were noted first; whether some of the round's are left.
pub(super) fn remove(
    shared: &Shared,
    file: &IndexFile,
    tools: &Tools,
    left: &mut usize,
    comparison: &mut Option<Comparison>,
    log: &mut Log,
) -> Result<bool, Fault> {
    let noted = {
        let mut removals = shared.removals();
        let noted = removals.take(STEP);
        if noted.is_none() {
            // What is deleted from here on is noted again.
            *removals = Removals::default();
        }
        noted
    };
    let taken = noted.as_ref().map_or(0, Vec::len);
    *left = if taken < STEP { 0 } else { left.saturating_sub(taken) };
    let mut step = || -> Result<usize, Fault> {
        let Some(noted) = &noted else {
            *comparison = file.last()?.map(|until| Comparison { after: MessageId(0), until });
            return Ok(0);
        };
        let forgotten = forget(file, noted)?;
        let Some(at) = comparison else { return Ok(forgotten) };
        let (more, last) = compare(file, tools, *at)?;
        *comparison = last.map(|after| Comparison { after, ..*at });
        Ok(forgotten + more)
    };
    match step() {
        Ok(forgotten) => {
            if forgotten > 0 {
                *log = Log::HoldsDeleted;
            }
            Ok(comparison.is_some() || *left > 0)
        }
        Err(fault) => {
            // Some may be out already, and their words in the log.
            *log = Log::HoldsDeleted;
            *shared.removals() = Removals::Unknown;
            Err(fault)
        }
    }
}

/// In one transaction.
pub(super) fn forget(file: &IndexFile, ids: &[MessageId]) -> Result<usize, Fault> {
    if ids.is_empty() {
        return Ok(0);
    }
    file.begin()?;
    let forgotten = file.forget(ids)?;
    file.commit()?;
    Ok(forgotten)
}

/// Takes out those of the next few that are not here any more; how many, and the last it looked at unless it was
/// through.
fn compare(file: &IndexFile, tools: &Tools, at: Comparison) -> Result<(usize, Option<MessageId>), Fault> {
    let ids = file.ids(at.after, at.until, STEP)?;
    let Some(last) = ids.last().copied() else { return Ok((0, None)) };
    let gone = tools.read(move |reader| reader.not_here(&ids))?;
    Ok((forget(file, &gone)?, Some(last)))
}

/// Whether more must be taken out than stays.
pub(super) fn is_mostly_deleted(tools: &Tools, shared: &Shared, file: &IndexFile) -> Result<bool, Fault> {
    let stay = tools.counters.messages.load(Ordering::Relaxed);
    let noted = match &*shared.removals() {
        Removals::These(ids) => Some(ids.len() as u64),
        Removals::Unknown => None,
    };
    let go = match noted {
        Some(noted) => noted,
        None => file.number()?.saturating_sub(stay),
    };
    Ok(go > stay.max(FEW))
}
