//! One upstream as all workers see it: whether it is up, how much it has to do, where it is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::address::Place;
use super::fault::Fault;
use super::figures::Figures;
use super::names::Addresses;
use super::settings::{Ejection, Member};
use crate::picture::UpstreamView;

/// One upstream.
pub(super) struct Upstream {
    pub(super) member: Member,
    /// Its address, for people.
    pub(super) told: Arc<str>,
    pub(super) figures: Figures,
    /// Where it is named.
    pub(super) addresses: Option<Addresses>,
    ejection: Option<Ejection>,
    began: Instant,
    /// Requests under way, where the balance asks for it.
    under_way: AtomicU32,
    /// What active checks found.
    is_healthy: AtomicBool,
    /// Until when it is left out because requests failed; 0: it is not. Milliseconds since `began`.
    out_until: AtomicU64,
    /// When requests failed lately.
    failures: Mutex<VecDeque<u64>>,
    /// Whether the last request failed there, so that it is told once.
    is_in_trouble: AtomicBool,
}

/// One request under way.
pub(super) struct UnderWay(Arc<Upstream>);

impl Upstream {
    pub(super) fn new(member: Member, ejection: Option<Ejection>) -> Self {
        let addresses = match member.address.place {
            Place::Name(_, port) => Some(Addresses::new(port)),
            Place::Socket(_) | Place::Unix(_) => None,
        };
        Self {
            told: member.address.to_string().into(),
            member,
            figures: Figures::default(),
            addresses,
            ejection,
            began: Instant::now(),
            under_way: AtomicU32::new(0),
            is_healthy: AtomicBool::new(true),
            out_until: AtomicU64::new(0),
            failures: Mutex::default(),
            is_in_trouble: AtomicBool::new(false),
        }
    }

    /// Milliseconds since its beginning, never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Whether it looks as if it might be asked now.
    pub(super) fn may_admit(&self) -> bool {
        let until = self.out_until.load(Ordering::Relaxed);
        self.is_healthy.load(Ordering::Relaxed) && (until == 0 || self.now() >= until)
    }

    /// Whether it may be asked now. Of one that is left out, the first to ask when its time is over may: its trial decides.
    pub(super) fn admits(&self) -> bool {
        if !self.is_healthy.load(Ordering::Relaxed) {
            return false;
        }
        let until = self.out_until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let (now, Some(ejection)) = (self.now(), self.ejection) else { return true };
        let next = now.saturating_add(milliseconds(ejection.period));
        now >= until && self.out_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Notes that it began a proper answer.
    pub(super) fn succeeded(&self) {
        if self.is_in_trouble.load(Ordering::Relaxed) {
            self.is_in_trouble.store(false, Ordering::Relaxed);
            self.failures.lock().unwrap_or_else(PoisonError::into_inner).clear();
            self.out_until.store(0, Ordering::Relaxed);
            info!(upstream = %self.member.address, "the upstream answers again");
        }
    }

    /// Notes that a request failed there.
    pub(super) fn failed(&self, fault: &Fault) {
        if !fault.is_upstreams() {
            return;
        }
        self.figures.failures.one_more();
        if !self.is_in_trouble.swap(true, Ordering::Relaxed) {
            let source = std::error::Error::source(fault).map(ToString::to_string).unwrap_or_default();
            warn!(upstream = %self.member.address, %fault, source, "a request failed at an upstream");
        }
        let Some(ejection) = self.ejection else { return };
        let now = self.now();
        let out_until = now.saturating_add(milliseconds(ejection.period));
        if self.out_until.load(Ordering::Relaxed) != 0 {
            // The trial failed.
            return self.out_until.store(out_until, Ordering::Relaxed);
        }
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.push_back(now);
        while failures.len() > usize::from(ejection.failures.max(1)) {
            failures.pop_front();
        }
        let since = now.saturating_sub(milliseconds(ejection.within));
        let are_close = failures.front().is_some_and(|first| *first >= since);
        if failures.len() == usize::from(ejection.failures.max(1)) && are_close {
            failures.clear();
            self.figures.ejections.one_more();
            self.out_until.store(out_until, Ordering::Relaxed);
            warn!(upstream = %self.member.address, seconds = ejection.period.as_secs(), "the upstream is left out for a while");
        }
    }

    /// Notes that it answers as it should.
    pub(super) fn found_well(&self) {
        if !self.is_healthy.swap(true, Ordering::Relaxed) {
            info!(upstream = %self.member.address, "the upstream is well again");
        }
    }

    /// Notes that it does not answer as it should.
    pub(super) fn found_unwell(&self, outcome: &Result<u16, Fault>) {
        if self.is_healthy.swap(false, Ordering::Relaxed) {
            let why = match outcome {
                Ok(status) => format!("it answers {status}"),
                Err(fault) => fault.to_string(),
            };
            warn!(upstream = %self.member.address, why, "the upstream is not well; it is left out");
        }
    }

    /// How it is, and what was asked of it.
    pub(super) fn view(&self, site: &str) -> UpstreamView {
        let figures = &self.figures;
        UpstreamView {
            site: site.to_owned(),
            upstream: self.told.to_string(),
            is_up: self.may_admit(),
            requests: figures.requests.total(),
            connections: figures.connections.total(),
            failures: figures.failures.total(),
            retries: figures.retries.total(),
            ejections: figures.ejections.total(),
            tunnels: 0,
        }
    }

    /// Requests under way there.
    pub(super) fn load(&self) -> u32 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Counts one request until what is given back is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
