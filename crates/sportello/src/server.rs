//! The wiring: what the whole server is made of, and its life from the first socket to the last.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use sportello_net::limit::Limit;
use sportello_net::tls::Terms;
use sportello_net::{BindError, Connection, Listener, Serve, Workers};
use sportello_service::conversations::Conversations;
use sportello_service::desk::Desk;
use sportello_service::files::{self, Files, Root};
use sportello_service::picture::{Observer, RefusalView};
use sportello_service::run::Runner;
use sportello_service::run::spawner::SpawnerHandle;
use sportello_service::site::{self, Folder};
use sportello_store::{OpenError, Store};
use thiserror::Error;

use crate::announce;
use crate::config::{Door, Origin, Others, Role, Settings, Site};
use crate::encryption::{self, Attendant, Encryption, EncryptionError, Handshake};
use crate::observe::log::Log;
use crate::observe::{About, Observatory, Recorder, Samples};
use crate::protocol::{command, http, smtp};
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
}

/// What all workers share.
#[derive(Clone)]
pub struct Shared {
    store: Store,
    runner: Runner,
    conversations: Conversations,
    records: command::Records,
}

/// What the sessions of one worker use; made on its thread.
struct Services {
    /// By the channel's index.
    channels: Vec<Service>,
}

/// What is served on a channel, on this worker. Channels that serve the same share it.
#[derive(Clone)]
enum Service {
    Http(Rc<http::Service>),
    Smtp(Rc<smtp::Service>),
    Command(Rc<command::Service>),
    /// One of them, within TLS from the first byte.
    Encrypted(Rc<(Arc<Terms>, Service)>),
}

impl Serve for Services {
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + 'static {
        let service = self.channels.get(connection.channel().index).cloned();
        // The future is as large as its largest part, and keeps a place for what it has passed on: an idle HTTP connection, of which
        // there are most, shall pay for neither.
        let connection = Box::new(connection);
        async move {
            match service {
                Some(Service::Http(service)) => http::serve(connection, service).await,
                Some(Service::Smtp(service)) => Box::pin(smtp::serve(*connection, service)).await,
                Some(Service::Command(service)) => Box::pin(command::serve(*connection, service)).await,
                Some(Service::Encrypted(inner)) => Box::pin(serve_encrypted(connection, inner)).await,
                None => {}
            }
        }
    }
}

/// Serves a connection that begins with TLS.
async fn serve_encrypted(mut connection: Box<Connection>, inner: Rc<(Arc<Terms>, Service)>) {
    let (terms, service) = &*inner;
    let handshake = Box::pin(encryption::shake_hands(&mut connection, terms)).await;
    match (handshake, service.clone()) {
        (Handshake::Done, Service::Http(service)) => http::serve(connection, service).await,
        (Handshake::Done, Service::Smtp(service)) => Box::pin(smtp::serve(*connection, service)).await,
        (Handshake::Done, Service::Command(service)) => Box::pin(command::serve(*connection, service)).await,
        (Handshake::NotTls, Service::Http(_)) => Box::pin(http::not_tls(connection)).await,
        (Handshake::NotTls, Service::Command(_)) => Box::pin(command::not_tls(connection)).await,
        (Handshake::NotTls | Handshake::Done | Handshake::Over, _) => {}
    }
}

/// Starts everything: listens on all channels or on none, opens the store, starts the workers. `spawner` was started before any
/// thread.
///
/// # Errors
/// One sentence that names what is in the way and the way out. Nothing is left half started.
pub fn start(settings: &Settings, spawner: SpawnerHandle, log: &Log) -> Result<Server, StartError> {
    let mut listeners = bind(settings)?;
    let mut doors = settings.channels.clone();
    for (door, listener) in doors.iter_mut().zip(&listeners) {
        door.channel = listener.channel().clone();
    }
    let shared = Shared {
        store: open_store(settings)?,
        runner: start_runner(spawner, settings)?,
        conversations: Conversations::default(),
        records: command::Records::new(settings.slow_log),
    };
    let (encryption, attendant) =
        Encryption::start(shared.store.clone(), &settings.hostname, settings.certificates.clone())?;
    let terms = doors.iter().map(|door| encryption.terms(door)).collect::<Result<Vec<_>, _>>()?;
    let mut plans: Vec<Plan> = doors.iter().map(|door| Plan::of(&door.role)).collect();
    let mut observatory = observatory(settings, &doors, &plans, &shared);
    match socket::listen(&settings.store.folder, listeners.len(), settings.workers) {
        Ok(listener) => {
            plans.push(Plan::Command(command::Limits::default()));
            let purpose = "the command line of this machine".to_owned();
            let about = About { protocol: "command", purpose, refusals: None };
            observatory.channels.insert(listener.channel().index, about);
            listeners.push(listener);
        }
        // Our clients then take a command channel.
        Err(error) => tracing::warn!(%error, "no socket for the command line"),
    }
    let is_implicit = |door: &Door| door.implicit_tls().is_some();
    let at_once = doors.iter().zip(&terms).map(|(door, terms)| terms.clone().filter(|_| is_implicit(door)));
    let parts = Parts {
        plans,
        terms: at_once.collect(),
        sites: open_sites(settings)?,
        hostname: settings.hostname.clone(),
        desk: OnceLock::new(),
        observatory: Arc::new(observatory),
        shared: shared.clone(),
        log: log.clone(),
    };
    let limit = Limit::new(settings.most_connections, settings.most_per_source);
    let (workers, threads) = Workers::start(listeners, limit, move |workers, index| parts.services(workers, index))
        .map_err(|error| StartError::Io("start a worker thread", error))?;
    Ok(Server { doors, workers, threads, shared, attendant })
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
    /// By the channel's index.
    plans: Vec<Plan>,
    /// On what terms each speaks TLS from the first byte, by its index.
    terms: Vec<Option<Arc<Terms>>>,
    sites: Vec<Opened>,
    hostname: String,
    desk: OnceLock<Desk>,
    observatory: Arc<Observatory>,
    shared: Shared,
    log: Log,
}

/// What is served on a channel, as all workers share it.
enum Plan {
    Sites(http::Limits),
    Desk(http::Limits),
    Smtp(Arc<smtp::Policy>),
    Command(command::Limits),
}

impl Plan {
    fn of(role: &Role) -> Self {
        match role {
            Role::Sites(limits) => Self::Sites(*limits),
            Role::Desk(limits) => Self::Desk(*limits),
            Role::Smtp(settings) => Self::Smtp(Arc::new(smtp::Policy::new(settings))),
            Role::Command(limits) => Self::Command(*limits),
        }
    }

    fn refusals(&self) -> Option<Arc<smtp::Refusals>> {
        match self {
            Self::Smtp(policy) => Some(Arc::clone(policy.refusals())),
            Self::Sites(_) | Self::Desk(_) | Self::Command(_) => None,
        }
    }
}

impl Parts {
    fn services(&self, workers: &Workers, index: usize) -> Services {
        if let Some(samples) = self.observatory.samples.get(index) {
            Recorder::install(index, self.log.clone(), Arc::clone(samples));
        }
        let observer: Observer = Arc::clone(&self.observatory).observer(workers);
        // All workers' desks are one, so that those who watch share one producer of pictures.
        let new_desk = || {
            let Shared { store, conversations, .. } = &self.shared;
            Desk::new(store.clone(), Arc::clone(&observer), conversations.clone())
        };
        let desk = self.desk.get_or_init(new_desk).clone();
        let desk = Rc::new(http::Served::Desk(desk));
        let sites = Rc::new(http::Served::Sites(sites(&self.sites).0));
        let service = |plan: &Plan| match plan {
            Plan::Sites(limits) => Service::Http(Rc::new(http::Service { served: Rc::clone(&sites), limits: *limits })),
            Plan::Desk(limits) => Service::Http(Rc::new(http::Service { served: Rc::clone(&desk), limits: *limits })),
            Plan::Smtp(policy) => Service::Smtp(Rc::new(self.smtp(policy))),
            Plan::Command(limits) => Service::Command(Rc::new(self.command(limits, &observer, workers))),
        };
        let encrypted = |(index, plan): (usize, &Plan)| match self.terms.get(index).cloned().flatten() {
            Some(terms) => Service::Encrypted(Rc::new((terms, service(plan)))),
            None => service(plan),
        };
        Services { channels: self.plans.iter().enumerate().map(encrypted).collect() }
    }

    fn smtp(&self, policy: &Arc<smtp::Policy>) -> smtp::Service {
        let conversations = self.shared.conversations.clone();
        smtp::Service::new(self.shared.store.clone(), &self.hostname, Arc::clone(policy), conversations)
    }

    fn command(&self, limits: &command::Limits, observer: &Observer, workers: &Workers) -> command::Service {
        let channels = self.plans.iter().enumerate().filter(|(_, plan)| matches!(plan, Plan::Command(_)));
        command::Service::new(command::Parts {
            store: self.shared.store.clone(),
            runner: self.shared.runner.clone(),
            observer: Arc::clone(observer),
            workers: workers.clone(),
            limits: *limits,
            channels: channels.map(|(index, _)| index).collect(),
            records: self.shared.records.clone(),
        })
    }
}

/// A site with its folders open, in the order of its description.
pub type Opened = (Vec<Arc<Root>>, Site);

fn open_sites(settings: &Settings) -> Result<Vec<Opened>, StartError> {
    let state = &settings.store.folder;
    settings.sites.iter().map(|site| Ok((open_roots(site, state)?, site.clone()))).collect()
}

/// Opens the folders of a site. Nothing of the state folder is ever served, wherever it lies: it holds everybody's mail.
///
/// # Errors
/// When one is not to be had.
pub fn open_roots(site: &Site, state: &Path) -> Result<Vec<Arc<Root>>, files::OpenError> {
    let open = |folder: &Folder| {
        let root = Root::open(&folder.path)?.following(folder.settings.links).keeping_back(state)?;
        if root.keeps_back() {
            let (state, root) = (state.display(), folder.path.display());
            tracing::warn!(%state, %root, "the state folder lies in a folder that is served: it is kept back");
        }
        Ok(Arc::new(root))
    };
    site.description.folders.iter().map(open).collect()
}

/// What the HTTP channels give that are not the desk, and each site in the order of the settings.
pub fn sites(opened: &[Opened]) -> (http::Sites, Vec<Rc<site::Site>>) {
    let (mut sites, mut all) = (http::Sites::default(), Vec::new());
    for (roots, written) in opened {
        let folders = written.description.folders.iter().zip(roots);
        let files =
            |(folder, root): (&Folder, &Arc<Root>)| Rc::new(Files::new(Arc::clone(root), Arc::clone(&folder.settings)));
        let site = Rc::new(site::Site::new(Arc::clone(&written.description), folders.map(files).collect()));
        if let Err(taken) = sites.add(&written.hosts.names, &site) {
            tracing::error!(%taken, "a site is not served by this name");
        }
        if written.hosts.others == Others::Answered {
            sites.set_default(Rc::clone(&site));
        }
        all.push(site);
    }
    (sites, all)
}

fn observatory(settings: &Settings, doors: &[Door], plans: &[Plan], shared: &Shared) -> Observatory {
    let about = |(door, plan): (&Door, &Plan)| {
        let about = About {
            protocol: door.role.protocol(),
            purpose: announce::purpose(&door.role, door.channel.address, settings),
            refusals: plan.refusals().map(|refusals| Box::new(move || views(&refusals)) as _),
        };
        (door.channel.index, about)
    };
    Observatory {
        address: settings.address,
        state: settings.store.folder.clone(),
        channels: doors.iter().zip(plans).map(about).collect(),
        samples: (0..settings.workers).map(|_| Samples::default()).collect(),
        store: shared.store.clone(),
        runner: shared.runner.clone(),
        began: Instant::now(),
    }
}

fn views(refusals: &smtp::Refusals) -> Vec<RefusalView> {
    let view = |reason: smtp::Reason| RefusalView { reason: reason.name().to_owned(), count: refusals.total(reason) };
    smtp::Reason::ALL.map(view).to_vec()
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

#[cfg(test)]
mod tests {
    use sportello_net::simulation;
    use sportello_net::{Deadlines, Speaker};

    use super::*;

    /// What tokio's task adds to its future (header, scheduler, links); the whole is a multiple of 128, and shall be 256.
    const TASK: usize = 96;

    #[test]
    fn the_task_of_a_connection_is_small() {
        let channel = simulation::channel(Speaker::Client, Deadlines::default());
        simulation::run(channel, async |simulation| {
            let services = Services { channels: Vec::new() };
            let client = simulation.connect(|connection| {
                let future = services.serve(connection);
                assert!(size_of_val(&future) + TASK <= 256, "the future takes {} bytes", size_of_val(&future));
                future
            });
            client.leave().await;
        });
    }
}
