//! The clock of one worker's proxied exchanges: deadlines in ticks, looked at once per tick.
//!
//! Setting a deadline is a store to memory: no timer is registered for a request. A deadline is met up to two ticks late, never
//! early by more than one. One task looks; it lives while anything is watched, and is dropped with the worker's other tasks.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sportello_net::deadline::TICK;
use tokio::task::spawn_local;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// A moment in ticks since the clock's beginning.
pub(super) type Tick = u32;

/// A number of ticks to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticks(Tick);

impl Ticks {
    /// Rounded up, at least one.
    pub(super) fn of(duration: Duration) -> Self {
        let ticks = duration.as_millis().div_ceil(TICK.as_millis()).max(1);
        Self(Tick::try_from(ticks).unwrap_or(Tick::MAX))
    }

    /// As a plain number.
    pub(super) fn count(self) -> Tick {
        self.0
    }
}

/// What is looked after beside deadlines, once a second.
pub(super) trait Tended {
    /// A second has passed.
    fn tend(&self, now: Tick);
}

/// The clock.
pub(super) struct Clock {
    began: Instant,
    now: Cell<Tick>,
    watched: RefCell<Vec<Option<Rc<Entry>>>>,
    free: RefCell<Vec<usize>>,
    tended: RefCell<Vec<Weak<dyn Tended>>>,
    runs: Cell<bool>,
}

struct Entry {
    /// When it is due; [`NEVER`] where nothing is waited for.
    due: Cell<Tick>,
    passed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

const NEVER: Tick = Tick::MAX;
/// Ticks from one tending to the next.
const TENDING: Tick = 10;

/// One deadline at a time, for one exchange after the other.
pub(super) struct Watch {
    clock: Rc<Clock>,
    entry: Rc<Entry>,
    key: usize,
}

impl Clock {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            began: Instant::now(),
            now: Cell::new(0),
            watched: RefCell::default(),
            free: RefCell::default(),
            tended: RefCell::default(),
            runs: Cell::new(false),
        })
    }

    /// The present tick.
    pub(super) fn now(&self) -> Tick {
        self.now.get()
    }

    /// Looks after `thing` for as long as it lives and anything is watched.
    pub(super) fn tend(&self, thing: Weak<dyn Tended>) {
        self.tended.borrow_mut().push(thing);
    }

    /// A new watch, with nothing to wait for.
    pub(super) fn watch(self: &Rc<Self>) -> Watch {
        if !self.runs.replace(true) {
            self.refresh();
            spawn_local(run(Rc::clone(self)));
        }
        let entry = Rc::new(Entry { due: Cell::new(NEVER), passed: Cell::new(false), waker: RefCell::default() });
        let mut watched = self.watched.borrow_mut();
        let key = self.free.borrow_mut().pop().unwrap_or(watched.len());
        match watched.get_mut(key) {
            Some(place) => *place = Some(Rc::clone(&entry)),
            None => watched.push(Some(Rc::clone(&entry))),
        }
        Watch { clock: Rc::clone(self), entry, key }
    }

    fn refresh(&self) {
        let ticks = self.began.elapsed().as_millis() / TICK.as_millis();
        self.now.set(Tick::try_from(ticks).unwrap_or(NEVER - 1));
    }

    fn look(&self) {
        self.refresh();
        let now = self.now.get();
        // Waking runs nothing yet, so nobody comes back here meanwhile.
        for entry in self.watched.borrow().iter().flatten() {
            if entry.due.get() <= now {
                entry.due.set(NEVER);
                entry.passed.set(true);
                if let Some(waker) = entry.waker.borrow_mut().take() {
                    waker.wake();
                }
            }
        }
    }

    fn tend_all(&self) {
        self.tended.borrow_mut().retain(|thing| thing.strong_count() > 0);
        let things: Vec<_> = self.tended.borrow().iter().filter_map(Weak::upgrade).collect();
        for thing in things {
            thing.tend(self.now.get());
        }
    }

    fn is_idle(&self) -> bool {
        self.free.borrow().len() == self.watched.borrow().len()
    }
}

async fn run(clock: Rc<Clock>) {
    let mut ticks = interval_at(Instant::now() + TICK, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut until_tending = TENDING;
    loop {
        ticks.tick().await;
        clock.look();
        until_tending = until_tending.saturating_sub(1);
        if until_tending == 0 {
            until_tending = TENDING;
            clock.tend_all();
        }
        if clock.is_idle() {
            clock.runs.set(false);
            return;
        }
    }
}

impl Watch {
    /// Waits for `ticks` from now on.
    pub(super) fn arm(&self, ticks: Ticks) {
        self.entry.due.set(self.clock.now.get().saturating_add(ticks.0).min(NEVER - 1));
        self.entry.passed.set(false);
    }

    /// The same, unless something is waited for already.
    pub(super) fn ensure(&self, ticks: Ticks) {
        if self.entry.due.get() == NEVER && !self.entry.passed.get() {
            self.arm(ticks);
        }
    }

    /// Whether nothing is waited for.
    pub(super) fn is_resting(&self) -> bool {
        self.entry.due.get() == NEVER && !self.entry.passed.get()
    }

    /// Waits for nothing.
    pub(super) fn disarm(&self) {
        self.entry.due.set(NEVER);
        self.entry.passed.set(false);
    }

    /// Ready when what was waited for is due.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.entry.passed.get() {
            return Poll::Ready(());
        }
        let mut waker = self.entry.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Forgets whom to wake.
    pub(super) fn rest(&self) {
        self.disarm();
        self.entry.waker.borrow_mut().take();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(place) = self.clock.watched.borrow_mut().get_mut(self.key) {
            *place = None;
        }
        self.clock.free.borrow_mut().push(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::task::LocalSet;
    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_passes_when_due_and_not_before() {
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                let clock = Clock::new();
                let watch = clock.watch();
                watch.arm(Ticks::of(Duration::from_secs(1)));
                let early = timeout(Duration::from_millis(800), poll_fn(|context| watch.poll(context))).await;
                assert!(early.is_err());
                timeout(Duration::from_millis(500), poll_fn(|context| watch.poll(context))).await.unwrap();
                watch.disarm();
                assert!(timeout(Duration::from_secs(9), poll_fn(|context| watch.poll(context))).await.is_err());
                watch.ensure(Ticks::of(Duration::from_secs(1)));
                watch.ensure(Ticks::of(Duration::from_secs(100)));
                timeout(Duration::from_secs(2), poll_fn(|context| watch.poll(context))).await.unwrap();
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_used_again_and_the_task_ends_with_the_last_watch() {
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                let clock = Clock::new();
                for _ in 0..3 {
                    drop((clock.watch(), clock.watch()));
                }
                assert_eq!(clock.watched.borrow().len(), 2);
                sleep(TICK * 3).await;
                assert!(!clock.runs.get());
                let watch = clock.watch();
                assert!(clock.runs.get() && clock.now() >= 1);
                drop(watch);
            })
            .await;
    }
}
