//! The sender of forwarded mail, rewritten so that it passes SPF there and so that bounces come home: SRS, the Sender Rewriting
//! Scheme (M. S. Wong, 2003; no RFC, but what Postfix, Exim and others speak).
//!
//! `ada@example.net` forwarded by `example.org` becomes `SRS0=HASH=DAY=example.net=ada@example.org`; what another forwarder made so
//! becomes `SRS1=HASH=FORWARDER==…@example.org`, which names only the first of them, so that it grows no further. The hash is ours
//! (HMAC-SHA-256, cut to 60 bits): nobody can use us to reach an address that we have not rewritten, and each address is good for
//! [`DAYS`] days. Letters of either case mean the same, since others may change them. Reads no clock: days are given.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::address::{Address, Domain, Error};

/// How long a rewritten address is good for: longer than any queue tries.
pub const DAYS: u64 = 21;

/// Rewrites senders, and reads what it has rewritten.
#[derive(Clone)]
pub struct Srs {
    key: [u8; Srs::KEY],
}

/// Why an address is none that this server has rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// It is malformed.
    #[error("it is no address of SRS")]
    Form,
    /// It was made by somebody else, or changed.
    #[error("this server has not made it")]
    Hash,
    /// It is too old.
    #[error("it is older than {DAYS} days")]
    Old,
}

impl Srs {
    /// Bytes of a key.
    pub const KEY: usize = 32;

    /// With this key, which is a secret.
    pub const fn new(key: [u8; Self::KEY]) -> Self {
        Self { key }
    }

    /// Whether an address looks as if it were rewritten: then it is read by [`Srs::home`], and by nothing else.
    pub fn is_rewritten(address: &Address) -> bool {
        kind(address.local()).is_some()
    }

    /// The sender that goes out from `here` in place of this one; `today` is counted in days from any day that stays the same.
    ///
    /// # Errors
    /// When it becomes too long, or its domain is no name.
    pub fn rewritten(&self, sender: &Address, here: &Domain, today: u64) -> Result<Address, Error> {
        let local = match (kind(sender.local()), sender.domain()) {
            (_, Domain::Literal(_)) => return Err(Error::Domain),
            (None, Domain::Name(domain)) => {
                let (day, local) = (day_text(today), sender.local());
                let hash = self.hash(&[&day, domain, local]);
                format!("SRS0={hash}={day}={domain}={local}")
            }
            // What follows SRS0 begins with its separator, which the first forwarder chose.
            (Some((Kind::Zero, rest)), Domain::Name(domain)) => {
                let hash = self.hash(&[domain, rest]);
                format!("SRS1={hash}={domain}={rest}")
            }
            (Some((Kind::One, rest)), _) => {
                let (_, first, rest) = first_forwarder(rest).ok_or(Error::Local)?;
                let hash = self.hash(&[first, rest]);
                format!("SRS1={hash}={first}={rest}")
            }
        };
        Address::of(&local, here)
    }

    /// Where mail to a rewritten address goes: to the sender that it stands for, or to the forwarder before us.
    ///
    /// # Errors
    /// When this server has not made it lately.
    pub fn home(&self, rewritten: &Address, today: u64) -> Result<Address, NotOurs> {
        match kind(rewritten.local()).ok_or(NotOurs::Form)? {
            (Kind::Zero, rest) => {
                let mut parts = rest.get(1..).unwrap_or_default().splitn(4, '=');
                let mut part = || parts.next().ok_or(NotOurs::Form);
                let (hash, day, domain, local) = (part()?, part()?, part()?, part()?);
                self.check(hash, &[day, domain, local])?;
                let age = (today % CYCLE + CYCLE - day_number(day).ok_or(NotOurs::Form)?) % CYCLE;
                if age > DAYS {
                    return Err(NotOurs::Old);
                }
                address(local, domain)
            }
            (Kind::One, rest) => {
                let (hash, first, rest) = first_forwarder(rest).ok_or(NotOurs::Form)?;
                self.check(hash, &[first, rest])?;
                address(&format!("SRS0{rest}"), first)
            }
        }
    }

    fn check(&self, hash: &str, of: &[&str]) -> Result<(), NotOurs> {
        let expect = self.hash(of);
        let is_it: bool = expect.as_bytes().ct_eq(hash.to_ascii_uppercase().as_bytes()).into();
        if is_it { Ok(()) } else { Err(NotOurs::Hash) }
    }

    /// In capitals, of small letters.
    fn hash(&self, of: &[&str]) -> String {
        // Invariant: HMAC takes a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of 32 bytes");
        for part in of {
            mac.update(part.to_lowercase().as_bytes());
            // Stands in no part, so that no two lists of parts are hashed alike.
            mac.update(b"\n");
        }
        mac.finalize().into_bytes().iter().take(HASH).map(|byte| digit(u64::from(*byte))).collect()
    }
}

impl std::fmt::Debug for Srs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Srs")
    }
}

/// Letters of a hash, five bits each.
const HASH: usize = 12;
/// Days are counted round, in two letters.
const CYCLE: u64 = 32 * 32;
const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

enum Kind {
    Zero,
    One,
}

/// Which of the two it is, and what follows the word for it, the separator being part of it for `SRS0`.
fn kind(local: &str) -> Option<(Kind, &str)> {
    let (word, rest) = local.split_at_checked(4)?;
    // The scheme lets the first separator be one of these.
    if !rest.starts_with(['=', '-', '+']) {
        return None;
    }
    match word.to_ascii_uppercase().as_str() {
        "SRS0" => Some((Kind::Zero, rest)),
        "SRS1" => Some((Kind::One, rest.get(1..)?)),
        _ => None,
    }
}

/// The hash, the first forwarder, and what it made.
fn first_forwarder(rest: &str) -> Option<(&str, &str, &str)> {
    let (hash, rest) = rest.split_once('=')?;
    let (first, rest) = rest.split_once('=')?;
    rest.starts_with(['=', '-', '+']).then_some((hash, first, rest))
}

fn address(local: &str, domain: &str) -> Result<Address, NotOurs> {
    let domain = Domain::parse(domain.as_bytes()).map_err(|_| NotOurs::Form)?;
    Address::of(local, &domain).map_err(|_| NotOurs::Form)
}

fn day_text(day: u64) -> String {
    [day / 32, day].into_iter().map(digit).collect()
}

fn day_number(text: &str) -> Option<u64> {
    let value = |letter: u8| DIGITS.iter().position(|digit| *digit == letter.to_ascii_uppercase());
    match text.as_bytes() {
        [high, low] => u64::try_from(value(*high)? * 32 + value(*low)?).ok(),
        _ => None,
    }
}

fn digit(value: u64) -> char {
    let place = usize::try_from(value % 32).unwrap_or_default();
    DIGITS.get(place).map_or('A', |digit| char::from(*digit))
}

#[cfg(test)]
mod tests;
