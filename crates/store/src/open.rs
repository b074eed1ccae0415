//! Opening: the folder, the database, the sweep, the threads, in this order.
//!
//! Nothing is changed before the lock is held, nothing of the database before its schema is known to be ours.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::watch;

use crate::believed::Clock;
use crate::blob::budget::Budget;
use crate::blob::disk::Disk;
use crate::blob::{Bodies, sweep};
use crate::contract::Inner;
use crate::counters::Counters;
use crate::error::OpenError;
use crate::folder::Folder;
use crate::ids::{BLOCK, Ids};
use crate::index::door::Doors;
use crate::index::file::IndexFile;
use crate::index::follow;
use crate::index::indexer::Indexer;
use crate::migrate::{self, Found, STEPS};
use crate::retention;
use crate::sqlite::checkpoint::Checkpointer;
use crate::sqlite::ledger::Ledgers;
use crate::sqlite::prepare::prepare as prepare_log;
use crate::sqlite::reader::Reader;
use crate::sqlite::search::Searcher;
use crate::sqlite::settle::settle;
use crate::sqlite::writer::{Tools, Writer};
use crate::sqlite::{Role, apply, open as connect, queue, schema, use_wal};
use crate::threads::Pool;
use crate::types::{MessageId, Settings};

/// Threads that write and sync bodies: as many large ones are synced at once.
const BLOCKING: usize = 4;
/// Threads that read rows.
const READERS: usize = 2;
/// When somebody looks at an entry of the queue, as long as nobody says otherwise: four hours after it came.
const DEFAULT_ATTENTION_MS: u64 = 4 * 3_600 * 1_000;
/// Jobs that may wait for either of them.
const QUEUE: usize = 1024;

/// All but the writer's thread.
pub(crate) struct Prepared {
    pub(crate) tools: Tools,
    pub(crate) readers: Arc<Pool<Reader>>,
    pub(crate) searcher: Pool<Searcher>,
    pub(crate) indexer: Indexer,
    pub(crate) retention: retention::Preparation,
    pub(crate) changed: watch::Receiver<u64>,
    pub(crate) queue_changed: watch::Receiver<u64>,
}

/// Opens everything.
pub(crate) fn open(settings: Settings) -> Result<Inner, OpenError> {
    let queue = settings.queue.max(1);
    let Prepared { tools, readers, searcher, indexer, retention, changed, queue_changed } = prepare(settings)?;
    let (bodies, ids) = (Arc::clone(&tools.bodies), Arc::clone(&tools.ids));
    let writer = Writer::start(tools, queue)
        .map_err(database("preparing the writer"))?
        .map_err(thread("starting the writer of", &bodies.folder))?;
    let clock = Clock::start(bodies.folder.path());
    let keeper = retention
        .start(Arc::clone(&readers), writer.weak(), Arc::clone(&bodies.counters), clock)
        .map_err(thread("starting the retention of", &bodies.folder))?;
    tracing::debug!(messages = bodies.counters.messages.load(Ordering::Relaxed), "the store is open");
    let queue_attention = AtomicU64::new(DEFAULT_ATTENTION_MS);
    Ok(Inner {
        bodies,
        ids,
        writer,
        readers,
        searcher,
        indexer,
        keeper,
        changes: changed,
        queue_changes: queue_changed,
        queue_attention,
    })
}

/// Opens everything but does not start the writer.
pub(crate) fn prepare(settings: Settings) -> Result<Prepared, OpenError> {
    let folder = Arc::new(Folder::open(&settings.folder)?);
    let connection = open_database(&folder)?;
    sweep_orphans(&folder, &connection)?;
    let (ids, start) = lease(&connection, &folder, settings.disk_reserve)?;
    let ids = Arc::new(ids);
    let ledgers = Ledgers::load(&connection).map_err(database("reading the mailboxes"))?;
    // SQLite has made its files by now; their names must last as well.
    folder.sync()?;

    let counters = Arc::new(Counters::default());
    let (all, caught) = (ledgers.all(), ledgers.caught());
    counters.queue(ledgers.queue());
    Counters::add(&counters.queue_interrupted, start.interrupted);
    Counters::add(&counters.messages, all.messages());
    Counters::add(&counters.bytes, all.bytes());
    Counters::add(&counters.caught_messages, caught.messages());
    Counters::add(&counters.caught_bytes, caught.bytes());
    let doors = Doors::new(folder.index(), READERS + 1);
    let readers = Arc::new(start_readers(&folder, &doors, settings.read_time)?);
    let searcher = start_searcher(&folder, &doors, settings.read_time)?;
    let blocking =
        Pool::start("blocking", vec![(); BLOCKING], QUEUE).map_err(thread("starting the threads of", &folder))?;
    let checkpointer = Checkpointer::start(&folder.database(), &counters)
        .map_err(database("opening a connection for checkpoints"))?
        .map_err(thread("starting the checkpoints of", &folder))?;
    let bodies = Arc::new(Bodies {
        budget: Budget::new(settings.memory_budget),
        disk: Disk::new(folder.descriptor()?, settings.disk_reserve),
        folder,
        counters,
        blocking,
        memory_body: settings.memory_body,
        closed: AtomicBool::new(false),
    });
    let (changes, changed) = watch::channel(0);
    let (queue_changes, queue_changed) = watch::channel(0);
    let retention = retention::Preparation::new(settings.retention);
    let log = Arc::new(AtomicI64::new(0));
    let last_run = IndexFile::begin_run(&bodies.folder.index());
    bodies.folder.sync()?;
    let indexer = Indexer::start(follow::Tools {
        last_run,
        doors,
        readers: Arc::clone(&readers),
        extractor: settings.extractor,
        disk: Arc::clone(&bodies.disk),
        counters: Arc::clone(&bodies.counters),
        log: Arc::clone(&log),
        changes: changed.clone(),
    })
    .map_err(thread("starting the indexer of", &bodies.folder))?;
    let (bell, keeper) = (indexer.bell(), retention.bell.clone());
    let generation = start.generation;
    let tools =
        Tools { connection, checkpointer, ledgers, bodies, ids, changes, queue_changes, generation, log, bell, keeper };
    Ok(Prepared { tools, readers, searcher, indexer, retention, changed, queue_changed })
}

fn start_readers(folder: &Arc<Folder>, doors: &Arc<Doors>, time: Duration) -> Result<Pool<Reader>, OpenError> {
    let readers = (0..READERS)
        .map(|number| Reader::open(folder, time, doors.key(number)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(database("opening a connection for reading"))?;
    Pool::start("store-reader", readers, QUEUE).map_err(thread("starting the readers of", folder))
}

fn start_searcher(folder: &Arc<Folder>, doors: &Arc<Doors>, time: Duration) -> Result<Pool<Searcher>, OpenError> {
    let searcher = Searcher::open(folder.database(), doors.key(READERS), time)
        .map_err(database("opening a connection for searches"))?;
    Pool::start("store-search", vec![searcher], QUEUE).map_err(thread("starting the searches of", folder))
}

fn open_database(folder: &Folder) -> Result<Connection, OpenError> {
    let file = folder.database();
    let log = folder.log();
    settle(&file, &log).map_err(|source| OpenError::Io { doing: "writing again", path: log, source })?;
    let mut connection = connect(&file, Role::Writer).map_err(database("opening the database"))?;
    let found = migrate::look(&connection, &file, STEPS)?;
    if found == Found::Empty && sweep::has_bodies(folder)? {
        return Err(OpenError::Lost { folder: folder.path().to_path_buf() });
    }
    require_wal(&connection, &file)?;
    migrate::migrate(&mut connection, &file, found, STEPS)?;
    Ok(connection)
}

fn require_wal(connection: &Connection, file: &Path) -> Result<(), OpenError> {
    if use_wal(connection).map_err(database("using a write-ahead log"))? {
        return Ok(());
    }
    let why = format!("the file system of {} cannot hold one", file.display());
    Err(OpenError::Database { doing: "using a write-ahead log", why })
}

fn sweep_orphans(folder: &Folder, connection: &Connection) -> Result<(), OpenError> {
    let failed = database("listing the bodies in files");
    let ids: Result<Vec<MessageId>, _> = connection
        .prepare(schema::IN_FILES)
        .and_then(|mut statement| statement.query_map((), |row| row.get(0).map(MessageId))?.collect());
    sweep::sweep(folder, ids.map_err(failed)?.into_iter()).map(drop)
}

/// Leases the first block of ids: in the database, synced, before the first is given. The same commit carries the log's
/// preparation to the disk; nobody else writes to the log while the transaction holds SQLite's lock.
fn lease(connection: &Connection, folder: &Folder, reserve: u64) -> Result<(Ids, queue::Start), OpenError> {
    let leasing = || database("leasing ids");
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate).map_err(leasing())?;
    if let Err(why) = prepare_log(&folder.log(), reserve) {
        tracing::debug!(%why, "the log is not prepared: the first commits lengthen it");
    }
    let first: i64 =
        transaction.query_row(schema::LEASED, (), |row| row.get(0)).map_err(database("reading the leased ids"))?;
    let end = first.saturating_add(BLOCK);
    apply::lease(&transaction, end).map_err(leasing())?;
    let start = queue::begin(&transaction).map_err(database("taking back what was being sent"))?;
    transaction.commit().map_err(leasing())?;
    Ok((Ids::new(first, end), start))
}

fn database(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> OpenError {
    move |why| OpenError::Database { doing, why: why.to_string() }
}

fn thread(doing: &'static str, folder: &Folder) -> impl FnOnce(std::io::Error) -> OpenError {
    let path = folder.path().to_path_buf();
    move |source| OpenError::Io { doing, path, source }
}
