//! What is done for one path on a blocking thread: open, read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::FileType;
use sportello_wire::date;
use sportello_wire::http1::answer::{AnswerHead, Said};
use sportello_wire::http1::coding::Order;
use sportello_wire::http1::target::{PathEnd, TreePath, encode_name};

use super::description::{Description, Extent, Varies};
use super::forms::{self, First, Forms};
use super::hot::{self, HotFile};
use super::media;
use super::resolve::{self, Identity, Opened, Root, Way};
use super::settings::{Listings, Settings};
use super::validators::{self, FileValidators};
use crate::compress::{Encoded, Level, PIECE, Place, Source};
use crate::failure::{Class, Failure};
use crate::web::{Answer, Body, Broken, Fields};

/// What was found.
pub(super) enum Loaded {
    Small(Box<HotFile>, Settled),
    Large(Box<LargeFile>),
    /// A folder to be listed.
    Folder(Folder),
    /// A folder was meant, without its slash: where it is.
    Moved(String),
}

/// An open folder.
pub(super) struct Folder {
    pub(super) file: File,
}

impl Folder {
    /// What it is now, if a later change of it will show.
    pub(super) fn look(&self) -> Option<Identity> {
        let now = validators::now();
        let identity = Identity::of(&rustix::fs::fstat(&self.file).ok()?);
        validators::settles_in(&identity, now).is_none().then_some(identity)
    }
}

/// Whether what was read may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// A later change will show.
    Cacheable,
    /// It will, this much later.
    In(Duration),
    /// It was reached through links, or changes faster than it can be read: for this once only.
    Never,
}

/// A file to be sent from its descriptor.
#[derive(Debug)]
pub struct LargeFile {
    /// It, open for reading.
    pub file: Arc<File>,
    /// What is said of it; the length of its validators is what must be sent.
    pub description: Description,
    /// How it is encoded while it is sent, for a client that takes it so.
    pub(super) packing: Option<Packing>,
    /// How long until it can be told by its tag.
    pub(super) settles_in: Option<Duration>,
    pub(super) identity: Identity,
}

/// A way to encode a file while it is sent.
#[derive(Debug)]
pub(super) struct Packing {
    pub(super) level: Level,
    pub(super) description: Description,
}

/// A large file that is encoded while it is sent.
pub struct PackedFile {
    /// What is said of it.
    pub description: Description,
    /// It.
    pub body: Encoded,
}

impl PackedFile {
    /// All of it.
    pub fn answer(self) -> Answer {
        let mut fields = Fields::new();
        self.description.describe_with_type(&mut fields);
        Answer { status: 200, fields, body: Body::Pieces(Box::new(self.body)) }
    }
}

impl LargeFile {
    /// The same to be encoded while it is sent, where the client takes that and there is a place for it; else as it is.
    ///
    /// # Errors
    /// No error: it is to be sent as it is.
    pub fn packed(mut self: Box<Self>) -> Result<PackedFile, Box<Self>> {
        let Some(packing) = self.packing.take() else { return Err(self) };
        let Some(place) = Place::take(packing.level, Some(self.identity.size)) else { return Err(self) };
        let body = Encoded::read(Box::new(Pages { file: self, at: 0 }), place);
        Ok(PackedFile { description: packing.description, body })
    }

    /// Whether the content was written anew since it was opened, so that what is sent might be of two versions. One that only
    /// grew, as a log does, begins as it began. Costs one `fstat`.
    pub fn was_rewritten(&self) -> bool {
        match rustix::fs::fstat(&self.file) {
            Ok(stat) => {
                let now = Identity::of(&stat);
                now.modified != self.identity.modified && now.size <= self.identity.size
            }
            Err(_) => true,
        }
    }
}

/// The content of a large file, as it was when it was opened.
struct Pages {
    file: Box<LargeFile>,
    at: u64,
}

impl Source for Pages {
    fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Broken> {
        let left = self.file.identity.size.saturating_sub(self.at);
        into.resize(usize::try_from(left).unwrap_or(PIECE).min(PIECE), 0);
        // It was cut short, or written anew: less than there was, or of two versions, is never passed off as all.
        self.file.file.read_exact_at(into, self.at).map_err(|_| Broken::Left)?;
        self.at = self.at.saturating_add(into.len() as u64);
        if into.is_empty() && self.file.was_rewritten() { Err(Broken::Left) } else { Ok(()) }
    }
}

/// How often a file that changes while it is read is read again.
const READ_TRIES: usize = 3;

/// Opens what the path leads to; a small file is read.
pub(super) fn load(root: &Root, path: &TreePath, order: Order, settings: &Settings) -> Result<Loaded, Failure> {
    // Before the file is looked at, so that any later change is younger than this.
    let now = validators::now();
    let opened = root.open_beneath(&path.names)?;
    match (opened.kind, path.end) {
        (FileType::Directory, PathEnd::Name) => Ok(Loaded::Moved(with_slash(path))),
        (FileType::Directory, PathEnd::Slash) => {
            for name in settings.index.iter() {
                let index = within(path, name);
                if let Some(opened) = regular(root.open_beneath(&index))? {
                    return file(root, opened, &index, (order, settings), now);
                }
            }
            match settings.listing {
                Listings::Off => Err(resolve::not_found()),
                Listings::On { .. } => Ok(Loaded::Folder(Folder { file: opened.file })),
            }
        }
        (_, PathEnd::Name) => file(root, opened, &path.names, (order, settings), now),
        // A file is not a folder: relative links in it would lead elsewhere.
        (_, PathEnd::Slash) => Err(resolve::not_found()),
    }
}

/// An index that is a regular file, or that there is none. One that is there and cannot be opened must not be answered with
/// the names beside it.
fn regular(index: Result<Opened, Failure>) -> Result<Option<Opened>, Failure> {
    match index {
        Ok(opened) => Ok(Some(opened).filter(|opened| opened.kind == FileType::RegularFile)),
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The path of a name in a folder.
fn within(folder: &TreePath, name: &str) -> Vec<u8> {
    let mut index = folder.names.clone();
    if !index.is_empty() {
        index.push(b'/');
    }
    index.extend_from_slice(name.as_bytes());
    index
}

/// A folder without its slash. The place is written anew from the decoded names, which are neither empty nor hold a slash,
/// so it never begins with `//` and cannot name another host.
fn with_slash(path: &TreePath) -> String {
    let mut place = String::new();
    for name in path.segments() {
        place.push('/');
        encode_name(name, &mut place);
    }
    place.push('/');
    place
}

fn file(
    root: &Root,
    opened: Opened,
    names: &[u8],
    (order, settings): (Order, &Settings),
    now: Duration,
) -> Result<Loaded, Failure> {
    let media_type = media::type_of(names);
    let caching = settings.caching.of(names, media_type);
    let describe = |validators, forms: &Forms| Description {
        validators,
        media_type,
        caching: Arc::clone(&caching),
        coding: None,
        varies: if forms.vary() { Varies::ByCoding } else { Varies::No },
        extent: Extent::Known,
    };
    let is_large = opened.identity.size > settings.hot_file;
    // What nobody keeps is not encoded whole for one client, while others wait for theirs: it is encoded as it is sent.
    let is_sent_once = opened.way == Way::Links || !hot::has_room(opened.identity.size, settings);
    if is_large || is_sent_once && !order.is_plain() {
        let forms = Forms::of(root, names, media_type, &opened.identity, settings);
        let form = forms.first(root, order);
        if is_large || !matches!(form, First::Plain) {
            let description = describe(FileValidators::of(&opened.identity, now), &forms);
            return Ok(Loaded::Large(Box::new(large(opened, description, form, now))));
        }
    }
    let (mut identity, mut now) = (opened.identity, now);
    let mut tries = 1;
    loop {
        let forms = Forms::of(root, names, media_type, &identity, settings);
        let validators = match tries {
            // What changes again and again is sent as it is found, and no tag says that it is one version.
            READ_TRIES => FileValidators::untagged(&identity, now),
            _ => FileValidators::of(&identity, now),
        };
        let description = describe(validators, &forms);
        let (message, head_length) = read(&opened.file, &identity, &description, now)?;
        let after =
            Identity::of(&rustix::fs::fstat(&opened.file).map_err(|error| Failure::internal(io::Error::from(error)))?);
        let whole = message.len() - head_length == usize::try_from(identity.size).unwrap_or(usize::MAX);
        if whole && (after == identity || tries == READ_TRIES) {
            let settled = match validators::settles_in(&identity, now) {
                _ if opened.way == Way::Links || after != identity => Settled::Never,
                None => Settled::Cacheable,
                Some(wait) => Settled::In(wait),
            };
            let path = resolve::c_path(names)?;
            let file = HotFile { message, head_length, description, forms, path, identity };
            return Ok(Loaded::Small(Box::new(file), settled));
        }
        if tries == READ_TRIES || after.size > settings.hot_file {
            return Err(Failure::new(Class::TryAgain, "the file changes while it is read"));
        }
        now = validators::now();
        identity = after;
        tries += 1;
    }
}

/// A large file in the form that the client is given.
fn large(plain: Opened, description: Description, form: First, now: Duration) -> LargeFile {
    let (opened, description, packing) = match form {
        First::Stored(coding, opened) => {
            let description = forms::describe_stored(&description, coding, &opened.identity);
            (opened, description, None)
        }
        First::Made(level) => {
            let packed = forms::describe_made(&description, level);
            (plain, description, Some(Packing { level, description: packed }))
        }
        First::Plain => (plain, description, None),
    };
    let settles_in = validators::settles_in(&opened.identity, now);
    LargeFile { file: opened.file.into(), description, packing, settles_in, identity: opened.identity }
}

/// Reads a file that should be as long as `identity` says behind a prebuilt head; the body may come out shorter.
pub(super) fn read(
    file: &File,
    identity: &Identity,
    description: &Description,
    now: Duration,
) -> Result<(Vec<u8>, usize), Failure> {
    let length = usize::try_from(identity.size).map_err(Failure::internal)?;
    let (mut message, head_length) = begin(description, length, now);
    message.resize(head_length + length, 0);
    let mut at = head_length;
    while let Some(rest) = message.get_mut(at..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, (at - head_length) as u64) {
            Ok(0) => break,
            Ok(count) => at += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::internal(error)),
        }
    }
    message.truncate(at);
    Ok((message, head_length))
}

/// The head of a 200 with so many bytes of content, and room for them.
pub(super) fn begin(description: &Description, length: usize, now: Duration) -> (Vec<u8>, usize) {
    let mut message = Vec::with_capacity(HEAD_ROOM + length);
    let mut head = AnswerHead::begin(&mut message, 200, &date::imf_fixdate(now.as_secs()));
    description.write_with_type(&mut head);
    head.length(length as u64);
    head.end(Said::Nothing);
    let head_length = message.len();
    (message, head_length)
}

/// Room for the prebuilt head, so that a small file is one allocation of the right size.
const HEAD_ROOM: usize = 448;

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn only_an_index_that_is_not_there_gives_way_to_the_listing() {
        for absent in [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::NXIO] {
            assert!(regular(Err(resolve::refused(absent))).unwrap().is_none(), "{absent}");
        }
        for (error, class) in [
            (Errno::ACCESS, Class::Forbidden),
            (Errno::MFILE, Class::Busy),
            (Errno::NFILE, Class::Busy),
            (Errno::NOMEM, Class::Busy),
            (Errno::IO, Class::Internal),
        ] {
            assert_eq!(regular(Err(resolve::refused(error))).unwrap_err().class, class, "{error}");
        }
        let root = Root::open(&std::env::temp_dir()).unwrap();
        assert!(regular(root.open_beneath(b"")).unwrap().is_none(), "a folder is no index");
    }
}
