//! The search index: what it finds, what becomes of it when its file is lost, and what a deletion leaves.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::fs;
use std::os::unix::fs::FileExt;

use sportello_store::{
    Error, Extract, Extractor, Found, MailboxId, MessageId, Preview, Query, Seen, Selection, Settings, Start, Store,
    Window,
};
use support::{Place, accept_of, deliver, write};

/// Nothing found.
const NONE: [u64; 0] = [];

/// Reads "text" or "text|attachment|…"; a text of "panic" panics.
fn extractor() -> Extractor {
    Extractor::new(|message| {
        let message = String::from_utf8_lossy(message);
        let mut parts = message.split('|').map(str::to_owned);
        let text = parts.next().unwrap_or_default();
        assert_ne!(text, "panic");
        Extract { cc: "Carla <carla@example.org>".to_owned(), text, attachments: parts.collect() }
    })
}

fn settings(place: &Place) -> Settings {
    Settings { extractor: extractor(), ..place.settings() }
}

fn open(place: &Place) -> Store {
    Store::open(settings(place)).unwrap()
}

async fn search(store: &Store, query: &str) -> Found {
    let window = Window { start: Start::Newest, limit: Window::MOST };
    store.search(MailboxId::INBOX, Query::parse(query).unwrap(), window).await.unwrap()
}

/// The numbers of what is found, oldest first.
async fn found(store: &Store, query: &str) -> Vec<u64> {
    let mut found: Vec<_> = search(store, query).await.page.rows.iter().map(|row| row.id.number()).collect();
    found.reverse();
    found
}

async fn three(store: &Store) -> [MessageId; 3] {
    let one = deliver(store, "Lieber Bär, 東京都に行く".as_bytes(), "first").await.unwrap();
    let two = deliver(store, b"the quick brown fox\r\n\tjumps|report final.pdf|logo.png", "second").await.unwrap();
    let large = format!("{} needle {}", "hay ".repeat(20_000), "hay ".repeat(20_000));
    let three = deliver(store, large.as_bytes(), "third").await.unwrap();
    store.indexed().await.unwrap();
    [one, two, three]
}

#[tokio::test]
async fn messages_are_found_by_their_text() {
    let place = Place::new();
    let store = open(&place);
    three(&store).await;
    assert_eq!(store.figures().indexed, 3);
    for (query, expect) in [
        ("bar", &[1][..]),
        ("京都", &[1]),
        ("body:京都 subject:first", &[1]),
        ("quick", &[2]),
        ("\"quick brown\"", &[2]),
        ("\"brown quick\"", &[]),
        ("fox -jumps", &[]),
        ("-fox", &[1, 3]),
        ("subject:fox", &[]),
        ("cc:carla", &[1, 2, 3]),
        ("addressed:carla", &[1, 2, 3]),
        ("report", &[2]),
        ("has:attachment", &[2]),
        ("-has:attachments", &[1, 3]),
        ("needle", &[3]),
        ("hay larger:1000", &[3]),
        ("is:unread -hay -fox", &[1]),
    ] {
        assert_eq!(found(&store, query).await, expect, "{query}");
    }
    assert_eq!(search(&store, "first").await.pending, 0);
    store.close().await;
}

#[tokio::test]
async fn rows_show_what_the_index_knows() {
    let place = Place::new();
    let store = open(&place);
    let [_, two, three] = three(&store).await;
    let preview = Some(Preview { snippet: "the quick brown fox jumps".to_owned(), attachments: 2 });
    assert_eq!(store.message(two).await.unwrap().unwrap().preview, preview);
    assert_eq!(search(&store, "fox").await.page.rows[0].preview, preview);
    let page = store.page(MailboxId::INBOX, Window { start: Start::At(1), limit: 1 }).await.unwrap();
    assert_eq!(page.rows[0].preview, preview);
    let long = store.message(three).await.unwrap().unwrap().preview.unwrap().snippet;
    assert_eq!((long.chars().count(), long.starts_with("hay hay")), (Preview::LONGEST, true));
    let exact = deliver(&store, "é".repeat(Preview::LONGEST).as_bytes(), "exact").await.unwrap();
    let over = deliver(&store, "é".repeat(Preview::LONGEST + 1).as_bytes(), "over").await.unwrap();
    store.indexed().await.unwrap();
    for id in [exact, over] {
        let preview = store.message(id).await.unwrap().unwrap().preview.unwrap();
        assert_eq!(preview.snippet.chars().count(), Preview::LONGEST);
    }
    store.close().await;
}

#[tokio::test]
async fn text_is_indexed_up_to_its_bound_and_not_beyond() {
    let place = Place::new();
    let store = open(&place);
    let filling = "x".repeat(Extract::MOST_TEXT - 7);
    deliver(&store, format!("{filling} needle").as_bytes(), "fits").await.unwrap();
    deliver(&store, format!("{filling}x needle").as_bytes(), "does not").await.unwrap();
    store.indexed().await.unwrap();
    assert_eq!(found(&store, "\"needle\"").await, [1]);
    assert_eq!(found(&store, "\"needl\"").await, [2], "cut in the middle of a word");
    store.close().await;
}

#[tokio::test]
async fn a_panic_over_one_message_costs_the_text_of_that_one() {
    let place = Place::new();
    let store = open(&place);
    deliver(&store, b"panic", "first").await.unwrap();
    deliver(&store, b"calm", "second").await.unwrap();
    store.indexed().await.unwrap();
    assert_eq!(found(&store, "panic").await, NONE);
    assert_eq!(found(&store, "subject:first").await, [1]);
    assert_eq!(found(&store, "calm").await, [2]);
    store.close().await;
}

#[tokio::test]
async fn the_next_run_goes_on_where_the_last_one_ended() {
    let place = Place::new();
    let store = open(&place);
    three(&store).await;
    store.close().await;
    let store = open(&place);
    deliver(&store, b"later fox", "fourth").await.unwrap();
    store.indexed().await.unwrap();
    assert_eq!(store.figures().indexed, 1);
    assert_eq!(found(&store, "fox").await, [2, 4]);
    store.close().await;
}

#[tokio::test]
async fn a_lost_damaged_or_older_file_is_made_anew() {
    let place = Place::new();
    let store = open(&place);
    three(&store).await;
    store.close().await;
    let file = place.state().join("search.db");
    let whole = fs::read(&file).unwrap();
    let sql = |sql: &str| rusqlite::Connection::open(&file).unwrap().execute_batch(sql).unwrap();
    let damages: [(&str, &dyn Fn()); 6] = [
        ("lost", &|| fs::remove_file(&file).unwrap()),
        ("no database", &|| fs::write(&file, "not a database, but long enough to look like one".repeat(99)).unwrap()),
        ("empty", &|| fs::write(&file, "").unwrap()),
        ("older", &|| sql("PRAGMA user_version = 0")),
        ("of another store", &|| sql("UPDATE mark SET uid_validity = uid_validity + 1")),
        ("ahead", &|| sql("UPDATE mark SET uid = 4")),
    ];
    for (name, damage) in damages {
        damage();
        let store = open(&place);
        store.indexed().await.unwrap();
        assert_eq!(found(&store, "fox").await, [2], "{name}");
        assert_eq!(store.figures().indexed, 3, "{name}");
        assert_eq!(store.figures().failed, None);
        store.close().await;
        fs::write(&file, &whole).unwrap();
    }
}

/// Overwrites the words in the open file, but not its first page with the schema and the version.
fn damage(place: &Place) {
    let file = place.state().join("search.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).unwrap();
    let length = fs::metadata(&file).unwrap().len() as usize;
    let open = fs::OpenOptions::new().write(true).open(&file).unwrap();
    open.write_all_at(&vec![0x5a; length - 4096], 4096).unwrap();
    // Closed only now: closing one of them lets go of the locks of all.
    drop((connection, open));
}

async fn indexed(store: &Store) {
    while store.indexed().await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn damage_that_a_search_meets_is_mended_and_the_search_goes_well() {
    let place = Place::new();
    let store = open(&place);
    three(&store).await;
    store.close().await;
    for round in 0..2 {
        let store = open(&place);
        store.indexed().await.unwrap();
        damage(&place);
        // This search meets it, and finds rows all the same.
        assert_eq!(found(&store, "subject:second").await, [2]);
        indexed(&store).await;
        assert_eq!(found(&store, "fox").await, [2], "round {round}: by the text again, without a restart");
        store.close().await;
    }
}

#[tokio::test]
async fn a_deletion_by_text_is_refused_when_the_index_turns_out_to_be_damaged() {
    let place = Place::new();
    let store = open(&place);
    for number in 0..20 {
        let text: &[u8] = if number % 2 == 0 { b"keepme please" } else { b"not needed" };
        deliver(&store, text, "s").await.unwrap();
    }
    store.indexed().await.unwrap();
    let others = || Selection::Found(MailboxId::INBOX, Query::parse("-body:keepme").unwrap());
    damage(&place);
    let marked = store.set_seen_all(others(), Seen::Yes).await;
    assert!(matches!(marked, Err(Error::Busy)), "{marked:?}");
    assert_eq!(search(&store, "is:unread").await.page.messages, 20);
    indexed(&store).await;
    damage(&place);
    let deleted = store.delete_all(others()).await;
    assert!(matches!(deleted, Err(Error::Busy)), "{deleted:?}");
    assert_eq!(store.figures().messages, 20);
    indexed(&store).await;
    assert_eq!(store.delete_all(others()).await.unwrap(), 10);
    assert_eq!(search(&store, "keepme").await.page.messages, 10);
    store.close().await;
}

/// Whether the word is anywhere in the files of the index.
fn is_in_files(place: &Place, word: &str) -> bool {
    let names = place.names("").into_iter().filter(|name| name.starts_with("search.db") && !name.ends_with("-shm"));
    let mut files = names.map(|name| fs::read(place.state().join(name)).unwrap());
    files.any(|bytes| bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes())))
}

#[tokio::test]
async fn a_deletion_leaves_no_word_in_the_files() {
    let place = Place::new();
    let store = open(&place);
    let secret = deliver(&store, b"The zwiebelturm is secret|xylophon.pdf", "quokka").await.unwrap();
    for number in 0..50 {
        deliver(&store, format!("usual text {number}").as_bytes(), "usual").await.unwrap();
    }
    store.indexed().await.unwrap();
    assert!(is_in_files(&place, "zwiebelturm") && is_in_files(&place, "xylophon") && is_in_files(&place, "quokka"));
    assert_eq!(store.delete(&[secret]).await.unwrap(), 1);
    store.indexed().await.unwrap();
    for word in ["zwiebelturm", "xylophon", "quokka"] {
        assert!(!is_in_files(&place, word), "{word}");
    }
    assert_eq!(found(&store, "zwiebelturm").await, NONE);
    assert_eq!(found(&store, "\"usual text\"").await.len(), 50);
    store.close().await;
}

#[tokio::test]
async fn what_was_deleted_when_a_run_broke_off_is_taken_out_by_the_next() {
    let place = Place::new();
    let store = open(&place);
    let [one, ..] = three(&store).await;
    store.close().await;
    // As if the run had ended between the deletion of the message and that of its words.
    let sql = |name: &str, sql: &str| {
        rusqlite::Connection::open(place.state().join(name)).unwrap().execute_batch(sql).unwrap();
    };
    sql("store.db", &format!("DELETE FROM entry WHERE message = {one}; DELETE FROM message WHERE id = {one}"));
    sql("search.db", "UPDATE state SET value = 0");
    let store = open(&place);
    store.indexed().await.unwrap();
    assert!(!is_in_files(&place, "lieber"));
    assert_eq!(store.figures().indexed, 0, "nothing is made anew");
    assert_eq!(found(&store, "hay").await, [3]);
    store.close().await;
}

#[tokio::test]
async fn what_a_closing_store_leaves_in_is_taken_out_by_the_next_run() {
    let place = Place::new();
    let store = open(&place);
    for number in 0..350 {
        let text: &[u8] = if number < 300 { b"zwiebelturm" } else { b"stays" };
        deliver(&store, text, "s").await.unwrap();
    }
    store.indexed().await.unwrap();
    let selection = Selection::Found(MailboxId::INBOX, Query::parse("zwiebelturm").unwrap());
    assert_eq!(store.delete_all(selection).await.unwrap(), 300);
    store.close().await;
    let store = open(&place);
    store.indexed().await.unwrap();
    assert!(!is_in_files(&place, "zwiebelturm"));
    assert_eq!((search(&store, "stays").await.page.messages, store.figures().indexed), (50, 0));
    store.close().await;
}

#[tokio::test]
async fn an_open_store_has_noted_in_the_index_that_it_has_not_ended() {
    let place = Place::new();
    let store = open(&place);
    three(&store).await;
    let clean = || {
        let connection = rusqlite::Connection::open(place.state().join("search.db")).unwrap();
        connection.query_row("SELECT value FROM state WHERE name = 'clean'", (), |row| row.get::<_, bool>(0)).unwrap()
    };
    assert!(!clean(), "from the making of the file");
    store.close().await;
    assert!(clean());
    let store = open(&place);
    // At once, before the indexer does anything.
    assert!(!clean());
    store.indexed().await.unwrap();
    store.close().await;
    assert!(clean());
}

#[tokio::test]
async fn an_index_of_which_most_is_deleted_is_made_anew() {
    let place = Place::new();
    let store = open(&place);
    for number in 0..2100 {
        let body = write(&store, if number < 10 { b"stays" } else { b"zwiebelturm" }).await.unwrap();
        store.accept(accept_of(body, "s")).await.unwrap();
    }
    store.indexed().await.unwrap();
    store.close().await;
    // As if the run had broken off after the deletions.
    let sql = |name: &str, sql: &str| {
        rusqlite::Connection::open(place.state().join(name)).unwrap().execute_batch(sql).unwrap();
    };
    sql(
        "store.db",
        "DELETE FROM entry WHERE uid > 10; DELETE FROM message WHERE id > 10; UPDATE mailbox SET messages = 10",
    );
    sql("search.db", "UPDATE state SET value = 0");
    let store = open(&place);
    store.indexed().await.unwrap();
    assert!(!is_in_files(&place, "zwiebelturm"));
    assert_eq!((found(&store, "stays").await.len(), store.figures().indexed), (10, 10));
    store.close().await;
}

#[tokio::test]
async fn selections_by_text_wait_for_the_index() {
    let place = Place::new();
    let store = open(&place);
    for number in 0..300 {
        let text: &[u8] = if number % 3 == 0 { b"throw this away" } else { b"keep that" };
        deliver(&store, text, "s").await.unwrap();
    }
    let selection = |query: &str| Selection::Found(MailboxId::INBOX, Query::parse(query).unwrap());
    assert_eq!(store.set_seen_all(selection("throw"), Seen::Yes).await.unwrap(), 100);
    assert_eq!(store.delete_all(selection("-keep")).await.unwrap(), 100);
    store.indexed().await.unwrap();
    assert_eq!((search(&store, "throw").await.page.messages, search(&store, "keep").await.page.messages), (0, 200));
    store.close().await;
}

#[tokio::test]
async fn without_an_index_the_latest_messages_are_searched_up_to_the_bound() {
    let place = Place::new();
    // A folder that the indexer cannot make a file in the place of.
    fs::create_dir_all(place.state().join("search.db")).unwrap();
    let store = open(&place);
    for number in 0..=Found::LATEST {
        let subject = if number < 2 { "old" } else { "new" };
        let body = write(&store, b"text").await.unwrap();
        store.accept(accept_of(body, subject)).await.unwrap();
    }
    let result = search(&store, "old").await;
    assert_eq!((result.page.messages, result.pending), (1, Found::LATEST as u64 + 1));
    assert_eq!(found(&store, "text").await, NONE);
    assert_eq!(search(&store, "is:unread").await.page.messages, Found::LATEST as u64 + 1, "rows alone know this");
    assert!(matches!(store.indexed().await, Err(Error::Busy)));
    assert!(store.figures().index_waits.is_some());
    let selection = Selection::Found(MailboxId::INBOX, Query::parse("old").unwrap());
    assert!(matches!(store.delete_all(selection).await, Err(Error::Busy)));
    assert_eq!(store.figures().failed, None);
    store.close().await;
}
