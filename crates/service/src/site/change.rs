//! Steps that change the request's path, or a field of the request or of the answer.

use std::fmt;

use bytes::Bytes;
use sportello_wire::http1::field::{is_token_byte, is_value};
use thiserror::Error;

use super::template::For;
use super::walk::Known;
use super::{BadPattern, BadTemplate, PathPattern, Template};
use crate::web::{Fields, Path, Request};

/// Another path, and perhaps another query, in place of the one that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite(Template);

/// What cannot be a path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadRewrite {
    /// The text.
    #[error(transparent)]
    Template(#[from] BadTemplate),
    /// It is none.
    #[error("a request is rewritten to a path: \"/index.php\", \"/new{{path}}\"")]
    NoPath,
}

impl Rewrite {
    /// Reads the path to be.
    ///
    /// # Errors
    /// When it can never be one.
    pub fn parse(written: &str) -> Result<Self, BadRewrite> {
        let template = Template::parse(written)?;
        let is_path = written.starts_with('/') || written.starts_with("{path}");
        let is_sent = written.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if is_path && is_sent { Ok(Self(template)) } else { Err(BadRewrite::NoPath) }
    }

    /// Changes the request; `None` where what comes of it is no path, or one that leads up again: what a client named in part would be
    /// a way around the rules that it passed already.
    pub(super) fn take(&self, request: &mut Request, known: &Known) -> Option<()> {
        let target = self.0.filled(request, known, For::Url);
        let (path, query) = match target.iter().position(|&byte| byte == b'?') {
            Some(mark) => (target.get(..mark)?, Some(Bytes::copy_from_slice(target.get(mark.saturating_add(1)..)?))),
            None => (&target[..], None),
        };
        if path.split(|&byte| byte == b'/').any(is_dots) {
            return None;
        }
        request.path = Path::parse(path).ok()?;
        if let Some(query) = query {
            request.query = Some(query).filter(|query| !query.is_empty());
        }
        Some(())
    }
}

/// Whether a name, as it is sent, is that of the folder itself or of the one above (RFC 3986 §5.2.4).
fn is_dots(name: &[u8]) -> bool {
    let mut rest = name;
    let mut dots = 0u8;
    loop {
        rest = match rest {
            [] => return matches!(dots, 1 | 2),
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return false,
        };
        dots = dots.saturating_add(1);
    }
}

impl fmt::Display for Rewrite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The beginning of a path, taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripPrefix(Box<str>);

impl StripPrefix {
    /// Reads `/api`: the names that go.
    ///
    /// # Errors
    /// When no path begins like that.
    pub fn parse(written: &str) -> Result<Self, BadPattern> {
        let prefix = written.trim_end_matches('/');
        if prefix.contains(['*', '?']) || prefix.is_empty() {
            return Err(BadPattern::Begin);
        }
        PathPattern::parse(prefix)?;
        Ok(Self(prefix.into()))
    }

    /// Changes the request, if its path begins with these names; says so by the names as they are sent.
    pub(super) fn take(&self, request: &mut Request) -> Option<Bytes> {
        let prefix = self.0.as_bytes();
        let rest = |path: &[u8]| match path.strip_prefix(prefix) {
            Some([]) => Some(b"/".to_vec()),
            Some(rest @ [b'/', ..]) => Some(rest.to_vec()),
            _ => None,
        };
        // As it was sent, where that can be cut; decoded otherwise.
        let stripped = match rest(request.path.encoded()) {
            Some(raw) => Path::parse(&raw).ok(),
            None => rest(request.path.normal()).and_then(|normal| Path::from_normal(&normal).ok()),
        };
        request.path = stripped?;
        Path::from_normal(prefix).ok().map(|prefix| prefix.encoded().clone())
    }
}

impl fmt::Display for StripPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What becomes of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Whose.
    pub of: Of,
    name: Box<str>,
    how: How,
}

/// Whose fields are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The request's, for whoever answers it.
    Request,
    /// The answer's.
    Answer,
    /// The answer's, where it goes over TLS.
    SecureAnswer,
}

/// What is done to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// This value in place of all others.
    Set(Template),
    /// This value too.
    Add(Template),
    /// None.
    Remove,
}

/// A field that cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadChange {
    /// RFC 9110 §5.1.
    #[error("this is no name of a field")]
    Name,
    /// It belongs to the connection or to the framing.
    #[error("{0} belongs to the server: it says where a message ends, or what becomes of the connection")]
    Owned(Box<str>),
    /// RFC 9110 §5.5.
    #[error("a field holds visible characters and spaces")]
    Value,
}

/// Fields that say where a message ends or belong to one connection (RFC 9110 §7.6.1), and Host, by which the site was chosen.
const OWNED: [&str; 11] = [
    "connection",
    "content-length",
    "date",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-range",
];

impl FieldChange {
    /// A change of a field of this name.
    ///
    /// # Errors
    /// When there can be no such field, or it is the server's own.
    pub fn new(of: Of, name: &str, how: How) -> Result<Self, BadChange> {
        let lower = name.to_ascii_lowercase();
        if lower.is_empty() || !lower.bytes().all(is_token_byte) {
            return Err(BadChange::Name);
        }
        if OWNED.contains(&lower.as_str()) {
            return Err(BadChange::Owned(lower.into()));
        }
        if let How::Set(template) | How::Add(template) = &how
            && !is_value(template.to_string().as_bytes())
        {
            return Err(BadChange::Value);
        }
        Ok(Self { of, name: lower.into(), how })
    }

    /// The value that this request gives it.
    pub(super) fn value(&self, request: &Request, known: &Known) -> Bytes {
        match &self.how {
            How::Set(template) | How::Add(template) => template.filled(request, known, For::Field).into(),
            How::Remove => Bytes::new(),
        }
    }

    /// Does it. A value that no field may hold, which only a request can have brought in, leaves the field out.
    pub(super) fn take(&self, fields: &mut Fields, value: Bytes) {
        let name = || Bytes::copy_from_slice(self.name.as_bytes());
        let done = match &self.how {
            How::Set(_) => fields.set(name(), value),
            How::Add(_) => fields.add(name(), value),
            How::Remove => {
                fields.remove(&self.name);
                Ok(())
            }
        };
        if done.is_err() {
            fields.remove(&self.name);
        }
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.of {
            Of::Request => "the request's",
            Of::Answer => "the answer's",
            Of::SecureAnswer => "over TLS, the answer's",
        };
        match &self.how {
            How::Set(value) => write!(formatter, "{whose} field {} is set to {value}", self.name),
            How::Add(value) => write!(formatter, "{whose} field {} is added: {value}", self.name),
            How::Remove => write!(formatter, "{whose} field {} is removed", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::request;

    #[test]
    fn a_path_is_rewritten_and_stays_one() {
        for (to, target, expect) in [
            ("/x", "/a?b=c", Some("/x?b=c")),
            ("/x?d", "/a?b=c", Some("/x?d")),
            ("/x?", "/a?b=c", Some("/x")),
            ("/x{path}", "/a%20b", Some("/x/a%20b")),
            ("/{host}{query}", "/?a=b", Some("/www.example.org?a=b")),
            ("/../x", "/", None),
            ("/x/../y", "/", None),
            ("/x/%2E%2e/y", "/", None),
            ("/x/.../..y", "/", Some("/x/.../..y")),
        ] {
            let mut asked = request(target);
            let known = Known::of(&asked, &Default::default());
            let done = Rewrite::parse(to).unwrap().take(&mut asked, &known);
            assert_eq!(done.map(|()| String::from_utf8(asked.target()).unwrap()).as_deref(), expect, "{to}");
        }
        for wrong in ["", "x", "{host}", "/a b", "/a#b", "/ä"] {
            assert_eq!(Rewrite::parse(wrong), Err(BadRewrite::NoPath), "{wrong}");
        }
    }

    #[test]
    fn what_a_request_brings_leads_nowhere_else() {
        let rewrite = Rewrite::parse("/images/{1}").unwrap();
        for (group, expect) in [
            ("a/b", Some("/images/a/b")),
            ("..", None),
            (".", None),
            ("../secret/x", None),
            ("a/../../secret", None),
            ("a/..", None),
            ("%2e%2e/x", Some("/images/%252e%252e/x")),
            ("..a/b..", Some("/images/..a/b..")),
        ] {
            let mut asked = request("/");
            let mut known = Known::of(&asked, &Default::default());
            known.set_groups(vec![group.as_bytes().into()]);
            let done = rewrite.take(&mut asked, &known);
            assert_eq!(done.map(|()| String::from_utf8(asked.target()).unwrap()).as_deref(), expect, "{group}");
        }
    }

    #[test]
    fn a_prefix_is_taken_off_whole_names() {
        for (prefix, target, expect) in [
            ("/api", "/api/x", "/x"),
            ("/api/", "/api/%2Bx", "/%2Bx"),
            ("/api", "/api", "/"),
            ("/api", "/api/", "/"),
            ("/api", "/apis", "/apis"),
            ("/api", "/%61pi/x", "/x"),
            ("/api", "//api//x", "/x"),
            ("/a/b", "/a/b/c", "/c"),
        ] {
            let mut asked = request(target);
            let taken = StripPrefix::parse(prefix).unwrap().take(&mut asked);
            assert_eq!(taken.is_some(), expect != target, "{prefix} {target}");
            assert_eq!(&asked.path.encoded()[..], expect.as_bytes(), "{prefix} {target}");
        }
        for wrong in ["", "/", "a", "/a/*", "/a//b"] {
            assert!(StripPrefix::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_field_of_the_server_s_own_is_left_alone() {
        let text = |text: &str| How::Set(Template::parse(text).unwrap());
        for (name, expect) in [
            ("X-Frame-Options", Ok(())),
            ("Transfer-Encoding", Err(BadChange::Owned("transfer-encoding".into()))),
            ("HOST", Err(BadChange::Owned("host".into()))),
            ("", Err(BadChange::Name)),
            ("a b", Err(BadChange::Name)),
            ("a\r\nb", Err(BadChange::Name)),
        ] {
            assert_eq!(FieldChange::new(Of::Answer, name, text("x")).map(|_| ()), expect, "{name}");
        }
        assert!(Template::parse("a\r\nb").is_err());
    }

    #[test]
    fn what_a_request_brings_splits_nothing() {
        let change = FieldChange::new(Of::Answer, "x", How::Set(Template::parse("{1}").unwrap())).unwrap();
        let asked = request("/");
        let mut known = Known::of(&asked, &Default::default());
        for (group, expect) in [(&b"ok"[..], Some(&b"ok"[..])), (b"a\r\nset-cookie: b", None), (b"a\0b", None)] {
            known.set_groups(vec![group.into()]);
            let mut fields = Fields::new();
            fields.add("x", "before").unwrap();
            change.take(&mut fields, change.value(&asked, &known));
            assert_eq!(fields.value("x"), expect);
        }
    }
}
