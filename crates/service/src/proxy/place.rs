//! Requests that one proxy passes on at once, over all workers.
//!
//! Each takes a connection of its own to an upstream, and over HTTP/2 one client asks for many at once: without a bound a few clients could
//! take every descriptor of the process. A tunnel counts for as long as it is open. Who finds no place waits as long as for a connection.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Upstreams;
use super::fault::Fault;
use super::upstream::UnderWay;

/// The place of one request, until it is dropped.
pub(super) struct Place(Arc<Semaphore>);

/// What a request takes until its answer has ended: its place, and where loads are counted, a share of its upstream's.
pub(super) struct Lease {
    pub(super) _place: Place,
    pub(super) _under_way: Option<UnderWay>,
}

impl Place {
    /// The next one. Dropping the future leaves all to others.
    pub(super) async fn of(upstreams: &Arc<Upstreams>) -> Result<Self, Fault> {
        let places = &upstreams.places;
        let permit = match places.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                let waited = timeout(upstreams.settings.timeouts.connect, places.acquire()).await;
                waited.map_err(|_| Fault::Full)?.map_err(|_| Fault::Full)?
            }
        };
        permit.forget();
        Ok(Self(Arc::clone(places)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}
