//! HTTP against nginx, h2o, lighttpd and Caddy: CPU per request.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Error};
use crate::generator::exchange::{Exchange, Kind, Secrecy};
use crate::generator::http;
use crate::harness::Harness;
use crate::peers::nginx::{self, AccessLog, Files};
use crate::peers::sportello::{self, Door, Observation, Workers};
use crate::peers::{caddy, floor, h2o, lighttpd};
use crate::result::{Finding, Measure};
use crate::rounds::Contender;

/// What is asked for, and how.
pub(crate) struct Shape {
    length: usize,
    depth: u64,
    connections: usize,
    kind: Kind,
    /// What is wanted of the ratio to the first peer.
    target: f64,
    measure: Measure,
}

impl Shape {
    /// One request at a time on each of `connections` kept connections.
    pub(crate) const fn kept(length: usize, connections: usize, target: f64) -> Self {
        Self { length, depth: 1, connections, kind: Kind::Kept, target, measure: Measure::CpuPerOperation }
    }

    /// Sixteen requests at once on each of 32 connections.
    pub(crate) const fn pipelined(length: usize, target: f64) -> Self {
        Self { length, depth: 16, connections: 32, kind: Kind::Kept, target, measure: Measure::CpuPerOperation }
    }

    /// A new connection for each request, 32 at a time.
    pub(crate) const fn new_each(length: usize, target: f64) -> Self {
        Self { length, depth: 1, connections: 32, kind: Kind::NewEach, target, measure: Measure::CpuPerOperation }
    }

    /// The same, with the latency that counts which one request in a hundred exceeds.
    pub(crate) const fn tail(self) -> Self {
        Self { measure: Measure::Tail, ..self }
    }

    /// How nginx sends a file of this length best.
    fn files(&self) -> Files {
        if self.length < 256 << 10 { Files::Small } else { Files::Large }
    }
}

/// Sportello beside all peers.
pub(crate) fn run(harness: &Harness, shape: &Shape) -> Result<Finding, Error> {
    let file = File::make(harness, shape.length)?;
    let contenders = vec![
        sportello::start(harness, &file.root, Door::Web, Workers::AsPeers)?,
        nginx::start(harness, &file.root, shape.files(), AccessLog::Off)?,
        nginx::start(harness, &file.root, shape.files(), AccessLog::On)?,
        h2o::start(harness, &file.root)?,
        lighttpd::start(harness, &file.root)?,
        caddy::start(harness, &file.root)?,
    ];
    compare(harness, shape, &file, contenders)
}

/// What observation costs: Sportello without any against itself as it is. The ratio is the price, turned round: 0.9 says that
/// a request without is that much cheaper.
pub(crate) fn observation(harness: &Harness, shape: &Shape) -> Result<Finding, Error> {
    let file = File::make(harness, shape.length)?;
    let workers = harness.cores.workers();
    let mut contenders = Vec::new();
    for (name, observation) in [("Sportello", Observation::On), ("Sportello, no log", Observation::Off)] {
        contenders.push(sportello::start_as(harness, name, &file.root, Door::Web, workers, observation)?);
    }
    compare(harness, shape, &file, contenders)
}

/// Sportello against another binary of it, started in the same way.
pub(crate) fn against_other(harness: &Harness, shape: &Shape, program: &Path) -> Result<Finding, Error> {
    let file = File::make(harness, shape.length)?;
    let contenders = vec![
        sportello::start_other(harness, "Sportello", &harness.sportello, &file.root)?,
        sportello::start_other(harness, "Sportello before", program, &file.root)?,
    ];
    compare(harness, shape, &file, contenders)
}

/// What a crowd costs the others: Sportello with so many connections that have each asked once and say nothing more, against
/// itself with none. The ratio is that of the latencies which one request in a hundred exceeds.
pub(crate) fn among_idle(harness: &Harness, shape: &Shape, crowd: usize) -> Result<Finding, Error> {
    let file = File::make(harness, shape.length)?;
    let workers = harness.cores.workers();
    let mut contenders = Vec::new();
    for name in ["Sportello", "Sportello, nobody idle"] {
        contenders.push(sportello::start_as(harness, name, &file.root, Door::Web, workers, Observation::On)?);
    }
    let crowded = contenders.first().ok_or_else(|| Error::not_so("no server"))?.address;
    let length = http::answer(crowded, &file.path, Kind::Kept, 1, &file.body)?.length;
    let idle = http::answered(crowded, &file.path, crowd, length)?;
    let finding = compare(harness, shape, &file, contenders);
    drop(idle);
    finding
}

/// What a second worker costs: Sportello with two against itself with one, both free to use every core.
pub(crate) fn second_worker(harness: &Harness, shape: &Shape) -> Result<Finding, Error> {
    let file = File::make(harness, shape.length)?;
    let mut contenders = Vec::new();
    for (name, workers) in [("Sportello", 2), ("Sportello, one worker", 1)] {
        contenders.push(sportello::start_as(harness, name, &file.root, Door::Web, workers, Observation::On)?);
    }
    compare(harness, shape, &file, contenders)
}

/// The file that every server serves.
struct File {
    root: PathBuf,
    path: String,
    body: Vec<u8>,
}

impl File {
    fn make(harness: &Harness, length: usize) -> Result<Self, Error> {
        let root = harness.folder("root")?;
        let name = format!("{}k.txt", length >> 10);
        let body: Vec<u8> = b"0123456789abcdef\n".iter().copied().cycle().take(length).collect();
        fs::write(root.join(&name), &body).doing(|| "writing the file to serve".to_owned())?;
        Ok(Self { root, path: format!("/{name}"), body })
    }
}

/// `contenders` in turns, and after them the floor; ours is the first.
fn compare(harness: &Harness, shape: &Shape, file: &File, mut contenders: Vec<Contender>) -> Result<Finding, Error> {
    // The answers' lengths differ (heads do), so each server has its own exchange.
    let mut exchanges = Vec::new();
    let mut notes = Vec::new();
    for contender in &contenders {
        let answer = http::answer(contender.address, &file.path, shape.kind, shape.depth, &file.body)?;
        notes.push(format!("{} {}", contender.name, answer.head.len()));
        let one = http::request(contender.address, &file.path, shape.kind);
        exchanges.push(Exchange {
            requests: vec![one.repeat(usize::try_from(shape.depth).unwrap_or(1))],
            answer: answer.length,
            depth: shape.depth,
            connections: shape.connections,
            kind: shape.kind,
            secrecy: Secrecy::Plain,
        });
    }
    let servers = contenders.len();
    let second = exchanges.get(1).ok_or_else(|| Error::not_so("no server"))?.clone();
    contenders.push(floor::start(harness, &second)?);
    exchanges.push(second);
    let slices = super::in_turns(harness, &mut contenders, &exchanges)?;
    let named = contenders.iter().map(|contender| contender.name.clone()).collect();
    for contender in contenders.iter().take(servers) {
        http::answer(contender.address, &file.path, shape.kind, shape.depth, &file.body)?;
    }
    let notes = vec![format!("Bytes in the head of an answer: {}", notes.join(", "))];
    Ok(Finding::compared(shape.measure, shape.target, named, slices, notes))
}
