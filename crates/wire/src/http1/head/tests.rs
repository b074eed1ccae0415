use super::*;
use crate::http1::target::Target;

const SMALL: Limits = Limits { request_line: 40, head: 120, fields: 3 };

/// Parses `input` whole; then every prefix must be waited for, or be refused as the whole is.
#[track_caller]
pub(super) fn check(input: &[u8], expect: Result<(), Refusal>) {
    check_within(input, &Limits::default(), expect);
}

#[track_caller]
fn check_within(input: &[u8], limits: &Limits, expect: Result<(), Refusal>) {
    let text = String::from_utf8_lossy(input);
    let whole = parse(input, limits);
    match expect {
        Ok(()) => assert!(matches!(whole, Ok(Some(_))), "{text:?}: {whole:?}"),
        Err(refusal) => assert_eq!(whole.err(), Some(refusal), "{text:?}"),
    }
    for end in 0..input.len() {
        match parse(&input[..end], limits) {
            Ok(None) => {}
            Ok(Some(head)) => assert_eq!(head.length, end, "{text:?} cut at {end}"),
            Err(refusal) => assert_eq!(Err(refusal), expect, "{text:?} cut at {end}"),
        }
    }
}

fn with_line(line: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n").into_bytes()
}

#[test]
fn a_request_is_read() {
    let input = b"POST /a%20b?x=1 HTTP/1.1\r\nHost: example.org:80\r\nContent-Length: 12\r\nX-Y:\t z \r\n\r\nrest";
    let head = parse(input, &Limits::default()).unwrap().unwrap();
    assert_eq!(head.method, Method::Post);
    assert_eq!(head.verb, b"POST");
    assert_eq!(head.target, Target::Path { path: b"/a%20b", query: Some(b"x=1") });
    assert_eq!(head.raw_target, b"/a%20b?x=1");
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.host, b"example.org:80");
    assert_eq!(head.framing, Framing::Length(12));
    assert_eq!(head.persistence, Persistence::KeepAlive);
    assert_eq!(head.fields.value("x-y"), Some(&b"z"[..]));
    assert_eq!(head.fields.count(), 3);
    assert_eq!(&input[head.length..], b"rest");
    assert!(head.present.has(Known::ContentLength) && !head.present.has(Known::Range));
}

#[test]
fn what_is_fine_is_taken() {
    for input in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET http://a.example/x?y HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET HTTP://[::1]:80 HTTP/1.1\r\nHost: b\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?a[]=1|2 HTTP/1.1\r\nhost:a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:8080\r\nX: \u{e9}\r\nY:\r\n\r\n",
        "PURGE / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n\r\n",
        "GET / HTTP/1.0\r\nExpect: miracles\r\n\r\n",
    ] {
        check(input.as_bytes(), Ok(()));
    }
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_refused() {
    for (line, refusal) in [
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", Refusal::LengthAndCoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1", Refusal::LengthAndCoding),
        ("Content-Length: 1\r\nContent-Length: 2", Refusal::TwoLengths),
        ("Content-Length: 1\r\nContent-Length: 1", Refusal::TwoLengths),
        ("Content-Length: 1, 1", Refusal::BadLength),
        ("Content-Length: +1", Refusal::BadLength),
        ("Content-Length: -1", Refusal::BadLength),
        ("Content-Length: 0x1", Refusal::BadLength),
        ("Content-Length: 1 1", Refusal::BadLength),
        ("Content-Length:", Refusal::BadLength),
        ("Content-Length: 18446744073709551616", Refusal::BadLength),
        ("Transfer-Encoding: gzip, chunked", Refusal::BadCoding),
        ("Transfer-Encoding: chunked, chunked", Refusal::BadCoding),
        ("Transfer-Encoding: identity", Refusal::BadCoding),
        ("Transfer-Encoding: \"chunked\"", Refusal::BadCoding),
        ("Transfer-Encoding: xchunked", Refusal::BadCoding),
        ("Transfer-Encoding:", Refusal::BadCoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Refusal::BadCoding),
        ("Host: a", Refusal::TwoHosts),
        ("hOST: b", Refusal::TwoHosts),
        ("X: a\r\n b", Refusal::Folded),
        ("X: a\r\n\tb", Refusal::Folded),
        (" X: a", Refusal::Folded),
        ("X : a", Refusal::SpaceBeforeColon),
        ("X\t: a", Refusal::SpaceBeforeColon),
        ("X a", Refusal::SpaceBeforeColon),
        (": a", Refusal::BadFieldName),
        ("X(: a", Refusal::BadFieldName),
        ("X\u{e9}: a", Refusal::BadFieldName),
        ("X", Refusal::BadFieldName),
        ("X\0: a", Refusal::BadFieldName),
        ("X: a\0b", Refusal::BadFieldValue),
        ("X: a\u{1}b", Refusal::BadFieldValue),
        ("X: a\u{7f}b", Refusal::BadFieldValue),
        ("X: a\rb", Refusal::BareCr),
        ("X: a\nY: b", Refusal::BareLf),
        ("X: a\n", Refusal::BareLf),
        ("\n", Refusal::BareLf),
        ("\rX: a", Refusal::BareCr),
        ("Expect: 200-ok", Refusal::BadExpectation),
        ("Expect: 100-continue\r\nExpect: 100-continue", Refusal::BadExpectation),
    ] {
        check(&with_line(line), Err(refusal));
    }
}

#[test]
fn bad_request_lines_are_refused() {
    for (line, refusal) in [
        ("GET /", Refusal::BadRequestLine),
        ("GET", Refusal::BadMethod),
        ("GET  / HTTP/1.1", Refusal::BadTarget),
        ("GET /  HTTP/1.1", Refusal::BadTarget),
        ("GET / HTTP/1.1 ", Refusal::BadRequestLine),
        ("GET /\tHTTP/1.1", Refusal::BadRequestLine),
        ("GET\t/ HTTP/1.1", Refusal::BadMethod),
        (" GET / HTTP/1.1", Refusal::BadMethod),
        ("GET / x HTTP/1.1", Refusal::BadTarget),
        ("GET / http/1.1", Refusal::BadRequestLine),
        ("GET / HTTP/1", Refusal::BadRequestLine),
        ("GET / HTTP/1.10", Refusal::BadRequestLine),
        ("GET / HTTP/1.2", Refusal::BadVersion),
        ("GET / HTTP/2.0", Refusal::BadVersion),
        ("GET / HTTP/0.9", Refusal::BadVersion),
        ("PRI * HTTP/2.0", Refusal::BadVersion),
        ("G(T / HTTP/1.1", Refusal::BadMethod),
        ("G\u{e9}T / HTTP/1.1", Refusal::BadMethod),
        ("CONNECT a:80 HTTP/1.1", Refusal::Connect),
        ("GET * HTTP/1.1", Refusal::BadTarget),
        ("GET a HTTP/1.1", Refusal::BadTarget),
        ("GET a:80 HTTP/1.1", Refusal::BadTarget),
        ("GET ftp://a/ HTTP/1.1", Refusal::BadTarget),
        ("GET https:///x HTTP/1.1", Refusal::BadTarget),
        ("GET https:/a HTTP/1.1", Refusal::BadTarget),
        ("GET https://u@a/ HTTP/1.1", Refusal::BadTarget),
        ("GET http:/// HTTP/1.1", Refusal::BadTarget),
        ("GET http://u@a/ HTTP/1.1", Refusal::BadTarget),
        ("GET http://a/#x HTTP/1.1", Refusal::BadTarget),
        ("GET /#x HTTP/1.1", Refusal::BadTarget),
        ("GET /\u{e9} HTTP/1.1", Refusal::BadTarget),
        ("GET /\u{7f} HTTP/1.1", Refusal::BadTarget),
        ("GET /\0 HTTP/1.1", Refusal::BadTarget),
        ("GET / HTTP/1.1\r", Refusal::BareCr),
    ] {
        check(format!("{line}\r\nHost: a\r\n\r\n").as_bytes(), Err(refusal));
    }
    check(b"GET / HTTP/1.1\nHost: a\r\n\r\n", Err(Refusal::BareLf));
    check(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::BareLf));
    check(b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::BareCr));
    check(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::BadMethod));
}

#[test]
fn the_host_is_needed_and_checked() {
    check(b"GET / HTTP/1.1\r\n\r\n", Err(Refusal::NoHost));
    check(b"GET http://a/ HTTP/1.1\r\n\r\n", Err(Refusal::NoHost));
    check(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Err(Refusal::CodingInOld));
    for host in
        ["", "a b", "a/b", "u@a", "a:x", "a:80:80", "a:65536", "[::1", "[a]", "127.1", "a,b\"", "\u{e9}", "a%41"]
    {
        check(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes(), Err(Refusal::BadHost));
    }
    let long = "a".repeat(256);
    check(format!("GET / HTTP/1.1\r\nHost: {long}\r\n\r\n").as_bytes(), Err(Refusal::BadHost));
    check(format!("GET / HTTP/1.1\r\nHost: {}:65535\r\n\r\n", &long[1..]).as_bytes(), Ok(()));
    let absolute = b"GET http://a.example:81/x HTTP/1.1\r\nHost: b.example\r\n\r\n";
    assert_eq!(parse(absolute, &Limits::default()).unwrap().unwrap().host, b"a.example:81");
}

#[test]
fn foreign_protocols_are_named() {
    for (input, protocol) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], "TLS: use http:// with this port"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"EHLO me.example\r\n", "SMTP"),
        (b"*1\r\n$4\r\nPING\r\n", "RESP (the protocol of Redis)"),
    ] {
        check(input, Err(Refusal::Foreign(protocol)));
    }
}

#[test]
fn limits_hold_at_n_and_at_one_more() {
    let line = |target: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(target));
    let fits = SMALL.request_line - "GET / HTTP/1.1".len();
    check_within(line(fits).as_bytes(), &SMALL, Ok(()));
    check_within(line(fits + 1).as_bytes(), &SMALL, Err(Refusal::LongRequestLine));

    let head = |value: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(value));
    let fits = SMALL.head - head(0).len();
    check_within(head(fits).as_bytes(), &SMALL, Ok(()));
    check_within(head(fits + 1).as_bytes(), &SMALL, Err(Refusal::LongHead));

    let fields = |more: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(more));
    check_within(fields(SMALL.fields - 1).as_bytes(), &SMALL, Ok(()));
    check_within(fields(SMALL.fields).as_bytes(), &SMALL, Err(Refusal::ManyFields));

    let method = |length: usize| format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(length));
    check(method(METHOD_MOST).as_bytes(), Ok(()));
    check(method(METHOD_MOST + 1).as_bytes(), Err(Refusal::LongMethod));
}

#[test]
fn persistence_follows_version_and_connection() {
    use Persistence::{Close, KeepAlive};
    for (version, connection, expect) in [
        ("1.1", "", KeepAlive),
        ("1.1", "Connection: close\r\n", Close),
        ("1.1", "Connection: x, CLOSE\r\n", Close),
        ("1.1", "Connection: x\r\nConnection: close\r\n", Close),
        ("1.1", "Connection: keep-alive\r\n", KeepAlive),
        ("1.1", "Connection: enclose\r\n", KeepAlive),
        ("1.0", "", Close),
        ("1.0", "Connection: Keep-Alive\r\n", KeepAlive),
        ("1.0", "Connection: keep-alive, close\r\n", Close),
    ] {
        let input = format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n");
        let head = parse(input.as_bytes(), &Limits::default()).unwrap().unwrap();
        assert_eq!(head.persistence, expect, "{version} {connection}");
    }
}

#[test]
fn only_a_line_end_or_a_limit_makes_a_second_look_worth_it() {
    let limits = Limits { request_line: 10, head: 20, fields: 9 };
    assert!(!worth_parsing(3, b"GET /", &limits));
    assert!(worth_parsing(3, b"GET /\n", &limits));
    assert!(!worth_parsing(4, b"GET\n/", &limits));
    assert!(worth_parsing(11, &[b'x'; 12], &limits));
    assert!(!worth_parsing(12, &[b'x'; 13], &limits));
    assert!(worth_parsing(13, &[b'x'; 14], &limits), "the line behind an empty one");
    assert!(!worth_parsing(14, &[b'x'; 19], &limits));
    assert!(worth_parsing(14, &[b'x'; 20], &limits));
}

#[test]
fn every_known_field_is_known_in_any_case() {
    for (name, known) in [
        ("HOST", Known::Host),
        ("Content-Length", Known::ContentLength),
        ("TRANSFER-encoding", Known::TransferEncoding),
        ("connection", Known::Connection),
        ("Expect", Known::Expect),
        ("Origin", Known::Origin),
        ("Range", Known::Range),
        ("If-Match", Known::IfMatch),
        ("if-NONE-match", Known::IfNoneMatch),
        ("If-Modified-Since", Known::IfModifiedSince),
        ("If-Unmodified-Since", Known::IfUnmodifiedSince),
        ("If-Range", Known::IfRange),
    ] {
        assert_eq!(Known::of(name.as_bytes()), Some(known));
        assert_eq!(Known::of(&name.as_bytes()[1..]), None);
    }
}

#[test]
fn the_names_of_fields_alone_are_made_lower_case() {
    for (head, expect) in [
        (
            "GET /A:B HTTP/1.1\r\nHost: A:1\r\nX-Y:\t Z:Z \r\n\r\n",
            "GET /A:B HTTP/1.1\r\nhost: A:1\r\nx-y:\t Z:Z \r\n\r\n",
        ),
        ("\r\nGET / HTTP/1.0\r\nHOST: A\r\n\r\n", "\r\nGET / HTTP/1.0\r\nhost: A\r\n\r\n"),
        ("GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"),
        ("", ""),
    ] {
        let mut lower = head.as_bytes().to_vec();
        lower_names(&mut lower);
        assert_eq!(String::from_utf8_lossy(&lower), expect);
    }
}
