//! The flags of `sportello serve`, as written on the command line.
//!
//! Nothing here is checked beyond its shape: `config` turns it into the settings of each crate.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `sportello serve`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    /// Take everything from this file; then no flag of those that it governs may be given.
    #[arg(long, value_name = "FILE", conflicts_with_all = GOVERNED)]
    pub config: Option<PathBuf>,
    /// The folder to serve over HTTP.
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// The one address to listen on. On any address but a loopback one the desk and the command channel stay on
    /// 127.0.0.1, because they do not ask who is there.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub address: IpAddr,
    /// The port of the web channel (HTTP, serves DIR); 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = Serve::WEB)]
    pub web: u16,
    /// The port of the mail channel (SMTP, every message is caught, none leaves); 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = Serve::MAIL)]
    pub mail: u16,
    /// The port of the command channel (RESP and text lines); 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = Serve::COMMANDS)]
    pub commands: u16,
    /// The port of the desk (what is happening, the inbox); 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = Serve::DESK)]
    pub desk: u16,
    /// The state folder: the mails, and listening.json by which the clients find this server
    /// [default: $XDG_STATE_HOME/sportello or ~/.local/state/sportello]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// How many worker threads [default: one for each core]
    #[arg(long, value_name = "N")]
    pub workers: Option<NonZeroU16>,
    /// A program that clients of the command channel may run, by this name: `--command greet=/usr/local/bin/greet`.
    /// May be given many times.
    #[arg(long = "command", value_name = "NAME=PATH", value_parser = named_program)]
    pub programs: Vec<NamedProgram>,
    /// Print one line of JSON when ready, instead of the table.
    #[arg(long)]
    pub json: bool,
    /// What is written to the log (standard error): off; error, what this server does wrong; warn, and what looks wrong;
    /// info, and what happens rarely; debug, and what clients do wrong
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info, hide_possible_values = true)]
    pub log: LogLevel,
    /// Write the log as one JSON object a line.
    #[arg(long)]
    pub log_json: bool,
}

impl Serve {
    /// The web channel's port unless given.
    pub const WEB: u16 = 8080;
    /// The mail channel's port unless given.
    pub const MAIL: u16 = 1025;
    /// The command channel's port unless given.
    pub const COMMANDS: u16 = 7070;
    /// The desk's port unless given.
    pub const DESK: u16 = 8025;
}

impl Default for Serve {
    /// `sportello serve .`
    fn default() -> Self {
        Self {
            config: None,
            folder: PathBuf::from("."),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            web: Self::WEB,
            mail: Self::MAIL,
            commands: Self::COMMANDS,
            desk: Self::DESK,
            state: None,
            workers: None,
            programs: Vec::new(),
            json: false,
            log: LogLevel::Info,
            log_json: false,
        }
    }
}

/// What a file says in place of flags.
const GOVERNED: [&str; 11] =
    ["folder", "address", "web", "mail", "commands", "desk", "state", "workers", "programs", "log", "log_json"];

/// One `--command NAME=PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedProgram {
    /// What clients call it.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
}

/// How much the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What this server does wrong.
    Error,
    /// And what looks wrong.
    Warn,
    /// And what happens rarely: start, stop, refusals.
    Info,
    /// And what clients do wrong.
    Debug,
}

fn named_program(text: &str) -> Result<NamedProgram, String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok(NamedProgram { name: name.to_owned(), path: PathBuf::from(path) })
        }
        _ => Err("write it as NAME=PATH, for example greet=/usr/local/bin/greet".to_owned()),
    }
}

const EXAMPLES: &str = "\
Examples:
  sportello serve                         this folder, and every mail an application sends is caught
  sportello serve public --web 0          the folder public, on any free web port
  sportello serve --command nap=/bin/sleep
                                          then: sportello call nap 1   or: redis-cli -p 7070 nap 1
  sportello serve --config sportello.kdl  what the file says (sportello check tells whether it is right)

Once it accepts on all its channels it prints where they are. Ctrl-C (or SIGTERM) stops it: what is in flight finishes \
first.

Exit codes: 0 stopped as asked, 1 could not start (one sentence says why), 2 wrong usage.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_a_name_and_a_path() {
        let check = |text: &str, expect: Option<(&str, &str)>| {
            let expect = expect.map(|(name, path)| NamedProgram { name: name.into(), path: path.into() });
            assert_eq!(named_program(text).ok(), expect, "{text}");
        };
        check("nap=/bin/sleep", Some(("nap", "/bin/sleep")));
        check("a=b=c", Some(("a", "b=c")));
        for wrong in ["", "=", "nap", "nap=", "=/bin/sleep"] {
            check(wrong, None);
        }
    }
}
