//! How much caught mail is kept: the thread `store-retention`, which deletes the oldest messages. What accounts have is theirs.
//!
//! Off the commit path: the writer rings when a commit left more than is to be kept, and a deletion is a request among
//! others. What is too old is looked for every [`TICK`]. Deletes in steps of [`STEP`] messages, rows and bodies alike,
//! until the rule holds. What is old is said by a [`Clock`], which doubts the machine's. At shutdown: ends the step under way.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::believed::Clock;
use crate::bulk::STEP;
use crate::counters::Counters;
use crate::error::Error;
use crate::sqlite::reader::{Oldest, Reader};
use crate::sqlite::writer::{Request, WeakWriter};
use crate::threads::Pool;

/// How often it looks for what is too old, and how long it waits after a failure.
const TICK: Duration = Duration::from_secs(60);
/// How often it leaves the moment to the next run, where age counts; and at the end.
const LEAVE_EVERY: Duration = Duration::from_secs(3_600);

/// What is kept. `None`: no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The most messages.
    pub most_messages: Option<u64>,
    /// How old a message may become.
    pub oldest: Option<Duration>,
    /// The most bytes of bodies. A message that is longer alone is not kept either.
    pub most_bytes: Option<u64>,
}

impl Retention {
    /// Whether messages must go for their number or their bytes.
    fn is_exceeded(&self, messages: u64, bytes: u64) -> bool {
        self.most_messages.is_some_and(|most| messages > most) || self.most_bytes.is_some_and(|most| bytes > most)
    }

    /// Whether one of the oldest messages must go; `messages` and `bytes` are what there is in all.
    pub(crate) fn must_go(&self, message: &Oldest, messages: u64, bytes: u64, now_ms: u64) -> bool {
        let received_before = self.oldest.map(|oldest| {
            let oldest = u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX);
            now_ms.saturating_sub(oldest)
        });
        received_before.is_some_and(|limit| message.received_ms < limit) || self.is_exceeded(messages, bytes)
    }

    /// Which of the oldest messages must go as far as is known before the transaction, which looks again.
    fn surplus(&self, oldest: &[Oldest], mut messages: u64, mut bytes: u64, now_ms: u64) -> Vec<Oldest> {
        let mut surplus = Vec::new();
        for message in oldest {
            if self.must_go(message, messages, bytes, now_ms) {
                surplus.push(*message);
                messages = messages.saturating_sub(1);
                bytes = bytes.saturating_sub(message.size);
            }
        }
        surplus
    }
}

/// The thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    bell: KeeperBell,
    rule: watch::Sender<Retention>,
    ended: watch::Receiver<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What wakes it.
#[derive(Clone, Debug)]
pub(crate) struct KeeperBell {
    wake: SyncSender<()>,
    rule: watch::Receiver<Retention>,
    closing: Arc<AtomicBool>,
}

/// The near ends of a keeper that is not yet started: the writer must have the bell before the keeper can write.
pub(crate) struct Preparation {
    pub(crate) bell: KeeperBell,
    rule: watch::Sender<Retention>,
    woken: Receiver<()>,
}

impl Preparation {
    /// A keeper with this rule.
    pub(crate) fn new(rule: Retention) -> Self {
        let (wake, woken) = sync_channel(1);
        let (rule, known) = watch::channel(rule);
        Self { bell: KeeperBell { wake, rule: known, closing: Arc::default() }, rule, woken }
    }

    /// Starts the thread.
    pub(crate) fn start(
        self,
        readers: Arc<Pool<Reader>>,
        writer: WeakWriter,
        counters: Arc<Counters>,
        clock: Clock,
    ) -> io::Result<Keeper> {
        let Self { bell, rule, woken } = self;
        let (alive, ended) = watch::channel(());
        let work = Work {
            rule: bell.rule.clone(),
            closing: Arc::clone(&bell.closing),
            readers,
            writer,
            counters,
            clock,
            is_told: Cell::new(false),
        };
        let thread = Builder::new().name("store-retention".to_owned()).spawn(move || {
            work.run(&woken);
            drop(alive);
        })?;
        // What the last run left may be too much for today's rule.
        bell.wake();
        Ok(Keeper { bell, rule, ended, thread: Mutex::new(Some(thread)) })
    }
}

impl Keeper {
    /// Another rule, from now on.
    pub(crate) fn set(&self, rule: Retention) {
        self.rule.send_replace(rule);
        self.bell.wake();
    }

    /// Ends the step under way and joins the thread.
    pub(crate) async fn close(&self) {
        self.bell.closing.store(true, Ordering::Release);
        self.bell.wake();
        // Nothing is ever sent: this returns when the thread has dropped its end.
        let _ = self.ended.clone().changed().await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the retention panicked");
        }
    }
}

impl KeeperBell {
    /// After a commit that left so much. Never waits.
    pub(crate) fn after_commit(&self, counters: &Counters) {
        let (messages, bytes) = (&counters.caught_messages, &counters.caught_bytes);
        let (messages, bytes) = (messages.load(Ordering::Relaxed), bytes.load(Ordering::Relaxed));
        if self.rule.borrow().is_exceeded(messages, bytes) {
            self.wake();
        }
    }

    fn wake(&self) {
        // Full: it is already told.
        let _ = self.wake.try_send(());
    }
}

struct Work {
    rule: watch::Receiver<Retention>,
    closing: Arc<AtomicBool>,
    readers: Arc<Pool<Reader>>,
    writer: WeakWriter,
    counters: Arc<Counters>,
    clock: Clock,
    /// Whether it was told that the clock is doubted.
    is_told: Cell<bool>,
}

impl Work {
    fn run(self, woken: &Receiver<()>) {
        let mut failed = false;
        let mut left: Option<Instant> = None;
        loop {
            let timed = failed || self.rule.borrow().oldest.is_some();
            let alive = if timed {
                woken.recv_timeout(TICK) != Err(RecvTimeoutError::Disconnected)
            } else {
                woken.recv().is_ok()
            };
            let is_end = !alive || self.closing.load(Ordering::Acquire);
            if self.rule.borrow().oldest.is_some() && (is_end || left.is_none_or(|left| left.elapsed() >= LEAVE_EVERY))
            {
                self.leave_moment();
                left = Some(Instant::now());
            }
            if is_end {
                return;
            }
            failed = match self.apply() {
                Ok(()) => false,
                // The store ends, or has failed and said so.
                Err(Error::Closed | Error::Failed(_)) => true,
                Err(why) => {
                    tracing::warn!(%why, "old messages are not deleted now; it is tried again");
                    true
                }
            };
        }
    }

    /// Leaves the moment to the next run.
    fn leave_moment(&self) {
        if let Err(error) = self.clock.leave() {
            tracing::warn!(%error, "the moment is not kept for the next start, which goes by an earlier one or believes its clock");
        }
    }

    /// Says once that messages are kept because the clock is doubted.
    fn tell_doubt(&self) {
        if !self.is_told.replace(true) {
            tracing::error!(
                believed_ms = self.clock.now_ms(),
                clock_ms = self.clock.undoubted_ms(),
                "the clock is far ahead of the last run: messages that are too old by it are kept until it has run for a day in all; set the clock right, if it is wrong"
            );
        }
    }

    /// Deletes until the rule holds.
    fn apply(&self) -> Result<(), Error> {
        let mut deleted = 0;
        while !self.closing.load(Ordering::Acquire) {
            let oldest = self.readers.run_blocking(|reader| reader.oldest(STEP))??;
            let (messages, bytes) = (&self.counters.caught_messages, &self.counters.caught_bytes);
            let (messages, bytes) = (messages.load(Ordering::Relaxed), bytes.load(Ordering::Relaxed));
            let (rule, now_ms) = (*self.rule.borrow(), self.clock.now_ms());
            let surplus = rule.surplus(&oldest, messages, bytes, now_ms);
            if rule.surplus(&oldest, messages, bytes, self.clock.undoubted_ms()).len() > surplus.len() {
                self.tell_doubt();
            }
            if surplus.is_empty() {
                break;
            }
            let (asker, answer) = oneshot::channel();
            self.writer.send(Request::Retire { oldest: surplus, rule, now_ms, asker })?;
            let step = answer.blocking_recv().map_err(|_| Error::Closed)??;
            Counters::add(&self.counters.retired, step as u64);
            deleted += step;
        }
        if deleted > 0 {
            tracing::info!(deleted, "the oldest messages were deleted, as the retention says");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::MessageId;

    /// The numbers of those that must go of four messages of 10 bytes received at 1000, 2000, 3000 and 4000 ms.
    fn surplus(rule: Retention, now_ms: u64) -> Vec<i64> {
        let oldest: Vec<Oldest> = (1..=4)
            .map(|number| Oldest { id: MessageId(number), size: 10, received_ms: number as u64 * 1000 })
            .collect();
        rule.surplus(&oldest, 4, 40, now_ms).into_iter().map(|message| message.id.0).collect()
    }

    #[test]
    fn what_must_go_is_the_oldest_and_no_more_than_that() {
        let no_rule = Retention::default();
        for (rule, now_ms, expect) in [
            (no_rule, u64::MAX, &[][..]),
            (Retention { most_messages: Some(4), ..no_rule }, 0, &[]),
            (Retention { most_messages: Some(3), ..no_rule }, 0, &[1]),
            (Retention { most_messages: Some(0), ..no_rule }, 0, &[1, 2, 3, 4]),
            (Retention { most_bytes: Some(40), ..no_rule }, 0, &[]),
            (Retention { most_bytes: Some(39), ..no_rule }, 0, &[1]),
            (Retention { most_bytes: Some(9), ..no_rule }, 0, &[1, 2, 3, 4]),
            (Retention { oldest: Some(Duration::from_secs(5)), ..no_rule }, 6000, &[]),
            (Retention { oldest: Some(Duration::from_secs(5)), ..no_rule }, 6001, &[1]),
            (Retention { oldest: Some(Duration::MAX), ..no_rule }, u64::MAX, &[]),
            (Retention { oldest: Some(Duration::ZERO), ..no_rule }, 0, &[]),
            (
                Retention { most_messages: Some(3), oldest: Some(Duration::from_secs(1)), most_bytes: Some(20) },
                2001,
                &[1, 2],
            ),
        ] {
            assert_eq!(surplus(rule, now_ms), expect, "{rule:?} at {now_ms}");
        }
    }

    #[test]
    fn a_message_from_the_future_keeps_no_other_from_becoming_old() {
        let rule = Retention { oldest: Some(Duration::ZERO), ..Retention::default() };
        let oldest = [9000, 1000].map(|received_ms| Oldest { id: MessageId(received_ms as i64), size: 1, received_ms });
        assert_eq!(rule.surplus(&oldest, 2, 2, 5000), [oldest[1]]);
    }
}
