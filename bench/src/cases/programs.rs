//! `/bin/echo hello`, run for each new connection: CPU per program, that of the program included.

use crate::error::Error;
use crate::generator::exchange::{Exchange, Kind, Secrecy};
use crate::generator::resp;
use crate::harness::Harness;
use crate::peers::programs::{self, WORD};
use crate::peers::sportello::{self, Door, Workers};
use crate::result::{Finding, Measure};

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
            requests: vec![request.into_bytes()],
            answer: answer.len() as u64,
            depth: 1,
            connections: CONNECTIONS,
            kind: Kind::NewEach,
            secrecy: Secrecy::Plain,
        });
    }
    let slices = super::in_turns(harness, &mut contenders, &exchanges)?;
    let named = contenders.iter().map(|contender| contender.name.clone()).collect();
    let notes = vec![format!("{CONNECTIONS} connections at a time, a new one for each program")];
    Ok(Finding::compared(Measure::CpuPerOperation, TARGET, named, slices, notes))
}
