//! What any backend of the contract must do, said against the contract alone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use sportello_store::{Error, ListPage, MailboxId, ModSeq, Seen, Store, StoredBody, Uid, Verdict};
use support::{Place, accept_of, bytes, deliver, list, origin, read, write};

const KIB: usize = 1 << 10;

#[tokio::test]
async fn a_message_comes_back_byte_for_byte_at_every_size() {
    let place = Place::new();
    let store = place.open();
    let sizes = [0, 1, 4 * KIB, 128 * KIB - 1, 128 * KIB, 128 * KIB + 1, 160 * KIB, 1024 * KIB, 5120 * KIB];
    let mut ids = Vec::new();
    for size in sizes {
        ids.push(deliver(&store, &bytes(size, size as u64), &format!("{size} bytes")).await.unwrap());
    }
    store.close().await;
    drop(store);
    let store = place.open();
    let rows = list(&store, None, 200).await;
    assert_eq!(rows.iter().rev().map(|row| row.id).collect::<Vec<_>>(), ids);
    for ((id, size), row) in ids.iter().zip(sizes).zip(rows.iter().rev()) {
        assert_eq!(row.summary.subject, format!("{size} bytes"));
        assert_eq!(row.size, size as u64);
        assert!(read(&store, *id).await == bytes(size, size as u64), "{size} bytes are not those accepted");
        assert_eq!(store.verify(*id).await.unwrap(), Some(Verdict::Whole));
        let in_memory = matches!(store.body(*id).await.unwrap(), Some(StoredBody::Memory(_)));
        assert_eq!(in_memory, size <= 128 * KIB, "{size}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_row_says_all_that_was_accepted() {
    let place = Place::new();
    let store = place.open();
    let body = write(&store, b"Received: here\r\n\r\nhello\r\n").await.unwrap();
    let (id, mut accept) = (body.id(), accept_of(body, "grüße"));
    accept.summary.to = "é".repeat(600);
    let (envelope, mut summary) = (accept.envelope.clone(), accept.summary.clone());
    assert_eq!(store.accept(accept).await.unwrap().id, id, "the number is known before");
    summary.to.truncate(998);
    // From then on the row shows what the index found as well.
    store.indexed().await.unwrap();
    let row = store.message(id).await.unwrap().unwrap();
    assert_eq!((&row.envelope, &row.summary, &row.origin), (&envelope, &summary, &origin()));
    assert_eq!((row.uid, row.modseq, row.mailbox, row.size), (Uid(1), ModSeq(2), MailboxId::INBOX, 25));
    assert!(!row.flags.seen());
    assert!(row.received_ms > 1_700_000_000_000);
    assert_eq!(list(&store, None, 10).await, [row]);
    assert_eq!(id.to_string().parse(), Ok(id));
    store.close().await;
}

#[tokio::test]
async fn pages_are_newest_first_and_meet_without_gap_or_repeat() {
    let place = Place::new();
    let store = place.open();
    for number in 0..203 {
        deliver(&store, b"x", &number.to_string()).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = list(&store, before, 50).await;
        assert!(page.len() <= 50);
        let Some(last) = page.last() else { break };
        before = Some(last.uid);
        seen.extend(page.iter().map(|row| row.uid.0));
    }
    assert_eq!(seen, (1..=203).rev().collect::<Vec<_>>());
    assert_eq!(list(&store, None, ListPage::MOST + 1).await.len(), ListPage::MOST, "a page has a bound");
    assert_eq!(list(&store, None, 0).await, []);
    assert_eq!(list(&store, Some(Uid(1)), 10).await, []);
    store.close().await;
}

#[tokio::test]
async fn seen_changes_the_flag_the_modseq_and_the_count_once() {
    let place = Place::new();
    let store = place.open();
    let id = deliver(&store, b"x", "s").await.unwrap();
    let state = async |store: &Store| {
        let row = store.message(id).await.unwrap().unwrap();
        (row.flags.seen(), row.modseq.0, store.mailboxes().await.unwrap()[0].unseen)
    };
    assert_eq!(state(&store).await, (false, 2, 1));
    assert!(store.set_seen(id, Seen::Yes).await.unwrap());
    assert_eq!(state(&store).await, (true, 3, 0));
    assert!(store.set_seen(id, Seen::Yes).await.unwrap(), "it is here, and is read already");
    assert_eq!(state(&store).await, (true, 3, 0));
    assert!(store.set_seen(id, Seen::No).await.unwrap());
    assert_eq!(state(&store).await, (false, 4, 1));
    assert_eq!(store.mailboxes().await.unwrap()[0].highest_modseq, ModSeq(4));
    assert!(!store.set_seen("77".parse().unwrap(), Seen::Yes).await.unwrap());
    store.close().await;
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_its_numbers_are_not_given_again() {
    let place = Place::new();
    let store = place.open();
    let small = deliver(&store, &bytes(100, 1), "small").await.unwrap();
    let large = deliver(&store, &bytes(140 * KIB, 2), "large").await.unwrap();
    let kept = deliver(&store, &bytes(150 * KIB, 3), "kept").await.unwrap();
    store.set_seen(small, Seen::Yes).await.unwrap();
    let open_before = store.body(large).await.unwrap().unwrap();
    assert_eq!(store.delete(&[small, large, large, "999".parse().unwrap()]).await.unwrap(), 2);
    assert_eq!(store.delete(&[small]).await.unwrap(), 0);
    for id in [small, large] {
        assert!(store.message(id).await.unwrap().is_none());
        assert!(store.body(id).await.unwrap().is_none());
        assert_eq!(store.verify(id).await.unwrap(), None);
        assert!(!store.set_seen(id, Seen::No).await.unwrap());
    }
    assert_eq!(open_before.length(), 140 * KIB as u64, "whoever reads it reads on");
    let inbox = &store.mailboxes().await.unwrap()[0];
    assert_eq!((inbox.messages, inbox.unseen, inbox.bytes, inbox.uid_next), (1, 1, 150 * KIB as u64, Uid(4)));
    store.close().await;
    assert_eq!(place.names("blobs"), [kept.to_string()]);

    let store = place.open();
    assert_eq!((store.figures().messages, store.figures().bytes), (1, 150 * KIB as u64), "the sums are kept");
    assert_eq!(store.mailboxes().await.unwrap()[0].uid_next, Uid(4));
    store.delete(&[kept]).await.unwrap();
    let next = deliver(&store, b"x", "next").await.unwrap();
    assert!(next > kept);
    assert_eq!(store.message(next).await.unwrap().unwrap().uid, Uid(4));
    store.close().await;
}

#[tokio::test]
async fn deletions_have_a_bound() {
    let place = Place::new();
    let store = place.open();
    let ids: Vec<_> = (1..=Store::MOST_DELETED + 1).map(|number| number.to_string().parse().unwrap()).collect();
    assert_eq!(store.delete(&ids[1..]).await.unwrap(), 0);
    assert!(matches!(store.delete(&ids).await, Err(Error::TooMany { most: Store::MOST_DELETED, .. })));
    store.close().await;
}

#[tokio::test]
async fn an_envelope_has_bounds() {
    let place = Place::new();
    let store = place.open();
    for (recipients, length, fits) in [(1000, 10, true), (1001, 10, false), (1, 998, true), (1, 999, false)] {
        let mut accept = accept_of(write(&store, b"x").await.unwrap(), "s");
        accept.envelope.recipients = vec!["r".repeat(length); recipients];
        let result = store.accept(accept).await;
        assert_eq!(result.is_ok(), fits, "{recipients} of {length}");
        assert!(fits || matches!(result, Err(Error::TooMany { .. })));
    }
    assert_eq!(store.figures().messages, 2);
    store.close().await;
}

#[tokio::test]
async fn a_group_of_messages_gets_ascending_uids_and_shares_commits() {
    let place = Place::new();
    let store = place.open();
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { deliver(&store, &bytes(100, number), "s").await.unwrap() })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(task.await.unwrap());
    }
    ids.sort_unstable();
    ids.dedup();
    let rows = list(&store, None, 200).await;
    assert_eq!((ids.len(), rows.len()), (200, 200));
    assert!(rows.windows(2).all(|pair| pair[0].uid > pair[1].uid && pair[0].modseq > pair[1].modseq));
    let figures = store.figures();
    assert_eq!(figures.accepted, 200);
    assert!(figures.commits < 200, "{} commits for 200 messages at once", figures.commits);
    store.close().await;
}

#[tokio::test]
async fn a_change_of_a_mailbox_is_told_and_nothing_else() {
    let place = Place::new();
    let store = place.open();
    let mut changes = store.changes();
    assert!(!changes.has_changed().unwrap());
    let id = deliver(&store, b"x", "s").await.unwrap();
    changes.changed().await.unwrap();
    store.delete(&["88".parse().unwrap()]).await.unwrap();
    // A later answer comes after whatever an earlier commit had to tell.
    store.set_seen("88".parse().unwrap(), Seen::Yes).await.unwrap();
    assert!(!changes.has_changed().unwrap());
    store.set_seen(id, Seen::Yes).await.unwrap();
    changes.changed().await.unwrap();
    store.close().await;
    assert!(changes.changed().await.is_err(), "told that no more will come");
}

#[tokio::test]
async fn a_closed_store_says_so_and_closing_again_is_harmless() {
    let place = Place::new();
    let store = place.open();
    let mut arriving = store.begin(None).unwrap();
    let mut large = write(&store, &bytes(100 * KIB, 1)).await.unwrap();
    let queued = {
        let store = store.clone();
        let body = write(&store, b"queued").await.unwrap();
        tokio::spawn(async move { store.accept(accept_of(body, "s")).await })
    };
    // The task runs up to its wait for the answer: its request is queued before the close is.
    tokio::task::yield_now().await;
    tokio::join!(store.close(), store.close());
    queued.await.unwrap().unwrap();
    let id = "1".parse().unwrap();
    assert!(matches!(store.begin(None), Err(Error::Closed)));
    assert!(matches!(arriving.write(b"x").await, Err(Error::Closed)));
    assert!(matches!(large.write(b"x").await, Err(Error::Closed)));
    assert!(matches!(store.accept(accept_of(large, "s")).await, Err(Error::Closed)));
    assert!(matches!(store.delete(&[id]).await, Err(Error::Closed)));
    assert!(matches!(store.message(id).await, Err(Error::Closed)));
    assert!(matches!(store.body(id).await, Err(Error::Closed)));
    assert_eq!(place.names("spool"), Vec::<String>::new());
    let store = place.open();
    assert_eq!(store.figures().messages, 1);
    store.close().await;
}

#[tokio::test]
async fn a_body_of_another_store_is_refused() {
    let (one, other) = (Place::new(), Place::new());
    let (store, foreign) = (one.open(), other.open());
    let body = write(&foreign, b"x").await.unwrap();
    assert!(matches!(store.accept(accept_of(body, "s")).await, Err(Error::Refused(_))));
    store.close().await;
    foreign.close().await;
}

#[test]
fn only_what_display_writes_is_read_as_a_number() {
    use sportello_store::MessageId;
    for text in ["", "0", "01", "+1", "-1", " 1", "1 ", "1x", "9223372036854775808", "\u{661}"] {
        assert!(text.parse::<MessageId>().is_err(), "{text:?}");
    }
    for text in ["1", "10", "9223372036854775807"] {
        assert_eq!(text.parse::<MessageId>().unwrap().to_string(), text);
    }
}
