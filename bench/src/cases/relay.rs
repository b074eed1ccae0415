//! Mails that go on to another server: messages per second from the first until the last has come out at the other end
//! and the queue is empty, durable in between, against Postfix.
//!
//! `smtp-source` → server → `smtp-sink`. Each server has a sink of its own, which must have taken every mail once at the
//! end of each slice. How many mails a slice has is found as for the mails that stay ([`Portions`]).

use std::time::{Duration, Instant};

use super::mail::Portions;
use crate::error::Error;
use crate::generator::smtp::{self, Sessions};
use crate::harness::Harness;
use crate::peers::sink::Sink;
use crate::peers::{postfix, sportello};
use crate::result::{Finding, Measure};
use crate::rounds::{Contender, Meter, relayed, take_turns};

/// The octets of each mail.
const LENGTH: u32 = 4 << 10;

/// `sessions` at a time; `target` is what is wanted of the ratio to Postfix.
pub(crate) fn run(harness: &Harness, sessions: u32, target: f64) -> Result<Finding, Error> {
    let (mut ours, mut theirs) = (Sink::start(harness, "sportello")?, Sink::start(harness, "postfix")?);
    let mut contenders =
        vec![sportello::start_relaying(harness, ours.address)?, postfix::start_relaying(harness, theirs.address)?];
    let named: Vec<String> = contenders.iter().map(|contender| contender.name.clone()).collect();
    let mut portions = Portions::on(&harness.folder("root")?, sessions, LENGTH)?;
    let mut load = |contender: &mut Contender, time: Duration, meter: &mut Meter| {
        let sink = if named.first() == Some(&contender.name) { &mut ours } else { &mut theirs };
        let messages = portions.next(&contender.name, time)?;
        let wanted = sink.taken()? + messages;
        let began: Instant = meter.begin();
        smtp::source(contender.address, sessions, Sessions::NewEach, messages, LENGTH)?;
        let accepted = began.elapsed();
        relayed(contender, wanted, || sink.taken())?;
        meter.end();
        portions.took(&contender.name, messages, began.elapsed());
        progress(messages, accepted, began.elapsed());
        match sink.taken()? {
            taken if taken == wanted => Ok(messages),
            taken => Err(Error::not_so(format!("{}: {} mails too many came out", contender.name, taken - wanted))),
        }
    };
    let slices = take_turns(harness, &mut contenders, &mut load)?;
    Ok(Finding::compared(Measure::Rate, target, named, slices, Vec::new()))
}

#[allow(clippy::print_stderr, reason = "the person at the terminal sees what waited when the last 250 was said")]
fn progress(messages: u64, accepted: Duration, relayed: Duration) {
    eprintln!(
        "            {messages} mails: the last 250 after {:.2} s, the last one out after {:.2} s",
        accepted.as_secs_f64(),
        relayed.as_secs_f64()
    );
}
