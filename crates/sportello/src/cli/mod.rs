//! The command line: what can be typed, and the clients among it.
//!
//! [`parse`] turns arguments into plain structs, as written; `main.rs` starts the server from [`Command::Serve`] and gives
//! everything else to [`run`]. The clients are blocking `std::net` programs with a deadline on every wait. They know the
//! protocols only through `sportello-wire`, and the server only through its channels.

mod serve;

pub use serve::{LogLevel, NamedProgram, Serve};

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// All that can be typed.
#[derive(Debug, Parser)]
#[command(name = "sportello", version, about = ABOUT, after_help = EXAMPLES, max_term_width = 100)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
}

/// A sub-command with its arguments.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Listen: serve a folder, catch mail, run programs (the default)
    Serve(Serve),
}

/// Reads the arguments of this process. Prints and exits by itself for `--help` (0), `--version` (0) and wrong usage (2).
/// Without a sub-command it is `serve .`.
pub fn parse() -> Command {
    Line::parse().command.unwrap_or_else(|| Command::Serve(Serve::default()))
}

const ABOUT: &str = "One server for a domain: web, mail and commands on one address";
const EXAMPLES: &str = "";

pub fn run(command: Command) -> ExitCode {
    let _ = command;
    ExitCode::SUCCESS
}
