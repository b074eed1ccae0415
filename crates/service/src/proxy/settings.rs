//! What a proxy is told: its upstreams, how they share the work, how long each of its waits is.

use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::ServerName;

use super::address::Address;
use super::encryption::Encryption;
use super::health::Health;
use crate::web::{Network, Says};

/// Checked settings of one proxy.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its upstreams; at least one, at most [`UPSTREAMS_MOST`].
    pub upstreams: Vec<Member>,
    /// Who gets the next request.
    pub balance: Balance,
    /// What Host says.
    pub host: Host,
    /// Who is believed to say who is behind it.
    pub trusted: Vec<Network>,
    /// By which fields.
    pub says: Vec<Says>,
    /// How long each wait is.
    pub timeouts: Timeouts,
    /// Idle connections that each worker keeps to each upstream.
    pub idle_most: usize,
    /// How long one is kept.
    pub idle_age: Duration,
    /// Requests that all workers together pass on at once; more wait for [`Timeouts::connect`].
    pub requests_most: usize,
    /// Upstreams that are tried for one request, the first one counted.
    pub tries: u8,
    /// When an upstream is left out because requests fail there.
    pub ejection: Option<Ejection>,
    /// How upstreams are asked whether they are well, if they are.
    pub health: Option<Health>,
}

/// The most upstreams of one proxy.
pub const UPSTREAMS_MOST: usize = 64;

/// One upstream of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where it is.
    pub address: Address,
    /// Its share, against those of the others; 1 to 1000.
    pub weight: u16,
    /// When it is asked.
    pub role: Role,
    /// How it is spoken to over TLS, where it is.
    pub encryption: Option<Encryption>,
    /// The name that its certificate must bear, where that is not its address's.
    pub(super) server_name: Option<ServerName<'static>>,
}

/// When an upstream is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Always.
    Regular,
    /// When no other one is there.
    Backup,
}

/// Who gets the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// One after the other, by weight.
    RoundRobin,
    /// Whoever has the fewest requests under way, by weight.
    LeastConnections,
    /// Of two drawn at random, the one with fewer requests under way.
    RandomOfTwo,
    /// Always the same for the same client address, for as long as it is there.
    AddressHash,
}

/// What Host says to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// What the client asked for.
    Client,
    /// The upstream's own.
    Upstream,
    /// This.
    Fixed(Bytes),
}

/// How long each wait is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, its TLS handshake included.
    pub connect: Duration,
    /// From the end of a request to the head of its answer.
    pub head: Duration,
    /// For each step of progress within a body, either way.
    pub between: Duration,
    /// For either side of a tunnel to say something.
    pub tunnel: Duration,
}

/// When an upstream is left out because requests fail there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// This many failures…
    pub failures: u16,
    /// …within this time…
    pub within: Duration,
    /// …leave it out for this long; then one request tries it.
    pub period: Duration,
}

impl Member {
    /// One at this address, like any other.
    pub fn of(address: Address) -> Self {
        Self { address, weight: 1, role: Role::Regular, encryption: None, server_name: None }
    }
}

impl Member {
    /// The same, known over TLS by this host's name.
    ///
    /// # Errors
    /// When it is none; then it comes back as it was.
    pub fn known_as(self, name: &str) -> Result<Self, Self> {
        match ServerName::try_from(name.to_owned()) {
            Ok(name) => Ok(Self { server_name: Some(name), ..self }),
            Err(_) => Err(self),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            head: Duration::from_secs(60),
            between: Duration::from_secs(60),
            tunnel: Duration::from_secs(600),
        }
    }
}

impl Default for Ejection {
    fn default() -> Self {
        Self { failures: 3, within: Duration::from_secs(10), period: Duration::from_secs(10) }
    }
}

impl Settings {
    /// Settings for these upstreams, all else as it is usual.
    pub fn of(upstreams: impl IntoIterator<Item = Address>) -> Self {
        Self {
            upstreams: upstreams.into_iter().map(Member::of).collect(),
            balance: Balance::RoundRobin,
            host: Host::Client,
            trusted: Vec::new(),
            says: vec![Says::default()],
            timeouts: Timeouts::default(),
            idle_most: 32,
            idle_age: Duration::from_secs(60),
            requests_most: 1024,
            tries: 3,
            ejection: None,
            health: None,
        }
    }

    /// Whether the balance looks at how much each upstream has to do.
    pub(super) fn counts_loads(&self) -> bool {
        matches!(self.balance, Balance::LeastConnections | Balance::RandomOfTwo)
    }
}
