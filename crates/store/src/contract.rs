//! The contract: every operation of the store, on one page.
//!
//! Each is whole: one call, one transaction, done or not done. No type of the backend appears here, so that another one
//! can stand behind the same page; `tests/conformance` is what it would have to pass.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::blob::Bodies;
use crate::blob::incoming::Incoming;
use crate::error::{Error, OpenError};
use crate::ids::{Ids, Supply};
use crate::index::indexer::Indexer;
use crate::page::{Found, Page, Selection, Window};
use crate::query::Query;
use crate::queue::Outgoing;
use crate::queue::operations::check_outgoing;
use crate::retention::{Keeper, Retention};
use crate::sqlite::apply::{Row, Taken, Within};
use crate::sqlite::reader::Reader;
use crate::sqlite::search::Searcher;
use crate::sqlite::writer::{Request, Writer};
use crate::tag::{Tag, TagCount};
use crate::threads::Pool;
use crate::types::{
    Accept, Accepted, Envelope, Figures, ListPage, Mailbox, MailboxId, MessageId, MessageRow, Place, Seen, Settings,
    StoredBody, Summary, Verdict,
};
use crate::{bulk, open, verify};

/// A handle to the open store. Clones are the same store. Its futures need no particular runtime and may be awaited on
/// any thread.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) ids: Arc<Ids>,
    pub(crate) writer: Writer,
    pub(crate) readers: Arc<Pool<Reader>>,
    pub(crate) searcher: Pool<Searcher>,
    pub(crate) indexer: Indexer,
    pub(crate) keeper: Keeper,
    pub(crate) changes: watch::Receiver<u64>,
    pub(crate) queue_changes: watch::Receiver<u64>,
    /// Milliseconds.
    pub(crate) queue_attention: AtomicU64,
}

impl Store {
    /// The most messages that one [`Store::delete`] or [`Store::set_tags`] takes.
    pub const MOST_DELETED: usize = 1000;
    /// The most messages of one transaction where an operation is for any number of them.
    pub const STEP: usize = bulk::STEP;
    /// The most secrets.
    pub const MOST_SECRETS: usize = 10_000;
    /// The most bytes of one secret.
    pub const LARGEST_SECRET: usize = 1 << 20;
    /// The most bytes of a secret's name.
    pub const LONGEST_SECRET_NAME: usize = 300;

    /// Opens the store: makes or migrates it, takes the lock, sweeps what a crash left, starts the threads. Blocks.
    ///
    /// A store that is dropped without [`Store::close`] ends by itself, and keeps the lock until its threads have
    /// ended.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        open::open(settings).map(|inner| Self { inner: Arc::new(inner) })
    }

    /// Begins a message, at MAIL: gives it its number and promises it disk, for `declared` bytes or for a small body.
    /// Does not wait.
    pub fn begin(&self, declared: Option<u64>) -> Result<Incoming, Error> {
        self.writable()?;
        let (id, supply) = self.inner.ids.next();
        if supply == Supply::Low && !self.inner.writer.offer(Request::LeaseIds) {
            self.inner.ids.not_leased();
        }
        Incoming::begin(&self.inner.bodies, id.ok_or(Error::Busy)?, declared)
    }

    /// Takes a message into its mailboxes; returns when it is on disk: its body synced, its rows committed. All of them
    /// have it then, or, after an error, none: [`Error::NoMailbox`] and [`Error::OverQuota`] say that one of them cannot.
    ///
    /// Dropping this future before the rows are queued forgets the message; after that the message may still be stored.
    pub async fn accept(&self, accept: Accept) -> Result<Accepted, Error> {
        self.take(accept, now_ms(), None).await
    }

    pub(crate) async fn take(&self, accept: Accept, received_ms: i64, taken: Option<Taken>) -> Result<Accepted, Error> {
        self.writable()?;
        let row = self.row(accept, received_ms, taken).await?;
        let id = row.id;
        self.inner.writer.ask(|asker| Request::Accept(row, asker)).await?;
        Ok(Accepted { id })
    }

    /// A message whose body is safe, as it is bound to the statements.
    pub(crate) async fn row(&self, accept: Accept, received_ms: i64, taken: Option<Taken>) -> Result<Box<Row>, Error> {
        let Accept { envelope, origin, summary, body, mut places, queue, trace } = accept;
        if !body.belongs_to(&self.inner.bodies) {
            return Err(Error::Refused("the body was begun in another store".into()));
        }
        check(&envelope)?;
        check_places(&mut places, &queue)?;
        at_most("bytes of a trace", trace.as_ref().map_or(0, String::len), Accept::LONGEST_TRACE)?;
        let id = body.id();
        let body = body.finish().await?;
        let recipients =
            serde_json::to_string(&envelope.recipients).map_err(|why| Error::Refused(why.to_string().into()))?;
        let attention = i64::try_from(self.inner.queue_attention.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        Ok(Box::new(Row {
            id,
            body,
            received_ms,
            sender: envelope.sender,
            recipients,
            peer: origin.peer.to_string(),
            helo: cut(origin.helo),
            channel: cut(origin.channel),
            connection: origin.connection.cast_signed(),
            from: cut(summary.from),
            to: cut(summary.to),
            subject: cut(summary.subject),
            date_unix: summary.date_unix,
            message_id: cut(summary.message_id),
            places,
            trace,
            taken,
            outgoing: queue,
            attention_ms: received_ms.saturating_add(attention),
        }))
    }

    /// All mailboxes with their counters.
    pub async fn mailboxes(&self) -> Result<Vec<Mailbox>, Error> {
        self.inner.readers.run(|reader| reader.mailboxes()).await?
    }

    /// One page of a mailbox, newest first. An unknown mailbox is empty.
    pub async fn list(&self, page: ListPage) -> Result<Vec<MessageRow>, Error> {
        self.inner.readers.run(move |reader| reader.list(page)).await?
    }

    /// One page of a mailbox, newest first, by position or by UID, with the mailbox's sums. An unknown mailbox is empty.
    pub async fn page(&self, mailbox: MailboxId, window: Window) -> Result<Page, Error> {
        self.inner.readers.run(move |reader| reader.page(mailbox, window)).await?
    }

    /// One page of what a search finds in a mailbox, newest first, by position or by UID, with the sums of all it finds.
    /// [`Error::TimedOut`] when that takes longer than `Settings::read_time`.
    pub async fn search(&self, mailbox: MailboxId, query: Query, window: Window) -> Result<Found, Error> {
        self.inner.searcher.run(move |searcher| searcher.search(mailbox, &query, window)).await?
    }

    /// Returns when all that is committed now is indexed, and all that is deleted now is out of the index: then a search
    /// finds by the text too. [`Error::Busy`] while indexing waits (for room on the disk, as [`Figures`] say).
    pub async fn indexed(&self) -> Result<(), Error> {
        self.inner.indexed().await
    }

    /// What was found out about a message and decided for it, as [`Accept::trace`] said it.
    pub async fn trace(&self, id: MessageId) -> Result<Option<String>, Error> {
        self.inner.readers.run(move |reader| reader.trace(id)).await?
    }

    /// One message without its body; `None` when it is in no mailbox (any more). Of several mailboxes that have it, the
    /// oldest is meant.
    pub async fn message(&self, id: MessageId) -> Result<Option<MessageRow>, Error> {
        self.inner.readers.run(move |reader| reader.message(id)).await?
    }

    /// One whole message, byte for byte.
    pub async fn body(&self, id: MessageId) -> Result<Option<StoredBody>, Error> {
        self.inner.readers.run(move |reader| reader.body(id)).await?
    }

    /// Reads a body again and compares it with the hash that was kept when it was accepted.
    pub async fn verify(&self, id: MessageId) -> Result<Option<Verdict>, Error> {
        let Some(row) = self.message(id).await? else { return Ok(None) };
        let body = match self.body(id).await {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(None),
            Err(Error::Damaged(_)) => return Ok(Some(Verdict::Missing)),
            Err(error) => return Err(error),
        };
        self.inner.bodies.blocking.run(move |()| verify::verify(&row, &body)).await?.map(Some)
    }

    /// Marks a message as read or not, wherever it is; `false` when it is not here. Dropping this future may still do
    /// it.
    pub async fn set_seen(&self, id: MessageId, seen: Seen) -> Result<bool, Error> {
        self.writable()?;
        let found = self.inner.writer.ask(|asker| Request::SetSeen(Within::Everywhere, vec![id], seen, asker)).await?;
        Ok(found > 0)
    }

    /// Marks messages as read or not; how many of them were here. Each is marked whole, in transactions of at most
    /// [`Store::STEP`]: an error, or dropping this future, may leave a part of them marked, and asking again goes on.
    pub async fn set_seen_all(&self, selection: Selection, seen: Seen) -> Result<u64, Error> {
        self.writable()?;
        bulk::each_step(&self.inner, selection, async |within, ids| {
            self.inner.writer.ask(|asker| Request::SetSeen(within, ids, seen, asker)).await
        })
        .await
    }

    /// Gives each of the messages exactly these tags, all in one transaction; how many of them were here. At most
    /// [`Store::MOST_DELETED`] messages, [`Tag::MOST_OF_A_MESSAGE`] tags, [`Tag::MOST`] different ones in the store.
    /// No tags: takes all of theirs. Dropping this future may still do it.
    pub async fn set_tags(&self, ids: &[MessageId], tags: &[Tag]) -> Result<usize, Error> {
        self.writable()?;
        at_most("messages to tag at once", ids.len(), Self::MOST_DELETED)?;
        at_most("tags of one message", tags.len(), Tag::MOST_OF_A_MESSAGE)?;
        self.inner.writer.ask(|asker| Request::SetTags(ids.to_vec(), tags.to_vec(), asker)).await
    }

    /// All tags that some message has, in the order of their names.
    pub async fn tags(&self) -> Result<Vec<TagCount>, Error> {
        self.inner.readers.run(|reader| reader.tags()).await?
    }

    /// Gives a tag another name; where there is a tag of that name, the two become one. `false`: no message has it.
    /// In transactions of at most [`Store::STEP`] messages: an error, or dropping this future, may leave some with the
    /// old name, and asking again goes on.
    pub async fn rename_tag(&self, from: &Tag, to: &Tag) -> Result<bool, Error> {
        self.writable()?;
        bulk::replace_tag(&self.inner, from, Some(to)).await
    }

    /// Takes a tag off every message. `false`: no message has it. In steps, as [`Store::rename_tag`].
    pub async fn delete_tag(&self, tag: &Tag) -> Result<bool, Error> {
        self.writable()?;
        bulk::replace_tag(&self.inner, tag, None).await
    }

    /// Deletes messages wherever they are, all in one transaction; how many of them were here. Dropping this future may still do it.
    pub async fn delete(&self, ids: &[MessageId]) -> Result<usize, Error> {
        self.writable()?;
        at_most("messages to delete at once", ids.len(), Self::MOST_DELETED)?;
        self.inner.writer.ask(|asker| Request::Delete(Within::Everywhere, ids.to_vec(), asker)).await
    }

    /// Takes messages out of the mailboxes that are meant, and deletes those that are in none then; how many were there. Each is taken out whole, in transactions of at most [`Store::STEP`]:
    /// an error, or dropping this future, may leave a part of them deleted, and asking again goes on.
    pub async fn delete_all(&self, selection: Selection) -> Result<u64, Error> {
        self.writable()?;
        self.delete_each(selection).await
    }

    /// What the server keeps for itself by this name: a key, a certificate, an account at a CA.
    pub async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let name = name.to_owned();
        self.inner.readers.run(move |reader| reader.secret(&name)).await?
    }

    /// The names of secrets that begin with `prefix`, in order.
    pub async fn secret_names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let prefix = prefix.to_owned();
        self.inner.readers.run(move |reader| reader.secret_names(&prefix)).await?
    }

    /// Keeps `bytes` by this name, in the place of what was there; returns when they are on disk. At most
    /// [`Store::MOST_SECRETS`] of [`Store::LARGEST_SECRET`]. Dropping this future may still do it.
    pub async fn keep_secret(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        self.writable()?;
        if name.is_empty() {
            return Err(Error::Refused("a secret has a name".into()));
        }
        at_most("bytes in the name of a secret", name.len(), Self::LONGEST_SECRET_NAME)?;
        at_most("bytes of a secret", bytes.len(), Self::LARGEST_SECRET)?;
        self.inner.writer.ask(|asker| Request::SetSecret(name.into(), Some(bytes), asker)).await.map(drop)
    }

    /// Keeps nothing by this name any more; `false`: there was nothing. Dropping this future may still do it.
    pub async fn forget_secret(&self, name: &str) -> Result<bool, Error> {
        self.writable()?;
        self.inner.writer.ask(|asker| Request::SetSecret(name.into(), None, asker)).await
    }

    /// Keeps as much mail as `retention` says from now on, and deletes what is more, oldest first, soon after: after the
    /// commit that brings more, and every minute what has become too old. Does not wait. At the next start
    /// `Settings::retention` is the rule again.
    pub fn retain(&self, retention: Retention) {
        self.inner.keeper.set(retention);
    }

    /// The figures of this moment; a few loads, no reading of the disk.
    pub fn figures(&self) -> Figures {
        let counters = &self.inner.bodies.counters;
        Figures {
            messages: counters.messages.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
            accepted: counters.accepted.load(Ordering::Relaxed),
            commits: counters.commits.load(Ordering::Relaxed),
            memory_bytes: self.inner.bodies.budget.taken(),
            spooled: counters.spooled.load(Ordering::Relaxed),
            retired: counters.retired.load(Ordering::Relaxed),
            indexed: counters.indexed.load(Ordering::Relaxed),
            index_waits: self.inner.indexer.progress().borrow().stalled.as_deref().map(str::to_owned),
            failed: counters.failure(),
        }
    }

    /// A number that grows after each commit that changed a mailbox. Await `changed()` on it and read again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.clone()
    }

    /// Takes no more, commits what is queued, joins the threads, empties the log, lets go of the lock. Bodies that are
    /// still arriving are lost; whoever holds one gets [`Error::Closed`]. Again: waits for the same end. Dropping this
    /// future leaves the store closing.
    pub async fn close(&self) {
        let Inner { bodies, writer, readers, searcher, indexer, keeper, .. } = &*self.inner;
        bodies.closed.store(true, Ordering::Relaxed);
        // Those that read first: the log can be emptied only when nobody reads it.
        keeper.close().await;
        searcher.close().await;
        indexer.quiet().await;
        readers.close().await;
        writer.close().await;
        indexer.close().await;
        bodies.blocking.close().await;
        bodies.folder.unlock();
    }

    pub(crate) async fn delete_each(&self, selection: Selection) -> Result<u64, Error> {
        bulk::each_step(&self.inner, selection, async |within, ids| {
            self.inner.writer.ask(|asker| Request::Delete(within, ids, asker)).await
        })
        .await
    }

    pub(crate) fn writable(&self) -> Result<(), Error> {
        if self.inner.bodies.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        self.inner.bodies.counters.check()
    }
}

impl Inner {
    pub(crate) async fn indexed(&self) -> Result<(), Error> {
        let change = Some(*self.changes.borrow());
        let _awaiting = self.indexer.await_all();
        let mut progress = self.indexer.progress();
        let reached = progress.wait_for(|progress| progress.change >= change || progress.stalled.is_some()).await;
        match reached {
            Ok(progress) if progress.change >= change => Ok(()),
            Ok(_) => Err(Error::Busy),
            Err(_) => Err(Error::Closed),
        }
    }
}

/// RFC 5321 §4.5.3.1 bounds these; here the store says what it takes from anyone.
fn check(envelope: &Envelope) -> Result<(), Error> {
    at_most("recipients", envelope.recipients.len(), Envelope::MOST_RECIPIENTS)?;
    let mut addresses = envelope.recipients.iter().chain([&envelope.sender]);
    if addresses.any(|address| address.len() > Envelope::LONGEST_ADDRESS) {
        return Err(Error::TooMany { what: "bytes in an address", most: Envelope::LONGEST_ADDRESS });
    }
    Ok(())
}

/// Each mailbox once; somewhere it goes.
fn check_places(places: &mut Vec<Place>, queue: &[Outgoing]) -> Result<(), Error> {
    at_most("mailboxes of one message", places.len(), Accept::MOST_PLACES)?;
    check_outgoing(queue)?;
    if places.is_empty() && queue.is_empty() {
        return Err(Error::Refused("a message goes somewhere".into()));
    }
    let mut known = HashSet::new();
    places.retain(|place| known.insert(place.mailbox));
    Ok(())
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

pub(crate) fn at_most(what: &'static str, number: usize, most: usize) -> Result<(), Error> {
    if number > most { Err(Error::TooMany { what, most }) } else { Ok(()) }
}

/// At most [`Summary::LONGEST`] bytes, cut between two characters.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(Summary::LONGEST));
    text
}
