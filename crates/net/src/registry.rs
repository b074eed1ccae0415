//! What a worker knows of its open connections: enough to show, to time out and to close each.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::channel::Channel;
use crate::connection::{Credentials, UNIX_PEER};
use crate::counters::WorkerCounters;
use crate::deadline::{TICK, Tick};
use crate::lane::Lane;
use crate::tcp_info::TcpInfo;
use crate::tls::Secured;

/// One open connection, as its worker sees it from outside.
#[derive(Clone, Debug)]
pub struct ConnectionReport {
    /// Its id, unique in this process.
    pub id: u64,
    /// Its channel.
    pub channel: Arc<Channel>,
    /// The worker that holds it, from 0.
    pub worker: usize,
    /// The client; [`UNIX_PEER`] when it came over a Unix socket.
    pub peer: SocketAddr,
    /// Which process and user it is, when it came over a Unix socket.
    pub credentials: Option<Credentials>,
    /// How it is encrypted, where it is.
    pub secured: Option<Arc<Secured>>,
    /// Since when it is open.
    pub age: Duration,
    /// Since when no byte went either way.
    pub idle: Duration,
    /// Whether a request is under way on it.
    pub in_request: bool,
    /// What it is doing.
    pub doing: String,
    /// The name it gave itself.
    pub name: String,
    /// Requests answered on it.
    pub requests: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// What the kernel says of it.
    pub tcp: Option<TcpInfo>,
}

/// How far a worker is in stopping, or a channel in being taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It accepts and serves.
    Serving,
    /// It finishes what is in flight.
    Draining,
    /// The grace is over: whoever waits is told so.
    Over,
}

/// The part of a connection that its worker may look at and prod.
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) lane: Rc<Lane>,
    pub(crate) peer: Cell<SocketAddr>,
    is_of_unix: bool,
    pub(crate) socket: RawFd,
    pub(crate) requests: Cell<u64>,
    pub(crate) bytes_in: Cell<u64>,
    pub(crate) bytes_out: Cell<u64>,
    pub(crate) killed: Cell<bool>,
    /// When the wait under way is over; 0 while there is none.
    due: Cell<Tick>,
    /// Whether `due` has passed.
    expired: Cell<bool>,
    waker: Cell<Option<Waker>>,
    /// Whether it waits for a next request, or only for its end.
    pub(crate) between: Cell<bool>,
    opened: Tick,
    active: Cell<Tick>,
    labels: Cell<Option<Box<Labels>>>,
}

/// What people read of a connection. Most are idle HTTP connections, of which there is nothing to say.
#[derive(Default)]
struct Labels {
    name: String,
    doing: Doing,
    /// How it is encrypted; this stays.
    secured: Option<Arc<Secured>>,
}

/// Bytes that are kept of what a connection is doing.
const DOING_MOST: usize = 64;

/// What a connection is doing, without memory of its own: it is said for each request that waits for something.
struct Doing {
    text: [u8; DOING_MOST],
    length: usize,
}

impl Doing {
    fn clear(&mut self) {
        self.length = 0;
    }

    fn text(&self) -> &str {
        // Whole characters were written.
        self.text.get(..self.length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

impl Default for Doing {
    fn default() -> Self {
        Self { text: [0; DOING_MOST], length: 0 }
    }
}

impl fmt::Write for Doing {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = self.text.get_mut(self.length..).unwrap_or_default();
        let kept = more.floor_char_boundary(room.len());
        room.iter_mut().zip(more.as_bytes().iter().take(kept)).for_each(|(place, byte)| *place = *byte);
        self.length = self.length.saturating_add(kept);
        if kept == more.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

impl Entry {
    pub(crate) fn new(id: u64, lane: Rc<Lane>, peer: SocketAddr, socket: RawFd, now: Tick) -> Self {
        Self {
            id,
            lane,
            peer: Cell::new(peer),
            is_of_unix: peer == UNIX_PEER,
            socket,
            requests: Cell::new(0),
            bytes_in: Cell::new(0),
            bytes_out: Cell::new(0),
            killed: Cell::new(false),
            due: Cell::new(0),
            expired: Cell::new(false),
            waker: Cell::new(None),
            between: Cell::new(true),
            opened: now,
            active: Cell::new(now),
            labels: Cell::default(),
        }
    }

    /// Which process and user is at the other end, where it came over a Unix socket.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        if self.is_of_unix { Credentials::of_raw(self.socket) } else { None }
    }

    /// It is encrypted from now on.
    pub(crate) fn secure(&self, secured: Arc<Secured>) {
        self.with_labels(|labels| labels.secured = Some(secured));
    }

    /// Forgets a wait that was given up, as when its future was dropped, so that its deadline does not end the next one.
    pub(crate) fn forget_wait(&self) {
        self.due.set(0);
        self.expired.set(false);
    }

    /// Begins a wait that is over at `due`, to be woken through `waker`.
    pub(crate) fn wait_until(&self, due: Tick, waker: &Waker) {
        self.due.set(due.max(1));
        match self.waker.take() {
            Some(kept) if kept.will_wake(waker) => self.waker.set(Some(kept)),
            _ => self.waker.set(Some(waker.clone())),
        }
    }

    /// Ends a wait. The waker stays: the same task will wait again.
    pub(crate) fn arrived(&self, now: Tick) {
        self.due.set(0);
        self.expired.set(false);
        self.active.set(now);
    }

    /// Whether it waits for its peer, for a bounded time.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn waits_for_peer(&self) -> bool {
        !matches!(self.due.get(), 0 | Tick::MAX)
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.expired.get()
    }

    pub(crate) fn set_doing(&self, what: impl fmt::Display) {
        self.with_labels(|labels| {
            labels.doing.clear();
            // What is too long ends the writing, and is kept as far as it goes.
            let _ = write!(labels.doing, "{what}");
        });
    }

    pub(crate) fn set_name(&self, name: &str) {
        self.with_labels(|labels| name.clone_into(&mut labels.name));
    }

    pub(crate) fn name(&self) -> String {
        self.label(|labels| labels.name.clone())
    }

    /// From now on there is nothing to say of it, but how it is encrypted.
    pub(crate) fn forget_labels(&self) {
        if let Some(labels) = self.labels.take()
            && labels.secured.is_some()
        {
            self.labels.set(Some(Box::new(Labels { secured: labels.secured, ..Labels::default() })));
        }
    }

    fn secured(&self) -> Option<Arc<Secured>> {
        let labels = self.labels.take();
        let secured = labels.as_deref().and_then(|labels| labels.secured.clone());
        self.labels.set(labels);
        secured
    }

    fn with_labels(&self, act: impl FnOnce(&mut Labels)) {
        let mut labels = self.labels.take().unwrap_or_default();
        act(&mut labels);
        self.labels.set(Some(labels));
    }

    fn label(&self, which: impl FnOnce(&Labels) -> String) -> String {
        let labels = self.labels.take();
        let label = labels.as_deref().map(which).unwrap_or_default();
        self.labels.set(labels);
        label
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn report(&self, worker: usize, now: Tick) -> ConnectionReport {
        ConnectionReport {
            id: self.id,
            channel: self.lane.channel(),
            worker,
            peer: self.peer.get(),
            secured: self.secured(),
            credentials: self.credentials(),
            age: TICK * now.saturating_sub(self.opened),
            idle: TICK * now.saturating_sub(self.active.get()),
            in_request: !self.between.get(),
            doing: if self.between.get() {
                "idle".to_owned()
            } else {
                self.label(|labels| labels.doing.text().to_owned())
            },
            name: self.name(),
            requests: self.requests.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            tcp: TcpInfo::of_raw(self.socket),
        }
    }
}

/// A worker's own state, shared by everything that lives on it.
pub(crate) struct Registry {
    pub(crate) worker: usize,
    counters: Arc<WorkerCounters>,
    began: Instant,
    tick: Cell<Tick>,
    phase: Cell<Phase>,
    slots: RefCell<Slots>,
    /// Told when the first connection comes and when the last one goes.
    pub(crate) changed: Notify,
}

#[derive(Default)]
struct Slots {
    entries: Vec<Option<Rc<Entry>>>,
    free: Vec<usize>,
    open: usize,
}

impl Registry {
    pub(crate) fn new(worker: usize, counters: Arc<WorkerCounters>) -> Self {
        counters.open.store(0, Ordering::Relaxed);
        Self {
            worker,
            counters,
            began: Instant::now(),
            tick: Cell::new(1),
            phase: Cell::new(Phase::Serving),
            slots: RefCell::default(),
            changed: Notify::new(),
        }
    }

    /// The tick of the last sweep or accept; at most one tick old while a connection is open.
    pub(crate) fn now(&self) -> Tick {
        self.tick.get()
    }

    /// Looks at the clock.
    pub(crate) fn refresh(&self) -> Tick {
        let ticks = self.began.elapsed().as_millis() / TICK.as_millis();
        let tick = Tick::try_from(ticks).unwrap_or(Tick::MAX).saturating_add(1);
        self.tick.set(tick);
        tick
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Goes on to `phase` and wakes every connection so that it sees it.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.for_each(Entry::wake);
        self.changed.notify_one();
    }

    /// Lets a channel's connections go on to `phase`, and wakes them so that they see it.
    pub(crate) fn enter_lane(&self, lane: &Rc<Lane>, phase: Phase) {
        lane.enter(phase);
        self.for_each(|entry| {
            if Rc::ptr_eq(&entry.lane, lane) {
                entry.wake();
            }
        });
    }

    pub(crate) fn open(&self) -> usize {
        self.slots.borrow().open
    }

    pub(crate) fn insert(&self, entry: &Rc<Entry>) -> usize {
        let mut slots = self.slots.borrow_mut();
        slots.open += 1;
        self.counters.open.store(slots.open, Ordering::Relaxed);
        if slots.open == 1 {
            self.changed.notify_one();
        }
        if let Some(key) = slots.free.pop() {
            if let Some(slot) = slots.entries.get_mut(key) {
                *slot = Some(Rc::clone(entry));
            }
            return key;
        }
        slots.entries.push(Some(Rc::clone(entry)));
        slots.entries.len() - 1
    }

    pub(crate) fn remove(&self, key: usize) {
        let mut slots = self.slots.borrow_mut();
        if slots.entries.get_mut(key).and_then(Option::take).is_some() {
            slots.free.push(key);
            slots.open -= 1;
            self.counters.open.store(slots.open, Ordering::Relaxed);
            if slots.open == 0 {
                slots.entries = Vec::new();
                slots.free = Vec::new();
                self.changed.notify_one();
            }
        }
    }

    /// One tick: whoever waits past its deadline is woken and finds it expired.
    pub(crate) fn sweep(&self) {
        let now = self.refresh();
        self.for_each(|entry| {
            let due = entry.due.get();
            if due != 0 && due <= now {
                entry.due.set(0);
                entry.expired.set(true);
                entry.wake();
            }
        });
    }

    /// Finds expired deadlines, once per tick while there is a connection, until the worker stops and has none.
    pub(crate) async fn sweep_on(self: Rc<Self>) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            while self.open() == 0 {
                if self.phase() != Phase::Serving {
                    return;
                }
                self.changed.notified().await;
                interval.reset();
            }
            interval.tick().await;
            self.sweep();
        }
    }

    /// Closes a connection from outside; `false` when this worker does not hold it.
    pub(crate) fn kill(&self, id: u64) -> bool {
        let mut found = false;
        self.for_each(|entry| {
            if entry.id == id {
                entry.killed.set(true);
                entry.wake();
                found = true;
            }
        });
        found
    }

    /// The oldest `most` of its connections.
    pub(crate) fn report(&self, most: usize) -> Vec<ConnectionReport> {
        let now = self.refresh();
        let slots = self.slots.borrow();
        let mut entries: Vec<&Rc<Entry>> = slots.entries.iter().flatten().collect();
        entries.sort_unstable_by_key(|entry| entry.id);
        entries.into_iter().take(most).map(|entry| entry.report(self.worker, now)).collect()
    }

    fn for_each(&self, mut act: impl FnMut(&Entry)) {
        for entry in self.slots.borrow().entries.iter().flatten() {
            act(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_it_is_doing_as_many_bytes_are_kept_as_there_is_room_for() {
        let long = "x".repeat(DOING_MOST - 1);
        for (parts, expect) in [
            (&["GET", "/a"][..], "GET/a".to_owned()),
            (&[&long, "y"], format!("{long}y")),
            (&[&long, "yz"], format!("{long}y")),
            (&[&long, "\u{e9}", "y"], long.clone()),
            (&[], String::new()),
        ] {
            let mut doing = Doing::default();
            let written = parts.iter().try_for_each(|part| doing.write_str(part));
            assert_eq!((doing.text(), written.is_ok()), (&*expect, expect == parts.concat()));
        }
    }
}
