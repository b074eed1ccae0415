//! HTTP/1.1 as the server reads it: heads, bodies, targets, conditions and ranges.

use std::fmt::Write;

use sportello_wire::http1::body::{Decoder, Framing};
use sportello_wire::http1::coding::{Coding, Liking};
use sportello_wire::http1::condition::{self, Outcome, Validators};
use sportello_wire::http1::head::{parse, worth_parsing};
use sportello_wire::http1::multipart::{Boundary, Multipart};
use sportello_wire::http1::range::{self, Selected};
use sportello_wire::http1::target::{Host, TreePath, decode_query, encode_name};
use sportello_wire::http1::{Head, Limits, Refusal, Version};

use crate::pieces::{Cut, cuts, pieces};

/// What of a head can be compared.
fn told(head: &Head<'_>) -> String {
    let mut text = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {}",
        head.method,
        head.target,
        head.version,
        head.host,
        head.framing,
        head.persistence,
        head.verb.escape_ascii()
    );
    for (name, value) in head.fields {
        let _ = write!(text, "|{}: {}", name.escape_ascii(), value.escape_ascii());
    }
    text
}

/// A request head.
pub(crate) fn head(data: &[u8]) {
    let limits = Limits::default();
    let whole = parse(data, &limits);
    for cut in cuts(data) {
        let mut before = 0;
        let mut end = 0;
        for piece in pieces(data, cut) {
            end += piece.len();
            if before > 0 && !worth_parsing(before, &data[..end], &limits) {
                before = end;
                continue;
            }
            before = end;
            match (parse(&data[..end], &limits), &whole) {
                (Ok(None), _) => continue,
                (Ok(Some(early)), Ok(Some(late))) => {
                    assert_eq!((early.length, told(&early)), (late.length, told(late)))
                }
                (Err(_), Err(_)) => {}
                (early, late) => panic!("in pieces {early:?}, whole {late:?}"),
            }
            break;
        }
    }
    let Ok(Some(head)) = whole else { return };
    assert!(head.length <= data.len() && data[..head.length].ends_with(b"\r\n\r\n"));
    assert!(head.fields.count() <= limits.fields && head.length <= limits.head);
    assert_eq!(told(&parse(&data[..head.length], &limits).unwrap().unwrap()), told(&head), "it reads beyond its end");
    framed_once(&head);

    let mut again = Vec::new();
    again.extend_from_slice(head.verb);
    again.push(b' ');
    again.extend_from_slice(head.raw_target);
    again.extend_from_slice(if head.version == Version::Http11 { b" HTTP/1.1\r\n" } else { b" HTTP/1.0\r\n" });
    for (name, value) in head.fields {
        assert!(!name.is_empty() && !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        again.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
    }
    again.extend_from_slice(b"\r\n");
    // Written anew it may be a little longer, and so too long.
    if let Ok(reread) = parse(&again, &limits) {
        assert_eq!(told(&reread.unwrap()), told(&head));
    } else {
        assert!(again.len() > head.length);
    }
}

/// RFC 9112 §6.3: nothing that two readers could frame in two ways.
fn framed_once(head: &Head<'_>) {
    let codings: Vec<_> = head.fields.values("transfer-encoding").collect();
    let lengths: Vec<_> = head.fields.values("content-length").collect();
    match head.framing {
        Framing::Chunked => {
            assert!(codings.len() == 1 && codings[0].eq_ignore_ascii_case(b"chunked") && lengths.is_empty())
        }
        Framing::Length(length) => {
            assert!(codings.is_empty() && lengths.len() <= 1);
            let written = lengths.first().map_or(Some(0), |value| std::str::from_utf8(value).ok()?.parse().ok());
            assert_eq!(written, Some(length));
        }
    }
    assert!(head.fields.values("host").count() == 1 || head.version == Version::Http10);
}

/// The most bytes of body that are taken here.
const BODY_MOST: u64 = 512;

/// What came of a body.
#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    body: Vec<u8>,
    consumed: usize,
    end: Result<bool, Refusal>,
}

fn decode(data: &[u8], framing: Framing, cut: Cut) -> Decoded {
    let mut decoded = Decoded { body: Vec::new(), consumed: 0, end: Ok(false) };
    let mut decoder = match Decoder::new(framing, BODY_MOST) {
        Ok(decoder) => decoder,
        Err(refusal) => return Decoded { end: Err(refusal), ..decoded },
    };
    for piece in pieces(data, cut) {
        let mut rest = piece;
        while !decoder.is_done() && !rest.is_empty() {
            match decoder.decode(rest) {
                Err(refusal) => return Decoded { end: Err(refusal), ..decoded },
                Ok(step) => {
                    assert!(step.consumed <= rest.len() && step.data.end <= step.consumed);
                    assert!(step.consumed > 0 || decoder.is_done(), "it does not go on");
                    decoded.body.extend_from_slice(&rest[step.data.clone()]);
                    decoded.consumed += step.consumed;
                    rest = &rest[step.consumed..];
                }
            }
        }
    }
    decoded.end = Ok(decoder.is_done());
    decoded
}

/// A request body; the first byte says how it is framed.
pub(crate) fn body(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else { return };
    let framing = if first < 0x80 { Framing::Chunked } else { Framing::Length(u64::from(first & 0x7f) * 8) };
    let whole = decode(data, framing, Cut::Whole);
    assert!(whole.body.len() as u64 <= BODY_MOST && whole.consumed <= data.len());
    for cut in cuts(data) {
        let cut = decode(data, framing, cut);
        // How much of a piece that is refused was good is not told.
        assert_eq!(cut.end, whole.end);
        if whole.end.is_ok() {
            assert_eq!(cut, whole);
        }
    }
    if whole.end == Ok(true) {
        let mut again = format!("{:x}\r\n", whole.body.len()).into_bytes();
        if !whole.body.is_empty() {
            again.extend_from_slice(&whole.body);
            again.extend_from_slice(b"\r\n0\r\n");
        }
        again.extend_from_slice(b"\r\n");
        assert_eq!(decode(&again, Framing::Chunked, Cut::Whole).body, whole.body);
    }
}

/// Paths, queries and hosts.
pub(crate) fn target(data: &[u8]) {
    if let Ok(path) = TreePath::decode(data) {
        let mut again = String::from("/");
        for (index, segment) in path.segments().enumerate() {
            assert!(
                !matches!(segment, b"" | b"." | b"..") && !segment.iter().any(|byte| matches!(byte, 0 | b'/' | b'\\'))
            );
            if index > 0 {
                again.push('/');
            }
            encode_name(segment, &mut again);
        }
        assert!(!path.names.starts_with(b"/") && path.names.len() <= data.len());
        assert_eq!(TreePath::decode(again.as_bytes()).unwrap().names, path.names);
        // RFC 3986 §6.2.2.2: what was encoded twice is decoded once.
        assert!(again.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    if let Some(value) = decode_query(data) {
        let mut again = String::new();
        encode_name(&value, &mut again);
        assert_eq!(decode_query(again.as_bytes()).unwrap(), value);
    }
    if let Some(host) = Host::parse(data) {
        assert!(!data.contains(&b'@') && !data.iter().any(u8::is_ascii_whitespace), "{host:?}");
    }
    let request = [b"GET ", data, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    if let Ok(Some(head)) = parse(&request, &Limits::default())
        && head.raw_target == data
    {
        assert!(head.host.is_empty() || Host::parse(head.host).is_some());
    }
}

/// Conditions and ranges: the first two bytes are the length of the representation, the rest is fields.
pub(crate) fn conditions(data: &[u8]) {
    let Some((&[high, low], fields)) = data.split_first_chunk() else { return };
    let length = u64::from(high) << 8 | u64::from(low);
    selected(&range::select(fields, length), length);
    let request = [b"GET / HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n\r\n"].concat();
    let Ok(Some(head)) = parse(&request, &Limits::default()) else { return };
    let validators = Validators { etag: b"\"tag\"", modified: 784_111_777, length };
    if let Outcome::Send(part) = condition::evaluate(&head, &validators, 1_700_000_000) {
        selected(&part, length);
    }
}

/// No part leaves the representation, none is sent twice, and all together are hardly more than the whole.
fn selected(selected: &Selected, length: u64) {
    let parts = match selected {
        Selected::Whole | Selected::Unsatisfiable => return,
        Selected::Part(part) => std::slice::from_ref(part),
        Selected::Parts(parts) => parts,
    };
    assert!(parts.len() <= range::MOST_RANGES);
    let mut sorted: Vec<_> = parts.iter().map(|part| (part.start, part.end())).collect();
    sorted.sort_unstable();
    assert!(sorted.iter().all(|(start, end)| start < end && *end <= length));
    assert!(sorted.windows(2).all(|pair| pair[0].1 <= pair[1].0), "bytes are sent twice: {parts:?}");
    let multipart = Multipart::new(parts, length, "text/plain", Boundary::from_random(7));
    let lines: u64 = multipart.pieces().iter().map(|piece| piece.lines.len() as u64 + piece.part.length).sum();
    assert_eq!(multipart.length(), lines + multipart.end().len() as u64);
}

/// Accept-Encoding, in one line or in two: nothing is chosen that is not offered or that is refused by its name.
pub(crate) fn codings(data: &[u8]) {
    let lines = || data.split(|&byte| byte == b'\n');
    let liking = Liking::of(lines());
    let refused = |coding: Coding| {
        let members = lines().flat_map(|line| line.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
        let name = |member: &&[u8]| {
            let end = member.iter().position(|&byte| byte == b';').unwrap_or(member.len());
            Coding::of(member[..end].trim_ascii()) == Some(coding)
        };
        members.clone().any(|member| name(&member))
            && members.filter(name).all(|member| member.ends_with(b";q=0") || member.ends_with(b";q=0.000"))
    };
    for offered in [&Coding::ALL[..], &[Coding::Gzip], &[Coding::Gzip, Coding::Gzip, Coding::Brotli], &[]] {
        let order: Vec<_> = liking.order(offered).iter().collect();
        for (place, coding) in order.iter().enumerate() {
            assert!(offered.contains(coding) && !order[..place].contains(coding) && !refused(*coding));
        }
    }
    let joined = data.iter().map(|&byte| if byte == b'\n' { b',' } else { byte }).collect::<Vec<_>>();
    assert_eq!(Liking::of(std::iter::once(&joined[..])), liking, "several lines are not one list");
}
