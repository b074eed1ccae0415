//! SMTP sessions with a real store.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Arc;

use sportello::protocol::smtp::{self, Policy, Service};
use sportello_net::Speaker;
use sportello_store::{Settings, Store};
use sportello_wire::smtp::server::Limits;

use super::{Loop, Pace, Step, folder, steps};

struct House {
    events: Loop,
    store: Store,
    service: Rc<Service>,
    served: Cell<u32>,
}

/// Inputs before the store begins anew.
const OF_ONE_STORE: u32 = 3_000;

thread_local! {
    // Never dropped with its thread, which what it is made of does not like.
    static HOUSE: RefCell<Option<ManuallyDrop<House>>> = const { RefCell::new(None) };
}

impl House {
    fn new() -> Self {
        let store = Store::open(Settings::new(folder("mail"))).unwrap();
        let limits = Limits { message: 1_500, recipients: 5, errors: 6, idle_commands: 20, ..Limits::default() };
        let policy = Arc::new(Policy::new(&smtp::Settings { limits, ..smtp::Settings::default() }));
        let service = Rc::new(Service::new(store.clone(), "mx.example.org", policy, Default::default()));
        Self { events: Loop::new(Speaker::Server), store, service, served: Cell::new(0) }
    }

    fn play(&self, data: &[u8], pace: Pace) -> String {
        let service = Rc::clone(&self.service);
        let before = self.store.figures();
        let heard = self.events.play(data, pace, |connection| smtp::serve(connection, service));
        let heard = String::from_utf8(heard).unwrap();
        let after = self.store.figures();
        let queued = heard.split("\r\n").filter(|line| line.starts_with("250 2.0.0 Ok: queued as ")).count() as u64;
        assert_eq!(after.messages - before.messages, queued, "{heard}");
        assert_eq!(after.memory_bytes, 0, "a body is held though its session has ended");
        well_formed(&heard)
    }
}

/// Every reply is whole; without the queue ids, which are never the same.
fn well_formed(heard: &str) -> String {
    assert!(heard.starts_with("220 ") && heard.ends_with("\r\n"), "{heard:?}");
    let mut codes = String::new();
    for line in heard.split_terminator("\r\n") {
        assert!(line.len() <= 510 && !line.contains(['\r', '\n']), "{line:?}");
        let (code, rest) = line.split_at(3);
        assert!(
            code.parse::<u16>().is_ok_and(|code| (200..600).contains(&code)) && rest.starts_with([' ', '-']),
            "{line:?}"
        );
        codes.push_str(code);
        codes.push_str(&rest[..1]);
    }
    assert!(codes.ends_with(' '), "a reply has no end: {heard}");
    codes
}

/// A mail server: what is answered with 250 is in the store, and nothing else is.
pub(crate) fn store(data: &[u8]) {
    HOUSE.with_borrow_mut(|kept| {
        let house = match kept.take() {
            Some(house) if house.served.get() < OF_ONE_STORE => house,
            Some(old) => {
                old.events.block_on(old.store.close());
                drop(ManuallyDrop::into_inner(old));
                ManuallyDrop::new(House::new())
            }
            None => ManuallyDrop::new(House::new()),
        };
        house.served.set(house.served.get() + 1);
        let replies = house.play(data, Pace::AtOnce);
        if steps(data).iter().all(|step| matches!(step, Step::Send(_))) {
            assert_eq!(house.play(data, Pace::ByteByByte), replies);
        }
        *kept = Some(house);
    });
}
