//! Sessions over real sockets, with a folder behind them.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sportello_net::limit::Limit;
use sportello_net::{Deadlines, Listener, Serve, Speaker, Workers};
use sportello_service::files::settings::{CacheRule, Caching, ErrorPages, HiddenNames, Listings};
use sportello_service::files::{Files, Root, Settings};
use sportello_service::site::Site;

use super::*;
use crate::observe::log::Log;
use crate::observe::{Recorder, Samples};

struct Folder(Rc<Service>);

/// What the future of one connection may take, which is what it takes while it idles. tokio adds 96 bytes, and what the server wraps
/// around; together that may be 256.
const FUTURE_MOST: usize = 112;

impl Serve for Folder {
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + 'static {
        let session = serve(Box::new(connection), Rc::clone(&self.0));
        assert!(size_of_val(&session) <= FUTURE_MOST, "a session takes {} bytes", size_of_val(&session));
        session
    }
}

pub(super) struct House {
    folder: PathBuf,
    address: SocketAddr,
    workers: Workers,
    threads: Vec<JoinHandle<()>>,
    told: Samples,
}

impl House {
    pub(super) fn open() -> Self {
        Self::with(Deadlines::default())
    }

    pub(super) fn with(deadlines: Deadlines) -> Self {
        Self::serving(deadlines, |folder| Served::Sites(Sites::only(files(folder, Settings::default()))))
    }

    pub(super) fn serving(deadlines: Deadlines, served: impl Fn(&Path) -> Served + Send + Sync + 'static) -> Self {
        Self::made(deadlines, None, served)
    }

    /// One whose channel sends to https, at this port, where there is one.
    fn made(
        deadlines: Deadlines,
        https: Option<u16>,
        served: impl Fn(&Path) -> Served + Send + Sync + 'static,
    ) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("sportello-http-{}-{number}", std::process::id()));
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(folder.join("a"), "first").unwrap();
        fs::write(folder.join("b"), "second").unwrap();
        fs::write(folder.join("medium"), vec![b'm'; COPY_BELOW]).unwrap();
        fs::write(folder.join("large"), vec![b'l'; 1_000_000]).unwrap();
        let channel = sportello_net::simulation::channel(Speaker::Client, deadlines);
        let listener = Listener::bind(channel, 1).unwrap();
        let address = listener.channel().address;
        let place = folder.clone();
        let answers = Answers::default();
        answers.give(challenge::TOKEN, challenge::ANSWER).unwrap();
        let told = Samples::default();
        let kept = Arc::clone(&told);
        let make = move |_: &Workers, _| {
            Recorder::install(0, Log::unheard(), Arc::clone(&kept));
            let (served, answers) = (Rc::new(served(&place)), answers.clone());
            Folder(Rc::new(Service { served, limits: Limits::default(), answers, terms: None, https }))
        };
        let (workers, threads) = Workers::start(vec![listener], Limit::new(100, 100), make).unwrap();
        Self { folder, address, workers, threads, told }
    }

    pub(super) fn client(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends `request` and reads to the end of the connection. Statuses and bodies, without the fields between them.
    fn dialogue(&self, request: &str) -> Vec<(u16, String)> {
        let mut stream = self.client();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        split(&String::from_utf8(bytes).unwrap(), request.starts_with("HEAD"))
    }

    /// Waits until every session has ended, so that a panic in one of them is seen by its missing answer.
    pub(super) fn close(self) {
        self.told();
    }

    /// The same; and what was told of the requests: what they were, what was answered, how many bytes.
    pub(super) fn told(self) -> Vec<(String, String, u64)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(self.workers.drain());
        for thread in self.threads {
            thread.join().unwrap();
        }
        fs::remove_dir_all(self.folder).unwrap();
        let told = self.told.lock().unwrap();
        told.iter().map(|view| (view.what.clone(), view.outcome.clone(), view.bytes)).collect()
    }
}

fn site(files: Files) -> Rc<Site> {
    Rc::new(Site::of_folder(Rc::new(files)))
}

fn files(folder: &Path, settings: Settings) -> Files {
    Files::new(Arc::new(Root::open(folder).unwrap()), settings)
}

fn split(mut text: &str, head_only: bool) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    while !text.is_empty() {
        let (head, rest) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = if head_only { 0 } else { length.map_or(0, |length| length.parse().unwrap()) };
        let (body, rest) = rest.split_at(length);
        answers.push((status, body.to_owned()));
        text = rest;
    }
    answers
}

fn read_answer(stream: &mut TcpStream) -> (u16, String) {
    let (head, body) = read_bytes(stream);
    (head.split(' ').nth(1).unwrap().parse().unwrap(), String::from_utf8(body).unwrap())
}

/// One answer: its head and its body.
fn read_bytes(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
        if !bytes.ends_with(b"\r\n\r\n") {
            continue;
        }
        let head = String::from_utf8(bytes.clone()).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        return (head, body);
    }
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

mod ahead;
mod challenge;
mod elsewhere;
mod encoded;
mod hostile;
mod routed;

const LAST: &str = "GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn ok(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let house = House::open();
    let medium = "m".repeat(COPY_BELOW);
    let large = "l".repeat(1_000_000);
    // Twice: once from the disk, once from memory; small, medium and large ones between each other.
    for _ in 0..2 {
        let requests = [get("/a"), get("/medium"), get("/b"), get("/large"), get("/a"), LAST.into()].concat();
        let expect = [ok("first"), ok(&medium), ok("second"), ok(&large), ok("first"), ok("first")];
        assert!(house.dialogue(&requests) == expect);
    }
    // More than is gathered before it is written.
    let many = get("/medium").repeat(20) + &get("/b").repeat(1000) + LAST;
    let answers = house.dialogue(&many);
    assert_eq!(answers.len(), 1021);
    assert!(answers[..20].iter().all(|answer| *answer == ok(&medium)));
    assert!(answers[20..1020].iter().all(|answer| *answer == ok("second")));
    house.close();
}

#[test]
fn a_change_is_seen_by_the_next_request() {
    let house = House::open();
    let mut stream = house.client();
    for round in 0..20 {
        let content = format!("{round:05}");
        fs::write(house.folder.join("a"), &content).unwrap();
        stream.write_all(get("/a").as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream), ok(&content));
    }
    house.close();
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let house = House::open();
    let mut stream = house.client();
    stream.set_nodelay(true).unwrap();
    for byte in (get("/b") + LAST).bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(read_answer(&mut stream), ok("second"));
    assert_eq!(read_answer(&mut stream), ok("first"));
    house.close();
}

#[test]
fn the_connection_ends_when_it_should_and_not_before() {
    let house = House::open();
    // HTTP/1.0 ends by itself, unless asked not to.
    assert_eq!(house.dialogue("GET /a HTTP/1.0\r\n\r\n"), [ok("first")]);
    let kept = "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n";
    assert_eq!(house.dialogue(kept), [ok("first"), ok("second")]);
    // What follows an announced end is not answered.
    assert_eq!(house.dialogue(&format!("{LAST}{}", get("/b"))), [ok("first")]);
    // A client that shuts its side has asked all it will.
    let mut stream = house.client();
    stream.write_all((get("/a") + &get("/b")).as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(split(&text, false), [ok("first"), ok("second")]);
    house.close();
}

#[test]
fn head_has_no_body_and_its_length() {
    let house = House::open();
    for target in ["/a", "/a", "/large", "/", "/nothing"] {
        let mut stream = house.client();
        let request = format!("HEAD {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(body.is_empty() && head.contains("\r\ncontent-length: "), "{target}: {text}");
    }
    house.close();
}

#[test]
fn bodies_no_one_wants_are_read_past_or_end_the_connection() {
    let house = House::open();
    let post =
        |fields: &str, body: &str| format!("POST /a HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n{body}{LAST}");
    let statuses = |request: String| house.dialogue(&request).iter().map(|answer| answer.0).collect::<Vec<_>>();
    assert_eq!(statuses(post("Content-Length: 5", "hello")), [405, 200]);
    assert_eq!(statuses(post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")), [405, 200]);
    let most = "x".repeat(UNREAD_MOST as usize);
    assert_eq!(statuses(post(&format!("Content-Length: {UNREAD_MOST}"), &most)), [405, 200]);
    assert_eq!(statuses(post(&format!("Content-Length: {}", UNREAD_MOST + 1), &format!("{most}x"))), [405]);
    // The client waits for a word before it sends the body, and gets the answer instead.
    assert_eq!(statuses(post("Expect: 100-continue\r\nContent-Length: 5", "")), [405]);
    assert_eq!(statuses(post("Transfer-Encoding: chunked", "5\nhello\r\n0\r\n\r\n")), [400]);
    // A GET with a body is answered, and its body is not taken for a request.
    let smuggled =
        format!("GET /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{}{LAST}", get("/b").len(), get("/b"));
    assert_eq!(house.dialogue(&smuggled), [ok("second"), ok("first")]);
    house.close();
}

/// The parts of a multipart/byteranges body as its reader sees them: Content-Range and bytes.
fn parts(head: &str, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let boundary = head.lines().find_map(|line| line.strip_prefix("content-type: multipart/byteranges; boundary="));
    let delimiter = format!("\r\n--{}", boundary.unwrap());
    let mut rest = body.strip_prefix(delimiter.as_bytes()).unwrap();
    let mut found = Vec::new();
    while rest != b"--\r\n" {
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let fields = std::str::from_utf8(&rest[..end]).unwrap();
        assert!(fields.starts_with("\r\ncontent-type: "), "{fields:?}");
        let range = fields.lines().find_map(|line| line.strip_prefix("content-range: bytes ")).unwrap();
        rest = &rest[end + 4..];
        let end = rest.windows(delimiter.len()).position(|window| window == delimiter.as_bytes()).unwrap();
        found.push((range.to_owned(), rest[..end].to_vec()));
        rest = &rest[end + delimiter.len()..];
    }
    found
}

#[test]
fn several_ranges_come_in_one_answer_and_the_next_request_is_answered() {
    let house = House::open();
    let bytes: Vec<u8> = (0..1_000_000u32).map(|number| (number % 251) as u8).collect();
    fs::write(house.folder.join("large"), &bytes).unwrap();
    fs::write(house.folder.join("small"), &bytes[..100_000]).unwrap();
    let end_of = |length: usize| (format!("{}-{}/{length}", length - 20_000, length - 1), length - 20_000..length);
    for (target, length) in [("/small", 100_000), ("/large", 1_000_000), ("/small", 100_000)] {
        let mut stream = house.client();
        let ranges = "bytes=5-6, -20000, 1000-30999, 2000-3000, 40000-40000";
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nRange: {ranges}\r\n\r\n");
        stream.write_all((request + &get("/a") + LAST).as_bytes()).unwrap();
        let (head, body) = read_bytes(&mut stream);
        assert!(head.starts_with("HTTP/1.1 206 ") && head.contains("\r\netag: "), "{head}");
        assert!(!head.contains("\r\ncontent-range: "), "{head}");
        let last = end_of(length);
        let expect = [("5-6", 5..7), ("", last.1), ("1000-30999", 1000..31_000), ("40000-40000", 40_000..40_001)];
        let expect = expect.map(|(range, place)| {
            let range = if range.is_empty() { last.0.clone() } else { format!("{range}/{length}") };
            (range, bytes[place].to_vec())
        });
        assert!(parts(&head, &body) == expect, "{target}");
        assert_eq!(read_answer(&mut stream), ok("first"));
        assert_eq!(read_answer(&mut stream), ok("first"));
    }
    // HEAD knows no ranges (RFC 9110 §14.2), a failed If-Range asks for the whole, and one part is no multipart.
    let ask = |method: &str, fields: &str| {
        whole(&house, &format!("{method} /b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n"))
    };
    let (status, head, body) = ask("HEAD", "Range: bytes=0-0,5-5\r\n");
    assert!((status, &*body) == (200, "") && head.contains("\r\ncontent-length: 6"), "{head}");
    assert_eq!(ask("GET", "Range: bytes=0-0,5-5\r\nIf-Range: \"x\"\r\n").2, "second");
    let (status, head, body) = ask("GET", "Range: bytes=0-0,5-5\r\n");
    assert!((status, &*body) == (206, "second") && head.contains("\r\ncontent-range: bytes 0-5/6"), "{head}");
    let (status, head, _) = ask("GET", "Range: bytes=6-,7-\r\n");
    assert!(status == 416 && head.contains("\r\ncontent-range: bytes */6"), "{head}");
    house.close();
}

#[test]
fn refusals_are_answered_and_close() {
    let house = House::open();
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: localhost\n\n", 400),
        ("\x16\x03\x01", 400),
        ("PRI * HTTP/3.0\r\n\r\n", 505),
        ("CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ] {
        let answers = house.dialogue(&format!("{request}{LAST}"));
        assert_eq!(answers.iter().map(|answer| answer.0).collect::<Vec<_>>(), [status], "{request:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(8 * 1024));
    assert_eq!(house.dialogue(&long)[0].0, 414);
    let large = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(16 * 1024));
    assert_eq!(house.dialogue(&large)[0].0, 431);
    house.close();
}

#[test]
fn foreign_hosts_and_origins_get_nothing() {
    let house = House::open();
    for (fields, status) in [("Host: evil.example", 421), ("Host: localhost\r\nOrigin: http://evil.example", 403)] {
        // First from the disk, then with the file in memory.
        for _ in 0..2 {
            let answers = house.dialogue(&format!("GET /a HTTP/1.1\r\n{fields}\r\nConnection: close\r\n\r\n"));
            assert_eq!(answers.len(), 1);
            assert_eq!(answers[0].0, status, "{fields}");
            assert_ne!(answers[0].1, "first");
            assert_eq!(house.dialogue(LAST), [ok("first")]);
        }
    }
    house.close();
}

/// Two named sites and no default: `one` lists nothing and has pages of its own, `sub` is served below a wildcard.
fn two_sites(folder: &Path) -> Served {
    let mut error_pages = ErrorPages::default();
    error_pages.set(404, "/.pages/404.html").unwrap();
    error_pages.set(405, "/.pages/missing.html").unwrap();
    let caching = Caching::new(vec![CacheRule::parse("text/plain", "max-age=60").unwrap()]);
    let one = Settings { listing: Listings::Off, error_pages, caching, ..Settings::default() };
    let two = Settings { hidden: HiddenNames::Served, ..Settings::default() };
    let mut sites = Sites::default();
    let names = ["one.example", "localhost"].map(|name| SiteName::parse(name).unwrap());
    sites.add(&names, &site(files(folder, one))).unwrap();
    sites.add(&[SiteName::parse("*.two.example").unwrap()], &site(files(&folder.join("sub"), two))).unwrap();
    Served::Sites(sites)
}

/// The status, the head and the body of the one answer.
fn whole(house: &House, request: &str) -> (u16, String, String) {
    let mut stream = house.client();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
}

#[test]
fn sites_are_chosen_by_the_authority_of_each_request() {
    let house = House::serving(Deadlines::default(), two_sites);
    fs::write(house.folder.join("sub/a"), "other").unwrap();
    let ask = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let statuses = [
        (ask("/a", "one.example"), ok("first")),
        (ask("/a", "ONE.example.:81"), ok("first")),
        (ask("/a", "x.two.example"), ok("other")),
        (ask("/a", "x.y.Two.example:1"), ok("other")),
        // RFC 9112 §3.2.2: the target's authority wins.
        (ask("http://x.two.example/a", "one.example"), ok("other")),
        (ask("http://one.example:81/a", "x.two.example"), ok("first")),
        (ask("http://one.example/a", "nobody.example"), ok("first")),
        (ask("/a", "localhost"), ok("first")),
    ];
    // Twice on one connection: from the disk and from memory, one site after the other.
    let requests: String = statuses.iter().chain(&statuses).map(|(request, _)| request.as_str()).collect();
    let expect: Vec<_> = statuses.iter().chain(&statuses).map(|(_, answer)| answer.clone()).collect();
    assert_eq!(house.dialogue(&(requests + LAST))[..expect.len()], expect);
    for (host, status) in
        [("nobody.example", 421), ("two.example", 421), ("one.example.evil.example", 421), ("127.0.0.1", 421)]
    {
        let request = format!("GET /a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(house.dialogue(&request)[0].0, status, "{host}");
    }
    // HTTP/1.0 may name no host, and then misdirects nothing.
    assert_eq!(house.dialogue("GET /a HTTP/1.0\r\n\r\n")[0].0, 404);
    assert_eq!(house.dialogue("GET http://one.example/a HTTP/1.0\r\n\r\n"), [ok("first")]);
    for origin in ["http://one.example", "https://q.two.example", "http://localhost:3000"] {
        let request = ask("/a", &format!("one.example\r\nConnection: close\r\nOrigin: {origin}"));
        assert_eq!(house.dialogue(&request), [ok("first")], "{origin}");
    }
    let request = ask("/a", "one.example\r\nConnection: close\r\nOrigin: http://evil.example");
    assert_eq!(house.dialogue(&request)[0].0, 403);
    house.close();
}

#[test]
fn a_site_has_its_own_pages_listings_hidden_names_and_caching() {
    let house = House::serving(Deadlines::default(), two_sites);
    fs::create_dir(house.folder.join(".pages")).unwrap();
    fs::write(house.folder.join(".pages/404.html"), "<h1>lost</h1>").unwrap();
    fs::write(house.folder.join("c.txt"), "text").unwrap();
    fs::write(house.folder.join("sub/.hidden"), "seen").unwrap();
    let ask = |method: &str, target: &str, host: &str, more: &str| {
        whole(&house, &format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"))
    };
    for _ in 0..2 {
        for target in ["/nothing", "/", "/sub/", "/.pages/404.html"] {
            let (status, head, body) = ask("GET", target, "one.example", "");
            assert_eq!((status, &*body), (404, "<h1>lost</h1>"), "{target}");
            assert!(head.contains("content-type: text/html") && !head.contains("etag"), "{head}");
            assert!(head.contains("\r\ncontent-length: 13") && head.contains("\r\ncache-control: no-store"), "{head}");
            let (status, bodiless, body) = ask("HEAD", target, "one.example", "");
            assert_eq!((status, &*body), (404, ""));
            assert!(bodiless.contains("\r\ncontent-length: 13"), "{bodiless}");
        }
    }
    // A page that is not there leaves ours; a program that wants JSON gets JSON.
    let (status, head, body) = ask("POST", "/a", "one.example", "Content-Length: 0\r\n");
    assert!(status == 405 && body.contains("Method Not Allowed") && head.contains("\r\nallow: GET, HEAD, OPTIONS"));
    let (_, head, body) = ask("GET", "/nothing", "one.example", "Accept: application/json\r\n");
    assert!(head.contains("application/json") && body.contains("\"status\":404"), "{body}");
    let caching = |target, host| {
        let (_, head, _) = ask("GET", target, host, "");
        head.lines().find_map(|line| line.strip_prefix("cache-control: ")).map(str::to_owned)
    };
    assert_eq!(caching("/c.txt", "one.example").as_deref(), Some("max-age=60"));
    assert_eq!(caching("/a", "one.example").as_deref(), Some("no-cache"));
    assert_eq!(ask("GET", "/.hidden", "a.two.example", "").2, "seen");
    assert!(ask("GET", "/", "a.two.example", "").2.contains(".hidden"));
    house.close();
}

#[test]
fn a_request_that_never_ends_is_told_so() {
    let house = House::with(Deadlines { between_bytes: Duration::from_millis(100), ..Deadlines::default() });
    assert_eq!(house.dialogue("GET / HTTP/1.1\r\nHost: loc")[0].0, 408);
    house.close();
}

#[test]
fn a_file_cut_short_while_it_is_sent_ends_the_connection() {
    let house = House::open();
    let path = house.folder.join("shrinks");
    fs::write(&path, vec![b's'; 64 << 20]).unwrap();
    let mut stream = house.client();
    stream.write_all(get("/shrinks").as_bytes()).unwrap();
    let mut some = [0; 1000];
    stream.read_exact(&mut some).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(10).unwrap();
    let mut rest = Vec::new();
    // Either an end or a reset; never as much as was promised.
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < 64 << 20);
    house.close();
}

#[test]
fn an_empty_line_behind_a_request_begins_no_other() {
    let deadlines = Deadlines {
        idle: Duration::from_millis(600),
        between_bytes: Duration::from_millis(200),
        ..Deadlines::default()
    };
    let house = House::with(deadlines);
    // RFC 9112 §2.2. A request that was begun would be answered 408 when it does not go on.
    assert_eq!(house.dialogue(&(get("/a") + "\r\n")), [ok("first")]);
    assert_eq!(house.dialogue(&(get("/a") + "\r\n" + LAST)), [ok("first"), ok("first")]);
    house.close();
}
