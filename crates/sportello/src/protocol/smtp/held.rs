//! What one message holds of its source's share of the disk.
//!
//! Knows no store. It grows as the message does, and is given back when it is dropped. Bounded by: the channel's [`Policy`].

use std::sync::Arc;

use sportello_net::share::Share;
use sportello_wire::smtp::server::Reply;

use super::policy::Policy;
use super::refusals::Reason;

/// What a message holds.
#[derive(Debug)]
pub(super) struct Held {
    share: Share,
    policy: Arc<Policy>,
}

/// Bytes of a message that cost its source nothing: they lie in memory, which has a budget of its own.
const FREE: u64 = 64 * 1024;
/// The steps in which a message grows that has not said how large it will be, or has said too little.
const STEP: u64 = 1024 * 1024;

impl Held {
    /// Nothing yet.
    pub(super) fn new(share: Share, policy: &Arc<Policy>) -> Self {
        Self { share, policy: Arc::clone(policy) }
    }

    /// Sees to it that the share covers `bytes`.
    pub(super) fn cover(&mut self, bytes: u64) -> Result<(), Reply> {
        let Self { share, policy } = self;
        if bytes <= FREE.max(share.bytes()) {
            return Ok(());
        }
        let next = if share.bytes() == 0 { bytes } else { bytes.saturating_add(STEP) };
        if share.grow_to(next) || share.grow_to(bytes) {
            return Ok(());
        }
        policy.refusals().add(Reason::DiskShare);
        let text = "Error: unfinished messages from your address hold too much disk, try again later";
        Err(Reply::new(452, "4.3.1", text))
    }
}
