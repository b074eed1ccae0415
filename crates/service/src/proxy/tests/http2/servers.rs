//! Upstreams of HTTP/2 that play a part: by the engine's own server, or byte for byte.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{RecvStream, SendStream};
use http::{Request as Head, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::spawn_local;

use crate::proxy::{Address, Proxy, Settings, Upstreams};

/// What answers one request; told which one on its connection.
pub(super) type Part = Rc<dyn Fn(usize, Head<RecvStream>, SendResponse<Bytes>) -> Pin<Box<dyn Future<Output = ()>>>>;

pub(super) fn part<F: Future<Output = ()> + 'static>(
    play: impl Fn(usize, Head<RecvStream>, SendResponse<Bytes>) -> F + 'static,
) -> Part {
    Rc::new(move |number, request, respond| Box::pin(play(number, request, respond)))
}

/// An upstream on a port of its own, and how many connections it has taken.
pub(super) async fn upstream(builder: Builder, part: Part) -> (SocketAddr, Rc<Cell<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // What waits for an acknowledgement would be passed by a clock that leaps.
            stream.set_nodelay(true).unwrap();
            counted.set(counted.get() + 1);
            spawn_local(serve(stream, builder.clone(), Rc::clone(&part)));
        }
    });
    (address, count)
}

pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, builder: Builder, part: Part) {
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    let mut number = 0;
    while let Some(Ok((request, respond))) = connection.accept().await {
        spawn_local(part(number, request, respond));
        number += 1;
    }
}

/// One that takes connections, reads, and says these bytes again and again, so often.
pub(super) async fn says(bytes: Vec<u8>, times: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let bytes = bytes.clone();
            spawn_local(async move {
                // Once the request is there; all of it comes at once.
                let mut heard = [0; 4096];
                let mut total = 0;
                while total < 100 {
                    let Ok(count @ 1..) = stream.read(&mut heard).await else { return };
                    total += count;
                }
                let (mut read, mut write) = stream.into_split();
                // What is answered to it is read, so that nothing else stops it.
                spawn_local(async move { while let Ok(1..) = read.read(&mut heard).await {} });
                for turn in 0..times {
                    // The settings once only.
                    let from = if turn == 0 { 0 } else { EMPTY_SETTINGS.len() };
                    if write.write_all(&bytes[from..]).await.is_err() {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            });
        }
    });
    address
}

pub(super) const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A frame (RFC 9113 §4.1).
pub(super) fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

pub(super) fn proxy(addresses: &[String], change: impl FnOnce(&mut Settings)) -> Rc<Proxy> {
    let mut settings = Settings::of(addresses.iter().map(|address| Address::parse(address).unwrap()));
    change(&mut settings);
    Proxy::new(Upstreams::new(settings))
}

pub(super) fn h2c(address: SocketAddr) -> String {
    format!("h2c://{address}")
}

/// All of a request's body.
pub(super) async fn all(body: &mut RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        body.flow_control().release_capacity(piece.len()).unwrap();
        all.extend_from_slice(&piece);
    }
    all
}

pub(super) fn ok(mut respond: SendResponse<Bytes>, body: &'static str) {
    let mut stream = respond.send_response(Response::new(()), body.is_empty()).unwrap();
    if !body.is_empty() {
        stream.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
    }
}

/// Sends a body as the windows open.
pub(super) async fn send(stream: &mut SendStream<Bytes>, mut body: Bytes) -> Result<(), h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        if stream.capacity() == 0 {
            let Some(Ok(_)) = std::future::poll_fn(|context| stream.poll_capacity(context)).await else {
                return Ok(());
            };
        }
        let room = stream.capacity();
        stream.send_data(body.split_to(room.min(body.len())), false)?;
    }
    stream.send_data(Bytes::new(), true)
}
