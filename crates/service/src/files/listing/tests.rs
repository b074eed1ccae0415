use std::fs;
use std::path::Path;

use super::*;
use crate::files::tests::Folder;

fn list(folder: &Path, most: usize) -> Listing {
    let root = Root::open(folder).unwrap();
    read(&root, &File::open(folder).unwrap(), &TreePath::default(), most, HiddenNames::NotThere).unwrap()
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
    let names: Vec<_> = list(folder.path(), 100).entries.iter().map(|entry| entry.shown().into_owned()).collect();
    assert_eq!(names, [".well-known", "z", "A.txt", "b.txt", "inside"]);
}

#[test]
fn a_listing_is_cut_at_its_bound_and_says_so() {
    let folder = Folder::new("cut");
    for name in ["a", "b", "c"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let whole = list(folder.path(), 3);
    assert_eq!((whole.entries.len(), whole.extent), (3, Extent::Whole));
    assert!(!page(&whole, &TreePath::default()).into_string().contains("entries are shown"));
    let cut = list(folder.path(), 2);
    assert_eq!((cut.entries.len(), cut.extent), (2, Extent::Cut));
    assert!(page(&cut, &TreePath::default()).into_string().contains("2 entries are shown"));
    let cut: serde_json::Value = serde_json::from_slice(&json(&cut, &TreePath::default()).unwrap()).unwrap();
    assert_eq!(cut["complete"], false);
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
