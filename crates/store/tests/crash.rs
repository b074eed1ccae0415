//! Kill -9 in the middle of the work: every message that was accepted is there after it, whole and once.
//!
//! This binary starts itself again as the writer. The writer prints `id length seed` after each accept and is killed at
//! a seeded moment: when the parent has read a seeded number of lines. No loss of power is simulated (the kernel lives
//! on); what is tested is the order of body, rows and answer, and what opening makes of what was left.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test says where it stopped, and why it did not run"
)]

mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use sportello_store::{MailboxId, MessageId, Query, Settings, Start, Store, Verdict, Window};
use support::{Place, bytes, deliver_behind, list, read};

/// Set for the child: the state folder.
const FOLDER: &str = "SPORTELLO_STORE_CRASH_FOLDER";
/// Set for the child: where its seeds begin.
const SEED: &str = "SPORTELLO_STORE_CRASH_SEED";
/// Kills in a row, each upon what the one before left.
const KILLS: u64 = 5;
/// Accepted messages that are searched for after each kill.
const SEARCHED: usize = 50;
/// Messages under way at once in the child.
const AT_ONCE: u64 = 16;

fn main() {
    if let Ok(folder) = std::env::var(FOLDER) {
        let seed = std::env::var(SEED).unwrap().parse().unwrap();
        return runtime().block_on(write_until_killed(Path::new(&folder), seed));
    }
    // The harness of the other tests understands these; so that `cargo test -- --list` and filters go well here too.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        println!("what_was_accepted_survives_a_kill: test");
        return;
    }
    what_was_accepted_survives_a_kill();
    println!("test what_was_accepted_survives_a_kill ... ok");
}

fn what_was_accepted_survives_a_kill() {
    let place = Place::new();
    let mut accepted = HashMap::new();
    for kill in 0..KILLS {
        let lines = 1 + usize::from(bytes(1, 1000 + kill)[0]) % 120;
        accepted.extend(run_and_kill(&place.state(), kill * 1_000_000, lines));
        runtime().block_on(check(&place, &accepted));
    }
    assert!(accepted.len() >= usize::try_from(KILLS).unwrap());
}

/// Runs a writer, kills it when it has said `lines` lines, and returns everything it said.
fn run_and_kill(folder: &Path, seed: u64, lines: usize) -> Vec<(MessageId, (usize, u64))> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(FOLDER, folder)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
            break;
        }
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap();
        said.push((word().parse().unwrap(), (word().parse().unwrap(), word().parse().unwrap())));
        if said.len() == lines {
            // SIGKILL; what is in the pipe is read on, for it was accepted.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(said.len() >= lines, "the writer ended by itself after {} of {lines} lines", said.len());
    said
}

async fn check(place: &Place, accepted: &HashMap<MessageId, (usize, u64)>) {
    let store = place.open();
    let mut found = HashMap::new();
    let mut before = None;
    loop {
        let page = list(&store, before, 200).await;
        let Some(last) = page.last() else { break };
        before = Some(last.uid);
        for row in page {
            assert_eq!(store.verify(row.id).await.unwrap(), Some(Verdict::Whole), "{}", row.id);
            let seeds = found.insert(row.summary.subject, row.id);
            assert_eq!(seeds, None, "stored twice");
        }
    }
    for (id, (length, seed)) in accepted {
        assert_eq!(found.get(&seed.to_string()), Some(id), "accepted and not there");
        assert!(read(&store, *id).await == bytes(*length, *seed), "{id} is not what was accepted");
    }
    // The index is behind, ahead of nothing, or made anew: once it has followed, each message is found, once.
    while store.indexed().await.is_err() {
        tokio::task::yield_now().await;
    }
    for (id, (_, seed)) in accepted.iter().take(SEARCHED) {
        let query = Query::parse(&format!("subject:\"{seed}\"")).unwrap();
        let window = Window { start: Start::Newest, limit: 2 };
        let found = store.search(MailboxId::INBOX, query, window).await.unwrap().page;
        assert_eq!(found.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [*id]);
    }
    let inbox = &store.mailboxes().await.unwrap()[0];
    assert_eq!(inbox.messages, found.len() as u64);
    assert!(inbox.uid_next.0 as usize > found.len());
    let files = place.names("blobs").len() as u64;
    assert!(files <= inbox.messages);
    assert_eq!(place.names("spool"), Vec::<String>::new());
    store.close().await;
}

async fn write_until_killed(folder: &Path, first_seed: u64) {
    let store = Store::open(Settings::new(folder)).unwrap();
    let tasks = tokio::task::LocalSet::new();
    for lane in 0..AT_ONCE {
        let store = store.clone();
        tasks.spawn_local(async move {
            for seed in (first_seed + lane..).step_by(AT_ONCE as usize) {
                // One in eight is a file, so that kills meet the steps between spool, blobs and rows.
                let length = if seed % 8 == 0 { 140_000 + seed as usize % 50_000 } else { seed as usize % 9_000 };
                // One in three begins with what was put in front of it, so that kills meet a body that is written once more.
                let front = if seed % 3 == 0 { length.min(700) } else { 0 };
                let id = deliver_behind(&store, &bytes(length, seed), front, &seed.to_string()).await.unwrap();
                let mut output = std::io::stdout().lock();
                writeln!(output, "{id} {length} {seed}").unwrap();
                output.flush().unwrap();
            }
        });
    }
    tasks.await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}
