//! How many messages per second the store accepts, each on disk before its answer.
//!
//! ```sh
//! cargo run --release -p sportello-store --example accept_rate -- [FOLDER [SECONDS [BYTES]]]
//! ```
//!
//! FOLDER must be on a real disk (not tmpfs, where a sync costs nothing); a folder of its own is made in it and removed. For each number of
//! waiting tasks it prints messages per second, messages per commit, and the time from the first byte to the answer at the 50th and 99th percentile.
//! The tasks share one single-threaded runtime, as the sessions of one worker do. Rows alternate over three rounds, because the disk's speed drifts.

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sportello_store::{Accept, Envelope, Origin, Settings, Store, Summary};

const ROUNDS: usize = 3;
const WAITING: [usize; 4] = [1, 16, 64, 256];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let bytes: usize = arguments.next().map_or(Ok(4096), |text| text.parse())?;
    let folder = parent.join(format!("sportello-accept-rate-{}", std::process::id()));
    let store = Store::open(Settings::new(&folder))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("waiting   accepted/s   per commit   p50 µs   p99 µs   ({bytes} bytes each, {seconds} s)");
    for _ in 0..ROUNDS {
        for waiting in WAITING {
            let before = store.figures();
            let started = Instant::now();
            let mut times = runtime.block_on(measure(&store, waiting, bytes, Duration::from_secs(seconds)))?;
            let took = started.elapsed();
            let after = store.figures();
            times.sort_unstable();
            let accepted = after.accepted - before.accepted;
            let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0, Duration::as_micros);
            println!(
                "{waiting:>7}   {:>10.0}   {:>10.1}   {:>6}   {:>6}",
                accepted as f64 / took.as_secs_f64(),
                accepted as f64 / (after.commits - before.commits).max(1) as f64,
                at(50),
                at(99)
            );
        }
    }
    runtime.block_on(store.close());
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// Runs `waiting` tasks for `time`, each with one message under way; how long each message took.
async fn measure(
    store: &Store,
    waiting: usize,
    bytes: usize,
    time: Duration,
) -> Result<Vec<Duration>, sportello_store::Error> {
    let message: Rc<[u8]> = vec![b'x'; bytes].into();
    let end = Instant::now() + time;
    let tasks = tokio::task::LocalSet::new();
    let mut running = Vec::with_capacity(waiting);
    for _ in 0..waiting {
        let (store, message) = (store.clone(), Rc::clone(&message));
        running.push(tasks.spawn_local(async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                let started = Instant::now();
                accept(&store, &message).await?;
                times.push(started.elapsed());
            }
            Ok(times)
        }));
    }
    tasks.await;
    let mut times = Vec::new();
    for task in running {
        // A task that panicked has printed why.
        if let Ok(result) = task.await {
            times.append(&mut result?);
        }
    }
    Ok(times)
}

async fn accept(store: &Store, message: &[u8]) -> Result<(), sportello_store::Error> {
    let mut body = store.begin(Some(message.len() as u64))?;
    body.write(message).await?;
    let envelope =
        Envelope { sender: "sender@example.org".to_owned(), recipients: vec!["anna@example.org".to_owned()] };
    let origin = Origin {
        peer: ([127, 0, 0, 1], 40_000).into(),
        helo: "client.example.org".to_owned(),
        channel: "mail".to_owned(),
        connection: 1,
    };
    let summary = Summary {
        from: "Sender <sender@example.org>".to_owned(),
        to: "Anna <anna@example.org>".to_owned(),
        subject: "A message of the usual kind".to_owned(),
        date_unix: Some(1_790_000_000),
        message_id: "<1234567890.1@example.org>".to_owned(),
    };
    store.accept(Accept { envelope, origin, summary, body }).await.map(drop)
}
