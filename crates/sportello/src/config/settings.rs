//! What the server needs to know, checked: the same whether flags said it or a file.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sportello_net::{Channel, ban, tls};
use sportello_service::certificates::{Pair, Signer, Wanted};
use sportello_service::directory::MailDomains;
use sportello_service::run::Program;
use sportello_service::site::{Description, HTTPS};
use sportello_service::spool::Bounds;
use sportello_service::web::Network;
use tracing::metadata::LevelFilter;

use crate::observe::access;
use crate::observe::log::Form;
use crate::protocol::{command, http, smtp};

/// What `sportello serve` needs to know, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The one address, as given.
    pub address: IpAddr,
    /// The name in greetings and in Received fields.
    pub hostname: String,
    /// The store, and with it the state folder.
    pub store: sportello_store::Settings,
    /// What bodies of requests may take of its disk, before who answers is asked.
    pub uploads: Bounds,
    /// Worker threads, 1 to [`Settings::MOST_WORKERS`].
    pub workers: usize,
    /// The programs that clients may run.
    pub programs: Vec<Program>,
    /// The channels in the order people see them.
    pub channels: Vec<Door>,
    /// What the HTTP channels that are not the desk serve.
    pub sites: Vec<Site>,
    /// The certificates of all channels with TLS.
    pub certificates: Wanted,
    /// The CA that is asked for those of them that no file is for.
    pub acme: Option<crate::acme::Settings>,
    /// How mail leaves.
    pub sending: sportello_service::outbound::Settings,
    /// The domains and what becomes of their mail. Which of them are captured stands in each mail channel's own settings too.
    pub mail: Arc<MailDomains>,
    /// Connections in all.
    pub most_connections: usize,
    /// Connections from one client that is not on this machine.
    pub most_per_source: usize,
    /// When whoever guesses passwords is not heard; `None`: never.
    pub ban: Option<Ban>,
    /// How long a stopping server lets requests finish.
    pub grace: Duration,
    /// What is logged, and how.
    pub log: Logging,
    /// Which slow requests the command channels keep.
    pub slow_log: command::SlowLogSettings,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logging {
    /// How much.
    pub level: LevelFilter,
    /// As what.
    pub form: Form,
}

/// When a source is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// So many failures …
    pub failures: usize,
    /// … within this time …
    pub within: Duration,
    /// … and it is not heard for this one.
    pub lasts: Duration,
}

impl Settings {
    /// The rule for the list of bans: whoever connects for others is not banned for what they do.
    pub fn ban_rule(&self) -> Option<ban::Rule> {
        let Ban { failures, within, lasts } = self.ban?;
        let introducers = self.channels.iter().flat_map(|door| &door.introducers);
        let proxies = self.sites.iter().flat_map(|site| &site.description.trust.proxies);
        let networks: Vec<Network> = introducers.chain(proxies).cloned().collect();
        let spared = Arc::new(move |peer| networks.iter().any(|network| network.has(peer)));
        Some(ban::Rule { failures, within, lasts, spared })
    }
}

impl Settings {
    /// The most workers: more threads than cores only cost.
    pub const MOST_WORKERS: usize = 256;
}

/// One channel and what is served on it.
#[derive(Clone, Debug)]
pub struct Door {
    /// The channel, port 0 meaning a free one.
    pub channel: Channel,
    /// What is served.
    pub role: Role,
    /// How it is encrypted, if it is.
    pub tls: Option<Tls>,
    /// Where its requests are sent, if it only says that all is to be had over TLS.
    pub to_https: Option<HttpsPort>,
    /// Who connects for others, and says ahead for whom (the PROXY protocol).
    pub introducers: Vec<Network>,
    /// Who wants it.
    pub origin: Origin,
}

impl Door {
    /// Its TLS, if connections begin with it.
    pub fn implicit_tls(&self) -> Option<&tls::Settings> {
        self.tls.as_ref().filter(|tls| tls.begins == Begins::AtOnce).map(|tls| &tls.settings)
    }

    /// Whether the sites are to be had here over TLS.
    pub fn gives_https(&self) -> bool {
        self.role.gives_sites() && self.implicit_tls().is_some()
    }
}

/// The port at which the sites are to be had over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpsPort {
    /// That of the channel for it.
    OfChannel,
    /// This, which clients see: somebody in front of this server passes it on.
    Written(u16),
}

impl HttpsPort {
    /// The port, with the channels as they are: the usual one where one of them has it, else that of the first.
    pub fn among(self, doors: &[Door]) -> u16 {
        let ports = || doors.iter().filter(|door| door.gives_https()).map(|door| door.channel.address.port());
        match self {
            Self::Written(port) => port,
            Self::OfChannel if ports().any(|port| port == HTTPS) => HTTPS,
            Self::OfChannel => ports().next().unwrap_or(HTTPS),
        }
    }
}

/// How a channel is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// When.
    pub begins: Begins,
    /// Who may sign for the names that are asked for on it.
    pub signer: Signer,
    /// On what terms.
    pub settings: tls::Settings,
}

/// When a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// From its first byte.
    AtOnce,
    /// When the client asks (STARTTLS, RFC 3207).
    WhenAsked,
}

/// What a channel serves: its protocol, and the service behind those that have a choice.
#[derive(Clone, Debug)]
pub enum Role {
    /// HTTP, giving the sites.
    Sites(http::Limits),
    /// HTTP, giving the desk.
    Desk(http::Limits),
    /// SMTP: from other servers, or from those who have accounts.
    Smtp(smtp::Settings),
    /// RESP and text lines.
    Command(command::Limits),
}

impl Role {
    /// The word for its protocol in JSON.
    pub const fn protocol(&self) -> &'static str {
        match self {
            Self::Sites(_) | Self::Desk(_) => "http",
            Self::Smtp(settings) => match settings.purpose {
                smtp::Purpose::Exchange => "smtp",
                smtp::Purpose::Submission => "submission",
            },
            Self::Command(_) => "command",
        }
    }

    /// Whether it is a channel that gives the sites.
    pub const fn gives_sites(&self) -> bool {
        matches!(self, Self::Sites(_))
    }
}

/// Where a channel's port was written, so that whoever reads of it knows where to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This flag of `serve`.
    Flag(&'static str),
    /// A file.
    File {
        /// Its path as given.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// A website: the hosts it answers to and what it answers.
#[derive(Clone, Debug)]
pub struct Site {
    /// The hosts.
    pub hosts: Hosts,
    /// What becomes of its requests; the folders in it are absolute, and folders.
    pub description: Arc<Description>,
    /// Certificates for just its names.
    pub certificates: Vec<Pair>,
    /// What is asked of its clients, where that is not the channel's to say.
    pub client: Option<tls::Client>,
    /// Its access log.
    pub log: Option<AccessLog>,
}

/// The access log that a site wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Where.
    pub target: access::Target,
    /// How a line is written.
    pub format: access::Format,
    /// When a file is put aside.
    pub rotation: access::Rotation,
}

/// The hosts that a site answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// Those it bears.
    pub names: Vec<http::SiteName>,
    /// Whether also those that no site bears.
    pub others: Others,
}

/// Whether a site answers to hosts that no site bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// It does.
    Answered,
    /// It does not.
    NotOurs,
}
