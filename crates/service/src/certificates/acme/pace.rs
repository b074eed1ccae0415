//! How often a CA is asked, at most: what makes it impossible to burn its rate limits, also for a server that crashes in a loop.
//!
//! Each order is noted on the disk *before* it is made, as if it had failed; only a certificate that is kept takes that back. So a
//! server that dies in the middle, again and again, asks as rarely as one whose orders fail. Bounds: [`ORDERS_AN_HOUR`] for all
//! names together, [`NAME_AN_HOUR`] for each name in whatever orders, and the [`back_off`] of each order's names and of the CA.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::Said;
use crate::chance::Chance;
use crate::clock::Seconds;

/// Orders in an hour. Let's Encrypt allows a hundred.
pub(super) const ORDERS_AN_HOUR: usize = 60;
/// Orders in an hour in which one name is. Let's Encrypt allows five that fail.
pub(super) const NAME_AN_HOUR: usize = 4;
/// How long to wait after the first failed order of some names; then twice as long, and so on.
pub(super) const ORDER_FIRST: Duration = Duration::from_secs(5 * 60);
/// How long at most, but for what a CA says itself and a little chance.
pub(super) const ORDER_MOST: Duration = Duration::from_secs(86_400);
/// The same when it is the CA that is in trouble, or the network, which costs nobody's limits.
pub(super) const CA_FIRST: Duration = Duration::from_secs(15);
/// How long at most for a CA in trouble.
pub(super) const CA_MOST: Duration = Duration::from_secs(4 * 3_600);
/// How long a CA may let us wait.
pub(super) const TOLD_MOST: Duration = Duration::from_secs(7 * 86_400);

const HOUR: Seconds = 3_600;

/// What holds for all orders at one CA; kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pace {
    /// How often the CA was in trouble in a row.
    pub(super) failures: u32,
    /// Nothing is asked of the CA before.
    pub(super) not_before: Seconds,
    /// What it last said.
    pub(super) last: Option<Said>,
    /// Orders of the last hour, the oldest first.
    started: VecDeque<Started>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Started {
    at: Seconds,
    names: Vec<String>,
}

impl Pace {
    /// From when on an order for these names may be made, as far as the hour's bounds say.
    pub(super) fn admits(&self, names: &[String], now: Seconds) -> Seconds {
        let recent = |order: &&Started| order.at <= now && order.at.saturating_add(HOUR) > now;
        let all = self.started.iter().filter(recent);
        let free = |mut orders: Vec<Seconds>, most: usize| {
            orders.sort_unstable();
            let before = orders.len().checked_sub(most)?;
            orders.get(before).map(|at| at.saturating_add(HOUR))
        };
        let mut at = free(all.clone().map(|order| order.at).collect(), ORDERS_AN_HOUR).unwrap_or(0);
        for name in names {
            let of_name = all.clone().filter(|order| order.names.contains(name));
            at = at.max(free(of_name.map(|order| order.at).collect(), NAME_AN_HOUR).unwrap_or(0));
        }
        at
    }

    /// Notes an order.
    pub(super) fn start(&mut self, names: &[String], now: Seconds) {
        // A clock that went back leaves some in the future: they say nothing any more.
        self.started.retain(|order| order.at <= now && order.at.saturating_add(HOUR) > now);
        while self.started.len() >= ORDERS_AN_HOUR {
            self.started.pop_front();
        }
        self.started.push_back(Started { at: now, names: names.to_vec() });
    }

    /// The order that was noted last did not reach the CA.
    pub(super) fn take_back(&mut self) {
        self.started.pop_back();
    }

    /// The CA is in trouble.
    pub(super) fn fail(&mut self, text: &str, wait: Option<Duration>, now: Seconds, chance: Chance) {
        self.failures = self.failures.saturating_add(1);
        self.last = Some(Said { at: now, text: text.to_owned() });
        self.not_before = later(now, back_off(self.failures, CA_FIRST, CA_MOST, chance), wait);
    }

    /// The CA knows the account no more. Another one is made at once, unless that has just been done.
    pub(super) fn forget_account(&mut self, text: &str, wait: Option<Duration>, now: Seconds, chance: Chance) {
        let is_first = self.failures == 0;
        self.fail(text, wait, now, chance);
        if is_first && wait.is_none() {
            self.not_before = now;
        }
    }

    /// The CA works. Whether that is news.
    pub(super) fn succeed(&mut self) -> bool {
        let news = self.failures > 0 || self.not_before > 0;
        (self.failures, self.not_before) = (0, 0);
        self.last = None;
        news
    }
}

/// How long to wait after so many failures in a row: twice as long each time, up to `most`, and up to a quarter more by `chance`, so that
/// those who failed together do not come again together.
pub(super) fn back_off(failures: u32, first: Duration, most: Duration, chance: Chance) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    let wait = doubled.min(most);
    wait.saturating_add(Duration::from_secs(chance.part_of(wait.as_secs() / 4)))
}

/// When to come again: after our own wait, or the CA's, if that is longer and not absurd.
pub(super) fn later(now: Seconds, own: Duration, told: Option<Duration>) -> Seconds {
    let wait = told.map_or(own, |told| own.max(told.min(TOLD_MOST)));
    // The next whole second: never before.
    now.saturating_add(wait.as_secs()).saturating_add(u64::from(wait.subsec_nanos() > 0))
}

/// A moment that was kept, as far as it can be meant: a clock that was wrong must not hold anything back for longer than anything does.
pub(super) fn believed(kept: Seconds, now: Seconds) -> Seconds {
    let most = TOLD_MOST.max(ORDER_MOST + ORDER_MOST / 4);
    kept.min(now.saturating_add(most.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_wait_doubles_from_minutes_to_a_day_and_no_further() {
        let wait = |failures, chance| back_off(failures, ORDER_FIRST, ORDER_MOST, chance).as_secs();
        let steps: Vec<u64> = (0..12).map(|failures| wait(failures, Chance::LEAST) / 60).collect();
        assert_eq!(steps, [5, 5, 10, 20, 40, 80, 160, 320, 640, 1_280, 1_440, 1_440]);
        assert_eq!(wait(1, Chance::MOST), 375);
        assert_eq!(wait(u32::MAX, Chance::MOST), 86_400 * 5 / 4);
    }

    #[test]
    fn what_a_ca_says_is_heeded_up_to_a_week() {
        let own = Duration::from_secs(60);
        for (told, expect) in
            [(None, 160), (Some(10), 160), (Some(600), 700), (Some(7 * 86_400), 604_900), (Some(u64::MAX), 604_900)]
        {
            assert_eq!(later(100, own, told.map(Duration::from_secs)), expect);
        }
        assert_eq!(later(100, Duration::from_millis(1), None), 101);
        assert_eq!(later(u64::MAX, own, None), u64::MAX);
    }

    #[test]
    fn a_moment_that_a_wrong_clock_left_holds_back_for_a_week_at_most() {
        assert_eq!(believed(1_000, 500), 1_000);
        assert_eq!(believed(u64::MAX, 500), 500 + 604_800);
    }

    #[test]
    fn an_hour_has_so_many_orders_of_a_name_and_so_many_of_all() {
        let mut pace = Pace::default();
        let (a, b, both) = (names(&["a.example"]), names(&["b.example"]), names(&["b.example", "a.example"]));
        for number in 0..NAME_AN_HOUR as u64 {
            assert!(pace.admits(&both, 10_000 + number) <= 10_000 + number, "{number}");
            pace.start(if number == 0 { &both } else { &a }, 10_000 + number);
        }
        assert_eq!(pace.admits(&a, 10_010), 13_600);
        assert_eq!(pace.admits(&both, 10_010), 13_600);
        assert!(pace.admits(&b, 10_010) <= 10_010);
        assert!(pace.admits(&a, 13_600) <= 13_600, "the oldest is an hour old");
        pace.start(&a, 13_600);
        assert_eq!(pace.admits(&a, 13_600), 13_601);

        let mut pace = Pace::default();
        for number in 0..ORDERS_AN_HOUR {
            assert_eq!(pace.admits(&b, 5_000), 0, "{number}");
            pace.start(&names(&[&format!("{number}.example")]), 5_000);
        }
        assert_eq!(pace.admits(&b, 5_000), 8_600);
        pace.start(&b, 5_000);
        assert_eq!(pace.started.len(), ORDERS_AN_HOUR);
        assert_eq!(pace.admits(&b, 4_000), 0, "a clock that went back");
    }

    #[test]
    fn a_ca_in_trouble_is_left_alone_for_longer_each_time_and_forgiven_at_once() {
        let mut pace = Pace::default();
        pace.fail("down", None, 1_000, Chance::LEAST);
        assert_eq!((pace.not_before, pace.failures), (1_015, 1));
        pace.fail("down", Some(Duration::from_secs(500)), 2_000, Chance::LEAST);
        assert_eq!(pace.not_before, 2_500);
        pace.fail("down", None, 3_000, Chance::LEAST);
        assert_eq!(pace.not_before, 3_060);
        assert!(pace.succeed());
        assert_eq!(pace, Pace::default());
        assert!(!pace.succeed());
    }
}
