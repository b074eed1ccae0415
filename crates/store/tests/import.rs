//! Messages from files, said against the contract alone: when they came, and none twice.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use sportello_store::{
    Error, Flags, Import, Imported, MailboxId, MessageId, NewAccount, Place, Quota, Repeat, Selection, Store, Uid,
};
use support::{Place as Folder, accept_of, bytes, deliver, list, read, write};

async fn import(store: &Store, mailbox: MailboxId, text: &[u8], ordinal: u32) -> Result<MessageId, Error> {
    take(store, mailbox, text, ordinal, Repeat::Refused, 784_111_777_250).await
}

async fn take(
    store: &Store,
    mailbox: MailboxId,
    text: &[u8],
    ordinal: u32,
    repeat: Repeat,
    received_ms: u64,
) -> Result<MessageId, Error> {
    let accept = accept_of(write(store, text).await?, "from a file");
    let (envelope, origin, summary, body) = (accept.envelope, accept.origin, accept.summary, accept.body);
    let place = Place { mailbox, flags: Flags::SEEN.with(Flags::FLAGGED), quota: Quota::Kept };
    let import = Import { envelope, origin, summary, body, place, received_ms, ordinal, repeat };
    Ok(store.import(import).await?.id)
}

#[tokio::test]
async fn a_message_keeps_its_moment_and_its_flags() {
    let place = Folder::new();
    let store = place.open();
    for (text, received_ms) in [(bytes(100, 1), 784_111_777_250), (bytes(300_000, 2), 0), (vec![], u64::MAX)] {
        let id = take(&store, MailboxId::INBOX, &text, 0, Repeat::Refused, received_ms).await.unwrap();
        let row = store.message(id).await.unwrap().unwrap();
        assert!(row.flags.has(Flags::SEEN.with(Flags::FLAGGED)) && !row.flags.has(Flags::DRAFT));
        assert_eq!(read(&store, id).await, text);
        if received_ms < u64::MAX {
            assert_eq!(row.received_ms, received_ms);
        } else {
            assert!((1_700_000_000_000..4_000_000_000_000).contains(&row.received_ms), "a moment to come is now");
        }
    }
    let after = store.list_after(MailboxId::INBOX, Uid(1), 10).await.unwrap();
    assert_eq!(after.iter().map(|row| row.uid).collect::<Vec<_>>(), [Uid(2), Uid(3)]);
    assert_eq!(store.list_after(MailboxId::INBOX, Uid(0), 2).await.unwrap().len(), 2);
    store.close().await;
}

#[tokio::test]
async fn what_was_taken_is_not_taken_again_whatever_became_of_it() {
    let place = Folder::new();
    let store = place.open();
    let account = NewAccount { address: "ada@example.org".to_owned(), quota: Some(3000), ..NewAccount::default() };
    let ada = store.create_account(account).await.unwrap();
    let inbox = store.mailbox(ada, "Inbox").await.unwrap().unwrap();
    let text = bytes(1000, 1);
    let first = import(&store, inbox, &text, 0).await.unwrap();
    assert!(matches!(import(&store, inbox, &text, 0).await, Err(Error::Taken)));
    import(&store, inbox, &text, 1).await.unwrap();
    import(&store, MailboxId::INBOX, &text, 0).await.unwrap();
    assert!(matches!(import(&store, inbox, &bytes(1001, 2), 0).await, Err(Error::OverQuota)));
    store.delete_all(Selection::In(inbox, vec![first])).await.unwrap();
    store.close().await;

    let store = place.open();
    assert!(matches!(import(&store, inbox, &text, 0).await, Err(Error::Taken)), "though it was deleted since");
    let known = store.imported(inbox, None).await.unwrap();
    assert_eq!(known.iter().map(|known| known.ordinal).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(store.imported(inbox, Some(known[0])).await.unwrap(), known[1..]);
    assert_eq!(store.hashes(inbox, Uid(0)).await.unwrap(), [(Uid(2), known[0].hash)]);
    assert_eq!(store.hashes(inbox, Uid(2)).await.unwrap(), []);
    let again = take(&store, inbox, &text, 0, Repeat::Taken, 1).await.unwrap();
    assert_eq!(store.message(again).await.unwrap().unwrap().uid, Uid(3));
    assert_eq!(store.imported(inbox, None).await.unwrap().len(), 2);

    assert!(store.delete_account(ada).await.unwrap());
    assert_eq!(store.imported(inbox, None).await.unwrap(), [], "it is forgotten with the account");
    assert!(matches!(import(&store, inbox, &text, 2).await, Err(Error::NoMailbox)));
    assert_eq!(list(&store, None, 10).await.len(), 1);
    store.close().await;
}

/// Refusals in a group that is committed together spoil none of the others, and mail that arrives is never refused for them.
#[tokio::test]
async fn of_many_at_once_each_is_taken_once() {
    let place = Folder::new();
    let store = place.open();
    let mut tries = tokio::task::JoinSet::new();
    for number in 0..60 {
        let taker = store.clone();
        tries.spawn(async move { import(&taker, MailboxId::INBOX, &bytes(50, number % 20), 0).await });
        if number % 10 == 0 {
            let store = store.clone();
            tries.spawn(async move { deliver(&store, b"the same", "s").await });
        }
    }
    let done = tries.join_all().await;
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 26);
    assert!(done.iter().all(|done| matches!(done, Ok(_) | Err(Error::Taken))));
    assert_eq!(list(&store, None, 200).await.len(), 26);
    let known: Vec<Imported> = store.imported(MailboxId::INBOX, None).await.unwrap();
    assert!(known.len() == 20 && known.is_sorted());
    store.close().await;
}
