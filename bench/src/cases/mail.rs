//! Mails of 4 KiB against Postfix: messages per second until the last 250, both durable, `smtp-source` as the load.
//!
//! `smtp-source` sends a number of mails, not for a time: each server gets as many as it took about one slice for in the
//! turn before. The time ends with the last 250; the processor time with the last delivery, which for Postfix is later.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::error::{Doing, Error};
use crate::generator::smtp::{self, Sessions};
use crate::harness::Harness;
use crate::peers::postfix;
use crate::peers::sportello::{self, Door, Workers};
use crate::result::{Finding, Measure};
use crate::rounds::{Contender, Meter, take_turns};

const LENGTH: u32 = 4096;
/// The most mails in one slice.
const MOST: u64 = 40_000;

pub(crate) fn one(harness: &Harness) -> Result<Finding, Error> {
    run(harness, 1, Sessions::NewEach, 2.0)
}

pub(crate) fn sixteen(harness: &Harness) -> Result<Finding, Error> {
    run(harness, 16, Sessions::NewEach, 8.0)
}

pub(crate) fn sixty_four(harness: &Harness) -> Result<Finding, Error> {
    run(harness, 64, Sessions::NewEach, 8.0)
}

pub(crate) fn kept_one(harness: &Harness) -> Result<Finding, Error> {
    run(harness, 1, Sessions::Kept, 2.0)
}

pub(crate) fn kept_sixteen(harness: &Harness) -> Result<Finding, Error> {
    run(harness, 16, Sessions::Kept, 8.0)
}

pub(crate) fn kept_sixty_four(harness: &Harness) -> Result<Finding, Error> {
    run(harness, 64, Sessions::Kept, 8.0)
}

fn run(harness: &Harness, sessions: u32, kind: Sessions, target: f64) -> Result<Finding, Error> {
    let root = harness.folder("root")?;
    let ours = sportello::start(harness, &root, Door::Mail, Workers::AsPeers)?;
    smtp::deliver(ours.address, "Subject: check\r\n\r\nA mail to check by.\r\n")?;
    let mut contenders = vec![ours, postfix::start(harness)?];
    let named = contenders.iter().map(|contender| contender.name.clone()).collect();
    let mut rates: HashMap<String, f64> = HashMap::new();
    let disk = std::fs::File::open(&root).doing(|| "opening the folder".to_owned())?;
    let mut load = |contender: &mut Contender, time: Duration, meter: &mut Meter| {
        let rate = rates.get(&contender.name).copied().unwrap_or(FIRST_RATE);
        let most = (rate * time.as_secs_f64()) as u64;
        let messages = most.clamp(u64::from(sessions) * 2, MOST);
        // What the turn before has left to be written is not this server's.
        rustix::fs::syncfs(disk.as_fd()).doing(|| "writing what is left".to_owned())?;
        let began: Instant = meter.begin();
        smtp::source(contender.address, sessions, kind, messages, LENGTH)?;
        meter.end();
        rates.insert(contender.name.clone(), messages as f64 / began.elapsed().as_secs_f64());
        Ok(messages)
    };
    let slices = take_turns(harness, &mut contenders, &mut load)?;
    Ok(Finding::compared(Measure::Rate, target, named, slices, Vec::new()))
}

/// Mails per second, before anything is known.
const FIRST_RATE: f64 = 600.0;
