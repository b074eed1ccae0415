mod bounds;
mod ejection;
mod hostile;
mod http2;
mod keeping;
mod retry;
mod stage;
mod waits;

use stage::{STAY, get, live, next, on_stage, proxy, read, ready, request, settle, upstream, websocket, whole};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::web::{Broken, Incoming, Pieces};

fn part(answers: &[&str]) -> stage::Part {
    answers.iter().map(|answer| answer.as_bytes().to_vec()).collect()
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn one_connection_carries_many_requests() {
    on_stage(async {
        let (address, told) = upstream(vec![part(&[
            OK,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nX: y\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            OK,
        ])])
        .await;
        let proxy = proxy(&[address], |_| {});
        for expect in [(200, "ok"), (200, "ok"), (200, "ok"), (404, ""), (304, ""), (200, "ok")] {
            let (status, body) = read(Rc::clone(&proxy).pass(get("/")).await).await;
            assert_eq!((status, body.as_deref()), (expect.0, Ok(expect.1)));
        }
        assert_eq!(told.borrow().len(), 1);
    });
}

#[test]
fn what_is_whole_comes_in_memory_and_large_bodies_in_pieces() {
    on_stage(async {
        let large = "x".repeat(300_000);
        let (address, told) = upstream(vec![part(&[
            OK,
            &format!("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n{large}"),
            &format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n{large}\r\n0\r\n\r\n"),
            &format!("HTTP/1.1 200 OK\r\n\r\n{large}"),
        ])])
        .await;
        let proxy = proxy(&[address], |_| {});
        let answer = Rc::clone(&proxy).pass(get("/")).await;
        assert!(matches!(&answer.body, Body::Bytes(bytes) if bytes == "ok"));
        for length in [Some(300_000), None, None] {
            let answer = Rc::clone(&proxy).pass(get("/")).await;
            assert!(matches!(&answer.body, Body::Pieces(pieces) if pieces.left() == length));
            assert_eq!(read(answer).await, (200, Ok(large.clone())));
        }
        assert_eq!(told.borrow().len(), 1);
    });
}

#[test]
fn fields_of_one_connection_stay_behind() {
    on_stage(async {
        let (address, _) = upstream(vec![part(&["HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nx-hop: 1\r\n\
             Keep-Alive: timeout=5\r\nDate: x\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\nX-Ours: 2\r\nTrailer: T\r\n\
             Content-Length: 2\r\nServer: s\r\n\r\nok"])])
        .await;
        let answer = proxy(&[address], |_| {}).pass(get("/")).await;
        let fields: Vec<_> = answer.fields.iter().collect();
        let expect: [(&str, &[u8]); 4] =
            [("set-cookie", b"a=b"), ("set-cookie", b"c=d"), ("x-ours", b"2"), ("server", b"s")];
        assert_eq!(fields, expect);
    });
}

#[test]
fn an_answer_to_head_has_a_length_and_no_body() {
    on_stage(async {
        let (address, told) = upstream(vec![part(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 204 No\r\n\r\n",
        ])])
        .await;
        let proxy = proxy(&[address], |_| {});
        for expect in [Some(12), None] {
            let answer = Rc::clone(&proxy).pass(request("HEAD", "/", &[], Incoming::Empty)).await;
            let Body::Pieces(mut pieces) = answer.body else { panic!("{answer:?}") };
            assert_eq!(pieces.left(), expect);
            assert_eq!(next(&mut *pieces).await, None);
        }
        let answer = Rc::clone(&proxy).pass(request("HEAD", "/", &[], Incoming::Empty)).await;
        assert!(matches!(&answer.body, Body::Bytes(bytes) if bytes.is_empty()), "{answer:?}");
        assert_eq!(told.borrow().len(), 1);
    });
}

#[test]
fn a_small_body_leaves_with_its_head_and_framed_as_it_is_known() {
    on_stage(async {
        let (address, told) = upstream(vec![part(&[OK, OK, OK, OK])]).await;
        let proxy = proxy(&[address], |_| {});
        let (sender, unknown) = live();
        sender.send("abc".into()).await.unwrap();
        drop(sender);
        let (sender, nothing) = live();
        drop(sender);
        for body in [ready(&["abc", "d"]), unknown, nothing, Incoming::Empty] {
            let answer = Rc::clone(&proxy).pass(request("POST", "/", &[], body)).await;
            assert_eq!(read(answer).await, (200, Ok("ok".to_owned())));
        }
        let told = told.borrow();
        let bytes = String::from_utf8(told[0].clone()).unwrap();
        let requests: Vec<_> = bytes.split("POST / HTTP/1.1\r\n").skip(1).collect();
        for (request, (field, body)) in requests.iter().zip([
            ("content-length: 4\r\n", "\r\n\r\nabcd"),
            ("transfer-encoding: chunked\r\n", "\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
            ("transfer-encoding: chunked\r\n", "\r\n\r\n0\r\n\r\n"),
            ("content-length: 0\r\n", "\r\n\r\n"),
        ]) {
            assert!(request.contains(field) && request.ends_with(body), "{request}");
        }
    });
}

#[test]
fn a_body_that_is_not_whole_is_never_passed_on_as_one() {
    struct Short(Option<u64>, u8);
    impl Pieces for Short {
        fn poll_piece(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<bytes::Bytes, Broken>>> {
            self.1 += 1;
            std::task::Poll::Ready(match (self.1, self.0) {
                (1, _) => Some(Ok("abc".into())),
                (2, None) => Some(Err(Broken::TooLarge)),
                _ => None,
            })
        }
        fn left(&self) -> Option<u64> {
            self.0
        }
    }
    on_stage(async {
        for (length, expect) in [(Some(4), 400), (Some(2), 400), (None, 413)] {
            let (address, told) = upstream(vec![part(&[OK])]).await;
            let body = Incoming::Pieces(Box::new(Short(length, 0)));
            let answer = proxy(&[address], |_| {}).pass(request("POST", "/", &[], body)).await;
            assert_eq!(answer.status, expect);
            settle().await;
            assert!(told.borrow().iter().all(|told| whole(told).is_none()));
        }
    });
}

#[test]
fn an_answer_may_come_before_its_request_has_ended() {
    on_stage(async {
        let begin = "(early)HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n";
        let (address, told) = upstream(vec![part(&[begin, "1\r\nb\r\n0\r\n\r\n", OK])]).await;
        let proxy = proxy(&[address], |_| {});
        let (sender, body) = live();
        let answer = Rc::clone(&proxy).pass(request("POST", "/", &[], body)).await;
        let Body::Pieces(mut pieces) = answer.body else { panic!("{answer:?}") };
        assert_eq!(next(&mut *pieces).await, Some(Ok("a".into())));
        // The rest of the request goes out while the rest of the answer is asked for.
        tokio::task::spawn_local(async move {
            sender.send("more".into()).await.unwrap();
        });
        assert_eq!(next(&mut *pieces).await, Some(Ok("b".into())));
        assert_eq!(next(&mut *pieces).await, None);
        drop(pieces);
        assert_eq!(read(proxy.pass(get("/")).await).await, (200, Ok("ok".to_owned())));
        assert_eq!(told.borrow().len(), 1, "it was whole on both sides");
    });
}

#[test]
fn events_pass_at_once_and_have_no_end() {
    on_stage(async {
        let begin = "(early)HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (address, _) = upstream(vec![part(&[begin, "9\r\ndata: 1\n\n\r\n", STAY_TEXT])]).await;
        let answer = proxy(&[address], |_| {}).pass(get("/")).await;
        let Body::Pieces(mut pieces) = answer.body else { panic!("{answer:?}") };
        assert!(pieces.is_endless());
        assert_eq!(next(&mut *pieces).await, Some(Ok("data: 1\n\n".into())));
    });
}

const STAY_TEXT: &str = "(stays)";

#[test]
fn a_tunnel_opens_after_a_101_that_was_asked_for() {
    on_stage(async {
        let agreed = "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\
                      Sec-WebSocket-Accept: b\r\n\r\nfirst";
        assert_eq!(STAY, STAY_TEXT.as_bytes());
        let (address, told) = upstream(vec![part(&[agreed, "GET"])]).await;
        let proxy = proxy(&[address], |settings| settings.balance = Balance::LeastConnections);
        let answer = Rc::clone(&proxy).pass(websocket()).await;
        assert_eq!((answer.status, answer.fields.text("sec-websocket-accept")), (101, Some("b")));
        assert_eq!((answer.fields.text("upgrade"), answer.fields.has("connection")), (Some("WebSocket"), false));
        let Body::Tunnel(mut tunnel) = answer.body else { panic!("{answer:?}") };
        assert_eq!((&tunnel.first[..], proxy.upstreams.open_tunnels()), (&b"first"[..], 1));
        assert_eq!(proxy.upstreams.all[0].load(), 1, "a tunnel is a load for as long as it is open");
        let told = String::from_utf8(told.borrow()[0].clone()).unwrap();
        assert!(told.contains("\r\nconnection: upgrade\r\nupgrade: websocket\r\n"), "{told}");
        // The stage plays on when it has heard a request: any bytes will do that are one.
        tunnel.stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut heard = [0; 3];
        tunnel.stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"GET");
        drop(tunnel);
        assert_eq!((proxy.upstreams.open_tunnels(), proxy.upstreams.all[0].load()), (0, 0));
    });
}

#[test]
fn a_unix_socket_is_an_upstream_too() {
    on_stage(async {
        let folder = std::env::temp_dir().join(format!("sportello-proxy-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("app.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(buffer[..count].starts_with(b"GET /a?b HTTP/1.1\r\nHost: www.example.org\r\n"));
            stream.write_all(OK.as_bytes()).await.unwrap();
        });
        let address = Address::parse(&format!("unix:{}", path.display())).unwrap();
        let proxy = Proxy::new(Upstreams::new(Settings::of([address])));
        assert_eq!(read(proxy.pass(get("/a?b")).await).await, (200, Ok("ok".to_owned())));
        std::fs::remove_dir_all(&folder).unwrap();
    });
}

#[test]
fn idle_connections_are_bounded_in_number_and_age() {
    on_stage(async {
        let (address, told) = upstream((0..4).map(|_| part(&[OK, OK, OK])).collect()).await;
        let proxy = proxy(&[address], |settings| settings.idle_most = 2);
        let answers = [(); 3].map(|()| tokio::task::spawn_local(Rc::clone(&proxy).pass(get("/"))));
        for answer in answers {
            assert_eq!(answer.await.unwrap().status, 200);
        }
        assert_eq!((proxy.pools[0].len(), told.borrow().len()), (2, 3));
        tokio::time::sleep(proxy.upstreams.settings.idle_age).await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        assert_eq!(proxy.pools[0].len(), 0);
        assert_eq!(Rc::clone(&proxy).pass(get("/")).await.status, 200);
        assert_eq!(told.borrow().len(), 4);
    });
}
