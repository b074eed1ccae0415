//! Leases: taken, given back, and those of an earlier opening ended.

use rusqlite::{Connection, OptionalExtension, params};

use crate::queue::{Destination, EntryId, Generation, Lease, Priority};
use crate::sqlite::apply::Removed;
use crate::sqlite::ledger::Ledgers;
use crate::sqlite::queue::{Counts, LEASED, Outcome, count, read, statements};
use crate::sqlite::trouble::Trouble;

const TAKEN: Counts = Counts { waiting: -1, leased: 1, held: 0 };
const RETURNED: Counts = Counts { waiting: 1, leased: -1, held: 0 };

/// What an opening begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) generation: Generation,
    /// Leases of the opening before that were ended.
    pub(crate) interrupted: u64,
}

/// Begins a generation: what is leased waits again.
pub(crate) fn begin(connection: &Connection) -> rusqlite::Result<Start> {
    let generation = connection.query_row(statements::RAISE_GENERATION, (), |row| row.get(0).map(Generation))?;
    let leased: Vec<(i64, i64)> = {
        let mut statement = connection.prepare(statements::LEASED)?;
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    for (entry, destination) in &leased {
        connection.prepare_cached(statements::INTERRUPT)?.execute([entry])?;
        connection
            .prepare_cached(statements::COUNT)?
            .query_row(params![destination, RETURNED.waiting, RETURNED.leased, RETURNED.held], |_| Ok(()))?;
        connection.prepare_cached(statements::REFRESH)?.execute([destination])?;
    }
    Ok(Start { generation, interrupted: leased.len() as u64 })
}

/// Leases what is due at a destination, the most urgent first.
pub(super) fn lease(
    connection: &Connection,
    ledgers: &mut Ledgers,
    generation: Generation,
    destination: &Destination,
    now_ms: u64,
    most: usize,
) -> Result<Vec<Lease>, Trouble> {
    let found: Option<i64> = connection
        .prepare_cached(statements::OPEN_DESTINATION)?
        .query_row(params![destination.as_str(), now_ms], |row| row.get(0))
        .optional()?;
    let Some(destination) = found else { return Ok(Vec::new()) };
    let mut leases = Vec::new();
    for priority in Priority::ALL {
        let room = most.saturating_sub(leases.len());
        let due: Vec<i64> = {
            let mut statement = connection.prepare_cached(statements::DUE_OF_PRIORITY)?;
            let rows =
                statement.query_map(params![destination, priority as i64, now_ms, room as i64], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        for entry in due {
            leases.push(take(connection, generation, entry)?);
        }
    }
    let number = leases.len() as i64;
    if number > 0 {
        count(connection, ledgers, destination, Counts { waiting: -number, leased: number, held: 0 })?;
    }
    Ok(leases)
}

/// Leases what somebody should look at.
pub(super) fn attend(
    connection: &Connection,
    ledgers: &mut Ledgers,
    generation: Generation,
    now_ms: u64,
    most: usize,
) -> Result<Vec<Lease>, Trouble> {
    let found: Vec<(i64, i64)> = {
        let mut statement = connection.prepare_cached(statements::TO_ATTEND)?;
        let rows = statement.query_map(params![now_ms, most as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    let mut leases = Vec::with_capacity(found.len());
    for (entry, destination) in found {
        leases.push(take(connection, generation, entry)?);
        count(connection, ledgers, destination, TAKEN)?;
    }
    Ok(leases)
}

fn take(connection: &Connection, generation: Generation, entry: i64) -> Result<Lease, Trouble> {
    connection.prepare_cached(statements::TAKE)?.execute(params![entry, generation.0])?;
    let entry = connection.prepare_cached(statements::ENTRY)?.query_row([entry], read::entry)?;
    Ok(Lease { entry, generation })
}

/// What is leased waits again as it did; a lease that is none any more is passed over.
pub(super) fn give_back(
    connection: &Connection,
    ledgers: &mut Ledgers,
    leases: &[(EntryId, Generation)],
) -> Result<Outcome, Trouble> {
    let mut number = 0;
    for (entry, generation) in leases {
        let Some(held) = held(connection, *entry, *generation)? else { continue };
        connection.prepare_cached(statements::GIVE_BACK)?.execute([entry.0])?;
        count(connection, ledgers, held.destination, RETURNED)?;
        number += 1;
    }
    Ok(Outcome::Changed { number, last: None, removed: Removed::default() })
}

/// What a lease is of.
pub(super) struct Of {
    pub(super) destination: i64,
    pub(super) message: i64,
}

/// What a lease is of; `None` when it is none any more.
pub(super) fn held(connection: &Connection, entry: EntryId, generation: Generation) -> Result<Option<Of>, Trouble> {
    let found: Option<(Of, i64, i64)> = connection
        .prepare_cached(statements::STANDING)?
        .query_row([entry.0], |row| {
            Ok((Of { destination: row.get(0)?, message: row.get(1)? }, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    Ok(found.and_then(|(of, state, leased)| (state == LEASED && leased == generation.0).then_some(of)))
}
