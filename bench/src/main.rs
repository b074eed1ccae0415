//! The figures of Sportello: each a ratio to a peer measured in the same run, in turns (`bench/README.md`).
//!
//! Talks only to 127.0.0.1; starts private instances of the peers and stops them whatever happens.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a tool for people at a terminal")]

mod cases;
mod certificate;
mod cpu;
mod error;
mod generator;
mod harness;
mod histogram;
mod machine;
mod memory;
mod peers;
mod report;
mod result;
mod rounds;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use cases::{CASES, Case, When};
use error::Error;
use generator::exchange::Kind;
use harness::{Cores, Harness};
use result::Row;

/// Measures Sportello beside nginx, h2o, lighttpd, Caddy, Redis, Postfix, OpenSMTPD, tcpserver and inetd.
#[derive(Debug, Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The cases, or `all`, or `list` to see their names.
    #[arg(value_name = "CASE", default_value = "list")]
    cases: Vec<String>,
    /// How many times each server has its turn.
    #[arg(long, value_name = "N", default_value_t = 9)]
    rounds: u32,
    /// How long a turn takes, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.5)]
    slice: f64,
    /// One round of 0.3 s: to see that all works, on a busy machine. No figure.
    #[arg(long)]
    smoke: bool,
    /// Nothing pinned, two workers.
    #[arg(long)]
    unpinned: bool,
    /// Write bench/RESULTS.md from this run and the last of each other case.
    #[arg(long)]
    write: bool,
    #[command(subcommand)]
    own: Option<Own>,
}

/// What the harness starts itself.
#[derive(Debug, Subcommand)]
enum Own {
    /// The bare loop that stands for what the kernel takes.
    #[command(hide = true)]
    Floor { request: u64, answer: u64, close: u8 },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.own {
        Some(Own::Floor { request, answer, close }) => {
            peers::floor::serve(request.max(1), answer, if close == 1 { Kind::NewEach } else { Kind::Kept })
        }
        None => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let cores = if arguments.unpinned { Cores::Free } else { Cores::Pinned };
    let chosen = chosen(&arguments.cases, cores)?;
    if chosen.is_empty() && !arguments.write {
        for case in CASES {
            let asked = match case.when {
                When::Always | When::Pinned => "",
                When::Unpinned => " (part of all --unpinned)",
                When::Asked => " (not part of all)",
            };
            println!("{:<20} {}{asked}", case.name, case.title);
        }
        return Ok(());
    }
    let (rounds, slice) = if arguments.smoke { (1, 0.3) } else { (arguments.rounds.clamp(1, 99), arguments.slice) };
    let slice = Duration::try_from_secs_f64(slice.clamp(0.1, 60.0)).unwrap_or(Duration::from_secs(1));
    if !chosen.is_empty() {
        if cfg!(debug_assertions) && !arguments.smoke {
            return Err(Error::not_so("a debug build makes no figures: cargo run --release -p bench"));
        }
        let sportello = peers::sportello::program()?;
        println!("load of the machine before: {:.2}", machine::load());
        let harness = Harness::new(cores, rounds, slice, sportello)?;
        measure(&harness, &chosen, arguments.smoke)?;
    }
    if arguments.write {
        println!("written: {}", report::write()?.display());
    }
    Ok(())
}

/// Each case in turn; one that fails does not keep the others from running.
fn measure(harness: &Harness, chosen: &[&Case], smoke: bool) -> Result<(), Error> {
    let mut failed = Vec::new();
    for case in chosen {
        println!("{}: {}", case.name, case.title);
        let finding = match (case.run)(harness) {
            Ok(finding) => finding,
            Err(error) => {
                println!("{}: {error}", case.name);
                failed.push(case.name);
                continue;
            }
        };
        let row = Row {
            case: case.name.to_owned(),
            cores: harness.cores.name().to_owned(),
            date: machine::date(),
            revision: machine::revision(),
            rounds: harness.rounds,
            slice_seconds: harness.slice.as_secs_f64(),
            finding,
        };
        println!("{}", report::line(&row));
        // A smoke run makes no figures.
        if !smoke {
            report::keep(row)?;
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Error::not_so(format!("no figure for: {}", failed.join(", ")))) }
}

/// The cases that are named; `all` are those that belong to every table and to the one with `cores`.
fn chosen(names: &[String], cores: Cores) -> Result<Vec<&'static Case>, Error> {
    let usual = if cores == Cores::Pinned { When::Pinned } else { When::Unpinned };
    let mut chosen: Vec<&Case> = Vec::new();
    for name in names {
        match name.as_str() {
            "list" => {}
            "all" => chosen.extend(CASES.iter().filter(|case| case.when == When::Always || case.when == usual)),
            name => match CASES.iter().find(|case| case.name == name) {
                Some(case) => chosen.push(case),
                None => return Err(Error::not_so(format!("no case {name}: `list` names them"))),
            },
        }
    }
    Ok(chosen)
}
