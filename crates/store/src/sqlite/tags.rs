//! Tags as rows, inside the writer's transaction.
//!
//! A tag is a row of `tag` exactly while some message has it. Every change moves the MODSEQ of the message wherever it
//! is. Bounded by the constants of [`Tag`], and by what one request may name.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Error;
use crate::sqlite::apply;
use crate::sqlite::ledger::Ledgers;
use crate::sqlite::schema;
use crate::sqlite::trouble::Trouble;
use crate::tag::Tag;
use crate::types::MessageId;

/// Gives each of the messages exactly these tags; how many of them are here.
pub(crate) fn set(
    connection: &Connection,
    ledgers: &mut Ledgers,
    ids: &[MessageId],
    tags: &[Tag],
) -> Result<usize, Trouble> {
    let (mut found, mut wanted) = (0, None);
    for id in ids {
        if connection.prepare_cached(schema::SIZE_AND_PLACE)?.query_row([id.0], |_| Ok(())).optional()?.is_none() {
            continue;
        }
        found += 1;
        let wanted = match &mut wanted {
            Some(wanted) => &*wanted,
            none => none.insert(numbers(connection, tags)?),
        };
        let mut present = of_message(connection, *id)?;
        present.sort_unstable();
        if present == *wanted {
            continue;
        }
        connection.prepare_cached(schema::UNTAG)?.execute([id.0])?;
        for tag in wanted {
            connection.prepare_cached(schema::ADD_TAG)?.execute(params![id.0, tag])?;
        }
        apply::touch(connection, ledgers, *id)?;
    }
    prune(connection)?;
    Ok(found)
}

/// Takes `from` off at most `most` messages, and hangs `to` on them in its place; how many had it.
pub(crate) fn replace(
    connection: &Connection,
    ledgers: &mut Ledgers,
    from: &Tag,
    to: Option<&Tag>,
    most: usize,
) -> Result<usize, Trouble> {
    let Some(old) = number(connection, from)? else { return Ok(0) };
    let messages: Vec<MessageId> = {
        let mut statement = connection.prepare_cached(schema::TAGGED)?;
        let rows = statement.query_map(params![old, most as i64], |row| row.get(0).map(MessageId))?;
        rows.collect::<Result<_, _>>()?
    };
    let new = match to {
        // Only the case of its letters changes.
        Some(to) if number(connection, to)? == Some(old) => {
            connection.prepare_cached(schema::RESPELL_TAG)?.execute(params![old, to.as_str()])?;
            return Ok(messages.len().min(1));
        }
        Some(to) => Some(make(connection, to)?),
        None => None,
    };
    for id in &messages {
        connection.prepare_cached(schema::REMOVE_TAG)?.execute(params![id.0, old])?;
        if let Some(new) = new {
            connection.prepare_cached(schema::ADD_TAG)?.execute(params![id.0, new])?;
        }
        apply::touch(connection, ledgers, *id)?;
    }
    prune(connection)?;
    check_number(connection)?;
    Ok(messages.len())
}

/// Forgets the tags that no message has; there are at most [`Tag::MOST`] to look at.
pub(crate) fn prune(connection: &Connection) -> Result<(), Trouble> {
    connection.prepare_cached(schema::PRUNE_TAGS)?.execute(())?;
    Ok(())
}

/// The numbers of these tags, ascending, each once; makes what is missing.
fn numbers(connection: &Connection, tags: &[Tag]) -> Result<Vec<i64>, Trouble> {
    let mut numbers = tags.iter().map(|tag| make(connection, tag)).collect::<Result<Vec<_>, _>>()?;
    check_number(connection)?;
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

fn make(connection: &Connection, tag: &Tag) -> Result<i64, Trouble> {
    connection.prepare_cached(schema::MAKE_TAG)?.execute([tag.as_str()])?;
    number(connection, tag)?.ok_or_else(|| Trouble::Request(Error::Damaged("a tag is missing".into())))
}

fn number(connection: &Connection, tag: &Tag) -> Result<Option<i64>, Trouble> {
    Ok(connection.prepare_cached(schema::TAG)?.query_row([tag.as_str()], |row| row.get(0)).optional()?)
}

fn of_message(connection: &Connection, id: MessageId) -> Result<Vec<i64>, Trouble> {
    let mut statement = connection.prepare_cached(schema::TAGS_OF)?;
    let tags = statement.query_map([id.0], |row| row.get(0))?;
    Ok(tags.collect::<Result<_, _>>()?)
}

fn check_number(connection: &Connection) -> Result<(), Trouble> {
    let tags: usize = connection.prepare_cached(schema::COUNT_TAGS)?.query_row((), |row| row.get(0))?;
    if tags > Tag::MOST {
        return Err(Trouble::Request(Error::TooMany { what: "different tags", most: Tag::MOST }));
    }
    Ok(())
}
