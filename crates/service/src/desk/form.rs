//! Names and values as browsers and clients write them, in a query or in the body of a form
//! (`application/x-www-form-urlencoded`, WHATWG URL §5.1).
//!
//! Bounded by the request's own length, which the protocol bounds.

use std::str::FromStr;

use crate::desk::Request;

/// One value of the query, where it is there and of its type.
pub(super) fn query<T: FromStr>(request: &Request, name: &str) -> Option<T> {
    text(request, name)?.trim().parse().ok()
}

/// One value of the query as text.
pub(super) fn text(request: &Request, name: &str) -> Option<String> {
    pairs(request.query.as_deref()?.as_bytes()).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// What a form was sent with: all names and values in their order.
pub(super) fn sent(request: &Request) -> Vec<(String, String)> {
    pairs(&request.body)
}

/// The pairs of one query or form.
fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    let pair = |pair: &[u8]| {
        let end = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (name, value) = pair.split_at(end);
        (decoded(name, Plus::Space), decoded(value.get(1..).unwrap_or_default(), Plus::Space))
    };
    bytes.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

/// What a plus sign means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plus {
    /// A space, as forms write it.
    Space,
    /// Itself, as in a path.
    Itself,
}

/// Percent-encoded bytes as text. What is no encoding stays as it is; what is not UTF-8 becomes replacement characters.
pub(super) fn decoded(bytes: &[u8], plus: Plus) -> String {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        plain.push(match byte {
            b'+' if plus == Plus::Space => b' ',
            b'%' => match (digit(after.first()), digit(after.get(1))) {
                (Some(high), Some(low)) => {
                    rest = after.get(2..).unwrap_or_default();
                    high << 4 | low
                }
                _ => byte,
            },
            _ => byte,
        });
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// `text` so that it may stand as one value of a query.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        // The unreserved characters of RFC 3986 §2.3.
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn digit(byte: Option<&u8>) -> Option<u8> {
    char::from(*byte?).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        for (written, read) in [
            ("", vec![]),
            ("&&", vec![]),
            ("a", vec![("a", "")]),
            ("a=b=c", vec![("a", "b=c")]),
            ("id=1&id=2", vec![("id", "1"), ("id", "2")]),
            ("query=from%3Aada%40x.org+is:unread", vec![("query", "from:ada@x.org is:unread")]),
            ("q=%", vec![("q", "%")]),
            ("q=%4", vec![("q", "%4")]),
            ("q=%zz%4g", vec![("q", "%zz%4g")]),
            ("q=caf%C3%A9", vec![("q", "café")]),
            ("q=%FF", vec![("q", "\u{fffd}")]),
        ] {
            let pairs = pairs(written.as_bytes());
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(pairs, read, "{written}");
        }
    }

    #[test]
    fn in_a_path_a_plus_is_a_plus() {
        assert_eq!(decoded(b"a+b%20c", Plus::Itself), "a+b c");
        assert_eq!(decoded(b"a+b%20c", Plus::Space), "a b c");
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        for text in ["", "plain", "from:\"Ada L\" & é=+%/?#", "\r\n\0"] {
            assert_eq!(decoded(encoded(text).as_bytes(), Plus::Space), text);
        }
        assert_eq!(encoded("a b&c"), "a%20b%26c");
    }
}
