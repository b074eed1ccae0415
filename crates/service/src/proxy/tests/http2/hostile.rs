//! Upstreams that break the rules, byte for byte.

use std::net::IpAddr;
use std::rc::Rc;

use super::super::stage::{get, next, on_stage};
use super::servers::{EMPTY_SETTINGS, frame, h2c, proxy, says};
use crate::proxy::Fault;
use crate::web::{Body, Broken};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH: u8 = 5;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:status: 200`, from the static table (RFC 7541, appendix A).
const OK: &[u8] = &[0x88];

/// A field that is not indexed.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [&[0][..], &text(name), &text(value)].concat()
}

fn headers(flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, 1, block)
}

fn length(value: &str) -> Vec<u8> {
    headers(0, &[OK, &literal("content-length", value)].concat())
}

async fn outcome(frames: &[Vec<u8>], times: usize) -> Result<(u16, Option<Broken>), Fault> {
    let bytes = [EMPTY_SETTINGS, &frames.concat()].concat();
    let proxy = proxy(&[h2c(says(bytes, times).await)], |_| {});
    let answer = Rc::clone(&proxy).ask(get("/"), IpAddr::from([192, 0, 2, 1])).await?;
    let Body::Pieces(mut pieces) = answer.body else { return Ok((answer.status, None)) };
    loop {
        match next(&mut *pieces).await {
            Some(Ok(_)) => {}
            Some(Err(broken)) => return Ok((answer.status, Some(broken))),
            None => return Ok((answer.status, None)),
        }
    }
}

#[test]
fn an_answer_is_read_in_one_way_or_not_at_all() {
    on_stage(async {
        let last = |bytes: &str| frame(DATA, END_STREAM, 1, bytes.as_bytes());
        let cases: &[(&str, Vec<Vec<u8>>)] = &[
            ("no status", vec![headers(END_STREAM, &literal("x", "y"))]),
            ("two statuses", vec![headers(END_STREAM, &[OK, OK].concat())]),
            ("a status behind a field", vec![headers(END_STREAM, &[&literal("x", "y"), OK].concat())]),
            ("an unknown pseudo-field", vec![headers(END_STREAM, &[OK, &literal(":x", "/")].concat())]),
            ("a status that is none", vec![headers(END_STREAM, &literal(":status", "2000"))]),
            ("a status of no class", vec![headers(END_STREAM, &literal(":status", "700"))]),
            ("101", vec![headers(0, &literal(":status", "101"))]),
            ("a name in capitals", vec![headers(END_STREAM, &[OK, &literal("X", "y")].concat())]),
            ("a value with a line end", vec![headers(END_STREAM, &[OK, &literal("x", "y\r\nz: a")].concat())]),
            ("a field of a connection", vec![headers(END_STREAM, &[OK, &literal("connection", "x")].concat())]),
            ("chunks", vec![headers(0, &[OK, &literal("transfer-encoding", "chunked")].concat()), last("0\r\n\r\n")]),
            ("a length that is none", vec![length("x"), last("ab")]),
            ("too short", vec![length("3"), last("ab")]),
            ("too long", vec![length("1"), last("ab")]),
            (
                "lengths that differ",
                vec![
                    headers(0, &[OK, &literal("content-length", "1"), &literal("content-length", "2")].concat()),
                    last("ab"),
                ],
            ),
            ("data before a head", vec![last("ab")]),
            ("a table index that is none", vec![headers(END_STREAM, &[0xff, 0xff, 0x7f])]),
            ("a push", vec![frame(PUSH, END_HEADERS, 1, &[0, 0, 0, 2, 0x82, 0x84, 0x87])]),
            ("a reset", vec![frame(RESET, 0, 1, &[0, 0, 0, 2])]),
            ("a window that overflows", vec![frame(WINDOW, 0, 0, &[0x7f, 0xff, 0xff, 0xff])]),
            ("a window that opens by nothing", vec![frame(WINDOW, 0, 0, &[0; 4])]),
            ("a farewell that lies", vec![frame(GO_AWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 2]), b"HTTP".to_vec()]),
            ("HTTP/1.1", vec![b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()]),
        ];
        for (name, frames) in cases {
            match outcome(frames, 1).await {
                Err(fault) => assert_eq!(fault.status(), 502, "{name}: {fault}"),
                Ok((200, Some(Broken::Left))) => {}
                Ok(read) => panic!("{name}: {read:?}"),
            }
        }
        let whole = outcome(&[length("2"), last("ab")], 1).await;
        assert!(matches!(whole, Ok((200, None))), "what keeps to the rules is read: {whole:?}");
    });
}

#[test]
fn what_has_no_end_has_a_bound() {
    on_stage(async {
        let begun = [frame(HEADERS, 0, 1, OK)].concat();
        let fields = literal("x", &"y".repeat(120));
        let large = fields.repeat(130);
        let interim = headers(0, &literal(":status", "103"));
        for (name, frames, times) in [
            ("pings", vec![frame(PING, 0, 0, &[0; 8])], 100_000),
            ("settings", vec![frame(SETTINGS, 0, 0, &[])], 200_000),
            ("windows", vec![frame(WINDOW, 0, 1, &[0, 0, 0, 1])], 100_000),
            ("frames that nobody knows", vec![frame(99, 0, 0, &[0; 8000])], 1_000),
            ("interim answers", vec![interim], 17),
            ("continuations", [vec![begun], vec![frame(CONTINUATION, 0, 1, &fields); 5_000]].concat(), 1),
            (
                "empty continuations",
                [vec![frame(HEADERS, 0, 1, OK)], vec![frame(CONTINUATION, 0, 1, &[]); 50_000]].concat(),
                1,
            ),
            (
                "a head that is too large",
                vec![
                    frame(HEADERS, 0, 1, OK),
                    frame(CONTINUATION, 0, 1, &large),
                    frame(CONTINUATION, 0, 1, &large),
                    frame(CONTINUATION, 0, 1, &large),
                    frame(CONTINUATION, 0, 1, &large),
                    frame(CONTINUATION, END_HEADERS, 1, &large),
                ],
                1,
            ),
            ("fields", vec![headers(END_STREAM, &[OK, &literal("x", "y").repeat(201)].concat())], 1),
        ] {
            let outcome = outcome(&frames, times).await;
            assert!(matches!(&outcome, Err(fault) if fault.status() == 502), "{name}: {outcome:?}");
        }
        let most = headers(END_STREAM, &[OK, &literal("x", "y").repeat(200)].concat());
        assert!(matches!(outcome(&[most], 1).await, Ok((200, None))));
    });
}
