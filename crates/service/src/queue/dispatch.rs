//! The dispatcher: looks for what is due, and begins a lane for it wherever there is room.
//!
//! It sleeps until the queue changes, a lane ends or has taken its part, or something becomes due. Each look begins at most
//! one lane of a destination, so that those with little come at once beside those with much.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sportello_store::Store;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, sleep_until};

use super::carrier::Carrier;
use super::figures::Figures;
use super::house::House;
use super::lanes::{self, Lanes};
use super::report::milliseconds;
use super::schedule::Schedule;
use super::trip;
use crate::clock::Clock;

/// How it dispatches.
#[derive(Clone, Debug)]
pub struct Settings {
    /// When what is tried.
    pub schedule: Schedule,
    /// The wall clock.
    pub clock: Clock,
}

/// Sends what is in the queue.
pub struct Dispatcher<C: Carrier, H: House>(Rc<Shared<C, H>>);

/// What all lanes share; on one thread.
pub(super) struct Shared<C: Carrier, H> {
    pub(super) store: Store,
    pub(super) carrier: C,
    pub(super) house: H,
    pub(super) settings: Settings,
    pub(super) figures: Arc<Figures>,
    pub(super) lanes: RefCell<Lanes<C::Kept>>,
    /// Something ended, or there may be more to begin.
    pub(super) wake: Notify,
    pub(super) is_stopping: Cell<bool>,
    is_attending: Cell<bool>,
    /// Until when it sleeps; `None` while it looks.
    #[cfg(test)]
    pub(super) sleeps_until: Cell<Option<Instant>>,
}

/// How long to wait after a failure of the store.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
/// It looks at least so often: the wall clock may leap.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

impl<C: Carrier + 'static, H: House + 'static> Dispatcher<C, H> {
    /// One that is not running yet.
    pub fn new(store: Store, carrier: C, house: H, settings: Settings, figures: Arc<Figures>) -> Self {
        store.attend_after(settings.schedule.first_look());
        Self(Rc::new(Shared {
            store,
            carrier,
            house,
            settings,
            figures,
            lanes: RefCell::new(Lanes::new()),
            wake: Notify::new(),
            is_stopping: Cell::new(false),
            is_attending: Cell::new(false),
            #[cfg(test)]
            sleeps_until: Cell::new(None),
        }))
    }

    /// Sends until `stop` resolves; then begins nothing more and returns when what was begun has ended.
    ///
    /// Dropping this future drops what is being tried: another server may have taken it, and the next start sends it again
    /// (RFC 5321 §6.1 allows that).
    pub async fn run(self, stop: impl Future<Output = ()>) {
        LocalSet::new().run_until(self.0.dispatch(stop)).await;
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> Rc<Shared<C, H>> {
        Rc::clone(&self.0)
    }
}

impl<C: Carrier + 'static, H: House + 'static> Shared<C, H> {
    async fn dispatch(self: Rc<Self>, stop: impl Future<Output = ()>) {
        let mut changes = self.store.queue_changes();
        tokio::pin!(stop);
        while !self.is_stopping.get() {
            changes.mark_unchanged();
            let look = Rc::clone(&self).look();
            let until = tokio::select! {
                () = &mut stop => break,
                until = look => until,
            };
            #[cfg(test)]
            self.sleeps_until.set(Some(until));
            tokio::select! {
                () = &mut stop => break,
                changed = changes.changed() => if changed.is_err() { break },
                () = self.wake.notified() => {}
                () = sleep_until(until) => {}
            }
            #[cfg(test)]
            self.sleeps_until.set(None);
        }
        self.is_stopping.set(true);
        while self.lanes.borrow().active() > 0 || self.is_attending.get() {
            self.wake.notified().await;
        }
        loop {
            let Some(kept) = self.lanes.borrow_mut().over(None) else { break };
            self.carrier.part(kept).await;
        }
    }

    /// Begins what may begin; until when nothing else does by itself.
    async fn look(self: Rc<Self>) -> Instant {
        let now_ms = self.now_ms();
        self.part_from_idle();
        // As many as there are lanes may all be busy; one more is not.
        let due = match self.store.queue_due(now_ms, lanes::MOST + 1).await {
            Ok(due) => due,
            Err(why) => {
                tracing::error!(%why, "the queue cannot be read");
                return Instant::now() + AGAIN;
            }
        };
        for one in due.destinations {
            if !self.lanes.borrow().has_room() {
                break;
            }
            if self.lanes.borrow_mut().begin(&one.destination, one.failures) {
                spawn_local(trip::lane(Rc::clone(&self), one.destination, one.failures));
            }
        }
        if due.attention_ms.is_some_and(|at| at <= now_ms) && !self.is_attending.replace(true) {
            spawn_local(Rc::clone(&self).attend());
        }
        let later = |ms: Option<u64>| ms.filter(|ms| *ms > now_ms).map(|ms| Duration::from_millis(ms - now_ms));
        let wait = [later(due.next_ms), later(due.attention_ms), Some(LONGEST_SLEEP)].into_iter().flatten().min();
        let until = Instant::now() + wait.unwrap_or(LONGEST_SLEEP);
        self.lanes.borrow().kept_until().map_or(until, |kept| until.min(kept))
    }

    /// Looks at entries that wait too long.
    async fn attend(self: Rc<Self>) {
        if let Err(why) = trip::attend(&self).await {
            tracing::error!(%why, "what waits too long in the queue cannot be looked at");
            sleep(AGAIN).await;
        }
        self.is_attending.set(false);
        self.wake.notify_one();
    }

    /// Takes leave of connections that nobody used.
    fn part_from_idle(self: &Rc<Self>) {
        loop {
            let Some(kept) = self.lanes.borrow_mut().over(Some(Instant::now())) else { break };
            let shared = Rc::clone(self);
            spawn_local(async move { shared.carrier.part(kept).await });
        }
    }

    #[cfg(test)]
    pub(super) fn is_attending(&self) -> bool {
        self.is_attending.get()
    }

    pub(super) fn now_ms(&self) -> u64 {
        milliseconds(self.settings.clock.now())
    }
}
