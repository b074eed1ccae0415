//! The one thread that writes rows: group commit.
//!
//! It takes everything that is queued *now* into one transaction, commits with one sync, and then answers all. While it
//! syncs, the next group gathers. A bad request spoils no other: the transaction is undone and done again with a
//! savepoint per request. (A savepoint at the first try costs a tenth of the writer's time, for a case that no peer can
//! bring about.) Bounded by: the queue's length (a full queue makes callers wait), requests per transaction.
//!
//! What can go wrong: no room rolls the group back and tries its requests one by one, so that each gets its own answer;
//! anything that leaves the disk in doubt fails the store, and every later write is refused. At shutdown: takes no
//! more, commits what is queued, empties the log.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::{io, mem};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use crate::blob::Bodies;
use crate::blob::incoming::Body;
use crate::counters::Counters;
use crate::error::Error;
use crate::ids::Ids;
use crate::index::indexer::Bell;
use crate::queue::Generation;
use crate::retention::{KeeperBell, Retention};
use crate::sqlite::accounts::{self, Order, Outcome};
use crate::sqlite::apply::{self, Removed, Row, Within};
use crate::sqlite::checkpoint::{self, Checkpointer};
use crate::sqlite::ledger::Ledgers;
use crate::sqlite::reader::Oldest;
use crate::sqlite::trouble::Trouble;
use crate::sqlite::{queue, schema, secrets, tags};
use crate::tag::Tag;
use crate::types::{MessageId, Seen};

/// The most requests of one transaction.
const GROUP: usize = 1024;

/// Who waits for an answer.
pub(crate) type Asker<T> = oneshot::Sender<Result<T, Error>>;

/// What the writer can be asked.
#[derive(Debug)]
pub(crate) enum Request {
    Accept(Box<Row>, Asker<()>),
    SetSeen(Within, Vec<MessageId>, Seen, Asker<usize>),
    Delete(Within, Vec<MessageId>, Asker<usize>),
    /// Delete those of the oldest messages that still must go.
    Retire {
        oldest: Vec<Oldest>,
        rule: Retention,
        now_ms: u64,
        asker: Asker<usize>,
    },
    SetTags(Vec<MessageId>, Vec<Tag>, Asker<usize>),
    /// Another tag, or none, in the place of this one, on so many messages.
    ReplaceTag {
        from: Tag,
        to: Option<Tag>,
        most: usize,
        asker: Asker<usize>,
    },
    /// Keep these bytes by this name, or forget it.
    SetSecret(Box<str>, Option<Vec<u8>>, Asker<bool>),
    /// Something about accounts.
    Account(Box<Order>, Asker<Outcome>),
    /// Something about the queue.
    Queue(Box<queue::Order>, Asker<queue::Outcome>),
    /// Lease the next block of message ids.
    LeaseIds,
    Close,
}

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    requests: mpsc::Sender<Request>,
    counters: Arc<Counters>,
    thread: Mutex<Option<JoinHandle<()>>>,
    ended: watch::Receiver<()>,
}

/// What the thread is given.
pub(crate) struct Tools {
    pub(crate) connection: Connection,
    pub(crate) checkpointer: Checkpointer,
    pub(crate) ledgers: Ledgers,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) ids: Arc<Ids>,
    pub(crate) changes: watch::Sender<u64>,
    /// The same for the queue.
    pub(crate) queue_changes: watch::Sender<u64>,
    pub(crate) generation: Generation,
    /// Pages in the write-ahead log after the last commit.
    pub(crate) log: Arc<AtomicI64>,
    pub(crate) bell: Bell,
    pub(crate) keeper: KeeperBell,
}

impl Writer {
    /// Starts the thread; at most `queue` requests wait for it.
    pub(crate) fn start(tools: Tools, queue: usize) -> Result<io::Result<Self>, rusqlite::Error> {
        let (requests, queued) = mpsc::channel(queue);
        let (alive, ended) = watch::channel(());
        let counters = Arc::clone(&tools.bodies.counters);
        let work = Work::new(tools)?;
        let thread = Builder::new().name("store-writer".to_owned()).spawn(move || {
            work.run(queued);
            drop(alive);
        });
        Ok(thread.map(|thread| Self { requests, counters, thread: Mutex::new(Some(thread)), ended }))
    }

    /// Queues a request and waits for its answer. Dropped while it waits for room in the queue, the request is not
    /// made; later it may still be committed.
    pub(crate) async fn ask<T>(&self, request: impl FnOnce(Asker<T>) -> Request) -> Result<T, Error> {
        let (asker, answer) = oneshot::channel();
        let room = self.requests.reserve().await.map_err(|_| self.gone())?;
        room.send(request(asker));
        answer.await.map_err(|_| self.gone())?
    }

    /// Queues a request that nobody waits for, if there is room at once.
    pub(crate) fn offer(&self, request: Request) -> bool {
        self.requests.try_send(request).is_ok()
    }

    /// A way to it that does not keep it alive.
    pub(crate) fn weak(&self) -> WeakWriter {
        WeakWriter(self.requests.downgrade())
    }

    /// Takes no more requests, commits those it has, empties the log, and joins the thread.
    pub(crate) async fn close(&self) {
        // An error says that somebody else closed it.
        let _ = self.requests.send(Request::Close).await;
        // Nothing is ever sent: this returns when the thread has dropped its end.
        let _ = self.ended.clone().changed().await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            self.counters.fail("the writer", &"it panicked");
        }
    }

    fn gone(&self) -> Error {
        self.counters.check().err().unwrap_or(Error::Closed)
    }
}

/// A way to the writer for a thread of the store, which may wait by blocking.
#[derive(Debug)]
pub(crate) struct WeakWriter(mpsc::WeakSender<Request>);

impl WeakWriter {
    /// Queues a request.
    pub(crate) fn send(&self, request: Request) -> Result<(), Error> {
        let requests = self.0.upgrade().ok_or(Error::Closed)?;
        requests.blocking_send(request).map_err(|_| Error::Closed)
    }
}

/// What came of a request, inside the transaction.
#[derive(Debug)]
enum Done {
    Accepted,
    Changed(usize),
    Removed(Removed),
    Account(Outcome),
    Queue(queue::Outcome),
    Leased(i64),
    /// Whether there was one by this name.
    Replaced(bool),
}

/// How the requests of a group are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Isolation {
    /// Not at all: the first bad one undoes the transaction.
    Together,
    /// A savepoint around each: a bad one undoes only itself.
    Each,
}

struct Work {
    tools: Tools,
}

impl Work {
    fn new(mut tools: Tools) -> rusqlite::Result<Self> {
        let told = Arc::clone(&tools.log);
        tools.connection.wal_hook(Some(move |_: &mut _, pages: i32| {
            told.store(pages.into(), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self { tools })
    }

    fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut group = Vec::with_capacity(GROUP);
        while queue.blocking_recv_many(&mut group, GROUP) > 0 {
            group.retain(|request| {
                let close = matches!(request, Request::Close);
                if close {
                    queue.close();
                }
                !close
            });
            // The loop ends once the queue is closed and empty.
            if !group.is_empty() {
                self.commit(&mut group);
            }
        }
        self.end();
    }

    /// Commits a group and answers it.
    fn commit(&mut self, group: &mut Vec<Request>) {
        let counters = Arc::clone(&self.tools.bodies.counters);
        if let Err(error) = counters.check() {
            group.drain(..).for_each(|request| self.refuse(request, &error));
            return;
        }
        // From here to a clean rollback nobody may remove a body: not an error in doubt, not even a panic.
        group.iter_mut().for_each(keep_body);
        let done = match self.attempt(group, Isolation::Together) {
            // One of several is bad: the same again, with a savepoint around each, tells which.
            Err(Trouble::Request(_)) if group.len() > 1 => self.attempt(group, Isolation::Each),
            done => done,
        };
        match done {
            Ok(done) => self.answer(group, done),
            Err(Trouble::Full) if group.len() > 1 => {
                for request in mem::take(group) {
                    self.commit(&mut vec![request]);
                }
            }
            Err(Trouble::Full) => {
                self.tools.bodies.disk.look_again();
                group.drain(..).for_each(|request| self.refuse(request, &Error::DiskFull));
            }
            Err(Trouble::Busy) => group.drain(..).for_each(|request| self.refuse(request, &Error::Busy)),
            Err(Trouble::Request(error)) => group.drain(..).for_each(|request| self.refuse(request, &error)),
            Err(Trouble::Fatal(why)) => {
                let error = counters.fail("a commit", &why);
                group.drain(..).for_each(|request| self.refuse(request, &error));
            }
        }
    }

    /// One transaction: all of it is committed, or nothing.
    fn attempt(&mut self, group: &[Request], isolation: Isolation) -> Result<Vec<Result<Done, Error>>, Trouble> {
        let result = self.transaction(group, isolation);
        if result.is_err() {
            self.tools.ledgers.roll_back();
            // SQLite has already rolled back after some errors.
            if !self.tools.connection.is_autocommit() {
                self.execute(schema::ROLLBACK).map_err(fatal)?;
            }
        }
        result
    }

    fn transaction(&mut self, group: &[Request], isolation: Isolation) -> Result<Vec<Result<Done, Error>>, Trouble> {
        self.execute(schema::BEGIN)?;
        let mut done = Vec::with_capacity(group.len());
        for request in group {
            done.push(match isolation {
                Isolation::Together => Ok(self.apply(request)?),
                Isolation::Each => self.isolated(request)?,
            });
        }
        self.tools.ledgers.save(&self.tools.connection)?;
        self.execute(schema::COMMIT)?;
        Ok(done)
    }

    /// One request in its savepoint.
    fn isolated(&mut self, request: &Request) -> Result<Result<Done, Error>, Trouble> {
        self.execute(schema::SAVEPOINT)?;
        match self.apply(request) {
            Ok(done) => {
                self.tools.ledgers.save(&self.tools.connection)?;
                self.execute(schema::RELEASE)?;
                Ok(Ok(done))
            }
            Err(Trouble::Request(error)) => {
                // These fail when SQLite has rolled back everything by itself; then the whole transaction has failed.
                self.execute(schema::ROLLBACK_TO).map_err(fatal)?;
                self.execute(schema::RELEASE).map_err(fatal)?;
                self.tools.ledgers.roll_back_to_save();
                Ok(Err(error))
            }
            Err(trouble) => Err(trouble),
        }
    }

    fn apply(&mut self, request: &Request) -> Result<Done, Trouble> {
        let Tools { connection, ledgers, ids: leases, generation, .. } = &mut self.tools;
        match request {
            Request::Accept(row, _) => apply::accept(connection, ledgers, row).map(|()| Done::Accepted),
            Request::SetSeen(within, ids, seen, _) => {
                apply::set_seen(connection, ledgers, *within, ids, *seen).map(Done::Changed)
            }
            Request::SetTags(messages, tags, _) => tags::set(connection, ledgers, messages, tags).map(Done::Changed),
            Request::ReplaceTag { from, to, most, .. } => {
                tags::replace(connection, ledgers, from, to.as_ref(), *most).map(Done::Changed)
            }
            Request::SetSecret(name, bytes, _) => secrets::set(connection, name, bytes.as_deref()).map(Done::Replaced),
            Request::Delete(within, messages, _) => {
                apply::delete(connection, ledgers, *within, messages).map(Done::Removed)
            }
            Request::Retire { oldest, rule, now_ms, .. } => {
                apply::retire(connection, ledgers, oldest, rule, *now_ms).map(Done::Removed)
            }
            Request::Account(order, _) => accounts::carry_out(connection, ledgers, order).map(Done::Account),
            Request::Queue(order, _) => queue::obey(connection, ledgers, *generation, order).map(Done::Queue),
            Request::LeaseIds | Request::Close => {
                let end = leases.wanted_end();
                apply::lease(connection, end)?;
                Ok(Done::Leased(end))
            }
        }
    }

    /// After the commit: counts, removes the bodies of deleted messages, answers everyone.
    fn answer(&mut self, group: &mut Vec<Request>, done: Vec<Result<Done, Error>>) {
        let (changed, queue_changed) = (self.tools.ledgers.is_changed(), self.tools.ledgers.is_queue_changed());
        self.tools.ledgers.commit();
        // Counted before anyone is answered: who reads the figures after an answer finds itself in them.
        self.count(&done, changed);
        self.tell(&done, changed);
        if queue_changed {
            self.tools.queue_changes.send_modify(|number| *number = number.wrapping_add(1));
        }
        for (request, done) in group.drain(..).zip(done) {
            match (request, done) {
                // When the client has gone, its message stays.
                (Request::Accept(_, asker), Ok(Done::Accepted)) => drop(asker.send(Ok(()))),
                (
                    Request::SetSeen(.., asker) | Request::SetTags(_, _, asker) | Request::ReplaceTag { asker, .. },
                    Ok(Done::Changed(found)),
                ) => drop(asker.send(Ok(found))),
                (Request::SetSecret(_, _, asker), Ok(Done::Replaced(found))) => drop(asker.send(Ok(found))),
                (Request::Delete(.., asker) | Request::Retire { asker, .. }, Ok(Done::Removed(removed))) => {
                    self.remove(removed.files);
                    drop(asker.send(Ok(removed.number)));
                }
                (Request::Account(_, asker), Ok(Done::Account(outcome))) => {
                    // Before the answer: who changed an account is not told afterwards what it was.
                    Counters::add(&self.tools.bodies.counters.account_changes, 1);
                    drop(asker.send(Ok(outcome)));
                }
                (Request::Queue(mut order, asker), Ok(Done::Queue(mut outcome))) => {
                    if let (Some(report), queue::Outcome::Stale) = (order.report(), &outcome) {
                        remove_body(report, &Error::Closed);
                    }
                    drop(order);
                    self.remove(outcome.take_files());
                    drop(asker.send(Ok(outcome)));
                }
                (Request::LeaseIds, Ok(Done::Leased(end))) => self.tools.ids.leased(end),
                (request, done) => {
                    let error = done.err().unwrap_or(Error::Closed);
                    self.refuse(request, &error);
                }
            }
        }
        self.tools.bell.ring();
        self.tools.keeper.after_commit(&self.tools.bodies.counters);
        let Tools { connection, checkpointer, bodies, log, .. } = &mut self.tools;
        checkpointer.after_commit(log.load(Ordering::Relaxed), connection, &bodies.counters);
    }

    /// Tells those who follow the mailboxes, also before anyone is answered.
    fn tell(&self, done: &[Result<Done, Error>], changed: bool) {
        for done in done {
            match done {
                Ok(Done::Removed(removed)) => self.tools.bell.deleted(&removed.gone),
                Ok(Done::Queue(outcome)) => self.tools.bell.deleted(outcome.gone()),
                _ => {}
            }
        }
        if changed {
            self.tools.changes.send_modify(|number| *number = number.wrapping_add(1));
        }
    }

    fn count(&self, done: &[Result<Done, Error>], changed: bool) {
        let counters = &self.tools.bodies.counters;
        let accepted = done.iter().filter(|done| matches!(done, Ok(Done::Accepted))).count();
        Counters::add(&counters.accepted, accepted as u64);
        Counters::add(&counters.commits, 1);
        counters.queue(self.tools.ledgers.queue());
        if changed {
            let (all, caught) = (self.tools.ledgers.all(), self.tools.ledgers.caught());
            counters.messages.store(all.messages(), Ordering::Relaxed);
            counters.bytes.store(all.bytes(), Ordering::Relaxed);
            counters.caught_messages.store(caught.messages(), Ordering::Relaxed);
            counters.caught_bytes.store(caught.bytes(), Ordering::Relaxed);
        }
    }

    /// Says why not. The body of a message goes when its rows were rolled back for certain. After a failure they were
    /// not: the log may hold them, and a restart that finds them must find their body; if it finds none, it sweeps the
    /// body.
    fn refuse(&self, request: Request, error: &Error) {
        let error = error.clone();
        match request {
            Request::Accept(mut row, asker) => {
                remove_body(&mut row, &error);
                drop(asker.send(Err(error)));
            }
            Request::Queue(mut order, asker) => {
                if let Some(report) = order.report() {
                    remove_body(report, &error);
                }
                drop(asker.send(Err(error)));
            }
            Request::SetSeen(.., asker)
            | Request::SetTags(_, _, asker)
            | Request::ReplaceTag { asker, .. }
            | Request::Retire { asker, .. }
            | Request::Delete(.., asker) => drop(asker.send(Err(error))),
            Request::SetSecret(_, _, asker) => drop(asker.send(Err(error))),
            Request::Account(_, asker) => drop(asker.send(Err(error))),
            Request::LeaseIds => self.tools.ids.not_leased(),
            Request::Close => {}
        }
    }

    fn remove(&self, files: Vec<MessageId>) {
        if files.is_empty() {
            return;
        }
        let folder = Arc::clone(&self.tools.bodies.folder);
        let remove = move |(): &mut ()| files.into_iter().for_each(|id| folder.remove_blob(id));
        if let Err(refused) = self.tools.bodies.blocking.offer(remove) {
            refused.run(&mut ());
        }
    }

    /// Gives back the ids that were leased and not given, and empties the log. Not after a failure: then nothing may
    /// move.
    fn end(self) {
        let first_free = self.tools.ids.stop();
        let counters = Arc::clone(&self.tools.bodies.counters);
        self.tools.checkpointer.stop();
        if counters.check().is_err() {
            return;
        }
        if let Err(why) = apply::lease(&self.tools.connection, first_free) {
            tracing::warn!(%why, "the rest of the leased ids is skipped");
        }
        checkpoint::truncate(&self.tools.connection, &counters);
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.tools.connection.prepare_cached(sql)?.execute(()).map(drop)
    }
}

fn fatal(why: rusqlite::Error) -> Trouble {
    Trouble::Fatal(why)
}

fn keep_body(request: &mut Request) {
    let row = match request {
        Request::Accept(row, _) => Some(row),
        Request::Queue(order, _) => order.report(),
        _ => None,
    };
    if let Some(Body::File(placed)) = row.map(|row| &mut row.body) {
        placed.keep();
    }
}

fn remove_body(row: &mut Row, error: &Error) {
    if let (Body::File(placed), false) = (&mut row.body, matches!(error, Error::Failed(_))) {
        placed.remove();
    }
}

#[cfg(test)]
mod tests;
