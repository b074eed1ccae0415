//! The queue as rows, inside the writer's transaction.
//!
//! A destination's row counts its entries and says when the first of them may be tried, so that nothing that is asked of
//! the queue looks at more rows than it gives, however many wait. Knows nothing of threads, batches and answers.
//! Bounded by: what one request may name.

mod change;
mod json;
mod lease;
pub(crate) mod read;
mod settle;
mod statements;

use std::mem;

use rusqlite::{Connection, params};

use crate::error::Error;
use crate::queue::{
    Change, Chosen, Destination, EntryId, Generation, Lease, Outgoing, Settlement, Standing, Unsettled,
};
use crate::sqlite::apply::{Removed, Row};
use crate::sqlite::ledger::Ledgers;
use crate::sqlite::trouble::Trouble;
use crate::types::MessageId;

pub(crate) use lease::{Start, begin};

/// What the writer can be asked about the queue.
#[derive(Debug)]
pub(crate) enum Order {
    /// Lease what is due at a destination.
    Lease { destination: Destination, now_ms: u64, most: usize },
    /// Lease what somebody should look at.
    Attend { now_ms: u64, most: usize },
    /// Settle a lease, and accept the report about it.
    Settle(Box<Settlement>, Option<Box<Row>>),
    /// Leases that are not needed after all.
    GiveBack(Vec<(EntryId, Generation)>),
    /// What a person does to so many entries with a number above `after`.
    Change { of: Chosen, after: EntryId, most: usize, change: Change, now_ms: u64 },
    /// What a person does to a destination.
    Stand(Destination, Standing),
}

/// What came of an order.
#[derive(Debug)]
pub(crate) enum Outcome {
    Leased(Vec<Lease>),
    /// Settled, with the number of the report; with what went.
    Settled(Option<MessageId>, Removed),
    /// The lease was not one any more.
    Stale,
    /// How many entries were changed, and the last that was looked at while there may be more; with what went.
    Changed {
        number: u64,
        last: Option<EntryId>,
        removed: Removed,
    },
    /// Whether it was otherwise before.
    Stood(bool),
}

/// How many entries of a destination, or of all, do what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) waiting: i64,
    pub(crate) leased: i64,
    pub(crate) held: i64,
}

impl Order {
    /// The report that is accepted with it.
    pub(crate) fn report(&mut self) -> Option<&mut Box<Row>> {
        match self {
            Self::Settle(_, report) => report.as_mut(),
            _ => None,
        }
    }
}

impl Outcome {
    /// The messages that went.
    pub(crate) fn gone(&self) -> &[MessageId] {
        match self {
            Self::Settled(_, removed) | Self::Changed { removed, .. } => &removed.gone,
            _ => &[],
        }
    }

    /// Those of them whose bodies are files to remove after the commit.
    pub(crate) fn take_files(&mut self) -> Vec<MessageId> {
        match self {
            Self::Settled(_, removed) | Self::Changed { removed, .. } => mem::take(&mut removed.files),
            _ => Vec::new(),
        }
    }
}

const WAITING: i64 = 0;
const LEASED: i64 = 1;
const HELD: i64 = 2;

/// Does what is ordered.
pub(crate) fn obey(
    connection: &Connection,
    ledgers: &mut Ledgers,
    generation: Generation,
    order: &Order,
) -> Result<Outcome, Trouble> {
    match order {
        Order::Lease { destination, now_ms, most } => {
            lease::lease(connection, ledgers, generation, destination, *now_ms, *most).map(Outcome::Leased)
        }
        Order::Attend { now_ms, most } => {
            lease::attend(connection, ledgers, generation, *now_ms, *most).map(Outcome::Leased)
        }
        Order::Settle(settlement, report) => settle::settle(connection, ledgers, settlement, report.as_deref()),
        Order::GiveBack(leases) => lease::give_back(connection, ledgers, leases),
        Order::Change { of, after, most, change, now_ms } => {
            change::step(connection, ledgers, of, (*after, *most), *change, *now_ms)
        }
        Order::Stand(destination, standing) => {
            change::stand(connection, ledgers, destination, *standing).map(Outcome::Stood)
        }
    }
}

/// Puts a message into the queue.
pub(crate) fn enqueue(connection: &Connection, ledgers: &mut Ledgers, row: &Row) -> Result<(), Trouble> {
    for outgoing in &row.outgoing {
        let options = json::options(&outgoing.options).map_err(unwritable)?;
        for (destination, together) in grouped(outgoing) {
            let destination: i64 = connection
                .prepare_cached(statements::ADD_TO_DESTINATION)?
                .query_row(params![destination.as_str(), row.received_ms], |row| row.get(0))?;
            connection.prepare_cached(statements::INSERT_ENTRY)?.execute(params![
                row.id.0,
                destination,
                outgoing.sender,
                json::recipients(&together).map_err(unwritable)?,
                options,
                outgoing.priority as i64,
                row.received_ms,
                row.attention_ms,
            ])?;
            ledgers.queue_changes(Counts { waiting: 1, ..Counts::default() });
        }
    }
    Ok(())
}

/// The recipients by destination, no more together than may be.
fn grouped(outgoing: &Outgoing) -> Vec<(&Destination, Vec<Unsettled>)> {
    let mut groups: Vec<(&Destination, Vec<Unsettled>)> = Vec::new();
    let mut to: Vec<_> = outgoing.recipients.iter().collect();
    to.sort_by(|one, other| one.destination.cmp(&other.destination));
    for to in to {
        let unsettled = Unsettled { recipient: to.recipient.clone(), last: None };
        match groups.last_mut() {
            Some((destination, together))
                if **destination == to.destination && together.len() < Outgoing::MOST_TOGETHER =>
            {
                together.push(unsettled);
            }
            _ => groups.push((&to.destination, vec![unsettled])),
        }
    }
    groups
}

/// The entries of a destination do something else now. It goes with its last one.
fn count(connection: &Connection, ledgers: &mut Ledgers, destination: i64, more: Counts) -> Result<(), Trouble> {
    let is_over: bool = connection
        .prepare_cached(statements::COUNT)?
        .query_row(params![destination, more.waiting, more.leased, more.held], |row| row.get(0))?;
    ledgers.queue_changes(more);
    if is_over { forget(connection, destination) } else { refresh(connection, destination) }
}

fn forget(connection: &Connection, destination: i64) -> Result<(), Trouble> {
    connection.prepare_cached(statements::DELETE_CONTACT)?.execute([destination])?;
    connection.prepare_cached(statements::DELETE_DESTINATION)?.execute([destination])?;
    Ok(())
}

fn refresh(connection: &Connection, destination: i64) -> Result<(), Trouble> {
    connection.prepare_cached(statements::REFRESH)?.execute([destination])?;
    Ok(())
}

fn unwritable(why: serde_json::Error) -> Trouble {
    Trouble::Request(Error::Refused(why.to_string().into()))
}
