//! Mail that never pauses: for each message that is indexed another one comes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

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
    for name in ["search.db", "search.db-wal"] {
        let bytes = fs::read(mail.place.state().join(name)).unwrap();
        assert!(!bytes.windows(11).any(|window| window == b"zwiebelturm"), "{name}");
    }
    mail.assert_still_coming();
    mail.end().await;
}
