//! The connections of one worker to one application: new ones, and idle ones that are used again.
//!
//! An idle connection is used again only if it is open and silent as far as the event loop was told: the kernel is not asked once more, and an
//! answer that nobody asked for and that comes a moment later is the next request's. One that is idle for too long is closed by a task that lives while there
//! is one, because a process of the application waits at its other end. Bounded by [`Settings::idle_most`] and [`Settings::idle_age`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sportello_wire::fastcgi::request::After;
use tokio::io::ReadBuf;
use tokio::task::coop::unconstrained;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until, timeout};

use super::Settings;
use super::connect::connect;
use super::fault::Fault;
use crate::web::Wire;

/// The pool.
pub(super) struct Pool {
    settings: Arc<Settings>,
    /// The oldest first.
    idle: RefCell<VecDeque<(Instant, Box<dyn Wire>)>>,
    is_tended: Cell<bool>,
}

/// A connection, lent for one request.
pub(super) struct Lent {
    pub(super) stream: Box<dyn Wire>,
    pool: Rc<Pool>,
}

impl Pool {
    pub(super) fn new(settings: Arc<Settings>) -> Rc<Self> {
        Rc::new(Self { settings, idle: RefCell::default(), is_tended: Cell::new(false) })
    }

    /// What the application is told about the end of a request.
    pub(super) fn after(settings: &Settings) -> After {
        if settings.idle_most > 0 { After::Keep } else { After::Close }
    }

    /// An idle connection, the one that was used last.
    pub(super) fn take(self: &Rc<Self>) -> Option<Lent> {
        loop {
            let (_, mut stream) = self.idle.borrow_mut().pop_back()?;
            if is_quiet(&mut *stream) {
                return Some(Lent { stream, pool: Rc::clone(self) });
            }
        }
    }

    /// A new connection. An idle one is closed first: its end at the application is then there for this one.
    pub(super) async fn connect(self: &Rc<Self>) -> Result<Lent, Fault> {
        drop(self.idle.borrow_mut().pop_front());
        let connected = timeout(self.settings.timeouts.connect, connect(&self.settings.address)).await;
        let stream = connected.map_err(|_| Fault::ConnectTimeout)??;
        Ok(Lent { stream, pool: Rc::clone(self) })
    }

    fn tend(self: &Rc<Self>) {
        if !self.is_tended.replace(true) {
            spawn_local(tend(Rc::downgrade(self)));
        }
    }

    /// Closes what is due; when the next one will be.
    fn close_due(&self, now: Instant) -> Option<Instant> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let due = idle.front()?.0.checked_add(self.settings.idle_age)?;
            if due > now {
                return Some(due);
            }
            idle.pop_front();
        }
    }
}

impl Lent {
    /// Whether connections are kept at all.
    pub(super) fn may_be_kept(&self) -> bool {
        self.pool.settings.idle_most > 0
    }

    /// Gives it back: the request was answered to its end, and nothing came behind it.
    pub(super) fn give_back(self) {
        let Self { stream, pool } = self;
        if pool.settings.idle_most == 0 {
            return;
        }
        {
            let mut idle = pool.idle.borrow_mut();
            if idle.len() >= pool.settings.idle_most {
                idle.pop_front();
            }
            idle.push_back((Instant::now(), stream));
        }
        pool.tend();
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Lent")
    }
}

/// Closes idle connections as they are due, until there is none; named by its pool, dropped with the worker's other tasks.
async fn tend(pool: Weak<Pool>) {
    loop {
        let Some(here) = pool.upgrade() else { return };
        let Some(due) = here.close_due(Instant::now()) else {
            here.is_tended.set(false);
            return;
        };
        drop(here);
        sleep_until(due).await;
    }
}

/// Whether it is open and nothing has come that nobody asked for. Asks the kernel only where the reactor knows of something.
fn is_quiet(stream: &mut dyn Wire) -> bool {
    let mut byte = [0];
    let mut into = ReadBuf::new(&mut byte);
    let reading = poll_fn(|context| Pin::new(&mut *stream).poll_read(context, &mut into));
    // Not by the task's budget: a task that has used it up would take what is there for nothing.
    matches!(pin!(unconstrained(reading)).poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}
