//! A channel as one worker serves it: what its connections on this worker share.
//!
//! A connection looks here when its next request begins, which settings hold now, and at each wait, whether the channel is still
//! one of the server's. Both are a load and a compare.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::channel::Channel;
use crate::counters::ChannelCounters;
use crate::port::Port;
use crate::registry::Phase;

/// One channel on one worker.
pub(crate) struct Lane {
    pub(crate) port: Arc<Port>,
    pub(crate) counters: Arc<ChannelCounters>,
    channel: RefCell<Arc<Channel>>,
    phase: Cell<Phase>,
}

impl Lane {
    pub(crate) fn new(port: &Arc<Port>, worker: usize) -> Self {
        Self {
            counters: port.counters.get(worker).map(Arc::clone).unwrap_or_default(),
            channel: RefCell::new(port.channel()),
            phase: Cell::new(Phase::Serving),
            port: Arc::clone(port),
        }
    }

    /// The channel as it is now.
    pub(crate) fn channel(&self) -> Arc<Channel> {
        Arc::clone(&self.channel.borrow())
    }

    /// Replaces `held`, where that is not the channel as it is now.
    pub(crate) fn renew(&self, held: &mut Arc<Channel>) {
        let now = self.channel.borrow();
        if !Arc::ptr_eq(held, &now) {
            *held = Arc::clone(&now);
        }
    }

    /// Takes over what a reload has changed.
    pub(crate) fn change(&self) {
        self.channel.replace(self.port.channel());
    }

    /// How far it is in ending; the worker itself may be further.
    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
    }
}
