//! A house of ours: keeps in memory, shows what one can look at, and proves to the stub.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::certificates::Credential;
use crate::certificates::acme::{Chance, Clock, House, HouseError, News, Proof};

#[derive(Clone)]
pub(super) struct Home {
    state: Arc<Mutex<State>>,
    began: Instant,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) kept: BTreeMap<String, Vec<u8>>,
    /// Whether the disk is full.
    pub(super) is_full: bool,
    pub(super) shown: HashMap<String, Credential>,
    /// By name, when the next order is to be, and what went wrong.
    pub(super) told: HashMap<String, (SystemTime, Option<String>)>,
    /// What can be seen now.
    pub(super) proofs: Vec<Proof>,
    /// What was ever shown.
    pub(super) history: Vec<Proof>,
    /// Names that cannot be proved.
    pub(super) broken: Vec<String>,
}

impl Home {
    pub(super) fn new() -> Self {
        Self { state: Arc::default(), began: Instant::now() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How long it has been since the beginning.
    pub(super) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// What people are told of a name.
    pub(super) fn trouble(&self, name: &str) -> Option<String> {
        self.state().told.get(name).and_then(|(_, trouble)| trouble.clone())
    }

    pub(super) fn until(&self, name: &str) -> Option<SystemTime> {
        self.state().shown.get(name).map(|credential| credential.facts().not_after)
    }
}

impl House for Home {
    fn clock(&self) -> Clock {
        let (base, began) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), self.began);
        Clock::of(move || base + began.elapsed())
    }

    fn chance(&self) -> Chance {
        Chance::LEAST
    }

    async fn kept(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, HouseError> {
        let state = self.state();
        let rows = state.kept.iter().filter(|(name, _)| name.starts_with(prefix));
        Ok(rows.map(|(name, bytes)| (name.clone(), bytes.clone())).collect())
    }

    async fn keep(&self, name: &str, bytes: Vec<u8>) -> Result<(), HouseError> {
        let mut state = self.state();
        if state.is_full {
            return Err(HouseError("the disk is full".to_owned()));
        }
        state.kept.insert(name.to_owned(), bytes);
        Ok(())
    }

    async fn forget(&self, name: &str) -> Result<(), HouseError> {
        self.state().kept.remove(name);
        Ok(())
    }

    fn tell(&self, news: Vec<News>) {
        let mut state = self.state();
        for news in news {
            for name in news.names {
                if let Some(credential) = &news.credential {
                    state.shown.insert(name.to_ascii_lowercase(), credential.clone());
                }
                state.told.insert(name.to_ascii_lowercase(), (news.next, news.trouble.clone()));
            }
        }
    }

    async fn prove(&self, proof: &Proof) -> Result<(), HouseError> {
        let mut state = self.state();
        state.history.push(proof.clone());
        if state.broken.contains(&proof.name) {
            return Err(HouseError("the program says no".to_owned()));
        }
        state.proofs.push(proof.clone());
        Ok(())
    }

    async fn until_seen(&self, proofs: &[Proof]) {
        let state = self.state();
        assert!(proofs.iter().all(|proof| state.proofs.contains(proof)));
    }

    async fn unprove(&self, proof: &Proof) {
        self.state().proofs.retain(|shown| shown != proof);
    }
}
