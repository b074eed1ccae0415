//! Each wait for an upstream has an end.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::part;
use super::stage::{get, live, next, on_stage, proxy, read, request, upstream};
use crate::proxy::Timeouts;
use crate::web::{Body, Broken, Incoming, Ready};

const SHORT: Duration = Duration::from_secs(2);

#[test]
fn an_answer_that_does_not_begin_is_a_504() {
    on_stage(async {
        let (address, _) = upstream(vec![part(&["(stays)"])]).await;
        let proxy = proxy(&[address], |settings| settings.timeouts.head = SHORT);
        let began = Instant::now();
        assert_eq!(proxy.pass(get("/")).await.status, 504);
        assert!(began.elapsed() >= SHORT - Duration::from_millis(200));
    });
}

#[test]
fn a_body_that_stops_breaks() {
    on_stage(async {
        let (address, _) =
            upstream(vec![part(&["(early)HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", "(stays)"])]).await;
        let proxy = proxy(&[address], |settings| settings.timeouts.between = SHORT);
        assert_eq!(read(proxy.pass(get("/")).await).await, (200, Err(Broken::Left)));
    });
}

#[test]
fn an_upstream_that_does_not_read_is_not_waited_for() {
    on_stage(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = proxy(&[listener.local_addr().unwrap()], |settings| {
            settings.timeouts = Timeouts { between: SHORT, ..Timeouts::default() };
        });
        let pieces = (0..1000).map(|_| Bytes::from(vec![b'x'; 65536]));
        let body = Incoming::Pieces(Box::new(Ready::new(pieces)));
        assert_eq!(proxy.pass(request("POST", "/", &[], body)).await.status, 502);
    });
}

#[test]
fn a_client_that_is_slow_is_no_fault_of_the_upstream() {
    on_stage(async {
        let (address, _) = upstream(vec![part(&[super::OK])]).await;
        let proxy = proxy(&[address], |settings| {
            settings.timeouts = Timeouts { between: SHORT, head: SHORT, ..Timeouts::default() };
        });
        let (sender, body) = live();
        let answer = tokio::task::spawn_local(Rc::clone(&proxy).pass(request("POST", "/", &[], body)));
        for _ in 0..3 {
            tokio::time::sleep(SHORT * 3).await;
            sender.send("a".into()).await.unwrap();
        }
        drop(sender);
        assert_eq!(answer.await.unwrap().status, 200);
    });
}

#[test]
fn a_client_that_reads_slowly_is_no_fault_of_the_upstream() {
    on_stage(async {
        let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n{}", "x".repeat(300_000));
        let (address, _) = upstream(vec![part(&[&large])]).await;
        let proxy = proxy(&[address], |settings| settings.timeouts.between = SHORT);
        let Body::Pieces(mut pieces) = proxy.pass(get("/")).await.body else { panic!("it is large") };
        let mut length = 0;
        while let Some(piece) = next(&mut *pieces).await {
            length += piece.unwrap().len();
            tokio::time::sleep(SHORT * 3).await;
        }
        assert_eq!(length, 300_000);
    });
}

#[test]
fn nothing_is_read_that_nobody_asked_for() {
    on_stage(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = proxy(&[listener.local_addr().unwrap()], |_| {});
        let upstream = tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let length = 64 << 20;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
            let piece = vec![b'x'; 65536];
            for sent in 0..length / piece.len() {
                let write = tokio::io::AsyncWriteExt::write_all(&mut stream, &piece);
                if timeout(SHORT, write).await.is_err() {
                    return sent;
                }
            }
            usize::MAX
        });
        let answer = proxy.pass(get("/")).await;
        let Body::Pieces(mut pieces) = answer.body else { panic!("{answer:?}") };
        assert!(next(&mut *pieces).await.unwrap().is_ok());
        let sent = upstream.await.unwrap();
        assert!(sent < 1000, "{sent} of 1024 pieces were taken from an upstream for a client that took one");
    });
}
