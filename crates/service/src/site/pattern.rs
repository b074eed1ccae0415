//! Paths as routes name them.
//!
//! Compared byte for byte with the normal form of a path, so an upper-case letter is another letter and `%61` is an `a`. Bounded by
//! [`LONGEST`]; a comparison costs at most the product of both lengths, and without stars their sum.

use std::fmt;

use thiserror::Error;

use crate::web::Path;

/// The longest pattern that may be written.
pub(super) const LONGEST: usize = 1_024;

/// A path, or many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    written: Box<str>,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// `*`
    All,
    /// `/a`
    Exact(Box<[u8]>),
    /// `/a/*`: the folder, with or without its slash, and all beneath. Kept without the slash.
    Beneath(Box<[u8]>),
    /// `/a/*/b?.png`
    Glob(Box<[u8]>),
    /// `*.php`: the last name, in whatever folder.
    LastName(Box<[u8]>),
}

/// What names no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadPattern {
    /// It does not begin like one.
    #[error("a path begins with /, the name of a file with * (\"*.png\")")]
    Begin,
    /// No request could have it.
    #[error("no request has this path: it is compared decoded, without empty names, `.` and `..`")]
    NotNormal,
    /// It is too long.
    #[error("a path to compare with has at most {LONGEST} bytes")]
    Long,
}

impl PathPattern {
    /// Reads `/a` (that path), `/a/*` (it and all beneath), `*` within one name, `**` over several, `?` for one byte, `*.png` (names in
    /// any folder), `*` (everything).
    ///
    /// # Errors
    /// When no request could have such a path.
    pub fn parse(written: &str) -> Result<Self, BadPattern> {
        if written.len() > LONGEST {
            return Err(BadPattern::Long);
        }
        let is_glob = |text: &str| text.contains(['*', '?']);
        let bytes = |text: &str| Box::from(text.as_bytes());
        let form = match written.strip_suffix("/*") {
            _ if written == "*" || written == "/*" => Form::All,
            Some(folder) if folder.starts_with('/') && !is_glob(folder) => Form::Beneath(bytes(folder)),
            _ if written.starts_with('/') && !is_glob(written) => Form::Exact(bytes(written)),
            _ if written.starts_with('/') => Form::Glob(bytes(written)),
            _ if written.starts_with('*') && !written.contains('/') => Form::LastName(bytes(written)),
            _ => return Err(BadPattern::Begin),
        };
        let plain = written.replace(['*', '?'], "x");
        let plain = if plain.starts_with('/') { plain } else { format!("/{plain}") };
        let is_normal = Path::from_normal(plain.as_bytes()).is_ok_and(|path| path.normal() == plain.as_bytes());
        if is_normal { Ok(Self { written: written.into(), form }) } else { Err(BadPattern::NotNormal) }
    }

    /// Whether a path in its normal form is meant.
    pub fn fits(&self, path: &[u8]) -> bool {
        match &self.form {
            Form::All => true,
            Form::Exact(exact) => path == &**exact,
            Form::Beneath(folder) => path.strip_prefix(&**folder).is_some_and(|rest| matches!(rest, [] | [b'/', ..])),
            Form::Glob(glob) => fits(glob, path, Star::WithinName),
            Form::LastName(glob) => {
                path.rsplit(|&byte| byte == b'/').next().is_some_and(|name| fits(glob, name, Star::WithinName))
            }
        }
    }

    /// Whether every path is meant.
    pub fn fits_all(&self) -> bool {
        self.form == Form::All
    }

    /// The folder that `/a/*` names, without the last slash; else nothing.
    pub fn folder(&self) -> Option<&[u8]> {
        if let Form::Beneath(folder) = &self.form { Some(folder) } else { None }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

/// What a single star stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Star {
    /// Anything but a slash.
    WithinName,
    /// Anything.
    OverAll,
}

/// Whether `*`, `**` and `?` in a pattern can stand for what the text has there. A row of the table of all beginnings at a time, so
/// that no text costs more than the product of the lengths.
pub(super) fn fits(pattern: &[u8], text: &[u8], star: Star) -> bool {
    // reached[n]: the pattern so far can stand for the first n bytes.
    let mut reached = vec![false; text.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    let mut rest = pattern;
    while let [letter, after @ ..] = rest {
        rest = after;
        let mut next = vec![false; reached.len()];
        if *letter == b'*' {
            let over_slashes = star == Star::OverAll || rest.first() == Some(&b'*');
            rest = rest.strip_prefix(b"*").unwrap_or(rest);
            let mut open = false;
            for (place, here) in next.iter_mut().enumerate() {
                let passes = place
                    .checked_sub(1)
                    .and_then(|before| text.get(before))
                    .is_some_and(|&byte| over_slashes || byte != b'/');
                open = reached.get(place).is_some_and(|reached| *reached) || open && passes;
                *here = open;
            }
        } else {
            for (place, &byte) in text.iter().enumerate() {
                let same = *letter == byte || *letter == b'?' && (byte != b'/' || star == Star::OverAll);
                if let (true, Some(true), Some(here)) = (same, reached.get(place), next.get_mut(place + 1)) {
                    *here = true;
                }
            }
        }
        reached = next;
    }
    reached.last().is_some_and(|last| *last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_the_paths_that_are_meant() {
        for (pattern, yes, no) in [
            ("/a", &["/a"][..], &["/a/", "/A", "/ab", "/", "/a/b"][..]),
            ("/a/", &["/a/"], &["/a", "/a/b"]),
            ("/a/*", &["/a", "/a/", "/a/b", "/a/b/c"], &["/ab", "/A/b", "/", "/b/a/c", "/a;x/b"]),
            ("/*", &["/", "/a/b"], &[]),
            ("*", &["/", "/a/b"], &[]),
            ("/a*", &["/a", "/abc"], &["/a/b", "/b"]),
            ("/a/*/c", &["/a/b/c", "/a//c"], &["/a/b/d/c", "/a/c"]),
            ("/a/**/c", &["/a/b/c", "/a/b/d/c"], &["/a/c", "/a/b/cc"]),
            ("/**.png", &["/a/b.png", "/.png"], &["/a.pngx"]),
            ("/a?c", &["/abc"], &["/ac", "/a/c"]),
            ("*.php", &["/a.php", "/x/y.php", "/.php"], &["/a.php/x", "/a.PHP", "/a.phps"]),
            ("*a*b*", &["/ab", "/xaxbx"], &["/ba", "/a/b"]),
        ] {
            let parsed = PathPattern::parse(pattern).unwrap();
            for path in yes {
                assert!(parsed.fits(path.as_bytes()), "{pattern} {path}");
            }
            for path in no {
                assert!(!parsed.fits(path.as_bytes()), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn what_no_request_can_have_is_refused() {
        let long = |length: usize| format!("/{}", "a".repeat(length - 1));
        for (written, expect) in [
            ("", BadPattern::Begin),
            ("a", BadPattern::Begin),
            ("a/*", BadPattern::Begin),
            ("*/a", BadPattern::Begin),
            ("//a", BadPattern::NotNormal),
            ("/a//b", BadPattern::NotNormal),
            ("/a/../b", BadPattern::NotNormal),
            ("/a/./*", BadPattern::NotNormal),
            ("/a\\b", BadPattern::NotNormal),
            ("/a/..;/b", BadPattern::NotNormal),
            (&long(LONGEST + 1), BadPattern::Long),
        ] {
            assert_eq!(PathPattern::parse(written), Err(expect), "{written}");
        }
        assert!(PathPattern::parse(&long(LONGEST)).is_ok());
        assert!(PathPattern::parse("/%61").unwrap().fits(b"/%61"));
    }
}
