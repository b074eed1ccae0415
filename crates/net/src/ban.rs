//! Who guesses passwords is not heard for a while, on any channel: one list for all of them.
//!
//! Whoever compares credentials tells it of a failure ([`Bans::failed`]); accepting looks at it ([`Bans::is_banned`]), at the cost of one
//! load while nobody is banned. A source is an IPv4 address or the /64 of an IPv6 one. Loopback is never banned, nor whom the rule
//! spares: those who connect for others. Knows no protocol. Bounded by: [`Bans::FAILING`] sources of which failures are known, the moments
//! of as many failures as a ban needs for each, and [`Bans::BANNED`] that are banned. Where more fail, the one whose last failure is
//! the oldest is forgotten; where more are banned, the one whose ban ends first.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::limit::source_of;

/// When a source is banned, and for how long.
#[derive(Clone)]
pub struct Rule {
    /// So many failures, 1 to [`Rule::MOST_FAILURES`] …
    pub failures: usize,
    /// … within this time …
    pub within: Duration,
    /// … and it is banned for this one.
    pub lasts: Duration,
    /// Who is never banned.
    pub spared: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

impl Rule {
    /// The most failures that a rule may wait for: the moment of each is kept.
    pub const MOST_FAILURES: usize = 100;
}

impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failures, within, lasts, .. } = self;
        write!(formatter, "{failures} within {within:?} for {lasts:?}")
    }
}

/// The list. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Bans(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// How many are on the list, or were a moment ago.
    number: AtomicUsize,
    refused: AtomicU64,
    begun: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    rule: Option<Rule>,
    /// The latest failures of each source, the oldest first.
    failing: HashMap<IpAddr, VecDeque<Instant>>,
    /// Until when.
    banned: HashMap<IpAddr, Instant>,
}

/// Somebody who is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Banned {
    /// An IPv4 address, or the first of an IPv6 /64.
    pub source: IpAddr,
    /// How much longer.
    pub left: Duration,
}

/// What one failure came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It is noted, or nobody counts.
    Noted,
    /// It was one too many.
    Banned,
}

impl Bans {
    /// The most sources of which failures are known.
    pub const FAILING: usize = 8_192;
    /// The most that are banned.
    pub const BANNED: usize = 16_384;

    /// Another rule from now on; with none nobody is banned, and nothing is remembered.
    pub fn set(&self, rule: Option<Rule>) {
        let mut state = self.state();
        if rule.is_none() {
            state.failing.clear();
            state.banned.clear();
        }
        let spared = rule.as_ref().map(|rule| Arc::clone(&rule.spared));
        state.banned.retain(|source, _| !spared.as_ref().is_some_and(|spared| spared(*source)));
        state.rule = rule;
        self.0.number.store(state.banned.len(), Ordering::Relaxed);
    }

    /// A source has given wrong credentials.
    pub fn failed(&self, peer: IpAddr) -> Failed {
        if peer.to_canonical().is_loopback() {
            return Failed::Noted;
        }
        let mut state = self.state();
        let Some(Rule { failures, within, lasts, spared }) = state.rule.clone() else { return Failed::Noted };
        if spared(peer.to_canonical()) {
            return Failed::Noted;
        }
        let (source, now) = (source_of(peer), Instant::now());
        state.make_room(source, now, within);
        let latest = state.failing.entry(source).or_default();
        latest.retain(|failed| now.duration_since(*failed) < within);
        latest.push_back(now);
        if latest.len() < failures {
            return Failed::Noted;
        }
        state.failing.remove(&source);
        state.ban(source, now, lasts);
        self.0.number.store(state.banned.len(), Ordering::Relaxed);
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        drop(state);
        tracing::info!(%source, failures, for_s = lasts.as_secs(), "a source is banned: too many wrong passwords");
        Failed::Banned
    }

    /// Whether whoever connects is not to be heard; counts it then.
    pub fn is_banned(&self, peer: IpAddr) -> bool {
        if self.0.number.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let (source, now) = (source_of(peer), Instant::now());
        let mut state = self.state();
        match state.banned.get(&source) {
            Some(until) if *until > now => {
                self.0.refused.fetch_add(1, Ordering::Relaxed);
                true
            }
            Some(_) => {
                state.banned.remove(&source);
                self.0.number.store(state.banned.len(), Ordering::Relaxed);
                false
            }
            None => false,
        }
    }

    /// Those that are banned, the one that is longest first.
    pub fn list(&self) -> Vec<Banned> {
        let now = Instant::now();
        let left = |(source, until): (&IpAddr, &Instant)| Banned { source: *source, left: until.duration_since(now) };
        let mut list: Vec<Banned> =
            self.state().banned.iter().map(left).filter(|banned| !banned.left.is_zero()).collect();
        list.sort_by_key(|banned| (std::cmp::Reverse(banned.left), banned.source));
        list
    }

    /// Hears a source again, and forgets its failures; `false`: it was not banned.
    pub fn lift(&self, peer: IpAddr) -> bool {
        let source = source_of(peer);
        let mut state = self.state();
        state.failing.remove(&source);
        let was = state.banned.remove(&source).is_some_and(|until| until > Instant::now());
        self.0.number.store(state.banned.len(), Ordering::Relaxed);
        was
    }

    /// How many connections of banned sources were refused.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// How many bans there have been.
    pub fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// So that one more source can fail.
    fn make_room(&mut self, source: IpAddr, now: Instant, within: Duration) {
        if self.failing.len() < Bans::FAILING || self.failing.contains_key(&source) {
            return;
        }
        let is_recent = |failed: &Instant| now.duration_since(*failed) < within;
        self.failing.retain(|_, latest| latest.back().is_some_and(is_recent));
        if self.failing.len() >= Bans::FAILING
            && let Some(oldest) = oldest(&self.failing, |latest| latest.back().copied())
        {
            self.failing.remove(&oldest);
        }
    }

    fn ban(&mut self, source: IpAddr, now: Instant, lasts: Duration) {
        if self.banned.len() >= Bans::BANNED {
            self.banned.retain(|_, until| *until > now);
        }
        if self.banned.len() >= Bans::BANNED
            && let Some(first) = oldest(&self.banned, |until| Some(*until))
        {
            self.banned.remove(&first);
        }
        self.banned.insert(source, now + lasts);
    }
}

/// The source with the earliest moment.
fn oldest<T>(map: &HashMap<IpAddr, T>, moment: impl Fn(&T) -> Option<Instant>) -> Option<IpAddr> {
    map.iter().min_by_key(|(_, value)| moment(value)).map(|(source, _)| *source)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn rule(failures: usize) -> Rule {
        let spared = |peer: IpAddr| peer == address("192.0.2.200");
        Rule { failures, within: Duration::from_secs(600), lasts: HOUR, spared: Arc::new(spared) }
    }

    fn bans(failures: usize) -> Bans {
        let bans = Bans::default();
        bans.set(Some(rule(failures)));
        bans
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn numbered(number: usize) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number as u32).into()
    }

    /// What several failures came to.
    fn fail(bans: &Bans, source: &str, times: usize) -> Failed {
        (0..times).fold(Failed::Noted, |_, _| bans.failed(address(source)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_is_banned_by_the_last_failure_that_it_has_and_not_by_the_one_before() {
        let bans = bans(10);
        assert_eq!(fail(&bans, "192.0.2.1", 9), Failed::Noted);
        assert!(!bans.is_banned(address("192.0.2.1")));
        assert_eq!(fail(&bans, "192.0.2.1", 1), Failed::Banned);
        assert!(bans.is_banned(address("192.0.2.1")) && bans.is_banned(address("::ffff:192.0.2.1")));
        assert!(!bans.is_banned(address("192.0.2.2")), "another source");
        assert_eq!((bans.refused(), bans.begun()), (2, 1));
        assert_eq!(bans.list(), [Banned { source: address("192.0.2.1"), left: HOUR }]);
        tokio::time::advance(HOUR - Duration::from_millis(1)).await;
        assert!(bans.is_banned(address("192.0.2.1")));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!bans.is_banned(address("192.0.2.1")) && bans.list().is_empty());
        assert_eq!(fail(&bans, "192.0.2.1", 9), Failed::Noted, "it begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_forgotten_in_time() {
        let bans = bans(3);
        assert_eq!(fail(&bans, "192.0.2.1", 2), Failed::Noted);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(fail(&bans, "192.0.2.1", 2), Failed::Noted, "those before are too old");
        tokio::time::advance(Duration::from_millis(599_999)).await;
        assert_eq!(fail(&bans, "192.0.2.1", 1), Failed::Banned);
    }

    #[tokio::test(start_paused = true)]
    async fn sources_are_addresses_and_networks_and_some_are_never_banned() {
        let bans = bans(2);
        assert_eq!(bans.failed(address("2001:db8:0:1::1")), Failed::Noted);
        assert_eq!(bans.failed(address("2001:db8:0:1:ffff::2")), Failed::Banned, "one /64");
        assert!(bans.is_banned(address("2001:db8:0:1:abcd::3")) && !bans.is_banned(address("2001:db8:0:2::1")));
        for source in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "192.0.2.200", "::ffff:192.0.2.200"] {
            assert_eq!(fail(&bans, source, 50), Failed::Noted, "{source}");
            assert!(!bans.is_banned(address(source)), "{source}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_ban_is_lifted_by_hand_and_all_are_without_a_rule() {
        let bans = bans(1);
        fail(&bans, "192.0.2.1", 1);
        fail(&bans, "2001:db8::1", 1);
        assert!(bans.lift(address("2001:db8::ffff")) && !bans.lift(address("2001:db8::1")));
        assert!(!bans.is_banned(address("2001:db8::1")) && bans.is_banned(address("192.0.2.1")));
        bans.set(Some(Rule { spared: Arc::new(|_| true), ..rule(1) }));
        assert!(!bans.is_banned(address("192.0.2.1")), "it is spared now");
        bans.set(Some(rule(1)));
        fail(&bans, "192.0.2.1", 1);
        bans.set(None);
        assert!(!bans.is_banned(address("192.0.2.1")) && bans.list().is_empty());
        assert_eq!(fail(&bans, "192.0.2.1", 50), Failed::Noted);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_costs_no_more_memory() {
        let two = bans(2);
        for number in 0..=Bans::FAILING {
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(two.failed(numbered(number)), Failed::Noted);
        }
        assert_eq!(two.state().failing.len(), Bans::FAILING);
        assert_eq!(two.failed(numbered(1)), Failed::Banned, "known still");
        assert_eq!(two.failed(numbered(0)), Failed::Noted, "whose failure was the oldest was forgotten");
        let one = bans(1);
        for number in 0..=Bans::BANNED {
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(one.failed(numbered(number)), Failed::Banned);
        }
        assert_eq!(one.list().len(), Bans::BANNED);
        assert!(!one.is_banned(numbered(0)) && one.is_banned(numbered(1)));
    }
}
