//! `redirect`: the client shall ask elsewhere.
//!
//! Where to is written, and what a request says is put in; but a request never chooses the host, unless by `{host}`, which is the one that
//! it asked for. Two slashes at the beginning, which a browser takes for a host, are made one.

use bytes::Bytes;
use thiserror::Error;

use super::template::{For, Piece, Place};
use super::walk::Known;
use super::{BadTemplate, Template};
use crate::web::{Answer, Request, Scheme};

/// A redirection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    to: Template,
    status: u16,
}

/// What is no redirection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadRedirect {
    /// The place.
    #[error(transparent)]
    Template(#[from] BadTemplate),
    /// It begins otherwise.
    #[error("a redirection leads to a path (\"/new{{path}}\") or to a URL (\"https://example.org{{path}}\")")]
    Begin,
    /// A stranger could choose the host.
    #[error("what a request says would become a part of the host; write a / behind the host, or {{path}}")]
    Host,
    /// It is no text that may stand in a URL.
    #[error("a URL holds visible ASCII only; write the rest percent-encoded")]
    NoUrl,
    /// RFC 9110 §15.4.
    #[error("{0} is no redirection; there are 301, 302, 303, 307 and 308")]
    Status(u16),
}

impl Redirect {
    /// The status of one that may change again.
    pub const USUAL: u16 = 302;

    /// Reads where it leads: a path or a URL.
    ///
    /// # Errors
    /// When a request could choose the host, or there is no such place or status.
    pub fn parse(to: &str, status: Option<u16>) -> Result<Self, BadRedirect> {
        if let Some(status) = status.filter(|status| !matches!(status, 301 | 302 | 303 | 307 | 308)) {
            return Err(BadRedirect::Status(status));
        }
        let template = Template::parse(to)?;
        if !to.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadRedirect::NoUrl);
        }
        checked(&template)?;
        Ok(Self { to: template, status: status.unwrap_or(Self::USUAL) })
    }

    /// Where this request shall go, and the status that says so.
    pub(super) fn answer(&self, request: &Request, known: &Known) -> Answer {
        let place = one_slash(self.to.filled(request, known, For::Url));
        to(self.status, place)
    }

    /// As it is told.
    pub fn told(&self) -> String {
        format!("{}: {}", self.status, self.to)
    }
}

/// Where the host ends, so that nothing that comes behind it can lengthen it.
fn checked(template: &Template) -> Result<(), BadRedirect> {
    match template.pieces() {
        [Piece::Place(Place::Path), ..] => Ok(()),
        [Piece::Text(text), ..] if text.starts_with("//") || text.starts_with("/\\") => Err(BadRedirect::Begin),
        [Piece::Text(text), ..] if text.starts_with('/') => Ok(()),
        [Piece::Place(Place::Scheme), Piece::Text(text), rest @ ..] => {
            behind(text.strip_prefix("://").ok_or(BadRedirect::Begin)?, rest)
        }
        [Piece::Text(text), rest @ ..] => {
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            behind(host.ok_or(BadRedirect::Begin)?, rest)
        }
        _ => Err(BadRedirect::Begin),
    }
}

/// `text` begins the authority; the pieces follow it.
fn behind(text: &str, rest: &[Piece]) -> Result<(), BadRedirect> {
    const ENDS: [char; 3] = ['/', '?', '#'];
    if text.contains(['\\', '@']) {
        return Err(BadRedirect::Begin);
    }
    match (text.find(ENDS), rest) {
        (Some(0), _) => Err(BadRedirect::Begin),
        (Some(_), _) => Ok(()),
        (None, []) if text.is_empty() => Err(BadRedirect::Begin),
        (None, [] | [Piece::Place(Place::Path | Place::Query), ..]) if !text.is_empty() => Ok(()),
        // The host that was asked for, alone, or with a port.
        (None, [Piece::Place(Place::Host), rest @ ..]) if text.is_empty() => match rest {
            [] | [Piece::Place(Place::Path | Place::Query), ..] => Ok(()),
            [Piece::Text(text), rest @ ..] if text.starts_with(':') => behind(text, rest),
            [Piece::Text(text), ..] if text.starts_with(ENDS) => Ok(()),
            _ => Err(BadRedirect::Host),
        },
        _ => Err(BadRedirect::Host),
    }
}

/// The same over TLS, on this port; nothing where it is there already. The port that the client wrote is that of the plain channel, so it
/// is left out.
///
/// It says 308 and not 301, to every method: whoever sent a form in plain sends the form again and not a GET (RFC 9110 §15.4.9, §15.4.2).
pub(super) fn to_https(request: &Request, port: u16) -> Option<Answer> {
    if request.scheme == Scheme::Https {
        return None;
    }
    // HTTP/1.0 may name no host.
    if request.authority.is_empty() {
        return Some(Answer::empty(400));
    }
    let mut place = b"https://".to_vec();
    place.extend_from_slice(super::template::host(&request.authority));
    if port != HTTPS {
        place.extend_from_slice(format!(":{port}").as_bytes());
    }
    place.extend_from_slice(&request.target());
    Some(to(308, place))
}

/// The port that a URL of https means without saying so (RFC 9110 §4.2.2).
pub const HTTPS: u16 = 443;

fn to(status: u16, place: Vec<u8>) -> Answer {
    let mut answer = Answer::empty(status);
    match answer.fields.add("location", Bytes::from(place)) {
        Ok(()) => answer,
        Err(_) => Answer::empty(400),
    }
}

/// `//host` and `/\host` are other hosts to a browser.
fn one_slash(mut place: Vec<u8>) -> Vec<u8> {
    if place.first() == Some(&b'/') {
        let more = place.iter().skip(1).take_while(|byte| matches!(byte, b'/' | b'\\')).count();
        place.drain(1..=more);
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_never_chooses_the_host() {
        for to in [
            "/new",
            "{path}",
            "/new{path}{query}",
            "/{1}",
            "https://example.org",
            "https://example.org{path}",
            "https://example.org/{1}",
            "https://example.org:8443{path}",
            "http://{host}{path}",
            "https://{host}/x",
            "https://{host}:8443{path}",
            "{scheme}://example.org{path}",
            "https://example.org?x={1}",
        ] {
            assert!(Redirect::parse(to, None).is_ok(), "{to}: {:?}", Redirect::parse(to, None));
        }
        for (to, expect) in [
            ("", BadRedirect::Begin),
            ("new", BadRedirect::Begin),
            ("https", BadRedirect::Begin),
            ("//example.org", BadRedirect::Begin),
            ("/\\example.org", BadRedirect::Begin),
            ("{1}", BadRedirect::Begin),
            ("{host}{path}", BadRedirect::Begin),
            ("javascript:alert(1)", BadRedirect::Begin),
            ("https://", BadRedirect::Begin),
            ("https:///x", BadRedirect::Begin),
            ("https://a@b/", BadRedirect::Begin),
            ("https://{1}/", BadRedirect::Host),
            ("https://{path}", BadRedirect::Host),
            ("https://example.org{1}", BadRedirect::Host),
            ("https://example.org:{1}", BadRedirect::Host),
            ("https://{host}{1}", BadRedirect::Host),
            ("https://{host}.example{path}", BadRedirect::Host),
            ("https://x.{host}{path}", BadRedirect::Host),
            ("/ä", BadRedirect::NoUrl),
            ("/a b", BadRedirect::NoUrl),
        ] {
            assert_eq!(Redirect::parse(to, None), Err(expect), "{to}");
        }
        for (status, is_one) in [(300, false), (301, true), (304, false), (305, false), (308, true), (309, false)] {
            assert_eq!(Redirect::parse("/", Some(status)).is_ok(), is_one, "{status}");
        }
    }

    #[test]
    fn what_came_in_plain_goes_to_the_port_with_tls() {
        for (authority, target, port, expect) in [
            ("www.example.org", "/", 443, Some("https://www.example.org/")),
            ("www.example.org:80", "/a%20b?c=d", 443, Some("https://www.example.org/a%20b?c=d")),
            ("WWW.example.org.:8080", "/", 8443, Some("https://WWW.example.org.:8443/")),
            ("www.example.org:", "/", 443, Some("https://www.example.org/")),
            ("[2001:db8::1]:80", "/", 443, Some("https://[2001:db8::1]/")),
            ("[2001:db8::1]", "/", 8443, Some("https://[2001:db8::1]:8443/")),
            // Two slashes stay behind the host.
            ("www.example.org", "//evil.example/..", 443, Some("https://www.example.org/")),
            ("", "/", 443, None),
            // No parser lets such a host pass; were there one, nothing is split.
            ("a\r\nset-cookie: b", "/", 443, None),
        ] {
            let mut asked = crate::site::tests::request(target);
            asked.authority = authority.into();
            let answer = to_https(&asked, port).unwrap();
            assert_eq!(answer.fields.text("location"), expect, "{authority} {target}");
            assert_eq!(answer.status, if expect.is_some() { 308 } else { 400 }, "{authority}");
            asked.scheme = Scheme::Https;
            assert!(to_https(&asked, port).is_none());
        }
    }

    #[test]
    fn no_path_becomes_a_host() {
        for (place, expect) in
            [("//e/", "/e/"), ("/\\e", "/e"), ("/a//b", "/a//b"), ("https://a//b", "https://a//b"), ("/", "/")]
        {
            assert_eq!(one_slash(place.as_bytes().to_vec()), expect.as_bytes());
        }
    }
}
