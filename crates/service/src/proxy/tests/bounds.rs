//! How many requests are under way at once, and to whom they go.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout};

use super::stage::{get, live, next, on_stage, proxy, read, request, settle, upstream, websocket};
use super::{OK, part};
use crate::proxy::{Address, Balance, Fault, Proxy, Settings, Upstreams};
use crate::web::{Body, Incoming};

const AGREED: &str = "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const BEGIN: &str = "(early)HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab";

fn free(proxy: &Proxy) -> usize {
    proxy.upstreams.places.available_permits()
}

#[test]
fn no_more_requests_are_under_way_than_may_be_and_tunnels_count() {
    on_stage(async {
        let parts = [part(&[AGREED, "(stays)"]), part(&[BEGIN, "(stays)"]), part(&[OK]), part(&[OK])];
        let (address, told) = upstream(parts.into()).await;
        let proxy = proxy(&[address], |settings| settings.requests_most = 2);
        let tunnel = Rc::clone(&proxy).pass(websocket()).await;
        assert!(matches!(tunnel.body, Body::Tunnel(_)));
        let begun = Rc::clone(&proxy).pass(get("/")).await;
        let Body::Pieces(mut pieces) = begun.body else { panic!("{begun:?}") };
        assert_eq!((next(&mut *pieces).await, free(&proxy)), (Some(Ok("ab".into())), 0));
        // One more waits as long as for a connection.
        let began = Instant::now();
        let peer = IpAddr::from([192, 0, 2, 1]);
        let full = Rc::clone(&proxy).ask(get("/"), peer).await;
        assert!(matches!(&full, Err(Fault::Full)) && full.is_err_and(|fault| fault.status() == 503));
        assert!(began.elapsed() >= proxy.upstreams.settings.timeouts.connect);
        assert_eq!(told.borrow().len(), 2, "nobody was asked");
        // It goes when one ends.
        let waits = async |ends: Body| {
            let waits = spawn_local(Rc::clone(&proxy).pass(get("/")));
            settle().await;
            assert!(!waits.is_finished());
            drop(ends);
            assert_eq!(read(waits.await.unwrap()).await, (200, Ok("ok".to_owned())));
        };
        waits(tunnel.body).await;
        let taken = proxy.upstreams.places.try_acquire().unwrap();
        waits(Body::Pieces(pieces)).await;
        drop(taken);
        assert_eq!(free(&proxy), 2);
    });
}

#[test]
fn a_request_that_is_dropped_leaves_its_place_wherever_it_was() {
    on_stage(async {
        // Not taking connections any more, silent after a request, in the middle of an answer.
        let silent = part(&["(stays)"]);
        let (address, _) = upstream(vec![silent.clone(), silent, part(&[BEGIN, "(stays)"])]).await;
        let proxy = proxy(&[address], |settings| settings.requests_most = 1);
        let (_sender, body) = live();
        for asked in [get("/"), request("POST", "/", &[], body)] {
            let under_way = timeout(Duration::from_secs(1), Rc::clone(&proxy).pass(asked));
            assert!(under_way.await.is_err());
            assert_eq!(free(&proxy), 1);
        }
        let answer = Rc::clone(&proxy).pass(request("GET", "/", &[], Incoming::Empty)).await;
        assert_eq!(free(&proxy), 0);
        let waiting = timeout(Duration::from_secs(1), Rc::clone(&proxy).pass(get("/")));
        assert!(waiting.await.is_err());
        drop(answer);
        assert_eq!(free(&proxy), 1);
    });
}

#[test]
fn an_upstream_is_chosen_by_the_address_that_is_believed() {
    on_stage(async {
        let listeners =
            [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
        let addresses = [0, 1].map(|index: usize| listeners[index].local_addr().unwrap());
        let proxy = proxy(&addresses, |settings| settings.balance = Balance::AddressHash);
        // All of them come from the same proxy in front.
        let mut asked = [0; 2];
        for last in 0..40 {
            let asking = Rc::clone(&proxy).ask(get("/"), IpAddr::from([198, 51, 100, last]));
            assert!(timeout(Duration::from_millis(10), asking).await.is_err());
            tokio::select! {
                Ok(_) = listeners[0].accept() => asked[0] += 1,
                Ok(_) = listeners[1].accept() => asked[1] += 1,
            }
        }
        assert!(asked.iter().all(|asked| *asked > 5), "{asked:?}");
    });
}

#[test]
fn a_unix_socket_whose_queue_is_full_is_asked_again() {
    on_stage(async {
        let folder = std::env::temp_dir().join(format!("sportello-queue-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("app.sock");
        use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
        let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&socket, 1).unwrap();
        let proxy =
            Proxy::new(Upstreams::new(Settings::of([Address::parse(&format!("unix:{}", path.display())).unwrap()])));
        let asked: Vec<_> = (0..6).map(|_| spawn_local(Rc::clone(&proxy).pass(get("/")))).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(asked.iter().all(|asked| !asked.is_finished()), "nobody was told that there is no room");
        let listener = std::os::unix::net::UnixListener::from(socket);
        listener.set_nonblocking(true).unwrap();
        let listener = UnixListener::from_std(listener).unwrap();
        spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let mut heard = [0; 4096];
                assert!(stream.read(&mut heard).await.unwrap() > 0);
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        });
        for asked in asked {
            assert_eq!(asked.await.unwrap().status, 200);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    });
}
