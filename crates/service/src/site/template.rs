//! Text with places for what a request says: `https://{host}{path}`.
//!
//! What is put in comes from a stranger, so each place says how it is encoded: a path and a query as they would be sent, everything else
//! percent-encoded where it stands in a URL. Bounded by [`PIECES`] pieces, and by what the request's own bounds leave of it.

use std::fmt;

use sportello_wire::http1::target::encode_name;
use thiserror::Error;

use super::walk::Known;
use crate::web::Request;

/// The most pieces a template has.
pub(super) const PIECES: usize = 32;

/// Text with places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    written: Box<str>,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Box<str>),
    Place(Place),
}

/// What a request says that can be put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Encoded, beginning with one slash.
    Path,
    /// `?` and the query, or nothing.
    Query,
    /// The host without its port.
    Host,
    /// `http` or `https`.
    Scheme,
    /// The method.
    Method,
    /// The client's address.
    Address,
    /// Who logged in, or nothing.
    Account,
    /// What the group of this number in `matches=` found, or nothing.
    Group(usize),
}

/// What is no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadTemplate {
    /// There is no such place.
    #[error(
        "there is no {{{0}}}; there are {{path}}, {{query}}, {{host}}, {{scheme}}, {{method}}, {{address}}, {{account}} and {{1}} to {{9}}"
    )]
    Unknown(String),
    /// A brace that is not closed.
    #[error("a {{ is not closed; a brace itself is written twice: {{{{")]
    Open,
    /// Too much.
    #[error("there may be {PIECES} pieces")]
    Long,
    /// What no field may hold.
    #[error("a line end or another control character cannot stand here")]
    Control,
}

/// Whether what is put in shall stand in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// Everything but path and query is percent-encoded.
    Url,
    /// As it is; whoever sends it checks it.
    Field,
}

impl Template {
    /// Reads text with places in braces; `{{` and `}}` are braces.
    ///
    /// # Errors
    /// When a place is unknown or not closed.
    pub fn parse(written: &str) -> Result<Self, BadTemplate> {
        if written.chars().any(char::is_control) {
            return Err(BadTemplate::Control);
        }
        let (mut pieces, mut text) = (Vec::new(), String::new());
        let mut rest = written;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            let doubled = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}"));
            if let Some(after) = doubled {
                text.extend(from.chars().next());
                rest = after;
                continue;
            }
            let (name, after) =
                from.strip_prefix('{').and_then(|from| from.split_once('}')).ok_or(BadTemplate::Open)?;
            let place = Place::named(name).ok_or_else(|| BadTemplate::Unknown(name.to_owned()))?;
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text).into()));
            }
            pieces.push(Piece::Place(place));
            rest = after;
        }
        text.push_str(rest);
        if !text.is_empty() {
            pieces.push(Piece::Text(text.into()));
        }
        if pieces.len() > PIECES { Err(BadTemplate::Long) } else { Ok(Self { written: written.into(), pieces }) }
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The highest group of `matches=` that it names.
    pub fn highest_group(&self) -> Option<usize> {
        let group = |piece: &Piece| if let Piece::Place(Place::Group(group)) = piece { Some(*group) } else { None };
        self.pieces.iter().filter_map(group).max()
    }

    /// With what this request says.
    pub(super) fn filled(&self, request: &Request, known: &Known, for_what: For) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Place(place) => place.fill(request, known, for_what, &mut out),
            }
        }
        out
    }
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

impl Place {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "path" => Self::Path,
            "query" => Self::Query,
            "host" => Self::Host,
            "scheme" => Self::Scheme,
            "method" => Self::Method,
            "address" => Self::Address,
            "account" => Self::Account,
            _ => Self::Group(name.parse().ok().filter(|group| (1..=9).contains(group) && name.len() == 1)?),
        })
    }

    fn fill(self, request: &Request, known: &Known, for_what: For, out: &mut Vec<u8>) {
        let value: &[u8] = match self {
            Self::Path => return out.extend_from_slice(request.path.encoded()),
            Self::Query => {
                if let Some(query) = &request.query {
                    out.push(b'?');
                    out.extend_from_slice(query);
                }
                return;
            }
            // Both are checked: they can stand in a URL as they are.
            Self::Host => return out.extend_from_slice(host(&request.authority)),
            Self::Scheme => request.scheme.name().as_bytes(),
            Self::Method => &request.verb,
            Self::Address => return out.extend_from_slice(known.address().to_string().as_bytes()),
            Self::Account => known.account().unwrap_or_default().as_bytes(),
            Self::Group(group) => known.group(group),
        };
        match for_what {
            For::Field => out.extend_from_slice(value),
            For::Url => {
                let mut encoded = String::new();
                for (number, name) in value.split(|&byte| byte == b'/').enumerate() {
                    if number > 0 {
                        encoded.push('/');
                    }
                    encode_name(name, &mut encoded);
                }
                out.extend_from_slice(encoded.as_bytes());
            }
        }
    }
}

/// An authority without its port.
pub(super) fn host(authority: &[u8]) -> &[u8] {
    match authority.iter().rposition(|&byte| byte == b':') {
        // The colons within brackets are an address's own.
        Some(colon) if !authority.ends_with(b"]") => authority.get(..colon).unwrap_or(authority),
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_template_may_hold() {
        for (written, expect) in [
            ("a", Ok(1)),
            ("", Ok(0)),
            ("https://{host}{path}{query}", Ok(4)),
            ("{{a}}", Ok(1)),
            ("{1}x{9}", Ok(3)),
            ("{0}", Err(BadTemplate::Unknown("0".to_owned()))),
            ("{10}", Err(BadTemplate::Unknown("10".to_owned()))),
            ("{nope}", Err(BadTemplate::Unknown("nope".to_owned()))),
            ("{host", Err(BadTemplate::Open)),
            ("a}b", Err(BadTemplate::Open)),
            ("a\r\nb", Err(BadTemplate::Control)),
            (&"{1}".repeat(PIECES), Ok(PIECES)),
            (&"{1}".repeat(PIECES + 1), Err(BadTemplate::Long)),
        ] {
            assert_eq!(Template::parse(written).map(|template| template.pieces.len()), expect, "{written}");
        }
        assert_eq!(Template::parse("a{{b").unwrap().pieces, [Piece::Text("a{b".into())]);
        assert_eq!(Template::parse("{2}{1}").unwrap().highest_group(), Some(2));
    }

    #[test]
    fn a_host_has_no_port() {
        for (authority, expect) in [("a", "a"), ("a:80", "a"), ("[::1]", "[::1]"), ("[::1]:80", "[::1]"), ("", "")] {
            assert_eq!(host(authority.as_bytes()), expect.as_bytes());
        }
    }
}
