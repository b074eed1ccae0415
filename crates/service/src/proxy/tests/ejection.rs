//! When an upstream is left out, and that nobody can have it left out for others.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::OK;
use super::stage::{LEAVE, get, live, next, on_stage, proxy, read, request, upstream};
use crate::proxy::{Ejection, Proxy, Role};
use crate::web::{Body, Broken};

const SHORT: Duration = Duration::from_secs(2);
const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";
const PART: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab";

fn left_out_by(failures: u16) -> Option<Ejection> {
    Some(Ejection { failures, ..Ejection::default() })
}

/// Answers one request of each connection, by its path; `/die` with nothing at all.
async fn application() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            spawn_local(answer(stream));
        }
    });
    address
}

async fn answer(mut stream: TcpStream) {
    let mut heard = Vec::new();
    while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut buffer = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { return };
        heard.extend_from_slice(&buffer[..count]);
    }
    let answer = match &heard[..] {
        [b'G', b'E', b'T', b' ', b'/', b'd', ..] => return,
        [b'G', b'E', b'T', b' ', b'/', b'e', ..] => EVENTS,
        [b'G', b'E', b'T', b' ', b'/', b'p', ..] => PART,
        // It gives up on a body that does not come.
        [b'P', ..] => return tokio::time::sleep(SHORT).await,
        _ => OK,
    };
    stream.write_all(answer.as_bytes()).await.unwrap();
    if answer == EVENTS {
        let mut rest = [0; 64];
        while let Ok(1..) = stream.read(&mut rest).await {}
    }
}

/// How many are not left out.
fn in_use(proxy: &Proxy) -> usize {
    proxy.upstreams.all.iter().filter(|upstream| upstream.may_admit()).count()
}

#[test]
fn an_upstream_that_fails_is_left_out_and_tried_again_by_one() {
    on_stage(async {
        let parts = [LEAVE, LEAVE, LEAVE, OK.as_bytes()];
        let (address, told) = upstream(parts.iter().map(|part| vec![part.to_vec()]).collect()).await;
        let ejection = Ejection { failures: 2, ..Ejection::default() };
        let proxy = proxy(&[address, application().await], |settings| {
            (settings.ejection, settings.tries) = (Some(ejection), 1);
            settings.upstreams[1].role = Role::Backup;
        });
        let ask = async || Rc::clone(&proxy).pass(get("/")).await.status;
        assert_eq!([ask().await, ask().await], [502, 502]);
        // Out: it is not asked.
        assert_eq!([ask().await, ask().await, told.borrow().len() as u16], [200, 200, 2]);
        tokio::time::sleep(ejection.period).await;
        // The trial fails, so it stays out.
        assert_eq!([ask().await, ask().await, told.borrow().len() as u16], [502, 200, 3]);
        tokio::time::sleep(ejection.period).await;
        assert_eq!([ask().await, told.borrow().len() as u16], [200, 4]);
        assert_eq!(in_use(&proxy), 2);
    });
}

#[test]
fn a_path_that_kills_does_not_put_all_upstreams_out() {
    on_stage(async {
        for failures in [1, 3] {
            let addresses = [application().await, application().await];
            let proxy = proxy(&addresses, |settings| settings.ejection = left_out_by(failures));
            for _ in 0..10 {
                assert_eq!(Rc::clone(&proxy).pass(get("/die")).await.status, 502);
                for _ in 0..2 {
                    assert_eq!(Rc::clone(&proxy).pass(get("/")).await.status, 200);
                }
            }
            for _ in 0..10 {
                assert_eq!(Rc::clone(&proxy).pass(get("/die")).await.status, 502);
            }
            for _ in 0..10 {
                assert_eq!(Rc::clone(&proxy).pass(get("/")).await.status, 200);
            }
        }
    });
}

#[test]
fn a_request_at_which_all_hang_up_counts_once() {
    on_stage(async {
        let addresses = [application().await, application().await, application().await];
        let proxy = proxy(&addresses, |settings| settings.ejection = left_out_by(1));
        assert_eq!(Rc::clone(&proxy).pass(get("/die")).await.status, 502);
        assert_eq!(in_use(&proxy), 2);
    });
}

#[test]
fn a_client_that_stops_in_its_body_is_no_failure_of_the_upstream() {
    on_stage(async {
        let proxy = proxy(&[application().await], |settings| settings.ejection = left_out_by(1));
        let (sender, body) = live();
        sender.send("abc".into()).await.unwrap();
        assert_eq!(Rc::clone(&proxy).pass(request("POST", "/", &[], body)).await.status, 502);
        assert_eq!(in_use(&proxy), 1);
        // One that has sent all of it is owed an answer.
        drop(sender);
        let (sender, body) = live();
        drop(sender);
        assert_eq!(Rc::clone(&proxy).pass(request("POST", "/", &[], body)).await.status, 502);
        assert_eq!(in_use(&proxy), 0);
    });
}

#[test]
fn a_silent_event_stream_is_no_failure() {
    on_stage(async {
        let proxy = proxy(&[application().await], |settings| {
            (settings.ejection, settings.timeouts.between) = (left_out_by(1), SHORT);
        });
        let answer = Rc::clone(&proxy).pass(get("/events")).await;
        let Body::Pieces(mut pieces) = answer.body else { panic!("{answer:?}") };
        assert_eq!(next(&mut *pieces).await, Some(Ok("data: 1\n\n".into())));
        assert_eq!(next(&mut *pieces).await, Some(Err(Broken::Left)));
        assert_eq!(in_use(&proxy), 1);
    });
}

#[test]
fn an_upstream_that_breaks_off_each_answer_is_left_out() {
    on_stage(async {
        let proxy = proxy(&[application().await], |settings| settings.ejection = left_out_by(2));
        for expect in [1, 0] {
            assert_eq!(read(Rc::clone(&proxy).pass(get("/part")).await).await, (200, Err(Broken::Left)));
            assert_eq!(in_use(&proxy), expect);
        }
        // Asked all the same, it answers to the end.
        assert_eq!(read(Rc::clone(&proxy).pass(get("/")).await).await.0, 200);
        assert_eq!(in_use(&proxy), 1);
    });
}
