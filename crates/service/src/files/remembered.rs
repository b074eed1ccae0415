//! What a worker remembers of paths that lead to no file: that nothing was there, and the listing of a folder.
//!
//! A path where nothing was is looked at again with one system call before it is said again that nothing is there. A listing is
//! given again while its folder is unchanged, for [`LISTING_AGE`] at most: the sizes and times in it are not looked at again.
//! Bounded by [`MISSES`] paths of [`MISS_LENGTH_MOST`] bytes, and [`LISTINGS_BYTES`] bytes of listings.

use std::collections::VecDeque;
use std::ffi::CString;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::listing::View;
use super::media::Form;
use super::resolve::{self, Identity, Root};
use crate::web::{Answer, Body, Fields};

/// Paths that are remembered to lead nowhere.
const MISSES: usize = 256;
/// Longer paths are not remembered.
const MISS_LENGTH_MOST: usize = 256;
/// How old a listing may be that is given again.
const LISTING_AGE: Duration = Duration::from_secs(1);
/// Bytes of all listings that are kept.
const LISTINGS_BYTES: usize = 4 * 1024 * 1024;

/// Raw paths at which nothing was found. A new one takes the place of another that falls together with it.
pub(super) struct Misses {
    slots: Box<[Option<Miss>]>,
    hashes: RandomState,
}

struct Miss {
    raw: Box<[u8]>,
    path: CString,
}

impl Misses {
    pub(super) fn new() -> Self {
        Self { slots: (0..MISSES).map(|_| None).collect(), hashes: RandomState::new() }
    }

    /// Whether nothing was at this raw path, and still nothing is there.
    pub(super) fn still(&self, raw: &[u8], root: &Root) -> bool {
        let slot = self.slots.get(self.place(raw)).and_then(Option::as_ref);
        slot.is_some_and(|miss| *miss.raw == *raw && root.is_nothing(&miss.path))
    }

    /// Remembers that nothing was at `raw`, which leads to `names`.
    pub(super) fn keep(&mut self, raw: &[u8], names: &[u8]) {
        let place = self.place(raw);
        if raw.len() > MISS_LENGTH_MOST {
            return;
        }
        if let (Some(slot), Ok(path)) = (self.slots.get_mut(place), resolve::c_path(names)) {
            *slot = Some(Miss { raw: raw.into(), path });
        }
    }

    fn place(&self, raw: &[u8]) -> usize {
        // The remainder is less than the number of slots.
        (self.hashes.hash_one(raw) % MISSES as u64) as usize
    }
}

/// Listings that were made lately, the oldest first.
pub(super) struct Listings {
    kept: VecDeque<Listing>,
    held: usize,
}

/// What makes a listing the one that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) names: Vec<u8>,
    pub(super) view: View,
    pub(super) form: Form,
}

struct Listing {
    asked: Asked,
    path: CString,
    identity: Identity,
    made: Instant,
    fields: Fields,
    body: Bytes,
}

impl Listings {
    pub(super) fn new() -> Self {
        Self { kept: VecDeque::new(), held: 0 }
    }

    /// The listing that was made for the same question, while its folder is as it was.
    pub(super) fn find(&mut self, asked: &Asked, root: &Root) -> Option<Answer> {
        let now = Instant::now();
        while self.kept.front().is_some_and(|listing| now.saturating_duration_since(listing.made) > LISTING_AGE) {
            self.forget_oldest();
        }
        let listing = self.kept.iter().find(|listing| listing.asked == *asked)?;
        if root.folder_identity(&listing.path) != Some(listing.identity) {
            return None;
        }
        Some(Answer { status: 200, fields: listing.fields.clone(), body: Body::Bytes(listing.body.clone()) })
    }

    /// Keeps a listing of a folder that was `identity` before it was read, and whose later changes will show.
    pub(super) fn keep(&mut self, asked: Asked, identity: Identity, answer: &Answer) {
        let (Body::Bytes(body), Ok(path)) = (&answer.body, resolve::c_path(&asked.names)) else { return };
        let cost = body.len();
        if cost > LISTINGS_BYTES / 4 {
            return;
        }
        self.held = self.held.saturating_add(cost);
        let (fields, made) = (answer.fields.clone(), Instant::now());
        self.kept.push_back(Listing { asked, path, identity, made, fields, body: body.clone() });
        while self.held > LISTINGS_BYTES || self.kept.len() > LISTINGS_MOST {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(gone) = self.kept.pop_front() {
            self.held = self.held.saturating_sub(gone.body.len());
        }
    }
}

/// Listings that are kept at most: they are searched one after the other.
const LISTINGS_MOST: usize = 16;
