//! Exchanges with services of all kinds, in simulated time.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use sportello_net::deadline::TICK;
use sportello_net::simulation::{self, Client};
use sportello_net::{Buffer, Deadlines, Speaker};
use sportello_service::web::{Incoming, Live, Ready, Request, Tunnel};
use sportello_wire::http1::Limits;
use sportello_wire::http1::head::parse;
use sportello_wire::http1::target::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::super::sites::Sites;
use super::super::{Served, Service, neutral};
use super::*;
use crate::current::Current;

mod told;

const WAIT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

type Answering = Pin<Box<dyn Future<Output = Answer>>>;

/// Serves a connection with one service for every request.
async fn serve(mut connection: Connection, answer: impl Fn(Request) -> Answering) {
    let served = Rc::new(Served::Sites(Sites::default()));
    let current = Current::new(Service {
        served,
        limits: super::super::Limits::default(),
        answers: Default::default(),
        terms: None,
        https: None,
    });
    let mut input = Buffer::new();
    loop {
        if input.is_empty() && connection.idle(&mut input).await.unwrap_or(0) == 0 {
            return;
        }
        let raw = neutral::Raw::of(input.filled());
        let head = parse(raw.bytes(), &Limits::default()).unwrap().unwrap();
        let Target::Path { path, query } = head.target else { panic!("no path") };
        input.consume(head.length);
        let (intake, body) = Intake::new(head.framing).unwrap();
        let request = neutral::request(&head, &raw, (path, query), neutral::client(&connection), body).unwrap();
        let mut session = Session::new(&mut connection, &current, input);
        let next = session.exchange(&head, (answer(request), Rc::default()), intake, Arrival::now()).await;
        if let Err(IntakeError::Refused(refusal)) = &next {
            session.refuse(*refusal, Arrival::now().at);
        }
        let flushed = session.flush().await;
        input = session.input;
        if !matches!(next, Ok(Next::Request)) || flushed.is_err() {
            return;
        }
    }
}

fn check(answer: impl Fn(Request) -> Answering + Clone + 'static, act: impl AsyncFnOnce(&mut Client)) {
    let deadlines = Deadlines { between_bytes: WAIT, write: WAIT, request: WHOLE, ..Deadlines::default() };
    simulation::run(simulation::channel(Speaker::Client, deadlines), async |simulation| {
        let mut client = simulation.connect(|connection| serve(connection, answer));
        act(&mut client).await;
        client.leave().await;
    });
}

async fn said(client: &mut Client, bytes: &str) -> String {
    client.send(bytes.as_bytes().to_vec()).await;
    let heard = String::from_utf8(client.heard()).unwrap();
    // The date is no matter of these tests.
    heard.lines().filter(|line| !line.starts_with("date: ")).fold(String::new(), |text, line| text + line + "\n")
}

/// Time passes for a session that does not wait for its client.
async fn drift(time: Duration) {
    let mut passed = Duration::ZERO;
    while passed < time {
        tokio::time::advance(TICK).await;
        passed += TICK;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

/// Gives back what comes as it comes.
fn echo(request: Request) -> Answering {
    Box::pin(async move {
        let body = match request.body {
            Incoming::Empty => Body::Empty,
            Incoming::Pieces(pieces) => Body::Pieces(pieces),
        };
        Answer::empty(200).over(body)
    })
}

/// Takes all and says how much it was, or why not.
fn count(request: Request) -> Answering {
    Box::pin(async move {
        match request.body.whole(1 << 20).await {
            Ok(body) => Answer::empty(200).over(Body::Bytes(format!("{}", body.len()).into())),
            Err(broken) => Answer::empty(500).over(Body::Bytes(broken.to_string().into())),
        }
    })
}

/// Takes nothing.
fn ignore(_: Request) -> Answering {
    Box::pin(async { Answer::empty(200).over(Body::Bytes("no".into())) })
}

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\n";

#[test]
fn an_answer_goes_while_its_request_comes() {
    check(echo, async |client| {
        let begun = said(client, &format!("{POST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")).await;
        assert_eq!(begun, "HTTP/1.1 200 OK\ntransfer-encoding: chunked\nconnection: close\n\n3\nabc\n");
        assert_eq!(said(client, "2\r\nde\r\n").await, "2\nde\n");
        assert_eq!(said(client, "0\r\n\r\n").await, "0\n\n");
        assert!(client.has_ended());
    });
    check(echo, async |client| {
        let begun = said(client, &format!("{POST}Content-Length: 5\r\n\r\nabc")).await;
        assert_eq!(begun, "HTTP/1.1 200 OK\ncontent-length: 5\n\nabc\n");
        let both = said(client, &format!("de{POST}Content-Length: 1\r\n\r\nx")).await;
        assert_eq!(both, "deHTTP/1.1 200 OK\ncontent-length: 1\n\nx\n", "the next one follows");
    });
}

#[test]
fn a_body_that_is_asked_for_must_come() {
    check(count, async |client| {
        assert_eq!(said(client, &format!("{POST}Content-Length: 5\r\n\r\nabc")).await, "");
        client.pass(WAIT * 3 / 4).await;
        assert_eq!(said(client, "d").await, "", "each byte buys time");
        client.pass(WAIT * 3 / 4).await;
        assert_eq!(said(client, "").await, "");
        client.pass(WAIT / 2).await;
        assert!(said(client, "").await.starts_with("HTTP/1.1 408 "));
        assert!(client.has_ended());
    });
}

#[test]
fn a_body_that_keeps_up_takes_too_long() {
    check(count, async |client| {
        said(client, &format!("{POST}Content-Length: 1000000\r\n\r\n")).await;
        for _ in 0..59 {
            assert_eq!(said(client, &"x".repeat(400)).await, "");
            client.pass(SECOND).await;
        }
        said(client, "x").await;
        client.pass(SECOND - TICK * 2).await;
        assert!(!client.has_ended() && said(client, "").await.is_empty());
        client.pass(TICK * 4).await;
        assert!(said(client, "").await.starts_with("HTTP/1.1 408 ") && client.has_ended());
    });
}

#[test]
fn the_time_that_a_service_takes_is_not_held_against_who_still_sends() {
    let slow = |request: Request| -> Answering {
        Box::pin(async move {
            tokio::time::sleep(WHOLE).await;
            ignore(request).await
        })
    };
    for (pause, lives) in [(SECOND, true), (WAIT + TICK * 2, false)] {
        check(slow, async |client| {
            client.send_some(format!("{POST}Content-Length: 10000\r\n\r\n").as_bytes());
            drift(WHOLE + TICK).await;
            assert!(said(client, "").await.ends_with("\n\nno\n"));
            for _ in 0..9 {
                client.send("x".repeat(1000)).await;
                client.pass(pause).await;
            }
            assert_eq!(client.send("x".repeat(1000)).await, lives);
            let next = said(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            drift(WHOLE + TICK).await;
            let next = next + &said(client, "").await;
            assert_eq!(next.ends_with("\n\nno\n"), lives, "{next}");
        });
    }
}

#[test]
fn who_is_not_asked_is_not_waited_for() {
    let slow = |request: Request| -> Answering {
        Box::pin(async move {
            tokio::time::sleep(WAIT * 10).await;
            count(request).await
        })
    };
    check(slow, async |client| {
        client.send_some(format!("{POST}Content-Length: 5\r\n\r\nabc").as_bytes());
        drift(WAIT * 9).await;
        client.listen(usize::MAX);
        assert!(client.heard().is_empty() && !client.has_ended());
        drift(WAIT * 3 / 2).await;
        assert!(said(client, "de").await.ends_with("\n\n5\n"));
    });
}

#[test]
fn a_client_that_waits_to_be_asked_is_asked_when_the_service_asks() {
    let expecting = format!("{POST}Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    check(count, async |client| {
        assert_eq!(said(client, &expecting).await, "HTTP/1.1 100 Continue\n\n");
        assert!(said(client, "ab").await.ends_with("\n\n2\n"));
    });
    check(ignore, async |client| {
        assert!(said(client, &expecting).await.contains("\nconnection: close\n"));
        assert!(client.has_ended(), "nothing that could be read is known to follow");
    });
    // It asks when its answer has begun: that is too late.
    check(echo, async |client| {
        let heard = said(client, &expecting).await;
        assert_eq!(heard, "HTTP/1.1 200 OK\ncontent-length: 2\nconnection: close\n\n");
        assert!(client.has_ended());
    });
}

#[test]
fn a_client_that_leaves_ends_the_work_for_it() {
    struct Guard(Rc<Cell<bool>>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let dropped = Rc::new(Cell::new(false));
    let seen = Rc::clone(&dropped);
    let forever = move |_| -> Answering {
        let guard = Guard(Rc::clone(&dropped));
        Box::pin(async move {
            let _guard = guard;
            pending().await
        })
    };
    check(forever, async |client| {
        client.send_some(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        drift(WAIT).await;
        assert!(!seen.get() && !client.has_ended());
        client.shut_down().await;
        assert!(seen.get() && client.has_ended());
    });
}

#[test]
fn what_a_service_leaves_is_read_past_or_ends_the_connection() {
    check(ignore, async |client| {
        let small = said(client, &format!("{POST}Content-Length: 5\r\n\r\nab")).await;
        assert!(!small.contains("connection: close"), "{small}");
        assert!(
            said(client, &format!("cde{POST}\r\n")).await.starts_with("HTTP/1.1 200 OK\n"),
            "the next one is found"
        );
    });
    for fields in [format!("Content-Length: {}", UNREAD_MOST + 1), "Transfer-Encoding: chunked".to_owned()] {
        check(ignore, async |client| {
            assert!(
                said(client, &format!("{POST}{fields}\r\n\r\n")).await.contains("\nconnection: close\n"),
                "{fields}"
            );
            assert!(client.has_ended());
        });
    }
}

#[test]
fn what_is_no_body_is_refused() {
    check(count, async |client| {
        let heard = said(client, &format!("{POST}Transfer-Encoding: chunked\r\n\r\n1\r\nabc")).await;
        assert!(heard.starts_with("HTTP/1.1 400 ") && client.has_ended(), "{heard}");
    });
}

/// What a client reads of an answer of these pieces that was to have `left` bytes.
fn of(left: Option<u64>, pieces: &'static [Result<&'static str, Broken>]) -> String {
    struct Said(Option<u64>, std::slice::Iter<'static, Result<&'static str, Broken>>);
    impl Pieces for Said {
        fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
            Poll::Ready(self.1.next().map(|piece| piece.clone().map(|text| Bytes::from_static(text.as_bytes()))))
        }
        fn left(&self) -> Option<u64> {
            self.0
        }
    }
    let mut heard = String::new();
    let service = move |_| -> Answering {
        Box::pin(async move { Answer::empty(200).over(Body::Pieces(Box::new(Said(left, pieces.iter())))) })
    };
    check(service, async |client| {
        heard = said(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        heard += if client.has_ended() { "(end)" } else { "" };
    });
    heard
}

#[test]
fn an_answer_that_does_not_come_whole_does_not_end_well() {
    assert!(of(None, &[Ok("ab"), Ok("c")]).ends_with("\n\n2\nab\n1\nc\n0\n\n"));
    assert!(of(Some(3), &[Ok("ab"), Ok("c")]).ends_with("\ncontent-length: 3\n\nabc\n"));
    for (left, pieces) in [
        (None, &[Ok("ab"), Err(Broken::Left)][..]),
        (Some(3), &[Ok("ab"), Err(Broken::Left)]),
        (Some(3), &[Ok("ab")]),
        (Some(3), &[Ok("ab"), Ok("cd")]),
    ] {
        let heard = of(left, pieces);
        assert!(heard.ends_with("(end)") && !heard.contains("\n0\n"), "{left:?} {pieces:?}: {heard}");
    }
}

#[test]
fn large_pieces_are_framed_like_small_ones() {
    let large = "x".repeat(3 * COPY_BELOW);
    let body = large.clone();
    let service = move |_| -> Answering {
        let body = body.clone();
        Box::pin(async move {
            let (sender, pieces) = mpsc::channel(3);
            for piece in ["small".to_owned(), body, "end".to_owned()] {
                sender.send(Bytes::from(piece)).await.unwrap();
            }
            Answer::empty(200).over(Body::Pieces(Box::new(Live::new(pieces))))
        })
    };
    check(service, async |client| {
        let heard = said(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(heard.ends_with(&format!("\n\n5\nsmall\n{:x}\n{large}\n3\nend\n0\n\n", large.len())));
    });
}

#[test]
fn an_answer_to_head_says_its_length_and_nothing_else() {
    let service = |_| -> Answering {
        Box::pin(async { Answer::empty(200).over(Body::Pieces(Box::new(Ready::new(["abc".into()])))) })
    };
    check(service, async |client| {
        let heard = said(client, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(heard, "HTTP/1.1 200 OK\ncontent-length: 3\n\n");
    });
}

#[test]
fn a_fault_without_words_gets_some() {
    let service =
        |_| -> Answering { Box::pin(async { Answer::empty(401).with("www-authenticate", "Basic realm=\"a\"") }) };
    check(service, async |client| {
        let heard = said(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(heard.contains("\nwww-authenticate: Basic realm=\"a\"\n") && heard.contains("<h1>Unauthorized</h1>"));
    });
}

#[test]
fn what_somebody_else_says_without_words_stays_so() {
    let service = |_| -> Answering {
        Box::pin(async {
            let answer = Answer::empty(404).with("content-type", "application/json").with("etag", "\"a\"");
            answer.over(Body::Bytes(Bytes::new()))
        })
    };
    for method in ["GET", "HEAD"] {
        check(service, async |client| {
            let heard = said(client, &format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            let expect = "HTTP/1.1 404 Not Found\ncontent-type: application/json\netag: \"a\"\ncontent-length: 0\n\n";
            assert_eq!(heard, expect, "{method}");
        });
    }
}

/// Speaks another protocol: says hello, then gives back what comes, until that is `end`.
fn upgrade(request: Request) -> Answering {
    Box::pin(async move {
        assert_eq!(request.upgrade.unwrap().protocol, "echo");
        let (ours, mut theirs) = tokio::io::duplex(100);
        tokio::task::spawn_local(async move {
            let mut bytes = [0; 100];
            while let Ok(count @ 1..) = theirs.read(&mut bytes).await {
                theirs.write_all(&bytes[..count]).await.unwrap();
                if bytes[..count].ends_with(b"end") {
                    return;
                }
            }
        });
        let tunnel = Tunnel { stream: Box::new(ours), first: "hello".into(), idle: WAIT * 10 };
        Answer::empty(101).with("upgrade", "echo").over(Body::Tunnel(tunnel))
    })
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
const UPGRADED: &str = "HTTP/1.1 101 Switching Protocols\nupgrade: echo\nconnection: upgrade\n\nhello";

/// Listens to its end, slowly, and then says how much it heard.
fn weigh(_: Request) -> Answering {
    Box::pin(async move {
        let (ours, mut theirs) = tokio::io::duplex(100);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(WAIT).await;
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.unwrap();
            tokio::time::sleep(WAIT).await;
            theirs.write_all(format!("{} bytes", all.len()).as_bytes()).await.unwrap();
        });
        let tunnel = Tunnel { stream: Box::new(ours), first: Bytes::new(), idle: WAIT * 10 };
        Answer::empty(101).with("upgrade", "echo").over(Body::Tunnel(tunnel))
    })
}

#[test]
fn who_says_nothing_more_is_still_told_what_the_other_side_says() {
    check(weigh, async |client| {
        client.send_some(format!("{UPGRADE}{}", "x".repeat(1000)).as_bytes());
        client.shut_down().await;
        drift(WAIT * 2 + TICK).await;
        assert!(heard(client).await.ends_with("1000 bytes"));
        assert!(client.has_ended());
    });
}

/// What the client heard since, for a session that waits for another side too.
async fn heard(client: &mut Client) -> String {
    drift(TICK).await;
    client.listen(usize::MAX);
    String::from_utf8(client.heard()).unwrap()
}

#[test]
fn another_protocol_takes_the_connection_over() {
    check(upgrade, async |client| {
        client.send_some(format!("{UPGRADE}early").as_bytes());
        let begun: Vec<String> =
            heard(client).await.lines().filter(|line| !line.starts_with("date")).map(str::to_owned).collect();
        assert_eq!(begun.join("\n"), format!("{UPGRADED}early"), "what came with the request was not lost");
        client.send_some(b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(heard(client).await, "GET / HTTP/1.1\r\n\r\n");
        drift(WAIT * 9).await;
        client.send_some(b"still here");
        assert_eq!(heard(client).await, "still here");
        client.send_some(b"the end");
        assert_eq!(heard(client).await, "the end");
        assert!(client.has_ended());
    });
    check(upgrade, async |client| {
        client.send_some(UPGRADE.as_bytes());
        heard(client).await;
        client.shut_down().await;
        assert!(client.has_ended(), "who leaves ends it");
    });
    check(upgrade, async |client| {
        client.send_some(UPGRADE.as_bytes());
        heard(client).await;
        drift(WAIT * 10).await;
        assert!(client.has_ended(), "neither side said anything");
    });
}
