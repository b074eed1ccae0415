//! What an application may not do to us or to a client.

use super::*;

/// The status of the answer, and its body or how that broke off.
fn check(what: &str, reply: Reply, status: u16, body: Result<&str, Broken>) {
    on_a_worker(async {
        let house = House::new([reply]);
        let (found, _, text) = ask(&house.fastcgi(house.settings()), request("GET", "/")).await;
        assert_eq!(found, status, "{what}");
        if status < 400 {
            assert_eq!(text.as_deref(), body.as_ref().map(|text| *text), "{what}");
        }
    });
}

fn changed(at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = says(HELLO);
    bytes[at] = byte;
    bytes
}

#[test]
fn what_is_no_answer_is_a_bad_gateway() {
    let headless = |text: &str| says(text);
    for (what, bytes) in [
        ("nothing", vec![]),
        ("an end before the head", end()),
        ("an end in the middle of the head", headless("Content-Type: a")),
        ("an end behind a status without an empty line", headless("Status: 200\r\n")),
        ("version 2", changed(0, 2)),
        ("another request", changed(3, 2)),
        ("a management record", changed(3, 0)),
        ("an unknown type", changed(1, 12)),
        ("a request", changed(1, 1)),
        ("HTTP", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("HTTP in a record", headless("HTTP/1.1 200 OK\r\n\r\n")),
        ("output after its end", [record(6, b""), says(HELLO)].concat()),
        ("an empty head", headless("\r\nbody")),
        ("a bare CR in a field", headless("X: a\rSet-Cookie: b\r\n\r\n")),
        ("a NUL in a field", headless("X: a\0\r\n\r\n")),
        ("a folded field", headless("X: a\r\n b\r\n\r\n")),
        ("a name with a space", headless("Set-Cookie : b\r\n\r\n")),
        ("a name with a line end in CR", headless("X\r: b\r\n\r\n")),
        ("two statuses", headless("Status: 200\r\nStatus: 403\r\n\r\n")),
        ("two locations", headless("Location: /a\r\nLocation: /b\r\n\r\n")),
        ("two lengths", headless("Content-Length: 1\r\nContent-Length: 2\r\n\r\na")),
        ("an interim answer", headless("Status: 100 Continue\r\n\r\n")),
        ("another protocol", headless("Status: 101\r\nUpgrade: websocket\r\n\r\n")),
        ("a status of four digits", headless("Status: 2000\r\n\r\n")),
        ("too many fields", headless(&format!("{}\r\n", "X: y\r\n".repeat(201)))),
        ("a head without an end", [record(6, &[b'x'; 40_000]), record(6, &[b'x'; 40_000])].concat()),
        ("only a part of a record", says(HELLO)[..12].to_vec()),
        ("a refusal to share the connection", [record(3, &[0, 0, 0, 0, 1, 0, 0, 0])].concat()),
        ("another role", record(3, &[0, 0, 0, 0, 3, 0, 0, 0])),
    ] {
        check(what, Reply::SayAndClose(bytes), 502, Ok(""));
    }
}

#[test]
fn an_application_without_room_is_busy() {
    check("overloaded", Reply::Say(record(3, &[0, 0, 0, 0, 2, 0, 0, 0])), 503, Ok(""));
}

#[test]
fn an_answer_that_breaks_off_does_not_end_well() {
    let begun = record(6, HELLO.as_bytes());
    let then = |bytes: &[u8]| [&begun[..], bytes].concat();
    for (what, bytes, expect) in [
        ("closed early", begun.clone(), Broken::Left),
        ("a record that is longer than what comes", changed(4, 0xff), Broken::Left),
        ("cut in a record", then(&record(6, b"abc")[..9]), Broken::Left),
        ("another version", then(&[9, 6, 0, 1, 0, 0, 0, 0]), Broken::Malformed),
        ("another request", then(&[1, 6, 0, 9, 0, 0, 0, 0]), Broken::Malformed),
        ("an unknown type", then(&[1, 99, 0, 1, 0, 0, 0, 0]), Broken::Malformed),
        ("more after its end", then(&[record(6, b""), record(6, b"x")].concat()), Broken::Malformed),
        ("refused in the middle", then(&record(3, &[0, 0, 0, 0, 2, 0, 0, 0])), Broken::Left),
        ("longer than it says", says("Content-Length: 1\n\nab"), Broken::Malformed),
        ("shorter than it says", says("Content-Length: 3\n\nab"), Broken::Malformed),
    ] {
        check(what, Reply::SayAndClose(bytes), 200, Err(expect));
    }
}

#[test]
fn what_is_odd_and_harmless_is_taken() {
    let padded = [&[1, 6, 0, 1, 0, HELLO.len() as u8, 255, 77][..], HELLO.as_bytes(), &[1; 255], &end()].concat();
    let single: Vec<u8> = HELLO.bytes().flat_map(|byte| record(6, &[byte])).chain(end()).collect();
    for (what, bytes) in [
        ("padding", padded),
        ("a byte in each record", single),
        ("bytes behind the end", [says(HELLO), b"GET / HTTP/1.1\r\n\r\n".to_vec()].concat()),
        ("an exit status", [record(6, HELLO.as_bytes()), record(3, &[0, 0, 0, 255, 0, 0, 0, 0])].concat()),
        ("errors around it", [record(7, b"a"), says(HELLO)].concat()),
    ] {
        check(what, Reply::Say(bytes), 200, Ok("hello"));
    }
    check("before it has read", Reply::SayFirst(says(HELLO)), 200, Ok("hello"));
}
