//! How many connections there may be: in all and per channel (a permit taken before accept), per source (straight after).
//!
//! All three bounds may change while the server runs: whoever has a place keeps it, and a bound below what is taken fills up
//! again only when enough have left.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::ban::Bans;

/// The bounds on connections of the whole server, shared by all workers.
#[derive(Debug)]
pub struct Limit {
    all: Places,
    per_source: AtomicUsize,
    sources: Mutex<HashMap<IpAddr, usize>>,
    bans: Bans,
}

impl Limit {
    /// `all` connections, `per_source` from one client (an IPv4 address or an IPv6 /64). Loopback is bounded by the channel
    /// alone, which has its own bound ([`Channel::most_connections`](crate::Channel::most_connections)).
    pub fn new(all: usize, per_source: usize) -> Self {
        let sources = Mutex::new(HashMap::new());
        Self { all: Places::new(all), per_source: AtomicUsize::new(per_source), sources, bans: Bans::default() }
    }

    /// Those who are on this list get no place either.
    #[must_use]
    pub fn with_bans(self, bans: Bans) -> Self {
        Self { bans, ..self }
    }

    /// From now on other bounds hold.
    pub(crate) fn set(&self, all: usize, per_source: usize) {
        self.all.set(all);
        self.per_source.store(per_source, Ordering::Relaxed);
    }

    /// The list.
    pub(crate) fn bans(&self) -> &Bans {
        &self.bans
    }

    /// Counts a connection from `peer`; `None` when its source holds too many already, or is banned.
    pub(crate) fn source(self: &Arc<Self>, peer: IpAddr) -> Option<SourcePermit> {
        if peer.to_canonical().is_loopback() {
            return Some(SourcePermit(None));
        }
        if self.bans.is_banned(peer) {
            return None;
        }
        let source = source_of(peer);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let open = sources.entry(source).or_insert(0);
        if *open >= self.per_source.load(Ordering::Relaxed) {
            if *open == 0 {
                sources.remove(&source);
            }
            return None;
        }
        *open += 1;
        Some(SourcePermit(Some(Box::new((Arc::clone(self), source)))))
    }
}

/// The bound on one channel's connections, beside that of the whole.
#[derive(Debug)]
pub(crate) struct ChannelLimit {
    whole: Arc<Limit>,
    places: Places,
}

impl ChannelLimit {
    pub(crate) fn new(most: usize, whole: &Arc<Limit>) -> Self {
        Self { whole: Arc::clone(whole), places: Places::new(most) }
    }

    /// That of the whole.
    pub(crate) fn whole(&self) -> &Arc<Limit> {
        &self.whole
    }

    /// From now on there are `most`.
    pub(crate) fn set(&self, most: usize) {
        self.places.set(most);
    }

    /// Waits for a place. Dropping the future gives up its place in the line.
    pub(crate) async fn admit(self: &Arc<Self>) -> Option<Permit> {
        self.places.take().await?;
        let taken = Taken(&self.places);
        self.whole.all.take().await?;
        taken.keep();
        Some(Permit(Arc::clone(self)))
    }

    /// A place, if there is one now.
    pub(crate) fn admit_now(self: &Arc<Self>) -> Option<Permit> {
        self.places.take_now()?;
        let taken = Taken(&self.places);
        self.whole.all.take_now()?;
        taken.keep();
        Some(Permit(Arc::clone(self)))
    }
}

/// A number of places, some of them taken, that may change.
#[derive(Debug)]
struct Places {
    free: Semaphore,
    /// Of how many; locked while that changes.
    most: Mutex<usize>,
    /// Places that are taken and there are no more: whoever leaves one gives it to nobody.
    surplus: AtomicUsize,
}

impl Places {
    fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { free: Semaphore::new(most), most: Mutex::new(most), surplus: AtomicUsize::new(0) }
    }

    fn set(&self, most: usize) {
        let most = most.min(Semaphore::MAX_PERMITS);
        let mut now = self.most.lock().unwrap_or_else(PoisonError::into_inner);
        let more = most.saturating_sub(*now);
        let paid = |surplus: usize| Some(surplus.saturating_sub(more));
        let surplus = self.surplus.fetch_update(Ordering::AcqRel, Ordering::Acquire, paid).unwrap_or_else(|now| now);
        self.free.add_permits(more.saturating_sub(surplus));
        let fewer = now.saturating_sub(most);
        let forgotten = self.free.forget_permits(fewer);
        self.surplus.fetch_add(fewer.saturating_sub(forgotten), Ordering::AcqRel);
        *now = most;
    }

    async fn take(&self) -> Option<()> {
        self.free.acquire().await.ok()?.forget();
        Some(())
    }

    fn take_now(&self) -> Option<()> {
        self.free.try_acquire().ok()?.forget();
        Some(())
    }

    fn leave(&self) {
        let less = |surplus: usize| surplus.checked_sub(1);
        if self.surplus.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_err() {
            self.free.add_permits(1);
        }
    }
}

/// A place on a channel while one in the whole is waited for.
struct Taken<'a>(&'a Places);

impl Taken<'_> {
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// One client as limits see it: an IPv4 address, or the /64 of an IPv6 address.
pub(crate) fn source_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// A place on a channel; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Permit(Arc<ChannelLimit>);

impl Permit {
    /// Counts a connection from `peer` within the same whole; `None` when its source holds too many already.
    pub(crate) fn source(&self, peer: IpAddr) -> Option<SourcePermit> {
        self.0.whole.source(peer)
    }

    /// The list of bans.
    pub(crate) fn bans(&self) -> &Bans {
        self.0.whole.bans()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.whole.all.leave();
        self.0.places.leave();
    }
}

/// One of a source's connections; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct SourcePermit(Option<Box<(Arc<Limit>, IpAddr)>>);

impl Drop for SourcePermit {
    fn drop(&mut self) {
        let Some((limit, source)) = self.0.take().map(|held| *held) else { return };
        let mut sources = limit.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = sources.get_mut(&source) {
            *open -= 1;
            if *open == 0 {
                sources.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ban::Rule;

    fn source(limit: &Arc<Limit>, peer: &str) -> Option<SourcePermit> {
        limit.source(peer.parse().unwrap())
    }

    #[test]
    fn a_source_gets_its_share_and_no_more() {
        let limit = Arc::new(Limit::new(9, 2));
        let first = source(&limit, "192.0.2.1");
        let second = source(&limit, "::ffff:192.0.2.1");
        assert!(first.is_some() && second.is_some());
        assert!(source(&limit, "192.0.2.1").is_none());
        assert!(source(&limit, "192.0.2.2").is_some());
        drop(first);
        assert!(source(&limit, "192.0.2.1").is_some());
        drop(second);
        assert!(limit.sources.lock().unwrap().is_empty());
    }

    #[test]
    fn an_ipv6_source_is_its_64_and_loopback_is_none() {
        let limit = Arc::new(Limit::new(9, 1));
        let held = source(&limit, "2001:db8:0:1::1");
        assert!(held.is_some());
        assert!(source(&limit, "2001:db8:0:1:ffff::2").is_none());
        assert!(source(&limit, "2001:db8:0:2::1").is_some());
        let loopback: Vec<_> = (0..9).map(|_| source(&limit, "127.0.0.1")).collect();
        assert!(loopback.iter().all(Option::is_some));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_banned_gets_no_place() {
        let bans = Bans::default();
        let limit = Arc::new(Limit::new(9, 9).with_bans(bans.clone()));
        let minute = std::time::Duration::from_secs(60);
        bans.set(Some(Rule { failures: 1, within: minute, lasts: minute, spared: Arc::new(|_| false) }));
        bans.failed("192.0.2.1".parse().unwrap());
        assert!(source(&limit, "192.0.2.1").is_none() && source(&limit, "192.0.2.2").is_some());
        tokio::time::advance(minute).await;
        assert!(source(&limit, "192.0.2.1").is_some());
    }

    #[tokio::test]
    async fn the_channel_and_the_whole_have_a_last_place() {
        let limit = Arc::new(Limit::new(2, 1));
        let [wide, narrow] = [2, 1].map(|most| Arc::new(ChannelLimit::new(most, &limit)));
        let one = narrow.admit().await;
        assert!(tokio::time::timeout(std::time::Duration::ZERO, narrow.admit()).await.is_err());
        let other = wide.admit().await;
        // Who waits for a place in the whole and goes away leaves the channel's too.
        assert!(tokio::time::timeout(std::time::Duration::ZERO, wide.admit()).await.is_err());
        assert!(wide.admit_now().is_none() && narrow.admit_now().is_none());
        assert_eq!(wide.places.free.available_permits(), 1);
        drop((one, other));
        assert!(wide.admit_now().is_some());
        assert!(narrow.admit().await.is_some());
    }

    #[test]
    fn bounds_change_and_nobody_loses_a_place() {
        let limit = Arc::new(Limit::new(100, 1));
        let places = Arc::new(ChannelLimit::new(3, &limit));
        let mut held: Vec<_> = (0..3).map(|_| places.admit_now()).collect();
        assert!(held.iter().all(Option::is_some));
        let check = |most: usize, held: &[Option<Permit>], free: usize| {
            places.set(most);
            let more: Vec<_> = std::iter::from_fn(|| places.admit_now()).collect();
            assert_eq!(more.len(), free, "{most} places, {} taken", held.len());
        };
        for (most, free) in [(3, 0), (4, 1), (3, 0), (1, 0), (2, 0), (5, 2), (0, 0)] {
            check(most, &held, free);
        }
        held.truncate(1);
        for (most, free) in [(1, 0), (2, 1), (0, 0), (usize::MAX, 99)] {
            check(most, &held, free);
        }
        limit.set(1, 0);
        assert!(places.admit_now().is_none());
        assert!(source(&limit, "192.0.2.1").is_none() && limit.sources.lock().unwrap().is_empty());
    }
}
