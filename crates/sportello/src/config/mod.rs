//! From what was written (flags) to what is used: checked settings, all errors one clear sentence with the way out.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use sportello_net::{Channel, Deadlines, Speaker};
use sportello_service::run::Program;
use thiserror::Error;

use crate::cli::Serve;

/// What `sportello serve` needs to know, checked.
#[derive(Debug)]
pub struct Settings {
    /// The one address, as given.
    pub address: IpAddr,
    /// The folder that the web channel serves: absolute, and a folder.
    pub folder: PathBuf,
    /// The state folder.
    pub state: PathBuf,
    /// Worker threads, 1 to 256.
    pub workers: usize,
    /// The programs that clients may run.
    pub programs: Vec<Program>,
    /// The channels in the order people see them.
    pub channels: Vec<Door>,
    /// Connections in all.
    pub most_connections: usize,
    /// Connections from one client that is not on this machine.
    pub most_per_source: usize,
    /// How long a stopping server lets requests finish.
    pub grace: Duration,
}

/// One channel and the protocol that is spoken on it.
#[derive(Clone, Debug)]
pub struct Door {
    /// The channel, port 0 meaning a free one.
    pub channel: Channel,
    /// What is spoken.
    pub protocol: Protocol,
    /// The flag that sets its port.
    pub flag: &'static str,
}

/// The protocols, and the service behind those that have a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP, giving a folder.
    Web,
    /// SMTP, catching every message.
    Mail,
    /// RESP and text lines.
    Commands,
    /// HTTP, giving the desk.
    Desk,
}

impl Protocol {
    /// The word for it in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Web | Self::Desk => "http",
            Self::Mail => "smtp",
            Self::Commands => "command",
        }
    }
}

/// Why the flags cannot be used.
#[derive(Debug, Error)]
pub enum Error {
    /// The folder to serve is not there.
    #[error("the folder to serve, {0}, does not exist; name one that does: sportello serve DIR")]
    NoFolder(PathBuf),
    /// It is a file.
    #[error("{0} is not a folder; name one: sportello serve DIR")]
    NotAFolder(PathBuf),
    /// It cannot be opened.
    #[error("the folder to serve, {0}, cannot be read")]
    Folder(PathBuf, #[source] io::Error),
    /// Neither `--state` nor a home folder.
    #[error("there is no home folder to keep state in (HOME is not set); name a folder: --state DIR")]
    NoState,
    /// More workers than there may be.
    #[error("--workers {0} is more than the {most} there may be", most = Settings::MOST_WORKERS)]
    TooManyWorkers(u16),
    /// A port is given twice.
    #[error("--{0} and --{1} both name port {2}; give each channel a port of its own, or 0 for a free one")]
    SamePort(&'static str, &'static str, u16),
    /// A program cannot be offered.
    #[error(transparent)]
    Program(#[from] sportello_service::run::ProgramError),
}

impl Settings {
    /// The most workers: more threads than cores only cost.
    pub const MOST_WORKERS: usize = 256;

    /// Checks what was written. `reserved`: names that no program may take.
    ///
    /// # Errors
    /// The first thing that cannot be used.
    pub fn from_flags(flags: &Serve, reserved: &[&str]) -> Result<Self, Error> {
        let workers = match flags.workers {
            Some(workers) if usize::from(workers.get()) > Self::MOST_WORKERS => {
                return Err(Error::TooManyWorkers(workers.get()));
            }
            Some(workers) => usize::from(workers.get()),
            None => thread::available_parallelism().map_or(1, usize::from).min(Self::MOST_WORKERS),
        };
        let state = flags.state.clone().or_else(default_state).ok_or(Error::NoState)?;
        let most_connections = raise_descriptor_limit();
        Ok(Self {
            address: flags.address,
            folder: folder(&flags.folder)?,
            state,
            workers,
            programs: programs(flags, reserved)?,
            channels: doors(flags, most_connections)?,
            most_connections,
            most_per_source: (most_connections / 8).max(64),
            grace: Duration::from_secs(10),
        })
    }
}

/// The state folder unless given: `$XDG_STATE_HOME/sportello`, else `~/.local/state/sportello` (XDG Base Directory §3).
pub fn default_state() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(base.join("sportello"))
}

fn folder(given: &Path) -> Result<PathBuf, Error> {
    let folder = fs::canonicalize(given).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::NoFolder(given.to_owned()),
        _ => Error::Folder(given.to_owned(), error),
    })?;
    if !folder.is_dir() {
        return Err(Error::NotAFolder(folder));
    }
    fs::read_dir(&folder).map_err(|error| Error::Folder(folder.clone(), error))?;
    Ok(folder)
}

fn programs(flags: &Serve, reserved: &[&str]) -> Result<Vec<Program>, Error> {
    let written = flags.programs.iter().map(|program| format!("{}={}", program.name, program.path.display()));
    let written: Vec<String> = written.collect();
    Ok(Program::parse_all(written.iter().map(String::as_str), reserved)?)
}

fn doors(flags: &Serve, most: usize) -> Result<Vec<Door>, Error> {
    // The desk and the commands do not ask who is there, so they stay on this machine whatever the address.
    let inside = if flags.address.is_loopback() { flags.address } else { Ipv4Addr::LOCALHOST.into() };
    let written = [
        ("web", "web", Protocol::Web, flags.address, flags.web, most * 6 / 10),
        ("mail", "mail", Protocol::Mail, flags.address, flags.mail, most * 2 / 10),
        ("commands", "commands", Protocol::Commands, inside, flags.commands, most / 10),
        ("desk", "desk", Protocol::Desk, inside, flags.desk, most / 10),
    ];
    let mut doors: Vec<Door> = Vec::new();
    for (index, (name, flag, protocol, address, port, most)) in written.into_iter().enumerate() {
        let same = doors.iter().find(|door| port != 0 && door.channel.address.port() == port);
        if let Some(same) = same {
            return Err(Error::SamePort(same.flag, flag, port));
        }
        let channel = Channel {
            index,
            name: name.to_owned(),
            address: SocketAddr::new(address, port),
            loopback: address.is_loopback(),
            speaker: speaker(protocol),
            deadlines: deadlines(protocol),
            most_connections: most.max(1),
            backlog: 4_096,
        };
        doors.push(Door { channel, protocol, flag });
    }
    Ok(doors)
}

fn speaker(protocol: Protocol) -> Speaker {
    match protocol {
        Protocol::Web | Protocol::Desk => Speaker::Client,
        Protocol::Mail => Speaker::Server,
        Protocol::Commands => Speaker::ClientWhenItWants,
    }
}

fn deadlines(protocol: Protocol) -> Deadlines {
    let seconds = Duration::from_secs;
    match protocol {
        Protocol::Web | Protocol::Desk => Deadlines {
            first_byte: seconds(30),
            idle: seconds(75),
            between_bytes: seconds(20),
            request: seconds(60),
            ..Deadlines::default()
        },
        // RFC 5321 §4.5.3.2: five minutes for a command, three for a block of data.
        Protocol::Mail => Deadlines {
            first_byte: seconds(300),
            idle: seconds(300),
            between_bytes: seconds(180),
            request: seconds(3_600),
            write: seconds(60),
            rate_grace: seconds(180),
            minimum_rate: 64,
        },
        // Clients keep connections in pools for long.
        Protocol::Commands => Deadlines {
            first_byte: seconds(3_600),
            idle: seconds(3_600),
            between_bytes: seconds(30),
            request: seconds(120),
            ..Deadlines::default()
        },
    }
}

/// Raises the number of descriptors this process may hold to what the machine lets it, and says how many connections that
/// carries: a quarter is kept for files, pipes and the store.
fn raise_descriptor_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const MOST: u64 = 100_000;
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(MOST).min(MOST);
    let soft = limit.current.unwrap_or(MOST);
    let raised = Rlimit { current: Some(hard.max(soft)), maximum: limit.maximum };
    let usable = if setrlimit(Resource::Nofile, raised).is_ok() { hard.max(soft) } else { soft };
    usize::try_from(usable.min(MOST) * 3 / 4).unwrap_or(MOST as usize)
}
