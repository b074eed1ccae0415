use std::fs;
use std::num::NonZeroU32;
use std::path::Path;

use super::*;
use crate::files::settings::HiddenNames;
use crate::files::tests::Folder;

/// The page that `query` asks for, at most `most` entries on it.
fn ask(folder: &Path, query: &str, most: u32, bounds: Bounds) -> Page {
    let root = Root::open(folder).unwrap();
    let file = File::open(folder).unwrap();
    let (path, hidden, per_page) = (TreePath::default(), HiddenNames::NotThere, NonZeroU32::new(most).unwrap());
    let scan = Scan { root: &root, folder: &file, path: &path, hidden, per_page, bounds };
    scan.page(&View::parse(Some(query.trim_start_matches('?').as_bytes()))).unwrap()
}

fn list(folder: &Path, most: u32) -> Page {
    ask(folder, "", most, Bounds::default())
}

fn names(page: &Page) -> Vec<String> {
    page.entries.iter().map(|entry| entry.shown().into_owned()).collect()
}

/// All pages from `query` on, by the links from each to the next.
fn walk(folder: &Path, query: &str, most: u32) -> Vec<String> {
    let (mut query, mut found) = (query.to_owned(), Vec::new());
    loop {
        let page = ask(folder, &query, most, Bounds::default());
        assert!(page.entries.len() <= most as usize);
        found.extend(names(&page));
        match &page.next {
            Some(next) => query = page.view.link(Some(next)),
            None => return found,
        }
    }
}

#[test]
fn folders_come_first_and_what_cannot_be_asked_for_is_left_out() {
    let folder = Folder::new("listing");
    for name in ["b.txt", "A.txt", ".hidden", "back\\slash"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    for name in ["z", ".git", ".well-known"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
    link("A.txt", "inside");
    link("/etc/passwd", "outside");
    link("nowhere", "dangling");
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.path().join("fifo"), 0o600.into()).unwrap();
    assert_eq!(names(&list(folder.path(), 100)), [".well-known", "z", "A.txt", "b.txt", "inside"]);
}

#[test]
fn pages_hold_as_much_as_they_may_and_lead_to_the_next() {
    let folder = Folder::new("pages");
    for name in ["a", "b", "c"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let html = |listing: &Page| page(listing, &TreePath::default()).into_string();
    let complete = |listing: &Page| {
        let json: serde_json::Value = serde_json::from_slice(&json(listing, &TreePath::default()).unwrap()).unwrap();
        (json["complete"].as_bool().unwrap(), json["next"].as_str().map(str::to_owned))
    };
    let whole = list(folder.path(), 3);
    assert_eq!((whole.entries.len(), whole.extent, whole.bytes), (3, Extent::Whole, Some(3)));
    assert!(!html(&whole).contains("<nav") && html(&whole).contains("3 files, 3 B"));
    assert_eq!(complete(&whole), (true, None));
    let first = list(folder.path(), 2);
    assert_eq!((first.entries.len(), first.files, first.bytes), (2, 3, None));
    assert!(html(&first).contains("rel=\"next\" href=\"?sort=name&amp;order=asc&amp;after=f0:b\""), "{}", html(&first));
    assert_eq!(complete(&first), (false, Some("?sort=name&order=asc&after=f0:b".to_owned())));
    let last = ask(folder.path(), "after=f0:b", 2, Bounds::default());
    assert_eq!((names(&last), complete(&last)), (vec!["c".to_owned()], (true, None)));
    assert!(html(&last).contains("rel=\"first\" href=\"?sort=name&amp;order=asc\""));
    // What the page before ended with may be gone meanwhile.
    fs::remove_file(folder.path().join("b")).unwrap();
    assert_eq!(names(&ask(folder.path(), "after=f0:b", 2, Bounds::default())), ["c"]);
}

#[test]
fn every_order_shows_every_entry_once() {
    let folder = Folder::new("orders");
    let stamp = |path: &Path, seconds| {
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        File::open(path).unwrap().set_modified(time).unwrap();
    };
    let files = [("B", 3, 30), ("a", 1, 40), ("c&+%=:;", 2, 10), ("d\u{e9}", 2, 20), ("E", 2, 10)];
    for (name, size, time) in files {
        fs::write(folder.path().join(name), "x".repeat(size)).unwrap();
        stamp(&folder.path().join(name), time);
    }
    for (name, time) in [("sub", 50), ("Sub2", 5)] {
        fs::create_dir(folder.path().join(name)).unwrap();
        stamp(&folder.path().join(name), time);
    }
    for (query, expect) in [
        ("", ["sub", "Sub2", "a", "B", "c&+%=:;", "d\u{e9}", "E"]),
        ("sort=name&order=desc", ["Sub2", "sub", "E", "d\u{e9}", "c&+%=:;", "B", "a"]),
        ("sort=size", ["sub", "Sub2", "a", "c&+%=:;", "d\u{e9}", "E", "B"]),
        ("order=desc&sort=size", ["Sub2", "sub", "B", "E", "d\u{e9}", "c&+%=:;", "a"]),
        ("sort=time", ["Sub2", "sub", "c&+%=:;", "E", "d\u{e9}", "B", "a"]),
        ("sort=time&order=desc", ["sub", "Sub2", "a", "B", "d\u{e9}", "E", "c&+%=:;"]),
        // What is not known is as if it were not said; of two the first counts.
        ("sort=colour&order=up&x=%zz&&=&after=", ["sub", "Sub2", "a", "B", "c&+%=:;", "d\u{e9}", "E"]),
        ("after=x0:a&sort=name&sort=size", ["sub", "Sub2", "a", "B", "c&+%=:;", "d\u{e9}", "E"]),
        ("after=f99999999999999999999:a", ["sub", "Sub2", "a", "B", "c&+%=:;", "d\u{e9}", "E"]),
        ("after=%f", ["sub", "Sub2", "a", "B", "c&+%=:;", "d\u{e9}", "E"]),
    ] {
        for most in [1, 2, 3, 7, 8] {
            assert_eq!(walk(folder.path(), query, most), expect, "{query} by {most}");
        }
    }
    // Sorted by size or time, every file was looked at.
    assert_eq!(ask(folder.path(), "sort=size", 1, Bounds::default()).bytes, Some(10));
    let shown =
        page(&ask(folder.path(), "sort=size&order=desc", 3, Bounds::default()), &TreePath::default()).into_string();
    assert!(
        shown.contains("<th class=\"number\" aria-sort=\"descending\"><a href=\"?sort=size&amp;order=asc\">"),
        "{shown}"
    );
}

#[test]
fn a_scan_is_bounded_at_n_and_at_one_more() {
    let folder = Folder::new("bounds");
    for name in ["a", "b", "c"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    // The folder itself and the one above it are names too.
    let bounds = |names, stats, links| Bounds { names, stats, links };
    let extent = |bounds| ask(folder.path(), "", 9, bounds).extent;
    assert_eq!(extent(bounds(5, 0, 0)), Extent::Whole);
    assert_eq!(extent(bounds(4, 0, 0)), Extent::Cut);
    for (stats, sorting) in [(3, Sorting::AsAsked), (2, Sorting::ByNameInstead)] {
        let page = ask(folder.path(), "sort=time&after=f0:a", 9, bounds(9, stats, 0));
        assert_eq!((page.sorting, page.entries.len()), (sorting, 3));
    }
    for name in ["x", "y"] {
        std::os::unix::fs::symlink("a", folder.path().join(name)).unwrap();
    }
    assert_eq!(extent(bounds(9, 0, 2)), Extent::Whole);
    let cut = ask(folder.path(), "", 9, bounds(9, 0, 1));
    assert_eq!((cut.extent, cut.entries.len()), (Extent::Cut, 4));
    assert!(page(&cut, &TreePath::default()).into_string().contains("This folder holds more"));
    // A page is never longer than the most there may be.
    assert_eq!(list(folder.path(), u32::MAX).entries.len(), 5);
}

#[test]
fn names_are_escaped_wherever_they_stand() {
    let folder = Folder::new("escape");
    let evil = "<img src=x onerror=alert(1)>\"'&.txt";
    fs::write(folder.path().join(evil), "x").unwrap();
    fs::write(folder.path().join("javascript:alert(1)"), "x").unwrap();
    let path = TreePath::decode(b"/%3Cscript%3E/a/").unwrap();
    let page = page(&list(folder.path(), 100), &path).into_string();
    assert!(!page.contains("<img") && !page.contains("<script"));
    assert!(page.contains("&lt;img src=x"));
    assert!(page.contains("href=\"./%3Cimg%20src%3Dx"));
    assert!(page.contains("href=\"./javascript%3Aalert%281%29\""));
}

#[test]
fn sizes_are_as_people_read_them() {
    for (bytes, expect) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10_188, "9.9 KiB"),
        (10_189, "10 KiB"),
        (1_023_487, "999 KiB"),
        (1_023_488, "1.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (u64::MAX, "16 EiB"),
    ] {
        assert_eq!(human_size(bytes), expect, "{bytes}");
    }
}
