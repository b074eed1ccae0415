//! The flags of `sportello serve`, checked. The first thing that cannot be used is said in one sentence.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sportello_net::Channel;
use sportello_service::certificates::Wanted;
use sportello_service::directory::MailDomains;
use sportello_service::outbound;
use sportello_service::run::Program;
use sportello_service::site::{Description, Folder};
use thiserror::Error;
use tracing::metadata::LevelFilter;

use super::settings::{Door, Hosts, Logging, Origin, Others, Role, Settings, Site};
use super::settle::state::resolved;
use super::usual;
use crate::cli::{LogLevel, Serve};
use crate::observe::log::Form;
use crate::protocol::{command, http, smtp};

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
    /// All of it would be kept back.
    #[error(
        "{0} is in the state folder, {1}, where the mail is kept, so it is not served; serve another folder, or name another state folder: --state DIR"
    )]
    InState(PathBuf, PathBuf),
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
    /// Checks what was written as flags.
    ///
    /// # Errors
    /// The first thing that cannot be used.
    pub fn from_flags(flags: &Serve) -> Result<Self, Error> {
        let workers = match flags.workers {
            Some(workers) if usize::from(workers.get()) > Self::MOST_WORKERS => {
                return Err(Error::TooManyWorkers(workers.get()));
            }
            Some(workers) => usize::from(workers.get()),
            None => usual::workers(),
        };
        let state = flags.state.clone().or_else(usual::default_state).ok_or(Error::NoState)?;
        let most_connections = usual::raise_descriptor_limit();
        let root = folder(&flags.folder)?;
        if root.starts_with(resolved(&state)) {
            return Err(Error::InState(root, state));
        }
        let store = sportello_store::Settings::new(state);
        Ok(Self {
            address: flags.address.to_canonical(),
            hostname: usual::hostname(),
            uploads: usual::uploads(None, &store),
            store,
            workers,
            programs: programs(flags)?,
            channels: doors(flags, most_connections)?,
            sites: vec![Site {
                hosts: Hosts { names: Vec::new(), others: Others::Answered },
                description: Arc::new(Description::of_folder(Folder { path: root, ..Folder::default() })),
                certificates: Vec::new(),
                client: None,
                log: None,
            }],
            certificates: Wanted::default(),
            acme: None,
            sending: outbound::Settings::new(&usual::hostname()),
            mail: Arc::new(MailDomains::captured()),
            most_connections,
            most_per_source: usual::per_source(most_connections),
            grace: usual::GRACE,
            log: Logging { level: level(flags.log), form: if flags.log_json { Form::Json } else { Form::Text } },
            slow_log: command::SlowLogSettings::default(),
            ban: Some(usual::BAN),
        })
    }
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

fn programs(flags: &Serve) -> Result<Vec<Program>, Error> {
    let written = flags.programs.iter().map(|program| format!("{}={}", program.name, program.path.display()));
    let written: Vec<String> = written.collect();
    Ok(Program::parse_all(written.iter().map(String::as_str), command::RESERVED)?)
}

fn doors(flags: &Serve, most: usize) -> Result<Vec<Door>, Error> {
    // The desk and the commands do not ask who is there, so they stay on this machine whatever the address.
    let address = flags.address.to_canonical();
    let inside = if address.is_loopback() { address } else { Ipv4Addr::LOCALHOST.into() };
    let written = [
        ("web", Role::Sites(http::Limits::default()), address, flags.web),
        ("mail", Role::Smtp(smtp::Settings::default()), address, flags.mail),
        ("commands", Role::Command(command::Limits::default()), inside, flags.commands),
        ("desk", Role::Desk(http::Limits::default()), inside, flags.desk),
    ];
    let mut doors: Vec<(&'static str, Door)> = Vec::new();
    for (index, (name, role, address, port)) in written.into_iter().enumerate() {
        let same = doors.iter().find(|(_, door)| port != 0 && door.channel.address.port() == port);
        if let Some((same, _)) = same {
            return Err(Error::SamePort(same, name, port));
        }
        let channel = Channel {
            index,
            name: name.to_owned(),
            address: SocketAddr::new(address, port),
            loopback: address.is_loopback(),
            speaker: usual::speaker(&role),
            deadlines: usual::deadlines(&role),
            most_connections: usual::share(&role, most),
            backlog: usual::BACKLOG,
        };
        let origin = Origin::Flag(name);
        doors.push((name, Door { channel, role, tls: None, to_https: None, introducers: Vec::new(), origin }));
    }
    Ok(doors.into_iter().map(|(_, door)| door).collect())
}

fn level(written: LogLevel) -> LevelFilter {
    match written {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}
