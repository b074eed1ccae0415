//! Upstreams of HTTP/2.

mod hostile;
mod servers;
mod sharing;
mod tls;

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use h2::server::Builder;
use http::{HeaderMap, Response};
use tokio::task::spawn_local;

use self::servers::{all, h2c, ok, part, proxy, send, serve, upstream};
use super::stage::{get, live, next, on_stage, read, ready, request, settle, websocket};
use crate::proxy::{Address, Health, Proxy, Settings, Upstreams};
use crate::web::{Body, Incoming};

#[test]
fn a_request_is_written_anew_and_its_answer_read() {
    on_stage(async {
        let told = Rc::new(RefCell::new(Vec::new()));
        let heard = Rc::clone(&told);
        let part = part(move |_, request, mut respond| {
            let (head, mut body) = request.into_parts();
            heard.borrow_mut().push(head);
            async move {
                let body = all(&mut body).await;
                // Interim answers are passed over.
                respond.send_informational(Response::builder().status(103).body(()).unwrap()).unwrap();
                let answer = Response::builder().status(201).header("set-cookie", "a=b").header("set-cookie", "c=d");
                let answer = answer.header("date", "x").header("x-ours", "2").header("trailer", "t").body(()).unwrap();
                let mut stream = respond.send_response(answer, false).unwrap();
                stream.send_data(Bytes::from(body), false).unwrap();
                let mut trailers = HeaderMap::new();
                trailers.insert("t", "dropped".parse().unwrap());
                stream.send_trailers(trailers).unwrap();
            }
        });
        let (address, connections) = upstream(Builder::new(), part).await;
        let proxy = proxy(&[h2c(address)], |_| {});
        let fields =
            [("cookie", "a=b; c=d"), ("te", "trailers"), ("connection", "x"), ("x-own", "1"), ("proxy", "evil")];
        let answer = Rc::clone(&proxy).pass(request("POST", "/a%20b?c=<d>", &fields, ready(&["ab", "cd"]))).await;
        let fields: Vec<_> = answer.fields.iter().collect();
        let expect: [(&str, &[u8]); 3] = [("set-cookie", b"a=b"), ("set-cookie", b"c=d"), ("x-ours", b"2")];
        assert_eq!(fields, expect);
        assert_eq!(read(answer).await, (201, Ok("abcd".to_owned())));
        let (_, nothing) = live();
        for (verb, body) in [("GET", Incoming::Empty), ("POST", Incoming::Empty), ("PUT", nothing)] {
            assert_eq!(
                read(Rc::clone(&proxy).pass(request(verb, "/", &[], body)).await).await,
                (201, Ok(String::new()))
            );
        }
        let told = told.borrow();
        assert_eq!(told[0].uri, "http://www.example.org/a%20b?c=%3Cd%3E");
        let mut lines: Vec<_> =
            told[0].headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                ("content-length", "4"),
                ("cookie", "a=b; c=d"),
                ("forwarded", "for=192.0.2.1;host=\"www.example.org\";proto=https"),
                ("via", "1.1 sportello"),
                ("x-forwarded-for", "192.0.2.1"),
                ("x-forwarded-host", "www.example.org"),
                ("x-forwarded-proto", "https"),
                ("x-own", "1"),
            ]
        );
        let lengths: Vec<_> =
            told.iter().map(|head| head.headers.get("content-length").map(|it| it.to_str().unwrap())).collect();
        assert_eq!(lengths, [Some("4"), None, Some("0"), None]);
        assert_eq!(connections.get(), 1);
    });
}

#[test]
fn answers_without_a_body_are_told_as_over_http1() {
    on_stage(async {
        let part = part(|_, request, mut respond| async move {
            let status = request.uri().path().trim_start_matches('/').parse::<u16>().unwrap();
            let answer = Response::builder().status(status).header("content-length", "12").body(()).unwrap();
            respond.send_response(answer, true).unwrap();
        });
        let (address, _) = upstream(Builder::new(), part).await;
        let proxy = proxy(&[h2c(address)], |_| {});
        let answer = Rc::clone(&proxy).pass(request("HEAD", "/200", &[], Incoming::Empty)).await;
        let Body::Pieces(mut pieces) = answer.body else { panic!("{answer:?}") };
        assert_eq!((pieces.left(), next(&mut *pieces).await), (Some(12), None));
        for (verb, status) in [("GET", 304), ("HEAD", 304), ("HEAD", 204)] {
            let answer = Rc::clone(&proxy).pass(request(verb, &format!("/{status}"), &[], Incoming::Empty)).await;
            assert!(
                answer.status == status && matches!(&answer.body, Body::Bytes(bytes) if bytes.is_empty()),
                "{answer:?}"
            );
        }
    });
}

#[test]
fn bodies_pass_both_ways_as_they_are_taken() {
    on_stage(async {
        let taken = Rc::new(RefCell::new(0usize));
        let sent = Rc::clone(&taken);
        let part = part(move |number, request, mut respond| {
            let sent = Rc::clone(&sent);
            async move {
                let mut body = request.into_body();
                if number == 0 {
                    let all = all(&mut body).await;
                    let mut stream = respond.send_response(Response::new(()), false).unwrap();
                    return send(&mut stream, all.into()).await.unwrap();
                }
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                for _ in 0..100 {
                    stream.reserve_capacity(10_000);
                    while stream.capacity() < 10_000 {
                        let Some(Ok(_)) = std::future::poll_fn(|context| stream.poll_capacity(context)).await else {
                            return;
                        };
                    }
                    stream.send_data(Bytes::from(vec![b'x'; 10_000]), false).unwrap();
                    *sent.borrow_mut() += 10_000;
                }
                stream.send_data(Bytes::new(), true).unwrap();
            }
        });
        let (address, connections) = upstream(Builder::new(), part).await;
        let proxy = proxy(&[h2c(address)], |_| {});
        let large = "x".repeat(300_000);
        let body = Incoming::Pieces(Box::new(crate::web::Ready::new([Bytes::from(large.clone())])));
        assert_eq!(read(Rc::clone(&proxy).pass(request("POST", "/", &[], body)).await).await, (200, Ok(large)));
        // What nobody takes is not sent, but for a window and what the other side holds.
        let answer = Rc::clone(&proxy).pass(get("/")).await;
        settle().await;
        assert!(*taken.borrow() < 100_000, "{}", taken.borrow());
        // It holds up nobody else.
        let other = Rc::clone(&proxy).pass(get("/")).await;
        assert_eq!(read(other).await.1.unwrap().len(), 1_000_000);
        assert_eq!(read(answer).await.1.unwrap().len(), 1_000_000);
        assert_eq!(connections.get(), 1);
    });
}

#[test]
fn an_answer_may_come_before_its_request_has_ended_and_a_client_may_leave() {
    on_stage(async {
        let resets = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&resets);
        let part = part(move |_, request, mut respond| {
            let noted = Rc::clone(&noted);
            async move {
                let mut body = request.into_body();
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                stream.send_data("a".into(), false).unwrap();
                let heard = all(&mut body).await;
                stream.send_data(heard.into(), false).unwrap();
                let why = std::future::poll_fn(|context| stream.poll_reset(context)).await;
                noted.borrow_mut().push(why.unwrap());
            }
        });
        let (address, _) = upstream(Builder::new(), part).await;
        let proxy = proxy(&[h2c(address)], |_| {});
        let (sender, body) = live();
        let answer = Rc::clone(&proxy).pass(request("POST", "/", &[], body)).await;
        let Body::Pieces(mut pieces) = answer.body else { panic!("{answer:?}") };
        assert_eq!(next(&mut *pieces).await, Some(Ok("a".into())));
        spawn_local(async move { sender.send("more".into()).await.unwrap() });
        assert_eq!(next(&mut *pieces).await, Some(Ok("more".into())));
        drop(pieces);
        settle().await;
        assert_eq!(*resets.borrow(), [h2::Reason::CANCEL]);
        assert_eq!((proxy.lines[0].len(), proxy.upstreams.places.available_permits()), (1, 1024));
    });
}

#[test]
fn no_other_protocol_is_asked_for_but_of_an_upstream_of_http1() {
    on_stage(async {
        let (address, connections) = upstream(Builder::new(), part(|_, _, respond| async { ok(respond, "ok") })).await;
        let alone = proxy(&[h2c(address)], |_| {});
        assert_eq!(alone.pass(websocket()).await.status, 502);
        assert_eq!(connections.get(), 0);
        let agreed = "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let (other, _) = super::stage::upstream(vec![vec![agreed.into()]]).await;
        let both = proxy(&[h2c(address), format!("http://{other}")], |_| {});
        assert_eq!(both.pass(websocket()).await.status, 101);
    });
}

#[test]
fn a_unix_socket_is_an_upstream_too_and_is_asked_whether_it_is_well() {
    on_stage(async {
        let folder = std::env::temp_dir().join(format!("sportello-h2c-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("app.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let asked = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&asked);
        let part = part(move |_, request, mut respond| {
            noted.borrow_mut().push(request.uri().to_string());
            let status = if request.uri().path() == "/ok" { 500 } else { 200 };
            respond.send_response(Response::builder().status(status).body(()).unwrap(), true).unwrap();
            async {}
        });
        spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                spawn_local(serve(stream, Builder::new(), Rc::clone(&part)));
            }
        });
        let address = Address::parse(&format!("unix+h2c:{}", path.display())).unwrap();
        let mut settings = Settings::of([address]);
        settings.health = Some(Health { fall: 1, ..Health::of("/ok") });
        let proxy = Proxy::new(Upstreams::new(settings));
        assert_eq!(Rc::clone(&proxy).pass(get("/a?b")).await.status, 200);
        settle().await;
        assert!(!proxy.upstreams.all[0].may_admit());
        let mut asked = asked.borrow().clone();
        asked.sort_unstable();
        assert_eq!(asked, ["http://localhost/ok", "http://www.example.org/a?b"]);
        std::fs::remove_dir_all(&folder).unwrap();
    });
}
