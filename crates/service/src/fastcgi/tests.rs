//! An application that says what a test wants, and what comes of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use sportello_wire::fastcgi::pairs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep};

use super::*;
use crate::spool::Bounds;
use crate::web::{Body, Broken, Client, Fields, Incoming, Ready, Scheme};

mod answers;
mod bodies;
mod hostile;
mod kept;
mod parameters;
mod waits;

/// A request as the application read it.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// Which connection it came by, from 1.
    connection: usize,
    keeps: bool,
    params: BTreeMap<String, String>,
    body: Vec<u8>,
    /// Whether the body came to its end.
    is_whole: bool,
}

/// What the application does with one request.
#[derive(Clone)]
enum Reply {
    /// Reads it whole, writes this, and closes where that was asked for.
    Say(Vec<u8>),
    /// The same, and closes in any case.
    SayAndClose(Vec<u8>),
    /// Writes this before it reads more than a header, and then reads it whole.
    SayFirst(Vec<u8>),
    /// Writes this, and then nothing more.
    SayAndStay(Vec<u8>),
    /// Reads no more than a header.
    Ignore,
    /// Writes this again and again, for as long as it is read.
    Repeat(Vec<u8>),
}

struct House {
    folder: PathBuf,
    seen: Rc<RefCell<Vec<Seen>>>,
    /// Connections that the other side has closed.
    closed: Rc<Cell<usize>>,
    /// Bytes that went out by [`Reply::Repeat`].
    written: Rc<Cell<usize>>,
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A record of the request.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[1, kind, 0, 1, length[0], length[1], 0, 0], content].concat()
}

fn end() -> Vec<u8> {
    record(3, &[0; 8])
}

/// A whole answer.
fn says(text: &str) -> Vec<u8> {
    [record(6, text.as_bytes()), end()].concat()
}

const AMPLE: Bounds = Bounds { bytes: 1 << 30, files: 100, keep_free: 0 };
const HELLO: &str = "Content-Type: text/plain\r\n\r\nhello";

impl House {
    /// An application that has these replies, one for each request; then none.
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("sportello-fastcgi-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("www/blog")).unwrap();
        std::fs::write(folder.join("www/index.php"), "<?php").unwrap();
        std::fs::write(folder.join("www/blog/index.php"), "<?php").unwrap();
        let listener = UnixListener::bind(folder.join("app")).unwrap();
        let replies: Replies = Rc::new(RefCell::new(replies.into_iter().collect()));
        let house = Self { folder, seen: Rc::default(), closed: Rc::default(), written: Rc::default() };
        let (seen, closed, written) = (Rc::clone(&house.seen), Rc::clone(&house.closed), Rc::clone(&house.written));
        spawn_local(async move {
            for number in 1.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (replies, seen) = (Rc::clone(&replies), Rc::clone(&seen));
                let (closed, written) = (Rc::clone(&closed), Rc::clone(&written));
                spawn_local(async move {
                    converse(stream, number, &replies, &seen, &written).await;
                    closed.set(closed.get() + 1);
                });
            }
        });
        house
    }

    fn settings(&self) -> Settings {
        Settings::of(Address::Unix(self.folder.join("app")), self.folder.join("www"))
    }

    fn fastcgi(&self, settings: Settings) -> Rc<FastCgi> {
        self.spooling(settings, AMPLE)
    }

    /// The same with these bounds for bodies.
    fn spooling(&self, settings: Settings, bounds: Bounds) -> Rc<FastCgi> {
        let root = Root::open(&settings.root).unwrap();
        let spool = Arc::new(Spool::new(&self.folder, bounds));
        Rc::new(FastCgi::new(Arc::new(settings), Arc::new(root), spool))
    }

    fn seen(&self, number: usize) -> Seen {
        self.seen.borrow()[number].clone()
    }
}

type Replies = Rc<RefCell<std::collections::VecDeque<Reply>>>;

async fn converse(
    mut stream: UnixStream,
    connection: usize,
    replies: &Replies,
    seen: &RefCell<Vec<Seen>>,
    written: &Cell<usize>,
) {
    loop {
        let mut header = [0; 8];
        if stream.read_exact(&mut header).await.is_err() {
            return;
        }
        let Some(reply) = replies.borrow_mut().pop_front() else { return };
        if let Reply::SayFirst(bytes) = &reply
            && stream.write_all(bytes).await.is_err()
        {
            return;
        }
        let mut request = Seen { connection, ..Seen::default() };
        if !matches!(reply, Reply::Ignore) {
            let _ = read(&mut stream, header, &mut request).await;
            seen.borrow_mut().push(request.clone());
        }
        match reply {
            Reply::Say(bytes) => {
                let _ = stream.write_all(&bytes).await;
                if !request.keeps {
                    return;
                }
            }
            Reply::SayAndClose(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Reply::SayFirst(_) => {}
            Reply::SayAndStay(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.read(&mut [0]).await;
                return;
            }
            Reply::Ignore => sleep(Duration::from_secs(100_000)).await,
            Reply::Repeat(bytes) => {
                while stream.write_all(&bytes).await.is_ok() {
                    written.set(written.get() + bytes.len());
                }
                return;
            }
        }
    }
}

/// Reads one request; `None`: it ended too early.
async fn read(stream: &mut UnixStream, mut header: [u8; 8], into: &mut Seen) -> Option<()> {
    loop {
        let mut content = vec![0; usize::from(u16::from_be_bytes([header[4], header[5]]))];
        stream.read_exact(&mut content).await.ok()?;
        match header[1] {
            1 => into.keeps = content[2] == 1,
            4 => {
                let mut rest = &content[..];
                while !rest.is_empty() {
                    let (pair, more) = pairs::read(rest).unwrap();
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    let before = into.params.insert(text(pair.name), text(pair.value));
                    assert_eq!(before, None, "{} twice", text(pair.name));
                    rest = more;
                }
            }
            5 if content.is_empty() => {
                into.is_whole = true;
                return Some(());
            }
            5 => into.body.extend_from_slice(&content),
            other => panic!("a record of type {other}"),
        }
        stream.read_exact(&mut header).await.ok()?;
    }
}

fn request(method: &'static str, target: &str) -> Request {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Request {
        method: match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            _ => Method::Other,
        },
        verb: Bytes::from_static(method.as_bytes()),
        scheme: Scheme::Http,
        authority: Bytes::from_static(b"www.example.org:8080"),
        path: Path::parse(path.as_bytes()).unwrap(),
        query: query.map(|query| Bytes::copy_from_slice(query.as_bytes())),
        fields: Fields::new(),
        client: Client {
            peer: "192.0.2.7:50000".parse().unwrap(),
            local: "192.0.2.1:8080".parse().unwrap(),
            secured: None,
        },
        body: Incoming::Empty,
        upgrade: None,
        notes: Rc::default(),
    }
}

fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> Incoming {
    Incoming::Pieces(Box::new(Ready::new(pieces)))
}

/// The answer, read whole: status, fields, body or how that broke off.
async fn whole(answer: Answer) -> (u16, String, Result<String, Broken>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields: Vec<String> = answer.fields.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect();
    let body = match answer.body {
        Body::Empty => Ok(String::new()),
        Body::Bytes(bytes) => Ok(text(&bytes)),
        Body::Pieces(pieces) => Incoming::Pieces(pieces).whole(64 << 20).await.map(|bytes| text(&bytes)),
        other => panic!("{other:?}"),
    };
    (answer.status, fields.join("\n"), body)
}

async fn ask(fastcgi: &Rc<FastCgi>, request: Request) -> (u16, String, Result<String, Broken>) {
    whole(fastcgi.answer(request, &Asked::default()).await.unwrap()).await
}

/// Runs a test on one thread, as a worker does.
fn on_a_worker(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// The same with a clock that stands until nothing else is to be done.
fn on_a_simulated_clock(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}
