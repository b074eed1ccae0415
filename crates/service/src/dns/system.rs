//! Real name servers, asked by hickory: those of this machine, or those that are named.
//!
//! Remembers what it was told for as long as that holds. The machine's own table of hosts and its search list are not looked at: what is asked here is
//! what the world publishes. An answer counts as validated only if the server says so and is trusted to say so: nobody stands between us and
//! a server on this machine. Bounded by: [`ANSWER`] for a question, [`ATTEMPT`] and [`ATTEMPTS`] of it, [`RECORDS_MOST`] of an answer, [`ALIASES_MOST`], and the cache.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts, ServerOrderingStrategy};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError, RetryDnsHandle};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use thiserror::Error;
use tokio::time::{Instant, timeout};

use super::cache::Cache;
use super::{Asked, Dns, Finding, Found, Kind, Proof, Record, Tlsa, Unanswered};

/// Which servers are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Servers {
    /// Those that `/etc/resolv.conf` names.
    #[default]
    System,
    /// These.
    These(Vec<SocketAddr>),
}

/// Whose word counts that an answer was validated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// That of servers on this machine.
    #[default]
    OnThisMachine,
    /// That of all of them: the way to them is safe.
    Trusted,
    /// Nobody's.
    Ignored,
}

/// It cannot be known whom to ask.
#[derive(Debug, Error)]
pub enum SystemError {
    /// `/etc/resolv.conf` cannot be read.
    #[error("the machine's list of name servers cannot be read")]
    List(#[source] NetError),
    /// Something below is missing.
    #[error("no name server can be asked")]
    Set(#[source] NetError),
}

type Pool = RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>;

/// Real name servers, and what they said lately.
pub struct System {
    pool: Pool,
    cache: Cache,
    proves: bool,
}

/// How long a question may take, with all of its repetitions and aliases.
const ANSWER: Duration = Duration::from_secs(20);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How often it is repeated.
const ATTEMPTS: usize = 2;
/// How long it holds that there is nothing.
const NOTHING: Duration = Duration::from_secs(60);
/// The most records of an answer that are looked at.
const RECORDS_MOST: usize = 1_000;
/// The most aliases that are followed.
const ALIASES_MOST: usize = 8;

/// An answer, and for how long it holds.
type Held = (Result<Found, Unanswered>, Duration);

impl System {
    /// Those of this machine (`/etc/resolv.conf`), read now. Reads a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new() -> Result<Self, SystemError> {
        Self::asking(&Servers::System, Validation::OnThisMachine)
    }

    /// These alone, over UDP, and over TCP where an answer does not fit.
    ///
    /// # Errors
    /// When nobody can be asked.
    pub fn of(servers: &[SocketAddr]) -> Result<Self, SystemError> {
        Self::asking(&Servers::These(servers.to_vec()), Validation::OnThisMachine)
    }

    /// These, who are believed so far. Reads `/etc/resolv.conf` where it is to.
    ///
    /// # Errors
    /// When nobody can be asked.
    pub fn asking(servers: &Servers, validation: Validation) -> Result<Self, SystemError> {
        let (configured, mut options) = match servers {
            Servers::System => {
                let (config, options) = read_system_conf().map_err(SystemError::List)?;
                (config.name_servers().to_vec(), options)
            }
            Servers::These(addresses) => {
                (addresses.iter().map(|address| server(*address)).collect(), ResolverOpts::default())
            }
        };
        let proves = match validation {
            Validation::OnThisMachine => {
                !configured.is_empty() && configured.iter().all(|server| server.ip.is_loopback())
            }
            Validation::Trusted => true,
            Validation::Ignored => false,
        };
        options.timeout = ATTEMPT;
        options.attempts = ATTEMPTS;
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        let context = PoolContext::new(options, TlsConfig::new().map_err(SystemError::Set)?);
        let pool = NameServerPool::from_config(configured, Arc::new(context), TokioRuntimeProvider::new());
        Ok(Self { pool: RetryDnsHandle::new(pool, ATTEMPTS), cache: Cache::default(), proves })
    }

    async fn look_up(&self, name: &str, kind: Kind) -> Held {
        // Labels, not the notation of zone files, in which a backslash of a sender's choice would mean something.
        let Ok(mut at) = Name::from_labels(name.split('.').map(str::as_bytes)) else {
            return (Err(Unanswered::NoSuchName), NOTHING);
        };
        let mut proof = Proof::Validated;
        for _ in 0..=ALIASES_MOST {
            let response = match self.ask_once(&at, kind).await {
                Ok(response) => response,
                Err(error) => return (Err(error), NOTHING),
            };
            if !(self.proves && response.metadata.authentic_data) {
                proof = Proof::None;
            }
            match follow(&response, at, kind) {
                Followed::Records(records, valid) if records.is_empty() => return (Err(Unanswered::NoRecords), valid),
                Followed::Records(records, valid) => return (Ok(Found { records, proof }), valid),
                Followed::Alias(next) => at = next,
                Followed::Circle => break,
            }
        }
        (Err(Unanswered::Trouble(format!("{name} is an alias that leads nowhere"))), NOTHING)
    }

    async fn ask_once(&self, name: &Name, kind: Kind) -> Result<DnsResponse, Unanswered> {
        let mut options = DnsRequestOptions::default();
        // RFC 6840 §5.7: who wants to know whether it was validated must say so.
        options.edns_set_dnssec_ok = self.proves;
        let response = self.pool.lookup(Query::query(name.clone(), record_type(kind)), options).first_answer().await;
        let response = response.and_then(|response| DnsError::from_response(response).map_err(NetError::from));
        response.map_err(|error| match error {
            error if error.is_nx_domain() => Unanswered::NoSuchName,
            error if error.is_no_records_found() => Unanswered::NoRecords,
            error => Unanswered::Trouble(format!("the DNS does not answer for {name}: {error}")),
        })
    }

    async fn find_it(&self, name: &str, kind: Kind) -> Result<Found, Unanswered> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if let Some(found) = self.cache.find(&name, kind, Instant::now()) {
            return found;
        }
        let silent = || Unanswered::Trouble(format!("the DNS does not answer for {name} in time"));
        let looked_up = timeout(ANSWER, self.look_up(&name, kind)).await;
        let (found, valid) = looked_up.unwrap_or_else(|_| (Err(silent()), NOTHING));
        if !matches!(found, Err(Unanswered::Trouble(_))) {
            self.cache.keep(&name, kind, (found.clone(), valid), Instant::now());
        }
        found
    }
}

impl Dns for System {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asked<'a> {
        Box::pin(async move { Ok(self.find_it(name, kind).await?.records) })
    }

    fn find<'a>(&'a self, name: &'a str, kind: Kind) -> Finding<'a> {
        Box::pin(self.find_it(name, kind))
    }
}

impl fmt::Debug for System {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("System")
    }
}

fn server(address: SocketAddr) -> NameServerConfig {
    let connection = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![connection(ConnectionConfig::udp()), connection(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::Mx => RecordType::MX,
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Txt => RecordType::TXT,
        Kind::Ptr => RecordType::PTR,
        Kind::Tlsa => RecordType::TLSA,
        Kind::Srv => RecordType::SRV,
        Kind::Caa => RecordType::CAA,
    }
}

enum Followed {
    Records(Vec<Record>, Duration),
    Alias(Name),
    Circle,
}

/// What an answer says of a name: its records, found over the aliases that are in it.
fn follow(response: &DnsResponse, asked: Name, kind: Kind) -> Followed {
    let answers = response.answers.get(..RECORDS_MOST).unwrap_or(&response.answers);
    let mut at = asked.clone();
    for _ in 0..=ALIASES_MOST {
        let of_name = || answers.iter().filter(|record| record.name == at);
        let found: Vec<_> = of_name().filter_map(|record| Some((read(&record.data, kind)?, record.ttl))).collect();
        if !found.is_empty() {
            let valid = found.iter().map(|(_, ttl)| *ttl).min().unwrap_or_default();
            let records = found.into_iter().map(|(record, _)| record).collect();
            return Followed::Records(records, Duration::from_secs(valid.into()));
        }
        let alias = of_name()
            .find_map(|record| if let RData::CNAME(target) = &record.data { Some(target.0.clone()) } else { None });
        match alias {
            Some(next) => at = next,
            None if at == asked => return Followed::Records(Vec::new(), NOTHING),
            None => return Followed::Alias(at),
        }
    }
    Followed::Circle
}

fn read(data: &RData, kind: Kind) -> Option<Record> {
    Some(match (kind, data) {
        (Kind::A, RData::A(address)) => Record::A(address.0),
        (Kind::Aaaa, RData::AAAA(address)) => Record::Aaaa(address.0),
        (Kind::Mx, RData::MX(mx)) => Record::Mx { preference: mx.preference, exchange: plain(&mx.exchange) },
        (Kind::Txt, RData::TXT(text)) => Record::Txt(text.txt_data.concat()),
        (Kind::Ptr, RData::PTR(name)) => Record::Ptr(plain(name)),
        (Kind::Tlsa, RData::TLSA(tlsa)) => Record::Tlsa(Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        }),
        (Kind::Srv, RData::SRV(srv)) => {
            Record::Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target: plain(&srv.target) }
        }
        (Kind::Caa, RData::CAA(caa)) => {
            Record::Caa { tag: caa.tag.clone(), value: String::from_utf8_lossy(&caa.value).into_owned() }
        }
        _ => return None,
    })
}

/// Without the dot at its end, in lower case; empty for the root.
fn plain(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
