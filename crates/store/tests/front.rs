//! What is read of a message before it is accepted, and what is put in front of it.
#![allow(clippy::unwrap_used, reason = "a test says where it stopped")]

mod support;

use std::os::unix::fs::FileExt;

use sportello_store::{Content, Error, Incoming, Settings, Store, Verdict};
use support::{Place, accept_of, bytes, read, write};

const KIB: usize = 1 << 10;
const FIELD: &[u8] = b"Authentication-Results: here; none\r\n";

async fn content(body: &mut Incoming) -> (&'static str, Vec<u8>) {
    match body.content().await.unwrap() {
        Content::Memory(bytes) => ("memory", bytes.to_vec()),
        Content::File { file, length } => {
            let mut bytes = vec![0; usize::try_from(length).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            ("file", bytes)
        }
    }
}

/// A message of `length` bytes, in the place it is expected in, with a field put in front and more written behind.
async fn check(store: &Store, length: usize, before: &str, after: &str) {
    let message = bytes(length, length as u64);
    let mut body = write(store, &message).await.unwrap();
    assert_eq!(content(&mut body).await, (if length == 0 { "memory" } else { before }, message.clone()), "{length}");
    body.prepend(FIELD).await.unwrap();
    let mut whole = [FIELD, &message].concat();
    assert_eq!(body.len(), whole.len() as u64);
    let (place, read_back) = content(&mut body).await;
    assert_eq!(place, after, "{length}");
    assert!(read_back == whole, "{length}");
    body.write(b"the end").await.unwrap();
    whole.extend_from_slice(b"the end");
    body.prepend(b"A: b\r\n").await.unwrap();
    whole.splice(..0, *b"A: b\r\n");
    let id = store.accept(accept_of(body, "whole")).await.unwrap().id;
    assert!(read(store, id).await == whole, "{length}");
    assert_eq!(store.verify(id).await.unwrap(), Some(Verdict::Whole), "its hash is that of the whole");
}

#[tokio::test]
async fn in_memory_and_in_a_file() {
    let place = Place::new();
    let store = place.open();
    let most = 128 * KIB;
    for (length, before, after) in [
        (0, "memory", "memory"),
        (1, "memory", "memory"),
        (most - FIELD.len(), "memory", "memory"),
        (most - FIELD.len() + 1, "memory", "file"),
        (most, "memory", "file"),
        (most + 1, "file", "file"),
        (most + 32 * KIB, "file", "file"),
        (700 * KIB, "file", "file"),
    ] {
        check(&store, length, before, after).await;
    }
    assert_eq!(store.figures().memory_bytes, 0);
    assert_eq!(store.figures().spooled, 6, "each is counted once, however often it was written");
    store.close().await;
    assert_eq!(place.names("spool"), Vec::<String>::new());
}

#[tokio::test]
async fn a_message_that_was_declared_large_and_is_empty() {
    let place = Place::new();
    let store = place.open();
    let mut body = store.begin(Some(1 << 20)).unwrap();
    assert_eq!(content(&mut body).await, ("memory", Vec::new()));
    body.prepend(FIELD).await.unwrap();
    assert_eq!(content(&mut body).await, ("file", FIELD.to_vec()));
    store.close().await;
}

#[tokio::test]
async fn when_the_budget_is_spent_it_goes_to_the_disk_with_what_is_in_front() {
    let place = Place::new();
    let store = Store::open(Settings { memory_budget: 8 << 10, ..place.settings() }).unwrap();
    let message = bytes(8 * KIB, 1);
    let mut body = write(&store, &message).await.unwrap();
    assert_eq!(content(&mut body).await.0, "memory");
    body.prepend(FIELD).await.unwrap();
    assert_eq!(content(&mut body).await, ("file", [FIELD, &message].concat()));
    drop(body);
    store.close().await;
    assert_eq!(store.figures().memory_bytes, 0);
    assert_eq!(place.names("spool"), Vec::<String>::new());
}

#[tokio::test]
async fn the_most_that_is_put_in_front_at_once() {
    let place = Place::new();
    let store = place.open();
    let mut body = write(&store, b"x").await.unwrap();
    let most = bytes(Incoming::MOST_IN_FRONT, 1);
    body.prepend(&most).await.unwrap();
    let more = bytes(Incoming::MOST_IN_FRONT + 1, 1);
    assert!(matches!(body.prepend(&more).await, Err(Error::TooMany { .. })));
    assert_eq!(content(&mut body).await.1, [most.as_slice(), b"x"].concat(), "what is refused changes nothing");
    store.close().await;
    assert!(matches!(body.prepend(FIELD).await, Err(Error::Closed)));
}

#[tokio::test]
async fn whoever_reads_is_not_disturbed() {
    let place = Place::new();
    let store = place.open();
    let message = bytes(300 * KIB, 1);
    let mut body = write(&store, &message).await.unwrap();
    let Content::File { file, length } = body.content().await.unwrap() else { panic!("not in a file") };
    body.prepend(FIELD).await.unwrap();
    drop(body);
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert!(bytes == message);
    store.close().await;
}
