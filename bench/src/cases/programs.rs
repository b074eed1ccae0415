//! `/bin/echo hello`, run for each new connection: CPU per program, that of the program included.

use crate::error::Error;
use crate::generator::exchange::{Exchange, Kind};
use crate::generator::resp;
use crate::harness::Harness;
use crate::peers::programs::{self, WORD};
use crate::peers::sportello::{self, Door, Workers};
use crate::result::{Finding, Measure};
use crate::rounds::take_turns;

/// So many programs at a time.
const CONNECTIONS: usize = 4;
const TARGET: f64 = 1.0;

pub(crate) fn run(harness: &Harness) -> Result<Finding, Error> {
    let root = harness.folder("root")?;
    let mut contenders = vec![
        sportello::start(harness, &root, Door::Commands, Workers::AsPeers)?,
        programs::tcpserver(harness)?,
        programs::inetd(harness)?,
    ];
    let mut exchanges = Vec::new();
    for contender in &contenders {
        // The others begin to run at once, and give what the program prints as it is.
        let (request, answer) = match contender.name.as_str() {
            "Sportello" => (format!("say {WORD}\r\nQUIT\r\n"), format!("${}\r\n{WORD}\n\r\n+OK\r\n", WORD.len() + 1)),
            _ => (String::new(), format!("{WORD}\n")),
        };
        resp::check(contender.address, request.as_bytes(), answer.as_bytes())?;
        exchanges.push(Exchange {
            request: request.into_bytes(),
            answer: answer.len() as u64,
            depth: 1,
            connections: CONNECTIONS,
            kind: Kind::NewEach,
        });
    }
    let named: Vec<String> = contenders.iter().map(|contender| contender.name.clone()).collect();
    let slices = take_turns(harness, &mut contenders, &mut |contender, time, meter| {
        let exchange = named.iter().position(|name| *name == contender.name).and_then(|index| exchanges.get(index));
        exchange.ok_or_else(|| Error::not_so("an unknown server"))?.run(contender.address, time, meter)
    })?;
    let notes = vec![format!("{CONNECTIONS} connections at a time, a new one for each program")];
    Ok(Finding::compared(Measure::CpuPerOperation, TARGET, named, slices, notes))
}
