//! What a site says about the folder it serves, checked: bounds on memory, indexes, listings, hidden names, symbolic
//! links, error pages, Cache-Control.
//!
//! Knows no file yet: an error page that is not there when it is needed is replaced by the plain page of our own.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use sportello_wire::http1::coding::Coding;
use sportello_wire::http1::target::{BadPath, PathEnd, TreePath, encode_name};
use thiserror::Error;

pub use super::caching::{CacheRule, CacheRuleError, Caching};
pub use super::links::Links;
use crate::compress::Compression;

/// How one folder is served, and what one worker may hold of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The largest file that is kept in memory, bytes; a larger one is sent from its descriptor.
    pub hot_file: u64,
    /// All files of this folder that one worker keeps in memory, bytes.
    pub hot_files: usize,
    /// The files that answer for their folder.
    pub index: IndexNames,
    /// What is answered for a folder without such a file.
    pub listing: Listings,
    /// Whether names that begin with a dot are there.
    pub hidden: HiddenNames,
    /// Which symbolic links are followed.
    pub links: Links,
    /// The pages of the site's own for statuses of errors.
    pub error_pages: ErrorPages,
    /// What caches are told.
    pub caching: Caching,
    /// The codings of encoded files that may lie beside the plain ones, the one that is liked best first.
    pub precompressed: Vec<Coding>,
    /// What is encoded on the fly.
    pub compression: Compression,
}

impl Settings {
    /// The codings that are offered, the one that is liked best first: what is stored costs nothing, so it is liked better than what is
    /// made.
    pub(super) fn offered(&self) -> Box<[Coding]> {
        let all = self.precompressed.iter().copied().chain(self.compression.codings());
        let mut offered: Vec<Coding> = Vec::new();
        for coding in all {
            if !offered.contains(&coding) {
                offered.push(coding);
            }
        }
        offered.into()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hot_file: 256 * 1024,
            hot_files: 32 * 1024 * 1024,
            index: IndexNames::default(),
            listing: Listings::default(),
            hidden: HiddenNames::NotThere,
            links: Links::Beneath,
            error_pages: ErrorPages::default(),
            caching: Caching::default(),
            precompressed: Vec::new(),
            compression: Compression::default(),
        }
    }
}

/// The files that answer for the folder they lie in: the first that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexNames(Box<[Box<str>]>);

/// What names no file in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} names no file in a folder: write a name without slashes, such as \"index.html\"")]
pub struct BadIndexName(String);

impl IndexNames {
    /// The most there can be: each is looked for, one after the other.
    pub const MOST: usize = 8;

    /// These, in the order in which they are looked for; the ones behind [`IndexNames::MOST`] are not.
    ///
    /// # Errors
    /// When one is not a name.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, BadIndexName> {
        let name = |name: &'a str| match name {
            "" | "." | ".." => Err(BadIndexName(name.to_owned())),
            _ if name.contains(['/', '\\', '\0']) => Err(BadIndexName(name.to_owned())),
            _ => Ok(name.into()),
        };
        names.into_iter().take(Self::MOST).map(name).collect::<Result<_, _>>().map(Self)
    }

    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }
}

impl Default for IndexNames {
    fn default() -> Self {
        Self([Box::from("index.html")].into())
    }
}

/// Whether folders without an index are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listings {
    /// They are not found.
    Off,
    /// They are, this many entries on one page.
    On {
        /// Entries per page, at most [`Listings::MOST_PER_PAGE`]; more counts as that.
        per_page: NonZeroU32,
    },
}

impl Listings {
    /// The most entries one page may have.
    pub const MOST_PER_PAGE: u32 = 10_000;
    /// The entries of one page where nothing else is said.
    pub const PER_PAGE: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
}

impl Default for Listings {
    fn default() -> Self {
        Self::On { per_page: Self::PER_PAGE }
    }
}

/// Whether names that begin with a dot can be asked for. `.well-known` (RFC 8615) always can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HiddenNames {
    /// They are answered as if they were not there, and not listed.
    #[default]
    NotThere,
    /// They are files and folders like others.
    Served,
}

/// A site's own pages for errors: status → file beneath the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorPages(BTreeMap<u16, ErrorPage>);

/// One page: where it is, and as what it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ErrorPage {
    pub(super) path: TreePath,
    /// Without the slash in front that every path of a request has: a page that is hidden from requests stays so.
    pub(super) key: Box<[u8]>,
}

/// An error page that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ErrorPageError {
    /// No answer with this status has a page.
    #[error("{0} is no status of an error: name one from 400 to 599")]
    Status(u16),
    /// The path names no file.
    #[error("{0:?} names no file beneath the root; write a path such as \"/404.html\"")]
    NoFile(String),
    /// The path cannot be used.
    #[error("{0:?} cannot be the path of a page: {1}")]
    Path(String, #[source] BadPath),
}

impl ErrorPages {
    /// Says which file is the page for `status`: a path below the root, `/404.html` or `404.html`, not percent-encoded.
    ///
    /// # Errors
    /// When the status has no page, or the path leads out of the root or to a folder.
    pub fn set(&mut self, status: u16, path: &str) -> Result<(), ErrorPageError> {
        if !(400..=599).contains(&status) {
            return Err(ErrorPageError::Status(status));
        }
        let mut raw = String::new();
        for name in path.strip_prefix('/').unwrap_or(path).split('/') {
            raw.push('/');
            encode_name(name.as_bytes(), &mut raw);
        }
        let decoded = TreePath::decode(raw.as_bytes()).map_err(|bad| ErrorPageError::Path(path.to_owned(), bad))?;
        if decoded.end == PathEnd::Slash {
            return Err(ErrorPageError::NoFile(path.to_owned()));
        }
        let key = decoded.names.clone().into();
        self.0.insert(status, ErrorPage { path: decoded, key });
        Ok(())
    }

    pub(super) fn page(&self, status: u16) -> Option<&ErrorPage> {
        self.0.get(&status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_pages_lie_beneath_the_root() {
        let mut pages = ErrorPages::default();
        pages.set(404, "/errors/not here.html").unwrap();
        let page = pages.page(404).unwrap();
        assert_eq!((&page.path.names[..], &*page.key), (&b"errors/not here.html"[..], &b"errors/not here.html"[..]));
        assert!(pages.page(403).is_none());
        for status in [200, 304, 399, 600] {
            assert_eq!(pages.set(status, "/x"), Err(ErrorPageError::Status(status)));
        }
        for path in ["", "/", "/errors/", "."] {
            assert_eq!(pages.set(404, path), Err(ErrorPageError::NoFile(path.to_owned())), "{path}");
        }
        for path in ["/../x", "a\\b", "a\0"] {
            assert!(matches!(pages.set(404, path), Err(ErrorPageError::Path(..))), "{path}");
        }
    }

    #[test]
    fn an_index_is_a_name_and_few_are_looked_for() {
        let names = |count: usize| IndexNames::new(std::iter::repeat_n("a", count)).unwrap().iter().count();
        assert_eq!((names(IndexNames::MOST), names(IndexNames::MOST + 1)), (IndexNames::MOST, IndexNames::MOST));
        for name in ["", ".", "..", "a/b", "/index.html", "a\\b", "a\0"] {
            assert_eq!(IndexNames::new([name]), Err(BadIndexName(name.to_owned())), "{name:?}");
        }
    }
}
