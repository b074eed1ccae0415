//! What is done for one path on a blocking thread: open, read, list.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::fs::FileType;
use sportello_wire::date;
use sportello_wire::http1::answer::{AnswerHead, Said};
use sportello_wire::http1::target::{PathEnd, TreePath, encode_name};

use super::hot::HotFile;
use super::listing;
use super::media::{self, Form};
use super::resolve::{self, Identity, Opened, Root, Way};
use super::validators::{self, FileValidators};
use crate::failure::Failure;
use crate::web::{Answer, Body};

/// What was found.
pub(super) enum Loaded {
    Small(HotFile, Settled),
    Large(LargeFile),
    Answer(Answer),
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
    pub file: File,
    /// What a conditional request is compared with; its length is what must be sent.
    pub validators: FileValidators,
    /// Its media type.
    pub media_type: &'static str,
    /// How long until it can be told by its tag.
    pub(super) settles_in: Option<Duration>,
}

/// How often a file that changes while it is read is read again.
const READ_TRIES: usize = 3;

/// Opens what the path leads to; a file of at most `most` bytes is read.
pub(super) fn load(root: &Root, path: &TreePath, form: Form, most: u64) -> Result<Loaded, Failure> {
    // Before the file is looked at, so that any later change is younger than this.
    let now = validators::now();
    let opened = root.open_beneath(&path.names)?;
    match (opened.kind, path.end) {
        (FileType::Directory, PathEnd::Name) => Ok(Loaded::Answer(moved_to_folder(path))),
        (FileType::Directory, PathEnd::Slash) => {
            let index = index_of(path);
            match root.open_beneath(&index) {
                Ok(opened) if opened.kind == FileType::RegularFile => file(opened, &index, most, now),
                _ => listing::answer(root, opened.file, path, form).map(Loaded::Answer),
            }
        }
        (_, PathEnd::Name) => file(opened, &path.names, most, now),
        // A file is not a folder: relative links in it would lead elsewhere.
        (_, PathEnd::Slash) => Err(resolve::not_found()),
    }
}

fn index_of(folder: &TreePath) -> Vec<u8> {
    let mut index = folder.names.clone();
    if !index.is_empty() {
        index.push(b'/');
    }
    index.extend_from_slice(b"index.html");
    index
}

/// A folder without its slash. The place is written anew from the decoded names, which are neither empty nor hold a slash,
/// so it never begins with `//` and cannot name another host.
fn moved_to_folder(path: &TreePath) -> Answer {
    let mut place = String::new();
    for name in path.segments() {
        place.push('/');
        encode_name(name, &mut place);
    }
    place.push('/');
    Answer { status: 301, fields: Vec::new(), body: Body::Empty }.with("location", place)
}

fn file(opened: Opened, names: &[u8], most: u64, now: Duration) -> Result<Loaded, Failure> {
    let media_type = media::type_of(names);
    if opened.identity.size > most {
        let validators = FileValidators::of(&opened.identity, now);
        let settles_in = validators::settles_in(&opened.identity, now);
        return Ok(Loaded::Large(LargeFile { file: opened.file, validators, media_type, settles_in }));
    }
    let (mut identity, mut now) = (opened.identity, now);
    let mut tries = 1;
    loop {
        let (message, head_length, validators) = read(&opened.file, &identity, media_type, now)?;
        let after = Identity::of(
            &rustix::fs::fstat(&opened.file).map_err(|error| Failure::internal(std::io::Error::from(error)))?,
        );
        let whole = message.len() - head_length == usize::try_from(identity.size).unwrap_or(usize::MAX);
        if whole && (after == identity || tries == READ_TRIES) {
            let settled = match validators::settles_in(&identity, now) {
                _ if opened.way == Way::Links || after != identity => Settled::Never,
                None => Settled::Cacheable,
                Some(wait) => Settled::In(wait),
            };
            let path = resolve::c_path(names)?;
            return Ok(Loaded::Small(
                HotFile { message, head_length, validators, media_type, path, identity },
                settled,
            ));
        }
        if tries == READ_TRIES || after.size > most {
            return Err(Failure::new(crate::failure::Class::TryAgain, "the file changes while it is read"));
        }
        now = validators::now();
        identity = after;
        tries += 1;
    }
}

/// Reads a file that should be as long as `identity` says behind a prebuilt head; the body may come out shorter.
fn read(
    file: &File,
    identity: &Identity,
    media_type: &'static str,
    now: Duration,
) -> Result<(Vec<u8>, usize, FileValidators), Failure> {
    let validators = FileValidators::of(identity, now);
    let length = usize::try_from(identity.size).map_err(Failure::internal)?;
    let mut message = Vec::with_capacity(HEAD_ROOM + length);
    let mut head = AnswerHead::begin(&mut message, 200, &date::imf_fixdate(now.as_secs()));
    fields(&mut head, &validators, media_type);
    head.length(identity.size);
    head.end(Said::Nothing);
    let head_length = message.len();
    message.resize(head_length + length, 0);
    let mut at = head_length;
    while let Some(rest) = message.get_mut(at..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, (at - head_length) as u64) {
            Ok(0) => break,
            Ok(count) => at += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::internal(error)),
        }
    }
    message.truncate(at);
    Ok((message, head_length, validators))
}

/// Room for the prebuilt head, so that a small file is one allocation of the right size.
const HEAD_ROOM: usize = 384;

/// The fields that every answer with a file's content bears (and, but for the type, a 304; RFC 9110 §15.4.5).
pub(super) fn fields(head: &mut AnswerHead<'_>, validators: &FileValidators, media_type: &str) {
    // What is refused here is left out; neither a tag of hex digits nor a media type of the table is.
    let _ = head.field("content-type", media_type.as_bytes());
    validator_fields(head, validators);
}

fn validator_fields(head: &mut AnswerHead<'_>, validators: &FileValidators) {
    if !validators.etag.is_empty() {
        let _ = head.field("etag", &validators.etag);
    }
    let _ = head.field("last-modified", &date::imf_fixdate(validators.modified));
    // A file is looked at each time, here; `no-cache` lets a browser do so too, instead of guessing how long it stays.
    head.lines("accept-ranges: bytes\r\ncache-control: no-cache\r\nx-content-type-options: nosniff\r\n");
}

impl FileValidators {
    /// Writes the fields of a 200 or 206 but for length and range.
    pub fn write_with_type(&self, head: &mut AnswerHead<'_>, media_type: &str) {
        fields(head, self, media_type);
    }

    /// Writes the fields of a 304 (RFC 9110 §15.4.5).
    pub fn write(&self, head: &mut AnswerHead<'_>) {
        validator_fields(head, self);
    }
}
