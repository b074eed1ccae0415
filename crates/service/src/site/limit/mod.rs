//! `limit`: how often, how many at once, how much, how long.
//!
//! Who is counted is an address (IPv6 by /64), the value of a field, or an account, as a number by a hash of this process's own, so nobody can
//! choose two that meet. Bounded by: [`Rate::SOURCES`] for rates; what is under way for what is counted at once.

mod body;
mod held;

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::fmt;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sportello_net::rate::{Often, Rate};
use thiserror::Error;

use super::ours::Ours;
use super::walk::Known;
use crate::web::Request;

use body::capped;
pub(super) use body::{Overrun, too_large};
pub(super) use held::holding;

/// One bound.
#[derive(Clone, Debug)]
pub enum Limit {
    /// How often: 429.
    Often(Arc<HowOften>),
    /// How many at once: 503.
    AtOnce(Arc<AtOnce>),
    /// Bytes of the request's body: 413.
    Body(u64),
    /// Until an answer begins: 504.
    Time(Duration),
}

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// All together.
    Everyone,
    /// Each address, IPv6 by /64.
    Address,
    /// Each account, and those without one by their address.
    Account,
    /// Each value of a field (its name in lower case), and those without it by their address.
    Field(Box<str>),
}

/// How often somebody may ask.
pub struct HowOften {
    by: By,
    often: Often,
    rate: Rate,
    seed: RandomState,
}

/// How many requests of somebody may be under way.
pub struct AtOnce {
    by: By,
    most: u32,
    under_way: Mutex<HashMap<IpAddr, u32>>,
    seed: RandomState,
}

/// One request under way, counted as long as it lives.
#[derive(Debug)]
pub(super) struct Place {
    among: Arc<AtOnce>,
    whose: IpAddr,
}

/// What is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a rate is a number in a second or a minute: \"10/s\", \"100/min\"")]
pub struct BadRate;

/// Reads `10/s` or `100/min`, in a minute.
///
/// # Errors
/// When it is neither, nothing at all, or more than a thousand in a millisecond.
pub fn per_minute(written: &str) -> Result<NonZeroU32, BadRate> {
    let (number, unit) = written.split_once('/').ok_or(BadRate)?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadRate);
    }
    let times: u32 = number.parse().map_err(|_| BadRate)?;
    let in_a_minute = match unit {
        "s" => times.checked_mul(60).ok_or(BadRate)?,
        "min" => times,
        _ => return Err(BadRate),
    };
    NonZeroU32::new(in_a_minute).filter(|times| times.get() <= 60_000_000).ok_or(BadRate)
}

impl By {
    /// Reads `everyone`, `address`, `account`, or `header` and a name.
    pub fn parse(written: &str) -> Option<Self> {
        Some(match written {
            "everyone" => Self::Everyone,
            "address" => Self::Address,
            "account" => Self::Account,
            other => {
                let name = other.strip_prefix("header ")?.trim().to_ascii_lowercase();
                let is_name = !name.is_empty() && name.bytes().all(sportello_wire::http1::field::is_token_byte);
                is_name.then(|| Self::Field(name.into()))?
            }
        })
    }

    fn whose(&self, request: &Request, known: &Known, seed: &RandomState) -> IpAddr {
        let hashed = |value: &[u8]| IpAddr::V6(Ipv6Addr::from_bits(u128::from(seed.hash_one(value)) << 64));
        match self {
            Self::Everyone => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            Self::Address => network(known.address()),
            Self::Account => known.account().map_or_else(|| network(known.address()), |name| hashed(name.as_bytes())),
            Self::Field(name) => request.fields.value(name).map_or_else(|| network(known.address()), hashed),
        }
    }
}

/// An IPv6 address as its /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl fmt::Display for By {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => formatter.write_str("of all together"),
            Self::Address => formatter.write_str("of each address"),
            Self::Account => formatter.write_str("of each account"),
            Self::Field(name) => write!(formatter, "of each value of {name}"),
        }
    }
}

impl fmt::Debug for HowOften {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HowOften").field("by", &self.by).field("often", &self.often).finish_non_exhaustive()
    }
}

impl fmt::Debug for AtOnce {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AtOnce").field("by", &self.by).field("most", &self.most).finish_non_exhaustive()
    }
}

impl HowOften {
    /// Nobody has asked yet.
    pub fn new(by: By, often: Often) -> Self {
        Self { by, often, rate: Rate::new(often), seed: RandomState::new() }
    }

    fn take(&self, request: &Request, known: &Known) -> Result<(), Ours> {
        self.rate.take(self.by.whose(request, known, &self.seed)).map_err(|often| too_often(often.0))
    }
}

/// RFC 6585 §4: to be tried again after this.
pub(super) fn too_often(wait: Duration) -> Ours {
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
    Ours::new(429, "too many requests; try again later").with("retry-after", seconds.to_string())
}

impl AtOnce {
    /// None is under way yet.
    pub fn new(by: By, most: u32) -> Self {
        Self { by, most, under_way: Mutex::new(HashMap::new()), seed: RandomState::new() }
    }

    fn take(self: &Arc<Self>, request: &Request, known: &Known) -> Result<Place, Ours> {
        let whose = self.by.whose(request, known, &self.seed);
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(whose).or_insert(0);
        if *count >= self.most {
            return Err(Ours::new(503, "too many requests at once; try again later").with("retry-after", "1"));
        }
        *count = count.saturating_add(1);
        Ok(Place { among: Arc::clone(self), whose })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.among.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = under_way.entry(self.whose) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

/// What a request that is within its limits must keep.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) places: Vec<Place>,
    pub(super) within: Option<Duration>,
    pub(super) overrun: Vec<Overrun>,
}

impl Limit {
    /// Holds the request to it.
    pub(super) fn take(&self, request: &mut Request, known: &Known, kept: &mut Kept) -> Result<(), Ours> {
        match self {
            Self::Often(often) => often.take(request, known),
            Self::AtOnce(at_once) => at_once.take(request, known).map(|place| kept.places.push(place)),
            Self::Body(most) => {
                let body = std::mem::take(&mut request.body);
                let (body, overrun) = capped(body, *most)?;
                request.body = body;
                kept.overrun.extend(overrun);
                Ok(())
            }
            Self::Time(time) => {
                kept.within = Some(kept.within.map_or(*time, |before| before.min(*time)));
                Ok(())
            }
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Often(often) => {
                let Often { per_minute, at_once } = often.often;
                write!(formatter, "{per_minute} requests in a minute {}, {at_once} of them at once", often.by)
            }
            Self::AtOnce(at_once) => write!(formatter, "{} requests under way {}", at_once.most, at_once.by),
            Self::Body(most) => write!(formatter, "{most} bytes of body"),
            Self::Time(time) => write!(formatter, "{} ms until an answer begins", time.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests;
