//! A request of HTTP/1.1 as services take it: what concerns this connection alone is left out, the rest is said once.

use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;
use sportello_net::Connection;
use sportello_service::web::{Client, Fields, Incoming, Path, Request, Scheme, Upgrade};
use sportello_wire::http1::body::Framing;
use sportello_wire::http1::head::lower_names;
use sportello_wire::http1::target::BadPath;
use sportello_wire::http1::{Head, Method, Version, field};
use thiserror::Error;

/// The head of a request as it came, but for the names of its fields, which are in lower case. Parts of it keep all of it alive.
pub(super) struct Raw(Bytes);

impl Raw {
    /// A copy of a head that was parsed.
    pub(super) fn of(head: &[u8]) -> Self {
        let mut bytes = head.to_vec();
        lower_names(&mut bytes);
        Self(bytes.into())
    }

    /// To be read.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn part(&self, part: &[u8]) -> Bytes {
        match place(&self.0, part) {
            Some(place) if !part.is_empty() => self.0.slice(place),
            // What stands nowhere in the head is empty.
            _ => Bytes::copy_from_slice(part),
        }
    }
}

/// The request whose head was read from `raw`, for `path` and `query`.
///
/// # Errors
/// When the path names nothing, or could be read in two ways; when too many fields are for this connection alone.
pub(super) fn request(
    head: &Head<'_>,
    raw: &Raw,
    (path, query): (&[u8], Option<&[u8]>),
    client: Client,
    body: Incoming,
) -> Result<Request, Unfit> {
    let path = Path::of(raw.part(path))?;
    let nominated = nominated(head)?;
    // And what is told of its way.
    let mut fields = Fields::with_room(head.fields.count().saturating_add(TOLD));
    for (name, value) in head.fields {
        if !is_of_connection(name) && !nominated.iter().any(|nominated| name.eq_ignore_ascii_case(nominated)) {
            fields.add_parsed(raw.part(name), raw.part(value));
        }
    }
    Ok(Request {
        method: head.method,
        verb: verb(head, raw),
        scheme: if client.secured.is_some() { Scheme::Https } else { Scheme::Http },
        authority: raw.part(head.host),
        path,
        query: query.map(|query| raw.part(query)),
        fields,
        client,
        body,
        upgrade: upgrade(head),
        notes: Rc::default(),
    })
}

/// Why a request is led to no service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Unfit {
    #[error(transparent)]
    Path(#[from] BadPath),
    #[error("Connection names more than {NOMINATED_MOST} fields")]
    Nominated,
}

/// Who is at the other end.
pub(super) fn client(connection: &Connection) -> Client {
    Client { peer: connection.peer(), local: connection.local(), secured: connection.secured().cloned() }
}

/// Fields that are added on the way of most requests.
const TOLD: usize = 2;

fn verb(head: &Head<'_>, raw: &Raw) -> Bytes {
    if head.method == Method::Get { Bytes::from_static(b"GET") } else { raw.part(head.verb) }
}

/// Where in `raw` this part of it stands.
fn place(raw: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(raw.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= raw.len()).then_some(start..end)
}

/// RFC 9110 §7.6.1 and §10.1.1: what one connection's ends tell each other, and what was carried out already. Host stands in the
/// authority, the length with the body.
const OF_CONNECTION: [&[u8]; 10] = [
    b"connection",
    b"content-length",
    b"expect",
    b"host",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
];

/// Fields that Connection may name beside those: each field of a request is compared with each.
const NOMINATED_MOST: usize = 32;

fn is_of_connection(name: &[u8]) -> bool {
    OF_CONNECTION.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The fields that Connection names and that would else be passed on (RFC 9110 §7.6.1).
fn nominated<'h>(head: &Head<'h>) -> Result<Vec<&'h [u8]>, Unfit> {
    let mut nominated = Vec::new();
    for option in connection_options(head) {
        if is_of_connection(option) || option.eq_ignore_ascii_case(b"close") {
            continue;
        }
        if nominated.len() >= NOMINATED_MOST {
            return Err(Unfit::Nominated);
        }
        nominated.push(option);
    }
    Ok(nominated)
}

fn connection_options<'h>(head: &Head<'h>) -> impl Iterator<Item = &'h [u8]> {
    head.fields.values("connection").flat_map(field::list)
}

/// RFC 9110 §7.8: one protocol, asked for in a request without a body.
fn upgrade(head: &Head<'_>) -> Option<Upgrade> {
    let asked = head.method == Method::Get
        && head.version == Version::Http11
        && head.framing == Framing::Length(0)
        && connection_options(head).any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    let mut values = head.fields.values("upgrade").filter(|_| asked);
    match (values.next(), values.next()) {
        (Some(protocol), None) if !protocol.is_empty() && protocol.iter().all(|&byte| is_of_protocol(byte)) => {
            Some(Upgrade { protocol: protocol.to_ascii_lowercase().into() })
        }
        _ => None,
    }
}

/// A token, or a token and a version behind a slash.
fn is_of_protocol(byte: u8) -> bool {
    field::is_token_byte(byte) || byte == b'/'
}

#[cfg(test)]
mod tests {
    use sportello_wire::http1::Limits;
    use sportello_wire::http1::head::parse;
    use sportello_wire::http1::target::Target;

    use super::*;

    fn made(lines: &str) -> Request {
        let raw = format!("GET /a%20b?c=d HTTP/1.1\r\nHost: Example.org:80\r\n{lines}\r\n");
        let raw = Raw::of(raw.as_bytes());
        let head = parse(raw.bytes(), &Limits::default()).unwrap().unwrap();
        let Target::Path { path, query } = head.target else { panic!("no path") };
        let peer = ([127, 0, 0, 1], 1).into();
        let client = Client { peer, local: peer, secured: None };
        request(&head, &raw, (path, query), client, Incoming::Empty).unwrap()
    }

    #[test]
    fn a_request_is_said_once_and_without_what_is_the_connections() {
        let made = made("X-A: 1\r\nConnection: close, X-B\r\nX-B: 2\r\nTE: trailers\r\nKeep-Alive: 5\r\nX-C: \r\n");
        assert_eq!((&made.verb[..], &made.authority[..]), (&b"GET"[..], &b"Example.org:80"[..]));
        assert_eq!((made.path.normal(), made.query.as_deref()), (&b"/a b"[..], Some(&b"c=d"[..])));
        assert_eq!(made.fields.iter().collect::<Vec<_>>(), [("x-a", &b"1"[..]), ("x-c", b"")]);
        assert_eq!((made.target(), made.upgrade), (b"/a%20b?c=d".to_vec(), None));
    }

    #[test]
    fn as_many_fields_may_be_the_connections_as_may_be_compared() {
        let of = |options: String| {
            let raw = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {options}\r\nX-B: 2\r\n\r\n");
            let raw = Raw::of(raw.as_bytes());
            let head = parse(raw.bytes(), &Limits::default()).unwrap().unwrap();
            let peer = ([127, 0, 0, 1], 1).into();
            let client = Client { peer, local: peer, secured: None };
            let made = request(&head, &raw, (b"/", None), client, Incoming::Empty);
            made.map(|request| request.fields.has("x-b"))
        };
        assert_eq!(of("a,".repeat(NOMINATED_MOST)), Ok(true));
        assert_eq!(of(format!("{}x-b", "a,".repeat(NOMINATED_MOST - 1))), Ok(false));
        assert_eq!(of("a,".repeat(NOMINATED_MOST + 1)), Err(Unfit::Nominated));
        assert_eq!(of("a, ".repeat(NOMINATED_MOST) + "\r\nConnection: a"), Err(Unfit::Nominated));
        assert_eq!(of("close, te, keep-alive, ".repeat(100)), Ok(true), "those name no field of a service's");
    }

    #[test]
    fn only_a_plain_wish_is_an_upgrade() {
        for (lines, expect) in [
            ("Connection: Upgrade\r\nUpgrade: WebSocket\r\n", Some("websocket")),
            ("Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n", Some("websocket")),
            ("Upgrade: websocket\r\n", None),
            ("Connection: upgrade\r\n", None),
            ("Connection: upgrade\r\nUpgrade: websocket, h2c\r\n", None),
            ("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", None),
            ("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n", None),
        ] {
            let made = made(lines);
            assert_eq!(
                made.upgrade.as_ref().map(|upgrade| &upgrade.protocol[..]),
                expect.map(str::as_bytes),
                "{lines}"
            );
            assert!(!made.fields.has("upgrade") && !made.fields.has("connection"), "{lines}");
        }
    }
}
