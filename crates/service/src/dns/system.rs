//! Real name servers, asked by hickory: those of this machine, or those that are named.
//!
//! Remembers what it was told for as long as that holds. The machine's own table of hosts is not looked at: what is asked here is
//! what the world publishes. Bounded by: [`TIME`] for one server and try, [`TRIES`], and hickory's memory of 8,192 answers.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver, TokioResolver};

use super::{Asked, Dns, Kind, Record, Unanswered};

/// How long one server has to answer.
const TIME: Duration = Duration::from_secs(5);
/// How often a question is asked again.
const TRIES: usize = 2;

/// Real name servers.
#[derive(Clone, Debug)]
pub struct System {
    resolver: TokioResolver,
}

/// It cannot be known whom to ask.
#[derive(Debug, thiserror::Error)]
#[error("the machine's list of name servers cannot be read")]
pub struct SystemError(#[source] NetError);

impl System {
    /// Those of this machine (`/etc/resolv.conf`), read now. Reads a file.
    pub fn new() -> Result<Self, SystemError> {
        let (config, options) = read_system_conf().map_err(SystemError)?;
        Self::asking(ResolverConfig::from_name_servers(config.name_servers().to_vec()), options)
    }

    /// These alone, over UDP, and over TCP where an answer does not fit.
    pub fn of(servers: &[SocketAddr]) -> Result<Self, SystemError> {
        let server = |address: &SocketAddr| {
            let at_its_port = |mut connection: ConnectionConfig| {
                connection.port = address.port();
                connection
            };
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(at_its_port).to_vec();
            NameServerConfig::new(address.ip(), true, connections)
        };
        let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
        Self::asking(config, ResolverOpts::default())
    }

    fn asking(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self, SystemError> {
        options.timeout = TIME;
        options.attempts = TRIES;
        options.use_hosts_file = ResolveHosts::Never;
        let builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options);
        Ok(Self { resolver: builder.build().map_err(SystemError)? })
    }

    async fn look_up(&self, name: &str, kind: Kind) -> Result<Vec<Record>, Unanswered> {
        // Labels, not the notation of zone files, in which a backslash of a sender's choice would mean something.
        let labels = name.strip_suffix('.').unwrap_or(name).split('.').map(str::as_bytes);
        let name = Name::from_labels(labels).map_err(|_| Unanswered::NoSuchName)?;
        let found = match self.resolver.lookup(name, asked(kind)).await {
            Ok(found) => found,
            Err(error) if error.is_nx_domain() => return Err(Unanswered::NoSuchName),
            Err(error) if error.is_no_records_found() => return Err(Unanswered::NoRecords),
            Err(error) => return Err(Unanswered::Trouble(error.to_string())),
        };
        // What an alias led through is among the answers too.
        let records: Vec<Record> = found.answers().iter().filter_map(|record| told(&record.data, kind)).collect();
        if records.is_empty() { Err(Unanswered::NoRecords) } else { Ok(records) }
    }
}

impl Dns for System {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asked<'a> {
        Box::pin(self.look_up(name, kind))
    }
}

fn asked(kind: Kind) -> RecordType {
    match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Mx => RecordType::MX,
        Kind::Txt => RecordType::TXT,
        Kind::Ptr => RecordType::PTR,
    }
}

fn told(data: &RData, kind: Kind) -> Option<Record> {
    match (kind, data) {
        (Kind::A, RData::A(address)) => Some(Record::A(address.0)),
        (Kind::Aaaa, RData::AAAA(address)) => Some(Record::Aaaa(address.0)),
        (Kind::Mx, RData::MX(mx)) => Some(Record::Mx { preference: mx.preference, exchange: written(&mx.exchange) }),
        (Kind::Txt, RData::TXT(text)) => Some(Record::Txt(text.txt_data.concat())),
        (Kind::Ptr, RData::PTR(name)) => Some(Record::Ptr(written(name))),
        _ => None,
    }
}

fn written(name: &Name) -> String {
    let mut name = name.to_ascii();
    if name.ends_with('.') {
        name.pop();
    }
    name
}
