//! The short run: every target plays its kept corpus and a fixed number of mutations of it. The same each time.
//!
//! `cargo test -p sportello-fuzz --test short NAME` plays one target.

#![allow(clippy::print_stdout, reason = "what a test harness does")]

use std::path::Path;
use std::process::ExitCode;

use sportello_fuzz::corpus::unpack;
use sportello_fuzz::mutation::Mutator;
use sportello_fuzz::{TARGETS, Target};

/// Mutations for each target; a session costs a hundred times what a parser does.
const OF_PARSERS: usize = 3_000;
const OF_SESSIONS: usize = 150;

fn main() -> ExitCode {
    if sportello_fuzz::is_spawner() {
        sportello_fuzz::spawner();
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let mut failed = 0;
    for target in TARGETS.iter().filter(|target| wanted.is_empty() || wanted.iter().any(|name| name == target.name)) {
        match play(target) {
            Ok(count) => println!("test {} ... ok ({count} inputs)", target.name),
            Err(input) => {
                failed += 1;
                println!("test {} ... FAILED by\n{}", target.name, input.escape_ascii());
            }
        }
    }
    sportello_fuzz::clean();
    println!("test result: {}. {failed} failed", if failed == 0 { "ok" } else { "FAILED" });
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays one target; the input that it fails by.
fn play(target: &Target) -> Result<usize, Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{}.txt", target.name));
    let corpus = unpack(&std::fs::read_to_string(file).unwrap_or_default());
    let mutations = if target.name.starts_with("session") { OF_SESSIONS } else { OF_PARSERS };
    let mut mutator = Mutator::new(4711);
    let mutated = (0..mutations).map(|_| mutator.mutate(&corpus, target.longest));
    let mut count = 0;
    for input in corpus.iter().cloned().chain(mutated) {
        std::panic::catch_unwind(|| (target.run)(&input)).map_err(|_| input)?;
        count += 1;
    }
    Ok(count)
}
