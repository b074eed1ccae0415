//! Asks upstreams whether they are well, so that requests need not find out.
//!
//! One task for each proxy in the whole process, on one of its workers, asks all of its upstreams side by side and looks up their names.
//! Bounded by one question at a time for each upstream, each with its timeout.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use sportello_wire::http1::client::{Announced, RequestHead};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::address::{Place, Version};
use super::exchange::{Exchange, Waits};
use super::fault::Fault;
use super::intake::Intake;
use super::pool::Conn;
use super::settings::{Host, Timeouts};
use super::ticks::Clock;
use super::upload::Upload;
use super::upstream::Upstream;
use super::{Upstreams, dial, http2, names};
use crate::web::Incoming;

/// How upstreams are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Path and query to ask for: visible ASCII that begins with a slash.
    pub target: Bytes,
    /// From one question to the next.
    pub every: Duration,
    /// How long an answer may take.
    pub within: Duration,
    /// The status that is well; without one, 200 to 399.
    pub status: Option<u16>,
    /// Good answers in a row that make an upstream well again.
    pub rise: u16,
    /// Bad ones in a row that make it unwell.
    pub fall: u16,
}

/// The tasks that keep one proxy's knowledge fresh; they end when it is dropped.
pub(super) struct Keeper {
    upstreams: Arc<Upstreams>,
    tasks: Vec<JoinHandle<()>>,
}

impl Keeper {
    /// Begins, unless it is done on another worker already. To be called where tasks can be spawned.
    pub(super) fn begin(upstreams: &Arc<Upstreams>) -> Option<Self> {
        if upstreams.is_kept.swap(true, Ordering::Relaxed) {
            return None;
        }
        let mut tasks = Vec::new();
        for upstream in &upstreams.all {
            if let Place::Name(name, _) = &upstream.member.address.place {
                tasks.push(spawn_local(look_up(Arc::downgrade(upstream), name.clone())));
            }
            if let Some(health) = &upstreams.settings.health {
                let host = match &upstreams.settings.host {
                    Host::Fixed(host) => host.clone(),
                    Host::Client | Host::Upstream => {
                        Bytes::copy_from_slice(upstream.member.address.authority().as_bytes())
                    }
                };
                tasks.push(spawn_local(check(Arc::downgrade(upstream), health.clone(), host)));
            }
        }
        Some(Self { upstreams: Arc::clone(upstreams), tasks })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        // Whoever serves it next takes over.
        self.upstreams.is_kept.store(false, Ordering::Relaxed);
    }
}

async fn look_up(upstream: Weak<Upstream>, name: String) {
    loop {
        let Some(upstream) = upstream.upgrade() else { return };
        let Some(addresses) = &upstream.addresses else { return };
        let again = addresses.refresh(&name, || names::look_up(name.clone())).await;
        drop(upstream);
        sleep(again).await;
    }
}

async fn check(upstream: Weak<Upstream>, health: Health, host: Bytes) {
    let (clock, intake) = (Clock::new(), Rc::new(Intake::new()));
    let (good, bad) = (Cell::new(0u16), Cell::new(0u16));
    loop {
        let Some(upstream) = upstream.upgrade() else { return };
        let asked = timeout(health.within, ask(&upstream, &health, &host, &clock, &intake)).await;
        match asked.unwrap_or(Err(Fault::HeadTimeout)) {
            Ok(status) if health.is_good(status) => {
                bad.set(0);
                good.set(good.get().saturating_add(1));
                if good.get() >= health.rise {
                    upstream.found_well();
                }
            }
            outcome => {
                good.set(0);
                bad.set(bad.get().saturating_add(1));
                if bad.get() >= health.fall {
                    upstream.found_unwell(&outcome);
                }
            }
        }
        drop(upstream);
        sleep(health.every).await;
    }
}

/// The status of its answer.
async fn ask(
    upstream: &Upstream,
    health: &Health,
    host: &[u8],
    clock: &Rc<Clock>,
    intake: &Rc<Intake>,
) -> Result<u16, Fault> {
    if upstream.member.address.version == Version::Two {
        return http2::ask(upstream, health, host, clock).await;
    }
    let stream = dial::dial(upstream, health.within).await?;
    let mut upload = Box::new(Upload::new(Incoming::Empty, Announced::Nothing));
    let mut bytes = Vec::new();
    let mut head = RequestHead::begin(&mut bytes, b"GET", &health.target, None, host)?;
    head.field("user-agent", b"sportello")?;
    head.field("connection", b"close")?;
    head.end();
    upload.begin(bytes);
    let timeouts = Timeouts { head: health.within, between: health.within, ..Timeouts::default() };
    let conn = Conn { stream, watch: clock.watch() };
    let mut exchange = Exchange { conn, upload, intake: Rc::clone(intake), waits: Waits::of(&timeouts) };
    let heard = exchange.head().await.map_err(|failed| failed.fault)?;
    Ok(heard.head().status)
}

impl Health {
    /// Asks for this, all else as it is usual.
    pub fn of(target: impl Into<Bytes>) -> Self {
        let (every, within) = (Duration::from_secs(10), Duration::from_secs(5));
        Self { target: target.into(), every, within, status: None, rise: 2, fall: 3 }
    }

    fn is_good(&self, status: u16) -> bool {
        self.status.map_or((200..400).contains(&status), |wanted| status == wanted)
    }
}
