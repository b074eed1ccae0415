//! How many messages per second the store accepts, each on disk before its answer.
//!
//! ```sh
//! cargo run --release -p sportello-store --example accept_rate -- [FOLDER [SECONDS [BYTES [text]]]]
//! ```
//!
//! FOLDER must be on a real disk (not tmpfs, where a sync costs nothing); a folder of its own is made in it and
//! removed. For each number of waiting tasks it prints messages per second, messages per commit, and the time from the
//! first byte to the answer at the 50th and 99th percentile. Beside each row stands the floor of that moment: how often
//! per second a bare loop appends 24 KiB (the pages of one commit) to a file that has its blocks, and syncs it. With
//! one waiting task the store can at best equal it; what other programs do to the disk moves both alike. The processor
//! time per message (user and system, all threads, from /proc/self/stat) is the steadiest of these figures on a busy
//! machine. With `text` each message is of words, which the indexer reads meanwhile; without, it finds nothing in them:
//! the difference is what searching costs. The last column is how many messages it indexed per second. The tasks share one single-threaded runtime, as the sessions of one worker do. Rows alternate over three
//! rounds, because the disk's speed drifts.

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use sportello_store::{Accept, Envelope, Extract, Extractor, Origin, Place, Settings, Store, Summary};

const ROUNDS: usize = 3;
const WAITING: [usize; 4] = [1, 16, 64, 256];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let bytes: usize = arguments.next().map_or(Ok(4096), |text| text.parse())?;
    let folder = parent.join(format!("sportello-accept-rate-{}", std::process::id()));
    let extractor = match arguments.next().as_deref() {
        Some("text") => Extractor::new(|message| Extract {
            text: String::from_utf8_lossy(message).into_owned(),
            ..Extract::default()
        }),
        _ => Extractor::default(),
    };
    let store = Store::open(Settings { extractor, ..Settings::new(&folder) })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!(
        "waiting   accepted/s   per commit   p50 µs   p99 µs   cpu µs each   bare syncs/s   indexed/s   ({bytes} bytes each, {seconds} s)"
    );
    for _ in 0..ROUNDS {
        for waiting in WAITING {
            let floor = bare_syncs(&parent, Duration::from_millis(500))?;
            let before = store.figures();
            let (started, processor) = (Instant::now(), processor_time()?);
            let mut times = runtime.block_on(measure(&store, waiting, bytes, Duration::from_secs(seconds)))?;
            let took = started.elapsed();
            let processor = processor_time()? - processor;
            let after = store.figures();
            times.sort_unstable();
            let accepted = after.accepted - before.accepted;
            let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0, Duration::as_micros);
            println!(
                "{waiting:>7}   {:>10.0}   {:>10.1}   {:>6}   {:>6}   {:>11.1}   {floor:>12.0}   {:>9.0}",
                accepted as f64 / took.as_secs_f64(),
                accepted as f64 / (after.commits - before.commits).max(1) as f64,
                at(50),
                at(99),
                processor.as_secs_f64() * 1e6 / accepted.max(1) as f64,
                (after.indexed - before.indexed) as f64 / took.as_secs_f64()
            );
        }
    }
    runtime.block_on(store.close());
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// What all threads have used so far, in steps of 10 ms (fields 14 and 15 of `man 5 proc_pid_stat`, 100 per second).
fn processor_time() -> std::io::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is in parentheses and may hold spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// Writes and syncs, over and over in 4 MiB that were written once before; syncs per second.
fn bare_syncs(folder: &Path, time: Duration) -> std::io::Result<f64> {
    static PIECE: [u8; 24 << 10] = [b'x'; 24 << 10];
    const PIECES: u64 = 170;
    let name = folder.join(format!("sportello-bare-syncs-{}", std::process::id()));
    let file = std::fs::File::create(&name)?;
    for piece in 0..PIECES {
        file.write_all_at(&PIECE, piece * PIECE.len() as u64)?;
    }
    file.sync_all()?;
    let started = Instant::now();
    let mut syncs = 0;
    while started.elapsed() < time {
        file.write_all_at(&PIECE, syncs % PIECES * PIECE.len() as u64)?;
        file.sync_data()?;
        syncs += 1;
    }
    let rate = syncs as f64 / started.elapsed().as_secs_f64();
    std::fs::remove_file(name)?;
    Ok(rate)
}

/// Runs `waiting` tasks for `time`, each with one message under way; how long each message took.
async fn measure(
    store: &Store,
    waiting: usize,
    bytes: usize,
    time: Duration,
) -> Result<Vec<Duration>, sportello_store::Error> {
    // Words of six letters, of which there are a thousand.
    let words = (0u32..).flat_map(|number| format!("{:06} ", number.wrapping_mul(2_654_435_761) >> 22).into_bytes());
    let message: Rc<[u8]> = words.take(bytes).collect();
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
    store
        .accept(Accept { envelope, origin, summary, body, places: vec![Place::CAUGHT], queue: Vec::new(), trace: None })
        .await
        .map(drop)
}
