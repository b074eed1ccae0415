//! What an upstream answered, as an answer of ours: fields of its connection stay behind, its framing is made anew.

use bytes::Bytes;
use sportello_wire::http1::client::Received;
use sportello_wire::http1::field::list;

use super::fault::Fault;
use crate::web::Fields;

/// Fields that Connection may name beside those that stay behind anyway: each field of an answer is compared with each.
const NOMINATED_MOST: usize = 32;

/// The fields of `head`, which lies in `bytes`, without those of one connection, those that its Connection names, and those that
/// frame the message or date it (RFC 9110 §7.6.1, §6.6.1).
///
/// # Errors
/// When Connection names more than [`NOMINATED_MOST`].
pub(super) fn fields(bytes: &Bytes, head: &Received<'_>) -> Result<Fields, Fault> {
    let nominated = if head.nominates() { nominated(head)? } else { Vec::new() };
    let mut fields = Fields::with_room(head.fields.count());
    for (name, value) in head.fields {
        let name = lower(bytes, name);
        if stays_behind(&name) || nominated.iter().any(|option| option.eq_ignore_ascii_case(&name)) {
            continue;
        }
        fields.add_parsed(name, bytes.slice_ref(value));
    }
    Ok(fields)
}

/// The fields that Connection names and that would else be passed on.
fn nominated<'h>(head: &Received<'h>) -> Result<Vec<&'h [u8]>, Fault> {
    let mut nominated: Vec<&[u8]> = Vec::new();
    for option in head.fields.values("connection").flat_map(list) {
        let known = stays_behind(&option.to_ascii_lowercase()) || option.eq_ignore_ascii_case(b"close");
        if known || nominated.iter().any(|before| before.eq_ignore_ascii_case(option)) {
            continue;
        }
        if nominated.len() >= NOMINATED_MOST {
            return Err(Fault::Nominated);
        }
        nominated.push(option);
    }
    Ok(nominated)
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

/// A name in lower case; without memory of its own where it is so already or is one that answers often have.
fn lower(bytes: &Bytes, name: &[u8]) -> Bytes {
    let begin = OF_LENGTH.get(name.len()).copied().unwrap_or(KNOWN.len());
    let as_long = KNOWN.iter().skip(begin).take_while(|known| known.len() == name.len());
    if let Some(known) = as_long.map(|known| known.as_bytes()).find(|known| known.eq_ignore_ascii_case(name)) {
        return Bytes::from_static(known);
    }
    if name.iter().any(u8::is_ascii_uppercase) { name.to_ascii_lowercase().into() } else { bytes.slice_ref(name) }
}

/// The longest name that is known.
const LONGEST: usize = 32;

/// Where in [`KNOWN`] the names of each length begin.
const OF_LENGTH: [usize; LONGEST + 1] = {
    let mut begins = [KNOWN.len(); LONGEST + 1];
    let mut place = KNOWN.len();
    while place > 0 {
        place -= 1;
        begins[KNOWN[place].len()] = place;
    }
    begins
};

/// By their length.
const KNOWN: [&str; 50] = [
    "age",
    "via",
    "date",
    "etag",
    "link",
    "vary",
    "allow",
    "pragma",
    "server",
    "alt-svc",
    "expires",
    "trailer",
    "upgrade",
    "location",
    "x-runtime",
    "connection",
    "keep-alive",
    "set-cookie",
    "retry-after",
    "content-type",
    "x-powered-by",
    "x-request-id",
    "accept-ranges",
    "cache-control",
    "content-range",
    "last-modified",
    "server-timing",
    "content-length",
    "referrer-policy",
    "x-frame-options",
    "content-encoding",
    "content-language",
    "content-location",
    "www-authenticate",
    "x-xss-protection",
    "transfer-encoding",
    "permissions-policy",
    "content-disposition",
    "sec-websocket-accept",
    "access-control-max-age",
    "sec-websocket-protocol",
    "x-content-type-options",
    "content-security-policy",
    "sec-websocket-extensions",
    "strict-transport-security",
    "access-control-allow-origin",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-expose-headers",
    "access-control-allow-credentials",
];

#[cfg(test)]
mod tests {
    use sportello_wire::http1::client::Limits;

    use super::*;

    fn received(options: &[String]) -> Result<Fields, Fault> {
        let mut head = "HTTP/1.1 200 OK\r\nX-1: a\r\nx-0: b\r\nkeep-alive: c\r\nx: d\r\n".to_owned();
        // In several lines, which are one list (RFC 9110 §5.3).
        for options in options.chunks(20) {
            head.push_str(&format!("Connection: {}\r\n", options.join(", ")));
        }
        head.push_str("\r\n");
        let bytes = Bytes::from(head);
        fields(&bytes, &Received::parse(&bytes, &Limits::default()).unwrap().unwrap())
    }

    #[test]
    fn what_connection_names_stays_behind_and_it_names_few() {
        let named = |count: usize| (0..count).map(|number| format!("X-{number}")).collect::<Vec<_>>();
        for (options, left) in [
            (vec![], &["x-1", "x-0", "x"][..]),
            (named(1), &["x-1", "x"]),
            (named(NOMINATED_MOST), &["x"]),
            // What is named again, or stays behind anyway, is not counted.
            ([named(NOMINATED_MOST), named(NOMINATED_MOST), vec!["Keep-Alive".into(); 99]].concat(), &["x"]),
        ] {
            let fields = received(&options).unwrap();
            let names: Vec<_> = fields.iter().map(|(name, _)| name).collect();
            assert_eq!(names, left, "{options:?}");
        }
        assert!(matches!(received(&named(NOMINATED_MOST + 1)), Err(Fault::Nominated)));
    }

    #[test]
    fn known_names_are_found_in_any_case_and_others_kept() {
        assert!(KNOWN.is_sorted_by_key(|name| name.len()));
        for name in KNOWN.iter().copied().chain(["x-ours", &"a".repeat(100)]) {
            for spelled in [name.to_owned(), name.to_ascii_uppercase()] {
                let bytes = Bytes::from(spelled);
                assert_eq!(lower(&bytes, &bytes), name.as_bytes());
            }
        }
    }
}
