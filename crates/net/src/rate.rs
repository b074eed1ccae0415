//! How often one source may do something: a bucket of tokens for each, without a lock.
//!
//! A source is an IPv4 address or the /64 of an IPv6 one. Its bucket is one number, the moment at which it will be full
//! again (the generic cell rate algorithm), so taking tokens is one compare-and-swap, and a full bucket says the same as none at all: a
//! place in the table is free as soon as its bucket is full. Knows no protocol; whoever counts something has a [`Rate`] for it.
//!
//! Bounded by: [`Rate::SOURCES`] sources, 16 bytes each, kept from the first source on. Where more than that are behind at
//! once, the one that is behind the least is forgotten: a crowd may buy itself tokens, but no memory.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Often {
    /// Times in a minute, in the mean.
    pub per_minute: NonZeroU32,
    /// Times at once, after a time of quiet.
    pub at_once: NonZeroU32,
}

impl Often {
    /// So many times in a minute, evenly or all at once.
    pub const fn per_minute(times: NonZeroU32) -> Self {
        Self { per_minute: times, at_once: times }
    }
}

/// How often each source may do one thing, shared by all workers.
#[derive(Debug)]
pub struct Rate {
    /// Microseconds by which one token fills a bucket.
    step: u64,
    /// Microseconds that an empty bucket needs to be full.
    whole: u64,
    began: Instant,
    seed: RandomState,
    table: OnceLock<Box<[Set]>>,
}

/// The source has no token left; how long until it has as many as it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOften(pub Duration);

/// Places that a source may be in, by its hash.
#[derive(Debug, Default)]
struct Set([Bucket; WAYS]);

const WAYS: usize = 8;
const SETS: usize = 1024;

/// One place: whose it is, and when it is full, in microseconds.
#[derive(Debug, Default)]
struct Bucket {
    source: AtomicU64,
    full_at: AtomicU64,
}

impl Rate {
    /// The most sources that are told apart.
    pub const SOURCES: usize = SETS * WAYS;

    /// Nobody has done anything yet.
    pub fn new(often: Often) -> Self {
        let step = MINUTE / u64::from(often.per_minute.get());
        Self {
            step,
            whole: step.saturating_mul(u64::from(often.at_once.get())),
            began: Instant::now(),
            seed: RandomState::new(),
            table: OnceLock::new(),
        }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// When there is none; then nothing is taken.
    pub fn take(&self, source: IpAddr) -> Result<(), TooOften> {
        self.take_many(source, 1)
    }

    /// Takes `tokens` at once, all or none; more than the bucket holds are never there.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn take_many(&self, source: IpAddr, tokens: u32) -> Result<(), TooOften> {
        let now = self.now();
        let cost = self.step.saturating_mul(u64::from(tokens));
        let bucket = self.bucket(key(source), now);
        let mut full_at = bucket.full_at.load(Ordering::Relaxed);
        loop {
            let then = full_at.max(now).saturating_add(cost);
            let behind = then.saturating_sub(now);
            if behind > self.whole {
                return Err(TooOften(Duration::from_micros(behind - self.whole)));
            }
            match bucket.full_at.compare_exchange_weak(full_at, then, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(found) => full_at = found,
            }
        }
    }

    /// The bucket of a source: its own, or one that is free, or that of whoever is behind the least.
    ///
    /// Two workers that see a new source at the same moment may each give it a bucket; the first one found is used from then
    /// on. So a source may have a few tokens more than its own, once.
    fn bucket(&self, source: u64, now: u64) -> &Bucket {
        let sets = self.table.get_or_init(|| (0..SETS).map(|_| Set::default()).collect());
        // The seed is this process's own, so nobody can choose addresses that meet in one set.
        let place = self.seed.hash_one(source) as usize % SETS;
        // Invariant: `place` is below SETS, the number of sets.
        let Set(ways) = &sets[place];
        let mut least = &ways[0];
        let mut least_full_at = u64::MAX;
        for bucket in ways {
            if bucket.source.load(Ordering::Relaxed) == source {
                return bucket;
            }
            let full_at = bucket.full_at.load(Ordering::Relaxed);
            if full_at < least_full_at {
                (least, least_full_at) = (bucket, full_at);
            }
        }
        least.source.store(source, Ordering::Relaxed);
        least.full_at.fetch_min(now, Ordering::Relaxed);
        least
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

const MINUTE: u64 = 60_000_000;

/// A source as one number, never 0. IPv4 addresses stand where no IPv6 network is (RFC 4291 §2.4: 0000::/8 is reserved).
fn key(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(address) => (1 << 32) | u64::from(address.to_bits()),
        IpAddr::V6(address) => ((address.to_bits() >> 64) as u64).max(1),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn often(per_minute: u32, at_once: u32) -> Often {
        Often { per_minute: NonZeroU32::new(per_minute).unwrap(), at_once: NonZeroU32::new(at_once).unwrap() }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn numbered(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_at_its_limit_and_one_beyond() {
        let rate = Rate::new(often(60, 3));
        let source = address("192.0.2.1");
        for _ in 0..3 {
            assert_eq!(rate.take(source), Ok(()));
        }
        assert_eq!(rate.take(source), Err(TooOften(Duration::from_secs(1))));
        assert_eq!(rate.take(address("192.0.2.2")), Ok(()), "another source has its own");
        tokio::time::advance(Duration::from_millis(999)).await;
        assert_eq!(rate.take(source), Err(TooOften(Duration::from_millis(1))));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(rate.take(source), Ok(()));
        assert!(rate.take(source).is_err());
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(rate.take_many(source, 4), Err(TooOften(Duration::from_secs(1))), "never more than it holds");
        assert_eq!(rate.take_many(source, 3), Ok(()));
        assert!(rate.take(source).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_brings_what_a_minute_may() {
        let rate = Rate::new(Often::per_minute(NonZeroU32::new(7).unwrap()));
        let source = address("2001:db8::1");
        let mut taken = 0;
        for _ in 0..600 {
            taken += u32::from(rate.take(source).is_ok());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(taken, 7 + 7 * 10 - 1, "seven at once, then seven a minute for ten minutes");
    }

    #[test]
    fn sources_are_addresses_and_networks() {
        assert_eq!(key(address("::ffff:192.0.2.1")), key(address("192.0.2.1")));
        assert_ne!(key(address("192.0.2.1")), key(address("192.0.2.2")));
        assert_eq!(key(address("2001:db8:0:1::1")), key(address("2001:db8:0:1:ffff::2")));
        assert_ne!(key(address("2001:db8:0:1::1")), key(address("2001:db8:0:2::1")));
        assert_ne!(key(Ipv6Addr::UNSPECIFIED.into()), 0);
        assert_ne!(key(Ipv4Addr::UNSPECIFIED.into()), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_costs_no_memory_and_leaves_those_who_are_behind_most() {
        let rate = Rate::new(often(60, 60));
        let flooder = address("192.0.2.1");
        assert_eq!(rate.take_many(flooder, 60), Ok(()));
        for number in 0..4 * Rate::SOURCES as u32 {
            assert_eq!(rate.take(numbered(number)), Ok(()), "a newcomer is served");
        }
        assert!(rate.take(flooder).is_err(), "who is behind most is not forgotten for a crowd that is behind little");
        let places = rate.table.get().unwrap().iter().flat_map(|set| &set.0);
        let mut sources: Vec<u64> = places.map(|bucket| bucket.source.load(Ordering::Relaxed)).collect();
        sources.sort_unstable();
        sources.dedup();
        assert!(sources.len() <= Rate::SOURCES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_bucket_is_given_to_another() {
        let rate = Rate::new(often(60, 2));
        for number in 0..Rate::SOURCES as u32 * 2 {
            assert_eq!(rate.take_many(numbered(number), 2), Ok(()));
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        for number in 0..100 {
            assert_eq!(rate.take_many(numbered(1_000_000 + number), 2), Ok(()));
            assert!(
                rate.take(numbered(1_000_000 + number)).is_err(),
                "a bucket that was another's begins full, not fuller"
            );
        }
    }

    #[test]
    fn threads_together_take_no_more_than_there_is() {
        let rate = Rate::new(often(1, 10_000));
        let source = address("192.0.2.1");
        rate.take(source).unwrap();
        let take = || (0..10_000).filter(|_| rate.take(source).is_ok()).count();
        let taken: usize = std::thread::scope(|scope| {
            let threads = [scope.spawn(take), scope.spawn(take)];
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 9_999);
    }

    #[test]
    fn nothing_is_kept_until_somebody_comes() {
        let rate = Rate::new(often(1, 1));
        assert!(rate.table.get().is_none());
        let _ = rate.take(address("192.0.2.1"));
        assert_eq!(size_of_val(&**rate.table.get().unwrap()), Rate::SOURCES * 16);
    }
}
