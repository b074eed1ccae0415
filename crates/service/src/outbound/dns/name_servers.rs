//! Name servers that are asked: those of this machine, or those that are configured.
//!
//! Names are asked for as they are: no search list, no `/etc/hosts`. An answer counts as validated only if the server says so and is trusted
//! to say so: nobody stands between us and a server on this machine. Bounded by [`ANSWER`] for a question, [`ATTEMPTS`] of it, and the cache.

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
use super::{ALIASES_MOST, Answer, Found, Kind, Proof, RECORDS_MOST, Record, Resolve, Tlsa, Unknown};

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

/// The servers cannot be asked.
#[derive(Debug, Error)]
pub enum BadServers {
    /// `/etc/resolv.conf` cannot be read.
    #[error("the name servers of this machine are not known")]
    System(#[source] NetError),
    /// Something below is missing.
    #[error("no name server can be asked")]
    Set(#[source] NetError),
}

type Pool = RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>;

/// The servers, and what they said lately.
pub struct NameServers {
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
/// How long it holds that there is nothing, where the answer does not say.
const NOTHING: Duration = Duration::from_secs(60);

impl NameServers {
    /// Asks these. Reads `/etc/resolv.conf` where it is to.
    ///
    /// # Errors
    /// When there is nobody to ask.
    pub fn new(servers: &Servers, validation: Validation) -> Result<Self, BadServers> {
        let (configured, mut options) = match servers {
            Servers::System => {
                let (config, options) = read_system_conf().map_err(BadServers::System)?;
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
        let context = PoolContext::new(options, TlsConfig::new().map_err(BadServers::Set)?);
        let pool = NameServerPool::from_config(configured, Arc::new(context), TokioRuntimeProvider::new());
        Ok(Self { pool: RetryDnsHandle::new(pool, ATTEMPTS), cache: Cache::default(), proves })
    }

    async fn look_up(&self, name: &str, kind: Kind) -> Result<Found, Unknown> {
        let first = Name::from_ascii(name).map_err(|_| Unknown::Name(name.to_owned()))?;
        let mut at = first;
        at.set_fqdn(true);
        let mut proof = Proof::Validated;
        for _ in 0..=ALIASES_MOST {
            let Some(response) = self.ask(&at, kind).await? else {
                return Ok(Found::nothing(NOTHING));
            };
            if !(self.proves && response.metadata.authentic_data) {
                proof = Proof::None;
            }
            match follow(&response, at, kind) {
                Followed::Records(mut found) => {
                    found.proof = proof;
                    return Ok(found);
                }
                Followed::Alias(next) => at = next,
                Followed::Circle => break,
            }
        }
        Err(Unknown::Circle(name.to_owned()))
    }

    /// One question; `None`: there is nothing of this kind.
    async fn ask(&self, name: &Name, kind: Kind) -> Result<Option<DnsResponse>, Unknown> {
        let mut options = DnsRequestOptions::default();
        // RFC 6840 §5.7: who wants to know whether it was validated must say so.
        options.edns_set_dnssec_ok = self.proves;
        let response = self.pool.lookup(Query::query(name.clone(), record_type(kind)), options).first_answer().await;
        let response = response.and_then(|response| DnsError::from_response(response).map_err(NetError::from));
        match response {
            Ok(response) => Ok(Some(response)),
            Err(NetError::Dns(DnsError::NoRecordsFound(_))) => Ok(None),
            Err(error) => Err(Unknown::NoAnswer(name.to_string(), error.to_string())),
        }
    }
}

impl Resolve for NameServers {
    fn records<'a>(&'a self, name: &'a str, kind: Kind) -> Answer<'a> {
        Box::pin(async move {
            let name = name.to_ascii_lowercase();
            if let Some(found) = self.cache.find(&name, kind, Instant::now()) {
                return Ok(found);
            }
            let silent = || Unknown::NoAnswer(name.clone(), "nobody answered in time".to_owned());
            let found = timeout(ANSWER, self.look_up(&name, kind)).await.unwrap_or_else(|_| Err(silent()))?;
            self.cache.keep(&name, kind, &found, Instant::now());
            Ok(found)
        })
    }
}

impl std::fmt::Debug for NameServers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("NameServers")
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
        Kind::Tlsa => RecordType::TLSA,
    }
}

enum Followed {
    Records(Found),
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
            return Followed::Records(Found { records, proof: Proof::None, valid: Duration::from_secs(valid.into()) });
        }
        let alias = of_name()
            .find_map(|record| if let RData::CNAME(target) = &record.data { Some(target.0.clone()) } else { None });
        match alias {
            Some(next) => at = next,
            None if at == asked => return Followed::Records(Found::nothing(NOTHING)),
            None => return Followed::Alias(at),
        }
    }
    Followed::Circle
}

fn read(data: &RData, kind: Kind) -> Option<Record> {
    Some(match (kind, data) {
        (Kind::Mx, RData::MX(mx)) => Record::Mx(mx.preference, plain(&mx.exchange)),
        (Kind::A, RData::A(address)) => Record::Address(address.0.into()),
        (Kind::Aaaa, RData::AAAA(address)) => Record::Address(address.0.into()),
        (Kind::Txt, RData::TXT(text)) => Record::Text(text.txt_data.concat()),
        (Kind::Tlsa, RData::TLSA(tlsa)) => Record::Tlsa(Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        }),
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
