//! WebSockets through a proxy (RFC 6455), as far as a proxy can see them: opened, one frame each way, then nothing more.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use crate::error::{Doing, Error};
use crate::harness::START;

/// The example of RFC 6455 §1.3.
const ASK: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const AGREE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// "Hello" as RFC 6455 §5.7 shows it, masked and not.
const MASKED: [u8; 11] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
const HELLO: [u8; 7] = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
const MOST_HEAD: usize = 16 * 1024;

/// What the proxies ask: agrees, answers one frame, and keeps the connection open until it is dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    /// Ends when it has had its clients.
    thread: Option<JoinHandle<Result<Vec<TcpStream>, Error>>>,
}

impl Upstream {
    /// One that takes `clients` and no more.
    pub(crate) fn start(clients: usize) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing(|| "listening".to_owned())?;
        let address = listener.local_addr().doing(|| "listening".to_owned())?;
        let serve = move || {
            let mut kept = Vec::with_capacity(clients);
            for _ in 0..clients {
                let (mut stream, _) = listener.accept().doing(|| "accepting".to_owned())?;
                head(&mut stream)?;
                stream.write_all(AGREE).doing(|| "agreeing".to_owned())?;
                let mut frame = [0; MASKED.len()];
                stream.read_exact(&mut frame).doing(|| "receiving a frame".to_owned())?;
                stream.write_all(&HELLO).doing(|| "sending a frame".to_owned())?;
                kept.push(stream);
            }
            Ok(kept)
        };
        let thread = thread::Builder::new().name("websockets".to_owned()).spawn(serve);
        Ok(Self { address, thread: Some(thread.doing(|| "starting a thread".to_owned())?) })
    }

    /// Its ends of the connections, when it has had its clients.
    pub(crate) fn kept(mut self) -> Result<Vec<TcpStream>, Error> {
        let thread = self.thread.take().ok_or_else(|| Error::not_so("no thread"))?;
        thread.join().map_err(|_| Error::not_so("the upstream of the WebSockets ended badly"))?
    }
}

/// Opens `count` at the proxy; each says a frame and hears one.
pub(crate) fn open(proxy: SocketAddr, path: &str, count: usize) -> Result<Vec<TcpStream>, Error> {
    let mut opened = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(proxy).doing(|| format!("connecting to {proxy}"))?;
        stream.set_read_timeout(Some(START)).doing(|| "setting a timeout".to_owned())?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {proxy}\r\nOrigin: http://{proxy}\r\n{ASK}");
        stream.write_all(request.as_bytes()).doing(|| "asking for a WebSocket".to_owned())?;
        let head = head(&mut stream)?;
        if !head.starts_with("HTTP/1.1 101 ") {
            return Err(Error::not_so(format!("no WebSocket: {head}")));
        }
        stream.write_all(&MASKED).doing(|| "sending a frame".to_owned())?;
        let mut frame = [0; HELLO.len()];
        stream.read_exact(&mut frame).doing(|| "receiving a frame".to_owned())?;
        if frame != HELLO {
            return Err(Error::not_so("a frame came changed"));
        }
        opened.push(stream);
    }
    Ok(opened)
}

/// Reads a head, byte by byte: what follows it stays in the socket.
fn head(stream: &mut TcpStream) -> Result<String, Error> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).doing(|| "receiving a head".to_owned())?;
        head.extend_from_slice(&byte);
        if head.len() > MOST_HEAD {
            return Err(Error::not_so("a head without an end"));
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
