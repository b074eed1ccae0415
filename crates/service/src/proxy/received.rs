//! What an upstream answered, as an answer of ours: fields of its connection stay behind, its framing is made anew.

use bytes::Bytes;
use sportello_wire::http1::client::Received;
use sportello_wire::http1::field::list;

use crate::web::Fields;

/// The fields of `head`, which lies in `bytes`, without those of one connection, those that its Connection names, and those that
/// frame the message or date it (RFC 9110 §7.6.1, §6.6.1).
pub(super) fn fields(bytes: &Bytes, head: &Received<'_>) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in head.fields {
        let name = lower(bytes, name);
        if stays_behind(&name) || (head.nominates() && is_nominated(head, &name)) {
            continue;
        }
        fields.add_parsed(name, bytes.slice_ref(value));
    }
    fields
}

fn is_nominated(head: &Received<'_>, name: &[u8]) -> bool {
    head.fields.values("connection").flat_map(list).any(|option| option.eq_ignore_ascii_case(name))
}

/// Whether a field is of one connection, or frames the message or dates it.
pub(super) fn stays_behind(name: &[u8]) -> bool {
    matches!(
        name,
        b"connection"
            | b"content-length"
            | b"date"
            | b"keep-alive"
            | b"proxy-connection"
            | b"te"
            | b"trailer"
            | b"transfer-encoding"
            | b"upgrade"
    )
}

/// The longest name that is known.
const LONGEST: usize = 32;

/// A name in lower case; without memory of its own where it is so already or is one that answers often have.
fn lower(bytes: &Bytes, name: &[u8]) -> Bytes {
    if !name.iter().fold(false, |any, byte| any | byte.is_ascii_uppercase()) {
        return bytes.slice_ref(name);
    }
    let mut space = [0u8; LONGEST];
    if let Some(lower) = space.get_mut(..name.len()) {
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        if let Ok(index) = KNOWN.binary_search_by(|known| known.as_bytes().cmp(lower))
            && let Some(known) = KNOWN.get(index)
        {
            return Bytes::from_static(known.as_bytes());
        }
    }
    name.to_ascii_lowercase().into()
}

/// Sorted, to be searched.
const KNOWN: [&str; 50] = [
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "date",
    "etag",
    "expires",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "permissions-policy",
    "pragma",
    "referrer-policy",
    "retry-after",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
    "server",
    "server-timing",
    "set-cookie",
    "strict-transport-security",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
    "x-powered-by",
    "x-request-id",
    "x-runtime",
    "x-xss-protection",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_found_in_any_case_and_others_kept() {
        assert!(KNOWN.is_sorted() && KNOWN.iter().all(|name| name.len() <= LONGEST));
        for name in KNOWN.iter().copied().chain(["x-ours", &"a".repeat(100)]) {
            for spelled in [name.to_owned(), name.to_ascii_uppercase()] {
                let bytes = Bytes::from(spelled);
                assert_eq!(lower(&bytes, &bytes), name.as_bytes());
            }
        }
    }
}
