//! The queue, read: what is due, pages for people, the figures.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::queue::{
    Attempt, Contact, Destination, DestinationRow, Due, DueDestination, Entry, EntryId, EntryRow, EntryState,
    EntryWindow, Priority, Standing,
};
use crate::sqlite::queue::{Counts, HELD, LEASED, json, statements};
use crate::types::MessageId;

/// How many entries do what.
pub(crate) fn totals(connection: &Connection) -> rusqlite::Result<Counts> {
    connection.query_row(statements::TOTALS, (), |row| {
        Ok(Counts { waiting: row.get(0)?, leased: row.get(1)?, held: row.get(2)? })
    })
}

/// What may be tried now, and when there is more.
pub(crate) fn due(connection: &Connection, now_ms: u64, most: usize) -> rusqlite::Result<Due> {
    let moment = connection.unchecked_transaction()?;
    let mut statement = moment.prepare_cached(statements::DUE)?;
    let destinations = statement
        .query_map(params![now_ms, most as i64], |row| {
            Ok(DueDestination { destination: name(row, 0)?, failures: row.get(1)? })
        })?
        .collect::<Result<_, _>>()?;
    let next_ms = moment.prepare_cached(statements::NEXT)?.query_row([now_ms], |row| row.get(0)).optional()?;
    let attention_ms = moment.prepare_cached(statements::NEXT_ATTENTION)?.query_row((), |row| row.get(0)).optional()?;
    Ok(Due { destinations, next_ms, attention_ms })
}

/// A page of entries.
pub(crate) fn page(connection: &Connection, window: &EntryWindow) -> rusqlite::Result<Vec<EntryRow>> {
    let limit = window.limit.min(EntryWindow::MOST) as i64;
    let before = window.before.map_or(i64::MAX, |before| before.0);
    let moment = connection.unchecked_transaction()?;
    let destination: Option<i64> = match &window.of.destination {
        None => None,
        Some(name) => {
            let mut statement = moment.prepare_cached(statements::DESTINATION)?;
            let known = statement.query_row([name.as_str()], |row| row.get(0)).optional()?;
            let Some(known) = known else { return Ok(Vec::new()) };
            Some(known)
        }
    };
    match (window.of.message, destination) {
        (None, None) => {
            let mut statement = moment.prepare_cached(statements::PAGE)?;
            statement.query_map(params![before, limit], entry_row)?.collect()
        }
        (None, Some(destination)) => {
            let mut statement = moment.prepare_cached(statements::PAGE_OF_DESTINATION)?;
            statement.query_map(params![before, limit, destination], entry_row)?.collect()
        }
        (Some(message), _) => {
            let mut statement = moment.prepare_cached(statements::PAGE_OF_MESSAGE)?;
            let rows = statement.query_map(params![before, limit, message.0], entry_row)?;
            let is_meant = |row: &rusqlite::Result<EntryRow>| match (&window.of.destination, row) {
                (Some(destination), Ok(row)) => row.entry.destination == *destination,
                _ => true,
            };
            rows.filter(is_meant).collect()
        }
    }
}

/// The last attempt at an entry: its own, or the one that did not reach its destination.
pub(crate) fn attempt(connection: &Connection, entry: EntryId) -> rusqlite::Result<Option<Attempt>> {
    let own = read_attempt(connection, statements::ATTEMPT, entry)?;
    let contact = read_attempt(connection, statements::CONTACT, entry)?;
    Ok(match (own, contact) {
        (Some(own), Some(contact)) if contact.contact != Contact::Reached && contact.at_ms > own.at_ms => Some(contact),
        (None, Some(contact)) if contact.contact != Contact::Reached => Some(contact),
        (own, _) => own,
    })
}

fn read_attempt(connection: &Connection, sql: &str, entry: EntryId) -> rusqlite::Result<Option<Attempt>> {
    connection.prepare_cached(sql)?.query_row([entry.0], |row| attempt_at(row, 0)).optional()
}

/// Destinations in the order of their names, behind `after`.
pub(crate) fn destinations(
    connection: &Connection,
    after: Option<&Destination>,
    limit: usize,
) -> rusqlite::Result<Vec<DestinationRow>> {
    let after = after.map_or("", Destination::as_str);
    let mut statement = connection.prepare_cached(statements::DESTINATIONS)?;
    let rows = statement.query_map(params![after, limit.min(EntryWindow::MOST) as i64], |row| {
        let tried: Option<u64> = row.get(7)?;
        Ok(DestinationRow {
            destination: name(row, 0)?,
            standing: if row.get::<_, i64>(1)? == 0 { Standing::Open } else { Standing::Suspended },
            failures: row.get(2)?,
            waiting: row.get(3)?,
            leased: row.get(4)?,
            held: row.get(5)?,
            next_ms: row.get(6)?,
            last: tried.map(|_| attempt_at(row, 7)).transpose()?,
        })
    })?;
    rows.collect()
}

/// The columns of `statements::ENTRY`.
pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let priority: usize = row.get::<_, u32>(6)? as usize;
    Ok(Entry {
        id: EntryId(row.get(0)?),
        message: MessageId(row.get(1)?),
        destination: name(row, 2)?,
        sender: row.get(3)?,
        recipients: json::read_recipients(row, 4)?,
        options: json::read_options(row, 5)?,
        priority: Priority::ALL.get(priority).copied().unwrap_or_default(),
        state: match row.get(7)? {
            LEASED => EntryState::Leased,
            HELD => EntryState::Held,
            _ => EntryState::Waiting,
        },
        created_ms: row.get(8)?,
        due_ms: row.get(9)?,
        attention_ms: row.get(10)?,
        attempts: row.get(11)?,
        interruptions: row.get(12)?,
    })
}

fn entry_row(row: &Row<'_>) -> rusqlite::Result<EntryRow> {
    Ok(EntryRow { entry: entry(row)?, size: row.get(13)?, subject: row.get(14)? })
}

/// When, until when nothing is tried, the server, what was said: from this column on.
fn attempt_at(row: &Row<'_>, first: usize) -> rusqlite::Result<Attempt> {
    let until_ms: Option<u64> = row.get(first + 1)?;
    Ok(Attempt {
        at_ms: row.get(first)?,
        contact: until_ms.map_or(Contact::Reached, |until_ms| Contact::Unreached { until_ms }),
        server: row.get(first + 2)?,
        conversation: row.get(first + 3)?,
    })
}

fn name(row: &Row<'_>, column: usize) -> rusqlite::Result<Destination> {
    Ok(Destination::new(row.get_ref(column)?.as_str()?))
}
