//! Requests that are none, or that could be understood in two ways.

use super::*;

const GOOD: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/a")];

/// What comes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Content(String),
    Reset(u32),
    Dismissed,
}

/// Asks on a connection of its own.
fn verdict(house: &House, fields: &[(&str, &str)]) -> Verdict {
    let mut client = Client::new(house, &[]);
    client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(fields)));
    let mut content = Vec::new();
    while let Some(frame) = client.next() {
        match (frame.kind, frame.stream) {
            (GO_AWAY, _) => break,
            (RESET, 1) => return Verdict::Reset(u32::from_be_bytes(frame.payload.try_into().unwrap())),
            (DATA, 1) => content.extend(frame.payload),
            _ => {}
        }
        if frame.stream == 1 && frame.flags & END_STREAM != 0 {
            return Verdict::Content(String::from_utf8_lossy(&content).into_owned());
        }
    }
    Verdict::Dismissed
}

fn instead(field: (&'static str, &'static str)) -> Vec<(&'static str, &'static str)> {
    GOOD.map(|good| if good.0 == field.0 { field } else { good }).to_vec()
}

fn and(fields: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [&GOOD[..], fields].concat()
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let house = House::open();
    assert_eq!(verdict(&house, &GOOD), Verdict::Content("first".into()));
    assert_eq!(verdict(&house, &and(&[("te", "trailers")])), Verdict::Content("first".into()));
    assert_eq!(verdict(&house, &and(&[("host", "localhost")])), Verdict::Content("first".into()));
    for (fields, expect) in [
        (instead((":path", "/%2e%2e/a")), "400"),
        (instead((":path", "/a%2fb")), "400"),
        (instead((":path", "*")), "400"),
        // RFC 9110 §7.4: the connection is not secured. A method that is not answered from memory is told the same.
        (instead((":scheme", "https")), "421"),
        (instead((":scheme", "HTTPS")), "421"),
        (vec![(":method", "DELETE"), (":scheme", "https"), (":authority", "localhost"), (":path", "/a")], "421"),
        (instead((":scheme", "ftp")), "400"),
        (instead((":authority", "evil.example")), "421"),
        (instead((":authority", "user@localhost")), "400"),
        (instead((":method", "CONNECTED")), "405"),
        (and(&[("host", "other.example")]), "400"),
        (and(&[("host", "localhost"), ("host", "localhost")]), "400"),
        (vec![(":method", "GET"), (":scheme", "http"), (":path", "/a")], "400"),
        (vec![(":method", "CONNECT"), (":authority", "localhost:80")], "405"),
    ] {
        match verdict(&house, &fields) {
            Verdict::Content(page) => assert!(page.contains(expect), "{fields:?}: {page}"),
            // What the engine refuses by itself is refused as well.
            Verdict::Reset(_) | Verdict::Dismissed => {}
        }
    }
    house.close();
}

#[test]
fn what_is_malformed_is_answered_by_nobody() {
    let house = House::open();
    let pseudo = |path| vec![(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", path)];
    for fields in [
        // RFC 9113 §8.2.2: what concerns one connection of HTTP/1.1.
        and(&[("connection", "close")]),
        and(&[("keep-alive", "5")]),
        and(&[("proxy-connection", "close")]),
        and(&[("transfer-encoding", "chunked")]),
        and(&[("upgrade", "websocket")]),
        and(&[("te", "gzip")]),
        // §8.2.1: characters.
        and(&[("X-Upper", "a")]),
        and(&[("x y", "a")]),
        and(&[("", "a")]),
        and(&[("x", "a\r\nb: c")]),
        and(&[("x", "a\nb")]),
        and(&[("x", "a\0b")]),
        // §8.3: pseudo-fields stand in front, once, and are those of a request.
        and(&[(":path", "/b")]),
        and(&[(":authority", "other.example")]),
        and(&[(":status", "200")]),
        and(&[(":unknown", "1")]),
        [&[("x", "y")][..], &GOOD].concat(),
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "localhost")],
        vec![(":method", "GET"), (":authority", "localhost"), (":path", "/a")],
        vec![(":scheme", "http"), (":authority", "localhost"), (":path", "/a")],
        // §8.3.1: the path begins with a slash.
        pseudo(""),
        pseudo("a"),
        pseudo("/a b"),
        pseudo("/a\t"),
        // RFC 8441: nobody was told that it could be asked.
        vec![
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/a"),
        ],
    ] {
        match verdict(&house, &fields) {
            Verdict::Content(page) => assert!(page.contains("400"), "{fields:?}: {page}"),
            Verdict::Reset(_) | Verdict::Dismissed => {}
        }
    }
    house.close();
}

#[test]
fn a_body_is_as_long_as_it_says() {
    let house = House::open();
    let fields = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/a")];
    let head = |length: &'static str| {
        let fields = [&fields[..], &[("content-length", length)]].concat();
        frame(HEADERS, END_HEADERS, 1, &block(&fields))
    };
    for (length, body, whole) in
        [("4", &b"abcd"[..], true), ("3", b"abcd", false), ("5", b"abcd", false), ("0x4", b"abcd", false)]
    {
        let mut client = Client::new(&house, &[]);
        client.send(&[head(length), frame(DATA, END_STREAM, 1, body)].concat());
        let content = client.content(1);
        assert_eq!(content.is_some_and(|content| content.windows(3).any(|word| word == b"405")), whole, "{length}");
    }
    house.close();
}

#[test]
fn trailers_are_read_past_and_change_nothing() {
    let house = House::open();
    let begun = || {
        let mut client = Client::new(&house, &[]);
        client.send(&frame(HEADERS, END_HEADERS, 1, &asking("POST", "/a")));
        client.send(&frame(DATA, 0, 1, b"body"));
        client
    };
    let mut client = begun();
    client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&[("host", "evil.example"), ("x", "y")])));
    assert!(client.content(1).unwrap().windows(3).any(|word| word == b"405"));
    client.ask(3, "GET", "/a");
    assert_eq!(client.content(3).unwrap(), b"first");
    drop(client);
    // RFC 9113 §8.1: they hold no pseudo-fields.
    let mut client = begun();
    client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&[(":path", "/b")])));
    client.ask(3, "GET", "/a");
    assert_eq!(client.content(3).unwrap(), b"first", "the others live on");
    drop(client);
    house.close();
}
