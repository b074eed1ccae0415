//! What a site says about the folder it serves, checked: bounds on memory, listings, hidden names, error pages, Cache-Control.
//!
//! Knows no file yet: an error page that is not there when it is needed is replaced by the plain page of our own.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use sportello_wire::http1::field;
use sportello_wire::http1::target::{BadPath, PathEnd, TreePath, encode_name};
use thiserror::Error;

/// How one folder is served, and what one worker may hold of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The largest file that is kept in memory, bytes; a larger one is sent from its descriptor.
    pub hot_file: u64,
    /// All files of this folder that one worker keeps in memory, bytes.
    pub hot_files: usize,
    /// What is answered for a folder without `index.html`.
    pub listing: Listings,
    /// Whether names that begin with a dot are there.
    pub hidden: HiddenNames,
    /// The pages of the site's own for statuses of errors.
    pub error_pages: ErrorPages,
    /// What caches are told.
    pub caching: Caching,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hot_file: 256 * 1024,
            hot_files: 32 * 1024 * 1024,
            listing: Listings::default(),
            hidden: HiddenNames::NotThere,
            error_pages: ErrorPages::default(),
            caching: Caching::default(),
        }
    }
}

/// Whether folders without `index.html` are listed.
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

/// What caches are told of a file: the first rule that fits it decides.
#[derive(Clone, Debug)]
pub struct Caching {
    rules: Vec<CacheRule>,
    otherwise: Arc<str>,
}

impl Caching {
    /// The rules in the order in which they are tried.
    pub fn new(rules: Vec<CacheRule>) -> Self {
        Self { rules, ..Self::default() }
    }

    /// The value of Cache-Control for a file of this name and media type.
    pub(super) fn of(&self, names: &[u8], media_type: &str) -> Arc<str> {
        let rule = self.rules.iter().find(|rule| rule.matches.fits(names, media_type));
        Arc::clone(rule.map_or(&self.otherwise, |rule| &rule.value))
    }
}

impl Default for Caching {
    fn default() -> Self {
        // A file is looked at each time, here; `no-cache` lets a browser do so too, instead of guessing how long it stays.
        Self { rules: Vec::new(), otherwise: "no-cache".into() }
    }
}

/// One rule: which files, and the value of Cache-Control for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRule {
    matches: Matches,
    value: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Matches {
    /// Every file.
    All,
    /// `text/css`
    Type(Box<str>),
    /// `image/*`, without its star.
    Family(Box<str>),
    /// `.css`, with its dot.
    Extension(Box<str>),
}

/// A rule that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CacheRuleError {
    /// It matches nothing.
    #[error("{0:?} matches no file: write a media type (\"text/css\", \"image/*\"), an extension (\".css\") or \"*\"")]
    Pattern(String),
    /// The value may not be sent.
    #[error("{0:?} cannot be the value of Cache-Control: write directives such as \"max-age=3600, immutable\"")]
    Value(String),
}

impl CacheRule {
    /// A rule from what is written: a media type, a family of them, an extension or `*`, and the value of Cache-Control.
    ///
    /// # Errors
    /// When the pattern can match no file, or the value holds what a field may not.
    pub fn parse(pattern: &str, value: &str) -> Result<Self, CacheRuleError> {
        let matches = Matches::parse(pattern).ok_or_else(|| CacheRuleError::Pattern(pattern.to_owned()))?;
        let directives = field::list(value.as_bytes()).all(|directive| {
            // RFC 9111 §5.2: a token, and perhaps `=` with a token or a quoted string.
            let name = directive.split(|&byte| byte == b'=').next().unwrap_or_default();
            !name.is_empty() && name.iter().all(|&byte| field::is_token_byte(byte))
        });
        if !directives || value.trim().is_empty() || !value.is_ascii() || !field::is_value(value.as_bytes()) {
            return Err(CacheRuleError::Value(value.to_owned()));
        }
        Ok(Self { matches, value: value.trim().into() })
    }
}

impl Matches {
    fn parse(pattern: &str) -> Option<Self> {
        let token = |text: &str| !text.is_empty() && text.bytes().all(field::is_token_byte);
        let lower = pattern.to_ascii_lowercase();
        if lower == "*" {
            return Some(Self::All);
        }
        if lower.strip_prefix('.').is_some_and(|extension| token(extension) && !extension.contains('*')) {
            return Some(Self::Extension(lower.into()));
        }
        let (family, kind) = lower.split_once('/')?;
        if !token(family) || !token(kind) || family.contains('*') {
            return None;
        }
        match kind {
            "*" => Some(Self::Family(format!("{family}/").into())),
            _ if kind.contains('*') => None,
            _ => Some(Self::Type(lower.as_str().into())),
        }
    }

    fn fits(&self, names: &[u8], media_type: &str) -> bool {
        // The table writes types in lower case, and their parameters behind a semicolon.
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        match self {
            Self::All => true,
            Self::Type(expect) => media_type == &**expect,
            Self::Family(expect) => media_type.starts_with(&**expect),
            Self::Extension(expect) => {
                let name = names.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                let begin = name.len().checked_sub(expect.len()).filter(|begin| *begin > 0);
                begin.and_then(|begin| name.get(begin..)).is_some_and(|end| end.eq_ignore_ascii_case(expect.as_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rule = |pattern, value| CacheRule::parse(pattern, value).unwrap();
        let caching = Caching::new(vec![
            rule(".min.js", "max-age=31536000, immutable"),
            rule("text/css", "max-age=60"),
            rule("IMAGE/*", "max-age=3600"),
            rule("text/*", "no-store"),
        ]);
        for (name, media_type, expect) in [
            ("a/app.min.js", "text/javascript; charset=utf-8", "max-age=31536000, immutable"),
            ("APP.MIN.JS", "text/javascript; charset=utf-8", "max-age=31536000, immutable"),
            (".min.js", "text/javascript; charset=utf-8", "no-store"),
            ("a.css", "text/css; charset=utf-8", "max-age=60"),
            ("a.png", "image/png", "max-age=3600"),
            ("a.txt", "text/plain; charset=utf-8", "no-store"),
            ("a.zip", "application/zip", "no-cache"),
        ] {
            assert_eq!(&*caching.of(name.as_bytes(), media_type), expect, "{name}");
        }
        assert_eq!(&*Caching::new(vec![rule("*", "private")]).of(b"x", "a/b"), "private");
    }

    #[test]
    fn rules_that_cannot_be_are_refused() {
        for pattern in ["", "css", ".", ".*", "*.css", "*/*", "text/", "/css", "te*t/css", "text/c*", "a b/c", "a/b/c"]
        {
            assert!(matches!(CacheRule::parse(pattern, "no-cache"), Err(CacheRuleError::Pattern(_))), "{pattern}");
        }
        for value in ["", " ", "max-age=1\r\nset-cookie: x", "max-age=1\n", "m\u{e4}x", "=1", "max age=1", "a\0"] {
            assert!(matches!(CacheRule::parse("*", value), Err(CacheRuleError::Value(_))), "{value:?}");
        }
    }

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
        for path in ["/../x", "a//b", "a\\b", "a\0"] {
            assert!(matches!(pages.set(404, path), Err(ErrorPageError::Path(..))), "{path}");
        }
    }
}
