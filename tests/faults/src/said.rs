//! What the store says in its log, as far as it is counted here: that the search index is made anew.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// How often it was said.
static MADE_ANEW: AtomicU64 = AtomicU64::new(0);

/// Listens from now on, to every store of this process.
pub(crate) fn listen() -> Result<(), String> {
    tracing::subscriber::set_global_default(Listener).map_err(|why| why.to_string())
}

/// How often it was said that the index is made anew.
pub(crate) fn made_anew() -> u64 {
    MADE_ANEW.load(Ordering::Acquire)
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Words);
    }

    // Spans say nothing that is counted.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Words;

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" && format!("{value:?}").contains("search index is made anew") {
            MADE_ANEW.fetch_add(1, Ordering::Release);
        }
    }
}
