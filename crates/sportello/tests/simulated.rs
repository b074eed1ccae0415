//! Whole sessions in simulated time: what would take minutes, and what must happen at a moment.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sportello::protocol::{http, smtp};
use sportello_net::simulation::{self, Client};
use sportello_net::{Deadlines, Speaker};
use sportello_service::certificates::Answers;
use sportello_service::desk::Desk;
use sportello_service::files::{self, Files, Root};
use sportello_store::{Settings, Store};
use sportello_wire::http1::Limits;

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = sportello_net::deadline::TICK;

/// A folder of its own for each test; removed when the test went well.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sportello-simulated-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Runs `act` with a store and an SMTP service.
fn mail(act: impl AsyncFnOnce(&simulation::Simulation, &Store, Rc<smtp::Service>)) {
    let folder = Folder::new();
    let store = Store::open(Settings::new(&folder.0)).unwrap();
    simulation::run(simulation::channel(Speaker::Server, Deadlines::default()), async |simulation| {
        let policy = Arc::new(smtp::Policy::new(&smtp::Settings::default()));
        let service = smtp::Service::new(store.clone(), "mx.example.org", policy, Default::default());
        act(simulation, &store, Rc::new(service)).await;
    });
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.close());
}

async fn said(client: &mut Client, text: &str) -> String {
    client.send(text).await;
    String::from_utf8(client.heard()).unwrap()
}

#[test]
fn a_transaction_holds_its_disk_for_ten_minutes_and_not_longer() {
    mail(async |simulation, _, service| {
        let mut client = simulation.connect(|connection| smtp::serve(connection, service));
        said(&mut client, "HELO c\r\n").await;
        assert_eq!(said(&mut client, "MAIL FROM:<a@b> SIZE=5000000\r\n").await, "250 2.1.0 Ok\r\n");
        for _ in 0..10 {
            client.pass(SECOND * 60).await;
            assert_eq!(said(&mut client, "NOOP\r\n").await, "250 2.0.0 Ok\r\n");
        }
        client.pass(TICK).await;
        assert_eq!(
            said(&mut client, "NOOP\r\n").await,
            "250 2.0.0 Ok\r\n421 4.4.2 Error: timeout, closing the channel\r\n"
        );
        client.leave().await;
    });
}

#[test]
fn a_text_that_has_begun_is_not_under_that_ceiling() {
    mail(async |simulation, store, service| {
        let mut client = simulation.connect(|connection| smtp::serve(connection, service));
        said(&mut client, "HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").await;
        for _ in 0..35 {
            client.pass(SECOND * 20).await;
            assert!(client.send("x".repeat(78).as_bytes()).await && client.send("\r\n".repeat(3000)).await);
        }
        let reply = said(&mut client, ".\r\n").await;
        assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
        assert_eq!(store.figures().messages, 1);
        client.leave().await;
    });
}

/// Runs `act` with a client of a folder in which `a` holds `first`.
fn web(deadlines: Deadlines, act: impl AsyncFnOnce(&simulation::Simulation, &mut Client)) {
    web_within(http::Limits::default(), deadlines, act);
}

fn web_within(limits: http::Limits, deadlines: Deadlines, act: impl AsyncFnOnce(&simulation::Simulation, &mut Client)) {
    let folder = Folder::new();
    let file = folder.0.join("a");
    std::fs::write(&file, "first").unwrap();
    // A file that has just changed is waited for by real time, which a simulation does not let pass.
    let written = std::fs::metadata(&file).and_then(|metadata| metadata.modified()).unwrap();
    while written.elapsed().unwrap_or_default() < Duration::from_millis(30) {
        std::thread::yield_now();
    }
    let root = Arc::new(Root::open(&folder.0).unwrap());
    simulation::run(simulation::channel(Speaker::Client, deadlines), async |simulation| {
        let files = Files::new(root, files::Settings::default());
        let served = Rc::new(http::Served::Sites(http::Sites::only(files)));
        let service = Rc::new(http::Service { served, limits, answers: Answers::default(), terms: None, https: None });
        let mut client = simulation.connect(|connection| http::serve(Box::new(connection), service));
        act(simulation, &mut client).await;
        client.leave().await;
    });
}

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn the_clock_of_a_pipelined_request_begins_when_the_one_before_is_answered() {
    let deadlines = Deadlines { request: SECOND * 10, between_bytes: SECOND * 9, ..Deadlines::default() };
    web(deadlines, async |_, client| {
        let (begin, end) = REQUEST.split_at(20);
        client.send(begin).await;
        // Three times, so that the answers come from the disk and from memory.
        for _ in 0..3 {
            client.pass(SECOND * 8).await;
            // The end of one and the beginning of the next come together.
            let answer = said(client, &format!("{end}{begin}")).await;
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nfirst"), "{answer}");
        }
        client.pass(SECOND * 5).await;
        client.send("t:").await;
        client.pass(SECOND * 5 - TICK).await;
        assert!(!client.is_over());
        client.pass(TICK).await;
        assert!(client.is_over() && client.heard().starts_with(b"HTTP/1.1 408 "));
    });
}

#[test]
fn a_channels_own_bounds_of_a_head_hold_also_for_what_was_read_lately() {
    let head = Limits { request_line: 64, head: 1_024, fields: 10 };
    web_within(http::Limits { head, ..Default::default() }, Deadlines::default(), async |_, client| {
        let begin = "GET /a HTTP/1.1\r\nHost: localhost\r\n";
        let line = |length: usize| format!("GET /a?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "q".repeat(length - 16));
        let fields = |count: usize| format!("{begin}{}\r\n", "X: y\r\n".repeat(count - 1));
        let whole = |length: usize| format!("{begin}X: {}\r\n\r\n", "y".repeat(length - begin.len() - 7));
        // Twice, so that one comes from memory.
        for request in [line(64), fields(10), whole(1_024), line(64), fields(10), whole(1_024)] {
            let answer = said(client, &request).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
    });
    for (beyond, status) in [(0, "414"), (1, "431"), (2, "431")] {
        web_within(http::Limits { head, ..Default::default() }, Deadlines::default(), async |_, client| {
            let begin = "GET /a HTTP/1.1\r\nHost: localhost\r\n";
            let request = match beyond {
                0 => format!("GET /a?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "q".repeat(65 - 16)),
                1 => format!("{begin}{}\r\n", "X: y\r\n".repeat(10)),
                _ => format!("{begin}X: {}\r\n\r\n", "y".repeat(1_025 - begin.len() - 7)),
            };
            let answer = said(client, &request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && client.is_over(), "{answer}");
        });
    }
}

#[test]
fn a_line_without_an_end_is_refused_at_its_bound_wherever_it_is_cut() {
    let head = Limits { request_line: 1_024, head: 1_024, fields: 10 };
    for before in ["", "\r\n"] {
        let begin = format!("{before}GET /");
        for cut in [1_024, 1_025, 1_026, 1_027, 1_028] {
            web_within(http::Limits { head, ..Default::default() }, Deadlines::default(), async |_, client| {
                client.send(format!("{begin}{}", "x".repeat(cut - begin.len()))).await;
                let answer = said(client, &"x".repeat(16)).await;
                assert!(answer.starts_with("HTTP/1.1 414 ") && client.is_over(), "{before:?} {cut}: {answer}");
            });
        }
    }
}

#[test]
fn a_body_for_the_desk_at_its_channels_bound_and_one_byte_beyond() {
    let folder = Folder::new();
    let store = Store::open(Settings::new(&folder.0)).unwrap();
    simulation::run(simulation::channel(Speaker::Client, Deadlines::default()), async |simulation| {
        let observer = Arc::new(|| Box::pin(async { Default::default() }) as _);
        let desk = Rc::new(http::Served::Desk(Desk::new(store.clone(), observer, Default::default())));
        let limits = http::Limits { body: 2_000, ..Default::default() };
        let service =
            Rc::new(http::Service { served: desk, limits, answers: Answers::default(), terms: None, https: None });
        for (length, status) in [(2_000, "400"), (2_001, "413")] {
            let service = Rc::clone(&service);
            let mut client = simulation.connect(|connection| http::serve(Box::new(connection), service));
            let head = format!("PUT /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
            let answer = said(&mut client, &format!("{head}{}", "x".repeat(length))).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{length}: {answer}");
            client.leave().await;
        }
    });
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.close());
}

/// Asks, from the disk or from memory, and idles after it for `time`.
async fn ask_and_idle(client: &mut Client, time: Duration) {
    let answer = said(client, REQUEST).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nfirst"), "{answer}");
    client.pass(time).await;
}

#[test]
fn a_connection_that_has_idled_is_served_again_and_ends_when_it_idles_too_long() {
    web(Deadlines { idle: SECOND * 10, ..Deadlines::default() }, async |simulation, client| {
        for request in 1..=5 {
            ask_and_idle(client, SECOND * 10 - TICK).await;
            let [report] = &simulation.report()[..] else { panic!("one connection") };
            assert_eq!((report.requests, report.in_request, &*report.doing), (request, false, "idle"));
        }
        assert!(!client.is_over());
        client.pass(TICK).await;
        assert!(client.is_over() && client.has_ended() && client.heard().is_empty());
        assert!(simulation.report().is_empty());
    });
}

#[test]
fn the_deadlines_of_a_request_that_comes_after_idling_are_its_own() {
    let deadlines = Deadlines { idle: SECOND * 60, between_bytes: SECOND * 5, ..Deadlines::default() };
    web(deadlines, async |simulation, client| {
        ask_and_idle(client, SECOND * 50).await;
        client.send("GET /a HT").await;
        client.pass(SECOND * 5 - TICK).await;
        assert!(!client.is_over() && simulation.report()[0].in_request);
        client.pass(TICK).await;
        assert!(client.is_over() && client.heard().starts_with(b"HTTP/1.1 408 "));
    });
}

#[test]
fn a_connection_that_idles_is_killed_and_drained_at_once() {
    type Act = fn(&simulation::Simulation, &Client);
    let acts: [Act; 2] =
        [|simulation, client| assert!(simulation.kill(client.id())), |simulation, _| simulation.drain()];
    for act in acts {
        for idled in [Duration::ZERO, SECOND * 30] {
            web(Deadlines::default(), async |simulation, client| {
                ask_and_idle(client, idled).await;
                act(simulation, client);
                client.settle().await;
                assert!(client.is_over() && client.heard().is_empty());
            });
        }
    }
}
