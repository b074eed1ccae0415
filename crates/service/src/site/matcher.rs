//! Which requests a route is for: all that is written must fit.

use std::fmt;

use regex_lite::Regex;
use sportello_wire::http1::target::decode_query;
use thiserror::Error;

use super::PathPattern;
use super::pattern::{Star, fits};
use super::walk::Known;
use crate::web::{Network, Request};

/// Which requests a route is for.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    /// One of these paths; none: any.
    pub paths: Vec<PathPattern>,
    /// The whole path as this says; its groups can be put into templates.
    pub matches: Option<PathExpression>,
    /// One of these methods, as they are sent; none: any.
    pub methods: Vec<Box<str>>,
    /// The client's address in one of these; none: any.
    pub from: Vec<Network>,
    /// A field, whose name is in lower case.
    pub field: Option<Rule>,
    /// A parameter of the query.
    pub query: Option<Rule>,
    /// A cookie.
    pub cookie: Option<Rule>,
}

/// A regular expression for whole paths.
#[derive(Clone, Debug)]
pub struct PathExpression(Regex);

/// What is no [`PathExpression`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("this is no regular expression: {0}")]
pub struct BadExpression(String);

/// What is wanted of something that has a name and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    name: Box<str>,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Present,
    Absent,
    /// A value for which this can stand.
    Like(Box<str>),
}

/// A rule without a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("write its name, its name and a value, or !name where it shall be absent")]
pub struct BadRule;

impl PathExpression {
    /// An expression for whole paths in their normal form; it takes time linear in the path's length.
    ///
    /// # Errors
    /// When it cannot be read, or is too large.
    pub fn parse(written: &str) -> Result<Self, BadExpression> {
        // A `.` is any letter: a rule that a line's end in a path slips by would be none.
        let whole = format!("(?s)^(?:{written})$");
        let bad = |error: regex_lite::Error| BadExpression(error.to_string());
        // Alone first: nothing may close the brackets around it.
        Regex::new(written).map_err(bad)?;
        Regex::new(&whole).map(Self).map_err(bad)
    }

    /// How many groups it has.
    pub fn groups(&self) -> usize {
        self.0.captures_len().saturating_sub(1)
    }

    fn find(&self, path: &[u8]) -> Option<Vec<Box<[u8]>>> {
        // What is no text is compared as such, with U+FFFD for what is none: it must not slip by either.
        let path = String::from_utf8_lossy(path);
        let found = self.0.captures(&path)?;
        let group =
            |group: Option<regex_lite::Match<'_>>| Box::from(group.map_or("", |group| group.as_str()).as_bytes());
        Some(found.iter().skip(1).map(group).collect())
    }
}

/// Whether a route is for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    No,
    /// Who answers might read the path as another one, for which it is otherwise.
    Unclear,
}

/// Who reads the paths of a site beside this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Nobody: a path is what it says.
    Nobody,
    /// Servers behind this one, which may take `;x` off a name (RFC 3986 §3.3 leaves that to them; those of servlets do).
    Upstreams,
}

impl Rule {
    /// Reads `name`, `!name`, or a name, `between` and a value in which `*` and `?` stand for others.
    ///
    /// # Errors
    /// When there is no name.
    pub fn parse(written: &str, between: char) -> Result<Self, BadRule> {
        let (name, wanted) = match (written.strip_prefix('!'), written.split_once(between)) {
            (Some(name), _) => (name, Wanted::Absent),
            (None, Some((name, value))) => (name, Wanted::Like(value.trim().into())),
            (None, None) => (written, Wanted::Present),
        };
        let name = name.trim();
        if name.is_empty() { Err(BadRule) } else { Ok(Self { name: name.into(), wanted }) }
    }

    /// The same for names that are compared in lower case.
    #[must_use]
    pub fn lower(self) -> Self {
        Self { name: self.name.to_ascii_lowercase().into(), ..self }
    }

    fn fits<V: AsRef<[u8]>>(&self, mut values: impl Iterator<Item = V>) -> bool {
        match &self.wanted {
            Wanted::Present => values.next().is_some(),
            Wanted::Absent => values.next().is_none(),
            Wanted::Like(glob) => values.any(|value| fits(glob.as_bytes(), value.as_ref(), Star::OverAll)),
        }
    }
}

impl Matcher {
    /// Whether it is for every request.
    pub fn fits_all(&self) -> bool {
        let paths = self.paths.is_empty() || self.paths.iter().any(PathPattern::fits_all);
        let others = self.field.is_some() || self.query.is_some() || self.cookie.is_some() || self.matches.is_some();
        paths && self.methods.is_empty() && self.from.is_empty() && !others
    }

    /// Whether a request is one of these; then what `matches` found is known.
    pub(super) fn fits(&self, request: &Request, known: &mut Known, readers: Readers) -> Fit {
        let others = (self.methods.is_empty()
            || self.methods.iter().any(|method| method.as_bytes() == &request.verb[..]))
            && (self.from.is_empty() || known.is_from(&self.from))
            && self.field.as_ref().is_none_or(|rule| rule.fits(request.fields.values(&rule.name)))
            && self.query.as_ref().is_none_or(|rule| rule.fits(parameters(request, &rule.name)))
            && self.cookie.as_ref().is_none_or(|rule| rule.fits(cookies(request, &rule.name)));
        let path = request.path.normal();
        if !others {
            return Fit::No;
        }
        let found = self.find(path);
        if readers == Readers::Upstreams
            && let Some(bare) = without_parameters(path)
            && self.find(&bare).is_some() != found.is_some()
        {
            return Fit::Unclear;
        }
        match found {
            None => Fit::No,
            Some(groups) => {
                if self.matches.is_some() {
                    known.set_groups(groups);
                }
                Fit::Yes
            }
        }
    }

    /// What `matches` found, if a path is one of these.
    fn find(&self, path: &[u8]) -> Option<Vec<Box<[u8]>>> {
        if !self.paths.is_empty() && !self.paths.iter().any(|pattern| pattern.fits(path)) {
            return None;
        }
        match &self.matches {
            None => Some(Vec::new()),
            Some(expression) => expression.find(path),
        }
    }
}

/// The path as those see it who take `;x` off each name; `None` where that is the same.
fn without_parameters(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b';', path)?;
    let mut bare = Vec::with_capacity(path.len());
    for name in path.split(|&byte| byte == b'/') {
        let name = name.split(|&byte| byte == b';').next().unwrap_or_default();
        // What becomes empty is passed over, as two slashes are; `.` and `..` with parameters are refused before.
        if !name.is_empty() {
            bare.push(b'/');
            bare.extend_from_slice(name);
        }
    }
    if path.ends_with(b"/")
        || bare.is_empty()
        || path.rsplit(|&byte| byte == b'/').next().is_some_and(|last| last.starts_with(b";"))
    {
        bare.push(b'/');
    }
    Some(bare)
}

/// The values of a parameter; one that is not encoded as it should be is as it was sent.
fn parameters<'r>(request: &'r Request, name: &'r str) -> impl Iterator<Item = Vec<u8>> {
    let pieces = request.query.as_deref().unwrap_or_default().split(|&byte| byte == b'&');
    let decoded = |piece: &[u8]| {
        let spaced: Vec<u8> = piece.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
        decode_query(&spaced).unwrap_or(spaced)
    };
    pieces.filter(|piece| !piece.is_empty()).filter_map(move |piece| {
        let mut halves = piece.splitn(2, |&byte| byte == b'=');
        let is_it = decoded(halves.next().unwrap_or_default()) == name.as_bytes();
        is_it.then(|| decoded(halves.next().unwrap_or_default()))
    })
}

/// RFC 6265 §4.2.1.
fn cookies<'r>(request: &'r Request, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
    let pieces = request.fields.values("cookie").flat_map(|value| value.split(|&byte| byte == b';'));
    pieces.filter_map(move |piece| {
        let piece = piece.trim_ascii();
        let rest = piece.strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    })
}

impl fmt::Display for Matcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said: Vec<String> = self.paths.iter().map(ToString::to_string).collect();
        if let Some(PathExpression(expression)) = &self.matches {
            let text = expression.as_str();
            let text = text.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$")).unwrap_or(text);
            said.push(format!("matches={text:?}"));
        }
        if !self.methods.is_empty() {
            said.push(format!("method={:?}", self.methods.join(" ")));
        }
        if !self.from.is_empty() {
            let from: Vec<String> = self.from.iter().map(ToString::to_string).collect();
            said.push(format!("from={:?}", from.join(" ")));
        }
        let rules = [("header", &self.field, ": "), ("query", &self.query, "="), ("cookie", &self.cookie, "=")];
        for (what, rule, between) in
            rules.into_iter().filter_map(|(what, rule, between)| Some((what, rule.as_ref()?, between)))
        {
            let text = match &rule.wanted {
                Wanted::Present => rule.name.to_string(),
                Wanted::Absent => format!("!{}", rule.name),
                Wanted::Like(value) => format!("{}{between}{value}", rule.name),
            };
            said.push(format!("{what}={text:?}"));
        }
        formatter.write_str(if said.is_empty() { "*" } else { "" })?;
        formatter.write_str(&said.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::request;

    fn check(matcher: &Matcher, fields: &[(&'static str, &'static str)], target: &str, expect: bool) {
        let mut asked = request(target);
        for (name, value) in fields {
            asked.fields.add(*name, *value).unwrap();
        }
        let mut known = Known::of(&asked, &Default::default());
        let expect = if expect { Fit::Yes } else { Fit::No };
        assert_eq!(matcher.fits(&asked, &mut known, Readers::Nobody), expect, "{matcher} {fields:?} {target}");
    }

    #[test]
    fn values_are_present_absent_or_like_others() {
        let field = |rule| Matcher { field: Some(Rule::parse(rule, ':').unwrap().lower()), ..Matcher::default() };
        for (rule, fields, expect) in [
            ("X-A", &[("x-a", "")][..], true),
            ("X-A", &[], false),
            ("!X-A", &[], true),
            ("!X-A", &[("x-a", "")], false),
            ("X-A: b*", &[("x-a", "c"), ("x-a", "b/c")], true),
            ("X-A: b*", &[("x-a", "cb")], false),
            ("X-A: b", &[("x-a", "B")], false),
        ] {
            check(&field(rule), fields, "/", expect);
        }
        let query = |rule| Matcher { query: Some(Rule::parse(rule, '=').unwrap()), ..Matcher::default() };
        for (rule, target, expect) in [
            ("a", "/?a", true),
            ("a", "/?b&a=", true),
            ("a", "/?ab=1", false),
            ("a=1", "/?%61=%31", true),
            ("a=x y", "/?a=x+y", true),
            ("a=1", "/?a=2&a=1", true),
            ("!a", "/", true),
            ("!a", "/?a", false),
        ] {
            check(&query(rule), &[], target, expect);
        }
        let cookie = |rule| Matcher { cookie: Some(Rule::parse(rule, '=').unwrap()), ..Matcher::default() };
        for (rule, value, expect) in
            [("s", "a=b; s=1", true), ("s", "as=1", false), ("s=1*", "s=12", true), ("s=1", "s=12", false)]
        {
            check(&cookie(rule), &[("cookie", value)], "/", expect);
        }
        assert_eq!(Rule::parse("", ':'), Err(BadRule));
        assert_eq!(Rule::parse("!", ':'), Err(BadRule));
        assert_eq!(Rule::parse(": a", ':'), Err(BadRule));
    }

    #[test]
    fn an_expression_is_for_whole_paths() {
        let matcher = |text| Matcher { matches: Some(PathExpression::parse(text).unwrap()), ..Matcher::default() };
        for (text, target, expect) in [
            ("/a|/b", "/a", true),
            ("/a|/b", "/b", true),
            ("/a|/b", "/bc", false),
            ("/a|/b", "/x/b", false),
            ("/([0-9]+)", "/%31%32", true),
            ("/(?i)admin", "/ADMIN", true),
            ("/private/.*", "/private/%ff", true),
            ("/private/.*", "/private/x%0a", true),
            ("/private/.*", "/private/%0d%0ax", true),
            ("/[a-z]+", "/a%0a", false),
        ] {
            check(&matcher(text), &[], target, expect);
        }
        for wrong in ["(", "a)|(b", "[", "\\", "a{1000000}"] {
            assert!(PathExpression::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn all_that_is_written_must_fit() {
        let matcher = Matcher {
            paths: vec![PathPattern::parse("/a/*").unwrap()],
            methods: vec!["GET".into(), "HEAD".into()],
            from: vec!["192.0.2.0/24".parse().unwrap()],
            ..Matcher::default()
        };
        check(&matcher, &[], "/a/b", true);
        check(&matcher, &[], "/b", false);
        check(&Matcher { methods: vec!["get".into()], ..matcher.clone() }, &[], "/a/b", false);
        check(&Matcher { from: vec!["198.51.100.0/24".parse().unwrap()], ..matcher.clone() }, &[], "/a/b", false);
        assert!(!matcher.fits_all() && Matcher::default().fits_all());
    }

    fn fit(matcher: &Matcher, target: &str, readers: Readers) -> Fit {
        let asked = request(target);
        matcher.fits(&asked, &mut Known::of(&asked, &Default::default()), readers)
    }

    #[test]
    fn parameters_that_would_lead_elsewhere_are_unclear() {
        let of = |pattern: &str| Matcher { paths: vec![PathPattern::parse(pattern).unwrap()], ..Matcher::default() };
        for (pattern, target, expect) in [
            ("/admin/*", "/admin/x", Fit::Yes),
            ("/admin/*", "/admin;x", Fit::Unclear),
            ("/admin/*", "/admin;x/y", Fit::Unclear),
            ("/admin/*", "/;x/admin", Fit::Unclear),
            ("/admin/*", "/;x/;/admin;/y", Fit::Unclear),
            ("/admin/*", "/admin%3bx", Fit::Unclear),
            ("/admin/*", "/admin;x/../y", Fit::No),
            // Beneath it either way.
            ("/admin/*", "/admin/x;jsessionid=1", Fit::Yes),
            ("/admin/*", "/admin/;x", Fit::Yes),
            ("/admin/*", "/other;x", Fit::No),
            ("/login", "/login;jsessionid=1", Fit::Unclear),
            ("*.jsp", "/a.jsp;jsessionid=1", Fit::Unclear),
            ("*", "/a;b", Fit::Yes),
            ("/", "/;x", Fit::Unclear),
            ("/a/", "/a/;x", Fit::Unclear),
        ] {
            assert_eq!(fit(&of(pattern), target, Readers::Upstreams), expect, "{pattern} {target}");
        }
        // Who takes both is clear again.
        let both = Matcher {
            paths: ["*.jsp", "*.jsp;*"].map(|path| PathPattern::parse(path).unwrap()).into(),
            ..Matcher::default()
        };
        assert_eq!(fit(&both, "/a.jsp;jsessionid=1", Readers::Upstreams), Fit::Yes);
        // Where nobody else reads it, it is a letter like others.
        assert_eq!(fit(&of("/admin/*"), "/admin;x", Readers::Nobody), Fit::No);
        for (path, expect) in [
            ("/a", None),
            ("/a;b/c", Some("/a/c")),
            ("/;", Some("/")),
            ("/a/;", Some("/a/")),
            ("/a;/", Some("/a/")),
            ("/;/;x/a", Some("/a")),
        ] {
            assert_eq!(without_parameters(path.as_bytes()).as_deref(), expect.map(str::as_bytes), "{path}");
        }
    }
}
