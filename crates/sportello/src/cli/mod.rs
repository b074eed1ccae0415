//! The command line: what can be typed, and the clients among it.
//!
//! [`parse`] turns arguments into plain structs, as written; `main.rs` starts the server from [`Command::Serve`] and gives
//! everything else to [`run`]. The clients are blocking `std::net` programs with a deadline on every wait. They know the
//! protocols only through `sportello-wire`, and the server only through its channels.

mod account;
mod alias;
mod call;
pub mod certificates;
mod check;
mod connections;
mod conversation;
mod dkim;
mod dns;
mod explain;
mod fmt;
mod get;
mod mail;
pub mod paper;
mod password;
mod place;
mod queue;
mod reload;
mod send;
mod serve;
mod status;
mod top;
mod tour;

pub use self::check::{hint_at_file, told};
pub use self::serve::{LogLevel, Serve};

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::paper::{Failed, Paper};

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
    /// Listen: serve a folder, catch mail, run programs (this is what `sportello` alone does)
    Serve(Serve),
    /// See what a server is: three protocols at once on one address, threads, TCP, a mail kept
    Tour(tour::Tour),
    /// Fetch a URL into a file, and go on where it stopped
    Get(get::Get),
    /// Send a mail, its text from standard input
    Send(send::Send),
    /// Run a command of a server and print its answer
    Call(call::Call),
    /// Check a configuration: everything that is wrong with it, and what to write instead
    Check(check::Check),
    /// Write a configuration in the usual form; comments stay
    Fmt(fmt::Fmt),
    /// Say what would happen to a URL, an address or a command, and which lines decide; or what a directive is
    Explain(explain::Explain),
    /// Show what the running server does
    Status(status::Status),
    /// Let the running server read its configuration again, and go on as it was if anything is wrong with it
    Reload(reload::Reload),
    /// Watch the running server: channels, threads, connections, slow requests
    Top(top::Top),
    /// Show the open connections and how their TCP fares
    Connections(connections::Connections),
    /// Show the certificates of the running server
    Certificates(certificates::Certificates),
    /// Print the root of the server's local CA, and say where to install it
    Ca(certificates::Ca),
    /// Make, list and change the keys by which our domains' mail is signed (DKIM)
    Dkim(dkim::Dkim),
    /// List, read, search and save the caught mail
    Mail(mail::Mail),
    /// Print every record of the DNS that a domain needs for its mail; or look each up
    Dns(dns::Dns),
    /// Show and change the mail that waits for other servers
    Queue(queue::Queue),
    /// Show and change what addresses stand for others; comments in the configuration stay
    Alias(alias::Alias),
    /// Make, change and delete accounts: who has mailboxes here
    Account(account::Account),
    /// Show who guessed passwords and is not heard for a while, or hear them again
    Bans(account::Bans),
}

const ABOUT: &str = "One server for a domain: web, mail and commands on one address";

const EXAMPLES: &str = "\
Examples:
  sportello                                          serve this folder and catch mail, on 127.0.0.1
  sportello tour                                     see what a server is
  sportello get http://127.0.0.1:8080/big.iso        fetch a file
  echo Hello | sportello send --to ada@example.org   send a mail
  sportello call HELP                                what the command channel understands
  sportello status                                   what the server does
  sportello top                                      the same, live
  sportello mail list --unread                       what was caught

Each sub-command explains itself with --help. What prints for people prints JSON with --json.
Exit codes: 0 done, 1 failed (one sentence on standard error says why), 2 wrong usage.";

/// Reads the arguments of this process. Prints and exits by itself for `--help` (0), `--version` (0) and wrong usage (2).
/// Without a sub-command it is `serve .`.
pub fn parse() -> Command {
    Line::parse().command.unwrap_or_else(|| Command::Serve(Serve::default()))
}

/// Runs a client. `Serve` is not one: whoever matches on it starts the server instead.
pub fn run(command: &Command) -> ExitCode {
    let outcome = match command {
        Command::Tour(tour) => tour::run(tour),
        Command::Get(get) => get::run(get),
        Command::Send(send) => send::run(send),
        Command::Call(call) => call::run(call),
        Command::Status(status) => status::run(status),
        Command::Check(check) => check::run(check),
        Command::Fmt(fmt) => fmt::run(fmt),
        Command::Explain(explain) => explain::run(explain),
        Command::Reload(reload) => reload::run(reload),
        Command::Top(top) => top::run(top),
        Command::Connections(connections) => connections::run(connections),
        Command::Certificates(certificates) => certificates::run(certificates),
        Command::Ca(ca) => certificates::run_ca(ca),
        Command::Dkim(dkim) => dkim::run(dkim),
        Command::Mail(mail) => mail::run(mail),
        Command::Queue(queue) => queue::run(queue),
        Command::Alias(alias) => alias::run(alias),
        Command::Account(account) => account::run(account),
        Command::Bans(bans) => account::run_bans(bans),
        Command::Dns(dns) => dns::run(dns),
        Command::Serve(_) => Err(Failed::new("the server is not started from here")),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failed) => {
            if !failed.message.is_empty() {
                // When even standard error is gone, only the exit code is left to say it.
                let _ = Paper::stderr().line(format_args!("sportello: {}", failed.message));
            }
            ExitCode::from(failed.code)
        }
    }
}

/// An error and its causes in one sentence.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
