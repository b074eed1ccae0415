//! The forms of a file besides the plain one: encoded files that lie beside it, and what is encoded on the fly.
//!
//! An encoded file counts if it is not older than the plain one: what was changed after it was encoded is never given as it was before
//! (nginx does not look). Blocking threads only, but for [`Forms::are_still`]. Bounded by the codings that there are.

use std::ffi::CString;

use rustix::fs::FileType;
use sportello_wire::http1::coding::{Coding, Order};

use super::description::{Description, Extent};
use super::hot::HotFile;
use super::load;
use super::resolve::{self, Identity, Opened, Root, Way};
use super::settings::Settings;
use super::validators::{self, FileValidators};
use crate::compress::{self, Level};

/// The forms that one version of a file may have.
#[derive(Clone, Debug, Default)]
pub(super) struct Forms {
    stored: Box<[Stored]>,
    made: Box<[Level]>,
}

/// An encoded file that lies beside the plain one, or might.
#[derive(Clone, Debug)]
struct Stored {
    coding: Coding,
    names: Vec<u8>,
    path: CString,
    /// What was there.
    found: Option<Identity>,
    /// Whether that is not older than the plain one.
    use_of: Use,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Fit,
    Stale,
}

impl Forms {
    /// Looks for the forms of the file that `names` leads to.
    pub(super) fn of(root: &Root, names: &[u8], media_type: &str, plain: &Identity, settings: &Settings) -> Self {
        let stored = settings.precompressed.iter().filter_map(|&coding| Stored::look(root, names, coding, plain));
        let is_taken = settings.compression.takes(media_type, Some(plain.size));
        let made = if is_taken { settings.compression.levels.as_slice().into() } else { Box::default() };
        Self { stored: stored.collect(), made }
    }

    /// Whether there is more than the plain form, so that the answer depends on what the client takes.
    pub(super) fn vary(&self) -> bool {
        !self.made.is_empty() || self.stored.iter().any(|stored| stored.use_of == Use::Fit)
    }

    /// Whether there is, or can be made, a form of this coding.
    pub(super) fn has(&self, coding: Coding) -> bool {
        self.stored(coding).is_some() || self.level(coding).is_some()
    }

    /// About what it takes of memory.
    pub(super) fn cost(&self) -> usize {
        let stored = self.stored.iter().map(|stored| size_of::<Stored>() + 2 * stored.names.len());
        stored.sum::<usize>() + size_of_val(&*self.made)
    }

    /// Whether encoded files could lie beside the plain one.
    pub(super) fn may_change(&self) -> bool {
        !self.stored.is_empty()
    }

    /// Whether what lies beside the plain file is what was found there. One system call for each coding.
    pub(super) fn are_still(&self, root: &Root) -> bool {
        self.stored.iter().all(|stored| root.identity(&stored.path) == stored.found)
    }

    /// How the form of this coding is made, where none is stored.
    pub(super) fn level(&self, coding: Coding) -> Option<Level> {
        self.made.iter().copied().find(|level| level.coding() == coding)
    }

    fn stored(&self, coding: Coding) -> Option<&Stored> {
        self.stored.iter().find(|stored| stored.coding == coding && stored.use_of == Use::Fit)
    }

    /// Opens the stored form of this coding, if it is what was found.
    pub(super) fn open(&self, root: &Root, coding: Coding) -> Option<Opened> {
        let stored = self.stored(coding)?;
        let opened = root.open_beneath(&stored.names).ok()?;
        let is_it = opened.kind == FileType::RegularFile && Some(opened.identity) == stored.found;
        (is_it && opened.way == Way::Plain).then_some(opened)
    }

    /// The first form in the client's order that is stored, open; or how the first that is made is made.
    pub(super) fn first(&self, root: &Root, order: Order) -> First {
        for coding in order.iter() {
            if let Some(opened) = self.open(root, coding) {
                return First::Stored(coding, opened);
            }
            if let Some(level) = self.level(coding) {
                return First::Made(level);
            }
        }
        First::Plain
    }
}

/// The form that a client is given.
pub(super) enum First {
    Stored(Coding, Opened),
    Made(Level),
    Plain,
}

impl Stored {
    fn look(root: &Root, names: &[u8], coding: Coding, plain: &Identity) -> Option<Self> {
        let mut names = names.to_vec();
        names.extend_from_slice(extension(coding).as_bytes());
        let path = resolve::c_path(&names).ok()?;
        // One that changed just now may be changing still: it counts when it is looked for again.
        let now = validators::now();
        let found = root.identity(&path).filter(|found| validators::settles_in(found, now).is_none());
        let fits = found.is_some_and(|found| found.modified >= plain.modified);
        Some(Self { coding, names, path, found, use_of: if fits { Use::Fit } else { Use::Stale } })
    }
}

/// What the programs that encode files add to their names.
fn extension(coding: Coding) -> &'static str {
    match coding {
        Coding::Brotli => ".br",
        Coding::Zstd => ".zst",
        Coding::Gzip => ".gz",
    }
}

/// What is said of a stored form: all that is said of the plain one, but for what tells it apart.
pub(super) fn describe_stored(plain: &Description, coding: Coding, stored: &Identity) -> Description {
    let validators = FileValidators::of(stored, validators::now()).in_form(coding.name());
    Description { validators, coding: Some(coding), ..plain.clone() }
}

/// What is said of a form that is made as it is sent: how long it is nobody knows.
pub(super) fn describe_made(plain: &Description, level: Level) -> Description {
    let validators = plain.validators.clone().in_form(&form(level));
    Description { validators, coding: Some(level.coding()), extent: Extent::AsItComes, ..plain.clone() }
}

/// The form of this coding of a file in memory: the stored one, or one that is made now. `None`: it has none that is smaller.
pub(super) fn load(root: &Root, plain: &Plain, coding: Coding, settings: &Settings) -> Option<HotFile> {
    if let Some(opened) = plain.forms.open(root, coding)
        && let Some(file) = plain.stored(opened, coding, settings)
    {
        return Some(file);
    }
    let level = plain.forms.level(coding)?;
    let encoded = compress::encode(level, &plain.body).ok().filter(|encoded| encoded.len() < plain.body.len())?;
    let mut description = describe_made(&plain.description, level);
    description.validators.length = encoded.len() as u64;
    description.extent = Extent::Known;
    let (mut message, head_length) = load::begin(&description, encoded.len(), validators::now());
    message.extend_from_slice(&encoded);
    Some(plain.other(message, head_length, description))
}

/// A file in memory, as it goes to a blocking thread.
pub(super) struct Plain {
    body: Vec<u8>,
    description: Description,
    forms: Forms,
    path: CString,
    identity: Identity,
}

impl Plain {
    pub(super) fn of(file: &HotFile) -> Self {
        Self {
            body: file.body().to_vec(),
            description: file.description.clone(),
            forms: file.forms.clone(),
            path: file.path.clone(),
            identity: file.identity,
        }
    }

    /// A stored form of it, if that can be read as it was found and is not too large for memory.
    fn stored(&self, opened: Opened, coding: Coding, settings: &Settings) -> Option<HotFile> {
        if opened.identity.size > settings.hot_file {
            return None;
        }
        let description = describe_stored(&self.description, coding, &opened.identity);
        let (message, head_length) =
            load::read(&opened.file, &opened.identity, &description, validators::now()).ok()?;
        let after = Identity::of(&rustix::fs::fstat(&opened.file).ok()?);
        let is_whole = (message.len() - head_length) as u64 == opened.identity.size && after == opened.identity;
        is_whole.then(|| self.other(message, head_length, description))
    }

    fn other(&self, message: Vec<u8>, head_length: usize, description: Description) -> HotFile {
        let (path, identity) = (self.path.clone(), self.identity);
        HotFile { message, head_length, description, forms: Forms::default(), path, identity }
    }
}

/// What tells a form that was made from others: the coding, its level, and the generation of the libraries, whose next version may make
/// other bytes of the same.
fn form(level: Level) -> String {
    format!("{}{}.{GENERATION}", level.coding().name(), level.number())
}

/// To be raised with the version of a library that encodes: a strong tag promises the same bytes.
const GENERATION: u32 = 1;
