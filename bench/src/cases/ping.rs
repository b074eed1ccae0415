//! PING against Redis: CPU per command.

use crate::error::Error;
use crate::generator::exchange::{Exchange, Kind, Secrecy};
use crate::generator::resp;
use crate::harness::Harness;
use crate::peers::sportello::{self, Door, Workers};
use crate::peers::{floor, redis};
use crate::result::{Finding, Measure};
use crate::rounds::take_turns;

/// As redis-benchmark has by default.
const CONNECTIONS: usize = 50;
const TARGET: f64 = 1.0;

/// `depth` PINGs at once on each connection.
pub(crate) fn run(harness: &Harness, depth: u64) -> Result<Finding, Error> {
    let root = harness.folder("root")?;
    let mut contenders =
        vec![sportello::start(harness, &root, Door::Commands, Workers::AsPeers)?, redis::start(harness)?];
    let mut answer = 0;
    for contender in &contenders {
        answer = resp::answer(contender.address, depth)?;
    }
    let request = resp::PING.repeat(usize::try_from(depth).unwrap_or(1));
    let (requests, kind, secrecy) = (vec![request], Kind::Kept, Secrecy::Plain);
    let exchange = Exchange { requests, answer, depth, connections: CONNECTIONS, kind, secrecy };
    contenders.push(floor::start(harness, &exchange)?);
    let named = contenders.iter().map(|contender| contender.name.clone()).collect();
    let slices = take_turns(harness, &mut contenders, &mut |contender, time, meter| {
        exchange.run(contender.address, time, meter)
    })?;
    for contender in contenders.iter().take(2) {
        resp::answer(contender.address, depth)?;
    }
    Ok(Finding::compared(Measure::CpuPerOperation, TARGET, named, slices, Vec::new()))
}
