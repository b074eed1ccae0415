//! Mail that never pauses: for each message that is indexed another one comes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use sportello_store::{Extract, Extractor, MailboxId, Query, Selection, Settings, Store};
use support::{Place, deliver};

/// The most that come. Who waits for the index waits for a part of them.
const MOST: usize = 1000;

/// A store to which mail comes without a pause, and how much of it has come.
struct Ceaseless {
    place: Place,
    store: Store,
    came: Arc<AtomicUsize>,
}

impl Ceaseless {
    fn begin() -> Self {
        let place = Place::new();
        let (known, came) = (Arc::new(OnceLock::<Store>::new()), Arc::new(AtomicUsize::new(0)));
        let extractor = {
            let (known, came) = (Arc::clone(&known), Arc::clone(&came));
            Extractor::new(move |message| {
                if came.fetch_add(1, Ordering::Relaxed) < MOST {
                    let next = async { deliver(known.wait(), b"usual", "s").await.unwrap() };
                    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(next);
                }
                Extract { text: String::from_utf8_lossy(message).into_owned(), ..Extract::default() }
            })
        };
        let store = Store::open(Settings { extractor, ..place.settings() }).unwrap();
        known.set(store.clone()).unwrap();
        Self { place, store, came }
    }

    fn assert_still_coming(&self) {
        let came = self.came.load(Ordering::Relaxed);
        assert!(came < MOST, "it returned when no more came");
    }

    fn assert_leaves_no_word(&self, word: &str) {
        for name in ["search.db", "search.db-wal"] {
            let bytes = fs::read(self.place.state().join(name)).unwrap();
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{name}");
        }
    }

    async fn end(self) {
        self.came.store(MOST, Ordering::Relaxed);
        self.store.close().await;
    }
}

#[tokio::test]
async fn the_index_is_waited_for_no_longer_than_until_what_was_there_is_in_it() {
    let mail = Ceaseless::begin();
    for _ in 0..3 {
        deliver(&mail.store, b"needle", "s").await.unwrap();
        mail.store.indexed().await.unwrap();
        mail.assert_still_coming();
    }
    let query = || Query::parse("needle").unwrap();
    assert_eq!(mail.store.delete_all(Selection::Found(MailboxId::INBOX, query())).await.unwrap(), 3);
    mail.assert_still_coming();
    mail.end().await;
}

#[tokio::test]
async fn what_is_deleted_leaves_the_files_while_mail_comes() {
    let mail = Ceaseless::begin();
    let secret = deliver(&mail.store, b"zwiebelturm", "s").await.unwrap();
    mail.store.indexed().await.unwrap();
    assert_eq!(mail.store.delete(&[secret]).await.unwrap(), 1);
    mail.store.indexed().await.unwrap();
    mail.assert_leaves_no_word("zwiebelturm");
    mail.assert_still_coming();
    mail.end().await;
}

/// Reads of which one is always under way: each ends when the next has begun, after something was indexed or after its
/// time.
fn read_without_end(file: &Path, indexed: impl Fn() -> u64, is_over: &AtomicBool) {
    const TIME: Duration = Duration::from_millis(50);
    let mut readers = [(); 2].map(|()| rusqlite::Connection::open(file).unwrap());
    while !is_over.load(Ordering::Relaxed) {
        let [next, last] = &mut readers;
        next.execute_batch("BEGIN; SELECT count(*) FROM mark").unwrap();
        if !last.is_autocommit() {
            last.execute_batch("COMMIT").unwrap();
        }
        let (before, began) = (indexed(), Instant::now());
        while indexed() == before && began.elapsed() < TIME {
            std::thread::yield_now();
        }
        readers.swap(0, 1);
    }
}

#[tokio::test]
async fn searches_without_a_pause_do_not_keep_deleted_words_in_the_log() {
    let mail = Ceaseless::begin();
    let secret = deliver(&mail.store, b"zwiebelturm", "s").await.unwrap();
    mail.store.indexed().await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let searches = {
        let (file, store, is_over) = (mail.place.state().join("search.db"), mail.store.clone(), Arc::clone(&is_over));
        std::thread::spawn(move || read_without_end(&file, || store.figures().indexed, &is_over))
    };
    assert_eq!(mail.store.delete(&[secret]).await.unwrap(), 1);
    mail.store.indexed().await.unwrap();
    mail.assert_leaves_no_word("zwiebelturm");
    mail.assert_still_coming();
    is_over.store(true, Ordering::Relaxed);
    searches.join().unwrap();
    mail.end().await;
}
