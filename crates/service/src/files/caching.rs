//! What caches are told of a file (RFC 9111 §5.2): rules by media type, extension or path, the first that fits decides.
//!
//! Knows no file but its name and type. Bounded by the rules that were written.

use std::sync::Arc;

use sportello_wire::http1::field;
use thiserror::Error;

use crate::media::MediaRange;

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
    /// The files of these media types.
    Media(MediaRange),
    /// `.css`, with its dot.
    Extension(Box<str>),
    /// `/assets/*`: the whole path of the file beneath the root. A star stands for any run of characters, slashes too.
    Path(Box<str>),
}

/// A rule that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CacheRuleError {
    /// It matches nothing.
    #[error(
        "{0:?} matches no file: write a media type (\"text/css\", \"image/*\"), an extension (\".css\"), a path (\"/assets/*\") or \"*\""
    )]
    Pattern(String),
    /// The value may not be sent.
    #[error("{0:?} cannot be the value of Cache-Control: write directives such as \"max-age=3600, immutable\"")]
    Value(String),
}

impl CacheRule {
    /// A rule from what is written: a media type, a family of them, an extension, a path that begins with a slash
    /// or `*`, and the value of Cache-Control.
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
        if pattern.starts_with('/') {
            let names = pattern.bytes().all(|byte| byte != 0 && byte != b'\\') && !pattern.contains("//");
            return names.then(|| Self::Path(pattern.into()));
        }
        if let Some(extension) = pattern.strip_prefix('.') {
            let name = !extension.is_empty() && !extension.contains('*') && extension.bytes().all(field::is_token_byte);
            return name.then(|| Self::Extension(pattern.to_ascii_lowercase().into()));
        }
        MediaRange::parse(pattern).map(Self::Media)
    }

    fn fits(&self, names: &[u8], media_type: &str) -> bool {
        match self {
            Self::Media(range) => range.fits(media_type),
            Self::Path(pattern) => is_like(pattern.as_bytes(), &[b"/", names].concat()),
            Self::Extension(expect) => {
                let name = names.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                let begin = name.len().checked_sub(expect.len()).filter(|begin| *begin > 0);
                begin.and_then(|begin| name.get(begin..)).is_some_and(|end| end.eq_ignore_ascii_case(expect.as_bytes()))
            }
        }
    }
}

/// Whether a name is as the pattern says. Each star takes as little as it can and gives way to a later one, so this ends after
/// at most as many steps as both are long, multiplied.
fn is_like(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut here) = (0, 0);
    // Where to go on when what follows the latest star does not fit: behind it, and one further in the name.
    let mut again: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(here) {
        match (pattern.get(at), again) {
            (Some(b'*'), _) => {
                again = Some((at + 1, here));
                at += 1;
            }
            (Some(same), _) if same == byte => (at, here) = (at + 1, here + 1),
            (_, Some((behind, start))) => {
                again = Some((behind, start + 1));
                (at, here) = (behind, start + 1);
            }
            (_, None) => return false,
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|&byte| byte == b'*')
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
        for pattern in
            ["", "css", ".", ".*", "*.css", "*/*", "text/", "//css", "/a\\b", "te*t/css", "text/c*", "a b/c", "a/b/c"]
        {
            assert!(matches!(CacheRule::parse(pattern, "no-cache"), Err(CacheRuleError::Pattern(_))), "{pattern}");
        }
        for value in ["", " ", "max-age=1\r\nset-cookie: x", "max-age=1\n", "m\u{e4}x", "=1", "max age=1", "a\0"] {
            assert!(matches!(CacheRule::parse("*", value), Err(CacheRuleError::Value(_))), "{value:?}");
        }
    }

    #[test]
    fn a_path_is_compared_whole() {
        for (pattern, name, fits) in [
            ("/a.js", "a.js", true),
            ("/a.js", "A.js", false),
            ("/a.js", "b/a.js", false),
            ("/assets/*", "assets/a.js", true),
            ("/assets/*", "assets/b/c.js", true),
            ("/assets/*", "assets/", true),
            ("/assets/*", "assets", false),
            ("/assets/*", "my/assets/a", false),
            ("/*", "", true),
            ("/*.js", "a.js.map", false),
            ("/*.js", "a.js.js", true),
            ("/*/v*/*.js", "x/v1/y/z.js", true),
            ("/*/v*/*.js", "x/w1/y/z.js", false),
            ("/**", "a/b", true),
            ("/", "", true),
            ("/", "a", false),
            ("/\u{e4}*", "\u{e4}b", true),
        ] {
            let rule = CacheRule::parse(pattern, "private").unwrap();
            assert_eq!(rule.matches.fits(name.as_bytes(), "a/b"), fits, "{pattern} {name}");
        }
        let hard = CacheRule::parse("/*a*a*a*a*a*a*a*b", "private").unwrap();
        assert!(!hard.matches.fits(&[b'a'; 4096], "a/b"));
    }
}
