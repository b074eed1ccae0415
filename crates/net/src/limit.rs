//! How many connections there may be: in all and per channel (a permit taken before accept), per source (straight after).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The bounds on connections, shared by all workers.
#[derive(Debug)]
pub struct Limit {
    all: Semaphore,
    channels: Vec<Semaphore>,
    per_source: usize,
    sources: Mutex<HashMap<IpAddr, usize>>,
}

impl Limit {
    /// `all` connections, `channels[i]` of them on channel `i`, `per_source` from one client (an IPv4 address or an IPv6
    /// /64). Loopback is bounded by the channel alone.
    pub fn new(all: usize, channels: &[usize], per_source: usize) -> Self {
        let semaphore = |most: usize| Semaphore::new(most.min(Semaphore::MAX_PERMITS));
        Self {
            all: semaphore(all),
            channels: channels.iter().copied().map(semaphore).collect(),
            per_source,
            sources: Mutex::new(HashMap::new()),
        }
    }

    /// Waits for a place on channel `index`. Dropping the future gives up its place in the line.
    pub(crate) async fn admit(self: &Arc<Self>, index: usize) -> Option<Permit> {
        let channel = self.channels.get(index)?.acquire().await.ok()?;
        let all = self.all.acquire().await.ok()?;
        Some(self.permit(index, [channel, all]))
    }

    /// A place on channel `index`, if there is one now.
    pub(crate) fn admit_now(self: &Arc<Self>, index: usize) -> Option<Permit> {
        let channel = self.channels.get(index)?.try_acquire().ok()?;
        let all = self.all.try_acquire().ok()?;
        Some(self.permit(index, [channel, all]))
    }

    fn permit(self: &Arc<Self>, channel: usize, taken: [SemaphorePermit<'_>; 2]) -> Permit {
        taken.into_iter().for_each(SemaphorePermit::forget);
        Permit { limit: Arc::clone(self), channel }
    }

    /// Counts a connection from `peer`; `None` when its source holds too many already.
    pub(crate) fn source(self: &Arc<Self>, peer: IpAddr) -> Option<SourcePermit> {
        if peer.to_canonical().is_loopback() {
            return Some(SourcePermit(None));
        }
        let source = source_of(peer);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let open = sources.entry(source).or_insert(0);
        if *open >= self.per_source {
            return None;
        }
        *open += 1;
        Some(SourcePermit(Some(Box::new((Arc::clone(self), source)))))
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
pub(crate) struct Permit {
    limit: Arc<Limit>,
    channel: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limit.all.add_permits(1);
        if let Some(channel) = self.limit.channels.get(self.channel) {
            channel.add_permits(1);
        }
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

    fn source(limit: &Arc<Limit>, peer: &str) -> Option<SourcePermit> {
        limit.source(peer.parse().unwrap())
    }

    #[test]
    fn a_source_gets_its_share_and_no_more() {
        let limit = Arc::new(Limit::new(9, &[9], 2));
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
        let limit = Arc::new(Limit::new(9, &[9], 1));
        let held = source(&limit, "2001:db8:0:1::1");
        assert!(held.is_some());
        assert!(source(&limit, "2001:db8:0:1:ffff::2").is_none());
        assert!(source(&limit, "2001:db8:0:2::1").is_some());
        let loopback: Vec<_> = (0..9).map(|_| source(&limit, "127.0.0.1")).collect();
        assert!(loopback.iter().all(Option::is_some));
    }

    #[tokio::test]
    async fn the_channel_and_the_whole_have_a_last_place() {
        let limit = Arc::new(Limit::new(2, &[2, 1], 1));
        let one = limit.admit(1).await;
        assert!(tokio::time::timeout(std::time::Duration::ZERO, limit.admit(1)).await.is_err());
        let other = limit.admit(0).await;
        assert!(tokio::time::timeout(std::time::Duration::ZERO, limit.admit(0)).await.is_err());
        assert!(limit.admit_now(0).is_none() && limit.admit_now(1).is_none());
        drop((one, other));
        assert!(limit.admit_now(0).is_some());
        assert!(limit.admit(1).await.is_some());
    }
}
