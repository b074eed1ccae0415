use super::*;
use crate::log::{Kind, Op};

/// `kind begin path [path2] [offset data]`; each call ends one after it began.
fn op(kind: Kind, begin: u64, path: &str, path2: &str, data: &[u8]) -> Op {
    Op {
        begin,
        end: begin + 1,
        kind,
        result: 0,
        inode: 0,
        offset: 0,
        length: 0,
        flags: 0,
        path: format!("/r/{path}").into(),
        path2: format!("/r/{path2}").into(),
        data: data.to_vec(),
    }
}

fn on(inode: u64, op: Op) -> Op {
    Op { inode, ..op }
}

fn history(ops: &[Op]) -> History {
    History::empty(Path::new("/r")).follow(ops, &[]).unwrap()
}

/// Every disk that a hundred cuts at `at` leave.
fn disks(history: &History, at: u64) -> Vec<BTreeMap<PathBuf, Option<Vec<u8>>>> {
    (0..100).map(|number| Cut::new(history, at, Random::new(1, number)).disk()).collect()
}

fn file<'a>(disk: &'a BTreeMap<PathBuf, Option<Vec<u8>>>, name: &str) -> Option<&'a [u8]> {
    disk.get(Path::new(name)).map(|bytes| bytes.as_deref().unwrap_or_default())
}

#[test]
fn a_file_lasts_when_it_and_its_name_were_synced() {
    let whole = vec![7; 2000];
    let history = history(&[
        on(1, op(Kind::Open, 1, "a", "", b"")),
        on(1, op(Kind::Write, 3, "a", "", &whole)),
        on(1, op(Kind::Sync, 5, "a", "", b"")),
        op(Kind::Sync, 7, "", "", b"").with_path("/r"),
    ]);
    assert!(disks(&history, 1).iter().all(BTreeMap::is_empty), "nothing had begun");
    let unsynced = disks(&history, 5);
    assert!(unsynced.iter().any(|disk| file(disk, "a").is_none()), "the name is lost");
    assert!(unsynced.iter().any(|disk| file(disk, "a") == Some(&whole)), "or all is there");
    assert!(unsynced.iter().any(|disk| file(disk, "a").is_some_and(|bytes| bytes != whole)), "or a part");
    let unnamed = disks(&history, 7);
    assert!(unnamed.iter().any(|disk| file(disk, "a").is_none()), "the name is still not synced");
    assert!(unnamed.iter().all(|disk| file(disk, "a").is_none_or(|bytes| bytes == whole)), "its bytes are");
    assert!(disks(&history, 8).iter().any(|disk| file(disk, "a").is_none()), "the sync had not ended");
    assert!(disks(&history, 9).iter().all(|disk| file(disk, "a") == Some(&whole)), "all lasts");
}

#[test]
fn a_write_is_torn_between_sectors_only() {
    let history = history(&[
        on(1, op(Kind::Open, 1, "a", "", b"")),
        op(Kind::Sync, 3, "", "", b"").with_path("/r"),
        on(1, op(Kind::Write, 5, "a", "", &[7; 1536])),
    ]);
    let disks = disks(&history, 6);
    for disk in &disks {
        let bytes = file(disk, "a").expect("its name lasts");
        assert!(bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])), "within a sector");
    }
    let torn = |disk: &BTreeMap<_, _>| {
        file(disk, "a").is_some_and(|bytes| bytes.contains(&7) && bytes.iter().any(|byte| *byte != 7))
    };
    assert!(disks.iter().any(torn));
}

#[test]
fn a_rename_between_folders_may_last_on_either_side() {
    let history = history(&[
        op(Kind::MakeFolder, 1, "from", "", b""),
        op(Kind::MakeFolder, 3, "to", "", b""),
        on(1, op(Kind::Open, 5, "from/a", "", b"")),
        op(Kind::Sync, 7, "", "", b"").with_path("/r"),
        op(Kind::Sync, 9, "from", "", b""),
        op(Kind::Rename, 11, "from/a", "to/a", b""),
        op(Kind::Sync, 13, "to", "", b""),
    ]);
    let names = |disk: &BTreeMap<_, _>| (file(disk, "from/a").is_some(), file(disk, "to/a").is_some());
    let before: Vec<_> = disks(&history, 13).iter().map(names).collect();
    for both in [(true, false), (false, true), (true, true), (false, false)] {
        assert!(before.contains(&both), "{both:?}");
    }
    assert!(disks(&history, 15).iter().map(names).all(|(_, to)| to), "synced where it went");
}

#[test]
fn a_failed_sync_spoils_what_it_should_have_written() {
    let mut ops = vec![
        on(1, op(Kind::Open, 1, "a", "", b"")),
        op(Kind::Sync, 3, "", "", b"").with_path("/r"),
        on(1, op(Kind::Write, 5, "a", "", &[7; 512])),
        on(1, Op { result: -5, ..op(Kind::Sync, 7, "a", "", b"") }),
        on(1, op(Kind::Sync, 9, "a", "", b"")),
    ];
    assert!(disks(&history(&ops), 20).iter().any(|disk| file(disk, "a") != Some(&[7; 512])));
    ops.remove(3);
    assert!(disks(&history(&ops), 20).iter().all(|disk| file(disk, "a") == Some(&[7; 512])));
}

#[test]
fn what_the_model_does_not_know_is_told() {
    let unknown = history_of(&[op(Kind::Unknown, 1, "a", "", b"")]);
    assert!(unknown.unwrap_err().contains("does not know"));
    let stranger = history_of(&[on(9, op(Kind::Write, 1, "a", "", b"x"))]);
    assert!(stranger.unwrap_err().contains("nothing made it"));
}

fn history_of(ops: &[Op]) -> Result<History, String> {
    History::empty(Path::new("/r")).follow(ops, &[]).map_err(|why| why.to_string())
}

impl Op {
    fn with_path(mut self, path: &str) -> Self {
        self.path = path.into();
        self
    }
}
