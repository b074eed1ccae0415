//! Searching, by the contract alone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use sportello_store::{MailboxId, MessageId, Query, Seen, Selection, Start, Store, Tag, Uid, Window};
use support::{Place, accept_of, deliver, write};

/// The subjects that a search finds, newest first.
async fn found(store: &Store, query: &str) -> Vec<String> {
    let window = Window { start: Start::Newest, limit: Window::MOST };
    let found = store.search(MailboxId::INBOX, Query::parse(query).unwrap(), window).await.unwrap();
    assert_eq!(found.page.messages, found.page.rows.len() as u64);
    found.page.rows.into_iter().map(|row| row.summary.subject).collect()
}

async fn deliver_from(store: &Store, from: &str, subject: &str, message: &[u8]) -> MessageId {
    let mut accept = accept_of(write(store, message).await.unwrap(), subject);
    accept.summary.from = from.to_owned();
    store.accept(accept).await.unwrap().id
}

#[tokio::test]
async fn what_is_not_indexed_is_found_by_its_row() {
    let place = Place::new();
    let store = place.open();
    let first = deliver_from(&store, "Zoë <zoe@example.net>", "Rechnung März", b"x").await;
    let second = deliver_from(&store, "Bob <bob@example.net>", "東京都に行く", &[b'x'; 500]).await;
    store.set_seen(first, Seen::Yes).await.unwrap();
    store.set_tags(&[second], &[Tag::parse("Travel Plans").unwrap()]).await.unwrap();
    for (query, expect) in [
        ("rechn", &["Rechnung März"][..]),
        ("marz -bob", &["Rechnung März"]),
        ("from:zoe", &["Rechnung März"]),
        ("from:sender@example.org", &["東京都に行く", "Rechnung März"]),
        ("to:bücher@example.org to:anna", &["東京都に行く", "Rechnung März"]),
        ("京都", &["東京都に行く"]),
        ("-京都", &["Rechnung März"]),
        ("from:rechnung", &[]),
        ("is:read", &["Rechnung März"]),
        ("is:unread -is:read", &["東京都に行く"]),
        ("tag:\"travel plans\"", &["東京都に行く"]),
        ("-is:tagged", &["Rechnung März"]),
        ("is:tagged rechnung", &[]),
        ("larger:400", &["東京都に行く"]),
        ("smaller:400", &["Rechnung März"]),
        ("after:2020-01-01 before:2020-01-02", &[]),
        ("after:2020-01-01 -before:2020-01-02 example", &["東京都に行く", "Rechnung März"]),
        ("message-id:1@example.org subject:rechnung", &["Rechnung März"]),
        ("\") OR (\"x", &[]),
    ] {
        assert_eq!(found(&store, query).await, expect, "{query}");
    }
    store.close().await;
}

#[tokio::test]
async fn pages_of_a_search_by_position_and_by_uid() {
    let place = Place::new();
    let store = place.open();
    for number in 0..9 {
        let subject = if number % 2 == 0 { "even" } else { "odd" };
        deliver(&store, b"x", subject).await.unwrap();
    }
    store.set_seen("1".parse().unwrap(), Seen::Yes).await.unwrap();
    for (start, limit, expect) in [
        (Start::Newest, 9, &[9, 7, 5, 3, 1][..]),
        (Start::At(0), 2, &[9, 7]),
        (Start::At(4), 2, &[1]),
        (Start::At(5), 2, &[]),
        (Start::Before(Uid(6)), 2, &[5, 3]),
        (Start::Before(Uid(1)), 2, &[]),
        (Start::Newest, 0, &[]),
    ] {
        let query = Query::parse("subject:even").unwrap();
        let found = store.search(MailboxId::INBOX, query, Window { start, limit }).await.unwrap();
        let uids: Vec<_> = found.page.rows.iter().map(|row| row.uid.0).collect();
        assert_eq!((uids.as_slice(), found.page.messages, found.page.unread), (expect, 5, 4), "{start:?}");
    }
    store.close().await;
}

#[tokio::test]
async fn what_a_search_finds_is_marked_and_deleted() {
    let place = Place::new();
    let store = place.open();
    for number in 0..600 {
        deliver(&store, &vec![b'x'; if number % 2 == 0 { 10 } else { 100 }], &number.to_string()).await.unwrap();
    }
    let small = || Selection::Found(MailboxId::INBOX, Query::parse("smaller:50 is:unread").unwrap());
    assert_eq!(store.set_seen_all(small(), Seen::Yes).await.unwrap(), 300);
    assert_eq!(store.set_seen_all(small(), Seen::Yes).await.unwrap(), 0);
    let read = Selection::Found(MailboxId::INBOX, Query::parse("is:read").unwrap());
    assert_eq!(store.delete_all(read).await.unwrap(), 300);
    assert_eq!(store.figures().messages, 300);
    store.close().await;
}
