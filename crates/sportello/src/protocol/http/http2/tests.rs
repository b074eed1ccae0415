//! Conversations in HTTP/2 with clients of all kinds, byte by byte over real sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sportello_net::Deadlines;

use super::super::tests::House;
use super::*;

mod floods;
mod malformed;
mod preface;
mod told;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PRIORITY: u8 = 2;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// One frame as it was received.
#[derive(Clone, Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct Client(TcpStream);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// Fields that are in no table, and not compressed (RFC 7541 §6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            length(&mut out, text.len());
            out.extend(text.as_bytes());
        }
    }
    out
}

/// A number in seven bits and as many more as it takes (RFC 7541 §5.1).
fn length(out: &mut Vec<u8>, length: usize) {
    if length < 127 {
        return out.push(length as u8);
    }
    out.push(127);
    let mut left = length - 127;
    while left >= 128 {
        out.push((left % 128) as u8 | 128);
        left /= 128;
    }
    out.push(left as u8);
}

fn asking(method: &str, path: &str) -> Vec<u8> {
    block(&[(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path)])
}

impl Client {
    /// Says hello with these settings (RFC 9113 §6.5.1).
    fn new(house: &House, settings: &[(u16, u32)]) -> Self {
        Self::with(house, settings, &[])
    }

    /// The same, and this with it in one write.
    fn with(house: &House, settings: &[(u16, u32)], more: &[u8]) -> Self {
        let mut stream = house.client();
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &payload), more].concat()).unwrap();
        Self(stream)
    }

    fn send(&mut self, bytes: &[u8]) {
        // A server that has said enough need not listen.
        let _ = self.0.write_all(bytes);
    }

    fn ask(&mut self, stream: u32, method: &str, path: &str) {
        self.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &asking(method, path)));
    }

    fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let [a, b, c, kind, flags, d, e, f, g] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes([d, e, f, g]), payload })
    }

    /// Reads until a frame of this kind comes.
    fn until(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next()?;
            if frame.kind == kind && (kind != SETTINGS && kind != PING || frame.flags & ACK != 0) {
                return Some(frame);
            }
        }
    }

    /// The content of one answer.
    fn content(&mut self, stream: u32) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let frame = self.next()?;
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                DATA => content.extend(frame.payload),
                RESET => return None,
                _ => {}
            }
            if frame.flags & END_STREAM != 0 {
                return Some(content);
            }
        }
    }

    /// Why the server ends the connection.
    fn dismissed(&mut self) -> Option<u32> {
        let frame = self.until(GO_AWAY)?;
        frame.payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().unwrap()))
    }
}

#[test]
fn streams_are_answered_beside_each_other() {
    let house = House::open();
    let mut client = Client::new(&house, &[]);
    for stream in [1, 3, 5] {
        client.ask(stream, "GET", "/a");
    }
    let mut answered = Vec::new();
    while answered.len() < 3 {
        let frame = client.until(DATA).unwrap();
        assert_eq!(frame.payload, b"first");
        answered.push(frame.stream);
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 3, 5]);
    client.send(&frame(HEADERS, END_HEADERS, 7, &asking("POST", "/a")));
    client.send(&frame(DATA, END_STREAM, 7, b"body"));
    assert!(client.content(7).unwrap().windows(3).any(|word| word == b"405"));
    client.ask(9, "GET", "/large");
    drop(client);
    house.close();
}

#[test]
fn pings_and_settings_are_answered_one_by_one() {
    let house = House::open();
    let mut client = Client::new(&house, &[]);
    for number in 0..50u64 {
        client.send(&frame(PING, 0, 0, &number.to_be_bytes()));
        assert_eq!(client.until(PING).unwrap().payload, number.to_be_bytes());
        client.send(&frame(SETTINGS, 0, 0, &[]));
        client.until(SETTINGS).unwrap();
    }
    client.ask(1, "GET", "/a");
    assert_eq!(client.content(1).unwrap(), b"first");
    drop(client);
    house.close();
}

#[test]
fn a_window_that_stays_shut_ends_its_stream_alone() {
    let house = House::with(Deadlines { write: Duration::from_millis(300), ..Deadlines::default() });
    // SETTINGS_INITIAL_WINDOW_SIZE
    let mut client = Client::new(&house, &[(4, 0)]);
    client.ask(1, "GET", "/a");
    let reset = client.until(RESET).unwrap();
    assert_eq!(reset.stream, 1);
    client.send(&frame(PING, 0, 0, &[7; 8]));
    assert_eq!(client.until(PING).unwrap().payload, [7; 8], "the others live on");
    drop(client);
    house.close();
}

#[test]
fn a_body_that_takes_longer_than_a_request_may_ends_its_stream_alone() {
    let house = House::with(Deadlines { request: Duration::from_millis(300), ..Deadlines::default() });
    let mut client = Client::new(&house, &[]);
    client.send(&frame(HEADERS, END_HEADERS, 1, &asking("POST", "/a")));
    client.send(&frame(DATA, 0, 1, b"some"));
    // It is answered at once, and the rest of it waited for.
    assert_eq!(client.until(RESET).unwrap().stream, 1);
    client.ask(3, "GET", "/a");
    assert_eq!(client.content(3).unwrap(), b"first", "the others live on");
    drop(client);
    house.close();
}

#[test]
fn who_has_nothing_under_way_and_says_nothing_is_left() {
    let house = House::with(Deadlines { idle: Duration::from_millis(300), ..Deadlines::default() });
    // On a busy machine a client that asks a moment later would be left before.
    let mut client = Client::with(&house, &[], &frame(HEADERS, END_STREAM | END_HEADERS, 1, &asking("GET", "/a")));
    assert_eq!(client.content(1).unwrap(), b"first");
    while client.next().is_some() {}
    house.close();
}

#[test]
fn a_server_that_stops_finishes_what_was_begun() {
    let house = House::open();
    let mut client = Client::new(&house, &[(4, 1 << 20)]);
    client.ask(1, "GET", "/a");
    assert_eq!(client.content(1).unwrap(), b"first");
    let waiting = std::thread::spawn(move || client.dismissed());
    house.close();
    assert_eq!(waiting.join().unwrap(), Some(0), "told without a fault");
}
