//! What the engine needs of the house around it.

use std::time::SystemTime;

use thiserror::Error;

use super::challenge::Proof;
use crate::certificates::Credential;
use crate::chance::Chance;
use crate::clock::Clock;

/// What the house cannot do now.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct HouseError(pub String);

/// How a set of names stands with its certificate.
#[derive(Clone)]
pub struct News {
    /// The names, as they were wanted.
    pub names: Vec<String>,
    /// What is to be shown for them from now on; without it, whatever was shown.
    pub credential: Option<Credential>,
    /// When the next order is to be made; in the past: as soon as may be.
    pub next: SystemTime,
    /// What went wrong last, if nothing went well since.
    pub trouble: Option<String>,
}

/// Keeps, shows, and proves. All futures are awaited on the engine's thread; dropping one says nothing of whether it was done.
pub trait House {
    /// What time it is.
    fn clock(&self) -> Clock;

    /// Chance.
    fn chance(&self) -> Chance {
        Chance::random()
    }

    /// All that is kept under names that begin with `prefix`.
    fn kept(&self, prefix: &str) -> impl Future<Output = Result<Vec<(String, Vec<u8>)>, HouseError>>;

    /// Keeps `bytes` as `name`, in the place of what was there; returns when they are on the disk.
    fn keep(&self, name: &str, bytes: Vec<u8>) -> impl Future<Output = Result<(), HouseError>>;

    /// Keeps nothing as `name` any more.
    fn forget(&self, name: &str) -> impl Future<Output = Result<(), HouseError>>;

    /// Uses what there is on every channel from now on, and tells people of it.
    fn tell(&self, news: Vec<News>);

    /// Makes a proof to be seen by everybody.
    fn prove(&self, proof: &Proof) -> impl Future<Output = Result<(), HouseError>>;

    /// Waits until all these proofs can be seen, as far as that can be known.
    fn until_seen(&self, proofs: &[Proof]) -> impl Future<Output = ()>;

    /// Takes it back, as well as may be.
    fn unprove(&self, proof: &Proof) -> impl Future<Output = ()>;
}
