//! Conformance, continued: pages by position, and what is done to many messages at once. Against the contract alone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use sportello_store::{
    Error, ListPage, MailboxId, MessageId, ModSeq, Page, Seen, Selection, Start, Store, Tag, Uid, Window,
};
use support::{Place, bytes, deliver};

async fn filled(place: &Place, messages: usize) -> (Store, Vec<MessageId>) {
    let store = place.open();
    let mut ids = Vec::new();
    for number in 0..messages {
        // Every tenth is a file.
        let length = if number % 10 == 9 { 140_000 } else { 10 };
        ids.push(deliver(&store, &bytes(length, number as u64), &number.to_string()).await.unwrap());
    }
    (store, ids)
}

async fn page(store: &Store, start: Start, limit: usize) -> Page {
    store.page(MailboxId::INBOX, Window { start, limit }).await.unwrap()
}

fn uids(page: &Page) -> Vec<u32> {
    page.rows.iter().map(|row| row.uid.0).collect()
}

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| Tag::parse(name).unwrap()).collect()
}

async fn counted(store: &Store) -> Vec<(String, u64)> {
    store.tags().await.unwrap().into_iter().map(|count| (count.tag.to_string(), count.messages)).collect()
}

async fn names_of(store: &Store, id: MessageId) -> Vec<String> {
    store.message(id).await.unwrap().unwrap().tags.iter().map(Tag::to_string).collect()
}

#[tokio::test]
async fn pages_by_position_are_those_by_uid_and_say_the_sums() {
    let place = Place::new();
    let (store, ids) = filled(&place, 12).await;
    store.set_seen(ids[0], Seen::Yes).await.unwrap();
    store.delete(&ids[5..7]).await.unwrap();
    // From then on a row shows the same whenever it is read.
    store.indexed().await.unwrap();
    let all = page(&store, Start::Newest, 200).await;
    assert_eq!(uids(&all), [12, 11, 10, 9, 8, 5, 4, 3, 2, 1]);
    assert_eq!((all.messages, all.unread), (10, 9));
    for (start, limit, expect) in [
        (Start::At(0), 3, &[12, 11, 10][..]),
        (Start::At(3), 3, &[9, 8, 5]),
        (Start::At(9), 3, &[1]),
        (Start::At(10), 3, &[]),
        (Start::At(u64::MAX), 3, &[]),
        (Start::At(0), 0, &[]),
        (Start::Before(Uid(8)), 2, &[5, 4]),
        (Start::Before(Uid(7)), 1, &[5]),
        (Start::Before(Uid(1)), 3, &[]),
    ] {
        let page = page(&store, start, limit).await;
        assert_eq!((uids(&page).as_slice(), page.messages, page.unread), (expect, 10, 9), "{start:?} {limit}");
        assert!(page.rows.iter().all(|row| all.rows.contains(row)), "the same rows");
    }
    store.close().await;
}

#[tokio::test]
async fn a_page_has_a_bound() {
    let place = Place::new();
    let (store, _) = filled(&place, Window::MOST + 1).await;
    for limit in [Window::MOST, Window::MOST + 1, usize::MAX] {
        for start in [Start::Newest, Start::At(0), Start::Before(Uid(u32::MAX))] {
            assert_eq!(page(&store, start, limit).await.rows.len(), Window::MOST, "{start:?} {limit}");
        }
    }
    assert_eq!(Window::MOST, ListPage::MOST);
    store.close().await;
}

#[tokio::test]
async fn many_are_marked_and_each_change_has_its_number() {
    let place = Place::new();
    let (store, ids) = filled(&place, 2 * Store::STEP + 3).await;
    let total = ids.len() as u64;
    let inbox = async || store.mailboxes().await.unwrap().remove(0);
    let first = inbox().await.highest_modseq.0;
    let some = Selection::These(vec![ids[1], ids[2], ids[2], "4711".parse().unwrap()]);
    assert_eq!(store.set_seen_all(some, Seen::Yes).await.unwrap(), 3, "twice named, twice found");
    assert_eq!((inbox().await.unseen, inbox().await.highest_modseq), (total - 2, ModSeq(first + 2)));
    assert_eq!(store.set_seen_all(Selection::Mailbox(MailboxId::INBOX), Seen::Yes).await.unwrap(), total);
    assert_eq!((inbox().await.unseen, inbox().await.highest_modseq), (0, ModSeq(first + total)));
    assert_eq!(store.set_seen_all(Selection::Mailbox(MailboxId::INBOX), Seen::No).await.unwrap(), total);
    assert_eq!(inbox().await.unseen, total);
    store.close().await;
}

#[tokio::test]
async fn all_are_deleted_in_steps_with_their_bodies_and_numbers_go_on() {
    let place = Place::new();
    let (store, ids) = filled(&place, 2 * Store::STEP + 3).await;
    assert!(!place.names("blobs").is_empty());
    store.set_tags(&ids[..100], &tags(&["gone"])).await.unwrap();
    let commits = store.figures().commits;
    assert_eq!(store.delete_all(Selection::Mailbox(MailboxId::INBOX)).await.unwrap(), ids.len() as u64);
    assert_eq!(store.figures().commits - commits, 3);
    assert_eq!(page(&store, Start::Newest, 10).await, Page::default());
    assert_eq!(counted(&store).await, []);
    assert_eq!((store.figures().messages, store.figures().bytes), (0, 0));
    assert_eq!(store.delete_all(Selection::Mailbox(MailboxId::INBOX)).await.unwrap(), 0);
    let next = deliver(&store, b"x", "s").await.unwrap();
    assert_eq!(store.message(next).await.unwrap().unwrap().uid, Uid(ids.len() as u32 + 1));
    store.close().await;
    assert_eq!(place.names("blobs"), Vec::<String>::new());
}

#[tokio::test]
async fn messages_are_named_up_to_the_bound_and_not_beyond() {
    let place = Place::new();
    let store = place.open();
    let ids: Vec<MessageId> =
        (1..=Selection::MOST_NAMED + 1).map(|number| number.to_string().parse().unwrap()).collect();
    let most = Selection::These(ids[1..].to_vec());
    assert_eq!(store.delete_all(most.clone()).await.unwrap(), 0);
    assert_eq!(store.set_seen_all(most, Seen::Yes).await.unwrap(), 0);
    let over = Selection::These(ids);
    assert!(matches!(store.delete_all(over.clone()).await, Err(Error::TooMany { most: Selection::MOST_NAMED, .. })));
    assert!(matches!(store.set_seen_all(over, Seen::No).await, Err(Error::TooMany { .. })));
    store.close().await;
}

#[tokio::test]
async fn tags_are_set_counted_and_forgotten_with_the_last_message() {
    let place = Place::new();
    let (store, ids) = filled(&place, 4).await;
    assert_eq!(store.set_tags(&ids[..2], &tags(&["red", "Blue", "RED"])).await.unwrap(), 2);
    assert_eq!(names_of(&store, ids[0]).await, ["Blue", "red"], "case makes no other tag");
    assert_eq!(store.set_tags(&[ids[1], ids[2], "99".parse().unwrap()], &tags(&["blue"])).await.unwrap(), 2);
    assert_eq!(names_of(&store, ids[1]).await, ["Blue"], "exactly these");
    assert_eq!(counted(&store).await, [("Blue".to_owned(), 3), ("red".to_owned(), 1)]);
    assert_eq!(store.set_tags(&["99".parse().unwrap()], &tags(&["never"])).await.unwrap(), 0);
    store.delete(&ids[..1]).await.unwrap();
    assert_eq!(counted(&store).await, [("Blue".to_owned(), 2)]);
    store.set_tags(&ids, &[]).await.unwrap();
    assert_eq!(counted(&store).await, []);
    store.close().await;
}

#[tokio::test]
async fn a_change_of_tags_moves_the_modseq_and_nothing_else_does() {
    let place = Place::new();
    let (store, ids) = filled(&place, 1).await;
    let modseq = async || store.message(ids[0]).await.unwrap().unwrap().modseq.0;
    let first = modseq().await;
    store.set_tags(&ids, &tags(&["a", "b"])).await.unwrap();
    assert_eq!(modseq().await, first + 1);
    store.set_tags(&ids, &tags(&["B", "A"])).await.unwrap();
    assert_eq!(modseq().await, first + 1, "the same tags");
    assert!(store.rename_tag(&tags(&["a"])[0], &tags(&["c"])[0]).await.unwrap());
    assert_eq!((modseq().await, names_of(&store, ids[0]).await), (first + 2, vec!["b".to_owned(), "c".to_owned()]));
    assert!(store.delete_tag(&tags(&["b"])[0]).await.unwrap());
    assert_eq!((modseq().await, names_of(&store, ids[0]).await), (first + 3, vec!["c".to_owned()]));
    let mailbox = store.mailboxes().await.unwrap().remove(0);
    assert_eq!(mailbox.highest_modseq, ModSeq(first + 3));
    store.close().await;
}

#[tokio::test]
async fn a_tag_is_renamed_joined_respelled_and_deleted_on_any_number_of_messages() {
    let place = Place::new();
    let (store, ids) = filled(&place, Store::STEP + 1).await;
    let [old, new, respelled] = [&tags(&["old"])[0], &tags(&["new"])[0], &tags(&["NEW"])[0]];
    store.set_tags(&ids, std::slice::from_ref(old)).await.unwrap();
    store.set_tags(&ids[..1], &[old.clone(), new.clone()]).await.unwrap();
    assert!(store.rename_tag(old, new).await.unwrap());
    assert_eq!(counted(&store).await, [("new".to_owned(), ids.len() as u64)]);
    assert!(!store.rename_tag(old, new).await.unwrap());
    assert!(store.rename_tag(new, respelled).await.unwrap());
    assert_eq!(counted(&store).await, [("NEW".to_owned(), ids.len() as u64)]);
    assert!(store.delete_tag(new).await.unwrap());
    assert_eq!(counted(&store).await, []);
    assert!(!store.delete_tag(new).await.unwrap());
    store.close().await;
}

#[tokio::test]
async fn tags_have_bounds() {
    let place = Place::new();
    let (store, ids) = filled(&place, 40).await;
    let many: Vec<Tag> = (0..=Tag::MOST).map(|number| Tag::parse(&format!("tag {number}")).unwrap()).collect();
    assert_eq!(store.set_tags(&ids[..1], &many[..Tag::MOST_OF_A_MESSAGE]).await.unwrap(), 1);
    assert!(matches!(
        store.set_tags(&ids[..1], &many[..=Tag::MOST_OF_A_MESSAGE]).await,
        Err(Error::TooMany { most: Tag::MOST_OF_A_MESSAGE, .. })
    ));
    for (id, tags) in ids.iter().zip(many[..Tag::MOST].chunks(Tag::MOST_OF_A_MESSAGE)) {
        store.set_tags(&[*id], tags).await.unwrap();
    }
    assert_eq!(store.tags().await.unwrap().len(), Tag::MOST);
    let over = store.set_tags(&ids[39..], &many[Tag::MOST..]).await;
    assert!(matches!(over, Err(Error::TooMany { most: Tag::MOST, .. })), "{over:?}");
    assert_eq!(store.tags().await.unwrap().len(), Tag::MOST, "nothing of it is done");
    assert!(store.rename_tag(&many[0], &many[Tag::MOST]).await.unwrap(), "one for one");
    let too_many: Vec<_> = (1..=Store::MOST_DELETED + 1).map(|number| number.to_string().parse().unwrap()).collect();
    assert!(matches!(store.set_tags(&too_many, &[]).await, Err(Error::TooMany { .. })));
    assert!(store.set_tags(&too_many[1..], &[]).await.is_ok());
    store.close().await;
}
