//! GET of one file, and what its answer must be.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use flate2::read::GzDecoder;
use rustls::ClientConfig;

use super::exchange::Kind;
use super::tls;
use crate::error::{Doing, Error};
use crate::harness::START;

/// One request for `path`, of about the size that command-line clients send.
pub(crate) fn request(address: SocketAddr, path: &str, kind: Kind) -> Vec<u8> {
    let close = match kind {
        Kind::Kept => "",
        Kind::NewEach => "Connection: close\r\n",
    };
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: sportello-bench\r\nAccept: */*\r\n{close}\r\n")
        .into_bytes()
}

/// One request for `path` of the site `host`, with more lines, each with its end.
pub(crate) fn request_to(host: &str, path: &str, lines: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: sportello-bench\r\nAccept: */*\r\n{lines}\r\n")
        .into_bytes()
}

/// Sends `depth` requests at once, checks that each answer is a 200 whose body is `body` byte for byte, and returns the
/// length of all answers.
pub(crate) fn answer(address: SocketAddr, path: &str, kind: Kind, depth: u64, body: &[u8]) -> Result<Answer, Error> {
    let mut stream = TcpStream::connect(address).doing(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(START)).doing(|| "setting a timeout".to_owned())?;
    let requests = request(address, path, kind).repeat(usize::try_from(depth).unwrap_or(usize::MAX));
    stream.write_all(&requests).doing(|| "sending GET".to_owned())?;
    let mut received = Vec::new();
    let mut length = 0;
    let mut head_text = String::new();
    for _ in 0..depth {
        let one = one_answer(&mut stream, &mut received, body)?;
        length += one.length;
        head_text = one.head;
    }
    if kind == Kind::NewEach {
        let more = stream.read_to_end(&mut received).doing(|| "waiting for the end".to_owned())?;
        if more > 0 {
            return Err(Error::not_so(format!("{address}{path}: more than the answer")));
        }
    }
    Ok(Answer { length, head: head_text })
}

/// What a server answers.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The bytes of all answers asked for at once.
    pub(crate) length: u64,
    /// The head of one of them.
    pub(crate) head: String,
}

/// Sends `request` over TLS to the server that is called `name`, and checks the answer as [`answer`] does.
pub(crate) fn answer_secure(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    name: &str,
    request: &[u8],
    body: &[u8],
) -> Result<Answer, Error> {
    let mut stream = tls::connect(address, config, &tls::name(name)?)?;
    stream.write_all(request).doing(|| "sending GET".to_owned())?;
    one_answer(&mut stream, &mut Vec::new(), body)
}

/// An answer whose body is encoded.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// All its bytes, head and framing too.
    pub(crate) length: u64,
    /// Those of its encoded body.
    pub(crate) encoded: usize,
}

/// Sends `request`, and checks that the answer is a 200 whose body, decoded by gzip, is `body`.
pub(crate) fn gzipped(address: SocketAddr, request: &[u8], body: &[u8]) -> Result<Encoded, Error> {
    let mut stream = TcpStream::connect(address).doing(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(START)).doing(|| "setting a timeout".to_owned())?;
    stream.write_all(request).doing(|| "sending GET".to_owned())?;
    let mut received = Vec::new();
    let head = head(&mut stream, &mut received)?;
    let text = String::from_utf8_lossy(received.get(..head).unwrap_or_default()).to_ascii_lowercase();
    if !text.starts_with("http/1.1 200 ") || !text.lines().any(|line| line == "content-encoding: gzip") {
        return Err(Error::not_so(format!("not encoded: {text}")));
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let (encoded, end) = match length {
        Some(length) => {
            fill(&mut stream, &mut received, head + length)?;
            (received.get(head..).unwrap_or_default().to_vec(), head + length)
        }
        None => chunks(&mut stream, &mut received, head)?,
    };
    let mut decoded = Vec::new();
    GzDecoder::new(encoded.as_slice()).read_to_end(&mut decoded).doing(|| "decoding a body".to_owned())?;
    if decoded != body || end != received.len() {
        return Err(Error::not_so(format!("{address}: the body is not the file's, encoded")));
    }
    Ok(Encoded { length: end as u64, encoded: encoded.len() })
}

/// Receives the chunks that begin at `at` (RFC 9112 §7.1): what is in them, and where they end.
fn chunks(stream: &mut impl Read, received: &mut Vec<u8>, mut at: usize) -> Result<(Vec<u8>, usize), Error> {
    let mut content = Vec::new();
    loop {
        let line = received.get(at..).unwrap_or_default().windows(2).position(|two| two == b"\r\n");
        let Some(line) = line else {
            let wanted = received.len() + 1;
            fill(stream, received, wanted)?;
            continue;
        };
        let size = String::from_utf8_lossy(received.get(at..at + line).unwrap_or_default()).into_owned();
        let size =
            usize::from_str_radix(&size, 16).map_err(|_| Error::not_so(format!("no size of a chunk: {size}")))?;
        let begin = at + line + 2;
        at = begin + size + 2;
        fill(stream, received, at)?;
        content.extend_from_slice(received.get(begin..begin + size).unwrap_or_default());
        if size == 0 {
            return Ok((content, at));
        }
    }
}

/// Receives one answer, and checks that it is a 200 whose body is `body` byte for byte. What came behind it stays.
fn one_answer(stream: &mut impl Read, received: &mut Vec<u8>, body: &[u8]) -> Result<Answer, Error> {
    let head = head(stream, received)?;
    let text = String::from_utf8_lossy(received.get(..head).unwrap_or_default()).into_owned();
    check_head(&text, body.len())?;
    let end = head + body.len();
    fill(stream, received, end)?;
    if received.get(head..end) != Some(body) {
        return Err(Error::not_so("the body of an answer is not the file's"));
    }
    received.drain(..end);
    Ok(Answer { length: end as u64, head: text })
}

/// `count` connections at once, each of which has asked once and read its whole answer of `length` bytes.
pub(crate) fn answered(address: SocketAddr, path: &str, count: usize, length: u64) -> Result<Vec<TcpStream>, Error> {
    let request = request(address, path, Kind::Kept);
    let mut connections = Vec::with_capacity(count);
    let mut answer = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).doing(|| format!("connecting to {address}"))?;
        stream.set_read_timeout(Some(START)).doing(|| "setting a timeout".to_owned())?;
        // At once: connections that say nothing wait in the kernel, which keeps a few thousand of them.
        stream.write_all(&request).doing(|| "sending GET".to_owned())?;
        stream.read_exact(&mut answer).doing(|| "receiving".to_owned())?;
        connections.push(stream);
    }
    Ok(connections)
}

fn check_head(head: &str, length: usize) -> Result<(), Error> {
    let said = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().to_owned())
    });
    if head.starts_with("HTTP/1.1 200 ") && said.as_deref() == Some(length.to_string().as_str()) {
        return Ok(());
    }
    Err(Error::not_so(format!("not a 200 with {length} bytes: {head}")))
}

/// Receives up to the end of a head; its length.
fn head(stream: &mut impl Read, received: &mut Vec<u8>) -> Result<usize, Error> {
    loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(end + 4);
        }
        if received.len() > MOST_HEAD {
            return Err(Error::not_so("a head without an end"));
        }
        fill(stream, received, received.len() + 1)?;
    }
}

/// Receives until there are `length` bytes.
fn fill(stream: &mut impl Read, received: &mut Vec<u8>, length: usize) -> Result<(), Error> {
    let mut bytes = [0; 16 * 1024];
    while received.len() < length {
        let count = stream.read(&mut bytes).doing(|| "receiving".to_owned())?;
        if count == 0 {
            return Err(Error::not_so("closed before the end of an answer"));
        }
        received.extend_from_slice(bytes.get(..count).unwrap_or_default());
    }
    Ok(())
}

const MOST_HEAD: usize = 512 * 1024;
