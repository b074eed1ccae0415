use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;
use crate::cli::place::Place;

/// A mail server that greets and then gives one of these replies after each line it reads, and after the data once.
fn server(replies: &'static [&'static str]) -> (Place, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string().parse().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut heard = Vec::new();
        for reply in replies {
            stream.write_all(reply.as_bytes()).unwrap();
            // After 354 or BDAT the whole message is one thing said, otherwise a line is.
            let mut until_dot = reply.starts_with("354");
            while let Some(Ok(line)) = lines.next() {
                until_dot |= line.starts_with("BDAT");
                let end = !until_dot || line == ".";
                heard.push(line);
                if end {
                    break;
                }
            }
        }
        heard
    });
    (place, thread)
}

fn deliver(place: &Place, to: &[&str], message: &[u8]) -> Result<String, String> {
    let path = |text: &str| client::Path::parse(text).unwrap();
    let to: Vec<_> = to.iter().map(|to| path(to)).collect();
    let mut mail = Mail::open(place, Deadlines::default()).map_err(|error| error.to_string())?;
    mail.deliver(&path("a@b"), &to, message).map(|reply| reply.text()).map_err(|error| error.to_string())
}

#[test]
fn a_message_is_handed_over() {
    let (place, thread) = server(&[
        "220-hello\r\n220 there\r\n",
        "250-host\r\n250 SIZE 1000\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 2.0.0 ok: queued as 17\r\n",
    ]);
    assert_eq!(deliver(&place, &["c@d"], b"x: y\r\n\r\n.\r\n"), Ok("250 2.0.0 ok: queued as 17".to_owned()));
    let heard = thread.join().unwrap();
    assert_eq!(heard, ["EHLO [127.0.0.1]", "MAIL FROM:<a@b> SIZE=11", "RCPT TO:<c@d>", "DATA", "x: y", "", "..", "."]);
}

#[test]
fn a_message_goes_in_one_chunk_where_that_is_offered() {
    let (place, thread) = server(&[
        "220 hello\r\n",
        "250-host\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "250 2.0.0 ok: queued as 17\r\n",
    ]);
    assert_eq!(deliver(&place, &["\u{fc}@d"], b"x: y\r\n\r\n.\r\n"), Ok("250 2.0.0 ok: queued as 17".to_owned()));
    let heard = thread.join().unwrap();
    assert_eq!(
        heard,
        ["EHLO [127.0.0.1]", "MAIL FROM:<a@b> SMTPUTF8", "RCPT TO:<\u{fc}@d>", "BDAT 11 LAST", "x: y", "", "."]
    );
}

#[test]
fn pipelined_replies_are_matched_and_one_refusal_refuses_all() {
    let (place, thread) = server(&[
        "220 hello\r\n",
        "250-host\r\n250 PIPELINING\r\n",
        "250 ok\r\n250 ok\r\n550 5.1.1 nobody \x1b[2J\r\n",
    ]);
    let outcome = deliver(&place, &["c@d", "e@f"], b"x\r\n");
    assert_eq!(outcome, Err("the server refuses the recipient e@f: 550 5.1.1 nobody \u{fffd}[2J".to_owned()));
    let heard = thread.join().unwrap();
    assert!(!heard.contains(&"DATA".to_owned()), "{heard:?}");
}

#[test]
fn what_the_server_cannot_take_is_not_sent() {
    let check = |replies: &'static [&'static str], message: &[u8], expect: &str| {
        let (place, thread) = server(replies);
        assert_eq!(deliver(&place, &["ü@d"], message), Err(expect.to_owned()));
        let heard = thread.join().unwrap();
        assert!(!heard.iter().any(|line| line.starts_with("MAIL")), "{heard:?}");
    };
    const SMALL: &[&str] = &["220 hello\r\n", "250-host\r\n250 SIZE 3\r\n"];
    check(SMALL, b"1\r\n", "the server does not offer SMTPUTF8, which this message needs");
    check(SMALL, b"12\r\n", "the message has 4 bytes and the server takes 3");
    check(SMALL, b"\xc3\r\n", "the server does not offer 8BITMIME, which this message needs");
}

#[test]
fn hostile_servers_are_left() {
    let (place, thread) = server(&["554 go away\r\n"]);
    assert_eq!(deliver(&place, &["c@d"], b"x\r\n"), Err("the server refuses the connection: 554 go away".to_owned()));
    thread.join().unwrap();
    let endless: &'static str = String::leak("220-more\r\n".repeat(10_000));
    let (place, thread) = server(Vec::leak(vec![endless]));
    assert!(deliver(&place, &["c@d"], b"x\r\n").unwrap_err().contains("cannot be read"));
    let _ = thread.join();
}

#[test]
fn the_queue_id_is_found() {
    for (reply, id) in [
        ("250 2.0.0 Ok: queued as 4WbX2", Some("4WbX2")),
        ("250 2.0.0 stored, queued as <17>.", Some("17")),
        ("250 queued 99 bytes", Some("99")),
        ("250 OK", None),
        ("250 queued as", None),
    ] {
        assert_eq!(queue_id(reply).as_deref(), id, "{reply}");
    }
}

#[test]
fn message_ids_differ() {
    let from = client::Path::parse("a@example.org").unwrap();
    let (one, two) = (new_message_id(&from, 1), new_message_id(&from, 1));
    assert_ne!(one, two);
    assert!(one.ends_with("@example.org"));
}
