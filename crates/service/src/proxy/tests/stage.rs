//! Upstreams that play a part: byte for byte what a test has them say, and what they were told.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use sportello_wire::http1::body::Decoder;
use sportello_wire::http1::head::{self, parse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};

use crate::proxy::{Address, Proxy, Settings, Upstreams};
use crate::web::{Answer, Body, Broken, Client, Fields, Incoming, Live, Path, Pieces, Ready, Request, Scheme, Upgrade};

/// What one connection says after each request that it has heard whole; then it closes. [`STAY`] instead of an answer keeps it open.
pub(super) type Part = Vec<Vec<u8>>;

/// An address where nobody listens, nor will: it is taken, and given up only at the end of the process.
pub(super) fn nobody() -> SocketAddr {
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = taken.local_addr().unwrap();
    std::mem::forget(taken);
    address
}

/// Says nothing and stays.
pub(super) const STAY: &[u8] = b"(stays)";
/// Closes before it has read anything.
pub(super) const LEAVE: &[u8] = b"(leaves)";

/// What upstreams were told, by connection.
pub(super) type Told = Rc<RefCell<Vec<Vec<u8>>>>;

/// An upstream on a port of its own whose first connection plays the first part, and so on; when all are played it takes none.
pub(super) async fn upstream(parts: Vec<Part>) -> (SocketAddr, Told) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let told = Told::default();
    let heard = Rc::clone(&told);
    spawn_local(async move {
        for (number, part) in parts.into_iter().enumerate() {
            let (stream, _) = listener.accept().await.unwrap();
            heard.borrow_mut().push(Vec::new());
            spawn_local(play(stream, part, Rc::clone(&heard), number));
        }
    });
    (address, told)
}

async fn play(mut stream: TcpStream, part: Part, told: Told, number: usize) {
    if part.first().is_some_and(|first| first == LEAVE) {
        return;
    }
    let mut held = Vec::new();
    for line in part {
        // What goes before a request is heard whole is marked so.
        if let Some(early) = line.strip_prefix(b"(early)") {
            let mut byte = [0; 1];
            stream.read_exact(&mut byte).await.unwrap();
            held.push(byte[0]);
            told.borrow_mut()[number].push(byte[0]);
            stream.write_all(early).await.unwrap();
            continue;
        }
        while whole(&held).is_none() {
            let mut buffer = [0; 4096];
            let Ok(count @ 1..) = stream.read(&mut buffer).await else { return };
            held.extend_from_slice(&buffer[..count]);
            told.borrow_mut()[number].extend_from_slice(&buffer[..count]);
        }
        let length = whole(&held).unwrap();
        held.drain(..length);
        if line == STAY {
            let mut rest = [0; 64];
            while let Ok(1..) = stream.read(&mut rest).await {}
            return;
        }
        if stream.write_all(&line).await.is_err() {
            return;
        }
    }
}

/// How long the first request is, once all of it is there. Panics on what is no request: then we sent none.
pub(super) fn whole(bytes: &[u8]) -> Option<usize> {
    let limits = head::Limits { head: 100_000, fields: 1000, request_line: 50_000 };
    let head = parse(bytes, &limits).unwrap_or_else(|refusal| panic!("{refusal}: {}", bytes.escape_ascii()))?;
    let mut decoder = Decoder::new(head.framing, u64::MAX).unwrap();
    let mut at = head.length;
    while !decoder.is_done() {
        let step = decoder.decode(&bytes[at..]).unwrap();
        if step.consumed == 0 {
            return None;
        }
        at += step.consumed;
    }
    Some(at)
}

/// Runs a test where tasks can be spawned.
pub(super) fn on_stage(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// A proxy to these.
pub(super) fn proxy(addresses: &[SocketAddr], change: impl FnOnce(&mut Settings)) -> Rc<Proxy> {
    let upstreams = addresses.iter().map(|address| Address::parse(&format!("http://{address}")).unwrap());
    let mut settings = Settings::of(upstreams);
    change(&mut settings);
    Proxy::new(Upstreams::new(settings))
}

/// A request of 192.0.2.1 for www.example.org.
pub(super) fn request(verb: &str, target: &str, fields: &[(&str, &str)], body: Incoming) -> Request {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(Bytes::copy_from_slice(query.as_bytes()))),
        None => (target, None),
    };
    let mut all = Fields::new();
    for (name, value) in fields {
        all.add(name.to_string(), value.to_string()).unwrap();
    }
    let head = format!("{verb} / HTTP/1.1\r\nHost: a\r\n\r\n");
    let method = parse(head.as_bytes(), &head::Limits::default()).unwrap().unwrap().method;
    Request {
        method,
        verb: Bytes::copy_from_slice(verb.as_bytes()),
        scheme: Scheme::Https,
        authority: Bytes::from_static(b"www.example.org"),
        path: Path::parse(path.as_bytes()).unwrap(),
        query,
        fields: all,
        client: Client {
            peer: "192.0.2.1:4000".parse().unwrap(),
            local: "192.0.2.2:443".parse().unwrap(),
            secured: None,
        },
        body,
        upgrade: None,
        notes: Rc::default(),
    }
}

pub(super) fn get(target: &str) -> Request {
    request("GET", target, &[], Incoming::Empty)
}

/// A request for a WebSocket.
pub(super) fn websocket() -> Request {
    let upgrade = Some(Upgrade { protocol: Bytes::from_static(b"websocket") });
    Request { upgrade, ..request("GET", "/ws", &[("sec-websocket-key", "a")], Incoming::Empty) }
}

/// A body of known length that is there.
pub(super) fn ready(pieces: &[&'static str]) -> Incoming {
    Incoming::Pieces(Box::new(Ready::new(pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())))))
}

/// A body whose pieces come as they are sent; its length is not known.
pub(super) fn live() -> (mpsc::Sender<Bytes>, Incoming) {
    let (sender, pieces) = mpsc::channel(1);
    (sender, Incoming::Pieces(Box::new(Live::new(pieces))))
}

/// All of an answer: status and body, or how it broke.
pub(super) async fn read(answer: Answer) -> (u16, Result<String, Broken>) {
    let mut body = match answer.body {
        Body::Empty => return (answer.status, Ok(String::new())),
        Body::Bytes(bytes) => return (answer.status, Ok(String::from_utf8(bytes.to_vec()).unwrap())),
        Body::Pieces(pieces) => pieces,
        other => panic!("{other:?}"),
    };
    let mut whole = Vec::new();
    loop {
        let left = body.left();
        match next(&mut *body).await {
            Some(Ok(piece)) => {
                assert!(!piece.is_empty() && left.is_none_or(|left| left >= piece.len() as u64));
                whole.extend_from_slice(&piece);
            }
            Some(Err(broken)) => return (answer.status, Err(broken)),
            None => return (answer.status, Ok(String::from_utf8(whole).unwrap())),
        }
    }
}

pub(super) async fn next(pieces: &mut dyn Pieces) -> Option<Result<Bytes, Broken>> {
    std::future::poll_fn(|context| pieces.poll_piece(context)).await
}

/// Lets every task do what it can.
pub(super) async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}
