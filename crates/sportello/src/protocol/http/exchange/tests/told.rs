//! Whatever becomes of a request, one line tells of it, with the bytes that went.

use std::sync::Arc;

use super::*;
use crate::observe::log::Log;
use crate::observe::{Recorder, Samples};

/// What was told of the requests of a client: what they were, what was answered, how many bytes.
fn told(
    answer: impl Fn(Request) -> Answering + Clone + 'static,
    act: impl AsyncFnOnce(&mut Client),
) -> Vec<(String, String, u64)> {
    let samples = Samples::default();
    let kept = Arc::clone(&samples);
    check(answer, async |client| {
        Recorder::install(0, Log::unheard(), kept);
        act(client).await;
    });
    let samples = samples.lock().unwrap();
    samples.iter().map(|view| (view.what.clone(), view.outcome.clone(), view.bytes)).collect()
}

/// Checks that there was one, of at least so many bytes.
fn one(told: &[(String, String, u64)], what: &str, outcome: &str, least: u64) {
    let [(asked, answered, bytes)] = told else { panic!("{told:?}") };
    assert_eq!((&**asked, &**answered), (what, outcome));
    assert!(*bytes >= least && (*bytes > 0) == (least > 0), "{told:?}");
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_client_that_leaves_before_the_answer() {
    let forever = |_| -> Answering { Box::pin(pending()) };
    let lines = told(forever, async |client| {
        client.send_some(GET.as_bytes());
        client.shut_down().await;
    });
    one(&lines, "GET /", "499", 0);
}

#[test]
fn a_client_that_leaves_within_the_answer() {
    let begun = |_| -> Answering {
        Box::pin(async {
            let (sender, pieces) = mpsc::channel(1);
            sender.send(Bytes::from_static(b"abc")).await.unwrap();
            tokio::task::spawn_local(async move { sender.closed().await });
            Answer::empty(200).over(Body::Pieces(Box::new(Live::new(pieces))))
        })
    };
    let lines = told(begun, async |client| {
        client.send_some(GET.as_bytes());
        assert!(heard(client).await.ends_with("3\r\nabc\r\n"));
        client.shut_down().await;
    });
    one(&lines, "GET /", "200", 50);
}

#[test]
fn a_service_that_breaks_off() {
    struct Half(bool);
    impl Pieces for Half {
        fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
            let is_first = std::mem::replace(&mut self.0, false);
            Poll::Ready(Some(if is_first { Ok(Bytes::from(vec![b'x'; 50_000])) } else { Err(Broken::Left) }))
        }
        fn left(&self) -> Option<u64> {
            None
        }
    }
    let breaks = |_| -> Answering { Box::pin(async { Answer::empty(200).over(Body::Pieces(Box::new(Half(true)))) }) };
    let lines = told(breaks, async |client| {
        assert!(said(client, GET).await.contains("xxx"));
        assert!(client.has_ended());
    });
    one(&lines, "GET /", "200", 50_000);
}

#[test]
fn a_body_that_does_not_come() {
    let lines = told(count, async |client| {
        said(client, &format!("{POST}Content-Length: 5\r\n\r\nabc")).await;
        client.pass(WAIT + TICK).await;
        assert!(said(client, "").await.starts_with("HTTP/1.1 408 "));
    });
    one(&lines, "POST /", "408", 50);
}

#[test]
fn a_way_through_that_breaks() {
    let breaks = |_| -> Answering {
        Box::pin(async {
            let (ours, theirs) = tokio::io::duplex(100);
            // What the client says cannot be passed on.
            drop(theirs);
            let stream = Box::new(tokio::io::join(Silent, ours));
            Answer::empty(101).over(Body::Tunnel(Tunnel { stream, first: "hello".into(), idle: WAIT }))
        })
    };
    let lines = told(breaks, async |client| {
        client.send_some(UPGRADE.as_bytes());
        assert!(heard(client).await.ends_with("hello"));
        client.send_some(b"hello");
        heard(client).await;
        assert!(client.has_ended());
    });
    one(&lines, "GET /", "101", 50);
}

/// Says nothing and does not end.
struct Silent;

impl tokio::io::AsyncRead for Silent {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut tokio::io::ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}
