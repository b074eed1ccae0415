//! Memory and disk: what happens at the bound and one beyond it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test says where it stopped, and why it did not run"
)]

mod support;

use std::fs;
use std::process::Command;

use sportello_store::{Error, MailboxId, Query, Settings, Start, Store, Window};
use support::{Place, accept_of, bytes, deliver, list, read, write};

const KIB: usize = 1 << 10;

#[tokio::test]
async fn bodies_in_memory_are_drawn_from_the_budget_and_given_back() {
    let place = Place::new();
    let store = place.open();
    let mut body = store.begin(None).unwrap();
    assert_eq!(store.figures().memory_bytes, 0, "nothing before the first byte");
    body.write(&[1]).await.unwrap();
    assert_eq!(store.figures().memory_bytes, 4 << 10);
    body.write(&vec![2; 128 * KIB - 1]).await.unwrap();
    assert_eq!((store.figures().memory_bytes, store.figures().spooled), (128 << 10, 0));
    body.write(&[3]).await.unwrap();
    assert_eq!(store.figures().spooled, 1, "one byte more than stays in memory");
    assert_eq!(store.figures().memory_bytes, 32 << 10, "a body in the spool keeps what it gathers, and no more");
    assert_eq!(body.len(), 128 << 10 | 1);
    drop(body);
    store.close().await;
    assert_eq!(store.figures().memory_bytes, 0);
    assert_eq!(place.names("spool"), Vec::<String>::new());
}

#[tokio::test]
async fn when_the_budget_is_spent_small_bodies_go_through_the_spool() {
    let place = Place::new();
    let store = Store::open(Settings { memory_budget: 10 << 10, ..place.settings() }).unwrap();
    let first = write(&store, &bytes(8 * KIB, 1)).await.unwrap();
    let second = write(&store, &bytes(8 * KIB, 2)).await.unwrap();
    assert_eq!((store.figures().memory_bytes, store.figures().spooled), (8 << 10, 1));
    let first = store.accept(accept_of(first, "in memory")).await.unwrap().id;
    let second = store.accept(accept_of(second, "through the spool")).await.unwrap().id;
    assert_eq!(store.figures().memory_bytes, 0);
    assert!(read(&store, first).await == bytes(8 * KIB, 1));
    assert!(read(&store, second).await == bytes(8 * KIB, 2));
    assert_eq!(place.names("blobs"), [second.to_string()]);
    store.close().await;
}

#[tokio::test]
async fn a_declared_large_body_never_enters_memory() {
    let place = Place::new();
    let store = place.open();
    let message = bytes(300 * KIB, 1);
    let mut body = store.begin(Some(message.len() as u64)).unwrap();
    for piece in message.chunks(1000) {
        body.write(piece).await.unwrap();
        assert!(store.figures().memory_bytes <= 32 << 10);
    }
    let id = store.accept(accept_of(body, "s")).await.unwrap().id;
    assert!(read(&store, id).await == message);
    store.close().await;
}

#[tokio::test]
async fn many_large_bodies_at_once_stay_within_the_budget() {
    let place = Place::new();
    let store = Store::open(Settings { memory_budget: 256 << 10, ..place.settings() }).unwrap();
    let senders: Vec<_> = (0..40)
        .map(|seed| {
            let store = store.clone();
            tokio::spawn(async move {
                let body = write(&store, &bytes(200 * KIB, seed)).await.unwrap();
                assert!(store.figures().memory_bytes <= 256 << 10);
                (store.accept(accept_of(body, "s")).await.unwrap().id, seed)
            })
        })
        .collect();
    for sender in senders {
        let (id, seed) = sender.await.unwrap();
        assert!(read(&store, id).await == bytes(200 * KIB, seed));
    }
    assert_eq!(store.figures().memory_bytes, 0);
    store.close().await;
}

#[tokio::test]
async fn a_write_that_is_dropped_midway_spoils_the_body_and_leaves_nothing() {
    let place = Place::new();
    let store = place.open();
    let mut body = store.begin(Some(10 << 20)).unwrap();
    {
        let large = vec![1; 1 << 20];
        let mut write = std::pin::pin!(body.write(&large));
        // One poll hands the first piece to another thread; then nobody waits for it any more.
        std::future::poll_fn(|context| {
            assert!(write.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }
    assert!(matches!(body.write(b"x").await, Err(Error::Spoiled)));
    assert!(matches!(store.accept(accept_of(body, "s")).await, Err(Error::Spoiled)));
    assert_eq!(list(&store, None, 10).await, []);
    store.close().await;
    assert_eq!(place.names("spool"), Vec::<String>::new());
}

#[tokio::test]
async fn a_body_that_is_forgotten_leaves_nothing() {
    let place = Place::new();
    let store = place.open();
    drop(write(&store, &bytes(200 * KIB, 1)).await.unwrap());
    drop(store.begin(Some(1 << 30)).unwrap());
    store.close().await;
    assert_eq!((place.names("spool"), place.names("blobs")), (vec![], vec![]));
    assert_eq!(store.figures().memory_bytes, 0);
}

#[tokio::test]
async fn disk_is_refused_at_mail_when_the_declared_sizes_do_not_fit_together() {
    let place = Place::new();
    let all = rustix::fs::statvfs(place.outer()).map(|state| state.f_bavail * state.f_frsize).unwrap();
    let store = Store::open(Settings { disk_reserve: all / 2, ..place.settings() }).unwrap();
    let first = store.begin(Some(all / 10 * 3)).unwrap();
    assert!(matches!(store.begin(Some(all / 10 * 3)), Err(Error::DiskFull)));
    store.begin(Some(1000)).unwrap();
    drop(first);
    store.begin(Some(all / 10 * 3)).unwrap();
    store.close().await;
}

/// A disk of four megabytes, where one can be mounted.
struct SmallDisk(Place);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let place = Place::new();
        fs::create_dir(place.state()).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m,mode=700", "sportello-test"])
            .arg(place.state())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self(place))
    }

    /// Takes all that is left; the file to remove when there is to be room again.
    fn fill(&self) -> std::path::PathBuf {
        let filler = self.0.state().join("filler");
        fs::write(&filler, vec![0; 4 << 20]).unwrap_err();
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: after a test that failed, the store may still have files open.
        let _ = Command::new("umount").arg("-l").arg(self.0.state()).output();
    }
}

#[tokio::test]
async fn without_room_for_a_second_copy_nothing_is_put_in_front() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("no right to mount: the promises alone are tested above");
        return;
    };
    let store = Store::open(Settings { disk_reserve: 0, ..disk.0.settings() }).unwrap();
    let message = bytes(2000 * KIB, 1);
    let mut body = write(&store, &message).await.unwrap();
    assert!(matches!(body.prepend(b"X: y\r\n").await, Err(Error::DiskFull)));
    assert!(matches!(body.write(b"more").await, Err(Error::Spoiled)), "the body is lost");
    drop(body);
    let mut body = write(&store, &message[..1000 * KIB]).await.unwrap();
    body.prepend(b"X: y\r\n").await.unwrap();
    let id = store.accept(accept_of(body, "half as long")).await.unwrap().id;
    assert!(read(&store, id).await == [b"X: y\r\n", &message[..1000 * KIB]].concat());
    store.close().await;
    assert_eq!(disk.0.names("spool"), Vec::<String>::new());
}

#[tokio::test]
async fn a_full_disk_refuses_and_all_goes_on_once_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("no right to mount: the promises alone are tested above");
        return;
    };
    let store = Store::open(Settings { disk_reserve: 0, ..disk.0.settings() }).unwrap();
    let before = deliver(&store, &bytes(160 * KIB, 1), "before").await.unwrap();
    assert!(matches!(store.begin(Some(10 << 20)), Err(Error::DiskFull)), "declared");
    assert!(matches!(deliver(&store, &bytes(5120 * KIB, 2), "grown").await, Err(Error::DiskFull)), "undeclared");

    let promised = write(&store, &bytes(60 * KIB, 3)).await.unwrap();
    let spooled = write(&store, &bytes(160 * KIB, 4)).await.unwrap();
    let filler = disk.fill();
    // The small one was promised its room by us; another program took it: SQLite finds out, and only this message is
    // refused.
    assert!(matches!(store.accept(accept_of(promised, "full")).await, Err(Error::DiskFull)));
    assert!(matches!(store.begin(None), Err(Error::DiskFull)));
    assert_eq!(store.figures().failed, None, "a full disk is not a failed store");
    assert!(read(&store, before).await == bytes(160 * KIB, 1), "reading goes on");
    drop(spooled);
    fs::remove_file(filler).unwrap();

    let after = deliver(&store, &bytes(160 * KIB, 5), "after").await.unwrap();
    assert!(read(&store, after).await == bytes(160 * KIB, 5));
    let subjects: Vec<_> = list(&store, None, 10).await.into_iter().map(|row| row.summary.subject).collect();
    assert_eq!(subjects, ["after", "before"], "nothing half stored");
    store.close().await;
    assert_eq!(disk.0.names("spool"), Vec::<String>::new());
    assert_eq!(disk.0.names("blobs"), [before.to_string(), after.to_string()]);
}

#[tokio::test]
async fn a_full_disk_stops_the_index_and_neither_mail_nor_searches() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("no right to mount");
        return;
    };
    // Four megabytes are less than the indexer wants to see free, so it waits from the first message on.
    let store = Store::open(Settings { disk_reserve: 0, ..disk.0.settings() }).unwrap();
    let id = deliver(&store, b"x", "taken all the same").await.unwrap();
    assert!(matches!(store.indexed().await, Err(Error::Busy)));
    assert!(store.figures().index_waits.is_some());
    let window = Window { start: Start::Newest, limit: 10 };
    let found = store.search(MailboxId::INBOX, Query::parse("taken").unwrap(), window).await.unwrap();
    assert_eq!((found.page.rows[0].id, found.pending), (id, 1));
    assert_eq!(store.figures().failed, None);
    store.close().await;
    // With more room the next run indexes what this one left.
    let roomy = Command::new("mount").args(["-o", "remount,size=64m"]).arg(disk.0.state()).output().unwrap();
    assert!(roomy.status.success(), "{roomy:?}");
    let store = Store::open(Settings { disk_reserve: 0, ..disk.0.settings() }).unwrap();
    store.indexed().await.unwrap();
    assert_eq!(store.figures().indexed, 1);
    store.close().await;
}

#[tokio::test]
async fn a_group_that_does_not_fit_is_taken_one_by_one() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("no right to mount");
        return;
    };
    let store = Store::open(Settings { disk_reserve: 0, ..disk.0.settings() }).unwrap();
    let mut bodies = Vec::new();
    for seed in 0..60 {
        // Promises are counted as 66 KiB each, so some of these are refused at once where the disk is that small.
        if let Ok(body) = write(&store, &bytes(60 * KIB, seed)).await {
            bodies.push(body);
        }
    }
    let begun = bodies.len();
    let filler = disk.0.state().join("filler");
    let free = rustix::fs::statvfs(disk.0.state()).map(|state| state.f_bavail * state.f_frsize).unwrap();
    fs::write(&filler, vec![0; usize::try_from(free).unwrap() - 600 * KIB]).unwrap();
    let tasks: Vec<_> = bodies
        .into_iter()
        .map(|body| {
            let store = store.clone();
            tokio::spawn(async move { store.accept(accept_of(body, "s")).await })
        })
        .collect();
    let (mut stored, mut refused) = (Vec::new(), 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(accepted) => stored.push(accepted.id),
            Err(error) => {
                assert!(matches!(error, Error::DiskFull), "{error:?}");
                refused += 1;
            }
        }
    }
    assert!(!stored.is_empty() && refused > 0, "{} stored, {refused} refused of {begun}", stored.len());
    let mut rows: Vec<_> = list(&store, None, 200).await.into_iter().map(|row| row.id).collect();
    rows.reverse();
    assert_eq!(rows, stored);
    fs::remove_file(filler).unwrap();
    deliver(&store, b"there is room again", "s").await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_read_that_is_over_its_time_is_stopped_and_the_next_goes_on() {
    let place = Place::new();
    let store = Store::open(Settings { read_time: std::time::Duration::ZERO, ..place.settings() }).unwrap();
    let mut ids = Vec::new();
    for number in 0..150 {
        ids.push(deliver(&store, b"x", &number.to_string()).await.unwrap());
    }
    let page = sportello_store::ListPage { mailbox: MailboxId::INBOX, before: None, limit: 200 };
    for _ in 0..4 {
        assert!(matches!(store.list(page).await, Err(Error::TimedOut)));
    }
    assert!(store.message(ids[0]).await.unwrap().is_some(), "a read that ends before the first look at the clock");
    store.close().await;
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait_and_loses_none() {
    let place = Place::new();
    let store = Store::open(Settings { queue: 1, ..place.settings() }).unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|seed| {
            let store = store.clone();
            tokio::spawn(async move { deliver(&store, &bytes(1000, seed), "s").await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(list(&store, None, 200).await.len(), 50);
    store.close().await;
}
