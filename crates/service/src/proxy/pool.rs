//! Connections to one upstream that wait for their next request, of one worker.
//!
//! Bounded in number and age. Whoever came last goes first, so that those that are not needed grow old.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::stream::Stream;
use super::ticks::{Tended, Tick, Watch};

/// One connection to an upstream.
pub(super) struct Conn {
    pub(super) stream: Stream,
    pub(super) watch: Watch,
}

/// Connections that wait.
pub(super) struct Pool {
    most: usize,
    age: Tick,
    idle: RefCell<VecDeque<(Conn, Tick)>>,
}

impl Pool {
    pub(super) fn new(most: usize, age: Tick) -> Self {
        Self { most, age, idle: RefCell::default() }
    }

    /// The one that came last, if it is of use still.
    pub(super) fn take(&self) -> Option<Conn> {
        loop {
            let (mut conn, _) = self.idle.borrow_mut().pop_back()?;
            // What has come unasked would be taken for the next answer.
            if conn.stream.is_quiet() {
                return Some(conn);
            }
        }
    }

    /// Keeps one for its next request.
    pub(super) fn keep(&self, mut conn: Conn, now: Tick) {
        if self.most == 0 || !conn.stream.is_quiet() {
            return;
        }
        conn.watch.rest();
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= self.most {
            idle.pop_front();
        }
        idle.push_back((conn, now));
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.idle.borrow().len()
    }
}

impl Tended for Pool {
    /// Closes those that are old, and those that the other side has closed.
    fn tend(&self, now: Tick) {
        let age = self.age;
        self.idle.borrow_mut().retain_mut(|(conn, since)| now.saturating_sub(*since) < age && conn.stream.is_quiet());
    }
}
