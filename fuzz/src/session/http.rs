//! HTTP sessions: a small folder, and the desk over a store.

use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Arc;

use sportello::protocol::http::{self, Served, Service, Sites};
use sportello_net::Speaker;
use sportello_service::desk::Desk;
use sportello_service::files::{self, Files, Root};
use sportello_store::{Settings, Store};
use sportello_wire::http1::body::Decoder;
use sportello_wire::http1::client::{Asked, Head, Limits};
use sportello_wire::http1::{Limits as RequestLimits, Method, head};

use super::{Loop, Pace, Step, folder, sent, steps};

struct House {
    events: Loop,
    service: Rc<Service>,
}

thread_local! {
    // Never dropped: what they are made of does not like to end with its thread.
    static FOLDER: ManuallyDrop<House> = ManuallyDrop::new(House::with_folder());
    static DESK: ManuallyDrop<House> = ManuallyDrop::new(House::with_desk());
}

impl House {
    fn with_folder() -> Self {
        let folder = folder("www");
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        std::fs::write(folder.join("a"), "first").unwrap();
        std::fs::write(folder.join("sub").join("b.html"), "<p>second").unwrap();
        std::fs::write(folder.join("medium"), vec![b'm'; 20_000]).unwrap();
        std::fs::write(folder.join("large"), vec![b'l'; 300_000]).unwrap();
        // A file that has just changed is waited for, and simulated time does not pass for that.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let files = Files::new(Arc::new(Root::open(&folder).unwrap()), files::Settings::default());
        Self { events: Loop::new(Speaker::Client), service: service(Served::Sites(Sites::only(files))) }
    }

    fn with_desk() -> Self {
        let store = Store::open(Settings::new(folder("desk"))).unwrap();
        let desk = Desk::new(store, Arc::new(|| Box::pin(async { Default::default() })), Default::default());
        Self { events: Loop::new(Speaker::Client), service: service(Served::Desk(desk)) }
    }

    /// The answers to the requests, without that to what is none.
    fn play(&self, data: &[u8], pace: Pace) -> Vec<(u16, Vec<u8>)> {
        let service = Rc::clone(&self.service);
        let heard = self.events.play(data, pace, |connection| http::serve(Box::new(connection), service));
        let sent = sent(data);
        // What answers these words are frames, no HTTP/1.1 answers (RFC 9113 §3.4).
        if sent.starts_with(b"PRI * HTTP/2.0\r\n") { Vec::new() } else { answers(&heard, &asked(&sent)) }
    }
}

fn service(served: Served) -> Rc<Service> {
    Rc::new(Service {
        served: Rc::new(served),
        limits: Default::default(),
        answers: Default::default(),
        terms: None,
        https: None,
    })
}

/// A folder is served.
pub(crate) fn folder_session(data: &[u8]) {
    FOLDER.with(|house| {
        let answers = house.play(data, Pace::AtOnce);
        // Where time passes or the client leaves, it matters how much was read by then.
        if steps(data).iter().all(|step| matches!(step, Step::Send(_))) {
            assert_eq!(house.play(data, Pace::ByteByByte), answers);
        }
    });
}

/// The desk is served.
pub(crate) fn desk(data: &[u8]) {
    DESK.with(|house| drop(house.play(data, Pace::AtOnce)));
}

/// What the requests in these bytes ask for, as the server's own parser tells it; more than there are is none's.
fn asked(mut bytes: &[u8]) -> Vec<Asked> {
    let mut asked = Vec::new();
    while let Ok(Some(head)) = head::parse(bytes, &RequestLimits::default()) {
        asked.push(if head.method == Method::Head { Asked::ForHead } else { Asked::ForBody });
        bytes = &bytes[head.length..];
        let Ok(mut decoder) = Decoder::new(head.framing, u64::MAX) else { break };
        while !decoder.is_done() && !bytes.is_empty() {
            let Ok(step) = decoder.decode(bytes) else { return asked };
            bytes = &bytes[step.consumed..];
        }
    }
    asked
}

/// Reads the answers: each whole but perhaps the last, no more than were asked for and a refusal. Statuses and bodies.
fn answers(mut heard: &[u8], asked: &[Asked]) -> Vec<(u16, Vec<u8>)> {
    let mut answers = Vec::new();
    let mut requests = asked.iter();
    let mut refused = false;
    while !heard.is_empty() {
        let Some((head, used)) = Head::parse(heard, &Limits::default()).unwrap() else { break };
        heard = &heard[used..];
        if head.status == 100 {
            continue;
        }
        assert!(!refused, "there are more answers than requests");
        let for_head = match requests.next() {
            Some(asked) => matches!(asked, Asked::ForHead),
            None => {
                refused = true;
                assert!(head.status >= 400, "{} was not asked for", head.status);
                false
            }
        };
        assert!(head.field("date").is_some() || head.status >= 400, "{head:?}");
        let mut body = head.body(if for_head { Asked::ForHead } else { Asked::ForBody }).unwrap();
        let mut whole = Vec::new();
        while !heard.is_empty() && !body.is_done() {
            let step = body.step(heard).unwrap();
            whole.extend_from_slice(&heard[step.data.clone()]);
            heard = &heard[step.used..];
        }
        if head.field("content-type").is_some_and(|kind| kind.starts_with("multipart/byteranges")) {
            // Its boundary is never the same.
            whole.retain(|byte| !byte.is_ascii_hexdigit());
        }
        if !refused {
            answers.push((head.status, whole));
        }
    }
    answers
}
