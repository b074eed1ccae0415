//! What one worker counts of the requests that a site, or a route of it, has answered.
//!
//! Knows no protocol: an answer is a status, bytes and a time. Each tally has one writer, so counting is a few loads and stores. Bounded by
//! the routes that were written: what a client sends becomes no label.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sportello_net::counters::Counter;

use super::description::{Block, Item};

/// Answers of one kind.
#[derive(Debug, Default)]
pub struct Tally {
    classes: [Counter; Tally::CLASSES],
    bytes: Counter,
    took_us: Counter,
    /// How many took at most so long, and longer than the bound before; behind the last bound those that took longer.
    within: [Counter; Tally::BOUNDS_US.len() + 1],
}

/// What was counted until now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Answers with a status of 1xx to 5xx.
    pub classes: [u64; Tally::CLASSES],
    /// Bytes of them, with their heads.
    pub bytes: u64,
    /// Microseconds that they took together.
    pub took_us: u64,
    /// How many took at most as long as each of [`Tally::BOUNDS_US`]; the last one is how many there were.
    pub within: [u64; Tally::BOUNDS_US.len() + 1],
}

impl Tally {
    /// Classes of statuses.
    pub const CLASSES: usize = 5;
    /// Up to where times are told apart, microseconds: a file from memory takes some tens of them, an application some thousands.
    pub const BOUNDS_US: [u64; 9] = [100, 1_000, 5_000, 25_000, 100_000, 250_000, 1_000_000, 2_500_000, 10_000_000];

    /// Counts one answer; to be called by its one writer only.
    #[inline]
    pub fn count(&self, status: u16, bytes: u64, took: Duration) {
        let class = usize::from(status / 100).clamp(1, Self::CLASSES).saturating_sub(1);
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let within = Self::BOUNDS_US.iter().position(|bound| took <= *bound).unwrap_or(Self::BOUNDS_US.len());
        if let Some(counter) = self.classes.get(class) {
            counter.add(1);
        }
        if let Some(counter) = self.within.get(within) {
            counter.add(1);
        }
        self.bytes.add(bytes);
        self.took_us.add(took);
    }
}

impl Counted {
    /// Adds what a tally has counted.
    pub fn add(&mut self, tally: &Tally) {
        let sums = self.classes.iter_mut().zip(&tally.classes);
        sums.for_each(|(sum, counter)| *sum = sum.saturating_add(counter.total()));
        self.bytes = self.bytes.saturating_add(tally.bytes.total());
        self.took_us = self.took_us.saturating_add(tally.took_us.total());
        let mut before = 0u64;
        for (sum, counter) in self.within.iter_mut().zip(&tally.within) {
            before = before.saturating_add(counter.total());
            *sum = sum.saturating_add(before);
        }
    }
}

/// The tallies of one site on one worker.
#[derive(Debug, Default)]
pub struct Tallies {
    whole: Arc<Tally>,
    routes: HashMap<Arc<str>, Arc<Tally>>,
}

impl Tallies {
    /// Those that `of` gives for each label of a site.
    pub fn new(labels: &[Arc<str>], mut of: impl FnMut(&Arc<str>) -> Arc<Tally>) -> Self {
        let routes: HashMap<_, _> = labels.iter().map(|label| (Arc::clone(label), of(label))).collect();
        let whole = routes.get("").cloned().unwrap_or_default();
        Self { whole, routes }
    }

    /// That of requests which no route took in.
    pub fn whole(&self) -> &Arc<Tally> {
        &self.whole
    }

    /// That of the route with this label.
    pub fn of(&self, label: Option<&str>) -> &Tally {
        label.and_then(|label| self.routes.get(label)).unwrap_or(&self.whole)
    }
}

/// The labels of a block and all within, each once, in their order.
pub(super) fn labels(block: &Block, into: &mut Vec<Arc<str>>) {
    if !into.contains(&block.label) {
        into.push(Arc::clone(&block.label));
    }
    for item in &block.items {
        match &item.what {
            Item::Route(route) if !route.block.only_prepares() => labels(&route.block, into),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_class_and_time() {
        let tally = Tally::default();
        for (status, us) in [(200, 0), (204, 100), (304, 101), (404, 10_000_000), (599, 10_000_001), (700, 5), (0, 5)] {
            tally.count(status, 10, Duration::from_micros(us));
        }
        let mut counted = Counted::default();
        counted.add(&tally);
        assert_eq!((counted.classes, counted.bytes), ([1, 2, 1, 1, 2], 70));
        assert_eq!(counted.took_us, 100 + 101 + 10_000_000 + 10_000_001 + 10);
        assert_eq!(counted.within, [4, 5, 5, 5, 5, 5, 5, 5, 6, 7]);
        counted.add(&tally);
        assert_eq!((counted.within[9], counted.bytes), (14, 140));
    }

    #[test]
    fn a_label_has_one_tally_and_an_unknown_one_is_the_sites() {
        let labels: Vec<Arc<str>> = ["", "/a"].map(Arc::from).to_vec();
        let tallies = Tallies::new(&labels, |_| Arc::default());
        for (label, at) in [(None, 1), (Some("/a"), 2), (Some("/b"), 3)] {
            tallies.of(label).count(200, at, Duration::ZERO);
        }
        let bytes = |tally: &Tally| tally.bytes.total();
        assert_eq!((bytes(tallies.whole()), bytes(tallies.of(Some("/a")))), (4, 2));
    }
}
