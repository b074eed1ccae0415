//! Accounts, their mailboxes and what is in them, said against the contract alone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use sportello_store::{
    Accept, Account, AccountChange, AccountId, AppPassword, Credential, Error, Flags, Mailbox, MailboxId, MessageId,
    NewAccount, NewAppPassword, Place, Query, Quota, Retention, Scope, Seen, Selection, SpecialUse, Standing, Start,
    Store, Uid, Window,
};
use support::{Place as Folder, accept_of, bytes, deliver, list, read, write};

async fn make(store: &Store, address: &str) -> AccountId {
    store.create_account(NewAccount { address: address.to_owned(), ..NewAccount::default() }).await.unwrap()
}

async fn mailbox(store: &Store, account: AccountId, name: &str) -> MailboxId {
    store.mailbox(account, name).await.unwrap().unwrap()
}

async fn put(store: &Store, length: usize, places: &[Place]) -> Result<MessageId, Error> {
    let mut accept = accept_of(write(store, &bytes(length, 7)).await?, "s");
    accept.places = places.to_vec();
    Ok(store.accept(accept).await?.id)
}

async fn used(store: &Store, account: AccountId) -> u64 {
    store.account_by_id(account).await.unwrap().unwrap().used
}

/// Messages, unread ones and bytes.
async fn sums(store: &Store, mailbox: MailboxId) -> (u64, u64, u64) {
    let mailbox = store.mailbox_by_id(mailbox).await.unwrap().unwrap();
    (mailbox.messages, mailbox.unseen, mailbox.bytes)
}

#[tokio::test]
async fn an_account_comes_back_as_it_was_made_with_its_mailboxes() {
    let place = Folder::new();
    let store = place.open();
    let new = NewAccount {
        address: "Ada@Example.org".to_owned(),
        credential: Some(Credential::new(*b"opaque")),
        quota: Some(5000),
        groups: vec!["staff".to_owned(), "größe".to_owned()],
    };
    let id = store.create_account(new).await.unwrap();
    let other = make(&store, "bob@example.org").await;
    store.close().await;
    let store = place.open();
    let ada = store.account("ADA@example.ORG").await.unwrap().unwrap();
    assert_eq!((ada.id, &*ada.address, ada.standing), (id, "Ada@Example.org", Standing::Active));
    assert_eq!((ada.quota, ada.used, ada.groups.len()), (Some(5000), 0, 2));
    assert_eq!(ada.credential.as_ref().map(Credential::as_bytes), Some(&b"opaque"[..]));
    assert_eq!(format!("{:?}", ada.credential), "Some(Credential)", "it is not shown");
    assert!(ada.created_ms > 1_700_000_000_000);
    let mailboxes = store.mailboxes_of(id).await.unwrap();
    let names: Vec<_> = mailboxes.iter().map(|mailbox| (mailbox.special.unwrap(), &*mailbox.name)).collect();
    assert_eq!(names, SpecialUse::ALL);
    assert!(mailboxes.iter().all(|mailbox| mailbox.account == Some(id) && mailbox.uid_next == Uid(1)));
    for name in ["INBOX", "inbox", "Inbox"] {
        assert_eq!(store.mailbox(id, name).await.unwrap(), Some(mailboxes[0].id), "{name}");
    }
    assert_eq!(store.mailbox(id, "junk").await.unwrap(), None, "only INBOX is the same in any case");
    assert_ne!(store.mailbox(other, "Inbox").await.unwrap(), Some(mailboxes[0].id));
    let listed = store.accounts(None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|account| account.id).collect::<Vec<_>>(), [id, other]);
    assert_eq!(store.accounts(Some("ADA@example.org"), 10).await.unwrap(), listed[1..]);
    assert_eq!(store.accounts(None, 1).await.unwrap(), listed[..1]);
    assert_eq!(store.first_account("EXAMPLE.org").await.unwrap().unwrap().id, id, "the oldest");
    assert_eq!(store.first_account("example.net").await.unwrap(), None);
    assert_eq!(store.login("ada@EXAMPLE.org").await.unwrap(), Some((ada.clone(), vec![])));
    assert_eq!(store.login("eve@example.org").await.unwrap(), None);
    store.close().await;
}

#[tokio::test]
async fn of_two_who_make_one_account_at_once_one_makes_it() {
    let place = Folder::new();
    let store = place.open();
    let mut tries = tokio::task::JoinSet::new();
    for address in ["ada@example.org", "ADA@example.org", "ada@EXAMPLE.org", "Bücher@example.org", "bÜcher@example.org"]
    {
        let store = store.clone();
        let new = NewAccount { address: address.to_owned(), ..NewAccount::default() };
        tries.spawn(async move { store.create_account(new).await });
    }
    let results = tries.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Error::Taken))), "{results:?}");
    assert_eq!(store.mailboxes().await.unwrap().len(), 1 + 2 * 6);
    store.close().await;
}

#[tokio::test]
async fn changes_of_an_account_are_kept() {
    let place = Folder::new();
    let store = place.open();
    let id = make(&store, "ada@example.org").await;
    for change in [
        AccountChange::Disable,
        AccountChange::Quota(Some(7)),
        AccountChange::Groups(vec!["g".to_owned()]),
        AccountChange::Credential(Some(Credential::new(*b"new"))),
    ] {
        assert!(store.change_account(id, change).await.unwrap());
    }
    store.close().await;
    let store = place.open();
    let ada = store.account_by_id(id).await.unwrap().unwrap();
    assert_eq!((ada.standing, ada.quota, &*ada.groups), (Standing::Disabled, Some(7), &["g".to_owned()][..]));
    assert_eq!(ada.credential, Some(Credential::new(*b"new")));
    store.change_account(id, AccountChange::Enable).await.unwrap();
    store.change_account(id, AccountChange::Quota(None)).await.unwrap();
    store.change_account(id, AccountChange::Credential(None)).await.unwrap();
    let ada = store.account_by_id(id).await.unwrap().unwrap();
    assert_eq!((ada.standing, ada.quota, ada.credential), (Standing::Active, None, None));
    store.delete_account(id).await.unwrap();
    assert!(!store.change_account(id, AccountChange::Enable).await.unwrap());
    store.close().await;
}

#[tokio::test]
async fn an_account_has_bounds() {
    let place = Folder::new();
    let store = place.open();
    let group = "g".repeat(Account::LONGEST_GROUP);
    for (address, groups, fits) in [
        ("a".repeat(998), vec![group.clone(); Account::MOST_GROUPS], true),
        ("b".repeat(999), vec![], false),
        ("c".to_owned(), vec![group.clone(); Account::MOST_GROUPS + 1], false),
        ("d".to_owned(), vec![format!("{group}g")], false),
        (String::new(), vec![], false),
    ] {
        let result = store.create_account(NewAccount { address, groups, ..NewAccount::default() }).await;
        assert_eq!(result.is_ok(), fits, "{result:?}");
    }
    let id = make(&store, "e").await;
    for number in 6..Mailbox::MOST_OF_AN_ACCOUNT {
        store.make_mailbox(id, &number.to_string()).await.unwrap();
    }
    assert!(matches!(store.make_mailbox(id, "one too many").await, Err(Error::TooMany { .. })));
    assert_eq!(store.mailboxes_of(id).await.unwrap().len(), Mailbox::MOST_OF_AN_ACCOUNT);
    let other = make(&store, "f").await;
    for (name, fits) in [
        ("n".repeat(Mailbox::LONGEST_NAME), true),
        ("n".repeat(Mailbox::LONGEST_NAME + 1), false),
        ("INBOX".to_owned(), false),
        ("junk".to_owned(), true),
        ("Junk".to_owned(), false),
        ("a\tb".to_owned(), false),
        (String::new(), false),
    ] {
        assert_eq!(store.make_mailbox(other, &name).await.is_ok(), fits, "{name:?}");
    }
    store.close().await;
}

#[tokio::test]
async fn app_passwords_are_kept_bounded_and_told_apart_by_name() {
    let place = Folder::new();
    let store = place.open();
    let id = make(&store, "ada@example.org").await;
    let new = |name: &str| NewAppPassword {
        name: name.to_owned(),
        credential: Credential::new(*b"hash"),
        scopes: [Scope::Smtp, Scope::Imap].into_iter().collect(),
    };
    let phone = store.add_app_password(id, new("phone")).await.unwrap();
    assert!(matches!(store.add_app_password(id, new("phone")).await, Err(Error::Taken)));
    assert!(store.used_app_password(phone, 1234).await.unwrap());
    let kept = store.app_passwords(id).await.unwrap().remove(0);
    assert_eq!((kept.id, &*kept.name, kept.used_ms), (phone, "phone", Some(1234)));
    assert_eq!(kept.scopes.each().map(Scope::name).collect::<Vec<_>>(), ["smtp", "imap"]);
    for number in 1..AppPassword::MOST {
        store.add_app_password(id, new(&number.to_string())).await.unwrap();
    }
    assert!(matches!(store.add_app_password(id, new("more")).await, Err(Error::TooMany { .. })));
    assert!(store.remove_app_password(id, "phone").await.unwrap());
    assert!(!store.remove_app_password(id, "phone").await.unwrap());
    let next = store.add_app_password(id, new("more")).await.unwrap();
    assert_ne!(next, phone, "a number is not given twice");
    assert!(!store.used_app_password(phone, 1).await.unwrap());
    store.delete_account(id).await.unwrap();
    assert_eq!(store.app_passwords(id).await.unwrap(), []);
    assert!(matches!(store.add_app_password(id, new("x")).await, Err(Error::NoAccount)));
    store.close().await;
}

#[tokio::test]
async fn a_message_in_two_mailboxes_goes_with_its_last_place() {
    let place = Folder::new();
    let store = place.open();
    let (ada, bob) = (make(&store, "ada@example.org").await, make(&store, "bob@example.org").await);
    let (inbox, archive) = (mailbox(&store, ada, "INBOX").await, mailbox(&store, ada, "Archive").await);
    let theirs = mailbox(&store, bob, "INBOX").await;
    let places = [
        Place::new(inbox),
        Place { flags: Flags::SEEN.with(Flags::FLAGGED), ..Place::new(archive) },
        Place::new(theirs),
        Place::new(inbox),
    ];
    // A file, so that its end is seen.
    let id = put(&store, 140_000, &places).await.unwrap();
    assert_eq!((used(&store, ada).await, used(&store, bob).await), (280_000, 140_000));
    assert_eq!(sums(&store, inbox).await, (1, 1, 140_000), "named twice, there once");
    assert_eq!(sums(&store, archive).await, (1, 0, 140_000));
    assert_eq!(sums(&store, MailboxId::INBOX).await, (0, 0, 0));
    store.indexed().await.unwrap();

    assert_eq!(store.set_seen_all(Selection::In(theirs, vec![id]), Seen::Yes).await.unwrap(), 1);
    assert_eq!((sums(&store, theirs).await.1, sums(&store, inbox).await.1), (0, 1), "read there, not here");
    assert_eq!(store.delete_all(Selection::In(inbox, vec![id])).await.unwrap(), 1);
    assert_eq!(store.delete_all(Selection::In(inbox, vec![id])).await.unwrap(), 0);
    assert_eq!(store.delete_all(Selection::In(MailboxId::INBOX, vec![id])).await.unwrap(), 0);
    assert_eq!((used(&store, ada).await, used(&store, bob).await), (140_000, 140_000));
    assert_eq!(read(&store, id).await.len(), 140_000);
    assert_eq!(store.delete_all(Selection::Mailbox(archive)).await.unwrap(), 1);
    let row = store.message(id).await.unwrap().unwrap();
    assert_eq!((row.mailbox, row.flags), (theirs, Flags::SEEN));
    store.indexed().await.unwrap();
    let window = Window { start: Start::Newest, limit: 10 };
    let query = Query::parse("subject:s").unwrap();
    let found = store.search(theirs, query.clone(), window).await.unwrap();
    assert_eq!((found.page.messages, found.pending), (1, 0), "the index keeps what is still somewhere");
    assert_eq!(store.search(inbox, query, window).await.unwrap().page.messages, 0);

    store.close().await;
    let store = place.open();
    assert_eq!(place.names("blobs"), [id.to_string()]);
    assert_eq!(store.delete(&[id]).await.unwrap(), 1);
    assert!(store.body(id).await.unwrap().is_none());
    assert_eq!((used(&store, ada).await, used(&store, bob).await, store.figures().messages), (0, 0, 0));
    store.close().await;
    assert_eq!(place.names("blobs"), Vec::<String>::new());
}

#[tokio::test]
async fn a_quota_holds_exactly_and_an_exempt_message_passes_it() {
    let place = Folder::new();
    let store = place.open();
    let (ada, bob) = (make(&store, "ada@example.org").await, make(&store, "bob@example.org").await);
    let (inbox, theirs) = (mailbox(&store, ada, "INBOX").await, mailbox(&store, bob, "INBOX").await);
    store.change_account(ada, AccountChange::Quota(Some(1000))).await.unwrap();
    let first = put(&store, 400, &[Place::new(inbox)]).await.unwrap();
    let both = [Place::new(theirs), Place::new(inbox)];
    assert!(matches!(put(&store, 601, &both).await, Err(Error::OverQuota)));
    assert_eq!(sums(&store, theirs).await, (0, 0, 0), "nobody has what one of them cannot have");
    assert_eq!(used(&store, ada).await, 400);
    put(&store, 600, &both).await.unwrap();
    assert_eq!((used(&store, ada).await, used(&store, bob).await), (1000, 600));
    assert!(!store.account_by_id(ada).await.unwrap().unwrap().has_room_for(1));
    assert!(matches!(put(&store, 1, &[Place::new(inbox)]).await, Err(Error::OverQuota)));
    put(&store, 0, &[Place::new(inbox)]).await.unwrap();
    put(&store, 50, &[Place { quota: Quota::Passed, ..Place::new(inbox) }]).await.unwrap();
    assert_eq!(used(&store, ada).await, 1050);
    store.delete(&[first]).await.unwrap();
    assert!(matches!(put(&store, 351, &[Place::new(inbox)]).await, Err(Error::OverQuota)));
    put(&store, 350, &[Place::new(inbox)]).await.unwrap();
    store.close().await;
    let store = place.open();
    assert_eq!(used(&store, ada).await, 1000, "kept");
    store.change_account(ada, AccountChange::Quota(Some(0))).await.unwrap();
    assert!(matches!(put(&store, 1, &[Place::new(inbox)]).await, Err(Error::OverQuota)));
    store.close().await;
}

#[tokio::test]
async fn many_at_once_do_not_pass_a_quota_together() {
    let place = Folder::new();
    let store = place.open();
    let ada = make(&store, "ada@example.org").await;
    store.change_account(ada, AccountChange::Quota(Some(1000))).await.unwrap();
    let inbox = mailbox(&store, ada, "INBOX").await;
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        tries.spawn(async move { put(&store, 100, &[Place::new(inbox)]).await });
    }
    let results = tries.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 10);
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Error::OverQuota))), "{results:?}");
    assert_eq!((used(&store, ada).await, sums(&store, inbox).await), (1000, (10, 10, 1000)));
    store.close().await;
}

#[tokio::test]
async fn an_account_is_deleted_with_its_mail_and_nobody_elses() {
    let place = Folder::new();
    let store = place.open();
    let (ada, bob) = (make(&store, "ada@example.org").await, make(&store, "bob@example.org").await);
    let (inbox, theirs) = (mailbox(&store, ada, "INBOX").await, mailbox(&store, bob, "INBOX").await);
    for _ in 0..3 {
        put(&store, 10, &[Place::new(inbox)]).await.unwrap();
    }
    let shared = put(&store, 20, &[Place::new(inbox), Place::new(theirs)]).await.unwrap();
    let caught = deliver(&store, b"caught", "s").await.unwrap();
    store.indexed().await.unwrap();
    let validity = store.mailbox_by_id(inbox).await.unwrap().unwrap().uid_validity;
    assert!(store.delete_account(ada).await.unwrap());
    assert!(!store.delete_account(ada).await.unwrap());
    assert!(store.account("ada@example.org").await.unwrap().is_none());
    assert!(store.mailbox_by_id(inbox).await.unwrap().is_none());
    assert!(matches!(put(&store, 1, &[Place::new(inbox)]).await, Err(Error::NoMailbox)));
    assert_eq!((store.figures().messages, used(&store, bob).await), (2, 20));
    assert_eq!(read(&store, shared).await.len(), 20);
    assert_eq!(list(&store, None, 10).await[0].id, caught);

    let again = make(&store, "ada@example.org").await;
    assert_ne!(again, ada);
    let inbox = store.mailboxes_of(again).await.unwrap().remove(0);
    assert!(inbox.uid_validity > validity, "the numbers begin anew (RFC 9051 §2.3.1.1)");
    put(&store, 1, &[Place::new(inbox.id)]).await.unwrap();
    store.indexed().await.unwrap();
    store.close().await;
    store.close().await;
    let store = place.open();
    store.indexed().await.unwrap();
    assert_eq!(store.figures().indexed, 0, "the index is not made anew for it");
    store.close().await;
}

#[tokio::test]
async fn a_deletion_goes_on_where_it_was_left_and_takes_no_mail_meanwhile() {
    let place = Folder::new();
    let store = place.open();
    let ada = make(&store, "ada@example.org").await;
    let inbox = mailbox(&store, ada, "INBOX").await;
    put(&store, 10, &[Place::new(inbox)]).await.unwrap();
    // Mail keeps coming while it is deleted: whatever got in before goes, nothing gets in after.
    let mut coming = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let store = store.clone();
        coming.spawn(async move { put(&store, 10, &[Place::new(inbox)]).await });
    }
    let deleted = store.delete_account(ada).await.unwrap();
    assert!(deleted);
    let results = coming.join_all().await;
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Error::NoMailbox))), "{results:?}");
    assert_eq!(store.figures().messages, 0);
    store.close().await;
}

#[tokio::test]
async fn retention_is_for_what_is_caught() {
    let place = Folder::new();
    let store = place.open();
    let ada = make(&store, "ada@example.org").await;
    let inbox = mailbox(&store, ada, "INBOX").await;
    let both = put(&store, 10, &[Place::CAUGHT, Place::new(inbox)]).await.unwrap();
    for _ in 0..9 {
        put(&store, 10, &[Place::new(inbox)]).await.unwrap();
    }
    store.retain(Retention { most_messages: Some(1), ..Retention::default() });
    deliver(&store, b"x", "s").await.unwrap();
    let mut changes = store.changes();
    while sums(&store, MailboxId::INBOX).await.0 > 1 {
        changes.changed().await.unwrap();
    }
    assert_eq!(sums(&store, inbox).await.0, 10, "what an account has is its own");
    assert_eq!(store.message(both).await.unwrap().unwrap().mailbox, inbox);
    store.close().await;
}

#[tokio::test]
async fn a_trace_is_kept_with_its_message_and_bounded() {
    let place = Folder::new();
    let store = place.open();
    let accept = async |length: usize| -> Result<MessageId, Error> {
        let mut accept = accept_of(write(&store, b"x").await?, "s");
        accept.trace = Some("t".repeat(length));
        Ok(store.accept(accept).await?.id)
    };
    let id = accept(Accept::LONGEST_TRACE).await.unwrap();
    assert_eq!(store.trace(id).await.unwrap().unwrap().len(), Accept::LONGEST_TRACE);
    assert!(matches!(accept(Accept::LONGEST_TRACE + 1).await, Err(Error::TooMany { .. })));
    store.delete(&[id]).await.unwrap();
    assert_eq!(store.trace(id).await.unwrap(), None);
    store.close().await;
}

#[tokio::test]
async fn places_have_a_bound_and_must_be_there() {
    let place = Folder::new();
    let store = place.open();
    let ada = make(&store, "ada@example.org").await;
    let inbox = mailbox(&store, ada, "INBOX").await;
    put(&store, 1, &[Place::new(inbox); Accept::MOST_PLACES]).await.unwrap();
    let result = put(&store, 1, &[Place::new(inbox); Accept::MOST_PLACES + 1]).await;
    assert!(matches!(result, Err(Error::TooMany { .. })));
    assert!(matches!(put(&store, 1, &[]).await, Err(Error::Refused(_))));
    store.close().await;
}

#[tokio::test]
async fn the_oldest_account_of_a_domain_is_found_and_changes_are_numbered() {
    let place = Folder::new();
    let store = place.open();
    assert_eq!(store.first_account("example.org").await.unwrap(), None);
    let before = store.account_changes();
    let zoe = make(&store, "zoe@Example.org").await;
    assert!(store.account_changes() > before);
    make(&store, "ada@example.org").await;
    let other = make(&store, "ada@sub.example.org").await;
    let first = async |domain: &str| store.first_account(domain).await.unwrap().map(|account| account.id);
    assert_eq!(first("example.org").await, Some(zoe));
    assert_eq!(first("sub.example.org").await, Some(other));
    assert_eq!(first("xample.org").await, None);
    let before = store.account_changes();
    store.delete_account(zoe).await.unwrap();
    assert!(store.account_changes() > before);
    assert_ne!(first("example.org").await, Some(zoe));
}
