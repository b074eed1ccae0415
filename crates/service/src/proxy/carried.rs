//! What upstreams take with them into other settings: whether they are left out, what was counted, who is under way.
//!
//! An upstream is the same where it is written in the same words and its health is asked in the same way: two ways to ask, one for the
//! requests that still go by the settings of before, would contradict each other. Changes nothing of what was before, so that settings
//! which are refused in the end leave no trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::{Host, Settings, Upstreams};

impl Upstreams {
    /// Whether one of these upstreams is among those.
    pub fn shares_with(&self, other: &Self) -> bool {
        self.all.iter().any(|upstream| other.all.iter().any(|its| upstream.is_same(its)))
    }

    /// The upstreams of these settings, those that were there before with all that is known of them.
    #[must_use]
    pub fn going_on(&self, before: &Self) -> Arc<Self> {
        let mut left = if asks_alike(&self.settings, &before.settings) { before.all.clone() } else { Vec::new() };
        let mut all = self.all.clone();
        for upstream in &mut all {
            // Each of before goes on once: one that is written twice is two.
            if let Some(known) = left.iter().position(|known| known.is_same(upstream)) {
                *upstream = left.swap_remove(known);
            }
        }
        let is_bound_alike = self.settings.requests_most == before.settings.requests_most;
        Arc::new(Self {
            settings: self.settings.clone(),
            all,
            // Tunnels outlive many settings: they count for as long as they are open.
            places: Arc::clone(if is_bound_alike { &before.places } else { &self.places }),
            tunnels: Arc::clone(&before.tunnels),
            proxies: AtomicU64::new(0),
            is_kept: AtomicBool::new(false),
        })
    }
}

/// Whether upstreams are asked in the same way whether they are well.
fn asks_alike(one: &Settings, other: &Settings) -> bool {
    let host = |settings: &Settings| match &settings.host {
        Host::Fixed(host) => Some(host.clone()),
        Host::Client | Host::Upstream => None,
    };
    one.health == other.health && (one.health.is_none() || host(one) == host(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::fault::Fault;
    use crate::proxy::{Address, Ejection, Health, Member};

    fn settings(addresses: &[&str]) -> Settings {
        let mut settings = Settings::of(addresses.iter().map(|address| Address::parse(address).unwrap()));
        settings.ejection = Some(Ejection { failures: 1, ..Ejection::default() });
        settings
    }

    fn admitted(upstreams: &Upstreams) -> Vec<bool> {
        upstreams.all.iter().map(|upstream| upstream.may_admit()).collect()
    }

    /// Two upstreams, of which the second is left out.
    fn before() -> Arc<Upstreams> {
        let before = Upstreams::new(settings(&["http://127.0.0.1:1", "http://127.0.0.1:2"]));
        before.all[1].failed(&Fault::Closed);
        assert_eq!(admitted(&before), [true, false]);
        before
    }

    #[tokio::test]
    async fn who_is_written_as_before_goes_on_as_it_was() {
        let before = before();
        let two = "http://127.0.0.1:2";
        let change = |change: fn(&mut Settings)| {
            let mut settings = settings(&[two]);
            change(&mut settings);
            settings
        };
        for (then, expect) in [
            (settings(&["http://127.0.0.1:3", two]), vec![true, false]),
            (settings(&[two, two]), vec![false, true]),
            (change(|settings| settings.tries = 1), vec![false]),
            (change(|settings| settings.host = Host::Fixed("a".into())), vec![false]),
            (change(|settings| settings.ejection = None), vec![true]),
            (change(|settings| settings.upstreams[0].weight = 2), vec![true]),
            (change(|settings| settings.health = Some(Health::of("/"))), vec![true]),
            (
                change(|settings| settings.upstreams[0] = Member::of(Address::parse("http://[::1]:2").unwrap())),
                vec![true],
            ),
        ] {
            let then = Upstreams::new(then);
            let told = then.told();
            let next = then.going_on(&before);
            assert_eq!((admitted(&next), next.told()), (expect, told));
        }
        assert_eq!(admitted(&before), [true, false]);
    }

    #[tokio::test]
    async fn requests_under_way_count_for_as_long_as_their_bound_stays() {
        let before = before();
        let taken = before.places.try_acquire().unwrap();
        let next = |most: usize| {
            let settings = Settings { requests_most: most, ..settings(&["http://127.0.0.1:1"]) };
            Upstreams::new(settings).going_on(&before).places.available_permits()
        };
        let most = before.settings.requests_most;
        assert_eq!((next(most), next(most + 1)), (most - 1, most + 1));
        drop(taken);
    }
}
