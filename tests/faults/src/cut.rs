//! A disk as a power cut could leave it: one of the many states that the promises of POSIX allow at a moment.
//!
//! Of the names of a folder some first part of its changes is there, at least what lasts. Of each change of a file that
//! does not last: nothing, all, or some of its 512-byte sectors; its length with or without its bytes, and where the
//! bytes are missing zeros or garbage. What the server did after the moment is not there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::history::{Change, FileLife, FolderLife, History, Naming, Node};
use crate::random::Random;

/// A sector: what a disk writes wholly or not at all.
const SECTOR: u64 = 512;

/// How a cut treats what does not last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// All of it is lost: the worst for what was never synced.
    Lost,
    /// All of it is there: as if the process had been killed.
    Kept,
    /// Each change by chance lost or kept.
    Mixed,
    /// Each sector by chance lost or kept.
    Torn,
}

/// One cut.
#[derive(Debug)]
pub(crate) struct Cut<'a> {
    history: &'a History,
    /// What has begun before this number may be on the disk.
    at: u64,
    mood: Mood,
    filler: u8,
    random: Random,
}

impl<'a> Cut<'a> {
    /// A cut at a moment.
    pub(crate) fn new(history: &'a History, at: u64, mut random: Random) -> Self {
        let moods = [Mood::Lost, Mood::Kept, Mood::Mixed, Mood::Torn, Mood::Torn];
        let mood = moods[usize::try_from(random.between(0, 4)).unwrap_or_default()];
        let filler = if random.one_in(2) { 0 } else { 0xa5 };
        Self { history, at, mood, filler, random }
    }

    /// A death of the process only: everything that was done is there.
    pub(crate) fn none(history: &'a History) -> Self {
        Self { history, at: u64::MAX, mood: Mood::Kept, filler: 0, random: Random::new(0, 0) }
    }

    /// How it is told in a failure.
    pub(crate) fn words(&self) -> String {
        format!("cut at {} of {}, {:?}, filler {:#x}", self.at, self.history.end, self.mood, self.filler)
    }

    /// The files and folders that are there: path beneath the root, and bytes (`None`: a folder).
    pub(crate) fn disk(mut self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut disk = BTreeMap::new();
        let mut bytes: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        let mut folders = vec![(self.history.root.clone(), PathBuf::new())];
        while let Some((folder, name)) = folders.pop() {
            let Some(life) = self.history.folders.get(&folder) else { continue };
            for (entry, node) in self.names(life).into_owned() {
                let path = name.join(entry);
                match node {
                    Node::Folder(folder) => {
                        disk.insert(path.clone(), None);
                        folders.push((folder, path));
                    }
                    Node::File(number) => {
                        let Some(life) = self.history.files.get(number) else { continue };
                        // A file with two names, halfway through a rename, is one file.
                        let bytes = bytes.entry(number).or_insert_with(|| self.bytes(life)).clone();
                        disk.insert(path, Some(bytes));
                    }
                }
            }
        }
        disk
    }

    fn names(&mut self, life: &'a FolderLife) -> Cow<'a, BTreeMap<String, Node>> {
        let begun = life.events.iter().take_while(|(span, _)| span.begin < self.at).count();
        let lasting = life.events.iter().rposition(|(span, _)| span.lasts < self.at).map_or(0, |last| last + 1);
        let count = match self.mood {
            Mood::Lost => lasting,
            Mood::Kept => begun,
            Mood::Mixed | Mood::Torn => {
                let count = self.random.between(lasting as u64, begun.max(lasting) as u64);
                usize::try_from(count).unwrap_or(begun)
            }
        };
        if count == 0 {
            return Cow::Borrowed(&life.start);
        }
        let mut names = life.start.clone();
        for (_, naming) in life.events.iter().take(count) {
            match naming {
                Naming::Add(name, node) => drop(names.insert(name.clone(), node.clone())),
                Naming::Remove(name) => drop(names.remove(name)),
                Naming::Move(old, new, node) => {
                    names.remove(old);
                    names.insert(new.clone(), node.clone());
                }
            }
        }
        Cow::Owned(names)
    }

    fn bytes(&mut self, life: &FileLife) -> Vec<u8> {
        let mut bytes = life.start.clone();
        let at = self.at;
        for (span, change) in life.events.iter().take_while(|(span, _)| span.begin < at) {
            let fate = if span.lasts < at { Mood::Kept } else { self.fate() };
            match (change, fate) {
                (_, Mood::Lost | Mood::Mixed) => {}
                (Change::Write(offset, data), Mood::Kept) => self.put(&mut bytes, *offset, data),
                (Change::Write(offset, data), Mood::Torn) => self.tear(&mut bytes, *offset, data),
                (Change::Length(length), _) => bytes.resize(size(*length), 0),
                (Change::AtLeast(length), _) => bytes.resize(bytes.len().max(size(*length)), 0),
            }
        }
        bytes
    }

    /// What becomes of one change that does not last.
    fn fate(&mut self) -> Mood {
        match self.mood {
            Mood::Lost => Mood::Lost,
            Mood::Kept => Mood::Kept,
            Mood::Mixed if self.random.one_in(2) => Mood::Kept,
            Mood::Mixed => Mood::Lost,
            Mood::Torn => match self.random.between(0, 3) {
                0 => Mood::Kept,
                1 => Mood::Lost,
                _ => Mood::Torn,
            },
        }
    }

    fn put(&self, bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
        let (from, to) = (size(offset), size(offset) + data.len());
        if bytes.len() < to {
            // A gap is one of lost writes before this one.
            bytes.resize(from.max(bytes.len()), self.filler);
            bytes.resize(to, self.filler);
        }
        if let Some(place) = bytes.get_mut(from..to) {
            place.copy_from_slice(data);
        }
    }

    /// Some sectors of a write; its length is there, or only that of the sectors.
    fn tear(&mut self, bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        if self.random.one_in(2) {
            bytes.resize(bytes.len().max(size(end)), self.filler);
        }
        let mut at = offset;
        while at < end {
            let next = (at / SECTOR + 1).saturating_mul(SECTOR).min(end);
            if self.random.one_in(2)
                && let Some(piece) = data.get(size(at - offset)..size(next - offset))
            {
                self.put(bytes, at, piece);
            }
            at = next;
        }
    }
}

/// Writes a disk into an empty folder.
pub(crate) fn write(disk: &BTreeMap<PathBuf, Option<Vec<u8>>>, folder: &Path) -> io::Result<()> {
    for (path, bytes) in disk {
        let path = folder.join(path);
        match bytes {
            None => fs::create_dir(&path)?,
            Some(bytes) => fs::write(&path, bytes)?,
        }
    }
    Ok(())
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
