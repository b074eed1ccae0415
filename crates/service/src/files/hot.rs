//! Files kept in memory, ready to be sent: head and body in one piece, the date left to be patched.
//!
//! Bounded by the bytes given; what was not used since the hand came by last goes first (the clock algorithm).

use std::collections::HashMap;
use std::ffi::CString;
use std::ops::Range;
use std::rc::Rc;

use super::Batch;
use super::description::Description;
use super::resolve::{Identity, Root};

/// A small file, whole, with its answer prebuilt.
pub struct HotFile {
    /// The head of a 200 up to and with its empty line, then the body.
    pub(super) message: Vec<u8>,
    pub(super) head_length: usize,
    pub(super) description: Description,
    /// Where it is, for the next comparison.
    pub(super) path: CString,
    pub(super) identity: Identity,
}

impl HotFile {
    /// The whole message of a 200: head, then body. Its date, at [`sportello_wire::http1::answer::DATE_OF_OK`], is to be
    /// patched.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The head of a 200 without its empty line, for fields to be added.
    pub fn open_head(&self) -> &[u8] {
        self.message.get(..self.head_length.saturating_sub(2)).unwrap_or_default()
    }

    /// The head with its empty line.
    pub fn head(&self) -> &[u8] {
        self.message.get(..self.head_length).unwrap_or_default()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.message.get(self.head_length..).unwrap_or_default()
    }

    /// A part of the body.
    pub fn part(&self, range: Range<usize>) -> &[u8] {
        self.body().get(range).unwrap_or_default()
    }

    /// What is said of it.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What it takes of the cache.
    fn cost(&self) -> usize {
        self.message.capacity() + self.path.as_bytes().len() + OVERHEAD
    }
}

/// What a kept file takes besides its bytes: key, slot, tag; rounded up.
const OVERHEAD: usize = 512;

/// The files one worker keeps.
pub(super) struct HotFiles {
    most: usize,
    held: usize,
    index: HashMap<Rc<[u8]>, usize>,
    slots: Vec<Slot>,
    hand: usize,
    /// The slot that was found last: requests that come together are often alike, and a look at it spares the hash.
    latest: usize,
}

struct Slot {
    raw: Rc<[u8]>,
    file: Rc<HotFile>,
    /// It was compared with the file system at this moment or later.
    compared: Batch,
    used: bool,
}

impl HotFiles {
    pub(super) fn new(most: usize) -> Self {
        Self { most, held: 0, index: HashMap::new(), slots: Vec::new(), hand: 0, latest: 0 }
    }

    /// The file for a raw path, compared no earlier than `since`; one that has changed is forgotten.
    pub(super) fn find(&mut self, raw: &[u8], since: Batch, now: Batch, root: &Root) -> Option<Rc<HotFile>> {
        let at = match self.slots.get(self.latest) {
            Some(slot) if *slot.raw == *raw => self.latest,
            _ => *self.index.get(raw)?,
        };
        self.latest = at;
        let slot = self.slots.get_mut(at)?;
        if slot.compared < since {
            if root.identity(&slot.file.path) != Some(slot.file.identity) {
                self.forget(at);
                return None;
            }
            slot.compared = now;
        }
        slot.used = true;
        Some(Rc::clone(&slot.file))
    }

    /// Keeps a file that was read after the moment `compared`. One that would take more than an eighth of the room is not
    /// kept.
    pub(super) fn keep(&mut self, raw: &[u8], file: Rc<HotFile>, compared: Batch) {
        let cost = file.cost() + raw.len();
        if cost > self.most / 8 {
            return;
        }
        if let Some(&at) = self.index.get(raw) {
            self.forget(at);
        }
        while self.held + cost > self.most {
            self.evict();
        }
        let raw: Rc<[u8]> = raw.into();
        self.held += cost;
        self.index.insert(Rc::clone(&raw), self.slots.len());
        self.slots.push(Slot { raw, file, compared, used: false });
    }

    fn evict(&mut self) {
        while let Some(slot) = self.slots.get_mut(self.hand) {
            if !slot.used {
                return self.forget(self.hand);
            }
            slot.used = false;
            self.hand += 1;
        }
        self.hand = 0;
    }

    fn forget(&mut self, at: usize) {
        let gone = self.slots.swap_remove(at);
        self.held -= gone.file.cost() + gone.raw.len();
        self.index.remove(&gone.raw);
        if let Some(moved) = self.slots.get(at) {
            self.index.insert(Rc::clone(&moved.raw), at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::validators::FileValidators;
    use std::time::Duration;

    fn file(bytes: usize) -> Rc<HotFile> {
        let identity = Identity { device: 0, inode: 0, size: 0, modified: 0, changed: 0 };
        Rc::new(HotFile {
            message: Vec::with_capacity(bytes),
            head_length: 0,
            description: Description {
                validators: FileValidators::of(&identity, Duration::from_secs(1)),
                media_type: "text/plain",
                caching: "no-cache".into(),
            },
            path: CString::default(),
            identity,
        })
    }

    fn keep(files: &mut HotFiles, name: &str, bytes: usize) {
        files.keep(name.as_bytes(), file(bytes), Batch(1));
    }

    #[test]
    fn the_bound_holds_and_the_unused_goes_first() {
        let mut files = HotFiles::new(8 * (OVERHEAD + 1001));
        for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            keep(&mut files, name, 1000);
        }
        assert_eq!(files.slots.len(), 8);
        assert_eq!(files.held, files.most);
        for slot in &mut files.slots {
            slot.used = &*slot.raw != b"c";
        }
        keep(&mut files, "i", 1000);
        assert_eq!(files.slots.len(), 8);
        assert!(!files.index.contains_key(&b"c"[..]));
        for (raw, &at) in &files.index {
            assert_eq!(files.slots[at].raw, *raw);
        }
        // All used: one goes nevertheless.
        files.slots.iter_mut().for_each(|slot| slot.used = true);
        keep(&mut files, "j", 1000);
        assert_eq!(files.slots.len(), 8);
        assert!(files.held <= files.most);
    }

    #[test]
    fn what_is_too_large_is_not_kept_and_what_is_new_replaces() {
        let mut files = HotFiles::new(8 * (OVERHEAD + 1001));
        keep(&mut files, "a", 1001);
        assert!(files.slots.is_empty());
        keep(&mut files, "a", 1000);
        keep(&mut files, "a", 10);
        assert_eq!((files.slots.len(), files.held), (1, OVERHEAD + 11));
    }
}
