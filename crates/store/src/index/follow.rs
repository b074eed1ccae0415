//! What the thread `indexer` does: it follows the mailboxes and keeps `search.db` behind them.
//!
//! It runs at the lowest priority and holds nothing that a commit waits for. What is new is found by the marks in
//! `search.db`, so that a run that ended anywhere is followed by one that goes on there. Damage to `search.db`, or marks
//! that do not fit the mailboxes, make it anew; a full disk makes the thread wait. Neither is a fault of the store.
//!
//! It works in rounds. A round is for what there is when it begins, so that it ends, and is told, while more comes. Between
//! two of them mail gathers ([`gather`]), as long as nobody waits for the index.
//!
//! Bounded by: [`BATCH`] messages or [`BATCH_BYTES`] per transaction, one message in memory, [`STEP`] deleted messages
//! per transaction, after each of which messages are indexed; the length of the log, which those who read keep from being
//! begun anew, by a wait for them. At shutdown: ends the transaction under way, then takes out
//! what was deleted, for [`AT_END`] at most.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::ffi::{self, ErrorCode};
use tokio::sync::watch;

use crate::blob::disk::Disk;
use crate::counters::Counters;
use crate::error::Error;
use crate::index::door::Doors;
use crate::index::extract::{Extract, Extractor};
use crate::index::file::{Ended, IndexFile, MakeError, Mark};
use crate::index::gather::gather;
use crate::index::indexer::{Phase, Progress, Removals, Shared};
use crate::index::removal::{Comparison, STEP, forget, is_mostly_deleted, remove};
use crate::index::words::Words;
use crate::sqlite::checkpoint;
use crate::sqlite::reader::{Reader, ToIndex};
use crate::threads::Pool;
use crate::types::{Mailbox, Preview, StoredBody, Uid};

/// Messages of one transaction.
pub(crate) const BATCH: usize = 256;
/// Bytes of small messages that are read at once.
const READ_BYTES: usize = 1 << 20;
/// Bytes of messages after which a transaction ends.
const BATCH_BYTES: u64 = 8 << 20;
/// Room that must be on the disk before a transaction begins, beside what is promised to mail and kept for rows.
const ROOM: u64 = 2 * BATCH_BYTES;
/// Pages in the log of `store.db` at which it stops reading while commits go on: a reader keeps the log from being begun
/// anew.
const LONG_LOG: i64 = checkpoint::HARD / 2;
/// How long no commit must have come before it reads beside a long log.
const CALM: Duration = Duration::from_millis(100);
/// How long deleted messages are still taken out at the end; more are left to the next start.
const AT_END: Duration = Duration::from_secs(2);
/// How long it waits after a fault before it tries again.
const PAUSE: Duration = Duration::from_secs(5);
/// How long it waits before it tries again to empty the log, where somebody reads that.
const AGAIN: Duration = Duration::from_millis(100);
/// How often it tries before it waits for those who read: where one read follows the other without a pause, and mail comes,
/// there is always one.
const TRIES: u32 = 10;
/// How long it then waits; a read is bounded in time.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the thread is given.
pub(crate) struct Tools {
    /// How the last run left `search.db`.
    pub(crate) last_run: Ended,
    pub(crate) doors: Arc<Doors>,
    /// They have the usual priority: a read of this thread would hold its moment of the database for long.
    pub(crate) readers: Arc<Pool<Reader>>,
    pub(crate) extractor: Extractor,
    pub(crate) disk: Arc<Disk>,
    pub(crate) counters: Arc<Counters>,
    /// Pages in the log of `store.db` after the last commit.
    pub(crate) log: Arc<AtomicI64>,
    /// The number of the latest change of a mailbox.
    pub(crate) changes: watch::Receiver<u64>,
}

impl Tools {
    pub(super) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Fault> {
        Ok(self.readers.run_blocking(move |reader| read(reader))??)
    }
}

/// The thread's own.
pub(crate) struct Follower {
    /// `None` once it is quiet.
    tools: Option<Tools>,
    file: Opened,
    /// While all that is indexed is compared with what is here.
    comparison: Option<Comparison>,
    /// How many messages had been accepted when the last round began.
    known: u64,
    /// The log may still hold what was taken out.
    log: Log,
    /// How often in turn the log could not be emptied.
    refused: u32,
    told: Arc<watch::Sender<Progress>>,
    shared: Arc<Shared>,
}

/// What is to be done before it is told.
struct Round {
    /// The number of the latest change at its beginning: all that had changed by then is to be done.
    change: u64,
    /// The mailboxes with what they held then, or later.
    mailboxes: Vec<Mailbox>,
    /// How many of the deleted messages that were noted by then are still to be taken out.
    noted: usize,
}

enum Opened {
    NotYet,
    Yes(IndexFile),
    /// It is to be thrown away: for damage, or as most of what is in it was deleted.
    Useless,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Log {
    Clean,
    /// Pages with the words of deleted messages may be in it.
    HoldsDeleted,
}

/// Why it cannot go on.
#[derive(Debug)]
pub(super) enum Fault {
    /// `search.db` is to be made anew.
    Damaged(String),
    /// It may go better later.
    Later(String),
}

impl Follower {
    pub(crate) fn new(tools: Tools, told: Arc<watch::Sender<Progress>>, shared: Arc<Shared>) -> Self {
        if tools.last_run == Ended::Unclean {
            *shared.removals() = Removals::Unknown;
        }
        Self {
            tools: Some(tools),
            file: Opened::NotYet,
            comparison: None,
            known: 0,
            log: Log::HoldsDeleted,
            refused: 0,
            told,
            shared,
        }
    }

    /// Runs until it is told to end, or nobody is left who could.
    pub(crate) fn run(mut self, woken: &Receiver<()>) {
        lower_priority();
        let (mut wait, mut faults) = (None, 0u32);
        loop {
            let alive = match wait {
                None => woken.recv().is_ok(),
                Some(time) => woken.recv_timeout(time) != Err(RecvTimeoutError::Disconnected),
            };
            match self.shared.phase() {
                Phase::Follow if alive => {}
                Phase::Quiet if alive => {
                    self.tools = None;
                    self.told.send_modify(|progress| progress.quiet = true);
                    wait = None;
                    continue;
                }
                _ => break,
            }
            self.gather();
            wait = match self.follow() {
                Ok(()) => {
                    faults = 0;
                    (self.log == Log::HoldsDeleted).then_some(AGAIN)
                }
                Err(fault) => {
                    faults = faults.saturating_add(1);
                    let at_once = matches!(fault, Fault::Damaged(_)) && faults == 1;
                    self.meet(fault);
                    Some(if at_once { Duration::ZERO } else { PAUSE })
                }
            };
        }
        self.end();
    }

    /// Lets mail gather, unless somebody waits for the index.
    fn gather(&self) {
        let Some(tools) = &self.tools else { return };
        let accepted = || tools.counters.accepted.load(Ordering::Relaxed);
        let is_wanted = || self.shared.is_awaited() || self.shared.phase() != Phase::Follow;
        gather(self.known, accepted, is_wanted, std::thread::sleep);
    }

    /// One round.
    fn follow(&mut self) -> Result<(), Fault> {
        let Some(tools) = &self.tools else { return Ok(()) };
        self.known = tools.counters.accepted.load(Ordering::Relaxed);
        if matches!(self.file, Opened::Yes(_)) && tools.doors.is_damaged() {
            return Err(Fault::Damaged("a search met damage".to_owned()));
        }
        let mut round = Round::begin(tools, &self.shared)?;
        loop {
            if let Opened::Yes(file) = &self.file
                && is_mostly_deleted(tools, &self.shared, file)?
            {
                // Whoever opens it next makes it anew. What is noted is committed: it does not come into the new one.
                self.file = Opened::Useless;
                *self.shared.removals() = Removals::default();
                self.comparison = None;
            }
            let file = match &mut self.file {
                Opened::Yes(file) => file,
                opened => {
                    let file = match opened {
                        Opened::NotYet => open_or_make(tools)?,
                        _ => make(tools)?,
                    };
                    *opened = Opened::Yes(file);
                    continue;
                }
            };
            let removing = remove(&self.shared, file, tools, &mut round.noted, &mut self.comparison, &mut self.log)?;
            let indexing = batch(tools, file, &self.shared, &round.mailboxes)?;
            if self.shared.phase() != Phase::Follow {
                break;
            }
            if file.is_log_long() {
                empty_log(file, PATIENCE, &mut self.log, &mut self.refused)?;
            }
            match (removing, indexing) {
                (false, false) => {
                    if self.log == Log::HoldsDeleted {
                        let patience = if self.refused < TRIES { Duration::ZERO } else { PATIENCE };
                        empty_log(file, patience, &mut self.log, &mut self.refused)?;
                    }
                    break;
                }
                // That may take long: what comes meanwhile does not wait for its end.
                (true, false) => round.mailboxes = tools.read(|reader| reader.mailboxes())?,
                (_, true) => {}
            }
        }
        if self.shared.phase() == Phase::Follow && self.log == Log::Clean {
            self.tell(tools, round.change);
        }
        Ok(())
    }

    /// Tells that all is done up to this change.
    fn tell(&self, tools: &Tools, change: u64) {
        self.told.send_if_modified(|progress| {
            // Whoever finds damage says so first and takes the progress back then.
            if tools.doors.is_damaged() {
                return false;
            }
            let now = Progress { change: Some(change), stalled: None, quiet: false };
            let news = *progress != now;
            *progress = now;
            news
        });
    }

    /// After a fault: tells it once, and gives up the file where that is what helps.
    fn meet(&mut self, fault: Fault) {
        let (why, damaged) = match fault {
            Fault::Damaged(why) => (why, true),
            Fault::Later(why) => (why, false),
        };
        match &self.file {
            Opened::Yes(_) | Opened::NotYet if damaged => {
                tracing::warn!(%why, "the search index is made anew");
                self.file = Opened::Useless;
            }
            Opened::Yes(file) => file.roll_back(),
            _ => {}
        }
        if self.told.borrow().stalled.as_deref() != Some(&why) {
            if !damaged {
                tracing::warn!(%why, "indexing waits; mail is taken as before");
            }
            self.told.send_modify(|progress| progress.stalled = Some(why.into()));
        }
    }

    /// Takes out what was deleted; what is not taken out now is found at the next start.
    fn end(self) {
        let Opened::Yes(file) = &self.file else { return };
        let began = Instant::now();
        let end = || -> Result<(), Fault> {
            while self.comparison.is_none()
                && began.elapsed() < AT_END
                && let Some(ids) = self.shared.removals().take(STEP)
            {
                if !ids.is_empty() {
                    forget(file, &ids)?;
                } else if file.empty_log(Duration::ZERO)? {
                    file.set_ended(Ended::Clean)?;
                    file.empty_log(Duration::ZERO)?;
                    break;
                } else {
                    break;
                }
            }
            Ok(())
        };
        if let Err(fault) = end() {
            tracing::debug!(?fault, "the search index is left as it is");
        }
    }
}

impl Round {
    fn begin(tools: &Tools, shared: &Shared) -> Result<Self, Fault> {
        // Looked at before the others: what comes later has a later number.
        let change = *tools.changes.borrow();
        let noted = match &*shared.removals() {
            Removals::These(ids) => ids.len(),
            // They are found by a comparison, which is waited for.
            Removals::Unknown => 0,
        };
        Ok(Self { change, mailboxes: tools.read(|reader| reader.mailboxes())?, noted })
    }
}

fn open_or_make(tools: &Tools) -> Result<IndexFile, Fault> {
    let path = tools.doors.file();
    let why = match IndexFile::open(path) {
        Ok(Some(file)) => {
            let mailboxes = tools.read(|reader| reader.mailboxes())?;
            let fits = |mark: &Mark| {
                let same = |mailbox: &&Mailbox| mailbox.id == mark.mailbox && mailbox.uid_validity == mark.uid_validity;
                mailboxes.iter().find(same).is_some_and(|mailbox| mark.uid < mailbox.uid_next)
            };
            match file.marks() {
                Ok(marks) if marks.iter().all(fits) => {
                    tools.doors.open();
                    return Ok(file);
                }
                Ok(_) => "it is ahead of the mailboxes, or of others".to_owned(),
                Err(why) => why.to_string(),
            }
        }
        Ok(None) if !path.exists() => return make(tools),
        Ok(None) => "it is not of this version".to_owned(),
        Err(why) => why.to_string(),
    };
    tracing::warn!(%why, "the search index is made anew");
    make(tools)
}

fn make(tools: &Tools) -> Result<IndexFile, Fault> {
    let made = tools.doors.shut_while(|| IndexFile::make(tools.doors.file()));
    made.map_err(|why| Fault::Later(why.to_string()))
}

/// Empties the log, if those who read it end in time.
fn empty_log(file: &IndexFile, patience: Duration, log: &mut Log, refused: &mut u32) -> Result<(), Fault> {
    if file.empty_log(patience)? {
        (*log, *refused) = (Log::Clean, 0);
    } else {
        *refused = refused.saturating_add(1);
    }
    Ok(())
}

/// Indexes what is new, up to the bounds of one transaction, if something is that these mailboxes held; whether there
/// may be more of that.
fn batch(tools: &Tools, file: &IndexFile, shared: &Shared, mailboxes: &[Mailbox]) -> Result<bool, Fault> {
    let mut marks: HashMap<_, _> = file.marks()?.into_iter().map(|mark| (mark.mailbox, mark.uid)).collect();
    let (mut bytes, mut number, mut is_begun) = (0u64, 0usize, false);
    for &Mailbox { id, uid_validity, uid_next, .. } in mailboxes {
        let mark = marks.remove(&id).unwrap_or(Uid(0));
        if mark.0.saturating_add(1) >= uid_next.0 || number >= BATCH || bytes >= BATCH_BYTES {
            continue;
        }
        let_the_log_begin_anew(tools, shared);
        let most = BATCH.saturating_sub(number);
        let new = tools.read(move |reader| reader.to_index(id, mark, most, READ_BYTES))?;
        if new.first().is_none_or(|first| first.uid >= uid_next) {
            continue;
        }
        if !is_begun {
            drop(tools.disk.promise(ROOM)?);
            file.begin()?;
            is_begun = true;
        }
        let mut last = None;
        for message in new {
            if bytes >= BATCH_BYTES || shared.phase() != Phase::Follow {
                break;
            }
            last = Some(message.uid);
            bytes = bytes.saturating_add(put(tools, file, message)?);
            number += 1;
        }
        if let Some(uid) = last {
            file.set_mark(Mark { mailbox: id, uid_validity, uid })?;
        }
    }
    if is_begun {
        file.commit()?;
        Counters::add(&tools.counters.indexed, number as u64);
    }
    // Their mailboxes are deleted: a mark without one would look like that of another store.
    for (mailbox, _) in marks {
        file.remove_mark(mailbox)?;
    }
    Ok(number > 0)
}

/// Waits while the log of `store.db` is long and commits go on. It ends soon: without this reader the next commits begin
/// the log anew.
fn let_the_log_begin_anew(tools: &Tools, shared: &Shared) {
    let commits = || tools.counters.commits.load(Ordering::Relaxed);
    while tools.log.load(Ordering::Relaxed) >= LONG_LOG && shared.phase() == Phase::Follow {
        let before = commits();
        std::thread::sleep(CALM);
        if commits() == before {
            break;
        }
    }
}

/// Indexes one message; how many bytes it has.
fn put(tools: &Tools, file: &IndexFile, message: ToIndex) -> Result<u64, Fault> {
    let ToIndex { id, words, body, .. } = message;
    // It came by another mailbox.
    if file.has(id)? {
        return Ok(0);
    }
    let body = match body {
        Some(bytes) => bytes,
        None => match tools.readers.run_blocking(move |reader| reader.body(id))? {
            Ok(Some(StoredBody::File { file, length })) => {
                beginning(&file, length).map_err(|why| Fault::Later(why.to_string()))?
            }
            Ok(Some(StoredBody::Memory(bytes))) => bytes.to_vec(),
            // Deleted meanwhile, which is told as well: it needs not be put in first.
            Ok(None) => return Ok(0),
            Err(Error::Damaged(_)) => Vec::new(),
            Err(why) => return Err(why.into()),
        },
    };
    let extract = extract(&tools.extractor, &body);
    let preview = Preview {
        snippet: snippet(&extract.text),
        attachments: u32::try_from(extract.attachments.len()).unwrap_or(u32::MAX),
    };
    let words = Words {
        cc: cut(extract.cc, Extract::MOST_FIELD),
        body: cut(extract.text, Extract::MOST_TEXT),
        names: cut(extract.attachments.join("\n"), Extract::MOST_FIELD),
        ..words
    };
    file.put(id, &words, &preview)?;
    Ok(body.len() as u64)
}

fn extract(extractor: &Extractor, message: &[u8]) -> Extract {
    catch_unwind(AssertUnwindSafe(|| extractor.read(message))).unwrap_or_else(|_| {
        tracing::error!("reading a message for the index panicked; it is indexed without its text");
        Extract::default()
    })
}

/// The first bytes of a body in a file.
fn beginning(file: &File, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(Extract::MOST_READ);
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// The beginning of a text in one line.
fn snippet(text: &str) -> String {
    let words =
        text.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty());
    let line = words.flat_map(|word| [" ", word]).flat_map(str::chars).skip(1);
    let mut snippet: String = line.take(Preview::LONGEST).collect();
    snippet.truncate(snippet.trim_end().len());
    snippet
}

fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}

/// Others first: a backlog is worked off when the processors have nothing better to do.
fn lower_priority() {
    // Linux: of this thread alone.
    if let Err(why) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), LOWEST) {
        tracing::debug!(%why, "the indexer keeps its priority");
    }
}

/// The "nice" value of what can wait.
const LOWEST: i32 = 19;

impl From<rusqlite::Error> for Fault {
    fn from(why: rusqlite::Error) -> Self {
        use ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory};
        let later = match why.sqlite_error() {
            Some(ffi::Error { extended_code: ffi::SQLITE_IOERR_SHMSIZE, .. }) => true,
            Some(error) => matches!(error.code, DiskFull | DatabaseBusy | DatabaseLocked | OutOfMemory),
            None => false,
        };
        if later { Self::Later(why.to_string()) } else { Self::Damaged(why.to_string()) }
    }
}

impl From<Error> for Fault {
    /// The store could not be read, or has no room.
    fn from(why: Error) -> Self {
        Self::Later(why.to_string())
    }
}

impl From<MakeError> for Fault {
    fn from(why: MakeError) -> Self {
        Self::Later(why.to_string())
    }
}
