//! The picture of the running server: plain data that STATUS, the desk, `sportello status` and the tour all show.
//!
//! It is made by `sportello::observe` from every crate's counters, and read back by our own clients, hence `Deserialize`.

mod certificate;
mod web;

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::queue::Counted;

pub use certificate::CertificateView;
pub use web::{ApplicationView, RouteView, UpstreamView};

/// Makes a [`Picture`] of this moment. Asking costs each worker one message.
pub type Observer = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Picture> + Send>> + Send + Sync>;

/// One moment of the server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Picture {
    /// The version of the program.
    pub version: String,
    /// The process id.
    pub pid: u32,
    /// The one address, as given.
    pub address: Option<IpAddr>,
    /// The state folder.
    pub state: String,
    /// Milliseconds since 1970-01-01T00:00:00Z at which this picture was made.
    pub now_ms: u64,
    /// Milliseconds since the server began to accept.
    pub uptime_ms: u64,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Which file says what the server does; `None` where flags do.
    #[serde(default)]
    pub configuration: Option<ConfigurationView>,
    /// One entry per channel, in the order they were configured.
    pub channels: Vec<ChannelView>,
    /// One entry per thread of the process.
    pub threads: Vec<ThreadView>,
    /// Open connections, oldest first; at most [`Picture::MOST_CONNECTIONS`].
    pub connections: Vec<ConnectionView>,
    /// How many connections are open, also those beyond the list.
    pub connections_open: u64,
    /// The latest requests, oldest first; a sample under load.
    pub requests: Vec<RequestView>,
    /// The store.
    pub store: StoreView,
    /// What became of mail for other servers.
    #[serde(default)]
    pub sending: Counted,
    /// Who is not heard.
    #[serde(default)]
    pub bans: BansView,
    /// Programs.
    pub programs: ProgramsView,
    /// The certificates in use, those that end first; at most [`Picture::MOST_CERTIFICATES`].
    #[serde(default)]
    pub certificates: Vec<CertificateView>,
    /// What sites and their routes have answered; at most [`Picture::MOST_ROUTES`], the rest told as one more.
    #[serde(default)]
    pub routes: Vec<RouteView>,
    /// Whom they pass requests on to; at most [`Picture::MOST_UPSTREAMS`].
    #[serde(default)]
    pub upstreams: Vec<UpstreamView>,
    /// The applications that they ask; at most as many.
    #[serde(default)]
    pub applications: Vec<ApplicationView>,
}

impl Picture {
    /// The most connections a picture lists.
    pub const MOST_CONNECTIONS: usize = 1000;
    /// The most certificates a picture lists.
    pub const MOST_CERTIFICATES: usize = 100;
    /// The most routes a picture tells one by one.
    pub const MOST_ROUTES: usize = 256;
    /// The most upstreams, and the most applications, that it lists.
    pub const MOST_UPSTREAMS: usize = 256;
}

/// The configuration in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationView {
    /// The file.
    pub file: String,
    /// The beginning of the SHA-256 of its text, in hexadecimal digits.
    pub hash: String,
    /// Milliseconds since 1970-01-01T00:00:00Z at which it was loaded.
    pub loaded_ms: u64,
}

/// One channel. Counts are totals since the start; a rate is the difference of two pictures.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ChannelView {
    /// Its name: `web`, `mail`, `commands`, `desk`.
    pub name: String,
    /// Its protocol: `http`, `smtp`, `command`.
    pub protocol: String,
    /// Where it listens.
    pub address: Option<SocketAddr>,
    /// What it does, in a few words, as in the table printed at start.
    pub purpose: String,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused by a limit.
    pub refused: u64,
    /// Connections open now.
    pub open: u64,
    /// TLS handshakes, those that went on with an earlier one not counted.
    #[serde(default)]
    pub handshakes: u64,
    /// TLS handshakes that went on with an earlier one.
    #[serde(default)]
    pub resumed: u64,
    /// TLS handshakes that failed.
    #[serde(default)]
    pub unsecured: u64,
    /// Requests answered (HTTP requests, SMTP messages, commands).
    pub requests: u64,
    /// Requests answered with an error of any kind.
    pub failures: u64,
    /// Bytes received from clients.
    pub bytes_in: u64,
    /// Bytes sent to clients.
    pub bytes_out: u64,
    /// What a mail channel refused to sources that were too early, too often there or wanted too much; empty for others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<RefusalView>,
}

/// How often something was refused for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalView {
    /// `connection-rate`, `pregreet`, `message-rate`, `recipient-rate`, `error-rate` or `disk-share`.
    pub reason: String,
    /// How often since the start.
    pub count: u64,
}

/// One thread of the process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ThreadView {
    /// Its name, as `top -H` shows it.
    pub name: String,
    /// The kernel's thread id.
    pub tid: u32,
    /// User and system time it has used, in milliseconds.
    pub cpu_ms: u64,
    /// What it is doing, for people: `waiting`, `running`.
    pub doing: String,
    /// Connections it holds, when it is a worker.
    pub connections: Option<u64>,
    /// Requests it has answered, when it is a worker.
    pub requests: Option<u64>,
}

/// One open connection.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ConnectionView {
    /// Its id, unique in this process.
    pub id: u64,
    /// The channel's name.
    pub channel: String,
    /// The worker thread's name.
    pub worker: String,
    /// The client.
    pub peer: Option<SocketAddr>,
    /// Milliseconds since it was accepted.
    pub age_ms: u64,
    /// Milliseconds since its last byte in or out.
    pub idle_ms: u64,
    /// What it is doing: `idle`, `GET /x`, `DATA`, the name of a command.
    pub doing: String,
    /// The name it gave itself (CLIENT SETNAME, EHLO).
    pub name: String,
    /// How it is encrypted: the version of TLS, the cipher suite, and after them the name that was asked for; empty where it is not.
    #[serde(default)]
    pub tls: String,
    /// The client's own certificate, where it showed one: its subject, and the SHA-256 of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Requests answered on it.
    pub requests: u64,
    /// Bytes received and sent by us.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// What the kernel says of its TCP.
    pub tcp: Option<TcpView>,
}

/// The part of TCP_INFO that people can read (`man 7 tcp`, linux/tcp.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TcpView {
    /// Smoothed round-trip time, microseconds.
    pub rtt_us: u32,
    /// Its variance, microseconds.
    pub rtt_variance_us: u32,
    /// Least round-trip time seen, microseconds.
    pub min_rtt_us: u32,
    /// Segments sent again, in all.
    pub retransmits: u32,
    /// The congestion window, segments.
    pub congestion_window: u32,
    /// Largest segment we send, bytes.
    pub segment_size: u32,
    /// What the path delivered lately, bytes per second.
    pub delivery_rate: u64,
    /// Payload bytes sent, repeats included.
    pub bytes_sent: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// Window the peer offers us, bytes.
    pub send_window: u32,
}

/// One request that was answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RequestView {
    /// Its id: the connection's, a dot, the request's number on it.
    pub id: String,
    /// The channel's name.
    pub channel: String,
    /// The worker thread's name.
    pub worker: String,
    /// The client.
    pub peer: Option<SocketAddr>,
    /// When it was answered, milliseconds since 1970.
    pub at_ms: u64,
    /// What was asked: `GET /x`, `MAIL 4711`, `PING`.
    pub what: String,
    /// What was answered: `200`, `250`, `ok`, `exit 1`.
    pub outcome: String,
    /// Bytes of the answer.
    pub bytes: u64,
    /// Microseconds from its first byte to its answer.
    pub took_us: u64,
}

/// The store's figures.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StoreView {
    /// Messages in all mailboxes.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Messages accepted since the start.
    pub accepted: u64,
    /// Transactions committed since the start; accepted ÷ commits is the size of a group.
    pub commits: u64,
    /// Bodies that are in memory now, bytes.
    pub memory_bytes: u64,
    /// Bodies that went through the spool since the start.
    pub spooled: u64,
    /// Why writes are refused, if they are.
    pub failed: Option<String>,
}

/// The list of bans, in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BansView {
    /// Sources that are banned now.
    pub standing: u64,
    /// Bans since the start.
    pub begun: u64,
    /// Connections of banned sources that were closed since.
    pub refused: u64,
}

/// The figures of the programs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProgramsView {
    /// The configured names.
    pub names: Vec<String>,
    /// Invocations running now.
    pub running: u64,
    /// Invocations waiting for a permit.
    pub queued: u64,
    /// Invocations finished since the start.
    pub finished: u64,
    /// The spawner's process id.
    pub spawner_pid: Option<u32>,
}
