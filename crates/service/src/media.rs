//! Media ranges: which media types a rule of a site is for.
//!
//! Bounded by what was written.

use sportello_wire::http1::field;

/// One media type, a family of them, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaRange {
    /// `*`
    All,
    /// `image/*`, without its star.
    Family(Box<str>),
    /// `text/css`
    Type(Box<str>),
}

impl MediaRange {
    /// Reads one; types are compared without case (RFC 9110 §8.3.1).
    pub fn parse(text: &str) -> Option<Self> {
        let token = |text: &str| !text.is_empty() && text.bytes().all(field::is_token_byte);
        let lower = text.to_ascii_lowercase();
        if lower == "*" {
            return Some(Self::All);
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

    /// Whether it is for what this Content-Type says; parameters do not count.
    pub fn fits(&self, media_type: &str) -> bool {
        let media_type = essence(media_type);
        match self {
            Self::All => true,
            Self::Type(expect) => media_type.eq_ignore_ascii_case(expect),
            Self::Family(expect) => {
                media_type.get(..expect.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(expect))
            }
        }
    }
}

/// A media type without its parameters.
pub fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_for_its_types_only() {
        for (range, media_type, fits) in [
            ("*", "a/b", true),
            ("text/*", "text/html; charset=utf-8", true),
            ("TEXT/*", "Text/HTML", true),
            ("text/*", "textual/x", false),
            ("text/css", "text/css", true),
            ("text/css", "TEXT/CSS;a=b", true),
            ("text/css", "text/cssx", false),
            ("text/*", "", false),
            ("text/*", "t\u{e4}xt/", false),
        ] {
            assert_eq!(MediaRange::parse(range).unwrap().fits(media_type), fits, "{range} {media_type}");
        }
        for text in ["", "text", "text/", "/css", "*/*", "te*t/css", "text/c*", "a b/c", "a/b/c", "text/\u{e4}"] {
            assert_eq!(MediaRange::parse(text), None, "{text}");
        }
    }
}
