//! What comes of a lease, in one transaction with the report about it.

use rusqlite::{Connection, params};

use crate::queue::{Attempt, Contact, EntryId, Settlement};
use crate::sqlite::apply::{self, Removed, Row};
use crate::sqlite::ledger::Ledgers;
use crate::sqlite::queue::{Counts, Outcome, count, json, lease, statements, unwritable};
use crate::sqlite::trouble::Trouble;
use crate::types::MessageId;

/// Settles a lease. One that is none any more changes nothing, and its report is not accepted.
pub(super) fn settle(
    connection: &Connection,
    ledgers: &mut Ledgers,
    settlement: &Settlement,
    report: Option<&Row>,
) -> Result<Outcome, Trouble> {
    let Settlement { entry, generation, left, due_ms, attention_ms, attempt } = settlement;
    let Some(of) = lease::held(connection, *entry, *generation)? else { return Ok(Outcome::Stale) };
    if let Some(report) = report {
        apply::accept(connection, ledgers, report)?;
    }
    if let Some(attempt) = attempt {
        keep(connection, *entry, of.destination, attempt)?;
    }
    let mut removed = Removed::default();
    let is_over = left.is_empty();
    if is_over {
        remove(connection, *entry, MessageId(of.message), &mut removed)?;
    } else {
        connection.prepare_cached(statements::WAIT_ON)?.execute(params![
            entry.0,
            json::recipients(left).map_err(unwritable)?,
            due_ms,
            attention_ms,
            i64::from(attempt.is_some()),
        ])?;
    }
    count(connection, ledgers, of.destination, Counts { waiting: i64::from(!is_over), leased: -1, held: 0 })?;
    Ok(Outcome::Settled(report.map(|report| report.id), removed))
}

/// An entry goes, and its message with it when nothing else needs it.
pub(super) fn remove(
    connection: &Connection,
    entry: EntryId,
    message: MessageId,
    removed: &mut Removed,
) -> Result<(), Trouble> {
    connection.prepare_cached(statements::DELETE_ENTRY)?.execute([entry.0])?;
    connection.prepare_cached(statements::DELETE_ATTEMPT)?.execute([entry.0])?;
    apply::sent(connection, message, removed)
}

fn keep(connection: &Connection, entry: EntryId, destination: i64, attempt: &Attempt) -> Result<(), Trouble> {
    let Attempt { at_ms, contact, server, conversation } = attempt;
    let conversation = conversation.get(..conversation.floor_char_boundary(Attempt::LONGEST)).unwrap_or_default();
    let until_ms = match contact {
        Contact::Reached => {
            connection.prepare_cached(statements::REACHED)?.execute([destination])?;
            connection.prepare_cached(statements::KEEP_ATTEMPT)?.execute(params![
                entry.0,
                at_ms,
                server,
                conversation
            ])?;
            None
        }
        // It is the same for all entries, so it is kept once.
        Contact::Unreached { until_ms } => {
            connection.prepare_cached(statements::UNREACHED)?.execute(params![destination, until_ms, at_ms])?;
            Some(*until_ms)
        }
    };
    connection.prepare_cached(statements::KEEP_CONTACT)?.execute(params![
        destination,
        at_ms,
        until_ms,
        server,
        conversation
    ])?;
    Ok(())
}
