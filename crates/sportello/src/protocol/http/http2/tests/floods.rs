//! Clients that send too much of something, or take too little.

use super::*;

const CALM: Option<u32> = Some(11);

/// Fields that come to a list of so many bytes (RFC 9113 §6.5.2): each counts 32 more than its text.
fn list_of(size: usize) -> Vec<u8> {
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/a")];
    let before: usize = fields.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    let filler = "v".repeat(size - before - 1 - 32);
    block(&[&fields[..], &[("x", &filler)]].concat())
}

#[test]
fn streams_are_begun_up_to_the_limit_and_refused_beyond() {
    let house = House::open();
    // Nothing is taken, so nothing ends. SETTINGS_INITIAL_WINDOW_SIZE.
    let mut client = Client::new(&house, &[(4, 0)]);
    let last = STREAMS_MOST * 2 + 1;
    for stream in (1..=last).step_by(2) {
        client.ask(stream, "GET", "/a");
    }
    let refused = client.until(RESET).unwrap();
    assert_eq!((refused.stream, &refused.payload[..]), (last, &7u32.to_be_bytes()[..]), "REFUSED_STREAM");
    client.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]));
    let mut answered = Vec::new();
    while answered.len() < STREAMS_MOST as usize {
        let frame = client.next().unwrap();
        assert_ne!(frame.kind, RESET);
        if frame.kind == DATA {
            answered.push(frame.stream);
        }
    }
    answered.sort_unstable();
    assert!(answered.into_iter().eq((1..last).step_by(2)));
    drop(client);
    house.close();
}

#[test]
fn heads_are_taken_at_their_limits_and_refused_beyond() {
    let house = House::open();
    let limits = super::super::super::Limits::default().head;
    let mut client = Client::new(&house, &[]);
    let mut stream = 1;
    let mut ask = |block: Vec<u8>| {
        client.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &block));
        stream += 2;
        client.content(stream - 2)
    };
    let fields = |count: usize| {
        let good = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/a")];
        block(&good.into_iter().chain((0..count).map(|_| ("x", "y"))).collect::<Vec<_>>())
    };
    let refused = |content: Option<Vec<u8>>| content.is_none_or(|content| content != b"first");
    assert_eq!(ask(fields(limits.fields)).as_deref(), Some(&b"first"[..]));
    assert!(refused(ask(fields(limits.fields + 1))));
    assert_eq!(ask(list_of(limits.head - 1)).as_deref(), Some(&b"first"[..]));
    assert!(refused(ask(list_of(limits.head))), "a list must be shorter");
    drop(client);
    house.close();
}

#[test]
fn a_head_without_an_end_is_cut_off() {
    let house = House::open();
    let mut client = Client::new(&house, &[]);
    client.send(&frame(HEADERS, END_STREAM, 1, &asking("GET", "/a")));
    for _ in 0..10_000 {
        client.send(&frame(CONTINUATION, 0, 1, &block(&[("x", "y")])));
    }
    assert_eq!(client.dismissed(), CALM);
    assert!(client.next().is_none(), "nothing more is answered");
    let mut other = Client::new(&house, &[]);
    other.ask(1, "GET", "/a");
    assert_eq!(other.content(1).unwrap(), b"first", "others are");
    drop(other);
    house.close();
}

#[test]
fn who_takes_back_what_it_asks_is_sent_away() {
    let house = House::open();
    let mut client = Client::new(&house, &[]);
    for stream in (1..6000).step_by(2) {
        client.ask(stream, "GET", "/large");
        client.send(&frame(RESET, 0, stream, &8u32.to_be_bytes()));
    }
    assert_eq!(client.dismissed(), CALM);
    house.close();
}

#[test]
fn who_makes_the_server_take_back_is_sent_away() {
    let house = House::open();
    // More than a window can be (RFC 9113 §6.9.1), and DATA on a stream that was ended (§5.1).
    let too_wide = |stream| frame(WINDOW_UPDATE, 0, stream, &(u32::MAX >> 1).to_be_bytes());
    let too_late = |stream| frame(DATA, 0, stream, b"more");
    let makes: [&dyn Fn(u32) -> Vec<u8>; 2] = [&too_wide, &too_late];
    for make in makes {
        let mut client = Client::new(&house, &[]);
        for stream in (1..6000).step_by(2) {
            let asked = frame(HEADERS, END_STREAM | END_HEADERS, stream, &asking("GET", "/large"));
            client.send(&[asked, make(stream)].concat());
        }
        // Where the stream is forgotten already, it is an error of the connection at once.
        assert!(client.dismissed().is_some_and(|code| code != 0));
    }
    house.close();
}

#[test]
fn talk_that_asks_nothing_is_bounded() {
    let house = House::open();
    for (name, flood) in [
        ("PING", frame(PING, 0, 0, &[1; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes())),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
        ("one that nobody knows", frame(0xbb, 0, 0, &[0; 64])),
    ] {
        let mut client = Client::new(&house, &[]);
        let most = IDLE_TALK_MOST as usize;
        let times = (most - 1024) / flood.len();
        client.send(&flood.repeat(times));
        client.ask(1, "GET", "/a");
        assert_eq!(client.content(1).as_deref(), Some(&b"first"[..]), "{name}");
        client.send(&flood.repeat(32 * 1024 / flood.len()));
        assert_eq!(client.dismissed(), CALM, "{name}");
    }
    house.close();
}

#[test]
fn empty_pieces_of_a_body_are_bounded() {
    let house = House::open();
    let mut client = Client::new(&house, &[]);
    client.send(&frame(HEADERS, END_HEADERS, 1, &asking("POST", "/a")));
    client.send(&frame(DATA, 0, 1, &[]).repeat(100_000));
    // Where the stream was answered and forgotten meanwhile, it is another reason.
    assert!(client.dismissed().is_some_and(|code| code != 0));
    house.close();
}

#[test]
fn who_reads_nothing_is_left() {
    let house = House::with(Deadlines { write: Duration::from_millis(300), ..Deadlines::default() });
    let wide = (u32::MAX >> 1).to_be_bytes();
    let mut client = Client::new(&house, &[(4, u32::from_be_bytes(wide))]);
    client.send(&frame(WINDOW_UPDATE, 0, 0, &((u32::MAX >> 1) - 65_535).to_be_bytes()));
    for stream in (1..200).step_by(2) {
        client.ask(stream, "GET", "/large");
    }
    // Until nobody is there to be told anything.
    while client.0.write_all(&frame(PING, 0, 0, &[0; 8])).is_ok() {}
    house.close();
}
