//! The wiring: what the whole server is made of, and its life from the first socket to the last.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use sportello_net::limit::Limit;
use sportello_net::{BindError, Channel, Listener, Workers};
use sportello_service::accounts::Accounts;
use sportello_service::certificates::Wanted;
use sportello_service::conversations::Conversations;
use sportello_service::directory::Addresses;
use sportello_service::dkim;
use sportello_service::failure::Failure;
use sportello_service::files;
use sportello_service::picture::ConfigurationView;
use sportello_service::run::Runner;
use sportello_service::run::spawner::SpawnerHandle;
use sportello_store::{OpenError, Store};
use thiserror::Error;

use crate::acme::Procurement;
use crate::announce;
use crate::config::{Door, Origin, Settings};
use crate::encryption::{Attendant, Encryption, EncryptionError};
use crate::generation::{Generation, House, Plan, Services};
use crate::observe::access::AccessLogs;
use crate::observe::log::Log;
use crate::observe::{About, Observatory, Routes, Samples, View, routes_of};
use crate::protocol::command;
use crate::queue::{self, Sending};
use crate::reload::Reloads;
use crate::socket;

/// Why the server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A port is not to be had.
    #[error("the {name} channel cannot start: {source}; {advice}")]
    Bind {
        /// The channel.
        name: String,
        /// Why not.
        source: BindError,
        /// The way out.
        advice: String,
    },
    /// The keys by which our mail is signed cannot be read.
    #[error("the keys by which mail is signed (DKIM) cannot be read: {0}")]
    Dkim(#[from] dkim::KeyringError),
    /// The state folder is not to be had.
    #[error("{0} (--state DIR names another state folder)")]
    Store(#[from] OpenError),
    /// The folder above it cannot be made.
    #[error("cannot make the folder {0} for the state (--state DIR names another state folder)")]
    Parent(PathBuf, #[source] io::Error),
    /// The folder to serve is not to be had.
    #[error(transparent)]
    Folder(#[from] files::OpenError),
    /// A channel cannot be encrypted.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// A site's access log cannot be opened.
    #[error("cannot write the access log {0}")]
    AccessLog(PathBuf, #[source] io::Error),
    /// The secret of the accounts is not to be had.
    #[error("the accounts cannot be opened: {0}")]
    Names(#[from] Failure),
    /// The machine refuses something.
    #[error("cannot {0}")]
    Io(&'static str, #[source] io::Error),
}

/// A server that accepts.
pub struct Server {
    /// Its channels, with the ports they really have, and their protocols.
    pub doors: Vec<Door>,
    /// The workers.
    pub workers: Workers,
    /// Their threads; each ends when the server drains and its last connection is closed.
    pub threads: Vec<JoinHandle<()>>,
    /// What must be closed after the last session.
    pub shared: Shared,
    /// The thread that looks after certificates; it ends before the store does.
    pub attendant: Attendant,
    /// What obtains them from a CA, if one is to be asked; it ends before that.
    pub procurement: Procurement,
    /// What sends mail to other servers; it ends before the store does.
    pub sending: Sending,
    pub(crate) encryption: Encryption,
    /// The certificates that are wanted.
    pub(crate) certificates: Wanted,
    pub(crate) house: Arc<House>,
    /// The channels as they were asked for, in the order of `doors`.
    pub(crate) asked: Vec<Door>,
    /// That of the command line, where there is one.
    pub(crate) command_line: Option<Channel>,
    /// The number of the next new channel: none has one that another had.
    pub(crate) next_index: usize,
}

/// What all workers share, whatever the configuration.
#[derive(Clone)]
pub struct Shared {
    pub(crate) store: Store,
    /// Who has mailboxes in it.
    pub(crate) accounts: Accounts,
    /// What addresses mean, for domains that each generation says: one for all threads, so that one key rewrites senders.
    pub(crate) addresses: Addresses,
    /// By which all programs run.
    pub(crate) runner: Runner,
    pub(crate) conversations: Conversations,
    pub(crate) records: command::Records,
    /// The keys by which our mail is signed.
    pub(crate) dkim: dkim::Keyring,
}

/// Starts everything: listens on all channels or on none, opens the store, starts the workers. `spawner` was started before any
/// thread. `configuration` is the file that says so, where one does; `reloads` is where the command line asks for another. Dropping this
/// future may leave threads behind.
///
/// # Errors
/// One sentence that names what is in the way and the way out. Nothing is left half started.
pub async fn start(
    settings: &Settings,
    configuration: Option<ConfigurationView>,
    spawner: SpawnerHandle,
    log: &Log,
    reloads: Reloads,
) -> Result<Server, StartError> {
    let mut listeners = bind(settings)?;
    let mut doors = settings.channels.clone();
    for (door, listener) in doors.iter_mut().zip(&listeners) {
        door.channel = listener.channel().clone();
    }
    let store = open_store(settings)?;
    let shared = Shared {
        accounts: Accounts::open(store.clone()).await?,
        addresses: Addresses::new(Arc::clone(&settings.mail), store.clone()),
        dkim: dkim::Keyring::open(store.clone()).await?,
        store,
        runner: start_runner(spawner, settings)?,
        conversations: Conversations::default(),
        records: command::Records::default(),
    };
    let (encryption, attendant) =
        Encryption::start(shared.store.clone(), &settings.hostname, settings.certificates.clone())?;
    let procurement = Procurement::start(settings.acme.clone(), encryption.keyring(), &shared)
        .map_err(|error| StartError::Io("start the thread that obtains certificates", error))?;
    let sending = Sending::start(sends(settings), shared.addresses.clone(), shared.store.clone(), shared.dkim.signer())
        .map_err(|error| StartError::Io("start the thread that sends mail", error))?;
    let access_logs = AccessLogs::default();
    let made_of = (&encryption, &access_logs);
    let mut generation = Generation::new(settings, &doors, (shared.runner.clone(), &shared.addresses), made_of, None)?;
    let command_line = match socket::listen(&settings.store.folder, listeners.len(), settings.workers) {
        Ok(listener) => {
            let channel = listener.channel().clone();
            generation = generation.with_command_line(channel.index);
            listeners.push(listener);
            Some(channel)
        }
        // Our clients then take a command channel.
        Err(error) => {
            tracing::warn!(%error, "no socket for the command line");
            None
        }
    };
    generation.begin_logs();
    let view = view(settings, configuration, &doors, &generation, command_line.as_ref());
    let observatory = Observatory {
        state: settings.store.folder.clone(),
        samples: (0..settings.workers).map(|_| Samples::default()).collect(),
        store: shared.store.clone(),
        keyring: encryption.keyring().clone(),
        routes: Routes::default(),
        sending: sending.figures(),
        began: Instant::now(),
        view: Mutex::new(Arc::new(view)),
    };
    let house = Arc::new(House {
        shared: shared.clone(),
        observatory: Arc::new(observatory),
        log: log.clone(),
        access_logs,
        desk: OnceLock::new(),
        reloads,
        answers: encryption.keyring().answers().clone(),
        now: Mutex::new(Arc::new(generation)),
    });
    let limit = Limit::new(settings.most_connections, settings.most_per_source);
    let next_index = listeners.len();
    let made = Arc::clone(&house);
    let make = move |workers: &Workers, index| Services::new(Arc::clone(&made), workers, index);
    // Nobody is shown a stand-in for a certificate that is there.
    procurement.shows_kept().await;
    let (workers, threads) =
        Workers::start(listeners, limit, make).map_err(|error| StartError::Io("start a worker thread", error))?;
    workers.bans().set(settings.ban_rule());
    let (asked, certificates) = (settings.channels.clone(), settings.certificates.clone());
    Ok(Server {
        doors,
        workers,
        threads,
        shared,
        attendant,
        procurement,
        sending,
        encryption,
        certificates,
        house,
        asked,
        command_line,
        next_index,
    })
}

impl Server {
    /// Completes when every worker runs its loop, so that whoever connects now is served.
    pub async fn accepts(&self) {
        self.workers.started().await;
    }
}

impl Shared {
    /// Closes what the sessions used, after the last of them.
    pub async fn close(self) {
        let runner = self.runner;
        // Waits for the spawner's end; no worker is left that this could keep waiting.
        runner.close();
        self.store.close().await;
    }
}

/// How mail to other servers is sent.
pub(crate) fn sends(settings: &Settings) -> queue::Settings {
    queue::Settings { outbound: settings.sending.clone(), mail: Arc::clone(&settings.mail) }
}

/// What is said of the server with these settings.
pub(crate) fn view(
    settings: &Settings,
    configuration: Option<ConfigurationView>,
    doors: &[Door],
    generation: &Generation,
    command_line: Option<&Channel>,
) -> View {
    let about = |door: &Door| {
        let plan = generation.plan(door.channel.index);
        let about = About {
            protocol: door.role.protocol(),
            purpose: announce::purpose(&door.role, door.channel.address, settings),
            refusals: plan.and_then(Plan::refusals).map(|ask| Box::new(ask) as _),
        };
        (door.channel.index, about)
    };
    let own = command_line.map(|channel| {
        let purpose = "the command line of this machine".to_owned();
        (channel.index, About { protocol: "command", purpose, refusals: None })
    });
    let channels = doors.iter().map(about).chain(own).collect();
    let sites: Vec<_> = generation.sites().map(Arc::clone).collect();
    let routes = sites.iter().flat_map(|site| routes_of(site)).collect();
    View { address: settings.address, configuration, channels, runner: generation.runner.clone(), routes, sites }
}

fn bind(settings: &Settings) -> Result<Vec<Listener>, StartError> {
    settings.channels.iter().map(|door| bind_one(door, door.channel.clone(), settings.workers)).collect()
}

/// Listens for a door, by this channel.
pub(crate) fn bind_one(door: &Door, channel: Channel, workers: usize) -> Result<Listener, StartError> {
    Listener::bind(channel, workers).map_err(|source| StartError::Bind {
        name: door.channel.name.clone(),
        advice: advice(&source, door),
        source,
    })
}

fn advice(error: &BindError, door: &Door) -> String {
    let way = match &door.origin {
        Origin::Flag(flag) => format!("with --{flag} PORT"),
        Origin::File { path, line } => format!("in {}, line {line}", path.display()),
    };
    match error {
        BindError::Taken(address) => format!(
            "stop that program, or choose another port {way} (0 takes a free one; `ss -ltnp 'sport = :{port}'` shows who has it)",
            port = address.port()
        ),
        BindError::ForeignAddress(_) => match &door.origin {
            Origin::Flag(_) => {
                "give --address an address of this machine (`ip address` lists them), or leave it out".to_owned()
            }
            Origin::File { .. } => format!("write an address of this machine (`ip address` lists them), {way}"),
        },
        BindError::NotAllowed(_) => format!("ports below 1024 need a privilege; choose a higher one {way}"),
        BindError::Other { .. } => match &door.origin {
            Origin::Flag(flag) => format!("choose another address or port (--address IP, --{flag} PORT)"),
            Origin::File { .. } => format!("choose another address or port {way}"),
        },
    }
}

/// Opens the store; the state folder's parents are made when they are missing.
fn open_store(settings: &Settings) -> Result<Store, StartError> {
    if let Some(parent) = settings.store.folder.parent() {
        fs::create_dir_all(parent).map_err(|error| StartError::Parent(parent.to_owned(), error))?;
    }
    let extractor = sportello_service::mailbox::extractor();
    Store::open(sportello_store::Settings { extractor, ..settings.store.clone() }).map_err(StartError::from)
}

fn start_runner(spawner: SpawnerHandle, settings: &Settings) -> Result<Runner, StartError> {
    Runner::start(spawner, settings.programs.clone()).map_err(|error| StartError::Io("start running programs", error))
}
