//! The figures: what is loaded, against whom, and what is wanted of the ratio.

pub(crate) mod before;
pub(crate) mod build;
pub(crate) mod gzip;
pub(crate) mod http;
pub(crate) mod mail;
pub(crate) mod memory;
pub(crate) mod ping;
pub(crate) mod programs;
pub(crate) mod proxy;
pub(crate) mod relay;
pub(crate) mod sites;
pub(crate) mod tls;

use self::http::Shape;
use crate::error::Error;
use crate::generator::exchange::Exchange;
use crate::generator::smtp::Sessions::{Kept, NewEach};
use crate::generator::tls::Resume;
use crate::harness::Harness;
use crate::result::Finding;
use crate::rounds::{Contender, Slice, take_turns};

/// One row of the table.
pub(crate) struct Case {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) run: fn(&Harness) -> Result<Finding, Error>,
    pub(crate) when: When,
}

/// Which of `all` it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// To each.
    Always,
    /// To the one where nothing is pinned.
    Unpinned,
    /// To the one where every server has its core.
    Pinned,
    /// To none: it is a second look at another case, or takes minutes.
    Asked,
}

/// All there are, in the order of the table.
pub(crate) const CASES: &[Case] = &[
    case("http-1k", "HTTP 1 KiB, 32 kept connections", |at| http::run(at, &Shape::kept(1 << 10, 32, 1.15))),
    pinned("http-1k-256", "HTTP 1 KiB, 256 kept connections", |at| http::run(at, &Shape::kept(1 << 10, 256, 1.15))),
    pinned("http-1k-1024", "HTTP 1 KiB, 1,024 kept connections", |at| http::run(at, &Shape::kept(1 << 10, 1024, 1.15))),
    case("http-1k-pipelined", "HTTP 1 KiB, 16 pipelined, 32 connections", |at| {
        http::run(at, &Shape::pipelined(1 << 10, 12.0))
    }),
    case("http-1k-new", "HTTP 1 KiB, new connection each, 32 at a time", |at| {
        http::run(at, &Shape::new_each(1 << 10, 1.0))
    }),
    pinned("http-16k", "HTTP 16 KiB, 32 kept connections", |at| http::run(at, &Shape::kept(16 << 10, 32, 1.05))),
    case("http-256k", "HTTP 256 KiB, 32 kept connections", |at| http::run(at, &Shape::kept(256 << 10, 32, 1.05))),
    pinned("http-10m", "HTTP 10 MiB, 32 kept connections", |at| http::run(at, &Shape::kept(10 << 20, 32, 1.0))),
    pinned("http-among-idle", "HTTP 1 KiB, p99 among 8,000 idle connections", |at| {
        http::among_idle(at, &Shape::kept(1 << 10, 32, 0.5).tail(), 8_000)
    }),
    unpinned("http-second-worker", "HTTP 1 KiB, two workers against one", |at| {
        http::second_worker(at, &Shape::kept(1 << 10, 32, 0.91))
    }),
    case("tls-full", "TLS 1.3, full handshakes", |at| tls::handshakes(at, Resume::Never, 1.8)),
    case("tls-resumed", "TLS 1.3, resumed handshakes", |at| tls::handshakes(at, Resume::ByTicket, 1.6)),
    case("tls-1k", "HTTPS 1 KiB, 32 kept connections", |at| tls::kept(at, 1 << 10, 1.15)),
    case("tls-256k", "HTTPS 256 KiB, 32 kept connections", |at| tls::kept(at, 256 << 10, 2.0)),
    case("h2-1k", "HTTP/2 over TLS 1 KiB, 16 connections of 32 streams", |at| tls::streams(at, 1.0)),
    case("proxy-1k", "proxy of 1 KiB, 32 kept connections, kept upstream", |at| proxy::kept(at, 1.0)),
    pinned("gzip-64k", "64 KiB of text, gzip 6 on the fly", |at| gzip::run(at, 64 << 10, 6, 1.0)),
    pinned("gzip-64k-1", "64 KiB of text, gzip 1 on the fly", |at| gzip::run(at, 64 << 10, 1, 1.0)),
    pinned("sites-start", "start with 1,000 sites and certificates", sites::start),
    pinned("sites-handshakes", "TLS 1.3, 1,000 names against one", |at| sites::handshakes(at, 0.9)),
    pinned("sites-requests", "HTTPS 1 KiB, 1,000 sites against one", |at| sites::requests(at, 0.9)),
    case("ping", "PING, 50 connections", |at| ping::run(at, 1)),
    case("ping-16", "PING, 16 pipelined, 50 connections", |at| ping::run(at, 16)),
    pinned("ping-100", "PING, 100 pipelined, 50 connections", |at| ping::run(at, 100)),
    case("programs", "a program for each connection, 4 at a time", programs::run),
    pinned("mail-1", "SMTP 4 KiB, 1 session", |at| mail::run(at, 1, 4 << 10, NewEach, 3.0)),
    pinned("mail-16", "SMTP 4 KiB, 16 sessions", |at| mail::run(at, 16, 4 << 10, NewEach, 10.0)),
    pinned("mail-64", "SMTP 4 KiB, 64 sessions", |at| mail::run(at, 64, 4 << 10, NewEach, 12.0)),
    pinned("mail-100k-1", "SMTP 100 KiB, 1 session", |at| mail::run(at, 1, 100 << 10, NewEach, 3.0)),
    pinned("mail-100k-16", "SMTP 100 KiB, 16 sessions", |at| mail::run(at, 16, 100 << 10, NewEach, 10.0)),
    pinned("mail-100k-64", "SMTP 100 KiB, 64 sessions", |at| mail::run(at, 64, 100 << 10, NewEach, 12.0)),
    pinned("mail-5m-1", "SMTP 5 MiB, 1 session", |at| mail::run(at, 1, 5 << 20, NewEach, 3.0)),
    pinned("mail-5m-16", "SMTP 5 MiB, 16 sessions", |at| mail::run(at, 16, 5 << 20, NewEach, 10.0)),
    pinned("mail-5m-64", "SMTP 5 MiB, 64 sessions", |at| mail::run(at, 64, 5 << 20, NewEach, 12.0)),
    asked("mail-kept-1", "SMTP 4 KiB, 1 session, kept for many mails", |at| mail::run(at, 1, 4 << 10, Kept, 3.0)),
    asked("mail-kept-16", "SMTP 4 KiB, 16 sessions, kept for many mails", |at| mail::run(at, 16, 4 << 10, Kept, 10.0)),
    asked("mail-kept-64", "SMTP 4 KiB, 64 sessions, kept for many mails", |at| mail::run(at, 64, 4 << 10, Kept, 12.0)),
    pinned("relay-1", "SMTP 4 KiB passed on to another server, 1 session", |at| relay::run(at, 1, 5.0)),
    pinned("relay-16", "SMTP 4 KiB passed on to another server, 16 sessions", |at| relay::run(at, 16, 5.0)),
    pinned("relay-64", "SMTP 4 KiB passed on to another server, 64 sessions", |at| relay::run(at, 64, 5.0)),
    pinned("memory-start", "resident at start", memory::start),
    pinned("memory-idle", "memory per idle kept HTTP connection, of 1,000", |at| memory::idle(at, 1_000)),
    pinned("memory-idle-8000", "memory per idle kept HTTP connection, of 8,000", |at| memory::idle(at, 8_000)),
    pinned("memory-websockets", "memory per idle proxied WebSocket, of 1,000", |at| proxy::websockets(at, 1_000)),
    pinned("memory-senders", "peak resident, 1,000 senders of 5 MiB", memory::senders),
    asked("observation", "HTTP 1 KiB with all observation, against none", |at| {
        http::observation(at, &Shape::kept(1 << 10, 32, 0.9))
    }),
    asked("observation-pipelined", "HTTP 1 KiB, 16 pipelined, with all observation, against none", |at| {
        http::observation(at, &Shape::pipelined(1 << 10, 0.75))
    }),
    asked("before-1k", "HTTP 1 KiB, 32 kept connections, against a binary before", |at| {
        before::run(at, &Shape::kept(1 << 10, 32, 0.97))
    }),
    asked("before-1k-pipelined", "HTTP 1 KiB, 16 pipelined, against a binary before", |at| {
        before::run(at, &Shape::pipelined(1 << 10, 0.97))
    }),
    asked("before-1k-new", "HTTP 1 KiB, new connection each, against a binary before", |at| {
        before::run(at, &Shape::new_each(1 << 10, 0.97))
    }),
    asked("before-16k", "HTTP 16 KiB, 32 kept connections, against a binary before", |at| {
        before::run(at, &Shape::kept(16 << 10, 32, 0.97))
    }),
    asked("before-256k", "HTTP 256 KiB, 32 kept connections, against a binary before", |at| {
        before::run(at, &Shape::kept(256 << 10, 32, 0.97))
    }),
    asked("build-time", "clean release build", build::clean),
];

type Run = fn(&Harness) -> Result<Finding, Error>;

const fn case(name: &'static str, title: &'static str, run: Run) -> Case {
    Case { name, title, run, when: When::Always }
}

const fn pinned(name: &'static str, title: &'static str, run: Run) -> Case {
    Case { name, title, run, when: When::Pinned }
}

const fn unpinned(name: &'static str, title: &'static str, run: Run) -> Case {
    Case { name, title, run, when: When::Unpinned }
}

const fn asked(name: &'static str, title: &'static str, run: Run) -> Case {
    Case { name, title, run, when: When::Asked }
}

/// `contenders` in turns, each under the exchange of its place.
fn in_turns(harness: &Harness, contenders: &mut [Contender], exchanges: &[Exchange]) -> Result<Vec<Vec<Slice>>, Error> {
    let named: Vec<String> = contenders.iter().map(|contender| contender.name.clone()).collect();
    take_turns(harness, contenders, &mut |contender, time, meter| {
        let exchange = named.iter().position(|name| *name == contender.name).and_then(|index| exchanges.get(index));
        exchange.ok_or_else(|| Error::not_so("an unknown server"))?.run(contender.address, time, meter)
    })
}
