//! What is kept and what is not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::time::Duration;

use sportello_store::{Retention, Settings, Store};
use support::{Place, bytes, deliver, list};

/// Waits until so many messages are left.
async fn left(store: &Store, messages: u64) {
    let mut changes = store.changes();
    while store.figures().messages != messages {
        changes.changed().await.unwrap();
    }
}

async fn uids(store: &Store) -> Vec<u32> {
    list(store, None, 200).await.iter().map(|row| row.uid.0).collect()
}

#[tokio::test]
async fn the_oldest_go_when_there_are_too_many_and_take_their_bodies_along() {
    let place = Place::new();
    let retention = Retention { most_messages: Some(3), ..Retention::default() };
    let store = Store::open(Settings { retention, ..place.settings() }).unwrap();
    for number in 0..3 {
        deliver(&store, &bytes(140_000, number), "s").await.unwrap();
    }
    store.indexed().await.unwrap();
    assert_eq!((store.figures().messages, store.figures().retired), (3, 0), "as many as are kept");
    for number in 3..8 {
        deliver(&store, &bytes(140_000, number), "s").await.unwrap();
    }
    left(&store, 3).await;
    assert_eq!(uids(&store).await, [8, 7, 6]);
    assert_eq!((store.figures().bytes, store.figures().failed), (420_000, None));
    store.close().await;
    assert_eq!(store.figures().retired, 5);
    assert_eq!(place.names("blobs"), ["6", "7", "8"]);
}

#[tokio::test]
async fn the_oldest_go_when_they_have_too_many_bytes() {
    let place = Place::new();
    let store = place.open();
    for number in 0..4 {
        deliver(&store, &bytes(1000, number), "s").await.unwrap();
    }
    store.retain(Retention { most_bytes: Some(2500), ..Retention::default() });
    left(&store, 2).await;
    assert_eq!(uids(&store).await, [4, 3]);
    deliver(&store, &bytes(2501, 9), "too long by itself").await.unwrap();
    left(&store, 0).await;
    store.close().await;
}

#[tokio::test]
async fn what_is_too_old_goes_and_what_the_last_run_left_goes_at_the_start() {
    let place = Place::new();
    let store = place.open();
    for _ in 0..2 * Store::STEP + 1 {
        deliver(&store, b"x", "s").await.unwrap();
    }
    store.retain(Retention { oldest: Some(Duration::from_secs(3600)), ..Retention::default() });
    store.close().await;
    let retention = Retention { oldest: Some(Duration::ZERO), ..Retention::default() };
    let store = Store::open(Settings { retention, ..place.settings() }).unwrap();
    left(&store, 0).await;
    store.close().await;
    assert_eq!(store.figures().retired, 2 * Store::STEP as u64 + 1);
}
