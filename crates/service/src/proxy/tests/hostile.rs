//! Upstreams that lie, stutter or fall silent: what a client gets then, and that nothing they said reaches another request.

use std::rc::Rc;

use super::super::exchange::HEAD;
use super::stage::{get, on_stage, proxy, read, settle, upstream, websocket};
use super::{OK, part};
use crate::web::{Body, Broken, Request};

/// The first connection says this; then a second request is made, which must come on a second connection.
async fn check(answer: &[u8], request: Request, expect: (u16, Result<&str, Broken>)) {
    let (address, told) = upstream(vec![vec![answer.to_vec(), OK.into()], part(&[OK])]).await;
    let proxy = proxy(&[address], |_| {});
    let told_as = answer[..answer.len().min(200)].escape_ascii().to_string();
    let first = Rc::clone(&proxy).pass(request).await;
    let (status, body) = read(first).await;
    assert_eq!((status, body.as_deref().map_err(Clone::clone)), expect, "{told_as}");
    settle().await;
    assert_eq!(read(proxy.pass(get("/second")).await).await, (200, Ok("ok".to_owned())), "{told_as}");
    assert_eq!(told.borrow().len(), 2, "the connection was used again after {told_as}");
    assert!(told.borrow()[1].starts_with(b"GET /second "));
}

#[test]
fn what_could_be_read_in_two_ways_is_a_502_and_ends_the_connection() {
    on_stage(async {
        let many = |line: &str, count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", line.repeat(count));
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 2 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nA: b\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
            "HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: c\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nA: \0\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nok",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 600 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
            "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1200 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "ok",
            " HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            &many("A: b\r\n", HEAD.fields + 1),
            &format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(HEAD.head)),
            &"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17),
            &"HTTP/1.1 100 Continue\r\n\r\n".repeat(100_000),
        ] {
            check(answer.as_bytes(), get("/"), (502, Ok(""))).await;
        }
    });
}

#[test]
fn a_protocol_is_changed_only_to_the_one_that_was_asked_for() {
    on_stage(async {
        for answer in [
            "HTTP/1.1 101 Switching\r\n\r\n",
            "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
            "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\n\r\n",
            "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
            "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n",
        ] {
            check(answer.as_bytes(), websocket(), (502, Ok(""))).await;
        }
        // Not agreed to: an answer like any other, and a connection that is not trusted with another request.
        check(OK.as_bytes(), websocket(), (200, Ok("ok"))).await;
    });
}

#[test]
fn a_body_that_breaks_is_never_one_that_ended_well() {
    on_stage(async {
        for (answer, expect) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", Err(Broken::Left)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", Err(Broken::Left)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", Err(Broken::Left)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokk\r\n0\r\n\r\n", Err(Broken::Malformed)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nHost: a\r\n\r\n",
                Err(Broken::Malformed),
            ),
            ("HTTP/1.1 200 OK\r\n\r\nok", Ok("ok")),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", Ok("ok")),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", Ok("ok")),
            ("HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 2\r\n\r\nok", Ok("ok")),
        ] {
            let (address, told) = upstream(vec![part(&[answer]), part(&[OK])]).await;
            let proxy = proxy(&[address], |_| {});
            let (status, body) = read(Rc::clone(&proxy).pass(get("/")).await).await;
            assert_eq!((status, body.as_deref().map_err(Clone::clone)), (200, expect), "{answer}");
            assert_eq!(proxy.pass(get("/")).await.status, 200, "{answer}");
            assert_eq!(told.borrow().len(), 2, "{answer}");
        }
    });
}

#[test]
fn bytes_behind_an_answer_are_nobodys_answer() {
    on_stage(async {
        let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
        for answer in [
            format!("{OK}{evil}"),
            format!("{OK}\r\n"),
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{evil}"),
        ] {
            check(answer.as_bytes(), get("/"), (200, Ok("ok"))).await;
        }
        for answer in [format!("HTTP/1.1 204 No\r\n\r\n{evil}"), format!("HTTP/1.1 304 No\r\n\r\n{evil}")] {
            let status = if answer.contains("204") { 204 } else { 304 };
            check(answer.as_bytes(), get("/"), (status, Ok(""))).await;
        }
        // Behind the head that HEAD asked for, too.
        let head = super::request("HEAD", "/", &[], crate::web::Incoming::Empty);
        check(OK.as_bytes(), head, (200, Ok(""))).await;
    });
}

/// Cut anywhere, an answer is a 502 or a body that breaks, and never a whole one.
#[test]
fn an_upstream_may_leave_at_every_byte() {
    on_stage(async {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nabcde",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n",
            "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
        ] {
            let head =
                answer.find("200 OK").unwrap() + answer[answer.find("200 OK").unwrap()..].find("\r\n\r\n").unwrap();
            for cut in 0..answer.len() {
                // An answer that began is not asked for again; one that did not is, once.
                let parts = vec![part(&[&answer[..cut]]), part(&[])];
                let (address, _) = upstream(parts).await;
                let answer = proxy(&[address], |_| {}).pass(get("/")).await;
                let is_body = cut >= head + 4;
                assert_eq!(answer.status, if is_body { 200 } else { 502 }, "{cut}");
                if is_body {
                    assert!(matches!(answer.body, Body::Pieces(_)), "{cut}");
                    assert_eq!(read(answer).await.1, Err(Broken::Left), "{cut}");
                }
            }
        }
    });
}
