//! The wiring: what the whole server is made of, and its life from the first socket to the last.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use sportello_net::limit::Limit;
use sportello_net::{BindError, Connection, Listener, Serve, Workers};
use sportello_service::desk::Desk;
use sportello_service::files::{self, Files, Root};
use sportello_service::picture::Observer;
use sportello_service::run::Runner;
use sportello_service::run::spawner::SpawnerHandle;
use sportello_store::{OpenError, Store};
use thiserror::Error;

use crate::announce;
use crate::config::{Door, Protocol, Settings};
use crate::observe::log::Log;
use crate::observe::{Observatory, Recorder, Samples};
use crate::protocol::{command, http, smtp};

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
    /// The state folder is not to be had.
    #[error("{0} (--state DIR names another state folder)")]
    Store(#[from] OpenError),
    /// The folder above it cannot be made.
    #[error("cannot make the folder {0} for the state (--state DIR names another state folder)")]
    Parent(PathBuf, #[source] io::Error),
    /// The folder to serve is not to be had.
    #[error(transparent)]
    Folder(#[from] files::OpenError),
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
}

/// What all workers share.
#[derive(Clone)]
pub struct Shared {
    store: Store,
    runner: Runner,
}

/// What the sessions of one worker use; made on its thread.
struct Services {
    protocols: Rc<[Protocol]>,
    folder: Rc<http::Site>,
    desk: Rc<http::Site>,
    smtp: Rc<smtp::Service>,
    command: Rc<command::Service>,
}

impl Serve for Services {
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + 'static {
        let protocol = self.protocols.get(connection.channel().index).copied();
        let (folder, desk) = (Rc::clone(&self.folder), Rc::clone(&self.desk));
        let (smtp, command) = (Rc::clone(&self.smtp), Rc::clone(&self.command));
        async move {
            match protocol {
                Some(Protocol::Web) => http::serve(connection, folder).await,
                Some(Protocol::Desk) => http::serve(connection, desk).await,
                Some(Protocol::Mail) => smtp::serve(connection, smtp).await,
                Some(Protocol::Commands) => command::serve(connection, command).await,
                None => {}
            }
        }
    }
}

/// Starts everything: listens on all channels or on none, opens the store, starts the workers. `spawner` was started before any
/// thread.
///
/// # Errors
/// One sentence that names what is in the way and the way out. Nothing is left half started.
pub fn start(settings: &Settings, spawner: SpawnerHandle, log: &Log) -> Result<Server, StartError> {
    let listeners = bind(settings)?;
    let mut doors = settings.channels.clone();
    for (door, listener) in doors.iter_mut().zip(&listeners) {
        door.channel = listener.channel().clone();
    }
    let shared = Shared { store: open_store(&settings.state)?, runner: start_runner(spawner, settings)? };
    let parts = Parts {
        protocols: doors.iter().map(|door| door.protocol).collect(),
        folder: Arc::new(Root::open(&settings.folder)?),
        desk: OnceLock::new(),
        observatory: observatory(settings, &doors, &shared),
        shared: shared.clone(),
        log: log.clone(),
    };
    let most: Vec<usize> = doors.iter().map(|door| door.channel.most_connections).collect();
    let limit = Limit::new(settings.most_connections, &most, settings.most_per_source);
    let (workers, threads) = Workers::start(listeners, limit, move |workers, index| parts.services(workers, index))
        .map_err(|error| StartError::Io("start a worker thread", error))?;
    Ok(Server { doors, workers, threads, shared })
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

/// What the workers' services are made from.
struct Parts {
    protocols: Vec<Protocol>,
    folder: Arc<Root>,
    desk: OnceLock<Desk>,
    observatory: Arc<Observatory>,
    shared: Shared,
    log: Log,
}

impl Parts {
    fn services(&self, workers: &Workers, index: usize) -> Services {
        if let Some(samples) = self.observatory.samples.get(index) {
            Recorder::install(index, self.log.clone(), Arc::clone(samples));
        }
        let observer: Observer = Arc::clone(&self.observatory).observer(workers);
        let files = Files::new(Arc::clone(&self.folder), files::Settings::default());
        // All workers' desks are one, so that those who watch share one producer of pictures.
        let desk = self.desk.get_or_init(|| Desk::new(self.shared.store.clone(), Arc::clone(&observer))).clone();
        // The name in the greeting and in Received fields, until the configuration gives one.
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let smtp = smtp::Service::new(self.shared.store.clone(), &hostname, smtp::Limits::default());
        let command = command::Service {
            store: self.shared.store.clone(),
            runner: self.shared.runner.clone(),
            observer,
            workers: workers.clone(),
            limits: command::Limits::default(),
        };
        Services {
            protocols: self.protocols.clone().into(),
            folder: Rc::new(http::Site::Folder(files)),
            desk: Rc::new(http::Site::Desk(desk)),
            smtp: Rc::new(smtp),
            command: Rc::new(command),
        }
    }
}

fn observatory(settings: &Settings, doors: &[Door], shared: &Shared) -> Arc<Observatory> {
    let said = |door: &Door| (door.protocol.name(), announce::purpose(door.protocol, door.channel.address, settings));
    Arc::new(Observatory {
        address: settings.address,
        state: settings.state.clone(),
        channels: doors.iter().map(said).collect(),
        samples: (0..settings.workers).map(|_| Samples::default()).collect(),
        store: shared.store.clone(),
        runner: shared.runner.clone(),
        began: Instant::now(),
    })
}

fn bind(settings: &Settings) -> Result<Vec<Listener>, StartError> {
    let bind = |door: &Door| {
        Listener::bind(door.channel.clone(), settings.workers).map_err(|source| StartError::Bind {
            name: door.channel.name.clone(),
            advice: advice(&source, door),
            source,
        })
    };
    settings.channels.iter().map(bind).collect()
}

fn advice(error: &BindError, door: &Door) -> String {
    match error {
        BindError::Taken(address) => format!(
            "stop that program, or choose another port with --{flag} PORT (0 takes a free one; `ss -ltnp 'sport = :{port}'` shows who has it)",
            flag = door.flag,
            port = address.port()
        ),
        BindError::ForeignAddress(_) => {
            "give --address an address of this machine (`ip address` lists them), or leave it out".to_owned()
        }
        BindError::NotAllowed(_) => {
            format!("ports below 1024 need a privilege; choose a higher one with --{} PORT", door.flag)
        }
        BindError::Other { .. } => format!("choose another address or port (--address IP, --{} PORT)", door.flag),
    }
}

/// Opens the store; the state folder's parents are made when they are missing.
fn open_store(state: &Path) -> Result<Store, StartError> {
    if let Some(parent) = state.parent() {
        fs::create_dir_all(parent).map_err(|error| StartError::Parent(parent.to_owned(), error))?;
    }
    Store::open(sportello_store::Settings::new(state)).map_err(StartError::from)
}

fn start_runner(spawner: SpawnerHandle, settings: &Settings) -> Result<Runner, StartError> {
    Runner::start(spawner, settings.programs.clone()).map_err(|error| StartError::Io("start running programs", error))
}
