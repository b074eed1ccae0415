//! The life of every file and folder, made from the log: what was changed, and from when on each change lasts.
//!
//! The promises of POSIX and no more: a change of a file lasts when a sync of that file, begun after the change had
//! ended, has ended; a name lasts when the folder that holds it was synced likewise, whatever was done to the file. A
//! failed sync of a file spoils: what it did not write is clean in the kernel's memory afterwards (as on Linux), and no later
//! sync brings it to the disk. That of a folder does not: names are in the file system's journal, and one that cannot write
//! its journal takes no more changes (ext4 and XFS do so); so a later sync that works has written them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::log::{Kind, Op};

/// From the begin of a change to its end, and the moment from which it lasts (`u64::MAX`: never).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) begin: u64,
    end: u64,
    pub(crate) lasts: u64,
}

/// What happens to a file.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Bytes at an offset.
    Write(u64, Vec<u8>),
    /// Cut, or lengthened by zeros.
    Length(u64),
    /// Lengthened, if it was shorter.
    AtLeast(u64),
}

/// What happens to the names in a folder.
#[derive(Clone, Debug)]
pub(crate) enum Naming {
    Add(String, Node),
    Remove(String),
    Move(String, String, Node),
}

/// What a name names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// A file, by its number in [`History::files`].
    File(usize),
    /// The folder of that path.
    Folder(PathBuf),
}

/// One life: of a file (its bytes) or of a folder (its names).
#[derive(Clone, Debug)]
pub(crate) struct Life<State, Event> {
    pub(crate) start: State,
    pub(crate) events: Vec<(Span, Event)>,
    syncs: Vec<Sync>,
}

#[derive(Clone, Copy, Debug)]
struct Sync {
    begin: u64,
    end: u64,
    worked: bool,
}

/// What becomes of that which a failed sync should have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailedSync {
    Spoils,
    SpoilsNothing,
}

/// A file's life.
pub(crate) type FileLife = Life<Vec<u8>, Change>;
/// A folder's life.
pub(crate) type FolderLife = Life<BTreeMap<String, Node>, Naming>;

/// Everything beneath one folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<FileLife>,
    pub(crate) folders: BTreeMap<PathBuf, FolderLife>,
    /// The names as the server sees them now.
    live: BTreeMap<PathBuf, BTreeMap<String, Node>>,
    by_inode: BTreeMap<u64, usize>,
    /// The first number after the last event.
    pub(crate) end: u64,
}

/// Why the log and the model do not agree.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("system call {number} changes {path} in a way that the model does not know")]
    Unknown { number: u64, path: PathBuf },
    #[error("{0}: the log speaks of it, and nothing made it")]
    Stranger(PathBuf),
    #[error("cannot read {0}: {1}")]
    Io(PathBuf, #[source] io::Error),
}

impl<State, Event> Life<State, Event> {
    fn new(start: State) -> Self {
        Self { start, events: Vec::new(), syncs: Vec::new() }
    }

    fn push(&mut self, op: &Op, event: Event) {
        self.events.push((Span { begin: op.begin, end: op.end, lasts: u64::MAX }, event));
    }

    /// Says of each change from when on it lasts.
    fn settle(&mut self, failed: FailedSync) {
        for (span, _) in &mut self.events {
            let after = self.syncs.iter().filter(|sync| sync.begin > span.end && sync.worked);
            let Some(sync) = after.min_by_key(|sync| sync.end) else { continue };
            let spoils = |other: &Sync| !other.worked && other.end > span.begin && other.begin < sync.begin;
            if failed == FailedSync::SpoilsNothing || !self.syncs.iter().any(spoils) {
                span.lasts = sync.end;
            }
        }
    }
}

impl History {
    /// What lies beneath `root`, as if it had lasted for ever: what there was when the log began.
    pub(crate) fn begin(root: &Path) -> Result<Self, Error> {
        let mut history = Self { root: root.to_owned(), ..Self::default() };
        history.take_in(root)?;
        Ok(history)
    }

    /// An empty folder when the log began.
    pub(crate) fn empty(root: &Path) -> Self {
        let mut history = Self { root: root.to_owned(), ..Self::default() };
        history.live.insert(root.to_owned(), BTreeMap::new());
        history.folders.insert(root.to_owned(), Life::new(BTreeMap::new()));
        history
    }

    fn take_in(&mut self, folder: &Path) -> Result<(), Error> {
        let io = |error| Error::Io(folder.to_owned(), error);
        let mut names = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let (path, about) = (entry.path(), entry.metadata().map_err(io)?);
            let node = if about.is_dir() {
                self.take_in(&path)?;
                Node::Folder(path)
            } else {
                self.by_inode.insert(about.ino(), self.files.len());
                self.files.push(Life::new(fs::read(&path).map_err(io)?));
                Node::File(self.files.len() - 1)
            };
            names.insert(entry.file_name().to_string_lossy().into_owned(), node);
        }
        self.live.insert(folder.to_owned(), names.clone());
        self.folders.insert(folder.to_owned(), Life::new(names));
        Ok(())
    }

    /// Goes through the log. A sync of a path that holds one of `forgotten` is taken for one that did nothing.
    pub(crate) fn follow(mut self, ops: &[Op], forgotten: &[String]) -> Result<Self, Error> {
        for op in ops {
            self.end = self.end.max(op.end + 1);
            if op.kind == Kind::Sync {
                if !forgotten.iter().any(|part| op.path.to_string_lossy().ends_with(part.as_str())) {
                    self.sync(op);
                }
            } else if op.result >= 0 {
                self.apply(op)?;
            }
        }
        self.files.iter_mut().for_each(|life| life.settle(FailedSync::Spoils));
        self.folders.values_mut().for_each(|life| life.settle(FailedSync::SpoilsNothing));
        Ok(self)
    }

    fn sync(&mut self, op: &Op) {
        if op.result == INTERRUPTED {
            // It wrote nothing and spoiled nothing: what was to be written still is, and whoever asked asks again.
            return;
        }
        let sync = Sync { begin: op.begin, end: op.end, worked: op.result >= 0 };
        if let Some(folder) = self.folders.get_mut(&op.path) {
            folder.syncs.push(sync);
        } else if let Some(file) = self.by_inode.get(&op.inode).and_then(|number| self.files.get_mut(*number)) {
            file.syncs.push(sync);
        }
    }

    fn apply(&mut self, op: &Op) -> Result<(), Error> {
        match op.kind {
            Kind::Open => self.open(op),
            Kind::Write => self.change(op, Change::Write(op.offset, op.data.clone())),
            Kind::Truncate => self.change(op, Change::Length(op.offset)),
            Kind::Allocate if op.flags == 0 => self.change(op, Change::AtLeast(op.offset.saturating_add(op.length))),
            Kind::Allocate if op.flags == KEEP_SIZE => Ok(()),
            Kind::Rename => self.rename(op),
            Kind::Unlink => {
                let (folder, name) = split(&op.path)?;
                // Else a socket's name: bind(2) made it, and nothing of it must last.
                if self.live.get_mut(&folder).and_then(|names| names.remove(&name)).is_some() {
                    self.folder(&folder)?.push(op, Naming::Remove(name));
                }
                Ok(())
            }
            Kind::MakeFolder => {
                self.live.insert(op.path.clone(), BTreeMap::new());
                self.folders.insert(op.path.clone(), Life::new(BTreeMap::new()));
                self.add(op, Node::Folder(op.path.clone()))
            }
            Kind::Allocate | Kind::Link | Kind::Unknown | Kind::Sync => {
                Err(Error::Unknown { number: op.flags, path: op.path.clone() })
            }
        }
    }

    fn open(&mut self, op: &Op) -> Result<(), Error> {
        let (folder, name) = split(&op.path)?;
        match self.live.get(&folder).and_then(|names| names.get(&name)).cloned() {
            Some(Node::File(number)) => {
                self.by_inode.insert(op.inode, number);
                if op.flags & TRUNCATE == 0 { Ok(()) } else { self.change(op, Change::Length(0)) }
            }
            Some(Node::Folder(_)) => Ok(()),
            None => {
                self.by_inode.insert(op.inode, self.files.len());
                self.files.push(Life::new(Vec::new()));
                self.add(op, Node::File(self.files.len() - 1))
            }
        }
    }

    fn rename(&mut self, op: &Op) -> Result<(), Error> {
        let ((from, old), (to, new)) = (split(&op.path)?, split(&op.path2)?);
        let stranger = || Error::Stranger(op.path.clone());
        let node = self.live.get_mut(&from).and_then(|names| names.remove(&old)).ok_or_else(stranger)?;
        self.live.get_mut(&to).ok_or_else(stranger)?.insert(new.clone(), node.clone());
        if from == to {
            self.folder(&from)?.push(op, Naming::Move(old, new, node));
        } else {
            self.folder(&from)?.push(op, Naming::Remove(old));
            self.folder(&to)?.push(op, Naming::Add(new, node));
        }
        Ok(())
    }

    fn add(&mut self, op: &Op, node: Node) -> Result<(), Error> {
        let (folder, name) = split(&op.path)?;
        self.live.entry(folder.clone()).or_default().insert(name.clone(), node.clone());
        self.folder(&folder)?.push(op, Naming::Add(name, node));
        Ok(())
    }

    fn change(&mut self, op: &Op, change: Change) -> Result<(), Error> {
        let file = self.by_inode.get(&op.inode).copied().and_then(|number| self.files.get_mut(number));
        file.ok_or_else(|| Error::Stranger(op.path.clone()))?.push(op, change);
        Ok(())
    }

    fn folder(&mut self, path: &Path) -> Result<&mut FolderLife, Error> {
        self.folders.get_mut(path).ok_or_else(|| Error::Stranger(path.to_owned()))
    }
}

/// FALLOC_FL_KEEP_SIZE.
const KEEP_SIZE: u64 = 1;
/// -EINTR.
const INTERRUPTED: i64 = -4;
/// O_TRUNC.
const TRUNCATE: u64 = 0o1000;

fn split(path: &Path) -> Result<(PathBuf, String), Error> {
    let name = path.file_name().ok_or_else(|| Error::Stranger(path.to_owned()))?;
    Ok((path.parent().unwrap_or(Path::new("/")).to_owned(), name.to_string_lossy().into_owned()))
}
