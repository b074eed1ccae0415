//! What people do to the queue, a step of entries at a time.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Error;
use crate::queue::{Change, Chosen, Destination, EntryId, Standing};
use crate::sqlite::apply::Removed;
use crate::sqlite::ledger::Ledgers;
use crate::sqlite::queue::{Counts, HELD, LEASED, Outcome, WAITING, count, settle, statements};
use crate::sqlite::trouble::Trouble;
use crate::types::MessageId;

/// The most destinations that are suspended.
const MOST_SUSPENDED: i64 = 10_000;

#[derive(Clone, Copy)]
struct Found {
    id: EntryId,
    destination: i64,
    message: MessageId,
    state: i64,
}

/// Changes the chosen of the next `most` entries behind `after`.
pub(super) fn step(
    connection: &Connection,
    ledgers: &mut Ledgers,
    of: &Chosen,
    (after, most): (EntryId, usize),
    change: Change,
    now_ms: u64,
) -> Result<Outcome, Trouble> {
    let (found, wanted) = find(connection, of, after, most)?;
    let last = found.last().filter(|_| found.len() == most).map(|found| found.id);
    let (mut number, mut removed) = (0, Removed::default());
    for found in found {
        if wanted.is_none_or(|destination| destination == found.destination)
            && let Some(more) = apply(connection, found, change, now_ms, &mut removed)?
        {
            if change == Change::Retry {
                connection.prepare_cached(statements::FORGET_UNTIL)?.execute([found.destination])?;
            }
            count(connection, ledgers, found.destination, more)?;
            number += 1;
        }
    }
    Ok(Outcome::Changed { number, last, removed })
}

/// The next entries, and the destination that they must have.
fn find(
    connection: &Connection,
    of: &Chosen,
    after: EntryId,
    most: usize,
) -> Result<(Vec<Found>, Option<i64>), Trouble> {
    let destination: Option<i64> = match &of.destination {
        None => None,
        Some(name) => {
            let known = connection
                .prepare_cached(statements::DESTINATION)?
                .query_row([name.as_str()], |row| row.get(0))
                .optional()?;
            let Some(known) = known else { return Ok((Vec::new(), None)) };
            Some(known)
        }
    };
    let (sql, which) = match (of.message, destination) {
        (Some(message), _) => (statements::STEP_OF_MESSAGE, Some(message.0)),
        (None, Some(destination)) => (statements::STEP_OF_DESTINATION, Some(destination)),
        (None, None) => (statements::STEP_OF_ALL, None),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Found {
            id: EntryId(row.get(0)?),
            destination: row.get(1)?,
            message: MessageId(row.get(2)?),
            state: row.get(3)?,
        })
    };
    let found = match which {
        Some(which) => statement.query_map(params![after.0, most as i64, which], read)?.collect(),
        None => statement.query_map(params![after.0, most as i64], read)?.collect::<Result<_, _>>(),
    };
    Ok((found?, destination))
}

/// What it does to the counts; `None` where there is nothing to do.
fn apply(
    connection: &Connection,
    found: Found,
    change: Change,
    now_ms: u64,
    removed: &mut Removed,
) -> Result<Option<Counts>, Trouble> {
    let none = Counts::default();
    let more = match (change, found.state) {
        (Change::Hold, WAITING) => {
            connection.prepare_cached(statements::HOLD)?.execute([found.id.0])?;
            Counts { waiting: -1, held: 1, ..none }
        }
        (Change::Release, HELD) => {
            connection.prepare_cached(statements::DUE_AT)?.execute(params![found.id.0, now_ms])?;
            Counts { waiting: 1, held: -1, ..none }
        }
        (Change::Retry, WAITING) => {
            connection.prepare_cached(statements::DUE_AT)?.execute(params![found.id.0, now_ms])?;
            none
        }
        (Change::Delete, state) => {
            settle::remove(connection, found.id, found.message, removed)?;
            match state {
                WAITING => Counts { waiting: -1, ..none },
                LEASED => Counts { leased: -1, ..none },
                _ => Counts { held: -1, ..none },
            }
        }
        _ => return Ok(None),
    };
    Ok(Some(more))
}

/// Suspends a destination, or resumes it; whether it was otherwise before.
pub(super) fn stand(
    connection: &Connection,
    ledgers: &mut Ledgers,
    name: &Destination,
    standing: Standing,
) -> Result<bool, Trouble> {
    let sql = match standing {
        Standing::Suspended => {
            let suspended: i64 = connection.query_row(statements::COUNT_SUSPENDED, (), |row| row.get(0))?;
            if suspended >= MOST_SUSPENDED {
                let most = MOST_SUSPENDED.unsigned_abs() as usize;
                return Err(Trouble::Request(Error::TooMany { what: "suspended destinations", most }));
            }
            statements::SUSPEND
        }
        Standing::Open => statements::RESUME,
    };
    let found: Option<i64> = connection.prepare_cached(sql)?.query_row([name.as_str()], |row| row.get(0)).optional()?;
    let Some(destination) = found else { return Ok(false) };
    // No entry does anything else, but those there may be tried now, or not: whoever waits for changes looks.
    count(connection, ledgers, destination, Counts::default())?;
    Ok(true)
}
