//! Command sessions with the built-ins, and no program.

use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Arc;

use sportello::protocol::command::{self, Limits, Parts, Records, Service};
use sportello_net::limit::Limit;
use sportello_net::{Connection, Serve, Speaker, Workers};
use sportello_service::certificates::Keyring;
use sportello_service::run::{Runner, spawner};
use sportello_store::{Settings, Store};
use sportello_wire::resp::client::{Answers, Limits as AnswerLimits};

use super::{Loop, Pace, folder};

struct House {
    events: Loop,
    service: Rc<Service>,
}

thread_local! {
    // Never dropped: what it is made of does not like to end with its thread.
    static HOUSE: ManuallyDrop<House> = ManuallyDrop::new(House::new());
}

/// There is no worker that it could serve.
struct Nobody;

impl Serve for Nobody {
    fn serve(&self, _connection: Connection) -> impl Future<Output = ()> + 'static {
        std::future::ready(())
    }
}

impl House {
    fn new() -> Self {
        let store = Store::open(Settings::new(folder("command"))).unwrap();
        let runner = Runner::start(spawner::start().unwrap(), Vec::new()).unwrap();
        let (workers, _) = Workers::start(Vec::new(), Limit::new(4, 4), |_, _| Nobody).unwrap();
        let events = Loop::new(Speaker::ClientWhenItWants);
        let parts = Parts {
            keyring: Keyring::new(store.clone(), "fuzz"),
            store,
            runner,
            observer: Arc::new(|| Box::pin(async { Default::default() })),
            workers,
            limits: Limits { request: 4096, argument: 1024, ..Limits::default() },
            channels: Rc::new([0]),
            records: Records::default(),
            slow_log: Default::default(),
            dkim: None,
            mail: Arc::default(),
            reloads: None,
            accounts: None,
        };
        let service = events.block_on(async { Rc::new(Service::new(parts)) });
        Self { events, service }
    }
}

/// A command channel: whatever is asked, what is said are whole RESP values.
pub(crate) fn builtins(data: &[u8]) {
    HOUSE.with(|house| {
        let service = Rc::clone(&house.service);
        let heard = house.events.play(data, Pace::AtOnce, |connection| command::serve(connection, service));
        let mut answers = Answers::new(AnswerLimits::default());
        let mut rest = heard.as_slice();
        while let (used, Some(_)) =
            answers.take(rest).unwrap_or_else(|error| panic!("{error}: {}", heard.escape_ascii()))
        {
            rest = &rest[used..];
        }
        assert!(rest.is_empty(), "an answer is not whole: {}", heard.escape_ascii());
    });
}
