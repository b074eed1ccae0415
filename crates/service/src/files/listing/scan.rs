//! Reads a folder and keeps what one page shows of it, in memory for one page, whatever the folder holds.
//!
//! Bounded by: [`MOST_NAMES`] names looked at, [`MOST_STATS`] looks at files to sort by size or time or to learn what a name is,
//! [`MOST_LINKS`] symbolic links followed; the page and one entry more kept.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fs::File;
use std::num::NonZeroU32;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Dir, DirEntry, FileType, Stat, statat};
use sportello_wire::http1::target::{TreePath, is_hidden_name};

use super::super::resolve::{Identity, Root};
use super::super::settings::{HiddenNames, Listings};
use super::view::{Key, Kind, Order, Sort, View};
use crate::failure::Failure;

/// The most names of a folder that are looked at.
pub(super) const MOST_NAMES: usize = 2_000_000;
/// The most files that are looked at one by one before the page: a folder with more is sorted by name.
pub(super) const MOST_STATS: usize = 100_000;
/// The most symbolic links of a folder that are followed.
pub(super) const MOST_LINKS: usize = 10_000;

/// The bounds of one scan; smaller ones in tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) names: usize,
    pub(super) stats: usize,
    pub(super) links: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { names: MOST_NAMES, stats: MOST_STATS, links: MOST_LINKS }
    }
}

/// One page of a folder's visible content.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    /// How it is sorted: by name where the folder is too large for what was asked.
    pub(super) view: View,
    /// Where the next page begins, if there is one.
    pub(super) next: Option<Key>,
    /// Folders and files in all.
    pub(super) folders: usize,
    pub(super) files: usize,
    /// Bytes of all files, where all were looked at.
    pub(super) bytes: Option<u64>,
    pub(super) extent: Extent,
    pub(super) sorting: Sorting,
}

/// Whether all of the folder was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    Cut,
}

/// Whether the page is sorted as it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sorting {
    AsAsked,
    ByNameInstead,
}

/// One file or folder, as it is shown.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) modified: u64,
}

/// What is to be scanned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'a> {
    pub(super) root: &'a Root,
    pub(super) folder: &'a File,
    pub(super) path: &'a TreePath,
    pub(super) hidden: HiddenNames,
    pub(super) per_page: NonZeroU32,
    pub(super) bounds: Bounds,
}

/// An entry that may be on the page. The greatest is the last of the page.
struct Candidate {
    key: Key,
    order: Order,
    stat: Option<Stat>,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.compare(&other.key, self.order)
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// Too many files to look at each.
struct TooMany;

impl Scan<'_> {
    /// Reads the folder for one page.
    pub(super) fn page(&self, view: &View) -> Result<Page, Failure> {
        if let Ok(page) = self.sorted(view)? {
            return Ok(page);
        }
        let by_name = View { sort: Sort::Name, order: Order::Ascending, after: None };
        // By name nothing needs to be looked at one by one, so this cannot be too much again.
        self.sorted(&by_name)?
            .map(|page| Page { sorting: Sorting::ByNameInstead, ..page })
            .map_err(|TooMany| Failure::internal("a folder could not be listed"))
    }

    fn sorted(&self, view: &View) -> Result<Result<Page, TooMany>, Failure> {
        let failed = |error| Failure::internal(std::io::Error::from(error));
        let most = self.per_page.get().min(Listings::MOST_PER_PAGE) as usize;
        let mut kept = BinaryHeap::with_capacity(most.saturating_add(2));
        let mut reading = Reading { scan: self, sort: view.sort, stats: 0, links: 0, extent: Extent::Whole };
        let (mut folders, mut files, mut bytes) = (0, 0, 0u64);
        for (looked_at, found) in Dir::read_from(self.folder).map_err(failed)?.enumerate() {
            if looked_at == self.bounds.names {
                reading.extent = Extent::Cut;
                break;
            }
            let Some((key, stat)) = reading.look(&found.map_err(failed)?) else { continue };
            if view.sort != Sort::Name && reading.stats > self.bounds.stats {
                return Ok(Err(TooMany));
            }
            match key.kind {
                Kind::Folder => folders += 1,
                Kind::File => files += 1,
            }
            bytes = bytes.saturating_add(stat.map_or(0, |stat| if key.kind == Kind::File { size(&stat) } else { 0 }));
            if view.after.as_ref().is_some_and(|after| key.compare(after, view.order) != Ordering::Greater) {
                continue;
            }
            let candidate = Candidate { key, order: view.order, stat };
            if kept.len() <= most {
                kept.push(candidate);
            } else if let Some(mut last) = kept.peek_mut()
                && candidate < *last
            {
                *last = candidate;
            }
        }
        let mut kept = kept.into_sorted_vec();
        let more = kept.len() > most;
        kept.truncate(most);
        let next = more.then(|| kept.last().map(|last| last.key.clone())).flatten();
        let extent = reading.extent;
        let entries: Vec<Entry> = kept.into_iter().filter_map(|candidate| self.entry(candidate)).collect();
        let bytes = match (view.sort, view.after.is_none() && next.is_none() && extent == Extent::Whole) {
            (Sort::Name, true) => Some(entries.iter().map(Entry::bytes).fold(0, u64::saturating_add)),
            (Sort::Name, false) => None,
            _ => Some(bytes),
        };
        let (view, sorting) = (view.clone(), Sorting::AsAsked);
        Ok(Ok(Page { entries, view, next, folders, files, bytes, extent, sorting }))
    }

    /// An entry of the page; one that is gone again meanwhile is left out.
    fn entry(&self, candidate: Candidate) -> Option<Entry> {
        let Key { kind, name, .. } = candidate.key;
        let stat = match candidate.stat {
            Some(stat) => stat,
            None => statat(self.folder, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW).ok()?,
        };
        let modified = Identity::of(&stat).modified_seconds();
        Some(Entry { name, kind, size: size(&stat), modified })
    }
}

/// A scan under way.
struct Reading<'a> {
    scan: &'a Scan<'a>,
    sort: Sort,
    stats: usize,
    links: usize,
    extent: Extent,
}

impl Reading<'_> {
    /// What a name is, if it can be asked for.
    fn look(&mut self, found: &DirEntry) -> Option<(Key, Option<Stat>)> {
        let name = found.file_name().to_bytes();
        let hidden = match self.scan.hidden {
            HiddenNames::NotThere => is_hidden_name(name),
            HiddenNames::Served => matches!(name, b"." | b".."),
        };
        // A backslash cannot be asked for: another reader could see another path.
        if hidden || name.contains(&b'\\') {
            return None;
        }
        let stat = match found.file_type() {
            FileType::Directory | FileType::RegularFile if self.sort == Sort::Name => None,
            FileType::Directory | FileType::RegularFile => Some(self.stat(found)?),
            FileType::Symlink => Some(self.through_link(name)?),
            FileType::Unknown => match self.stat(found)? {
                stat if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => Some(self.through_link(name)?),
                stat => Some(stat),
            },
            _ => return None,
        };
        let kind = match stat.map_or(found.file_type(), |stat| FileType::from_raw_mode(stat.st_mode)) {
            FileType::Directory if self.scan.root.is_kept_back(self.scan.folder.as_fd(), found.file_name()) => {
                return None;
            }
            FileType::Directory => Kind::Folder,
            FileType::RegularFile => Kind::File,
            _ => return None,
        };
        let value = match (self.sort, stat) {
            // What a folder's size means differs from one file system to the next.
            (Sort::Size, Some(stat)) if kind == Kind::File => size(&stat),
            (Sort::Time, Some(stat)) => Identity::of(&stat).modified_seconds(),
            _ => 0,
        };
        Some((Key::new(kind, value, name), stat))
    }

    fn stat(&mut self, found: &DirEntry) -> Option<Stat> {
        self.stats += 1;
        if self.sort == Sort::Name && self.stats > self.scan.bounds.stats {
            self.extent = Extent::Cut;
            return None;
        }
        statat(self.scan.folder, found.file_name(), AtFlags::SYMLINK_NOFOLLOW).ok()
    }

    /// What a symbolic link leads to beneath the root.
    fn through_link(&mut self, name: &[u8]) -> Option<Stat> {
        self.links += 1;
        if self.links > self.scan.bounds.links {
            self.extent = Extent::Cut;
            return None;
        }
        let mut names = self.scan.path.names.clone();
        if !names.is_empty() {
            names.push(b'/');
        }
        names.extend_from_slice(name);
        self.scan.root.look_beneath(&names)
    }
}

impl Entry {
    pub(super) fn bytes(&self) -> u64 {
        if self.kind == Kind::File { self.size } else { 0 }
    }
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}
