//! How much of something one source may hold at once: disk, memory, whatever is counted in bytes.
//!
//! A source is an IPv4 address or the /64 of an IPv6 one. Knows no protocol. Bounded by: one entry for each source that holds
//! something, and so by the connections. A lock, taken when a share grows or goes: not for every small thing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limit::source_of;

/// What every source holds, shared by all workers. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Shares(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: u64,
    held: Mutex<HashMap<IpAddr, u64>>,
}

/// What one holder has of its source's share; dropping it gives it back.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    source: IpAddr,
    bytes: u64,
}

impl Shares {
    /// At most `most` bytes for each source.
    pub fn new(most: u64) -> Self {
        Self(Arc::new(Shared { most, held: Mutex::default() }))
    }

    /// A holder that has nothing yet.
    pub fn holder(&self, peer: IpAddr) -> Share {
        Share { shares: self.clone(), source: source_of(peer), bytes: 0 }
    }
}

impl Share {
    /// Bytes it holds.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds `bytes` instead of fewer; `false`, and nothing changes, when all holders of the source would then have too much.
    #[must_use]
    pub fn grow_to(&mut self, bytes: u64) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else { return true };
        let mut held = self.shares.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = held.get(&self.source).copied().unwrap_or(0).saturating_add(more);
        if now > self.shares.0.most {
            return false;
        }
        held.insert(self.source, now);
        self.bytes = bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.shares.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = held.get_mut(&self.source) {
            *bytes = bytes.saturating_sub(self.bytes);
            if *bytes == 0 {
                held.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_at_its_limit_and_one_byte_beyond() {
        let shares = Shares::new(100);
        let holder = |peer: &str| shares.holder(peer.parse().unwrap());
        let (mut first, mut second) = (holder("192.0.2.1"), holder("::ffff:192.0.2.1"));
        assert!(first.grow_to(60));
        assert!(second.grow_to(40));
        assert!(!second.grow_to(41));
        assert!(second.grow_to(10), "less than it has is nothing new");
        assert_eq!((first.bytes(), second.bytes()), (60, 40));
        assert!(holder("192.0.2.2").grow_to(100), "another source has its own");
        drop(first);
        assert!(second.grow_to(100) && !second.grow_to(101) && !second.grow_to(u64::MAX));
        drop(second);
        assert!(shares.0.held.lock().unwrap().is_empty());
    }

    #[test]
    fn an_ipv6_source_is_its_64() {
        let shares = Shares::new(1);
        let mut holders =
            ["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:2::1"].map(|peer| shares.holder(peer.parse().unwrap()));
        assert_eq!(holders.each_mut().map(|holder| holder.grow_to(1)), [true, false, true]);
    }
}
