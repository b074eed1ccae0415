//! Slow and silent clients of the command channel, in simulated time and with the waits that `serve` has.
//!
//! Its own small harness, for this binary executed again is the spawner. `cargo test -p sportello --test slow_commands WORD` runs the
//! cases whose name holds WORD.

// The lints make an exception for `#[test]` functions, which these are not.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sportello::config::{self, Role};
use sportello::protocol::command::{self, Limits, Parts, Records, Service};
use sportello_net::limit::Limit;
use sportello_net::simulation::{self, Client, Simulation};
use sportello_net::{Channel, Connection, Serve, Speaker, Workers};
use sportello_service::certificates::Keyring;
use sportello_service::run::{Runner, spawner};
use sportello_store::{Settings, Store};
use tokio::runtime::Builder;

/// What a case is done with.
struct House<'s> {
    simulation: &'s Simulation,
    service: Rc<Service>,
}

/// What all cases share: their services hold a store and a spawner, which are started once.
struct Ground {
    folder: PathBuf,
    store: Store,
    runner: Runner,
    workers: Workers,
}

/// There is no worker that it could serve.
struct Nobody;

impl Serve for Nobody {
    fn serve(&self, _connection: Connection) -> impl Future<Output = ()> + 'static {
        std::future::ready(())
    }
}

fn main() -> ExitCode {
    if spawner::asked_for() {
        return spawner::main();
    }
    // A case that fails ends the process, and so the spawner.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::exit(1);
    }));
    let word = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let ground = Ground::new();
    for (name, case) in CASES {
        if word.as_ref().is_none_or(|word| name.contains(word.as_str())) {
            ground.play(*case);
            println!("test {name} ... ok");
        }
    }
    ground.leave();
    ExitCode::SUCCESS
}

impl Ground {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("sportello-slow-commands-{}", std::process::id()));
        // The spawner comes before any thread.
        let spawner = spawner::start().unwrap();
        let store = Store::open(Settings::new(&folder)).unwrap();
        let runner = Runner::start(spawner, Vec::new()).unwrap();
        let (workers, _) = Workers::start(Vec::new(), Limit::new(4, 4), |_, _| Nobody).unwrap();
        Self { folder, store, runner, workers }
    }

    fn play(&self, case: fn(House<'_>) -> Playing<'_>) {
        simulation::run(channel(), async |simulation| {
            let service = Service::new(Parts {
                store: self.store.clone(),
                keyring: Keyring::new(self.store.clone(), "test"),
                runner: self.runner.clone(),
                observer: Arc::new(|| Box::pin(async { Default::default() })),
                workers: self.workers.clone(),
                limits: Limits::default(),
                channels: Rc::new([0]),
                records: Records::default(),
                slow_log: Default::default(),
                dkim: None,
                mail: Arc::default(),
                reloads: None,
                accounts: None,
            });
            case(House { simulation, service: Rc::new(service) }).await;
        });
    }

    fn leave(self) {
        self.runner.close();
        Builder::new_current_thread().build().unwrap().block_on(self.store.close());
        std::fs::remove_dir_all(self.folder).unwrap();
    }
}

/// The command channel's waits, as `serve` has them.
fn channel() -> Channel {
    simulation::channel(Speaker::ClientWhenItWants, config::deadlines(&Role::Command(Limits::default())))
}

impl House<'_> {
    fn client(&self) -> Client {
        self.simulation.connect(|connection| command::serve(connection, Rc::clone(&self.service)))
    }
}

type Playing<'h> = std::pin::Pin<Box<dyn Future<Output = ()> + 'h>>;

/// A case and its name.
type Case = (&'static str, fn(House<'_>) -> Playing<'_>);

const CASES: &[Case] = &[
    ("a_client_that_idles_is_left_after_an_hour_without_a_word", |house| Box::pin(idle(house))),
    ("a_request_that_stops_in_its_middle_is_told_so_after_20_seconds_or_30_if_it_was_quick", |house| {
        Box::pin(stops(house))
    }),
    ("a_request_that_creeps_is_ended_once_it_misses_the_least_rate", |house| Box::pin(creeps(house))),
    ("a_request_that_keeps_the_rate_has_two_minutes_in_all", |house| Box::pin(too_long(house))),
    ("a_client_that_reads_nothing_is_not_read_either_and_gone_within_half_a_minute", |house| Box::pin(deaf(house))),
    ("pipelined_requests_have_a_clock_each", |house| Box::pin(pipelined(house))),
];

const TOO_SLOW: &str = "-ERR the rest of the request did not come in time\r\n";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn said(client: &mut Client) -> String {
    String::from_utf8(client.heard()).unwrap()
}

async fn idle(house: House<'_>) {
    let mut fresh = house.client();
    let mut client = house.client();
    client.send("PING\r\n").await;
    assert_eq!(said(&mut client), "+PONG\r\n");
    client.pass(seconds(3_599)).await;
    fresh.settle().await;
    assert!(!client.is_over() && !fresh.is_over());
    client.pass(seconds(2)).await;
    fresh.settle().await;
    // Its next request would take a word for its answer.
    assert_eq!((said(&mut client), said(&mut fresh)), (String::new(), String::new()));
    assert!(client.is_over() && fresh.is_over());
}

async fn stops(house: House<'_>) {
    for part in ["*2\r\n$4\r\nEC", "*1\r\n$100\r\nabc", "PIN", "*1", "PING\r\nPIN"] {
        let mut client = house.client();
        client.send(part).await;
        let before = said(&mut client);
        client.pass(seconds(19)).await;
        assert_eq!(said(&mut client), "", "{part}");
        client.pass(seconds(2)).await;
        assert_eq!(said(&mut client), TOO_SLOW, "{part}, behind {before}");
        assert!(client.is_over(), "{part}");
    }
    let mut client = house.client();
    client.send("*1\r\n$100000\r\n").await;
    client.send("x".repeat(50_000)).await;
    client.pass(seconds(29)).await;
    assert_eq!(said(&mut client), "");
    client.pass(seconds(2)).await;
    assert_eq!(said(&mut client), TOO_SLOW);
}

async fn creeps(house: House<'_>) {
    for first in ["*1\r\n$4000\r\n", "ECHO "] {
        let mut client = house.client();
        client.send(first).await;
        let mut passed = 0;
        while !client.is_over() {
            client.send("x").await;
            client.pass(seconds(1)).await;
            passed += 1;
            assert!(passed < 60, "{first}");
        }
        assert!(passed >= 20, "{first}: {passed} s");
        assert_eq!(said(&mut client), TOO_SLOW, "{first}");
    }
}

async fn too_long(house: House<'_>) {
    let mut client = house.client();
    client.send("*2\r\n$4\r\nECHO\r\n$500000\r\n").await;
    for _ in 0..119 {
        client.send("x".repeat(1_000)).await;
        client.pass(seconds(1)).await;
    }
    assert!(!client.is_over());
    client.send("x").await;
    client.pass(seconds(2)).await;
    assert_eq!(said(&mut client), TOO_SLOW);
    assert!(client.is_over());
}

async fn deaf(house: House<'_>) {
    let mut client = house.client();
    client.shut_ear();
    let echo = format!("*2\r\n$4\r\nECHO\r\n$100000\r\n{}\r\n", "d".repeat(100_000));
    assert!(!client.send(echo.repeat(100)).await, "what comes is not read while the answers to it are not");
    assert!(!client.has_ended());
    client.pass(seconds(19)).await;
    assert!(!client.has_ended());
    // After 20 seconds an answer must keep the least rate, and after 30 without progress it is over in any case.
    client.pass(seconds(12)).await;
    assert!(client.has_ended());
    client.listen(usize::MAX);
    assert!(!said(&mut client).contains("-ERR"), "there is no room for a last word");
}

async fn pipelined(house: House<'_>) {
    let mut client = house.client();
    client.send("PI").await;
    for _ in 0..20 {
        client.pass(seconds(15)).await;
        client.send("NG\r\nPI").await;
        assert_eq!(said(&mut client), "+PONG\r\n");
    }
    client.pass(seconds(22)).await;
    assert_eq!(said(&mut client), TOO_SLOW);
}
