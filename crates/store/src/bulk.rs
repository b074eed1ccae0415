//! Operations on any number of messages, as a chain of bounded transactions.
//!
//! One transaction for a million messages would hold the writer for seconds, and everyone who waits for a 250 with it.
//! So the messages are taken in steps of [`STEP`], and other writes go between two of them. What arrives meanwhile is
//! not meant: the end is fixed at the beginning.

use std::sync::Arc;

use crate::contract::Inner;
use crate::error::Error;
use crate::page::Selection;
use crate::sqlite::apply::Within;
use crate::sqlite::search::{Reach, Searcher};
use crate::sqlite::writer::Request;
use crate::tag::Tag;
use crate::types::{MailboxId, MessageId, Uid};

/// The most messages of one transaction.
pub(crate) const STEP: usize = 250;

/// The most messages that are searched for at once.
const MOST_FOUND: usize = 10_000;

/// Does `step` to all that are selected; how many of them were here.
pub(crate) async fn each_step(
    inner: &Inner,
    selection: Selection,
    mut step: impl AsyncFnMut(Within, Vec<MessageId>) -> Result<usize, Error>,
) -> Result<u64, Error> {
    let mut done = 0;
    match selection {
        Selection::These(ids) => done = each_named(Within::Everywhere, &ids, step).await?,
        Selection::In(mailbox, ids) => done = each_named(Within::Mailbox(mailbox), &ids, step).await?,
        Selection::Mailbox(mailbox) => {
            let before = end_of(inner, mailbox).await?;
            let mut after = Uid(0);
            loop {
                let found = inner.readers.run(move |reader| reader.uids(mailbox, after, before, STEP)).await??;
                let Some((last, _)) = found.last() else { break };
                after = *last;
                done += step(Within::Mailbox(mailbox), found.into_iter().map(|(_, id)| id).collect()).await? as u64;
            }
        }
        Selection::Found(mailbox, query) => {
            let end = end_of(inner, mailbox).await?;
            let mut before = end;
            if !query.needs_no_text() {
                inner.indexed().await?;
            }
            let query = Arc::new(query);
            loop {
                let query = Arc::clone(&query);
                let find =
                    move |searcher: &mut Searcher| searcher.ids(mailbox, &query, Reach { before, end }, MOST_FOUND);
                let found = inner.searcher.run(find).await??;
                for step_of in found.chunks(STEP) {
                    done += step(Within::Mailbox(mailbox), step_of.iter().map(|(_, id)| *id).collect()).await? as u64;
                }
                match found.last() {
                    Some((last, _)) if found.len() == MOST_FOUND => before = *last,
                    _ => break,
                }
            }
        }
    }
    Ok(done)
}

async fn each_named(
    within: Within,
    ids: &[MessageId],
    mut step: impl AsyncFnMut(Within, Vec<MessageId>) -> Result<usize, Error>,
) -> Result<u64, Error> {
    if ids.len() > Selection::MOST_NAMED {
        return Err(Error::TooMany { what: "messages named at once", most: Selection::MOST_NAMED });
    }
    let mut done = 0;
    for ids in ids.chunks(STEP) {
        done += step(within, ids.to_vec()).await? as u64;
    }
    Ok(done)
}

/// Puts another tag, or none, in the place of one; whether any message had it.
pub(crate) async fn replace_tag(inner: &Inner, from: &Tag, to: Option<&Tag>) -> Result<bool, Error> {
    let mut found = false;
    loop {
        let (from, to) = (from.clone(), to.cloned());
        let had = inner.writer.ask(|asker| Request::ReplaceTag { from, to, most: STEP, asker }).await?;
        found |= had > 0;
        if had < STEP {
            return Ok(found);
        }
    }
}

/// The UID that the next message of the mailbox gets.
async fn end_of(inner: &Inner, mailbox: MailboxId) -> Result<Uid, Error> {
    let found = inner.readers.run(move |reader| reader.mailbox(mailbox)).await??;
    Ok(found.map_or(Uid(0), |mailbox| mailbox.uid_next))
}
