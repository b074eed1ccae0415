//! How many connections there are, when they end, and what is asked once more.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use h2::Reason;
use h2::server::Builder;
use http::Response;
use tokio::task::spawn_local;

use super::super::stage::{get, next, nobody, on_stage, read, request, settle};
use super::servers::{h2c, ok, part, proxy, upstream};
use crate::proxy::Fault;
use crate::proxy::http2::LINES_MOST;
use crate::web::{Body, Incoming};

const PEER: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[test]
fn connections_are_opened_as_streams_run_out_and_no_more_than_may_be() {
    on_stage(async {
        let held = part(|_, request, mut respond| async move {
            if request.uri().path() == "/" {
                return ok(respond, "ok");
            }
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            let _ = std::future::poll_fn(|context| stream.poll_reset(context)).await;
        });
        let mut builder = Builder::new();
        builder.max_concurrent_streams(2);
        let (address, connections) = upstream(builder, held).await;
        let proxy = proxy(&[h2c(address)], |_| {});
        let mut answers = Vec::new();
        for number in 0..2 * LINES_MOST {
            // What each connection allows is known once it has answered.
            if number % 2 == 0 {
                assert_eq!(Rc::clone(&proxy).pass(get("/")).await.status, 200);
            }
            answers.push(Rc::clone(&proxy).pass(get("/held")).await);
        }
        assert_eq!((connections.get(), proxy.lines[0].len()), (LINES_MOST, LINES_MOST));
        let full = Rc::clone(&proxy).ask(get("/"), PEER).await;
        assert!(matches!(full, Err(Fault::Full)), "{full:?}");
        // It goes when one ends.
        let waits = spawn_local(Rc::clone(&proxy).pass(get("/")));
        settle().await;
        assert!(!waits.is_finished());
        answers.pop();
        assert_eq!(read(waits.await.unwrap()).await, (200, Ok("ok".to_owned())));
        assert_eq!(connections.get(), LINES_MOST);
    });
}

#[test]
fn one_connection_is_made_for_all_who_come_at_once_and_it_ends_when_it_is_old() {
    on_stage(async {
        let (address, connections) = upstream(Builder::new(), part(|_, _, respond| async { ok(respond, "ok") })).await;
        let one = proxy(&[h2c(address)], |_| {});
        let answers: Vec<_> = (0..50).map(|_| spawn_local(Rc::clone(&one).pass(get("/")))).collect();
        for answer in answers {
            assert_eq!(read(answer.await.unwrap()).await, (200, Ok("ok".to_owned())));
        }
        assert_eq!((connections.get(), one.lines[0].len()), (1, 1));
        assert_eq!(one.upstreams.view("")[0].connections, 1);
        tokio::time::sleep(one.upstreams.settings.idle_age + Duration::from_secs(1)).await;
        assert_eq!(one.lines[0].len(), 0);
        assert_eq!(Rc::clone(&one).pass(get("/")).await.status, 200);
        assert_eq!(connections.get(), 2);
        // Where none is kept, none is.
        let none = proxy(&[h2c(address)], |settings| settings.idle_most = 0);
        assert_eq!(Rc::clone(&none).pass(get("/")).await.status, 200);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(none.lines[0].len(), 0);
    });
}

#[test]
fn who_cannot_connect_tells_all_who_wait_with_it() {
    on_stage(async {
        let proxy = proxy(&[h2c(nobody())], |_| {});
        let answers: Vec<_> = (0..5).map(|_| spawn_local(Rc::clone(&proxy).pass(get("/")))).collect();
        for answer in answers {
            assert_eq!(answer.await.unwrap().status, 502);
        }
    });
}

#[test]
fn what_was_not_looked_at_is_asked_once_more_and_nothing_else() {
    on_stage(async {
        for (verb, why, times, expect, asked) in [
            ("POST", Reason::REFUSED_STREAM, 1, 200, 2),
            ("POST", Reason::REFUSED_STREAM, 2, 200, 3),
            ("POST", Reason::REFUSED_STREAM, 9, 502, 3),
            ("POST", Reason::CANCEL, 1, 502, 1),
            ("GET", Reason::INTERNAL_ERROR, 1, 502, 1),
        ] {
            let count = Rc::new(Cell::new(0));
            let counted = Rc::clone(&count);
            let part = part(move |_, _, mut respond| {
                counted.set(counted.get() + 1);
                if counted.get() <= times {
                    respond.send_reset(why);
                } else {
                    ok(respond, "ok");
                }
                async {}
            });
            let (address, _) = upstream(Builder::new(), part).await;
            let answer = proxy(&[h2c(address)], |_| {}).pass(request(verb, "/", &[], Incoming::Empty)).await;
            assert_eq!((answer.status, count.get()), (expect, asked), "{verb} {why}");
        }
    });
}

#[test]
fn waits_have_their_ends_and_a_connection_on_which_nothing_comes_is_left() {
    on_stage(async {
        let part = part(|_, request, mut respond| async move {
            let begins = request.uri().path() == "/begins";
            let mut stream = begins.then(|| respond.send_response(Response::new(()), false).unwrap());
            if let Some(stream) = &mut stream {
                stream.send_data("a".into(), false).unwrap();
            }
            std::future::pending::<()>().await;
            drop((stream, respond));
        });
        let (address, connections) = upstream(Builder::new(), part).await;
        let proxy = proxy(&[h2c(address)], |_| {});
        // Settings came while the first one waited.
        for expect in [504, 504] {
            assert_eq!(Rc::clone(&proxy).pass(get("/")).await.status, expect);
            assert_eq!(connections.get(), 1);
        }
        let answer = Rc::clone(&proxy).pass(get("/begins")).await;
        assert_eq!(connections.get(), 2);
        let Body::Pieces(mut pieces) = answer.body else { panic!("{answer:?}") };
        assert_eq!(next(&mut *pieces).await, Some(Ok("a".into())));
        assert_eq!(next(&mut *pieces).await, Some(Err(crate::web::Broken::Left)));
    });
}

#[test]
fn requests_go_on_when_a_proxy_is_replaced() {
    on_stage(async {
        let go_on = Rc::new(tokio::sync::Notify::new());
        let told = Rc::clone(&go_on);
        let part = part(move |_, _, respond| {
            let told = Rc::clone(&told);
            async move {
                told.notified().await;
                ok(respond, "ok");
            }
        });
        let (address, _) = upstream(Builder::new(), part).await;
        let answer = spawn_local(proxy(&[h2c(address)], |_| {}).pass(get("/")));
        settle().await;
        go_on.notify_one();
        assert_eq!(read(answer.await.unwrap()).await, (200, Ok("ok".to_owned())));
    });
}
