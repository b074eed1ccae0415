//! What all workers make their services from, as of one configuration; and the services themselves.
//!
//! A reload makes a [`Generation`] whole, from settings that were checked, before anything of the running server changes. It is
//! then put in place of the one before, and each worker makes its services from it on its own thread. Sessions ask for their
//! service at each request ([`Current`]), so a request ends with the generation it began with.
//!
//! Bounded by: one generation for as long as its last request.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sportello_net::tls::{self, Terms};
use sportello_net::{Connection, Serve, Workers};
use sportello_service::certificates::Answers;
use sportello_service::desk::Desk;
use sportello_service::directory::Addresses;
use sportello_service::dns::{Servers, System, Validation};
use sportello_service::judge::{self, Judge};
use sportello_service::picture::{Observer, RefusalView};
use sportello_service::run::Runner;
use sportello_service::site::Description;
use sportello_service::spool::Spool;
use sportello_service::web::Network;
use tracing::debug;

use crate::carried;
use crate::config::{AccessLog, Begins, Door, Role, Settings, Site};
use crate::current::Current;
use crate::encryption::{self, Encryption, EncryptionError, Handshake};
use crate::introduction;
use crate::observe::access::{AccessLogs, Lines, Renewed, SiteLog, Target};
use crate::observe::log::Log;
use crate::observe::{Observatory, Recorder};
use crate::opened::{self, Opened};
use crate::protocol::{command, http, smtp};
use crate::reload::Reloads;
use crate::server::{Shared, StartError};

/// What lives as long as the process, and the generation of now.
pub(crate) struct House {
    pub(crate) shared: Shared,
    pub(crate) observatory: Arc<Observatory>,
    pub(crate) log: Log,
    pub(crate) access_logs: AccessLogs,
    pub(crate) desk: OnceLock<Desk>,
    /// By which the command line asks for a reload.
    pub(crate) reloads: Reloads,
    /// What a CA is answered over HTTP.
    pub(crate) answers: Answers,
    pub(crate) now: Mutex<Arc<Generation>>,
}

impl House {
    pub(crate) fn now(&self) -> Arc<Generation> {
        Arc::clone(&self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn replace(&self, generation: Arc<Generation>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = generation;
    }
}

/// What is served, as one configuration says.
pub(crate) struct Generation {
    planned: Vec<Planned>,
    sites: Vec<Opened>,
    /// Those of the sites that have one, in their order.
    logs: Vec<Option<SiteLog>>,
    /// What was opened for them, until it is in force.
    renewed: Vec<Renewed>,
    hostname: String,
    /// What addresses mean: the domains are this configuration's, the key for rewritten senders is the process's.
    addresses: Addresses,
    /// Which name servers are asked about mail.
    name_servers: (Servers, Validation),
    pub(crate) runner: Runner,
    /// Where long bodies of requests wait, whatever the configuration.
    spool: Arc<Spool>,
    slow_log: command::SlowLogSettings,
}

/// One channel.
struct Planned {
    /// Its number.
    index: usize,
    plan: Plan,
    /// On what terms it speaks TLS, if it does, and from when on.
    terms: Option<(Arc<Terms>, Begins)>,
    /// What these were made from.
    tls: Option<tls::Settings>,
    /// The port to which its requests are sent, if they are only sent elsewhere.
    https: Option<u16>,
    /// Who connects for others.
    introducers: Arc<[Network]>,
}

/// What is served on a channel, as all workers share it.
pub(crate) enum Plan {
    Sites(http::Limits),
    Desk(http::Limits),
    Smtp(Arc<smtp::Policy>, Box<smtp::Settings>),
    Command(command::Limits),
    /// The commands of this machine's administrator.
    CommandLine,
}

impl Plan {
    /// `before` is what was served on the channel until now: what each source has used is not forgotten where its bounds stay.
    fn of(role: &Role, before: Option<&Self>) -> Self {
        match role {
            Role::Sites(limits) => Self::Sites(*limits),
            Role::Desk(limits) => Self::Desk(*limits),
            Role::Command(limits) => Self::Command(*limits),
            Role::Smtp(settings) => {
                let policy = match before {
                    Some(Self::Smtp(policy, its)) if **its == *settings => Arc::clone(policy),
                    Some(Self::Smtp(policy, _)) => Arc::new(policy.renewed(settings)),
                    _ => Arc::new(smtp::Policy::new(settings)),
                };
                Self::Smtp(policy, Box::new(settings.clone()))
            }
        }
    }

    /// Asks what it has refused, by reason; for one that counts that.
    pub(crate) fn refusals(&self) -> Option<impl Fn() -> Vec<RefusalView> + Send + Sync + use<>> {
        let Self::Smtp(policy, _) = self else { return None };
        let refusals = Arc::clone(policy.refusals());
        let view =
            move |reason: smtp::Reason| RefusalView { reason: reason.name().to_owned(), count: refusals.total(reason) };
        Some(move || smtp::Reason::ALL.map(&view).to_vec())
    }
}

impl Generation {
    /// That of `settings`, whose channels have their numbers, `runner` runs the programs; `addresses` are the server's.
    pub(crate) fn new(
        settings: &Settings,
        doors: &[Door],
        (runner, addresses): (Runner, &Addresses),
        (encryption, logs): (&Encryption, &AccessLogs),
        before: Option<&Self>,
    ) -> Result<Self, StartError> {
        let planned = |door: &Door| {
            let index = door.channel.index;
            let before = before.and_then(|before| before.planned(index));
            let settings = door.tls.as_ref().map(|tls| &tls.settings);
            let terms = match (before, &door.tls) {
                (_, None) => None,
                // How often each source has shaken hands is not forgotten.
                (Some(planned), Some(_)) if planned.tls.as_ref() == settings => planned.terms.clone(),
                (_, Some(tls)) => encryption.terms(door)?.map(|terms| (terms, tls.begins)),
            };
            Ok::<_, EncryptionError>(Planned {
                index,
                plan: Plan::of(&door.role, before.map(|planned| &planned.plan)),
                terms,
                tls: settings.cloned(),
                https: door.to_https.map(|port| port.among(doors)),
                introducers: door.introducers.as_slice().into(),
            })
        };
        let planned = doors.iter().map(planned).collect::<Result<_, _>>()?;
        let mut sites = opened::open(settings)?;
        before.iter().for_each(|before| carried::carry(&mut sites, &before.sites));
        let spool = before.map_or_else(
            || Arc::new(Spool::new(&settings.store.folder, settings.uploads)),
            |before| Arc::clone(&before.spool),
        );
        let (logs, renewed) = open_logs(&settings.sites, logs)?;
        Ok(Self {
            planned,
            sites,
            logs,
            renewed,
            hostname: settings.hostname.clone(),
            addresses: addresses.with(Arc::clone(&settings.mail)),
            name_servers: (settings.sending.servers.clone(), settings.sending.validation),
            runner,
            spool,
            slow_log: settings.slow_log,
        })
    }

    /// Who judges mail that arrives for accounts; nobody where there are none. On the thread whose runtime asks the name servers.
    fn judge(&self) -> Option<Judge> {
        if self.addresses.domains().only_capture() {
            return None;
        }
        let (servers, validation) = &self.name_servers;
        let asked = System::asking(servers, *validation);
        let settings = judge::Settings { server: self.hostname.clone() };
        let made = asked.map_err(|error| error.to_string());
        let made = made.and_then(|dns| Judge::new(settings, Arc::new(dns)).map_err(|error| error.to_string()));
        made.inspect_err(|error| tracing::error!(%error, "mail that arrives is not judged")).ok()
    }

    /// With the commands of this machine's administrator on the channel of this number.
    pub(crate) fn with_command_line(mut self, index: usize) -> Self {
        let (plan, introducers) = (Plan::CommandLine, Arc::default());
        self.planned.push(Planned { index, plan, terms: None, tls: None, https: None, introducers });
        self
    }

    /// Puts the access logs in force that were opened for it: from here on nothing refuses it.
    pub(crate) fn begin_logs(&mut self) {
        mem::take(&mut self.renewed).into_iter().for_each(Renewed::put_in_force);
    }

    pub(crate) fn plan(&self, index: usize) -> Option<&Plan> {
        self.planned(index).map(|planned| &planned.plan)
    }

    /// What was written of each site.
    pub(crate) fn sites(&self) -> impl Iterator<Item = &Arc<Description>> {
        self.sites.iter().map(|(_, site)| &site.description)
    }

    fn planned(&self, index: usize) -> Option<&Planned> {
        self.planned.iter().find(|planned| planned.index == index)
    }
}

/// The logs of sites, in the order of these, and what was opened for them: each file once.
fn open_logs(sites: &[Site], logs: &AccessLogs) -> Result<(Vec<Option<SiteLog>>, Vec<Renewed>), StartError> {
    let (mut of_sites, mut renewed) = (Vec::new(), HashMap::new());
    for site in sites {
        let Some(wanted) = &site.log else {
            of_sites.push(None);
            continue;
        };
        let one = match renewed.entry(&wanted.target) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(open_log(wanted, logs)?),
        };
        of_sites.push(Some(SiteLog { sink: Arc::clone(one.sink()), format: wanted.format }));
    }
    Ok((of_sites, renewed.into_values().collect()))
}

fn open_log(wanted: &AccessLog, logs: &AccessLogs) -> Result<Renewed, StartError> {
    logs.open(&wanted.target, wanted.rotation).map_err(|error| match &wanted.target {
        Target::File(path) => StartError::AccessLog(path.clone(), error),
        Target::Stdout => StartError::Io("write access logs to standard output", error),
    })
}

/// What the sessions of one worker use; made on its thread.
pub(crate) struct Services {
    /// The worker's number.
    index: usize,
    house: Arc<House>,
    workers: Workers,
    observer: Observer,
    /// By the channel's number.
    channels: RefCell<HashMap<usize, Place>>,
}

/// What is served on a channel, on this worker.
struct Place {
    service: Service,
    /// Who connects for others.
    introducers: Arc<[Network]>,
    /// Whether the channel is still one of the server's.
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Served,
    /// It is no more, and its last sessions end.
    Leaving,
}

/// Channels that serve the same share it.
#[derive(Clone)]
enum Service {
    Http(Current<http::Service>),
    Smtp(Current<smtp::Service>),
    Command(Current<command::Service>),
    /// One of them, within TLS from the first byte.
    Encrypted(Rc<(Arc<Terms>, Service)>),
    /// One of these, for a client of whom somebody else says first who it is.
    Introduced(Rc<Service>),
}

impl Service {
    fn is_alone(&self) -> bool {
        match self {
            Self::Http(place) => place.is_alone(),
            Self::Smtp(place) => place.is_alone(),
            Self::Command(place) => place.is_alone(),
            Self::Encrypted(inner) => Rc::strong_count(inner) == 1 && inner.1.is_alone(),
            Self::Introduced(inner) => inner.is_alone(),
        }
    }

    /// What is spoken, whether within TLS or not.
    fn spoken(&self) -> &Self {
        match self {
            Self::Encrypted(inner) => &inner.1,
            Self::Introduced(inner) => inner.spoken(),
            plain => plain,
        }
    }
}

impl Serve for Services {
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + 'static {
        let index = connection.channel().index;
        let service = self.channels.borrow().get(&index).map(|place| place.service_for(connection.peer()));
        converse(Box::new(connection), service)
    }

    fn renew(&self) {
        let generation = self.house.now();
        let desk = Rc::new(http::Served::Desk(self.desk()));
        let (mut sites, all) = opened::sites(&generation.sites, &generation.spool, Some(&generation.runner));
        for site in &all {
            site.count_in(self.house.observatory.routes.tallies(self.index, site.description()));
            site.begin();
        }
        for (site, log) in all.iter().zip(&generation.logs) {
            log.iter().for_each(|log| sites.log_to(site, log.clone()));
        }
        let sites = Rc::new(http::Served::Sites(sites));
        let http = |served: &Rc<_>, limits: &_, planned: &Planned| {
            let (https, terms) = (planned.https, &planned.terms);
            let terms = terms.as_ref().map(|(terms, _)| terms).filter(|terms| !terms.asks_all_the_same());
            let answers = self.house.answers.clone();
            http::Service { served: Rc::clone(served), limits: *limits, answers, terms: terms.cloned(), https }
        };
        let judge = generation.judge();
        let smtp = |(policy, settings): (&_, &smtp::Settings), terms: &Option<(Arc<Terms>, Begins)>| {
            let offered = terms.clone().filter(|(_, begins)| *begins == Begins::WhenAsked);
            let service = self.smtp(&generation, policy);
            let is_capture =
                generation.addresses.domains().only_capture() && settings.purpose == smtp::Purpose::Exchange;
            let service = match is_capture {
                true => service,
                false => {
                    let accounts = self.house.shared.accounts.clone();
                    let office = smtp::Office::new(accounts, generation.addresses.clone());
                    let office = judge.iter().cloned().fold(office, smtp::Office::judging);
                    service.asking(office, settings.purpose)
                }
            };
            service.offering(offered.map(|(terms, _)| terms))
        };
        let mut channels = self.channels.borrow_mut();
        channels.retain(|index, place| generation.plan(*index).is_some() || place.leave());
        for planned in &generation.planned {
            let Planned { index, plan, terms, introducers, .. } = planned;
            match (plan, channels.get(index).map(|place| place.service.spoken())) {
                (Plan::Sites(limits), Some(Service::Http(place))) => place.set(http(&sites, limits, planned)),
                (Plan::Desk(limits), Some(Service::Http(place))) => place.set(http(&desk, limits, planned)),
                (Plan::Smtp(policy, its), Some(Service::Smtp(place))) => place.set(smtp((policy, its), terms)),
                (Plan::Command(_) | Plan::CommandLine, Some(Service::Command(place))) => {
                    place.set(self.command(&generation, plan));
                }
                (plan, _) => {
                    let spoken = match plan {
                        Plan::Sites(limits) => Service::Http(Current::new(http(&sites, limits, planned))),
                        Plan::Desk(limits) => Service::Http(Current::new(http(&desk, limits, planned))),
                        Plan::Smtp(policy, its) => Service::Smtp(Current::new(smtp((policy, its), terms))),
                        Plan::Command(_) | Plan::CommandLine => {
                            Service::Command(Current::new(self.command(&generation, plan)))
                        }
                    };
                    let service = match terms {
                        Some((terms, Begins::AtOnce)) => Service::Encrypted(Rc::new((Arc::clone(terms), spoken))),
                        Some((_, Begins::WhenAsked)) | None => spoken,
                    };
                    let introducers = Arc::default();
                    channels.insert(*index, Place { service, introducers, standing: Standing::Served });
                }
            }
            let Some(place) = channels.get_mut(index) else { continue };
            place.introducers = Arc::clone(introducers);
            if let Some((terms, Begins::AtOnce)) = terms {
                place.shake_hands_by(terms);
            }
        }
    }
}

/// The future is as large as its largest part, and keeps a place for what it has passed on: an idle HTTP connection, of which there
/// are most, shall pay for neither.
#[expect(clippy::manual_async_fn, reason = "an async function keeps two places for each of its arguments")]
fn converse(connection: Box<Connection>, service: Option<Service>) -> impl Future<Output = ()> {
    async move {
        match service {
            Some(Service::Http(service)) => http::serve(connection, service).await,
            Some(Service::Smtp(service)) => Box::pin(smtp::serve(*connection, service)).await,
            Some(Service::Command(service)) => Box::pin(command::serve(*connection, service)).await,
            Some(Service::Encrypted(inner)) => Box::pin(converse_encrypted(connection, inner)).await,
            Some(Service::Introduced(inner)) => Box::pin(converse_introduced(connection, inner)).await,
            None => {}
        }
    }
}

fn speaks_http2(connection: &Connection) -> bool {
    connection.secured().is_some_and(|secured| secured.protocol.as_deref() == Some(b"h2"))
}

/// Serves a connection that begins with TLS.
async fn converse_encrypted(mut connection: Box<Connection>, inner: Rc<(Arc<Terms>, Service)>) {
    let (terms, service) = &*inner;
    let handshake = Box::pin(encryption::shake_hands(&mut connection, terms)).await;
    match (handshake, service.clone()) {
        (Handshake::Done, Service::Http(service)) if speaks_http2(&connection) => {
            http::serve_http2(connection, service).await;
        }
        (Handshake::Done, Service::Http(service)) => http::serve(connection, service).await,
        (Handshake::Done, Service::Smtp(service)) => Box::pin(smtp::serve(*connection, service)).await,
        (Handshake::Done, Service::Command(service)) => Box::pin(command::serve(*connection, service)).await,
        (Handshake::NotTls, Service::Http(_)) => Box::pin(http::not_tls(connection)).await,
        (Handshake::NotTls, Service::Command(_)) => Box::pin(command::not_tls(connection)).await,
        (Handshake::NotTls | Handshake::Done | Handshake::Over, _) => {}
    }
}

/// Serves a connection that somebody has made for another one.
async fn converse_introduced(mut connection: Box<Connection>, inner: Rc<Service>) {
    match introduction::hear(&mut connection).await {
        Ok(()) => Box::pin(converse(connection, Some(Service::clone(&inner)))).await,
        Err(error) => debug!(connection = connection.id(), peer = %connection.peer(), %error, "not introduced"),
    }
}

impl Place {
    /// What a connection from there is served by.
    fn service_for(&self, peer: SocketAddr) -> Service {
        if self.introducers.iter().any(|network| network.has(peer.ip())) {
            return Service::Introduced(Rc::new(self.service.clone()));
        }
        self.service.clone()
    }

    /// From the next handshake on these are the terms, where it begins with one.
    fn shake_hands_by(&mut self, terms: &Arc<Terms>) {
        if let Service::Encrypted(inner) = &mut self.service
            && !Arc::ptr_eq(&inner.0, terms)
        {
            *inner = Rc::new((Arc::clone(terms), inner.1.clone()));
        }
    }

    /// The channel is no more; whether what it served is still needed: by sessions that are open, and by connections that are on
    /// their way from another worker just now.
    fn leave(&mut self) -> bool {
        let before = mem::replace(&mut self.standing, Standing::Leaving);
        before == Standing::Served || !self.service.is_alone()
    }
}

impl Services {
    /// Those of worker `index`, on its thread.
    pub(crate) fn new(house: Arc<House>, workers: &Workers, index: usize) -> Self {
        if let Some(samples) = house.observatory.samples.get(index) {
            Recorder::install(index, house.log.clone(), Arc::clone(samples));
        }
        Lines::install();
        let observer = Arc::clone(&house.observatory).observer(workers);
        let services = Self { index, house, workers: workers.clone(), observer, channels: RefCell::default() };
        services.renew();
        services
    }

    /// All workers' desks are one, so that those who watch share one producer of pictures.
    fn desk(&self) -> Desk {
        let Shared { store, conversations, .. } = &self.house.shared;
        let new = || Desk::new(store.clone(), Arc::clone(&self.observer), conversations.clone());
        self.house.desk.get_or_init(new).clone()
    }

    fn smtp(&self, generation: &Generation, policy: &Arc<smtp::Policy>) -> smtp::Service {
        let Shared { store, conversations, .. } = &self.house.shared;
        smtp::Service::new(store.clone(), &generation.hostname, Arc::clone(policy), conversations.clone())
    }

    fn command(&self, generation: &Generation, plan: &Plan) -> command::Service {
        let is_command = |plan: &Plan| matches!(plan, Plan::Command(_) | Plan::CommandLine);
        let channels =
            generation.planned.iter().filter(|planned| is_command(&planned.plan)).map(|planned| planned.index);
        let (limits, reloads, accounts, dkim) = match plan {
            Plan::Command(limits) => (*limits, None, None, None),
            _ => {
                let Shared { accounts, dkim, .. } = &self.house.shared;
                let reloads = self.house.reloads.clone();
                (command::Limits::default(), Some(reloads), Some(accounts.clone()), Some(dkim.clone()))
            }
        };
        command::Service::new(command::Parts {
            store: self.house.shared.store.clone(),
            runner: generation.runner.clone(),
            observer: Arc::clone(&self.observer),
            keyring: self.house.observatory.keyring.clone(),
            dkim,
            mail: Arc::clone(generation.addresses.domains()),
            workers: self.workers.clone(),
            limits,
            channels: channels.collect(),
            records: self.house.shared.records.clone(),
            slow_log: generation.slow_log,
            reloads,
            accounts,
        })
    }
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
            let client = simulation.connect(|connection| {
                let future = converse(Box::new(connection), None);
                assert!(size_of_val(&future) + TASK <= 256, "the future takes {} bytes", size_of_val(&future));
                future
            });
            client.leave().await;
        });
    }

    #[test]
    fn what_a_channel_that_goes_served_is_kept_for_those_on_their_way() {
        let served = Rc::new(http::Served::Sites(http::Sites::default()));
        let limits = http::Limits::default();
        let service =
            Current::new(http::Service { served, limits, answers: Answers::default(), terms: None, https: None });
        let session = service.clone();
        let introducers = Arc::default();
        let mut place = Place { service: Service::Http(service), introducers, standing: Standing::Served };
        // Once for those who are just handed over, then for as long as a session has it.
        assert!(place.leave() && place.leave());
        drop(session);
        assert!(!place.leave());
    }
}
