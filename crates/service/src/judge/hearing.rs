//! A message as it is read for judging: its header kept, its body hashed while it passes.
//!
//! Decides nothing and asks nobody. What our own server puts in front of a message, or changes in it, is not for here: signatures
//! are over what the sender sent. Bounded by: [`HEADER_LARGEST`], [`FIELDS_MOST`], and two hashes at most for each of the few
//! signatures that are looked at; the body is never kept.

use mail_auth::AuthenticatedMessage;
use mail_auth::common::crypto::{HashAlgorithm, HashContext, HashImpl};
use mail_auth::dkim::Canonicalization;
use mail_auth::dkim::canonicalize::BodyHasher;
use sha2::{Digest, Sha256};
use sportello_wire::mail::header::{self, Fields};
use sportello_wire::mail::relaxed::Relaxed;

use super::known::caught;

/// The most bytes of a header that is judged.
pub const HEADER_LARGEST: usize = 256 << 10;
/// The most fields of a header that is judged.
pub const FIELDS_MOST: usize = 1_000;

/// A message that is being read. Give it all that the sender sent, in pieces of any size.
pub struct Hearing {
    header: Vec<u8>,
    state: State,
}

enum State {
    Header,
    Body(Vec<Hasher>),
    /// Nothing more is kept: the header is too large.
    Refused,
}

/// What hashes a body in one of its two forms.
enum Hasher {
    Simple(BodyHasher<<mail_auth::common::crypto::Sha256 as HashImpl>::Context>),
    // `mail-auth` keeps lines of spaces at the end of a body.
    Relaxed(Box<Relaxed>, Sha256),
}

/// A message that was read whole.
#[derive(Debug)]
pub struct Heard {
    pub(super) header: Vec<u8>,
    pub(super) hashes: Vec<(Canonicalization, Vec<u8>)>,
    /// Why nothing can be said of it.
    pub(super) refused: Option<&'static str>,
}

impl std::fmt::Debug for Hearing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Hearing").field("header", &self.header.len()).finish_non_exhaustive()
    }
}

impl Default for Hearing {
    fn default() -> Self {
        Self::new()
    }
}

impl Hearing {
    /// Nothing was read so far.
    pub fn new() -> Self {
        Self { header: Vec::new(), state: State::Header }
    }

    /// Takes the next bytes.
    pub fn take(&mut self, mut bytes: &[u8]) {
        if let State::Header = self.state {
            let before = self.header.len();
            let room = (HEADER_LARGEST + 1).saturating_sub(before).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.header.extend_from_slice(now);
            // The empty line may begin in what came before.
            let seen = if before < 4 { 0 } else { before - 3 };
            let end = self.header.get(seen..).and_then(|new| end(new, seen));
            match end {
                Some(end) if end <= HEADER_LARGEST => {
                    let begun = self.header.split_off(end);
                    let mut hashers = hashers(&self.header);
                    feed(&mut hashers, &begun);
                    self.state = State::Body(hashers);
                    bytes = later;
                }
                _ if self.header.len() > HEADER_LARGEST => {
                    self.header = Vec::new();
                    self.state = State::Refused;
                    return;
                }
                _ => return,
            }
        }
        if let State::Body(hashers) = &mut self.state {
            feed(hashers, bytes);
        }
    }

    /// The whole message was read.
    pub fn finish(self) -> Heard {
        let Self { mut header, state } = self;
        let hashers = match state {
            State::Body(hashers) => hashers,
            State::Refused => return Heard::refused("its header is too large to be judged"),
            State::Header => {
                if !header.ends_with(b"\r\n") && !header.is_empty() {
                    header.extend_from_slice(b"\r\n");
                }
                hashers(&header)
            }
        };
        if Fields::new(&header).nth(FIELDS_MOST).is_some() {
            return Heard::refused("it has too many header fields to be judged");
        }
        Heard { header, hashes: hashers.into_iter().map(Hasher::finish).collect(), refused: None }
    }
}

impl Heard {
    fn refused(why: &'static str) -> Self {
        Self { header: Vec::new(), hashes: Vec::new(), refused: Some(why) }
    }

    /// The header with what is known of its signatures, each with the hash of the body as it was read.
    pub(super) fn signed(&self) -> Option<AuthenticatedMessage<'_>> {
        let mut message = AuthenticatedMessage::parse(&self.header)?;
        for (canonicalization, algorithm, _, hash) in &mut message.body_hashes {
            let known = self.hashes.iter().find(|(known, _)| known == canonicalization);
            match known {
                Some((_, known)) if *algorithm == HashAlgorithm::Sha256 => hash.clone_from(known),
                // No signature by SHA-1 agrees with it (RFC 8301 §3.1).
                _ => hash.clear(),
            }
        }
        Some(message)
    }
}

/// Where the body begins, in a header of which `seen` bytes were looked at before.
fn end(new: &[u8], seen: usize) -> Option<usize> {
    if seen == 0 { header::end(new) } else { memchr::memmem::find(new, b"\r\n\r\n").map(|at| seen + at + 4) }
}

/// What the signatures in a header want of the body.
fn hashers(header: &[u8]) -> Vec<Hasher> {
    let Some(message) = caught(|| AuthenticatedMessage::parse(header)).flatten() else { return Vec::new() };
    let wanted = |form| {
        let mut hashes = message.body_hashes.iter();
        hashes.any(|(its, algorithm, ..)| *its == form && *algorithm == HashAlgorithm::Sha256)
    };
    let forms = [Canonicalization::Simple, Canonicalization::Relaxed];
    forms.into_iter().filter(|form| wanted(*form)).map(Hasher::new).collect()
}

fn feed(hashers: &mut [Hasher], bytes: &[u8]) {
    for hasher in hashers {
        hasher.take(bytes);
    }
}

impl Hasher {
    fn new(form: Canonicalization) -> Self {
        match form {
            Canonicalization::Simple => {
                Self::Simple(BodyHasher::new(mail_auth::common::crypto::Sha256::hasher(), form, 0))
            }
            Canonicalization::Relaxed => Self::Relaxed(Box::default(), Sha256::new()),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        match self {
            Self::Simple(hasher) => hasher.write(bytes),
            Self::Relaxed(relaxed, hash) => relaxed.take(bytes, |piece| hash.update(piece)),
        }
    }

    fn finish(self) -> (Canonicalization, Vec<u8>) {
        match self {
            Self::Simple(hasher) => (Canonicalization::Simple, hasher.finish().0.complete().as_ref().to_vec()),
            Self::Relaxed(relaxed, mut hash) => {
                relaxed.finish(|piece| hash.update(piece));
                (Canonicalization::Relaxed, hash.finalize().to_vec())
            }
        }
    }
}
