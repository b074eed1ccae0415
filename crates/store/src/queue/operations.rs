//! The contract's operations on the queue.
//!
//! As on its first page each is whole. A lease lasts until it is settled or given back, or the store is opened again;
//! what is done with one that is none any more changes nothing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::{
    Attempt, Change, Chosen, Destination, DestinationRow, Due, EntryId, EntryRow, EntryWindow, Lease, Outgoing,
    QueueFigures, Settled, Settlement, Standing,
};
use crate::bulk::STEP;
use crate::contract::{Store, at_most, now_ms};
use crate::error::Error;
use crate::sqlite::queue::{Order, Outcome, read};
use crate::sqlite::writer::Request;
use crate::types::{Accept, Envelope};

impl Store {
    /// The most entries of one lease.
    pub const MOST_LEASED: usize = 100;

    /// What may be tried at `now_ms`: at most `most` destinations.
    pub async fn queue_due(&self, now_ms: u64, most: usize) -> Result<Due, Error> {
        self.inner.readers.run(move |reader| reader.bounded(|rows| read::due(rows, now_ms, most))).await?
    }

    /// Leases what is due at a destination at `now_ms`, the most urgent first: at most `most` entries, and at most
    /// [`Store::MOST_LEASED`]. None where it is suspended or not to be tried yet. Dropping this future may still do it;
    /// then those entries wait for the next start.
    pub async fn queue_lease(&self, destination: &Destination, now_ms: u64, most: usize) -> Result<Vec<Lease>, Error> {
        let most = most.min(Self::MOST_LEASED);
        self.leased(Order::Lease { destination: destination.clone(), now_ms, most }).await
    }

    /// Leases entries that somebody should look at, whatever becomes of their destinations: at most `most`, and at most
    /// [`Store::MOST_LEASED`]. Dropping this future: as [`Store::queue_lease`].
    pub async fn queue_attend(&self, now_ms: u64, most: usize) -> Result<Vec<Lease>, Error> {
        self.leased(Order::Attend { now_ms, most: most.min(Self::MOST_LEASED) }).await
    }

    /// Settles a lease and accepts the report about it, both or neither. Dropping this future may still do it.
    pub async fn queue_settle(&self, settlement: Settlement, report: Option<Accept>) -> Result<Settled, Error> {
        self.writable()?;
        let report = match report {
            Some(report) => Some(self.row(report, now_ms(), None).await?),
            None => None,
        };
        match self.order(Order::Settle(Box::new(settlement), report)).await? {
            Outcome::Settled(report, _) => Ok(Settled::Done(report)),
            _ => Ok(Settled::Stale),
        }
    }

    /// Gives back leases of entries that were not tried after all; how many still were leases. Dropping this future may
    /// still do it.
    pub async fn queue_give_back(&self, leases: Vec<Lease>) -> Result<u64, Error> {
        let leases = leases.into_iter().map(|lease| (lease.entry.id, lease.generation)).collect();
        match self.order(Order::GiveBack(leases)).await? {
            Outcome::Changed { number, .. } => Ok(number),
            _ => Ok(0),
        }
    }

    /// A page of entries, newest first.
    pub async fn queue_page(&self, window: EntryWindow) -> Result<Vec<EntryRow>, Error> {
        self.inner.readers.run(move |reader| reader.bounded(|rows| read::page(rows, &window))).await?
    }

    /// The last attempt at an entry: its own, or one that did not reach its destination.
    pub async fn queue_attempt(&self, entry: EntryId) -> Result<Option<Attempt>, Error> {
        self.inner.readers.run(move |reader| reader.bounded(|rows| read::attempt(rows, entry))).await?
    }

    /// Destinations in the order of their names, those behind `after`: at most `limit`, and at most
    /// [`EntryWindow::MOST`].
    pub async fn queue_destinations(
        &self,
        after: Option<Destination>,
        limit: usize,
    ) -> Result<Vec<DestinationRow>, Error> {
        self.inner
            .readers
            .run(move |reader| reader.bounded(|rows| read::destinations(rows, after.as_ref(), limit)))
            .await?
    }

    /// Does something to the chosen entries; to how many. In transactions that look at no more than [`Store::STEP`]
    /// entries: an error, or dropping this future, may leave a part of them changed, and asking again goes on.
    pub async fn queue_change(&self, of: Chosen, change: Change) -> Result<u64, Error> {
        let (mut changed, mut after) = (0, EntryId(0));
        let now_ms = now_ms().unsigned_abs();
        loop {
            let order = Order::Change { of: of.clone(), after, most: STEP, change, now_ms };
            let Outcome::Changed { number, last, .. } = self.order(order).await? else { return Ok(changed) };
            changed += number;
            let Some(last) = last else { return Ok(changed) };
            after = last;
        }
    }

    /// Suspends a destination, which need not have entries, or resumes it and lets it be tried at once; `false` when it
    /// stood so already. Dropping this future may still do it.
    pub async fn queue_stand(&self, destination: Destination, standing: Standing) -> Result<bool, Error> {
        at_most("bytes in the name of a destination", destination.as_str().len(), Destination::LONGEST)?;
        match self.order(Order::Stand(destination, standing)).await? {
            Outcome::Stood(changed) => Ok(changed),
            _ => Ok(false),
        }
    }

    /// At what age somebody should look at an entry for the first time: of what is accepted from now on.
    pub fn attend_after(&self, age: Duration) {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.inner.queue_attention.store(age, Ordering::Relaxed);
    }

    /// The queue's figures of this moment; a few loads.
    pub fn queue_figures(&self) -> QueueFigures {
        let counters = &self.inner.bodies.counters;
        QueueFigures {
            waiting: counters.queue_waiting.load(Ordering::Relaxed),
            leased: counters.queue_leased.load(Ordering::Relaxed),
            held: counters.queue_held.load(Ordering::Relaxed),
            interrupted: counters.queue_interrupted.load(Ordering::Relaxed),
        }
    }

    /// A number that grows after each commit that changed the queue. Await `changed()` on it and ask what is due.
    pub fn queue_changes(&self) -> watch::Receiver<u64> {
        self.inner.queue_changes.clone()
    }

    async fn leased(&self, order: Order) -> Result<Vec<Lease>, Error> {
        match self.order(order).await? {
            Outcome::Leased(leases) => Ok(leases),
            _ => Ok(Vec::new()),
        }
    }

    async fn order(&self, order: Order) -> Result<Outcome, Error> {
        self.writable()?;
        self.inner.writer.ask(|asker| Request::Queue(Box::new(order), asker)).await
    }
}

/// What the store takes from anyone.
pub(crate) fn check_outgoing(queue: &[Outgoing]) -> Result<(), Error> {
    at_most("senders of one message", queue.len(), Outgoing::MOST)?;
    let recipients = || queue.iter().flat_map(|outgoing| &outgoing.recipients);
    at_most("recipients", recipients().count(), Envelope::MOST_RECIPIENTS)?;
    if queue.iter().any(|outgoing| outgoing.recipients.is_empty()) {
        return Err(Error::Refused("what is sent has a recipient".into()));
    }
    let senders = queue.iter().flat_map(|outgoing| [Some(&outgoing.sender), outgoing.options.envelope_id.as_ref()]);
    let addresses = recipients().flat_map(|to| [Some(&to.recipient.address), to.recipient.original.as_ref()]);
    let longest = senders.chain(addresses).flatten().map(String::len).max();
    at_most("bytes in an address", longest.unwrap_or(0), Envelope::LONGEST_ADDRESS)?;
    let longest = recipients().map(|to| to.destination.as_str().len()).max();
    at_most("bytes in the name of a destination", longest.unwrap_or(0), Destination::LONGEST)
}
