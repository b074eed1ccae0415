//! The addresses of upstreams that are named: looked up in the background, and again when what was found is no longer valid.
//!
//! Asks as this machine is told to (`/etc/hosts`, `/etc/resolv.conf`), which is read anew for each look-up. What was found is used for
//! as long as nothing else is. A name that has no address is told once; requests for it are a 502 meanwhile. Bounded by
//! [`ADDRESSES_MOST`], and by one look-up at a time for each name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{info, warn};

use super::fault::Fault;

/// The addresses of one name; all workers look here.
#[derive(Debug)]
pub(super) struct Addresses {
    port: u16,
    /// `None`: not looked up yet.
    found: watch::Sender<Option<Arc<[SocketAddr]>>>,
}

/// The most addresses of a name that are used.
pub(super) const ADDRESSES_MOST: usize = 8;
/// How long what was found is used at least, and at most.
const VALID: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3_600));
/// How long to wait after a look-up that found nothing.
const AGAIN: Duration = Duration::from_secs(5);
/// How long a look-up may take.
const LOOK_UP: Duration = Duration::from_secs(15);

/// What a look-up found, and for how long.
pub(super) type Found = Result<(Vec<IpAddr>, Duration), String>;

impl Addresses {
    pub(super) fn new(port: u16) -> Self {
        Self { port, found: watch::Sender::new(None) }
    }

    /// The addresses; waits for the first look-up, but not for longer than until `until`.
    pub(super) async fn known(&self, until: Instant) -> Result<Arc<[SocketAddr]>, Fault> {
        let mut found = self.found.subscribe();
        let known = timeout_at(until, found.wait_for(Option::is_some)).await;
        let known = known.map_err(|_| Fault::ConnectTimeout)?.map_err(|_| Fault::Unresolved)?;
        match &*known {
            Some(addresses) if !addresses.is_empty() => Ok(Arc::clone(addresses)),
            _ => Err(Fault::Unresolved),
        }
    }

    /// Looks the name up once, and says when to do so again.
    pub(super) async fn refresh<F: Future<Output = Found>>(&self, name: &str, look_up: impl FnOnce() -> F) -> Duration {
        let found = timeout(LOOK_UP, look_up()).await.unwrap_or_else(|_| Err("nobody answered in time".to_owned()));
        let before = self.found.borrow().clone();
        let had_any = before.as_ref().is_some_and(|before| !before.is_empty());
        match found {
            Ok((addresses, valid)) if !addresses.is_empty() => {
                let address = |address| SocketAddr::new(address, self.port);
                let now: Arc<[SocketAddr]> = addresses.into_iter().take(ADDRESSES_MOST).map(address).collect();
                // Many servers give the same ones in another order each time.
                if before.is_none_or(|before| sorted(&before) != sorted(&now)) {
                    info!(name, addresses = ?now, "found an upstream's addresses");
                    self.found.send_replace(Some(now));
                }
                valid.clamp(VALID.0, VALID.1)
            }
            failed => {
                let why = failed.err().unwrap_or_else(|| "it has none".to_owned());
                if before.is_none() {
                    warn!(name, why, "an upstream's name has no address; requests for it are answered with 502");
                    self.found.send_replace(Some(Arc::from([])));
                } else if had_any {
                    info!(name, why, "an upstream's name was not found again; its last addresses are used");
                }
                AGAIN
            }
        }
    }
}

fn sorted(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut sorted = addresses.to_vec();
    sorted.sort_unstable();
    sorted
}

/// Asks as this machine is told to.
pub(super) async fn look_up(name: String) -> Found {
    let made = spawn_blocking(|| TokioResolver::builder_tokio().and_then(|builder| builder.build()));
    let resolver = match made.await {
        Ok(Ok(resolver)) => resolver,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(error) => return Err(error.to_string()),
    };
    let found = resolver.lookup_ip(name).await.map_err(|error| error.to_string())?;
    let valid = found.valid_until().saturating_duration_since(std::time::Instant::now());
    Ok((found.iter().collect(), valid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_found_is_used_until_something_else_is() {
        let addresses = Addresses::new(81);
        assert!(matches!(addresses.known(soon()).await, Err(Fault::ConnectTimeout)), "nothing was looked up yet");
        let find = async |found: Found| addresses.refresh("app", || async { found }).await;
        assert_eq!(find(Err("no".to_owned())).await, AGAIN);
        assert!(matches!(addresses.known(soon()).await, Err(Fault::Unresolved)));
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(find(Ok((vec![one], Duration::from_secs(30)))).await, Duration::from_secs(30));
        let expect: SocketAddr = "192.0.2.1:81".parse().unwrap();
        assert_eq!(addresses.known(soon()).await.unwrap()[..], [expect]);
        assert_eq!(find(Ok((vec![], Duration::from_secs(30)))).await, AGAIN);
        assert_eq!(addresses.known(soon()).await.unwrap()[..], [expect]);
        assert_eq!(find(Ok((vec![one; ADDRESSES_MOST + 1], Duration::ZERO))).await, VALID.0);
        assert_eq!(addresses.known(soon()).await.unwrap().len(), ADDRESSES_MOST);
        assert_eq!(find(Ok((vec![one], Duration::MAX))).await, VALID.1);
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        for order in [vec![one, other], vec![other, one]] {
            find(Ok((order, Duration::ZERO))).await;
            assert_eq!(addresses.known(soon()).await.unwrap()[0], expect, "another order is nothing new");
        }
    }

    #[tokio::test]
    async fn the_machines_own_table_is_asked() {
        let (found, _) = look_up("localhost".to_owned()).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    }
}
