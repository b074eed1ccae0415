//! Opening: the lock, the modes, the sweep, and databases that are not to be touched.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sportello_store::{Error, MailboxId, NewAccount, OpenError, Seen, Settings, Store, Tag, Verdict};
use support::{Place, bytes, deliver, list, read};

const KIB: usize = 1 << 10;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_second_store_is_refused_and_told_who_has_the_first() {
    let place = Place::new();
    let store = place.open();
    match Store::open(place.settings()) {
        Err(OpenError::InUse { folder, pid }) => {
            assert_eq!(pid, std::process::id().to_string());
            assert_eq!(folder, place.state().canonicalize().unwrap());
        }
        other => panic!("{other:?}"),
    }
    deliver(&store, b"x", "the first is unharmed").await.unwrap();
    store.close().await;
    place.open().close().await;
}

#[tokio::test]
async fn nobody_else_may_look_in() {
    let place = Place::new();
    fs::create_dir(place.state()).unwrap();
    fs::set_permissions(place.state(), fs::Permissions::from_mode(0o755)).unwrap();
    let store = place.open();
    deliver(&store, &bytes(140 * KIB, 1), "s").await.unwrap();
    for folder in ["", "spool", "blobs"] {
        assert_eq!(mode(&place.state().join(folder)), 0o700, "{folder}");
    }
    for file in ["lock", "store.db", "store.db-wal", "store.db-shm", "blobs/1"] {
        assert_eq!(mode(&place.state().join(file)), 0o600, "{file}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_folder_of_somebody_elses_files_keeps_its_mode() {
    let place = Place::new();
    fs::create_dir(place.state()).unwrap();
    fs::write(place.state().join("letter.txt"), "mine").unwrap();
    fs::set_permissions(place.state(), fs::Permissions::from_mode(0o755)).unwrap();
    place.open().close().await;
    assert_eq!(mode(&place.state()), 0o755);
    assert_eq!(mode(&place.state().join("blobs")), 0o700);
}

#[tokio::test]
async fn missing_folders_above_are_made() {
    let place = Place::new();
    let folder = place.outer().join("a/b/state");
    let store = Store::open(Settings::new(&folder)).unwrap();
    store.close().await;
    assert_eq!(mode(&place.outer().join("a")), 0o700);
}

#[tokio::test]
async fn what_a_crash_left_is_swept_and_what_is_not_ours_stays() {
    let place = Place::new();
    let store = place.open();
    let kept = deliver(&store, &bytes(140 * KIB, 1), "kept").await.unwrap();
    let lost = deliver(&store, &bytes(140 * KIB, 2), "lost").await.unwrap();
    let bent = deliver(&store, &bytes(140 * KIB, 3), "bent").await.unwrap();
    let small = deliver(&store, b"small", "small").await.unwrap();
    store.close().await;
    let blobs = place.state().join("blobs");
    fs::write(place.state().join("spool/17"), "stale").unwrap();
    fs::write(blobs.join("4711"), "a body without a row").unwrap();
    fs::write(blobs.join(small.to_string()), "its body is a row").unwrap();
    fs::write(blobs.join("README"), "not ours").unwrap();
    fs::remove_file(blobs.join(lost.to_string())).unwrap();
    fs::write(blobs.join(bent.to_string()), "something else").unwrap();

    let store = place.open();
    assert_eq!(place.names("spool"), Vec::<String>::new());
    assert_eq!(place.names("blobs"), [kept.to_string(), bent.to_string(), "README".to_owned()]);
    assert!(read(&store, kept).await == bytes(140 * KIB, 1));
    assert_eq!(list(&store, None, 10).await.len(), 4, "a row without its body is kept");
    assert!(matches!(store.body(lost).await, Err(Error::Damaged(_))));
    assert_eq!(store.verify(kept).await.unwrap(), Some(Verdict::Whole));
    assert_eq!(store.verify(lost).await.unwrap(), Some(Verdict::Missing));
    assert_eq!(store.verify(bent).await.unwrap(), Some(Verdict::Damaged));
    store.close().await;
}

#[tokio::test]
async fn a_fresh_database_is_not_put_before_old_bodies() {
    let place = Place::new();
    let store = place.open();
    deliver(&store, &bytes(140 * KIB, 1), "s").await.unwrap();
    store.close().await;
    let database = place.state().join("store.db");
    let aside = place.outer().join("aside.db");
    fs::rename(&database, &aside).unwrap();
    assert!(matches!(Store::open(place.settings()), Err(OpenError::Lost { .. })));
    assert_eq!(place.names("blobs"), ["1"]);
    fs::rename(&aside, &database).unwrap();
    let store = place.open();
    assert_eq!(list(&store, None, 10).await.len(), 1);
    store.close().await;
}

#[tokio::test]
async fn a_newer_or_foreign_database_is_refused_untouched() {
    for (sql, newer) in [("PRAGMA user_version = 99", true), ("PRAGMA application_id = 7", false)] {
        let place = Place::new();
        place.open().close().await;
        let database = place.state().join("store.db");
        rusqlite::Connection::open(&database).unwrap().execute_batch(sql).unwrap();
        let before = fs::read(&database).unwrap();
        match Store::open(place.settings()) {
            Err(why @ OpenError::Newer { found: 99, known: known @ 5..99, .. }) if newer => {
                let expect = format!("has schema 99 and this program knows {known}");
                assert!(why.to_string().contains(&expect), "{why}");
            }
            Err(OpenError::Foreign { .. }) if !newer => {}
            other => panic!("{sql}: {other:?}"),
        }
        assert!(fs::read(&database).unwrap() == before, "{sql}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_untouched() {
    let place = Place::new();
    fs::create_dir(place.state()).unwrap();
    fs::write(place.state().join("store.db"), "something quite different, and long enough".repeat(100)).unwrap();
    assert!(matches!(Store::open(place.settings()), Err(OpenError::Database { .. })));
    assert!(fs::read_to_string(place.state().join("store.db")).unwrap().starts_with("something"));
}

#[tokio::test]
async fn ids_go_on_after_a_clean_close() {
    let place = Place::new();
    let store = place.open();
    let first = deliver(&store, b"x", "s").await.unwrap();
    let begun_only = store.begin(None).unwrap().id();
    store.close().await;
    let store = place.open();
    let second = deliver(&store, b"x", "s").await.unwrap();
    assert_eq!((first.number(), begun_only.number(), second.number()), (1, 2, 3));
    store.close().await;
}

#[tokio::test]
async fn a_store_that_is_only_dropped_lets_go_as_well() {
    let place = Place::new();
    let store = place.open();
    let id = deliver(&store, b"x", "s").await.unwrap();
    let changes = store.changes();
    drop(store);
    // The writer's end of this channel goes when the writer ends; the lock goes with the last thread, a moment later.
    let mut changes = changes;
    while changes.changed().await.is_ok() {}
    let store = loop {
        match Store::open(place.settings()) {
            Ok(store) => break store,
            Err(OpenError::InUse { .. }) => std::thread::yield_now(),
            Err(other) => panic!("{other}"),
        }
    };
    assert!(store.message(id).await.unwrap().is_some());
    store.close().await;
}

#[tokio::test]
async fn a_database_that_is_a_link_is_refused() {
    for name in ["store.db", "store.db-wal"] {
        let place = Place::new();
        place.open().close().await;
        let _ = fs::remove_file(place.state().join(name));
        let elsewhere = place.state().join("elsewhere");
        fs::write(&elsewhere, "").unwrap();
        std::os::unix::fs::symlink(&elsewhere, place.state().join(name)).unwrap();
        match Store::open(place.settings()) {
            Err(OpenError::Io { path, source, .. }) => {
                assert!(path.ends_with(name) && source.to_string().contains("a link"), "{path:?} {source}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(fs::read(&elsewhere).unwrap(), b"");
    }
}

#[tokio::test]
async fn a_store_of_schema_3_keeps_all_its_mail_when_it_is_migrated() {
    let (new, old) = (Place::new(), Place::new());
    let store = new.open();
    let small = deliver(&store, b"small", "one").await.unwrap();
    let large = deliver(&store, &bytes(200_000, 1), "two").await.unwrap();
    let deleted = deliver(&store, b"x", "three").await.unwrap();
    store.set_seen(small, Seen::Yes).await.unwrap();
    store.set_tags(&[large], &[Tag::parse("kept").unwrap()]).await.unwrap();
    store.delete(&[deleted]).await.unwrap();
    store.keep_secret("dkim/key", b"secret".to_vec()).await.unwrap();
    store.indexed().await.unwrap();
    let (rows, inbox) = (list(&store, None, 10).await, store.mailboxes().await.unwrap().remove(0));
    store.close().await;

    // The same rows in the tables of schema 3.
    fs::create_dir(old.state()).unwrap();
    fs::set_permissions(old.state(), fs::Permissions::from_mode(0o700)).unwrap();
    let database = rusqlite::Connection::open(old.state().join("store.db")).unwrap();
    for step in [
        include_str!("../src/migrate/0001_first.sql"),
        include_str!("../src/migrate/0002_tags.sql"),
        include_str!("../src/migrate/0003_secrets.sql"),
    ] {
        database.execute_batch(step).unwrap();
    }
    database.execute("ATTACH ?1 AS new", [new.state().join("store.db").to_str().unwrap()]).unwrap();
    database
        .execute_batch(
            "DELETE FROM counter; INSERT INTO counter SELECT * FROM new.counter WHERE name = 'message';
             DELETE FROM mailbox; INSERT INTO mailbox
                 SELECT id, name, uid_validity, uid_next, modseq, messages, unseen, bytes FROM new.mailbox;
             INSERT INTO message SELECT * FROM new.message; INSERT INTO body SELECT * FROM new.body;
             INSERT INTO entry SELECT * FROM new.entry; INSERT INTO tag SELECT * FROM new.tag;
             INSERT INTO message_tag SELECT * FROM new.message_tag; INSERT INTO secret SELECT * FROM new.secret;
             PRAGMA application_id = 1397773388; PRAGMA user_version = 3;",
        )
        .unwrap();
    drop(database);
    fs::create_dir(old.state().join("blobs")).unwrap();
    let body = format!("blobs/{large}");
    fs::copy(new.state().join(&body), old.state().join(&body)).unwrap();

    let store = old.open();
    store.indexed().await.unwrap();
    assert_eq!(list(&store, None, 10).await, rows);
    assert_eq!(store.mailboxes().await.unwrap(), [inbox]);
    for id in [small, large] {
        assert_eq!(store.verify(id).await.unwrap(), Some(Verdict::Whole));
    }
    assert_eq!((store.figures().messages, store.figures().bytes), (2, 200_005));
    assert_eq!(store.secret("dkim/key").await.unwrap().unwrap(), b"secret");
    assert!(deliver(&store, b"next", "four").await.unwrap() > deleted);
    let new = NewAccount { address: "ada@example.org".to_owned(), ..NewAccount::default() };
    let account = store.create_account(new).await.unwrap();
    let mailboxes = store.mailboxes_of(account).await.unwrap();
    assert!(mailboxes.iter().all(|mailbox| mailbox.id != MailboxId::INBOX && mailbox.messages == 0));
    store.close().await;
    let names = fs::read_dir(old.state()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().any(|name| name.starts_with("store.db.before-")), "what was is kept beside it");
}
