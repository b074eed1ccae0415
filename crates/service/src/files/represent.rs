//! What of a file answers a request: 200, 206, 304, 412 or 416, as the request's conditions and range come out (RFC 9110 §13, §14).
//!
//! The same for a file in memory and one on the disk, and for every version of HTTP.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use sportello_wire::http1::condition::{Outcome, evaluate_lines};
use sportello_wire::http1::multipart::{Boundary, Multipart};
use sportello_wire::http1::range::{Part, Selected};
use tokio::task::JoinHandle;

use super::{Batch, Description, Files, Found, HotFile, LargeFile, PackedFile, Taste, preferred_form};
use crate::failure::Failure;
use crate::web::{Answer, Body, Broken, Fields, Pieces, Request};

/// What was decided: the status, its fields, and what follows them.
#[derive(Debug)]
pub struct Represented {
    /// 200, 206, 304, 412 or 416.
    pub status: u16,
    /// The fields of the answer but for its length.
    pub fields: Fields,
    /// The content.
    pub content: Content,
}

/// Which bytes of a file are the content of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These, perhaps none.
    One(Range<u64>),
    /// Several parts, and what separates them.
    Parts(Box<Multipart>),
}

impl Content {
    /// How many bytes that is.
    pub fn length(&self) -> u64 {
        match self {
            Self::One(range) => range.end.saturating_sub(range.start),
            Self::Parts(parts) => parts.length(),
        }
    }
}

/// A file of which some content is sent.
#[derive(Clone)]
pub enum Whole {
    /// In memory.
    Hot(Rc<HotFile>),
    /// On the disk, open.
    Large(Rc<LargeFile>),
    /// Any open file that nobody changes; its offset is not used.
    Open(Arc<File>),
}

/// The outcome of a request's conditions as an answer with this file's content.
pub fn represent(outcome: Outcome, file: &Description) -> Represented {
    let length = file.validators().length;
    let mut fields = Fields::new();
    let (status, content) = match file.allowed(outcome) {
        Outcome::Send(Selected::Whole) => {
            file.describe_with_type(&mut fields);
            (200, Content::One(0..length))
        }
        Outcome::Send(Selected::Part(part)) => {
            file.describe_with_type(&mut fields);
            set(&mut fields, "content-range", content_range(part, length));
            (206, Content::One(part.start..part.end()))
        }
        Outcome::Send(Selected::Parts(parts)) => {
            let parts = Multipart::new(&parts, length, file.media_type(), Boundary::from_random(unforeseen()));
            set(&mut fields, "content-type", parts.content_type());
            file.describe(&mut fields);
            (206, Content::Parts(parts.into()))
        }
        // RFC 9110 §15.5.17
        Outcome::Send(Selected::Unsatisfiable) => {
            set(&mut fields, "content-range", format!("bytes */{length}"));
            (416, Content::One(0..0))
        }
        // RFC 9110 §15.4.5: no content, and the fields that a 200 would have had for caches.
        Outcome::NotModified => {
            file.describe(&mut fields);
            (304, Content::One(0..0))
        }
        Outcome::Failed => (412, Content::One(0..0)),
    };
    Represented { status, fields, content }
}

/// RFC 9110 §14.4.
fn content_range(part: Part, whole: u64) -> String {
    format!("bytes {}-{}/{whole}", part.start, part.end().saturating_sub(1))
}

fn set(fields: &mut Fields, name: &'static str, value: String) {
    // Invariant: digits and fixed text may always be sent.
    let _ = fields.add(name, value);
}

/// A number that no one can guess: the standard library's keys against collisions come from the kernel.
fn unforeseen() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl Whole {
    /// Reads a part of it on a blocking thread; broken off where the file is shorter.
    fn read_aside(&self, part: Range<u64>) -> Option<JoinHandle<io::Result<Bytes>>> {
        let file = match self {
            Self::Hot(_) => return None,
            Self::Large(file) => Arc::clone(&file.file),
            Self::Open(file) => Arc::clone(file),
        };
        Some(tokio::task::spawn_blocking(move || {
            let length = usize::try_from(part.end.saturating_sub(part.start)).map_err(io::Error::other)?;
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, part.start)?;
            Ok(bytes.into())
        }))
    }

    fn was_rewritten(&self) -> bool {
        matches!(self, Self::Large(file) if file.was_rewritten())
    }
}

impl Files {
    /// Answers GET and HEAD with what the path leads to.
    ///
    /// # Errors
    /// When nothing may be found there.
    pub async fn answer(&self, request: &Request, now: u64) -> Result<Answer, Failure> {
        let form = preferred_form(request.fields.values("accept"));
        let accept_encoding = || request.fields.values("accept-encoding");
        let taste = Taste { form, order: self.order(accept_encoding()) };
        let found = self.find(request.path.encoded(), request.query.as_deref(), taste, Batch::begin()).await?;
        let (file, description) = match found {
            Found::Hot(file) => (Whole::Hot(Rc::clone(&file)), file.description().clone()),
            Found::Large(file) => match file.packed() {
                Ok(packed) => return Ok(Self::packed(packed, request, now)),
                Err(file) => {
                    let description = file.description.clone();
                    (Whole::Large(Rc::new(*file)), description)
                }
            },
            Found::Answer(answer) => return Ok(self.compressed(answer, request.method, accept_encoding()).await),
        };
        let outcome = evaluate_lines(request.method, &request.fields, &description.validators(), now);
        let Represented { status, fields, content } = represent(outcome, &description);
        Ok(Answer { status, fields, body: Body::Stored(Stored { file, content }) })
    }

    fn packed(file: PackedFile, request: &Request, now: u64) -> Answer {
        match evaluate_lines(request.method, &request.fields, &file.description.validators(), now) {
            Outcome::Send(_) => file.answer(),
            outcome => {
                let Represented { status, fields, .. } = represent(outcome, &file.description);
                Answer { status, fields, body: Body::Empty }
            }
        }
    }
}

/// Content that is kept somewhere and sent from there.
pub struct Stored {
    /// The file.
    pub file: Whole,
    /// What of it.
    pub content: Content,
}

/// Bytes that are read from a file, or copied from memory, at once.
const PIECE: u64 = 64 * 1024;

impl Stored {
    /// The content in pieces, for whoever cannot send it from where it is.
    pub fn into_pieces(self) -> Box<dyn Pieces> {
        let left = self.content.length();
        let stretches = match self.content {
            Content::One(range) => vec![Stretch::Stored(range)],
            Content::Parts(parts) => {
                let pieces = parts.pieces().iter().flat_map(|piece| {
                    [
                        Stretch::Text(Bytes::copy_from_slice(&piece.lines)),
                        Stretch::Stored(piece.part.start..piece.part.end()),
                    ]
                });
                pieces.chain([Stretch::Text(Bytes::copy_from_slice(parts.end()))]).collect()
            }
        };
        Box::new(InPieces { file: self.file, stretches: stretches.into_iter(), now: 0..0, left, reading: None })
    }
}

enum Stretch {
    Text(Bytes),
    Stored(Range<u64>),
}

struct InPieces {
    file: Whole,
    stretches: std::vec::IntoIter<Stretch>,
    /// What of the stretch under way is still to come.
    now: Range<u64>,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl InPieces {
    fn given(&mut self, piece: Bytes) -> Poll<Option<Result<Bytes, Broken>>> {
        self.left = self.left.saturating_sub(piece.len() as u64);
        Poll::Ready(Some(Ok(piece)))
    }
}

impl Pieces for InPieces {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(std::pin::Pin::new(reading).poll(context));
                self.reading = None;
                // A file that was cut short or written anew meanwhile breaks off: two versions are never passed off as one.
                return match read {
                    Ok(Ok(piece)) if !self.file.was_rewritten() => self.given(piece),
                    _ => Poll::Ready(Some(Err(Broken::Left))),
                };
            }
            if self.now.is_empty() {
                match self.stretches.next() {
                    None => return Poll::Ready(None),
                    Some(Stretch::Text(text)) => return self.given(text),
                    Some(Stretch::Stored(range)) => self.now = range,
                }
                continue;
            }
            let (start, end) = (self.now.start, self.now.end.min(self.now.start.saturating_add(PIECE)));
            self.now.start = end;
            match &self.file {
                Whole::Hot(file) => {
                    // A body in memory is addressable.
                    let piece = Bytes::copy_from_slice(file.part(start as usize..end as usize));
                    return self.given(piece);
                }
                file => self.reading = file.read_aside(start..end),
            }
        }
    }

    fn left(&self) -> Option<u64> {
        Some(self.left)
    }
}
