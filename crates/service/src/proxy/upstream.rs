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

/// How a request may be made to an upstream.
pub(super) enum Turn {
    /// As always.
    Usual,
    /// It tries whether one that was left out is of use again.
    Trial(Trial),
}

/// A trial. Dropped before it is decided, because its client left or failed, it leaves the turn to the next request.
pub(super) struct Trial {
    upstream: Arc<Upstream>,
    /// What it set [`Upstream::out_until`] to; 0: it is decided.
    until: u64,
}

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

    /// Whether it was written in the same words.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.member == other.member && self.ejection == other.ejection
    }

    /// Milliseconds since its beginning, never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Whether active checks find it well, or there are none.
    pub(super) fn is_well(&self) -> bool {
        self.is_healthy.load(Ordering::Relaxed)
    }

    /// Whether it looks as if it might be asked now.
    pub(super) fn may_admit(&self) -> bool {
        let until = self.out_until.load(Ordering::Relaxed);
        self.is_well() && (until == 0 || self.now() >= until)
    }

    /// Whether it may be asked now. Of one that is left out, the first to ask when its time is over may: its trial decides.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Turn> {
        if !self.is_well() {
            return None;
        }
        let until = self.out_until.load(Ordering::Relaxed);
        let Some(ejection) = self.ejection.filter(|_| until != 0) else { return Some(Turn::Usual) };
        let now = self.now();
        let next = now.saturating_add(milliseconds(ejection.period));
        let is_first =
            now >= until && self.out_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        is_first.then(|| Turn::Trial(Trial { upstream: Arc::clone(self), until: next }))
    }

    /// Notes that it began a proper answer: it is left out no longer.
    pub(super) fn began(&self) {
        if self.out_until.load(Ordering::Relaxed) != 0 {
            // Beside `failed`, which decides and stores under the same lock.
            let _failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            self.out_until.store(0, Ordering::Relaxed);
            info!(upstream = %self.member.address, "the upstream is asked again");
        }
    }

    /// Notes that it answered to the end: failures before that do not count. One that begins each answer and breaks it off is
    /// left out all the same.
    pub(super) fn answered(&self) {
        if self.is_in_trouble.load(Ordering::Relaxed) {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.clear();
            self.is_in_trouble.store(false, Ordering::Relaxed);
            drop(failures);
            info!(upstream = %self.member.address, "the upstream answers again");
        }
    }

    /// Notes that a request failed there.
    pub(super) fn failed(&self, fault: &Fault) {
        self.figures.failures.one_more();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
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

impl Turn {
    /// Whatever comes of the request, its trial is over.
    pub(super) fn decide(&mut self) {
        if let Self::Trial(trial) = self {
            trial.until = 0;
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.until != 0 {
            // Long past: the next one to ask may. Where others have decided meanwhile, it stays as they said.
            let out_until = &self.upstream.out_until;
            let _ = out_until.compare_exchange(self.until, 1, Ordering::Relaxed, Ordering::Relaxed);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::Address;

    fn left_out() -> Arc<Upstream> {
        let member = Member::of(Address::parse("http://127.0.0.1:1").unwrap());
        let upstream = Arc::new(Upstream::new(member, Some(Ejection { failures: 1, ..Ejection::default() })));
        upstream.failed(&Fault::Closed);
        assert!(!upstream.may_admit() && upstream.admit().is_none());
        upstream
    }

    async fn a_period() {
        tokio::time::sleep(Ejection::default().period).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_is_dropped_leaves_its_turn_to_the_next() {
        let upstream = left_out();
        a_period().await;
        let trial = upstream.admit();
        assert!(matches!(trial, Some(Turn::Trial(_))) && upstream.admit().is_none(), "one at a time");
        drop(trial);
        let Some(mut trial) = upstream.admit() else { panic!("it is nobody's turn") };
        trial.decide();
        drop(trial);
        assert!(upstream.admit().is_none(), "a trial that is decided is over");
        a_period().await;
        let trial = upstream.admit();
        upstream.began();
        drop(trial);
        assert!(matches!(upstream.admit(), Some(Turn::Usual)), "what was decided meanwhile holds");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_ends_being_left_out_whatever_else_was_noted() {
        let upstream = left_out();
        // As where the failures of one worker and the answers of another come at the same time.
        upstream.answered();
        assert!(!upstream.is_in_trouble.load(Ordering::Relaxed) && upstream.admit().is_none());
        a_period().await;
        let trial = upstream.admit();
        upstream.began();
        drop(trial);
        assert!(matches!(upstream.admit(), Some(Turn::Usual)));
    }

    #[test]
    fn what_this_machine_lacks_is_no_fault_of_an_upstream() {
        use rustix::io::Errno;
        for (errno, expect) in [
            (Errno::MFILE, false),
            (Errno::NFILE, false),
            (Errno::ADDRNOTAVAIL, false),
            (Errno::AGAIN, false),
            (Errno::CONNREFUSED, true),
            (Errno::HOSTUNREACH, true),
        ] {
            assert_eq!(Fault::Connect(errno.into()).is_upstreams(), expect, "{errno}");
        }
    }
}
