//! What a domain says of its mail servers by MTA-STS (RFC 8461): its record, its policy, and how long that holds.
//!
//! A policy is asked for only where the record names another one than is kept, and is kept in the store until it expires, so that taking the record
//! away, or keeping the policy from us, changes nothing before. Bounded by: [`POLICY_MOST`] bytes of a policy, [`KEPT_MOST`] policies that are kept, one try in [`AGAIN`]
//! where one cannot be had, and the agent's times.

mod policy;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sportello_store::Store;
use tracing::{debug, warn};

pub(super) use self::policy::{Mode, Policy};
use super::lookup::records;
use crate::dns::{Dns, Kind, Record};

/// The policies.
pub(super) struct Policies {
    store: Option<Store>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is known; `None`: the store has nothing either.
    known: HashMap<String, Option<Kept>>,
    /// Which policies could not be had, and when that was tried.
    failed: HashMap<String, (String, SystemTime)>,
}

/// A policy as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// Which one it is, as the record says.
    id: String,
    /// As the domain wrote it.
    text: String,
    /// Until when it holds, in seconds of Unix time.
    until: u64,
}

/// Fetches the text of a policy from `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`.
pub(super) trait Fetch {
    async fn fetch(&self, domain: &str) -> Result<Vec<u8>, String>;
}

/// RFC 8461 §3.2: a policy is small; this is the most that it asks to be taken.
pub(super) const POLICY_MOST: usize = 64 * 1024;
/// How long to wait before a policy is asked for that could not be had (RFC 8461 §3.3 suggests at least five minutes).
const AGAIN: Duration = Duration::from_secs(300);
/// Policies that are kept, in memory and in the store; beyond it they are used and not kept.
const KEPT_MOST: usize = 10_000;

impl Policies {
    /// Kept in this store; without one, only for as long as this lives.
    pub(super) fn new(store: Option<Store>) -> Self {
        Self { store, state: Mutex::default() }
    }

    /// What holds for a domain at this time; `None`: it has no policy.
    pub(super) async fn of(&self, domain: &str, dns: &dyn Dns, fetch: &impl Fetch, now: SystemTime) -> Option<Policy> {
        let kept = self.kept(domain).await.filter(|kept| kept.until > seconds(now));
        let kept_policy = || kept.as_ref().and_then(|kept| Policy::parse(kept.text.as_bytes()).ok());
        // RFC 8461 §3.1 and §5.1: without a record, or with two, what is kept goes on to hold.
        let Some(id) = record(domain, dns).await else { return kept_policy() };
        if kept.as_ref().is_some_and(|kept| kept.id == id) || self.failed_lately(domain, &id, now) {
            return kept_policy();
        }
        let fetched = fetch.fetch(domain).await.and_then(|text| {
            let policy = Policy::parse(&text).map_err(|error| error.to_string())?;
            Ok((policy, String::from_utf8_lossy(&text).into_owned()))
        });
        match fetched {
            Ok((policy, text)) => {
                debug!(domain, id, ?policy, "has an MTA-STS policy");
                self.keep(domain, Kept { id, text, until: seconds(now).saturating_add(policy.max_age) }).await;
                Some(policy)
            }
            Err(error) => {
                warn!(domain, error, "its MTA-STS policy cannot be had");
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.failed.retain(|_, (_, at)| now.duration_since(*at).is_ok_and(|passed| passed < AGAIN));
                if state.failed.len() < KEPT_MOST {
                    state.failed.insert(domain.to_owned(), (id, now));
                }
                drop(state);
                kept_policy()
            }
        }
    }

    fn failed_lately(&self, domain: &str, id: &str, now: SystemTime) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_late = |at: &SystemTime| now.duration_since(*at).is_ok_and(|passed| passed < AGAIN);
        state.failed.get(domain).is_some_and(|(failed, at)| failed == id && is_late(at))
    }

    async fn kept(&self, domain: &str) -> Option<Kept> {
        if let Some(known) = self.state.lock().unwrap_or_else(PoisonError::into_inner).known.get(domain) {
            return known.clone();
        }
        let kept = match &self.store {
            Some(store) => store.secret(&row(domain)).await.ok().flatten(),
            None => None,
        };
        let kept: Option<Kept> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        self.remember(domain, kept.clone());
        kept
    }

    async fn keep(&self, domain: &str, kept: Kept) {
        self.remember(domain, Some(kept.clone()));
        let (Some(store), Ok(bytes)) = (&self.store, serde_json::to_vec(&kept)) else { return };
        let rows = store.secret_names(PREFIX).await.map_or(0, |names| names.len());
        if rows < KEPT_MOST
            && let Err(error) = store.keep_secret(&row(domain), bytes).await
        {
            warn!(domain, %error, "its MTA-STS policy is not kept, and holds until this server stops");
        }
    }

    fn remember(&self, domain: &str, kept: Option<Kept>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.known.len() >= KEPT_MOST {
            state.known.clear();
        }
        state.known.insert(domain.to_owned(), kept);
    }
}

/// What names of rows begin with.
const PREFIX: &str = "mta-sts/";

fn row(domain: &str) -> String {
    format!("{PREFIX}{domain}")
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

/// Which policy a domain has, by its record (RFC 8461 §3.1).
async fn record(domain: &str, dns: &dyn Dns) -> Option<String> {
    let found = records(dns, &format!("_mta-sts.{domain}"), Kind::Txt).await.ok()?;
    let texts = found
        .records
        .iter()
        .filter_map(|record| if let Record::Txt(text) = record { Some(text.as_slice()) } else { None });
    let mut named = texts.filter(|text| policy::is_record(text));
    match (named.next(), named.next()) {
        (Some(record), None) => policy::id(record),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
