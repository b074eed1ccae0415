use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::*;
use crate::blob::incoming::Incoming;
use crate::index::indexer::Indexer;
use crate::open::{Prepared, prepare};
use crate::sqlite::reader::Reader;
use crate::sqlite::{Role, open};
use crate::threads::Pool;
use crate::types::{ListPage, MailboxId, Place, Settings, StoredBody};

/// A writer without its thread, so that a test decides what is in one group.
struct Bench {
    work: Option<Work>,
    readers: Arc<Pool<Reader>>,
    indexer: Indexer,
    folder: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sportello-writer-{}-{name}", std::process::id()));
        let Prepared { tools, readers, indexer, .. } = prepare(Settings::new(&folder)).unwrap();
        Self { work: Some(Work::new(tools).unwrap()), readers, indexer, folder }
    }

    fn work(&mut self) -> &mut Work {
        self.work.as_mut().unwrap()
    }

    async fn row(&mut self, id: MessageId, length: usize) -> Box<Row> {
        let bodies = Arc::clone(&self.work().tools.bodies);
        let mut body = Incoming::begin(&bodies, id, None).unwrap();
        body.write(&vec![b'x'; length]).await.unwrap();
        Box::new(Row {
            id,
            body: body.finish().await.unwrap(),
            received_ms: 1,
            sender: String::new(),
            recipients: "[]".to_owned(),
            peer: "192.0.2.1:25".to_owned(),
            helo: String::new(),
            channel: String::new(),
            connection: 1,
            from: String::new(),
            to: String::new(),
            subject: String::new(),
            date_unix: None,
            message_id: String::new(),
            places: vec![Place::CAUGHT],
            trace: None,
            taken: None,
            outgoing: Vec::new(),
            attention_ms: 0,
        })
    }

    async fn accept(&mut self, id: i64, length: usize) -> (Request, oneshot::Receiver<Result<(), Error>>) {
        let row = self.row(MessageId(id), length).await;
        let (asker, answer) = oneshot::channel();
        (Request::Accept(row, asker), answer)
    }

    async fn stored(&self) -> Vec<(i64, u32, u64)> {
        let page = ListPage { mailbox: MailboxId::INBOX, before: None, limit: 200 };
        let rows = self.readers.run(move |reader| reader.list(page)).await.unwrap().unwrap();
        rows.iter().map(|row| (row.id.0, row.uid.0, row.modseq.0)).collect()
    }

    fn blobs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.join("blobs")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            work.end();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn a_bad_request_spoils_no_other_in_its_group() {
    let mut bench = Bench::new("isolation");
    let (first, first_answer) = bench.accept(10, 100).await;
    // The same number again: the row of the message is refused, after the counters of the mailbox were moved.
    let (twin, twin_answer) = bench.accept(10, 140_000).await;
    let (last, last_answer) = bench.accept(11, 140_000).await;
    let mut group = vec![first, twin, last];
    bench.work().commit(&mut group);
    assert!(group.is_empty());
    first_answer.await.unwrap().unwrap();
    assert!(matches!(twin_answer.await.unwrap(), Err(Error::Refused(_))));
    last_answer.await.unwrap().unwrap();
    assert_eq!(bench.stored().await, [(11, 2, 3), (10, 1, 2)], "no UID and no MODSEQ is lost to the bad one");
    assert_eq!(bench.blobs(), ["11"], "the body of the bad one went with its rows");
    let Tools { connection, ledgers, .. } = &mut bench.work().tools;
    let ledger = *ledgers.mailbox(connection, MailboxId::INBOX).unwrap();
    assert_eq!((ledger.messages, ledger.unseen, ledger.bytes), (2, 2, 140_100));
    let figures = &bench.work().tools.bodies.counters;
    assert_eq!((figures.accepted.load(Ordering::Relaxed), figures.commits.load(Ordering::Relaxed)), (2, 1));
    assert_eq!(figures.bytes.load(Ordering::Relaxed), 140_100);
}

#[tokio::test]
async fn a_commit_that_fails_stops_all_writes_and_no_reads() {
    let mut bench = Bench::new("fails");
    let (request, answer) = bench.accept(20, 100).await;
    bench.work().commit(&mut vec![request]);
    answer.await.unwrap().unwrap();

    // The database may no longer be written, as if its disk had gone read-only.
    bench.work().tools.connection.pragma_update(None, "query_only", "ON").unwrap();
    let (request, answer) = bench.accept(21, 140_000).await;
    bench.work().commit(&mut vec![request]);
    assert!(matches!(answer.await.unwrap(), Err(Error::Failed(_))));
    assert_eq!(
        bench.blobs(),
        ["21"],
        "whether its row is on the disk is not known, so its body stays for the next start to judge"
    );

    // Nothing is tried any more, even if it would go well.
    bench.work().tools.connection.pragma_update(None, "query_only", "OFF").unwrap();
    let (request, answer) = bench.accept(22, 100).await;
    bench.work().commit(&mut vec![request]);
    assert!(matches!(answer.await.unwrap(), Err(Error::Failed(_))));
    let (asker, answer) = oneshot::channel();
    bench.work().commit(&mut vec![Request::Delete(Within::Everywhere, vec![MessageId(20)], asker)]);
    assert!(matches!(answer.await.unwrap(), Err(Error::Failed(_))));

    assert_eq!(bench.stored().await, [(20, 1, 2)]);
    let body = bench.readers.run(|reader| reader.body(MessageId(20))).await.unwrap().unwrap();
    assert!(matches!(body, Some(StoredBody::Memory(bytes)) if bytes.len() == 100));
    assert!(bench.work().tools.bodies.counters.failure().is_some());
    let bodies = Arc::clone(&bench.work().tools.bodies);
    assert!(matches!(bodies.counters.check(), Err(Error::Failed(_))));
}

#[tokio::test]
async fn a_mailbox_whose_uids_are_used_up_refuses_and_keeps_what_it_has() {
    let mut bench = Bench::new("uids");
    let Tools { connection, ledgers, .. } = &mut bench.work().tools;
    ledgers.mailbox(connection, MailboxId::INBOX).unwrap().uid_next = u32::MAX - 1;
    ledgers.save(connection).unwrap();
    ledgers.commit();
    let (last, last_answer) = bench.accept(30, 1).await;
    let (over, over_answer) = bench.accept(31, 1).await;
    bench.work().commit(&mut vec![last, over]);
    last_answer.await.unwrap().unwrap();
    assert!(matches!(over_answer.await.unwrap(), Err(Error::Refused(_))));
    assert_eq!(bench.stored().await, [(30, u32::MAX - 1, 2)]);
}

#[tokio::test]
async fn leases_move_the_end_in_the_database_before_the_ids_are_given() {
    let mut bench = Bench::new("lease");
    let before: i64 = bench.work().tools.connection.query_row(schema::LEASED, (), |row| row.get(0)).unwrap();
    bench.work().commit(&mut vec![Request::LeaseIds]);
    let after: i64 = bench.work().tools.connection.query_row(schema::LEASED, (), |row| row.get(0)).unwrap();
    assert_eq!(after, before + crate::ids::BLOCK);
    assert_eq!(bench.work().tools.ids.wanted_end(), after + crate::ids::BLOCK);
}

/// Commits messages of 64 KiB, some 20 pages each, as one group; the pages that are then in the log.
async fn commit_group(bench: &mut Bench, first: i64, messages: i64) -> i64 {
    let mut group = Vec::new();
    for id in first..first + messages {
        group.push(bench.accept(id, 64 << 10).await.0);
    }
    bench.work().commit(&mut group);
    assert_eq!(bench.work().tools.bodies.counters.failure(), None);
    bench.work().tools.log.load(Ordering::Relaxed)
}

#[tokio::test]
async fn the_log_is_bounded_while_commits_go_on() {
    let mut bench = Bench::new("log");
    // A read of the indexer would put the new beginning off.
    bench.indexer.quiet().await;
    // 60 MiB in all: without checkpoints the log would hold every page of them.
    for round in 0..15 {
        let log = commit_group(&mut bench, 1000 + round * 60, 60).await;
        // From HARD on the writer copies everything itself, whatever the thread does: one group more is the end.
        assert!(log < checkpoint::HARD + 60 * 20, "{log} pages");
    }
}

/// Reads of which one is always under way: each ends when the next has begun, after a commit or after its time.
fn read_without_end(database: &Path, commits: impl Fn() -> u64, is_over: &AtomicBool) {
    const TIME: Duration = Duration::from_millis(50);
    let mut readers = [(); 2].map(|()| open(database, Role::Reader).unwrap());
    while !is_over.load(Ordering::Relaxed) {
        let [next, last] = &mut readers;
        next.execute_batch("BEGIN; SELECT count(*) FROM mailbox").unwrap();
        if !last.is_autocommit() {
            last.execute_batch("COMMIT").unwrap();
        }
        let (before, began) = (commits(), Instant::now());
        while commits() == before && began.elapsed() < TIME {
            std::thread::yield_now();
        }
        readers.swap(0, 1);
    }
}

#[tokio::test]
async fn the_log_is_bounded_while_one_read_follows_the_other_without_a_pause() {
    let mut bench = Bench::new("reads");
    bench.indexer.quiet().await;
    let database = bench.folder.join("store.db");
    let counters = Arc::clone(&bench.work().tools.bodies.counters);
    let is_over = Arc::new(AtomicBool::new(false));
    let readers = {
        let (counters, is_over) = (Arc::clone(&counters), Arc::clone(&is_over));
        std::thread::spawn(move || read_without_end(&database, || counters.commits.load(Ordering::Relaxed), &is_over))
    };
    let mut most = 0;
    for round in 0..15 {
        most = most.max(commit_group(&mut bench, 1000 + round * 60, 60).await);
    }
    is_over.store(true, Ordering::Relaxed);
    readers.join().unwrap();
    assert!(most < checkpoint::MOST + 60 * 20, "{most} pages");
}

#[tokio::test]
async fn a_log_that_the_thread_has_copied_begins_anew_over_what_is_there() {
    let mut bench = Bench::new("anew");
    bench.indexer.quiet().await;
    let length = std::fs::metadata(bench.folder.join("store.db-wal")).unwrap().len();
    assert!(length > checkpoint::log_bytes(checkpoint::SOFT).cast_unsigned(), "{length} bytes from the start");
    for first in [1000, 2000] {
        let mut next = first..;
        let mut log = 0;
        while log < checkpoint::SOFT {
            log = commit_group(&mut bench, next.next().unwrap(), 1).await;
        }
        while bench.work().tools.checkpointer.copied() < log {
            std::thread::yield_now();
        }
        commit_group(&mut bench, next.next().unwrap(), 1).await;
        assert!(commit_group(&mut bench, next.next().unwrap(), 1).await < 100, "begun anew");
    }
    assert_eq!(std::fs::metadata(bench.folder.join("store.db-wal")).unwrap().len(), length, "it never grew");
}

#[tokio::test]
async fn what_others_deleted_meanwhile_is_not_deleted_again_for_the_retention() {
    let mut bench = Bench::new("retire");
    let mut group = Vec::new();
    for id in 1..=6 {
        group.push(bench.accept(id, 100).await.0);
    }
    bench.work().commit(&mut group);
    // Found when there were six; a user's deletion comes first, even in the same group.
    let oldest = [1, 2, 3].map(|id| Oldest { id: MessageId(id), size: 100, received_ms: 1 });
    let rule = Retention { most_messages: Some(3), ..Retention::default() };
    let (asker, user) = oneshot::channel();
    let delete = Request::Delete(Within::Everywhere, vec![MessageId(1), MessageId(5)], asker);
    let (asker, keeper) = oneshot::channel();
    let retire = Request::Retire { oldest: oldest.to_vec(), rule, now_ms: 1, asker };
    bench.work().commit(&mut vec![delete, retire]);
    assert_eq!((user.await.unwrap().unwrap(), keeper.await.unwrap().unwrap()), (2, 1));
    let left: Vec<i64> = bench.stored().await.iter().map(|(id, ..)| *id).collect();
    assert_eq!(left, [6, 4, 3]);
    let (asker, keeper) = oneshot::channel();
    let rule = Retention { most_bytes: Some(299), ..Retention::default() };
    bench.work().commit(&mut vec![Request::Retire { oldest: oldest.to_vec(), rule, now_ms: 1, asker }]);
    assert_eq!(keeper.await.unwrap().unwrap(), 1);
    assert_eq!(bench.stored().await.len(), 2);
}
