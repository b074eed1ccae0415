//! HTTP against nginx: CPU per request.

use std::fs;

use crate::error::{Doing, Error};
use crate::generator::exchange::{Exchange, Kind};
use crate::generator::http;
use crate::harness::Harness;
use crate::peers::floor;
use crate::peers::nginx::{self, AccessLog, Files};
use crate::peers::sportello::{self, Door, Workers};
use crate::result::{Finding, Measure};
use crate::rounds::take_turns;

struct Shape {
    path: &'static str,
    length: usize,
    depth: u64,
    kind: Kind,
    files: Files,
    target: f64,
}

/// As many as wrk and others take by habit.
const CONNECTIONS: usize = 32;

pub(crate) fn small(harness: &Harness) -> Result<Finding, Error> {
    run(
        harness,
        &Shape { path: "/1k.txt", length: 1024, depth: 1, kind: Kind::Kept, files: Files::Small, target: 1.05 },
    )
}

pub(crate) fn pipelined(harness: &Harness) -> Result<Finding, Error> {
    run(
        harness,
        &Shape { path: "/1k.txt", length: 1024, depth: 16, kind: Kind::Kept, files: Files::Small, target: 8.0 },
    )
}

pub(crate) fn new_each(harness: &Harness) -> Result<Finding, Error> {
    run(
        harness,
        &Shape { path: "/1k.txt", length: 1024, depth: 1, kind: Kind::NewEach, files: Files::Small, target: 0.9 },
    )
}

pub(crate) fn large(harness: &Harness) -> Result<Finding, Error> {
    let shape =
        Shape { path: "/256k.txt", length: 256 << 10, depth: 1, kind: Kind::Kept, files: Files::Large, target: 0.95 };
    run(harness, &shape)
}

fn run(harness: &Harness, shape: &Shape) -> Result<Finding, Error> {
    let root = harness.folder("root")?;
    let body: Vec<u8> = (0..shape.length).map(|index| b"0123456789abcdef\n"[index % 17]).collect();
    fs::write(root.join(shape.path.trim_start_matches('/')), &body).doing(|| "writing the file to serve".to_owned())?;
    let mut contenders = vec![
        sportello::start(harness, &root, Door::Web, Workers::AsPeers)?,
        nginx::start(harness, &root, shape.files, AccessLog::Off)?,
        nginx::start(harness, &root, shape.files, AccessLog::On)?,
    ];
    // The answers' lengths differ (heads do), so each server has its own exchange.
    let mut exchanges = Vec::new();
    let mut notes = Vec::new();
    for contender in &contenders {
        let answer = http::answer(contender.address, shape.path, shape.kind, shape.depth, &body)?;
        notes.push(format!("{}: head of {} bytes", contender.name, answer.head.len()));
        let one = http::request(contender.address, shape.path, shape.kind);
        exchanges.push(Exchange {
            request: one.repeat(usize::try_from(shape.depth).unwrap_or(1)),
            answer: answer.length,
            depth: shape.depth,
            connections: CONNECTIONS,
            kind: shape.kind,
        });
    }
    let last = exchanges.pop().ok_or_else(|| Error::not_so("no server"))?;
    contenders.push(floor::start(harness, &last)?);
    let floor = Exchange { request: last.request.clone(), ..last };
    exchanges.extend([last, floor]);
    let named: Vec<String> = contenders.iter().map(|contender| contender.name.clone()).collect();
    let slices = take_turns(harness, &mut contenders, &mut |contender, time, meter| {
        let exchange = named.iter().position(|name| *name == contender.name).and_then(|index| exchanges.get(index));
        exchange.ok_or_else(|| Error::not_so("an unknown server"))?.run(contender.address, time, meter)
    })?;
    for contender in contenders.iter().take(3) {
        http::answer(contender.address, shape.path, shape.kind, shape.depth, &body)?;
    }
    Ok(Finding::compared(Measure::CpuPerOperation, shape.target, named, slices, notes))
}
