//! The path of a request in its one normal form, by which every rule compares and every service finds.
//!
//! Percent-encoding is taken off exactly once, dot segments are resolved, slashes in a row are one. What another reader could take for
//! another path is refused: an encoded slash, a backslash, a NUL, and `..;`, which some servers read as `..`. Bounded by the request
//! line.

use bytes::Bytes;
use sportello_wire::http1::target::{BadPath, PathEnd, TreePath, encode_name};

/// A path beneath a site's root, both as it is compared and as it is sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Decoded; begins with `/`.
    normal: Bytes,
    /// Encoded; begins with `/`.
    encoded: Bytes,
}

impl Path {
    /// Reads a raw path that begins with `/`.
    ///
    /// # Errors
    /// When it names nothing in any tree, or could be read in two ways.
    pub fn parse(raw: &[u8]) -> Result<Self, BadPath> {
        let tree = TreePath::decode(raw)?;
        if tree.segments().any(|name| name.starts_with(b".;") || name.starts_with(b"..;")) {
            return Err(BadPath::Ambiguous);
        }
        // As it was sent where that can mean nothing else: names may be encoded in a way that the other side insists on.
        let slashes = |bytes: &[u8]| memchr::memchr_iter(b'/', bytes).count();
        let normal = normal(&tree);
        let as_sent = slashes(raw) == slashes(&normal) && !has_dots(raw);
        let encoded = if as_sent { Bytes::copy_from_slice(raw) } else { encode(&normal) };
        Ok(Self { normal: normal.into(), encoded })
    }

    /// As [`Path::parse`], for a raw path that is held already: one that is in its normal form costs no memory of its own.
    ///
    /// # Errors
    /// As [`Path::parse`].
    pub fn of(raw: Bytes) -> Result<Self, BadPath> {
        if is_normal(&raw) { Ok(Self { normal: raw.clone(), encoded: raw }) } else { Self::parse(&raw) }
    }

    /// From a path that is decoded already.
    ///
    /// # Errors
    /// As [`Path::parse`].
    pub fn from_normal(decoded: &[u8]) -> Result<Self, BadPath> {
        Self::parse(&encode(decoded))
    }

    /// Decoded: `/a b/c`. Any byte but NUL and backslash may stand in it; a slash only divides names.
    pub fn normal(&self) -> &[u8] {
        &self.normal
    }

    /// Percent-encoded, to be sent on: `/a%20b/c`.
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    /// The names beneath the root.
    pub fn names(&self) -> &[u8] {
        self.normal.strip_prefix(b"/").unwrap_or(&self.normal)
    }
}

/// Whether a raw path is plainly its own normal form: nothing in it is encoded, no name is empty or begins with a dot.
fn is_normal(raw: &[u8]) -> bool {
    let mut before = None;
    for &byte in raw {
        let fits = match byte {
            b'/' | b'.' => before != Some(b'/'),
            b'-' | b'_' | b'~' => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if !fits {
            return false;
        }
        before = Some(byte);
    }
    raw.first() == Some(&b'/')
}

fn has_dots(raw: &[u8]) -> bool {
    // An empty segment, and one that is `.` or `..`, however it is encoded, makes the normal form shorter by a slash; but for the last one.
    raw.rsplit(|&byte| byte == b'/')
        .next()
        .is_some_and(|last| matches!(TreePath::decode(last), Ok(tree) if tree.names.is_empty() && !last.is_empty()))
}

fn normal(tree: &TreePath) -> Vec<u8> {
    let mut out = Vec::with_capacity(tree.names.len() + 2);
    out.push(b'/');
    out.extend_from_slice(&tree.names);
    if tree.end == PathEnd::Slash && !tree.names.is_empty() {
        out.push(b'/');
    }
    out
}

fn encode(decoded: &[u8]) -> Bytes {
    let mut out = String::with_capacity(decoded.len());
    for (number, name) in decoded.split(|&byte| byte == b'/').enumerate() {
        if number > 0 {
            out.push('/');
        }
        encode_name(name, &mut out);
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_has_one_normal_form() {
        for (raw, normal, encoded) in [
            ("/", "/", "/"),
            ("/a", "/a", "/a"),
            ("/a/", "/a/", "/a/"),
            ("/a/b.c-d_e~9", "/a/b.c-d_e~9", "/a/b.c-d_e~9"),
            ("/a/b./", "/a/b./", "/a/b./"),
            ("/a%20b", "/a b", "/a%20b"),
            ("/%61dmin", "/admin", "/%61dmin"),
            ("/a//b", "/a/b", "/a/b"),
            ("//a///", "/a/", "/a/"),
            ("/a/./b", "/a/b", "/a/b"),
            ("/a/../b", "/b", "/b"),
            ("/a/b/..", "/a/", "/a/"),
            ("/a/%2e%2E/b", "/b", "/b"),
            ("/a/.", "/a/", "/a/"),
            ("/a/b/%2e%2e", "/a/", "/a/"),
            ("/a;x=1/b", "/a;x=1/b", "/a;x=1/b"),
            ("/@scope!$&'()*+,=:", "/@scope!$&'()*+,=:", "/@scope!$&'()*+,=:"),
            ("/%25%32%66", "/%2f", "/%25%32%66"),
            ("/.well-known/x", "/.well-known/x", "/.well-known/x"),
            ("/..a/.b", "/..a/.b", "/..a/.b"),
        ] {
            let path = Path::parse(raw.as_bytes()).unwrap();
            assert_eq!((path.normal(), &path.encoded()[..]), (normal.as_bytes(), encoded.as_bytes()), "{raw}");
            assert_eq!(Path::of(Bytes::from(raw)), Ok(path.clone()), "{raw}");
            let again = Path::from_normal(path.normal()).unwrap();
            assert_eq!(again.normal(), path.normal(), "{raw}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (raw, expect) in [
            ("/a%2fb", BadPath::Ambiguous),
            ("/a%2Fb", BadPath::Ambiguous),
            ("/a%5cb", BadPath::Ambiguous),
            ("/a\\b", BadPath::Ambiguous),
            ("/a%00", BadPath::Ambiguous),
            ("/a/..;/admin", BadPath::Ambiguous),
            ("/a/.;x/admin", BadPath::Ambiguous),
            ("/a/%2e%2e%3b/admin", BadPath::Ambiguous),
            ("/%", BadPath::Encoding),
            ("/%4", BadPath::Encoding),
            ("/%zz", BadPath::Encoding),
            ("/..", BadPath::LeavesRoot),
            ("/a/../../b", BadPath::LeavesRoot),
            ("/%2e%2e/b", BadPath::LeavesRoot),
        ] {
            assert_eq!(Path::parse(raw.as_bytes()), Err(expect), "{raw}");
            assert_eq!(Path::of(Bytes::from(raw)), Err(expect), "{raw}");
        }
    }
}
