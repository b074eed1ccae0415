//! What is said when the server is ready: a table for people, one line of JSON for programs, and the same line in the state
//! folder so that our own clients find the server.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::{Door, Role, Settings};
use crate::protocol::smtp;

/// The ready line. Also the content of [`Ready::FILE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The one address.
    pub address: IpAddr,
    /// The channels, in the order people see them.
    pub channels: Vec<ReadyChannel>,
    /// The state folder.
    pub state: String,
    /// Worker threads.
    pub workers: usize,
    /// The server's process id.
    pub pid: u32,
}

/// One channel of the ready line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyChannel {
    /// Its name.
    pub name: String,
    /// Its protocol.
    pub protocol: String,
    /// The address it listens on.
    pub address: IpAddr,
    /// The port it really has.
    pub port: u16,
    /// Whether its connections are encrypted from their first byte.
    #[serde(default)]
    pub encrypted: bool,
}

impl Ready {
    /// The file in the state folder that holds the ready line while the server runs.
    pub const FILE: &str = "listening.json";

    /// The ready line of a server that listens on `doors`.
    pub fn new(settings: &Settings, doors: &[Door]) -> Self {
        let channel = |door: &Door| ReadyChannel {
            name: door.channel.name.clone(),
            protocol: door.role.protocol().to_owned(),
            address: door.channel.address.ip(),
            port: door.channel.address.port(),
            encrypted: door.implicit_tls().is_some(),
        };
        Self {
            address: settings.address,
            channels: doors.iter().map(channel).collect(),
            state: settings.store.folder.display().to_string(),
            workers: settings.workers,
            pid: std::process::id(),
        }
    }

    /// The line of JSON, without its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Leaves the line in the state folder; whoever reads it finds it whole or not at all.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn leave(&self) -> io::Result<()> {
        let state = Path::new(&self.state);
        let new = state.join("listening.json.new");
        fs::write(&new, self.line() + "\n")?;
        fs::rename(new, state.join(Self::FILE))
    }

    /// Takes the line out of the state folder again.
    pub fn take_away(&self) {
        // Gone already is as good.
        let _ = fs::remove_file(Path::new(&self.state).join(Self::FILE));
    }
}

/// The table for people.
///
/// # Errors
/// When it cannot be written.
pub fn table(into: &mut impl Write, settings: &Settings, doors: &[Door]) -> io::Result<()> {
    writeln!(into, "Sportello listens on {}", settings.address)?;
    for door in doors {
        let address = door.channel.address;
        let url = format!("{}://{address}", scheme(door));
        writeln!(into, "  {:<10} {url:<30} {}", door.channel.name, purpose(&door.role, address, settings))?;
    }
    let workers = if settings.workers == 1 { "1 worker".to_owned() } else { format!("{} workers", settings.workers) };
    writeln!(
        into,
        "  {workers} · state in {} · stop with Ctrl-C · see it work: sportello tour",
        settings.store.folder.display()
    )?;
    into.flush()
}

/// What a channel does, in a few words.
pub fn purpose(role: &Role, address: SocketAddr, settings: &Settings) -> String {
    let port = address.port();
    match role {
        Role::Sites(_) => match settings.sites.as_slice() {
            [site] => match site.description.folders.as_slice() {
                [folder] => format!("serving {}", folder.path.display()),
                _ => "serving one site".to_owned(),
            },
            sites => format!("serving {} sites", sites.len()),
        },
        Role::Smtp(mail) if mail.purpose == smtp::Purpose::Submission => "accounts send mail".to_owned(),
        Role::Smtp(_) if !settings.mail.only_capture() => "mail for the domains that are here is taken".to_owned(),
        Role::Smtp(mail) => match &mail.domains {
            smtp::Domains::All => "every message is caught, none leaves this machine".to_owned(),
            smtp::Domains::AllBut(names) => match &**names {
                [name] => format!("mail for all but {name} is caught, none leaves this machine"),
                names => format!("mail for all but {} domains is caught, none leaves this machine", names.len()),
            },
            smtp::Domains::These(names) => match &**names {
                [name] => format!("mail for {name} is caught, none leaves this machine"),
                names => format!("mail for {} domains is caught, none leaves this machine", names.len()),
            },
        },
        // Not HELP: redis-cli would answer that by itself.
        Role::Command(_) => format!("try: redis-cli -p {port} STATUS   or: nc {} {port}", address.ip()),
        Role::Desk(_) => "what is happening, inbox".to_owned(),
    }
}

fn scheme(door: &Door) -> &'static str {
    match (&door.role, door.implicit_tls()) {
        (Role::Sites(_) | Role::Desk(_), None) => "http",
        (Role::Sites(_) | Role::Desk(_), Some(_)) => "https",
        (Role::Smtp(mail), tls) if mail.purpose == smtp::Purpose::Submission => {
            if tls.is_some() {
                "submissions"
            } else {
                "submission"
            }
        }
        (Role::Smtp(_), None) => "smtp",
        (Role::Smtp(_), Some(_)) => "smtps",
        (Role::Command(_), None) => "tcp",
        (Role::Command(_), Some(_)) => "tls",
    }
}
