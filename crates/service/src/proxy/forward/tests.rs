use super::*;
use crate::proxy::Address;
use crate::web::{Client, Path, Says, Scheme};

fn settings(trusted: &[&str], host: Host) -> Settings {
    let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
    Settings { trusted, host, ..Settings::of([Address::parse("http://up:81").unwrap()]) }
}

fn request(fields: &[(&str, &str)]) -> Request {
    let mut all = Fields::new();
    for (name, value) in fields {
        all.add(name.to_string(), value.to_string()).unwrap();
    }
    Request {
        method: Method::Get,
        verb: Bytes::from_static(b"GET"),
        scheme: Scheme::Https,
        authority: Bytes::from_static(b"www.example.org:8443"),
        path: Path::parse(b"/a%20b").unwrap(),
        query: Some(Bytes::from_static(b"c=d")),
        fields: all,
        client: Client {
            peer: "192.0.2.1:4000".parse().unwrap(),
            local: "192.0.2.2:443".parse().unwrap(),
            secured: None,
        },
        body: Incoming::Empty,
        upgrade: None,
        notes: std::rc::Rc::default(),
    }
}

fn check(request: &Request, settings: &Settings, expect: &str) {
    let head = head(request, settings, "up:81", Announced::Nothing).unwrap();
    let expect = expect.trim_start().replace('\n', "\r\n");
    assert_eq!(String::from_utf8(head).unwrap(), format!("{expect}\r\n"));
}

#[test]
fn what_goes_upstream_is_written_anew() {
    check(
        &request(&[("Accept", "*/*"), ("Cookie", "a=b"), ("Connection", "x"), ("TE", "trailers"), ("Proxy", "evil")]),
        &settings(&[], Host::Client),
        "
GET /a%20b?c=d HTTP/1.1
Host: www.example.org:8443
accept: */*
cookie: a=b
x-forwarded-for: 192.0.2.1
x-forwarded-proto: https
x-forwarded-host: www.example.org:8443
forwarded: for=192.0.2.1;host=\"www.example.org:8443\";proto=https
via: 1.1 sportello
",
    );
}

#[test]
fn what_a_stranger_says_of_itself_is_not_passed_on() {
    let claims = [
        ("X-Forwarded-For", "10.0.0.1"),
        ("x_forwarded_for", "10.0.0.2"),
        ("X-Forwarded_Proto", "http"),
        ("X-Forwarded-Port", "1"),
        ("X-Real-IP", "10.0.0.3"),
        ("x_real_ip", "10.0.0.4"),
        ("Forwarded", "for=10.0.0.5"),
        ("Via", "1.0 fred"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "7"),
        ("Host", "other"),
        ("Expect", "100-continue"),
    ];
    check(
        &request(&claims),
        &settings(&["198.51.100.0/24"], Host::Upstream),
        "
GET /a%20b?c=d HTTP/1.1
Host: up:81
x-forwarded-for: 192.0.2.1
x-forwarded-proto: https
x-forwarded-host: www.example.org:8443
forwarded: for=192.0.2.1;host=\"www.example.org:8443\";proto=https
via: 1.0 fred, 1.1 sportello
",
    );
    check(
        &request(&claims),
        &settings(&["192.0.2.0/24"], Host::Fixed(Bytes::from_static(b"in"))),
        "
GET /a%20b?c=d HTTP/1.1
Host: in
x-forwarded-port: 1
x-forwarded-for: 10.0.0.1, 192.0.2.1
x-forwarded-proto: https
x-forwarded-host: www.example.org:8443
forwarded: for=192.0.2.1;host=\"www.example.org:8443\";proto=https
via: 1.0 fred, 1.1 sportello
",
    );
}

#[test]
fn a_trusted_proxy_is_believed_in_the_fields_that_it_writes() {
    let claims = [
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-Host", "evil"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Port", "1"),
        ("X_Forwarded_For", "6.6.6.6"),
        ("X-Real-IP", "6.6.6.6"),
        ("Forwarded", "for=198.51.100.1"),
    ];
    let settings = Settings { says: vec![Says::Forwarded], ..settings(&["192.0.2.0/24"], Host::Upstream) };
    check(
        &request(&claims),
        &settings,
        "
GET /a%20b?c=d HTTP/1.1
Host: up:81
x-forwarded-for: 192.0.2.1
x-forwarded-proto: https
x-forwarded-host: www.example.org:8443
forwarded: for=198.51.100.1, for=192.0.2.1;host=\"www.example.org:8443\";proto=https
via: 1.1 sportello
",
    );
}

#[test]
fn a_request_that_comes_again_and_again_leads_in_a_circle() {
    let via = |times: usize| request(&[("Via", &vec!["1.1 sportello"; times].join(", ")), ("Via", "1.0 fred")]);
    assert!(!is_loop(&via(PASSES_MOST)) && is_loop(&via(PASSES_MOST + 1)));
}

#[test]
fn an_address_of_the_sixth_version_is_quoted_and_a_mapped_one_is_plain() {
    for (peer, plain, quoted) in [
        ("[2001:db8::1]:1", "2001:db8::1", "for=\"[2001:db8::1]\""),
        ("[::ffff:192.0.2.9]:1", "192.0.2.9", "for=192.0.2.9"),
    ] {
        let mut request = request(&[]);
        request.client.peer = peer.parse().unwrap();
        request.authority = Bytes::new();
        let head = head(&request, &settings(&[], Host::Client), "up:81", Announced::Nothing).unwrap();
        let head = String::from_utf8(head).unwrap();
        assert!(head.contains("\r\nHost: up:81\r\n"), "HTTP/1.0 names no host: {head}");
        assert!(head.contains(&format!("\r\nx-forwarded-for: {plain}\r\n")), "{head}");
        assert!(head.contains(&format!("\r\nforwarded: {quoted};proto=https\r\n")), "{head}");
        assert!(!head.contains("x-forwarded-host"), "{head}");
    }
}

#[test]
fn no_protocol_is_asked_for_in_which_rules_could_be_passed_by() {
    for (protocol, expect) in [
        ("websocket", true),
        ("x-ours", true),
        ("h2c", false),
        ("H2C", false),
        ("h2", false),
        ("http/2", false),
        ("tls/1.3", false),
    ] {
        let protocol = Bytes::from_static(protocol.as_bytes());
        let asked = Request { upgrade: Some(crate::web::Upgrade { protocol }), ..request(&[]) };
        assert_eq!(upgrade(&asked).is_some(), expect, "{asked:?}");
        let posted = Request { method: Method::Post, ..asked };
        assert_eq!(upgrade(&posted), None);
    }
}

/// Whatever a client's request held and was accepted with, an upstream reads exactly one request of it, with the body that was meant.
#[test]
fn what_goes_upstream_is_one_request() {
    use sportello_wire::http1::body::Framing;
    use sportello_wire::http1::head::{Limits, parse};

    let hostile = [
        ("x", "a\r\n\r\nGET /evil HTTP/1.1\r\nHost: a"),
        ("x\r\ny", "a"),
        ("x", "a\nTransfer-Encoding: chunked"),
        ("x", "\0"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "xchunked"),
        ("Transfer-Encoding", "gzip, chunked"),
        ("content-length", "5"),
        ("content-length", "0, 5"),
        ("connection", "content-length, host"),
        ("host", "evil"),
        ("expect", "100-continue"),
        ("upgrade", "h2c"),
        ("te", "chunked"),
        ("trailer", "host"),
        ("keep-alive", "1"),
    ];
    for body in [Announced::Nothing, Announced::Length(7), Announced::Chunks] {
        for (name, value) in hostile {
            let mut asked = request(&[]);
            let is_field = asked.fields.add(name.to_owned(), value.to_owned()).is_ok();
            let written = head(&asked, &settings(&["0.0.0.0/0"], Host::Client), "up", body).unwrap();
            let limits = Limits { head: 64 * 1024, ..Limits::default() };
            let read = parse(&written, &limits).unwrap_or_else(|bad| panic!("{name} {value}: {bad}")).unwrap();
            let framing = match body {
                Announced::Nothing => Framing::Length(0),
                Announced::Length(length) => Framing::Length(length),
                Announced::Chunks => Framing::Chunked,
            };
            assert_eq!((read.length, read.framing, read.host), (written.len(), framing, &b"www.example.org:8443"[..]));
            assert_eq!(read.fields.filter(|(field, _)| *field == b"x").count(), 0, "{is_field} {name} {value}");
        }
    }
    // Parts that a version of HTTP without lines could have let through.
    for (path, query, verb) in [
        (&b"/a"[..], Some(&b"a b"[..]), &b"GET"[..]),
        (b"/a", Some(b"a\r\nx: y"), b"GET"),
        (b"/a", None, b"GET /evil HTTP/1.1\r\n"),
        (b"/a", None, b""),
    ] {
        let mut asked = request(&[]);
        asked.path = Path::parse(path).unwrap();
        asked.query = query.map(Bytes::copy_from_slice);
        asked.verb = Bytes::copy_from_slice(verb);
        assert_eq!(head(&asked, &settings(&[], Host::Client), "up", Announced::Nothing), Err(Unwritable));
    }
}
