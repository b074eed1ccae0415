//! Files kept in memory, ready to be sent: head and body in one piece, the date left to be patched.
//!
//! Bounded by the bytes given; what was not used since the hand came by last goes first (the clock algorithm).

use std::collections::HashMap;
use std::ffi::CString;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use sportello_wire::http1::coding::{Coding, Order};
use tokio::time::Instant;

use super::Batch;
use super::description::Description;
use super::forms::Forms;
use super::resolve::{Identity, Root};
use super::settings::Settings;

/// A small file, whole, with its answer prebuilt.
pub struct HotFile {
    /// The head of a 200 up to and with its empty line, then the body.
    pub(super) message: Vec<u8>,
    pub(super) head_length: usize,
    pub(super) description: Description,
    /// The forms that it has besides; none of a form.
    pub(super) forms: Forms,
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
        self.message.capacity() + self.path.as_bytes().len() + self.forms.cost() + OVERHEAD
    }
}

/// What a kept file takes besides its bytes: key, slot, tag; rounded up.
const OVERHEAD: usize = 512;

/// Whether a file of so many bytes may be kept, as far as its length tells.
pub(super) fn has_room(size: u64, settings: &Settings) -> bool {
    size.saturating_add(OVERHEAD as u64) <= (settings.hot_files / 8) as u64
}

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
    /// Its other forms, by their codings.
    forms: [Form; Coding::ALL.len()],
    /// When it was last looked at what lies beside it.
    looked: Instant,
    /// It was compared with the file system at this moment or later.
    compared: Batch,
    used: bool,
}

/// What is known of a form.
#[derive(Clone)]
pub(super) enum Form {
    /// Nobody wanted it yet.
    Unmade,
    /// There is none, or it would not be smaller.
    None,
    Kept(Rc<HotFile>),
}

impl Slot {
    fn cost(&self) -> usize {
        let forms = self.forms.iter().map(|form| if let Form::Kept(form) = form { form.cost() } else { 0 });
        self.raw.len() + self.file.cost() + forms.sum::<usize>()
    }

    /// Whether the file, and what lies beside it, is as it was.
    fn is_still(&mut self, root: &Root) -> bool {
        if root.identity(&self.file.path) != Some(self.file.identity) {
            return false;
        }
        if self.file.forms.may_change() && self.looked.elapsed() >= FORMS_AGE {
            self.looked = Instant::now();
            return self.file.forms.are_still(root);
        }
        true
    }

    /// The form for this order; `None`: it is not made yet.
    fn form(&self, order: Order) -> Option<Rc<HotFile>> {
        for coding in order.iter() {
            match self.forms.get(coding as usize) {
                Some(Form::Kept(form)) => return Some(Rc::clone(form)),
                Some(Form::Unmade) => return None,
                _ => {}
            }
        }
        Some(Rc::clone(&self.file))
    }
}

/// How long an encoded file may lie beside a plain one unseen. It holds the same, so nobody is told anything wrong meanwhile; a plain
/// file that changed is seen at once, and its forms are forgotten with it.
const FORMS_AGE: Duration = Duration::from_secs(1);

impl HotFiles {
    pub(super) fn new(most: usize) -> Self {
        Self { most, held: 0, index: HashMap::new(), slots: Vec::new(), hand: 0, latest: 0 }
    }

    /// The file for a raw path in the first form of this order, compared no earlier than `since`; one that has changed is forgotten.
    pub(super) fn find(
        &mut self,
        raw: &[u8],
        order: Order,
        (since, now): (Batch, Batch),
        root: &Root,
    ) -> Option<Rc<HotFile>> {
        let at = match self.slots.get(self.latest) {
            Some(slot) if *slot.raw == *raw => self.latest,
            _ => *self.index.get(raw)?,
        };
        self.latest = at;
        let slot = self.slots.get_mut(at)?;
        if slot.compared < since {
            if !slot.is_still(root) {
                self.forget(at);
                return None;
            }
            slot.compared = now;
        }
        slot.used = true;
        if order.is_plain() { Some(Rc::clone(&slot.file)) } else { slot.form(order) }
    }

    /// What is known of a form of the very file that is kept under `raw`. Of one that is not kept, as what a link leads to, there is none:
    /// it would be made anew for each request, and others would wait for that.
    pub(super) fn form(&self, raw: &[u8], of: &Rc<HotFile>, coding: Coding) -> Form {
        let slot = self.index.get(raw).and_then(|&at| self.slots.get(at)).filter(|slot| Rc::ptr_eq(&slot.file, of));
        slot.and_then(|slot| slot.forms.get(coding as usize)).cloned().unwrap_or(Form::None)
    }

    /// Keeps a form of the very file that is kept under `raw`, or that it has none. One that would take more than an eighth of the room
    /// is not kept.
    pub(super) fn keep_form(&mut self, raw: &[u8], of: &Rc<HotFile>, coding: Coding, form: Option<&Rc<HotFile>>) {
        let cost = form.map_or(0, |form| form.cost());
        let Some(at) = self.index.get(raw).copied() else { return };
        let Some(slot) = self.slots.get_mut(at).filter(|slot| Rc::ptr_eq(&slot.file, of)) else { return };
        let Some(place) = slot.forms.get_mut(coding as usize).filter(|_| cost <= self.most / 8) else { return };
        if matches!(place, Form::Kept(_)) {
            return;
        }
        *place = form.map_or(Form::None, |form| Form::Kept(Rc::clone(form)));
        // What is kept for a client was used.
        slot.used = true;
        self.held += cost;
        while self.held > self.most {
            self.evict();
        }
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
        let forms = Coding::ALL.map(|coding| if file.forms.has(coding) { Form::Unmade } else { Form::None });
        self.slots.push(Slot { raw, file, forms, looked: Instant::now(), compared, used: false });
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
        self.held -= gone.cost();
        self.index.remove(&gone.raw);
        if let Some(moved) = self.slots.get(at) {
            self.index.insert(Rc::clone(&moved.raw), at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::description::{Extent, Varies};
    use crate::files::validators::FileValidators;

    fn file(bytes: usize) -> Rc<HotFile> {
        let identity = Identity { device: 0, inode: 0, size: 0, modified: 0, changed: 0 };
        Rc::new(HotFile {
            message: Vec::with_capacity(bytes),
            head_length: 0,
            description: Description {
                validators: FileValidators::of(&identity, Duration::from_secs(1)),
                media_type: "text/plain",
                caching: "no-cache".into(),
                coding: None,
                varies: Varies::No,
                extent: Extent::Known,
            },
            forms: Forms::default(),
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
    fn of_what_is_not_kept_no_form_is_made() {
        let mut files = HotFiles::new(1 << 20);
        let (kept, linked) = (file(1000), file(1000));
        files.keep(b"a", Rc::clone(&kept), Batch(1));
        files.slots[0].forms = [(); Coding::ALL.len()].map(|()| Form::Unmade);
        assert!(matches!(files.form(b"a", &kept, Coding::Brotli), Form::Unmade));
        // Another one under the same name, as what a link leads to, and one that nobody knows.
        assert!(matches!(files.form(b"a", &linked, Coding::Brotli), Form::None));
        assert!(matches!(files.form(b"b", &kept, Coding::Brotli), Form::None));
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

    #[test]
    fn forms_count_and_go_with_their_file() {
        let mut files = HotFiles::new(8 * (OVERHEAD + 1001));
        let plain = file(500);
        files.keep(b"a", Rc::clone(&plain), Batch(1));
        let before = files.held;
        files.keep_form(b"a", &plain, Coding::Gzip, Some(&file(300)));
        files.keep_form(b"a", &plain, Coding::Gzip, Some(&file(300)));
        files.keep_form(b"a", &plain, Coding::Zstd, None);
        assert_eq!(files.held, before + OVERHEAD + 300);
        assert!(matches!(files.form(b"a", &plain, Coding::Gzip), Form::Kept(_)));
        assert!(matches!(files.form(b"a", &plain, Coding::Zstd), Form::None));
        // Of another version there is none, and nothing is kept.
        assert!(matches!(files.form(b"a", &file(500), Coding::Gzip), Form::None));
        files.keep_form(b"a", &file(500), Coding::Brotli, Some(&file(1)));
        files.keep_form(b"a", &plain, Coding::Brotli, Some(&file(1002)));
        assert_eq!(files.held, before + OVERHEAD + 300, "too large for the room");
        files.keep(b"a", file(500), Batch(1));
        assert_eq!((files.held, files.slots.len()), (before, 1));
        // The room is kept to, and what goes is counted whole.
        for name in ["b", "c", "d", "e", "f", "g", "h"] {
            keep(&mut files, name, 1000);
        }
        let last = Rc::clone(&files.slots[files.index[&b"h"[..]]].file);
        files.keep_form(b"h", &last, Coding::Gzip, Some(&file(1001)));
        assert!(files.held <= files.most);
        while !files.slots.is_empty() {
            files.evict();
        }
        assert_eq!(files.held, 0);
    }
}
