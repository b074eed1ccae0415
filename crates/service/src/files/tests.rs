use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use super::*;
use crate::web::Body;

mod ways;

/// A folder of this test's own, removed at its end.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sportello-files-{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.0.join(name), content).unwrap();
    }

    /// As a worker serves it, with files beyond 100 bytes counted as large.
    fn files(&self) -> Files {
        let root = Arc::new(Root::open(&self.0).unwrap());
        Files::new(root, Settings { hot_file: 100, ..Settings::default() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const HTML: Taste = Taste { form: Form::Html, order: Order::PLAIN };

async fn find(files: &Files, raw: &str) -> Result<Found, Class> {
    files.find(raw.as_bytes(), None, HTML, Batch::begin()).await.map_err(|failure| failure.class)
}

async fn body(files: &Files, raw: &str) -> Vec<u8> {
    match files.hot(raw.as_bytes(), Order::PLAIN, Batch::begin()) {
        Some(file) => file.body().to_vec(),
        None => match find(files, raw).await {
            Ok(Found::Hot(file)) => file.body().to_vec(),
            _ => panic!("{raw}"),
        },
    }
}

fn kept(files: &Files, raw: &str) -> bool {
    files.hot(raw.as_bytes(), Order::PLAIN, Batch::begin()).is_some()
}

#[tokio::test]
async fn what_is_there_is_found() {
    let folder = Folder::new("found");
    fs::create_dir_all(folder.path().join("a b/c")).unwrap();
    fs::create_dir_all(folder.path().join(".well-known")).unwrap();
    folder.write("a b/index.html", "index");
    folder.write("x.txt", "small");
    folder.write(".well-known/y", "known");
    folder.write("100", &"x".repeat(100));
    folder.write("101", &"x".repeat(101));
    symlink("x.txt", folder.path().join("link")).unwrap();
    let files = folder.files();
    for (raw, expect) in [
        ("/x.txt", "small"),
        ("/%78.txt", "small"),
        ("/a%20b/../x.txt", "small"),
        ("/a%20b/", "index"),
        ("/a%20b/index.html", "index"),
        ("/.well-known/y", "known"),
        ("/link", "small"),
    ] {
        assert_eq!(body(&files, raw).await, expect.as_bytes(), "{raw}");
    }
    assert!(matches!(find(&files, "/100").await, Ok(Found::Hot(_))));
    assert!(
        matches!(find(&files, "/101").await, Ok(Found::Large(file)) if file.description.validators().length == 101)
    );
    assert!(matches!(find(&files, "/").await, Ok(Found::Answer(Answer { status: 200, .. }))));
    assert!(matches!(find(&files, "/a%20b/c/").await, Ok(Found::Answer(Answer { status: 200, .. }))));
    let Ok(Found::Answer(Answer { status: 301, fields, body: Body::Empty })) = find(&files, "/a%20b/c").await else {
        panic!("no redirection")
    };
    assert_eq!(fields.iter().collect::<Vec<_>>(), [("location", &b"/a%20b/c/"[..])]);
}

#[tokio::test]
async fn what_is_outside_hidden_or_no_file_is_not_found() {
    let folder = Folder::new("refused");
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::create_dir_all(root.join(".git")).unwrap();
    folder.write("secret", "secret");
    folder.write("root/.env", "secret");
    folder.write("root/.git/config", "secret");
    folder.write("root/file", "x");
    symlink("../secret", root.join("relative")).unwrap();
    symlink(folder.path().join("secret"), root.join("absolute")).unwrap();
    symlink("..", root.join("parent")).unwrap();
    symlink("/proc/self/fd", root.join("magic")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("fifo"), 0o600.into()).unwrap();
    let files = Files::new(Arc::new(Root::open(&root).unwrap()), Settings::default());
    for raw in [
        "/nothing",
        "/relative",
        "/absolute",
        "/parent/secret",
        "/parent/",
        "/sub/../parent/secret",
        "/magic/0",
        "/loop",
        "/fifo",
        "/.env",
        "/%2Eenv",
        "/.git/config",
        "/.git/",
        "/file/",
        "/file/x",
        "/sub/x",
    ] {
        assert_eq!(find(&files, raw).await.err(), Some(Class::NotFound), "{raw}");
    }
    for raw in ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "//../secret", "/a\\b", "/%00", "/%zz"] {
        assert_eq!(find(&files, raw).await.err(), Some(Class::BadRequest), "{raw}");
    }
    let long = format!("/{}", "x".repeat(300));
    assert_eq!(find(&files, &long).await.err(), Some(Class::NotFound));
}

#[tokio::test]
async fn every_finished_change_is_seen_at_once() {
    let folder = Folder::new("changes");
    let files = folder.files();
    folder.write("f", "first");
    assert_eq!(body(&files, "/f").await, b"first");
    assert!(kept(&files, "/f"));
    // The same size, in place, again and again: faster than the kernel's clock for files moves.
    for round in 0..50 {
        let content = format!("{round:05}");
        folder.write("f", &content);
        assert_eq!(body(&files, "/f").await, content.as_bytes());
    }
    // Another file of the same size and the same time, moved into its place.
    let stamp = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for content in ["one", "two", "six"] {
        folder.write("new", content);
        fs::File::options().write(true).open(folder.path().join("new")).unwrap().set_modified(stamp).unwrap();
        fs::rename(folder.path().join("new"), folder.path().join("f")).unwrap();
        assert_eq!(body(&files, "/f").await, content.as_bytes());
    }
    fs::remove_file(folder.path().join("f")).unwrap();
    assert!(!kept(&files, "/f"));
    assert_eq!(find(&files, "/f").await.err(), Some(Class::NotFound));
    fs::create_dir(folder.path().join("f")).unwrap();
    assert!(matches!(find(&files, "/f").await, Ok(Found::Answer(Answer { status: 301, .. }))));
}

#[tokio::test]
async fn one_batch_looks_once_and_a_later_one_again() {
    let folder = Folder::new("batch");
    folder.write("f", "first");
    let files = folder.files();
    body(&files, "/f").await;
    let batch = Batch::begin();
    assert_eq!(files.hot(b"/f", Order::PLAIN, batch).unwrap().body(), b"first");
    folder.write("f", "other");
    // Requests that came in one piece with the first may get what it got.
    assert_eq!(files.hot(b"/f", Order::PLAIN, batch).unwrap().body(), b"first");
    assert!(files.hot(b"/f", Order::PLAIN, Batch::begin()).is_none());
}

#[tokio::test]
async fn what_a_link_leads_to_is_not_kept() {
    let folder = Folder::new("links");
    fs::create_dir(folder.path().join("a")).unwrap();
    folder.write("a/f", "first");
    symlink("a", folder.path().join("current")).unwrap();
    let files = folder.files();
    assert_eq!(body(&files, "/current/f").await, b"first");
    assert!(!kept(&files, "/current/f"));
}

#[tokio::test]
async fn what_was_not_there_is_found_when_it_comes() {
    let folder = Folder::new("misses");
    let files = folder.files();
    for round in 0..3 {
        for raw in ["/new", "/new%2etxt", "/deep/new", "/new/"] {
            assert_eq!(find(&files, raw).await.err(), Some(Class::NotFound), "{raw}");
            assert!(files.misses.borrow().still(raw.as_bytes(), &files.root), "{raw}");
        }
        folder.write("new", &round.to_string());
        folder.write("new.txt", "x");
        fs::create_dir(folder.path().join("deep")).unwrap();
        folder.write("deep/new", "deep");
        assert_eq!(body(&files, "/new").await, round.to_string().as_bytes());
        assert_eq!(body(&files, "/new%2etxt").await, b"x");
        assert_eq!(body(&files, "/deep/new").await, b"deep");
        // A file is no folder; that is told by the disk alone.
        assert_eq!(find(&files, "/new/").await.err(), Some(Class::NotFound));
        assert!(!files.misses.borrow().still(b"/new/", &files.root));
        fs::remove_file(folder.path().join("new")).unwrap();
        fs::remove_file(folder.path().join("new.txt")).unwrap();
        fs::remove_dir_all(folder.path().join("deep")).unwrap();
    }
    // Any number of them is remembered in bounded room, and a long one not at all.
    for number in 0..2000 {
        assert_eq!(find(&files, &format!("/no{number}")).await.err(), Some(Class::NotFound));
    }
    let remembered =
        (0..2000).filter(|number| files.misses.borrow().still(format!("/no{number}").as_bytes(), &files.root));
    assert!((100..=256).contains(&remembered.count()));
    for (length, expect) in [(256, true), (257, false)] {
        let raw = format!("/{}", "%78".repeat(85) + &"x".repeat(length - 256));
        assert_eq!(raw.len(), length);
        assert_eq!(find(&files, &raw).await.err(), Some(Class::NotFound));
        assert_eq!(files.misses.borrow().still(raw.as_bytes(), &files.root), expect);
    }
}

/// The names in a listing.
async fn listed(files: &Files, query: &str) -> Vec<String> {
    let Ok(Found::Answer(answer)) =
        files.find(b"/", Some(query.as_bytes()), Taste { form: Form::Json, ..HTML }, Batch::begin()).await
    else {
        panic!("no listing")
    };
    let Body::Bytes(bytes) = answer.body else { panic!("no body") };
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    json["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_listing_is_made_again_when_its_folder_changes() {
    let folder = Folder::new("relisted");
    let files = folder.files();
    for round in 0..20 {
        let name = format!("{round:03}");
        folder.write(&name, "x");
        assert_eq!(listed(&files, "").await.len(), round + 1);
        assert_eq!(listed(&files, "order=desc").await.first(), Some(&name));
    }
    folder.write("index.html", "index");
    assert_eq!(body(&files, "/").await, b"index");
    fs::remove_file(folder.path().join("index.html")).unwrap();
    assert_eq!(listed(&files, "").await.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_folder_is_listed_again_after_a_second_at_most() {
    let folder = Folder::new("kept-listing");
    folder.write("a", "x");
    let old = SystemTime::now();
    // Only a folder whose changes would show is kept; ask until the kernel's clock has moved on.
    let files = folder.files();
    loop {
        listed(&files, "").await;
        let asked = Asked { names: Vec::new(), view: View::parse(Some(b"")), form: Form::Json };
        if files.listings.borrow_mut().find(&asked, &files.root).is_some() {
            tokio::time::advance(Duration::from_millis(1000)).await;
            assert!(files.listings.borrow_mut().find(&asked, &files.root).is_some());
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(files.listings.borrow_mut().find(&asked, &files.root).is_none());
            return;
        }
        assert!(old.elapsed().unwrap() < Duration::from_secs(20), "never kept");
    }
}

#[tokio::test]
async fn tags_tell_versions_apart() {
    let folder = Folder::new("tags");
    let files = folder.files();
    let mut tags = Vec::new();
    for content in ["one", "two", "six"] {
        folder.write("f", content);
        let Ok(Found::Hot(file)) = find(&files, "/f").await else { panic!("not found") };
        let tag = file.description().validators().etag.to_vec();
        assert!(!tag.is_empty() && !tags.contains(&tag), "{content}");
        let head = String::from_utf8(file.head().to_vec()).unwrap();
        assert!(head.contains(&format!("etag: {}\r\n", String::from_utf8_lossy(&tag))), "{head}");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\ndate: ") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(head.contains("content-length: 3\r\n"), "{head}");
        tags.push(tag);
    }
    // A large one that was just written has a tag too, for those who resume.
    folder.write("large", &"x".repeat(101));
    let Ok(Found::Large(file)) = find(&files, "/large").await else { panic!("not found") };
    assert!(!file.description.validators().etag.is_empty());
}

/// How many POSIX locks are held on a file, by whomever.
fn locks(path: &Path) -> usize {
    use std::os::unix::fs::MetadataExt;
    let file = fs::metadata(path).unwrap();
    let (major, minor) = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
    let place = format!(" {major:02x}:{minor:02x}:{} ", file.ino());
    let list = fs::read_to_string("/proc/locks").unwrap();
    // While others lock, the list may say one twice, with another number in front.
    let locks = list.lines().filter(|line| line.contains(&place)).filter_map(|line| line.split_once(' '));
    locks.map(|(_, lock)| lock.trim()).collect::<std::collections::HashSet<_>>().len()
}

#[tokio::test]
async fn what_is_kept_back_is_not_there_and_not_opened() {
    let folder = Folder::new("kept-back");
    fs::create_dir_all(folder.path().join("sub/state/blobs")).unwrap();
    fs::create_dir_all(folder.path().join("sub/state-of-mind")).unwrap();
    for name in ["store.db", "store.db-wal", "blobs/1", "index.html"] {
        folder.write(&format!("sub/state/{name}"), "secret");
    }
    folder.write("sub/state-of-mind/x", "served");
    folder.write("x", "served");
    symlink("sub/state/store.db", folder.path().join("link")).unwrap();
    symlink("sub/state", folder.path().join("folder")).unwrap();
    symlink("x", folder.path().join("other")).unwrap();
    let database = folder.path().join("sub/state/store.db");
    let held = fs::File::options().read(true).write(true).open(&database).unwrap();
    rustix::fs::fcntl_lock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    assert_eq!(locks(&database), 1);
    let root = Root::open(folder.path()).unwrap().keeping_back(&folder.path().join("sub/state")).unwrap();
    assert!(root.keeps_back());
    let files = Files::new(Arc::new(root), Settings { hot_file: 1, ..Settings::default() });
    let check = async |files: &Files| {
        for raw in [
            "/sub/state",
            "/sub/state/",
            "/sub/state/store.db",
            "/sub/state/store.db-wal",
            "/sub/state/blobs/1",
            "/sub/state/blobs/",
            "/link",
            "/folder/",
            "/folder/store.db",
        ] {
            assert_eq!(find(files, raw).await.err(), Some(Class::NotFound), "{raw}");
        }
        for raw in ["/sub/state-of-mind/x", "/x", "/other"] {
            assert!(matches!(find(files, raw).await, Ok(Found::Large(_))), "{raw}");
        }
        for (raw, there, not_there) in
            [("/", "other", "link"), ("/", "sub", "folder"), ("/sub/", "state-of-mind", "state/")]
        {
            let Ok(Found::Answer(Answer { body: Body::Bytes(page), .. })) = find(files, raw).await else {
                panic!("{raw}")
            };
            let page = String::from_utf8_lossy(&page).into_owned();
            assert!(page.contains(there) && !page.contains(&format!("./{not_there}")), "{raw} {page}");
        }
        assert_eq!(locks(&database), 1, "a lock was lost");
    };
    check(&files).await;
    // The folder that is served may lie in the one that is kept back, or be it.
    for inner in ["sub/state", "sub/state/blobs"] {
        let root = Root::open(&folder.path().join(inner)).unwrap();
        let files =
            Files::new(Arc::new(root.keeping_back(&folder.path().join("sub/state")).unwrap()), Settings::default());
        for raw in ["/", "/1", "/store.db", "/blobs/1"] {
            assert_eq!(find(&files, raw).await.err(), Some(Class::NotFound), "{inner} {raw}");
        }
    }
    // Another name of one of its files is not there either, wherever the served folder lies; another file with two names is.
    fs::create_dir_all(folder.path().join("www")).unwrap();
    for (of, name) in [("state/store.db", "db"), ("state/store.db-wal", "wal"), ("state-of-mind/x", "x")] {
        fs::hard_link(folder.path().join("sub").join(of), folder.path().join("www").join(name)).unwrap();
    }
    symlink("db", folder.path().join("www/link")).unwrap();
    let root = Root::open(&folder.path().join("www")).unwrap();
    let root = root.keeping_back(&folder.path().join("sub/state")).unwrap();
    assert!(!root.keeps_back(), "it lies elsewhere");
    let files = Files::new(Arc::new(root), Settings { hot_file: 1, ..Settings::default() });
    for raw in ["/db", "/wal", "/link"] {
        assert_eq!(find(&files, raw).await.err(), Some(Class::NotFound), "{raw}");
    }
    assert!(matches!(find(&files, "/x").await, Ok(Found::Large(_))));
    assert_eq!(locks(&database), 1, "a lock was lost");
    for apart in ["sub/state-of-mind", "nowhere"] {
        let root = Root::open(&folder.path().join("sub/state")).unwrap();
        assert!(!root.keeping_back(&folder.path().join(apart)).unwrap().keeps_back(), "{apart}");
    }
}

/// A folder or a file that is mounted in a second place, where that is allowed.
struct SecondMount(PathBuf);

impl SecondMount {
    fn of(what: &Path, place: PathBuf) -> Option<Self> {
        if what.is_dir() { fs::create_dir_all(&place) } else { fs::write(&place, "") }.unwrap();
        let mounted = Command::new("mount").arg("--bind").args([what, &place]).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(place))
    }
}

impl Drop for SecondMount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[tokio::test]
async fn what_is_kept_back_is_not_there_by_another_mount_either() {
    let folder = Folder::new("mounts");
    for inner in ["house/state/blobs", "house/own", "www"] {
        fs::create_dir_all(folder.path().join(inner)).unwrap();
    }
    for name in ["house/state/store.db", "house/state/blobs/1", "house/x", "house/own/x", "www/x"] {
        folder.write(name, "text");
    }
    let place = |name: &str| folder.path().join(name);
    let mount = |(what, at): &(&str, &str)| SecondMount::of(&place(what), place(at));
    let mounts = [
        ("house", "second"),
        ("house", "www/house"),
        ("house/state", "www/state"),
        ("house/state/blobs", "www/bodies"),
        ("house/state/store.db", "www/db"),
        ("house/state", "house/own/state"),
    ];
    let Some(_mounts) = mounts.iter().map(mount).collect::<Option<Vec<_>>>() else {
        eprintln!("no right to mount: what hard links show is tested above");
        return;
    };
    let database = place("house/state/store.db");
    let held = fs::File::options().read(true).write(true).open(&database).unwrap();
    rustix::fs::fcntl_lock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    for (root, state, hidden, shown) in [
        ("second", "house/state", &["/state/store.db", "/state/blobs/1", "/state/"][..], &["/x", "/own/x"][..]),
        ("house", "second/state", &["/state/store.db", "/state/blobs/1"], &["/x", "/own/x"]),
        ("house", "house/own/state", &["/state/store.db", "/own/state/store.db", "/state/blobs/1"], &["/x", "/own/x"]),
        (
            "www",
            "house/state",
            &["/house/state/store.db", "/state/store.db", "/state/", "/bodies/1", "/bodies/", "/db"],
            &["/x", "/house/x"],
        ),
    ] {
        let root = Root::open(&place(root)).unwrap().keeping_back(&place(state)).unwrap();
        let files = Files::new(Arc::new(root), Settings { hot_file: 1, ..Settings::default() });
        for raw in hidden {
            assert_eq!(find(&files, raw).await.err(), Some(Class::NotFound), "{state} {raw}");
            assert_eq!(locks(&database), 1, "a lock was lost: {state} {raw}");
        }
        for raw in shown {
            assert!(matches!(find(&files, raw).await, Ok(Found::Large(_))), "{state} {raw}");
        }
    }
    for inner in ["www/state", "www/bodies", "second/state/blobs"] {
        let root = Root::open(&place(inner)).unwrap();
        let inner_is_refused = root.keeping_back(&place("house/state")).is_err();
        assert!(inner_is_refused, "{inner}");
    }
}
