//! Who gets the next request.
//!
//! Turns are kept by each worker for itself, so that nothing is shared where it would have to be waited for; loads are those of all
//! workers. Backups are asked when no regular upstream admits, and nobody is asked twice for one request.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use super::settings::{Balance, Role, UPSTREAMS_MOST};
use super::upstream::{Turn, Upstream};

/// The turns of one worker.
pub(super) struct Turns {
    balance: Balance,
    /// What each upstream is owed (smooth weighted round robin).
    owed: RefCell<Vec<i64>>,
    random: Cell<u64>,
}

/// Those that were asked for one request already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tried(u64);

const _: () = assert!(UPSTREAMS_MOST <= 64, "one bit for each");

impl Tried {
    fn has(self, index: usize) -> bool {
        self.0 & (1 << (index % UPSTREAMS_MOST)) != 0
    }

    pub(super) fn note(&mut self, index: usize) {
        self.0 |= 1 << (index % UPSTREAMS_MOST);
    }
}

impl Turns {
    pub(super) fn new(balance: Balance, upstreams: usize, seed: u64) -> Self {
        Self { balance, owed: RefCell::new(vec![0; upstreams]), random: Cell::new(seed | 1) }
    }

    /// The upstream to ask, noted as tried; `None`: there is none. Where requests failed at all of them, those are asked all the same:
    /// one request that makes an upstream fail must not take it from everybody else.
    pub(super) fn next(&self, upstreams: &[Arc<Upstream>], client: IpAddr, tried: &mut Tried) -> Option<(usize, Turn)> {
        let before = *tried;
        for role in [Role::Regular, Role::Backup] {
            // An upstream that does not admit after all (a trial that another request has taken) is passed over.
            for _ in 0..upstreams.len() {
                let among = Among { upstreams, role, tried: *tried, asked: Upstream::may_admit };
                let Some(index) = self.pick(&among, client) else { break };
                tried.note(index);
                if let Some(turn) = upstreams.get(index).and_then(|upstream| upstream.admit()) {
                    return Some((index, turn));
                }
            }
        }
        *tried = before;
        let index = [Role::Regular, Role::Backup]
            .into_iter()
            .find_map(|role| self.pick(&Among { upstreams, role, tried: before, asked: Upstream::is_well }, client))?;
        tried.note(index);
        Some((index, Turn::Usual))
    }

    fn pick(&self, among: &Among<'_>, client: IpAddr) -> Option<usize> {
        if let [_] = among.upstreams {
            return among.all().next().map(|(index, _)| index);
        }
        match self.balance {
            Balance::RoundRobin => self.by_turns(among),
            Balance::LeastConnections => self.least(among),
            Balance::RandomOfTwo => self.one_of_two(among),
            Balance::AddressHash => by_address(among, client),
        }
    }

    fn by_turns(&self, among: &Among<'_>) -> Option<usize> {
        let mut owed = self.owed.borrow_mut();
        let (mut total, mut best) = (0i64, None);
        for (index, upstream) in among.all() {
            let weight = i64::from(upstream.member.weight);
            let Some(own) = owed.get_mut(index) else { continue };
            *own = own.saturating_add(weight);
            total = total.saturating_add(weight);
            if best.is_none_or(|(_, most)| *own > most) {
                best = Some((index, *own));
            }
        }
        let (index, _) = best?;
        if let Some(own) = owed.get_mut(index) {
            *own = own.saturating_sub(total);
        }
        Some(index)
    }

    fn least(&self, among: &Among<'_>) -> Option<usize> {
        let least = among.all().map(|(_, upstream)| burden(upstream)).min()?;
        // Of equals, one at random: otherwise all workers would begin with the same one.
        let equals = || among.all().filter(|(_, upstream)| burden(upstream) <= least);
        let number = self.draw(equals().count());
        equals().nth(number).or_else(|| among.all().next()).map(|(index, _)| index)
    }

    fn one_of_two(&self, among: &Among<'_>) -> Option<usize> {
        let count = among.all().count();
        let (first, second) = (self.draw(count), self.draw(count));
        let two = [among.all().nth(first)?, among.all().nth(second)?];
        two.into_iter().min_by_key(|(_, upstream)| burden(upstream)).map(|(index, _)| index)
    }

    /// A number below `count`, or 0 (xorshift64).
    fn draw(&self, count: usize) -> usize {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.set(random);
        usize::try_from(random >> 16).unwrap_or(0).checked_rem(count).unwrap_or(0)
    }
}

/// Those that may be asked.
struct Among<'u> {
    upstreams: &'u [Arc<Upstream>],
    role: Role,
    tried: Tried,
    /// Which of them.
    asked: fn(&Upstream) -> bool,
}

impl<'u> Among<'u> {
    fn all(&self) -> impl Iterator<Item = (usize, &'u Upstream)> {
        let (role, tried, asked) = (self.role, self.tried, self.asked);
        self.upstreams
            .iter()
            .enumerate()
            .filter(move |(index, upstream)| upstream.member.role == role && !tried.has(*index) && asked(upstream))
            .map(|(index, upstream)| (index, &**upstream))
    }
}

/// Requests under way, once this one is there too, for each unit of weight.
fn burden(upstream: &Upstream) -> u64 {
    (u64::from(upstream.load()) + 1) * 1_000_000 / u64::from(upstream.member.weight.max(1))
}

/// The same for the same address; when an upstream leaves, only its clients move (rendezvous hashing, by weight).
fn by_address(among: &Among<'_>, client: IpAddr) -> Option<usize> {
    let score = |upstream: &Upstream| {
        let hash = mixed(Same.hash_one((client.to_canonical(), &upstream.member.address)));
        // A number between 0 and 1, never either.
        let drawn = ((hash >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
        -f64::from(upstream.member.weight) / drawn.ln()
    };
    among.all().max_by(|(_, one), (_, other)| score(one).total_cmp(&score(other))).map(|(index, _)| index)
}

/// A hasher that gives the same in every worker and after every start (FNV-1a).
struct Same;

impl BuildHasher for Same {
    type Hasher = Fnv;

    fn build_hasher(&self) -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Spreads what FNV leaves close together (the end of MurmurHash3).
fn mixed(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::{Address, Member};

    fn upstreams(weights: &[u16]) -> Vec<Arc<Upstream>> {
        let upstream = |(number, &weight): (usize, &u16)| {
            let address = Address::parse(&format!("http://10.0.0.{number}")).unwrap();
            Arc::new(Upstream::new(Member { weight, ..Member::of(address) }, None))
        };
        weights.iter().enumerate().map(upstream).collect()
    }

    fn client(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0xc000_0200 + number).into()
    }

    fn next(turns: &Turns, upstreams: &[Arc<Upstream>], number: u32, tried: &mut Tried) -> Option<usize> {
        turns.next(upstreams, client(number), tried).map(|(index, _)| index)
    }

    /// How many of so many requests each gets.
    fn shares(balance: Balance, weights: &[u16], requests: u32) -> Vec<u32> {
        let upstreams = upstreams(weights);
        let turns = Turns::new(balance, upstreams.len(), 7);
        let mut shares = vec![0; weights.len()];
        for number in 0..requests {
            shares[next(&turns, &upstreams, number, &mut Tried::default()).unwrap()] += 1;
        }
        shares
    }

    #[test]
    fn each_gets_its_share() {
        assert_eq!(shares(Balance::RoundRobin, &[1, 1, 1], 9), [3, 3, 3]);
        assert_eq!(shares(Balance::RoundRobin, &[5, 1, 1], 14), [10, 2, 2]);
        for (balance, weights, most) in [
            (Balance::RandomOfTwo, &[1, 1, 1][..], [500, 500, 500]),
            (Balance::LeastConnections, &[1, 1, 1], [500, 500, 500]),
            (Balance::AddressHash, &[1, 1, 1], [500, 500, 500]),
            (Balance::AddressHash, &[8, 1, 1], [900, 200, 200]),
        ] {
            let shares = shares(balance, weights, 1000);
            assert!(
                shares.iter().zip(most).all(|(share, most)| *share > most / 3 && *share < most),
                "{balance:?} {shares:?}"
            );
        }
    }

    #[test]
    fn whoever_has_less_to_do_is_asked() {
        let upstreams = upstreams(&[1, 3]);
        let turns = Turns::new(Balance::LeastConnections, 2, 7);
        let mut under_way = Vec::new();
        let mut asked = Vec::new();
        for number in 0..8 {
            let index = next(&turns, &upstreams, number, &mut Tried::default()).unwrap();
            asked.push(index);
            under_way.push(upstreams[index].begin());
        }
        assert_eq!(asked.iter().filter(|index| **index == 1).count(), 6, "{asked:?}");
        drop(under_way);
        assert_eq!((upstreams[0].load(), upstreams[1].load()), (0, 0));
    }

    #[test]
    fn a_client_keeps_its_upstream_and_moves_only_when_that_is_gone() {
        let upstreams = upstreams(&[1, 1, 1, 1]);
        let turns = Turns::new(Balance::AddressHash, 4, 7);
        for number in 0..200 {
            let first = next(&turns, &upstreams, number, &mut Tried::default()).unwrap();
            assert_eq!(next(&turns, &upstreams, number, &mut Tried::default()), Some(first));
            let mut tried = Tried::default();
            tried.note((first + 1) % 4);
            assert_eq!(next(&turns, &upstreams, number, &mut tried), Some(first));
            let mut all = Tried::default();
            let order: Vec<_> = std::iter::from_fn(|| next(&turns, &upstreams, number, &mut all)).collect();
            assert_eq!((order.len(), order[0]), (4, first), "each once");
        }
    }
}
