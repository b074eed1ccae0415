//! The ways to a file: indexes, redirections, symbolic links.

use super::*;
use crate::files::settings::{IndexNames, Links};

fn served(folder: &Path, settings: Settings) -> Files {
    let root = Root::open(folder).unwrap().following(settings.links);
    Files::new(Arc::new(root), settings)
}

#[tokio::test]
async fn the_first_index_that_is_there_answers() {
    let folder = Folder::new("index");
    for (name, files) in
        [("both", &["b.htm", "a.html"][..]), ("second", &["b.htm"]), ("none", &["index.html"]), ("odd", &["b.htm"])]
    {
        fs::create_dir_all(folder.path().join(name)).unwrap();
        files.iter().for_each(|file| folder.write(&format!("{name}/{file}"), file));
    }
    fs::create_dir_all(folder.path().join("odd/a.html")).unwrap();
    let index = IndexNames::new(["a.html", "b.htm"]).unwrap();
    let files = served(folder.path(), Settings { index, ..Settings::default() });
    for (raw, expect) in [("/both/", "a.html"), ("/second/", "b.htm"), ("/odd/", "b.htm")] {
        assert_eq!(body(&files, raw).await, expect.as_bytes(), "{raw}");
    }
    assert!(matches!(find(&files, "/none/").await, Ok(Found::Answer(Answer { status: 200, .. }))));
    // Without any, every folder is listed, or not.
    let none =
        Settings { index: IndexNames::new([]).unwrap(), listing: settings::Listings::Off, ..Settings::default() };
    assert_eq!(find(&served(folder.path(), none), "/none/").await.err(), Some(Class::NotFound));
}

#[tokio::test]
async fn a_redirection_keeps_the_query_and_names_no_other_host() {
    let folder = Folder::new("moved");
    fs::create_dir_all(folder.path().join("a b/evil.example")).unwrap();
    let files = served(folder.path(), Settings::default());
    for (raw, query, expect) in [
        ("/a%20b", None, "/a%20b/"),
        ("/a%20b", Some("x=1&y=%2f//"), "/a%20b/?x=1&y=%2f//"),
        ("/a%20b", Some(""), "/a%20b/?"),
        ("/%61%20b/./evil.example", Some("?"), "/a%20b/evil.example/??"),
    ] {
        let found = files.find(raw.as_bytes(), query.map(str::as_bytes), HTML, Batch::begin()).await;
        let Ok(Found::Answer(Answer { status: 301, fields, .. })) = found else { panic!("{raw}") };
        assert_eq!(fields.text("location"), Some(expect));
    }
}

/// A link whose owner is not that of what it leads to.
fn foreign_link(place: &Path) {
    symlink("/etc/passwd", place).unwrap();
    if rustix::process::geteuid().is_root() {
        let (owner, group) = (rustix::fs::Uid::from_raw(1), rustix::fs::Gid::from_raw(1));
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(rustix::fs::CWD, place, Some(owner), Some(group), flags).unwrap();
    }
}

#[tokio::test]
async fn links_are_followed_as_far_as_the_site_says() {
    let folder = Folder::new("policy");
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::create_dir_all(folder.path().join("out/deep")).unwrap();
    folder.write("out/deep/file", "out");
    folder.write("root/in", "in");
    symlink("../in", root.join("sub/within")).unwrap();
    symlink("../out/deep/file", root.join("file")).unwrap();
    symlink(folder.path().join("out"), root.join("folder")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("nowhere", root.join("broken")).unwrap();
    symlink("/proc/self/fd", root.join("magic")).unwrap();
    foreign_link(&root.join("foreign"));
    let open = fs::File::open(folder.path().join("out/deep/file")).unwrap();
    let magic = format!("/magic/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
    for (links, found) in [
        (Links::Beneath, &["/sub/within"][..]),
        (Links::SameOwner, &["/sub/within", "/file", "/folder/deep/file"]),
        (Links::Any, &["/sub/within", "/file", "/folder/deep/file", "/foreign"]),
    ] {
        let files = served(&root, Settings { links, ..Settings::default() });
        assert_eq!(body(&files, "/in").await, b"in");
        let all = ["/sub/within", "/file", "/folder/deep/file", "/foreign", "/loop", "/broken", "/broken/x"];
        for raw in all.into_iter().chain([magic.as_str()]) {
            // There it is read as text, and that leads to what is the owner's own.
            if raw == magic && links == Links::SameOwner {
                continue;
            }
            match find(&files, raw).await {
                Ok(Found::Hot(_)) => assert!(found.contains(&raw), "{links:?} {raw}"),
                Ok(_) => panic!("{raw}"),
                Err(class) => assert!(class == Class::NotFound && !found.contains(&raw), "{links:?} {raw}"),
            }
        }
        let Ok(Found::Answer(Answer { body: Body::Bytes(page), .. })) = find(&files, "/").await else { panic!() };
        let page = String::from_utf8_lossy(&page).into_owned();
        assert_eq!(page.contains("./file"), links != Links::Beneath, "{links:?}");
        assert_eq!(page.contains("./foreign"), links == Links::Any, "{links:?}");
    }
}

#[tokio::test]
async fn no_link_leads_into_what_is_kept_back() {
    let folder = Folder::new("policy-kept");
    for name in ["root", "state/blobs"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    folder.write("state/store.db", "secret");
    folder.write("state/blobs/1", "secret");
    folder.write("beside", "shown");
    let root = folder.path().join("root");
    for (name, target) in [
        ("state", "../state"),
        ("db", "../state/store.db"),
        ("up", ".."),
        ("again", "../root/state"),
        ("beside", "../beside"),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    fs::hard_link(folder.path().join("state/store.db"), folder.path().join("second")).unwrap();
    symlink("../second", root.join("hard")).unwrap();
    let database = folder.path().join("state/store.db");
    let held = fs::File::options().read(true).write(true).open(&database).unwrap();
    rustix::fs::fcntl_lock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    for links in [Links::SameOwner, Links::Any] {
        let kept = Root::open(&root).unwrap().following(links).keeping_back(&folder.path().join("state")).unwrap();
        let files = Files::new(Arc::new(kept), Settings { hot_file: 1, ..Settings::default() });
        for raw in [
            "/state/",
            "/state/store.db",
            "/state/blobs/1",
            "/db",
            "/up/state/store.db",
            "/up/state/",
            "/up/root/up/state/blobs/1",
            "/again/store.db",
            "/hard",
            "/up/second",
        ] {
            assert_eq!(find(&files, raw).await.err(), Some(Class::NotFound), "{links:?} {raw}");
            assert_eq!(locks(&database), 1, "a lock was lost: {raw}");
        }
        for raw in ["/beside", "/up/beside"] {
            assert!(matches!(find(&files, raw).await, Ok(Found::Large(_))), "{links:?} {raw}");
        }
    }
}

#[tokio::test]
async fn what_nobody_keeps_is_encoded_as_it_is_sent() {
    use crate::compress::{Compression, Level};
    use sportello_wire::http1::coding::Coding;

    let folder = Folder::new("kept");
    folder.write("a.txt", &"text ".repeat(1_000));
    folder.write("small.txt", "text");
    symlink("a.txt", folder.path().join("link.txt")).unwrap();
    let compression = Compression { levels: vec![Level::usual(Coding::Gzip)], ..Compression::default() };
    let all = Settings { compression, links: Links::Any, ..Settings::default() };
    let none = Settings { hot_files: 0, ..all.clone() };
    for (settings, raw, is_sent) in
        [(&all, "/a.txt", false), (&all, "/link.txt", true), (&none, "/a.txt", true), (&none, "/small.txt", false)]
    {
        let files = served(folder.path(), settings.clone());
        let order = files.order([&b"gzip"[..]].into_iter());
        let found = files.find(raw.as_bytes(), None, Taste { order, ..HTML }, Batch::begin()).await;
        match found {
            Ok(Found::Large(file)) => assert!(is_sent && file.packing.is_some(), "{raw}"),
            Ok(Found::Hot(_)) => assert!(!is_sent, "{raw}"),
            _ => panic!("{raw}"),
        }
        // Who takes it as it is gets it from memory.
        assert!(matches!(find(&files, raw).await, Ok(Found::Hot(_))), "{raw}");
    }
}
