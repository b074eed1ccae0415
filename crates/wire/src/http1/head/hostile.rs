//! What the literature on request smuggling sends: every line of these tables is refused, or read in the one way that the
//! clause allows. Each is also cut at every byte: a part is waited for, or refused as the whole.

use super::tests::check;
use super::*;

/// One POST whose fields are `Host` and `lines`.
fn post(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n")
}

fn framing(lines: &str) -> Framing {
    parse(post(lines).as_bytes(), &Limits::default()).unwrap().unwrap().framing
}

#[test]
fn every_content_length_is_one_number_or_refused() {
    for (value, length) in [("0", 0), ("5", 5), (" 5", 5), ("5 ", 5), ("\t5\t", 5), ("18446744073709551615", u64::MAX)]
    {
        let line = format!("Content-Length:{value}");
        check(post(&line).as_bytes(), Ok(()));
        assert_eq!(framing(&line), Framing::Length(length), "{value:?}");
    }
    for value in [
        "+5",
        "-5",
        "-0",
        "5,5",
        "5, 5",
        "5,6",
        "5;5",
        "5 5",
        "5\t5",
        "05",
        "00",
        "0x5",
        "0X5",
        "5h",
        "5.0",
        "5e1",
        "1_0",
        "٥",
        "'5'",
        "\"5\"",
        "",
        " ",
        ",",
        "5,",
        ",5",
        "NaN",
        "18446744073709551616",
        "99999999999999999999999999999999",
        "chunked",
    ] {
        check(post(&format!("Content-Length: {value}")).as_bytes(), Err(Refusal::BadLength));
    }
    for lines in [
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\ncontent-length: 0",
        "Content-Length: 5\r\nX: y\r\nCONTENT-LENGTH: 5",
    ] {
        check(post(lines).as_bytes(), Err(Refusal::TwoLengths));
    }
}

#[test]
fn every_transfer_encoding_is_chunked_or_refused() {
    for value in ["chunked", "Chunked", "CHUNKED", " chunked ", "\tchunked\t"] {
        let line = format!("Transfer-Encoding:{value}");
        check(post(&line).as_bytes(), Ok(()));
        assert_eq!(framing(&line), Framing::Chunked, "{value:?}");
    }
    for value in [
        "identity",
        "gzip",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "gzip, chunked",
        "chunked, identity",
        "identity, chunked",
        "xchunked",
        "chunkedx",
        "x chunked",
        "chunked;q=1",
        "chunked ; a=b",
        "\"chunked\"",
        "'chunked'",
        "chunk",
        "c hunked",
        "chunked chunked",
        "=chunked",
        "chun\u{e9}ked",
        "",
        "\u{feff}chunked",
        "cow",
        "trailers",
    ] {
        check(post(&format!("Transfer-Encoding: {value}")).as_bytes(), Err(Refusal::BadCoding));
    }
    for (lines, refusal) in [
        ("Transfer-Encoding: \u{b}chunked", Refusal::BadFieldValue),
        ("Transfer-Encoding: chunked\u{b}", Refusal::BadFieldValue),
        ("Transfer-Encoding: \u{c}chunked", Refusal::BadFieldValue),
        ("Transfer-Encoding: \0chunked", Refusal::BadFieldValue),
        ("Transfer-Encoding: chunked\0", Refusal::BadFieldValue),
        ("Transfer-Encoding: chunked\u{7f}", Refusal::BadFieldValue),
        ("Transfer-Encoding:\r\n chunked", Refusal::BadCoding),
        ("Transfer-Encoding: chunked\r\n , identity", Refusal::Folded),
        ("X: y\r\n Transfer-Encoding: chunked", Refusal::Folded),
        ("Transfer-Encoding : chunked", Refusal::SpaceBeforeColon),
        ("Transfer-Encoding\t: chunked", Refusal::SpaceBeforeColon),
        ("Transfer-Encoding chunked", Refusal::SpaceBeforeColon),
        (" Transfer-Encoding: chunked", Refusal::Folded),
        ("\tTransfer-Encoding: chunked", Refusal::Folded),
        ("Transfer\u{b}-Encoding: chunked", Refusal::BadFieldName),
        ("Transfer-Encoding\0: chunked", Refusal::BadFieldName),
        ("Transfer-Enc\rding: chunked", Refusal::BadFieldName),
        ("\rTransfer-Encoding: chunked", Refusal::BareCr),
        ("\nTransfer-Encoding: chunked", Refusal::BareLf),
        ("X: y\rTransfer-Encoding: chunked", Refusal::BareCr),
        ("X: y\nTransfer-Encoding: chunked", Refusal::BareLf),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Refusal::BadCoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", Refusal::BadCoding),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", Refusal::BadCoding),
        ("Transfer-Encoding: chunked\r\ntransfer-encoding: x", Refusal::BadCoding),
    ] {
        check(post(lines).as_bytes(), Err(refusal));
    }
}

#[test]
fn a_length_beside_a_coding_is_refused_in_any_order_and_value() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "CONTENT-LENGTH: 0\r\nX: y\r\ntransfer-encoding: Chunked",
    ] {
        check(post(lines).as_bytes(), Err(Refusal::LengthAndCoding));
    }
    for lines in ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nConnection: keep-alive"] {
        check(format!("POST / HTTP/1.0\r\n{lines}\r\n\r\n").as_bytes(), Err(Refusal::CodingInOld));
    }
    check(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", Err(Refusal::LengthAndCoding));
}

#[test]
fn names_that_only_look_like_framing_frame_nothing() {
    for lines in [
        "Transfer_Encoding: chunked",
        "Content_Length: 5",
        "X-Transfer-Encoding: chunked",
        "Content-Lengths: 5",
        "Transfer-Encodin: chunked",
        "X: Transfer-Encoding: chunked",
        "TE: trailers",
        "TE: trailers, chunked;q=0.5\r\nConnection: TE",
        "Connection: transfer-encoding, content-length",
        "Trailer: X",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings",
    ] {
        check(post(lines).as_bytes(), Ok(()));
        assert_eq!(framing(lines), Framing::Length(0), "{lines}");
    }
}

#[test]
fn one_host_is_named_and_it_is_the_one_that_counts() {
    let ask = |target: &str, hosts: &[&str]| {
        let hosts: String = hosts.iter().map(|host| format!("Host:{host}\r\n")).collect();
        format!("GET {target} HTTP/1.1\r\n{hosts}\r\n")
    };
    for (target, hosts, refusal) in [
        ("/", &[" a", " a"][..], Refusal::TwoHosts),
        ("/", &[" a", " b"], Refusal::TwoHosts),
        ("http://a/", &[" a", " b"], Refusal::TwoHosts),
        ("/", &[], Refusal::NoHost),
        ("http://a/", &[], Refusal::NoHost),
        ("/", &[""], Refusal::BadHost),
        ("/", &[" "], Refusal::BadHost),
        ("http://a/", &[""], Refusal::BadHost),
        ("/", &[" a, b"], Refusal::BadHost),
        ("/", &[" a b"], Refusal::BadHost),
        ("/", &[" a/x"], Refusal::BadHost),
        ("/", &[" a\\x"], Refusal::BadHost),
        ("/", &[" a?x"], Refusal::BadHost),
        ("/", &[" a#x"], Refusal::BadHost),
        ("/", &[" u@a"], Refusal::BadHost),
        ("/", &[" http://a"], Refusal::BadHost),
        ("/", &[" a:80:80"], Refusal::BadHost),
        ("/", &[" a:+80"], Refusal::BadHost),
        ("/", &[" a:-1"], Refusal::BadHost),
        ("/", &[" a:65536"], Refusal::BadHost),
        ("/", &[" a:080000"], Refusal::BadHost),
        ("/", &[" [::1"], Refusal::BadHost),
        ("/", &[" ::1"], Refusal::BadHost),
        ("/", &[" [::1]x"], Refusal::BadHost),
        ("/", &[" [::1%25lo]"], Refusal::BadHost),
        ("/", &[" 0177.0.0.1"], Refusal::BadHost),
        ("/", &[" 2130706433"], Refusal::BadHost),
        ("/", &[" a%2eb"], Refusal::BadHost),
        ("/", &[" a\0"], Refusal::BadFieldValue),
        ("/", &[" a\r"], Refusal::BareCr),
        ("http://u@a/", &[" a"], Refusal::BadTarget),
        ("http://u:p@a/", &[" a"], Refusal::BadTarget),
        ("http://@a/", &[" a"], Refusal::BadTarget),
        ("http:///x", &[" a"], Refusal::BadTarget),
        ("http:/a", &[" a"], Refusal::BadTarget),
        ("http:a", &[" a"], Refusal::BadTarget),
        ("http://a:99999/", &[" a"], Refusal::BadTarget),
        ("http://a\\b/", &[" a"], Refusal::BadTarget),
        ("http://a b/", &[" a"], Refusal::BadTarget),
        ("https://u@a/", &[" a"], Refusal::BadTarget),
        ("https://a:99999/", &[" a"], Refusal::BadTarget),
        ("ftp://a/", &[" a"], Refusal::BadTarget),
        ("file:///etc/passwd", &[" a"], Refusal::BadTarget),
        ("javascript://a/", &[" a"], Refusal::BadTarget),
    ] {
        check(ask(target, hosts).as_bytes(), Err(refusal));
    }
    for (target, host, expect) in [
        ("/", " b.example", "b.example"),
        // RFC 3986 §3.2.3: an empty port is none.
        ("/", " b.example:", "b.example:"),
        ("http://a.example/x", " b.example", "a.example"),
        ("HTTP://A.Example:81", " b.example", "A.Example:81"),
        ("http://a.example?x", " b.example", "a.example"),
        ("https://a.example/x", " b.example", "a.example"),
        ("HTTPS://[::1]:443", " b.example", "[::1]:443"),
        ("//b.example/x", " a.example", "a.example"),
        ("/http://b.example/", " a.example", "a.example"),
    ] {
        let request = ask(target, &[host]);
        let head = parse(request.as_bytes(), &Limits::default()).unwrap().unwrap();
        assert_eq!(head.host, expect.as_bytes(), "{target}");
        assert_eq!(head.named, Host::parse(expect.as_bytes()));
        let scheme = match target.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
            Some("http") => Some(Scheme::Http),
            Some("https") => Some(Scheme::Https),
            _ => None,
        };
        assert_eq!(head.scheme, scheme, "{target}");
    }
}

#[test]
fn what_is_no_http_1_is_told_what_it_is() {
    for (input, refusal) in [
        (&b"GET /\r\n\r\n"[..], Refusal::BadRequestLine),
        (b"GET /\r\n", Refusal::BadRequestLine),
        (b"GET http://a/\r\n\r\n", Refusal::BadRequestLine),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refusal::BadVersion),
        (b"GET / HTTP/3\r\nHost: a\r\n\r\n", Refusal::BadRequestLine),
        (b"GET / HTTP/11.1\r\nHost: a\r\n\r\n", Refusal::BadRequestLine),
        (b"GET / HTTP/1.1HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::BadRequestLine),
        (b"GET / HTTP/1,1\r\nHost: a\r\n\r\n", Refusal::BadRequestLine),
        (b"HTTP/1.1 200 OK\r\n\r\n", Refusal::BadMethod),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n", Refusal::Foreign("TLS: use http:// with this port")),
        (b"\x80\x2e\x01\x03\x01", Refusal::BadMethod),
        (b"\0", Refusal::BadMethod),
        (b"\xef\xbb\xbfGET / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::BadMethod),
        (b"\r\n\r\n", Refusal::BadMethod),
        (b"GET\0 / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::BadMethod),
        (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::BadTarget),
        (b"GET / HTTP/1.1\0\r\nHost: a\r\n\r\n", Refusal::BadRequestLine),
        (b"GET /\x0bx HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::BadTarget),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::BadTarget),
        (b"GET /\rHost: b HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::BareCr),
    ] {
        check(input, Err(refusal));
    }
}
