//! How many try one destination at once, how many there are in all, and the connections that are kept for a moment.
//!
//! Values in, values out: it reads no clock. A destination begins with [`BEGIN`] lanes; what goes well lets it have more,
//! as many as there are again for each that succeeds in all of them, and what reaches nobody halves them. Bounded by:
//! [`MOST`] lanes, [`MOST_OF_ONE`] of one destination, [`MOST_KNOWN`] destinations remembered, [`MOST_KEPT`] connections.

use std::collections::{HashMap, VecDeque};

use sportello_store::queue::Destination;
use tokio::time::{Duration, Instant};

/// The most lanes.
pub(super) const MOST: usize = 128;
/// The most lanes of one destination.
pub(super) const MOST_OF_ONE: u32 = 20;
/// The lanes that a destination begins with.
pub(super) const BEGIN: u32 = 2;
/// The most destinations of which something is remembered while nothing is tried there.
const MOST_KNOWN: usize = 10_000;
/// The most connections that are kept while nobody uses them.
const MOST_KEPT: usize = 64;
/// For how long one is kept.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(3);

/// The lanes of all destinations; `K` is a kept connection.
pub(super) struct Lanes<K> {
    destinations: HashMap<Destination, Window>,
    active: usize,
    kept: VecDeque<(Destination, K, Instant)>,
}

/// What is known of one destination.
#[derive(Clone, Copy, Debug)]
struct Window {
    active: u32,
    most: u32,
    /// What went well since there was one more.
    well: u32,
}

impl<K> Lanes<K> {
    /// None.
    pub(super) fn new() -> Self {
        Self { destinations: HashMap::new(), active: 0, kept: VecDeque::new() }
    }

    /// Whether there is room for any lane.
    pub(super) fn has_room(&self) -> bool {
        self.active < MOST
    }

    /// Lanes in all.
    pub(super) fn active(&self) -> usize {
        self.active
    }

    /// Begins a lane, if there is room for one there. What could not be reached lately is tried by one.
    pub(super) fn begin(&mut self, destination: &Destination, failures: u32) -> bool {
        if self.active >= MOST {
            return false;
        }
        self.make_room();
        let window = self.destinations.entry(destination.clone()).or_insert(Window { active: 0, most: BEGIN, well: 0 });
        let most = if failures > 0 { 1 } else { window.most };
        if window.active >= most {
            return false;
        }
        window.active += 1;
        self.active += 1;
        true
    }

    /// Ends a lane.
    pub(super) fn end(&mut self, destination: &Destination) {
        let Some(window) = self.destinations.get_mut(destination) else { return };
        window.active = window.active.saturating_sub(1);
        self.active = self.active.saturating_sub(1);
        // What it began with needs no memory.
        if window.active == 0 && window.most == BEGIN {
            self.destinations.remove(destination);
        }
    }

    /// A try went well, or did not reach anybody.
    pub(super) fn learn(&mut self, destination: &Destination, went: Went) {
        let Some(window) = self.destinations.get_mut(destination) else { return };
        match went {
            Went::Well => {
                window.well += 1;
                if window.well >= window.most {
                    window.well = 0;
                    window.most = window.most.saturating_add(1).min(MOST_OF_ONE);
                }
            }
            Went::Nowhere => {
                window.well = 0;
                window.most = (window.most / 2).max(1);
            }
        }
    }

    /// Keeps a connection; what must go for it.
    pub(super) fn keep(&mut self, destination: &Destination, kept: K, now: Instant) -> Option<K> {
        self.kept.push_back((destination.clone(), kept, now + KEPT_FOR));
        if self.kept.len() > MOST_KEPT { self.kept.pop_front().map(|(_, kept, _)| kept) } else { None }
    }

    /// A connection that is kept for a destination: the youngest.
    pub(super) fn kept(&mut self, destination: &Destination) -> Option<K> {
        let at = self.kept.iter().rposition(|(of, ..)| of == destination)?;
        self.kept.remove(at).map(|(_, kept, _)| kept)
    }

    /// A connection that was kept for long enough, or any at the end.
    pub(super) fn over(&mut self, now: Option<Instant>) -> Option<K> {
        let (.., until) = self.kept.front()?;
        if now.is_some_and(|now| now < *until) {
            return None;
        }
        self.kept.pop_front().map(|(_, kept, _)| kept)
    }

    /// Until when the oldest is kept.
    pub(super) fn kept_until(&self) -> Option<Instant> {
        self.kept.front().map(|(.., until)| *until)
    }

    fn make_room(&mut self) {
        if self.destinations.len() >= MOST_KNOWN {
            self.destinations.retain(|_, window| window.active > 0);
        }
    }
}

/// How a try went, for those that come after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Went {
    /// A server spoke.
    Well,
    /// None did.
    Nowhere,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(lanes: &mut Lanes<u32>, destination: &Destination, failures: u32) -> u32 {
        let mut number = 0;
        while lanes.begin(destination, failures) {
            number += 1;
        }
        (0..number).for_each(|_| lanes.end(destination));
        number
    }

    #[test]
    fn a_destination_has_more_lanes_when_all_of_them_went_well_and_half_when_nobody_was_reached() {
        let (mut lanes, one) = (Lanes::new(), Destination::new("one.example"));
        assert!(lanes.begin(&one, 0));
        for (went, times, expect) in [
            (Went::Well, 1, BEGIN - 1),
            (Went::Well, 1, BEGIN),
            (Went::Well, 3, 3),
            (Went::Well, 1_000, MOST_OF_ONE - 1),
            (Went::Nowhere, 1, MOST_OF_ONE / 2 - 1),
            (Went::Nowhere, 9, 0),
            (Went::Well, 1, 1),
        ] {
            (0..times).for_each(|_| lanes.learn(&one, went));
            assert_eq!(begun(&mut lanes, &one, 0), expect, "beside the one there is, after {times} × {went:?}");
        }
    }

    #[test]
    fn what_was_not_reached_lately_is_tried_by_one() {
        let (mut lanes, one) = (Lanes::new(), Destination::new("one.example"));
        assert_eq!(begun(&mut lanes, &one, 1), 1);
        assert_eq!(begun(&mut lanes, &one, 0), BEGIN);
    }

    #[test]
    fn there_are_no_more_lanes_than_there_may_be() {
        let mut lanes: Lanes<u32> = Lanes::new();
        for number in 0..MOST {
            assert!(lanes.has_room());
            assert!(lanes.begin(&Destination::new(&number.to_string()), 0));
        }
        assert!(!lanes.has_room());
        assert!(!lanes.begin(&Destination::new("one more"), 0));
        lanes.end(&Destination::new("0"));
        assert!(lanes.begin(&Destination::new("one more"), 0));
    }

    #[test]
    fn connections_are_kept_for_a_moment_and_not_too_many() {
        let (mut lanes, now) = (Lanes::new(), Instant::now());
        let of = |number: usize| Destination::new(&(number % 2).to_string());
        for number in 0..MOST_KEPT {
            assert_eq!(lanes.keep(&of(number), number, now), None);
        }
        assert_eq!(lanes.keep(&of(0), 1_000, now), Some(0));
        assert_eq!(lanes.kept(&of(0)), Some(1_000), "the youngest of its destination");
        assert_eq!(lanes.kept(&Destination::new("another")), None);
        let until = lanes.kept_until().unwrap();
        assert_eq!(lanes.over(Some(until - Duration::from_millis(1))), None);
        assert_eq!(lanes.over(Some(until)), Some(1));
        assert_eq!(lanes.over(None), Some(2));
    }
}
