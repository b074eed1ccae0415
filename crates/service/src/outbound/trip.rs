//! One batch, from its destination's name to what each recipient has come to.
//!
//! Servers are tried in their order until one says something of the message. Whoever may have taken it keeps it from the others. Bounded by [`WHOLE`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::ServerName;
use sportello_wire::smtp::client::Event;
use tokio::time::timeout;
use tracing::info;

use super::answers::Obstacle;
use super::assurance::{Assurance, Demand, Judge, is_of_use};
use super::dial::{Addresses, Dialling, addresses, dial};
use super::line::{Line, Lost};
use super::load::Load;
use super::lookup::records;
use super::route::{self, Host, Route};
use super::settings::{Relay, RelayTls};
use super::sts::{Mode, Policy};
use super::transaction::give;
use super::transcript::Transcript;
use super::{Exit, Kept, Outbound};
use crate::dns::{Kind, Proof, Record};
use crate::queue::carrier::{Reach, Reports};
use crate::queue::{Batch, Carried, Fate};

/// How long one batch may take.
pub(super) const WHOLE: Duration = Duration::from_secs(45 * 60);

/// Carries a batch.
pub(super) async fn take(outbound: &Outbound, batch: Batch, kept: Option<Kept>) -> Carried<Kept> {
    let mut trip = Trip {
        outbound,
        exit: Exit::default(),
        transcript: Transcript::default(),
        fates: vec![None; batch.recipients.len()],
        reach: Reach::Unreached,
        server: None,
        reports: Reports::Ours,
    };
    let kept = match timeout(WHOLE, trip.go(batch, kept)).await {
        Ok(Ok(kept)) => kept,
        Ok(Err(obstacle)) => {
            trip.transcript.note(obstacle.text());
            trip.rest(&obstacle);
            None
        }
        Err(_) => {
            trip.rest(&Obstacle::now(4, 2, "the servers took too long"));
            None
        }
    };
    // Whoever was not spoken of by anybody is tried again.
    trip.rest(&Obstacle::now(3, 0, "nothing was said of this recipient"));
    Carried {
        fates: trip.fates.into_iter().flatten().collect(),
        reach: trip.reach,
        server: trip.server,
        reports: trip.reports,
        conversation: trip.transcript.text(),
        kept,
    }
}

struct Trip<'a> {
    outbound: &'a Outbound,
    exit: Exit,
    transcript: Transcript,
    fates: Vec<Option<Fate>>,
    reach: Reach,
    server: Option<String>,
    reports: Reports,
}

/// One server that is tried.
struct Target {
    host: Host,
    port: u16,
    demand: Demand,
    relay: Option<Relay>,
}

impl Target {
    fn name(&self) -> String {
        match &self.host {
            Host::Name(name) => name.clone(),
            Host::Literal(address) => address.to_string(),
        }
    }

    fn server_name(&self) -> Result<ServerName<'static>, Obstacle> {
        match &self.host {
            Host::Literal(address) => Ok(ServerName::from(*address)),
            Host::Name(name) => ServerName::try_from(name.clone())
                .map_err(|_| Obstacle::now(4, 4, format!("{name} is no name that a certificate could have"))),
        }
    }
}

impl Trip<'_> {
    async fn go(&mut self, batch: Batch, kept: Option<Kept>) -> Result<Option<Kept>, Obstacle> {
        let loaded = Load::of(batch, &self.outbound.settings).await?;
        let (destination, mut load) = (loaded.destination, loaded.load);
        (self.exit, self.fates) = (loaded.exit, loaded.fates);
        if load.places.is_empty() {
            return Ok(kept);
        }
        if let Some(Kept { mut line, server, exit }) = kept {
            if exit == self.exit && !load.needs_tls && line.is_usable() {
                self.transcript.note(&format!("on the connection to {server} that was kept"));
                self.server = Some(server.clone());
                match self.give(line, &mut load, server).await {
                    Ok(kept) => return Ok(kept),
                    Err(obstacle) => self.transcript.note(obstacle.text()),
                }
            } else {
                line.leave(&mut Transcript::default()).await;
            }
        }
        let mut last = None;
        match self.exit.relay.clone() {
            Some(relay) => match self.by_relay(relay, &mut load).await {
                Ok(kept) => return Ok(kept),
                Err(obstacle) => last = Some(obstacle),
            },
            None => {
                let route = route::find(&destination, &*self.outbound.dns, &self.outbound.settings.ourselves).await?;
                let policy = self.policy(&destination).await;
                for host in route.hosts.clone() {
                    match self.by_server(host, &route, policy.as_ref(), &mut load).await {
                        Ok(kept) => return Ok(kept),
                        Err(obstacle) => {
                            self.transcript.note(obstacle.text());
                            // What may work later is said, rather than what will not.
                            if !matches!((&last, &obstacle), (Some(Obstacle::Now(_)), Obstacle::Never(_))) {
                                last = Some(obstacle);
                            }
                        }
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| Obstacle::now(4, 0, "no server was tried")))
    }

    async fn policy(&self, destination: &str) -> Option<Policy> {
        if destination.starts_with('[') {
            return None;
        }
        let outbound = self.outbound;
        outbound.policies.of(destination, &*outbound.dns, &outbound.fetcher(), SystemTime::now()).await
    }

    async fn by_relay(&mut self, relay: Relay, load: &mut Load) -> Result<Option<Kept>, Obstacle> {
        let roots = || Arc::clone(&self.outbound.roots);
        let demand = match relay.tls {
            RelayTls::Required | RelayTls::Implicit => Demand::Certified(roots()),
            RelayTls::Opportunistic | RelayTls::Off if load.needs_tls => Demand::Certified(roots()),
            RelayTls::Opportunistic => Demand::Opportunistic,
            RelayTls::Off => Demand::Plain,
        };
        let host = relay.host.parse().map_or_else(|_| Host::Name(relay.host.clone()), Host::Literal);
        let found = self.found(&host).await?;
        let target = Target { host, port: relay.port, demand, relay: Some(relay) };
        self.visit(&target, &found, load).await
    }

    async fn by_server(
        &mut self,
        host: Host,
        route: &Route,
        policy: Option<&Policy>,
        load: &mut Load,
    ) -> Result<Option<Kept>, Obstacle> {
        let found = self.found(&host).await?;
        let proof = if found.proof == Proof::Validated { route.proof } else { Proof::None };
        let demand = self.demand(&host, proof, policy, load.needs_tls).await?;
        let target = Target { host, port: self.outbound.settings.port, demand, relay: None };
        self.visit(&target, &found, load).await
    }

    async fn found(&self, host: &Host) -> Result<Addresses, Obstacle> {
        match host {
            Host::Literal(address) => Ok(Addresses { known: vec![*address], proof: Proof::None }),
            Host::Name(name) => Ok(addresses(name, &*self.outbound.dns).await?),
        }
    }

    /// What this server must prove.
    async fn demand(
        &self,
        host: &Host,
        proof: Proof,
        policy: Option<&Policy>,
        needs_tls: bool,
    ) -> Result<Demand, Obstacle> {
        let Host::Name(name) = host else {
            let obstacle =
                Obstacle::never(7, 30, "an address without a name proves nothing, and the message requires TLS");
            return if needs_tls { Err(obstacle) } else { Ok(Demand::Opportunistic) };
        };
        // RFC 8461 §2: where DANE says something, it counts.
        if proof == Proof::Validated
            && let Some(demand) = self.dane(name).await?
        {
            return Ok(demand);
        }
        let roots = || Arc::clone(&self.outbound.roots);
        let is_named = policy.is_some_and(|policy| policy.names(name));
        match policy.map(|policy| policy.mode) {
            Some(Mode::Enforce) if !is_named => {
                Err(Obstacle::now(7, 5, format!("{name} is no mail server of this domain by its MTA-STS policy")))
            }
            Some(Mode::Enforce) => Ok(Demand::Certified(roots())),
            // RFC 8689 §4.2.1: who the servers are must be known for certain.
            _ if needs_tls && (is_named || proof == Proof::Validated) => Ok(Demand::Certified(roots())),
            _ if needs_tls => {
                let text =
                    format!("nothing proves that {name} is the domain's mail server, and the message requires TLS");
                Err(Obstacle::never(7, 30, text))
            }
            Some(Mode::Testing) => {
                if !is_named {
                    info!(host = name, "is no mail server of its domain by its MTA-STS policy, which is being tested");
                }
                Ok(Demand::Noted(roots()))
            }
            Some(Mode::None) | None => Ok(Demand::Opportunistic),
        }
    }

    /// RFC 7672 §2.2: what the DNS says of its certificate, if that is proved.
    async fn dane(&self, host: &str) -> Result<Option<Demand>, Obstacle> {
        let name = format!("_{}._tcp.{host}", self.outbound.settings.port);
        let found = records(&*self.outbound.dns, &name, Kind::Tlsa).await;
        // RFC 7672 §2.1.1: somebody may be hiding them.
        let found = found.map_err(|error| Obstacle::now(7, 5, error.to_string()))?;
        if found.proof != Proof::Validated || found.records.is_empty() {
            return Ok(None);
        }
        let tlsa = found.records.into_iter();
        let tlsa = tlsa.filter_map(|record| if let Record::Tlsa(tlsa) = record { Some(tlsa) } else { None });
        let usable: Vec<_> = tlsa.filter(is_of_use).collect();
        Ok(Some(if usable.is_empty() { Demand::Encrypted } else { Demand::Dane(usable) }))
    }

    /// Connects, greets, encrypts, logs in, and gives the message.
    async fn visit(&mut self, target: &Target, found: &Addresses, load: &mut Load) -> Result<Option<Kept>, Obstacle> {
        let mut line = match self.reach(target, found, &target.demand).await {
            Err(Refusal::Handshake(error)) if !target.demand.needs_tls() => {
                // RFC 7435 §3: encryption that fails is no reason to send nothing.
                self.transcript.note(&format!("{error}; once more without"));
                match self.reach(target, found, &Demand::Plain).await {
                    Ok(line) => line,
                    Err(refusal) => return Err(refusal.obstacle()),
                }
            }
            Ok(line) => line,
            Err(refusal) => return Err(refusal.obstacle()),
        };
        let server = format!("{} [{}]", target.name(), line.peer.ip());
        if let Some(name) = line.session.server().filter(|name| self.outbound.settings.ourselves.is_named(name)) {
            let text = format!("{server} calls itself {name}, as this server does: mail would run in a circle");
            line.leave(&mut self.transcript).await;
            return Err(Obstacle::never(4, 6, text));
        }
        if let Some((name, password)) = target.relay.as_ref().and_then(|relay| relay.login.as_ref()) {
            if line.assurance == Assurance::Clear {
                line.leave(&mut self.transcript).await;
                return Err(Obstacle::now(7, 0, format!("{server} offers no TLS, and no password is said without")));
            }
            let known = line.log_in(name, password, &mut self.transcript).await;
            known.map_err(|error| Obstacle::now(7, 8, format!("{server}: {error}")))?;
        }
        if load.needs_tls && line.assurance < Assurance::Verified {
            line.leave(&mut self.transcript).await;
            return Err(Obstacle::now(7, 5, format!("{server} is not verified, and the message requires TLS")));
        }
        self.give(line, load, server).await
    }

    /// A connection on which the server is ready, encrypted as is demanded.
    async fn reach(&mut self, target: &Target, found: &Addresses, demand: &Demand) -> Result<Line, Refusal> {
        let settings = &self.outbound.settings;
        // What is configured is meant; what a stranger's DNS says is looked at.
        let allowed = target.relay.is_none().then_some(settings.allowed.as_slice());
        let sources = self.exit.sources.clone();
        let dialling = Dialling { ourselves: &settings.ourselves, allowed, sources: &sources };
        let name = target.name();
        let socket =
            dial(&name, &found.known, target.port, dialling).await.map_err(|error| Refusal::Other(error.into()))?;
        let lost = |error: Lost| Refusal::lost(&name, error);
        let (judge, config) =
            Judge::new(demand.clone()).map_err(|error| Refusal::Other(Obstacle::now(3, 0, error.to_string())))?;
        let server_name = target.server_name().map_err(Refusal::Other)?;
        let is_implicit = target.relay.as_ref().is_some_and(|relay| relay.tls == RelayTls::Implicit);
        let tls = is_implicit.then(|| (Arc::clone(&config), server_name.clone()));
        let mut line = Line::open(socket, &settings.host_name, tls).await.map_err(lost)?;
        self.transcript.note(&format!("connected to {name} [{}] port {}", line.peer.ip(), line.peer.port()));
        self.server = Some(format!("{name} [{}]", line.peer.ip()));
        let mut out = Vec::new();
        match line.advance(&mut out, &mut self.transcript).await.map_err(lost)? {
            Event::Ready => {}
            Event::Closing(reply) => return Err(Refusal::Other(Obstacle::closed(&reply))),
            _ => return Err(Refusal::Other(Obstacle::now(5, 0, format!("{name} does not greet")))),
        }
        if line.assurance == Assurance::Clear && !matches!(demand, Demand::Plain) {
            line = self.encrypt(line, demand, config, server_name).await?;
        }
        if line.assurance != Assurance::Clear {
            let (assurance, doubt) = judge.assurance();
            line.assurance = assurance;
            let word = if assurance == Assurance::Verified { "verified" } else { "not verified" };
            self.transcript.note(&format!("{}, {word}", line.cipher().unwrap_or_default()));
            if let (Demand::Noted(_), Some(doubt)) = (demand, doubt) {
                info!(host = name, doubt, "does not prove what its MTA-STS policy says, which is being tested");
            }
        }
        Ok(line)
    }

    /// STARTTLS, where the server has it; without it, only where nothing else is demanded.
    async fn encrypt(
        &mut self,
        mut line: Line,
        demand: &Demand,
        config: Arc<rustls::ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Line, Refusal> {
        let peer = line.peer.ip();
        if !line.session.offered().starttls {
            if demand.needs_tls() {
                line.leave(&mut self.transcript).await;
                let text =
                    format!("[{peer}] offers no TLS, which its policy promises: somebody may have taken it away");
                return Err(Refusal::Other(Obstacle::now(7, 5, text)));
            }
            return Ok(line);
        }
        let lost = |error: Lost| Refusal::lost(&peer.to_string(), error);
        let mut out = Vec::new();
        line.session.start_tls(&mut out);
        match line.advance(&mut out, &mut self.transcript).await.map_err(lost)? {
            Event::StartTls => {}
            Event::TlsRefused(reply) if demand.needs_tls() => return Err(Refusal::Other(Obstacle::closed(&reply))),
            Event::TlsRefused(_) => return Ok(line),
            Event::Closing(reply) => return Err(Refusal::Other(Obstacle::closed(&reply))),
            _ => return Err(Refusal::Other(Obstacle::now(5, 0, format!("[{peer}] does not answer STARTTLS")))),
        }
        match line.secure(config, name, &mut self.transcript).await.map_err(lost)? {
            (line, Event::Ready) => Ok(line),
            (_, Event::Closing(reply)) => Err(Refusal::Other(Obstacle::closed(&reply))),
            _ => Err(Refusal::Other(Obstacle::now(5, 0, format!("[{peer}] does not greet under TLS")))),
        }
    }

    /// Gives the message to a server that is ready; an obstacle where another one may be tried.
    async fn give(&mut self, line: Line, load: &mut Load, server: String) -> Result<Option<Kept>, Obstacle> {
        let is_dsn = line.session.offered().dsn;
        let given = give(line, &load.letter, &load.envelope, &mut self.transcript).await;
        if given.fates.iter().any(Option::is_some) {
            self.reach = Reach::Spoke;
            self.reports = if is_dsn { Reports::PassedOn } else { Reports::Ours };
        }
        let mut open = Vec::new();
        for (at, fate) in given.fates.into_iter().enumerate() {
            let Some(place) = load.places.get(at).copied() else { continue };
            match fate {
                Some(fate) => {
                    if let Some(slot) = self.fates.get_mut(place) {
                        *slot = Some(fate);
                    }
                }
                None => open.push(at),
            }
        }
        let Some(obstacle) = given.obstacle else {
            return Ok(given.line.map(|line| Kept { line, server, exit: self.exit.clone() }));
        };
        if let Some(line) = given.line {
            line.leave(&mut self.transcript).await;
        }
        if !given.is_nobodys {
            self.transcript.note(obstacle.text());
            self.rest(&obstacle);
            return Ok(None);
        }
        if open.is_empty() {
            return Ok(None);
        }
        // The others may be given to another server.
        load.envelope.recipients = open.iter().filter_map(|at| load.envelope.recipients.get(*at).cloned()).collect();
        load.places = open.iter().filter_map(|at| load.places.get(*at).copied()).collect();
        Err(obstacle)
    }

    /// Whoever has no fate yet has this one.
    fn rest(&mut self, obstacle: &Obstacle) {
        self.fates.iter_mut().filter(|fate| fate.is_none()).for_each(|fate| *fate = Some(obstacle.fate()));
    }
}

/// Why a server is not ready.
enum Refusal {
    /// TLS fails.
    Handshake(Lost),
    /// Something else.
    Other(Obstacle),
}

impl Refusal {
    fn lost(host: &str, error: Lost) -> Self {
        if let Lost::Tls(_) = error {
            Self::Handshake(error)
        } else {
            Self::Other(Obstacle::now(4, 2, format!("{host}: {error}")))
        }
    }

    fn obstacle(self) -> Obstacle {
        match self {
            Self::Handshake(error) => Obstacle::now(7, 5, error.to_string()),
            Self::Other(obstacle) => obstacle,
        }
    }
}
