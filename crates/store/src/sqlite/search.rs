//! Searches: the rows of `store.db` and the words of `search.db`, read together on the thread `store-search`.
//!
//! What is not yet indexed, or all where there is no index, is searched as well: the newest [`Found::LATEST`] of these
//! messages, by their rows alone. For this their words are put into a table in memory that takes texts apart as
//! `search.db` does, so that a query means the same in both. Bounded by the time of one read, the rows of a page, and
//! what bounds a [`Query`].

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use crate::error::Error;
use crate::index::door::Key;
use crate::index::words::{COLUMNS, Expressions, TOKENIZE, Words};
use crate::page::{Found, Page, Start, Window};
use crate::query::{Query, Sense, Term, Test};
use crate::sqlite::reader::{add_previews, message};
use crate::sqlite::time_limit::Timed;
use crate::sqlite::trouble::of_read;
use crate::sqlite::{Role, open, schema};
use crate::types::{Flags, MailboxId, MessageId, Uid};

/// The thread's own.
pub(crate) struct Searcher {
    database: PathBuf,
    time: Duration,
    /// Rows and words.
    both: Key,
    /// Rows alone, for the time without an index.
    rows: Timed,
    latest: Connection,
}

/// One message that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hit {
    uid: Uid,
    id: MessageId,
    flags: Flags,
}

/// What an operation on all that is found may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Only messages below it.
    pub(crate) before: Uid,
    /// What arrived from here on is not meant and need not be indexed; fixed when the operation began.
    pub(crate) end: Uid,
}

/// Whether there is an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    Attached,
    None,
}

impl Searcher {
    /// A searcher whose searches take at most `time`.
    pub(crate) fn open(database: PathBuf, both: Key, time: Duration) -> rusqlite::Result<Self> {
        let rows = Timed::new(open(&database, Role::Reader)?, time)?;
        let latest = Connection::open_in_memory()?;
        let columns = COLUMNS.join(", ");
        latest.execute_batch(&format!(
            "CREATE VIRTUAL TABLE words USING fts5({columns}, content = '', columnsize = 0, {TOKENIZE})"
        ))?;
        Ok(Self { database, time, both, rows, latest })
    }

    /// One page of what `query` finds in a mailbox, newest first.
    pub(crate) fn search(&self, mailbox: MailboxId, query: &Query, window: Window) -> Result<Found, Error> {
        self.read(|connection, index| {
            let search = Search::begin(connection, &self.latest, index, mailbox, query)?;
            let (mut page, mut wanted) = (Page::default(), Vec::new());
            search.hits(None, |hit| {
                let passed = match window.start {
                    Start::Newest => false,
                    Start::Before(uid) => hit.uid >= uid,
                    Start::At(number) => page.messages < number,
                };
                if !passed && wanted.len() < window.rows() {
                    wanted.push(hit.uid);
                }
                page.messages += 1;
                page.unread += u64::from(!hit.flags.seen());
                ControlFlow::Continue(())
            })?;
            let mut statement = connection.prepare_cached(schema::MESSAGE_IN)?;
            for uid in wanted {
                page.rows.extend(statement.query_row(params![mailbox.0, uid.0], message).optional()?);
            }
            if index == Index::Attached {
                add_previews(connection, &mut page.rows)?;
            }
            Ok(Found { page, pending: search.pending()? })
        })
    }

    /// At most `most` messages that `query` finds within `reach`, newest first: what is done to them cannot be undone,
    /// so a query for text is answered from the whole index or not at all ([`Error::Busy`]).
    pub(crate) fn ids(
        &self,
        mailbox: MailboxId,
        query: &Query,
        reach: Reach,
        most: usize,
    ) -> Result<Vec<(Uid, MessageId)>, Error> {
        let find = |connection: &Connection, index| {
            let search = Search::begin(connection, &self.latest, index, mailbox, query)?;
            if !query.needs_no_text() && !search.is_indexed(reach.end)? {
                return Ok(None);
            }
            let mut found = Vec::new();
            search.hits(Some(reach.before), |hit| {
                found.push((hit.uid, hit.id));
                if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            Ok(Some(found))
        };
        self.read(find)?.ok_or(Error::Busy)
    }

    /// Runs a search with the index, or without where there is none or it turns out to be damaged.
    fn read<T>(&self, search: impl Fn(&Connection, Index) -> rusqlite::Result<T>) -> Result<T, Error> {
        let moment = |connection: &Connection, index| {
            // Both databases as they are at one moment; ended by its drop, for nothing is written.
            let _moment = connection.unchecked_transaction()?;
            search(connection, index)
        };
        let open = |index: &Path| self.attach(index);
        let found = self.both.read(open, |connection| moment(connection, Index::Attached));
        match found.map_err(|why| of_read(&why))? {
            Some(found) => Ok(found),
            None => self.rows.read(|connection| moment(connection, Index::None)).map_err(|why| of_read(&why)),
        }
    }

    fn attach(&self, index: &Path) -> rusqlite::Result<Timed> {
        let connection = open(&self.database, Role::Reader)?;
        connection.execute("ATTACH ?1 AS search", [index.to_string_lossy()])?;
        Timed::new(connection, self.time)
    }
}

/// One search of one mailbox, within one moment.
struct Search<'a> {
    connection: &'a Connection,
    latest: &'a Connection,
    index: Index,
    mailbox: MailboxId,
    query: &'a Query,
    words: Expressions,
    /// The last UID whose message is indexed.
    mark: u32,
}

impl<'a> Search<'a> {
    fn begin(
        connection: &'a Connection,
        latest: &'a Connection,
        index: Index,
        mailbox: MailboxId,
        query: &'a Query,
    ) -> rusqlite::Result<Self> {
        let mark = match index {
            Index::Attached => connection
                .prepare_cached("SELECT uid FROM search.mark WHERE mailbox = ?1")?
                .query_row([mailbox.0], |row| row.get(0))
                .optional()?
                .unwrap_or(0),
            Index::None => 0,
        };
        Ok(Self { connection, latest, index, mailbox, query, words: Expressions::of(query), mark })
    }

    /// How many messages are not yet indexed.
    fn pending(&self) -> rusqlite::Result<u64> {
        self.connection
            .prepare_cached("SELECT count(*) FROM entry WHERE mailbox = ?1 AND uid > ?2")?
            .query_row(params![self.mailbox.0, self.mark], |row| row.get(0))
    }

    /// Whether every message below `end` is indexed.
    fn is_indexed(&self, end: Uid) -> rusqlite::Result<bool> {
        if self.index == Index::None {
            return Ok(false);
        }
        self.connection
            .prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM entry WHERE mailbox = ?1 AND uid > ?2 AND uid < ?3)")?
            .query_row(params![self.mailbox.0, self.mark, end.0], |row| row.get(0))
    }

    /// Shows what is found, newest first: the messages that are not yet indexed are the newest.
    fn hits(&self, before: Option<Uid>, mut visit: impl FnMut(Hit) -> ControlFlow<()>) -> rusqlite::Result<()> {
        let before = before.map_or(i64::from(u32::MAX) + 1, |uid| uid.0.into());
        if self.query.needs_no_text() {
            return self.run(&self.statement(0, before, Part::Rows), &mut visit);
        }
        for hit in self.of_latest(before)? {
            if visit(hit).is_break() {
                return Ok(());
            }
        }
        match self.index {
            Index::Attached => {
                self.run(&self.statement(0, before.min(i64::from(self.mark) + 1), Part::Words), &mut visit)
            }
            Index::None => Ok(()),
        }
    }

    /// What is found of the messages that are not yet indexed.
    fn of_latest(&self, before: i64) -> rusqlite::Result<Vec<Hit>> {
        let Statement { sql, values } = self.statement(self.mark.into(), before, Part::Latest);
        let mut hits = Vec::new();
        let mut insert = self.latest.prepare_cached(
            "INSERT INTO words (rowid, sender, recipient, cc, subject, body, names, message_id) \
             VALUES (?8, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        self.latest.execute_batch("INSERT INTO words (words) VALUES ('delete-all'); BEGIN")?;
        let fill = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            while let Some(row) = rows.next()? {
                let hit = hit(row)?;
                let words = Words::of_row(row)?;
                let [sender, recipient, cc, subject, body, names, message_id] = words.texts();
                insert.execute(params![sender, recipient, cc, subject, body, names, message_id, hit.uid.0])?;
                hits.push(hit);
            }
            Ok(())
        };
        let filled = fill();
        self.latest.execute_batch("COMMIT")?;
        filled?;
        if let Some(positive) = &self.words.positive {
            let found = self.matching(positive)?;
            hits.retain(|hit| found.contains(&hit.uid.0));
        }
        if let Some(negative) = &self.words.negative {
            let found = self.matching(negative)?;
            hits.retain(|hit| !found.contains(&hit.uid.0));
        }
        Ok(hits)
    }

    fn matching(&self, expression: &str) -> rusqlite::Result<HashSet<u32>> {
        let mut statement = self.latest.prepare_cached("SELECT rowid FROM words WHERE words MATCH ?1")?;
        statement.query_map([expression], |row| row.get(0))?.collect()
    }

    fn run(&self, statement: &Statement, visit: &mut impl FnMut(Hit) -> ControlFlow<()>) -> rusqlite::Result<()> {
        let mut prepared = self.connection.prepare(&statement.sql)?;
        let mut rows = prepared.query(params_from_iter(&statement.values))?;
        while let Some(row) = rows.next()? {
            if visit(hit(row)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The statement for the messages with a UID above `after` and below `before`.
    fn statement(&self, after: i64, before: i64, part: Part) -> Statement {
        let columns = if part == Part::Latest { schema::TEXTS } else { "entry.uid, entry.message, entry.flags" };
        let mut statement = Statement {
            sql: format!(
                "SELECT {columns} FROM entry \
                 JOIN message ON message.id = entry.message WHERE entry.mailbox = ?1 AND entry.uid > ?2 AND entry.uid < ?3"
            ),
            values: vec![self.mailbox.0.into(), after.into(), before.into()],
        };
        for term in &self.query.terms {
            statement.condition(term, part);
        }
        if part == Part::Words {
            if let Some(positive) = &self.words.positive {
                statement.and(
                    Sense::Is,
                    "entry.message IN (SELECT rowid FROM search.words WHERE words MATCH ?)",
                    Some(positive.clone()),
                );
            }
            if let Some(negative) = &self.words.negative {
                statement.and(
                    Sense::IsNot,
                    "entry.message IN (SELECT rowid FROM search.words WHERE words MATCH ?)",
                    Some(negative.clone()),
                );
            }
        }
        statement.sql.push_str(" ORDER BY entry.uid DESC");
        if part == Part::Latest {
            statement.sql.push_str(&format!(" LIMIT {}", Found::LATEST));
        }
        statement
    }
}

/// Which messages a statement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Those that are indexed.
    Words,
    /// Those that are not.
    Latest,
    /// All, for a query that asks for no text.
    Rows,
}

/// A statement and what is bound to it. No text of a user is ever part of the statement.
struct Statement {
    sql: String,
    values: Vec<Value>,
}

impl Statement {
    /// What a term asks of the rows; text is asked of the words.
    fn condition(&mut self, term: &Term, part: Part) {
        match &term.test {
            Test::Text { .. } => {}
            Test::Tag(name) => self.and(
                term.sense,
                "EXISTS (SELECT 1 FROM message_tag JOIN tag ON tag.id = message_tag.tag \
                 WHERE message_tag.message = entry.message AND tag.name = ?)",
                Some(name.clone()),
            ),
            Test::Tagged => self.and::<i64>(
                term.sense,
                "EXISTS (SELECT 1 FROM message_tag WHERE message_tag.message = entry.message)",
                None,
            ),
            Test::Read => self.and(term.sense, "entry.flags & ? <> 0", Some(i64::from(Flags::SEEN.0))),
            // Not known, so neither those with nor those without.
            Test::Attachment if part == Part::Latest => self.and::<i64>(Sense::Is, "FALSE", None),
            Test::Attachment => self.and::<i64>(
                term.sense,
                "entry.message IN (SELECT id FROM search.document WHERE attachments > 0)",
                None,
            ),
            Test::Before(moment) => self.and(term.sense, "received_ms < ?", Some(*moment)),
            Test::After(moment) => self.and(term.sense, "received_ms >= ?", Some(*moment)),
            Test::Larger(bytes) => self.and(term.sense, "size > ?", Some(*bytes)),
            Test::Smaller(bytes) => self.and(term.sense, "size < ?", Some(*bytes)),
        }
    }

    /// One condition more; its `?` stands for the value.
    fn and<V: Into<Value>>(&mut self, sense: Sense, condition: &str, value: Option<V>) {
        self.sql.push_str(if sense == Sense::Is { " AND (" } else { " AND NOT (" });
        self.values.extend(value.map(Into::into));
        self.sql.push_str(&condition.replace('?', &format!("?{}", self.values.len())));
        self.sql.push(')');
    }
}

fn hit(row: &Row<'_>) -> rusqlite::Result<Hit> {
    Ok(Hit { uid: Uid(row.get(0)?), id: MessageId(row.get(1)?), flags: Flags(row.get(2)?) })
}
