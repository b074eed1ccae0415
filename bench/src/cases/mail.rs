//! Mails against Postfix and OpenSMTPD: messages per second until the last 250, all durable, `smtp-source` as the load.
//!
//! `smtp-source` sends a number of mails, not for a time: each server gets as many as it took about one slice for in the
//! turn before. The time ends with the last 250; the processor time with the last delivery, which for the peers is later.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Doing, Error};
use crate::generator::smtp::{self, Sessions};
use crate::harness::Harness;
use crate::peers::sportello::{self, Door, Workers};
use crate::peers::{opensmtpd, postfix};
use crate::result::{Finding, Measure};
use crate::rounds::{Contender, Meter, take_turns};

/// The most mails in one slice.
const MOST: u64 = 40_000;
/// The most bytes of mail in one slice: the disk is not to be filled.
const MOST_BYTES: u64 = 2 << 30;

/// `sessions` at a time, each mail of `length` bytes; `target` is what is wanted of the ratio to Postfix.
pub(crate) fn run(
    harness: &Harness,
    sessions: u32,
    length: u32,
    kind: Sessions,
    target: f64,
) -> Result<Finding, Error> {
    let root = harness.folder("root")?;
    let ours = sportello::start(harness, &root, Door::Mail, Workers::AsPeers)?;
    smtp::deliver(ours.address, "Subject: check\r\n\r\nA mail to check by.\r\n")?;
    let mut contenders = vec![ours, postfix::start(harness)?, opensmtpd::start(harness)?];
    let named = contenders.iter().map(|contender| contender.name.clone()).collect();
    let mut portions = Portions::on(&root, sessions, length)?;
    let mut load = |contender: &mut Contender, time: Duration, meter: &mut Meter| {
        let messages = portions.next(&contender.name, time)?;
        let began: Instant = meter.begin();
        smtp::source(contender.address, sessions, kind, messages, length)?;
        meter.end();
        portions.took(&contender.name, messages, began.elapsed());
        Ok(messages)
    };
    let slices = take_turns(harness, &mut contenders, &mut load)?;
    Ok(Finding::compared(Measure::Rate, target, named, slices, Vec::new()))
}

/// How many mails each server gets in a slice.
pub(super) struct Portions {
    rates: HashMap<String, f64>,
    disk: File,
    sessions: u32,
    length: u32,
}

impl Portions {
    /// For servers that write to the disk on which `folder` is.
    pub(super) fn on(folder: &Path, sessions: u32, length: u32) -> Result<Self, Error> {
        let disk = File::open(folder).doing(|| "opening the folder".to_owned())?;
        Ok(Self { rates: HashMap::new(), disk, sessions, length })
    }

    /// As many as the server takes `time` for, as far as is known.
    pub(super) fn next(&self, name: &str, time: Duration) -> Result<u64, Error> {
        let rate = self.rates.get(name).copied().unwrap_or(FIRST_RATE);
        let most = (rate * time.as_secs_f64()) as u64;
        // What the turn before has left to be written is not this server's.
        rustix::fs::syncfs(self.disk.as_fd()).doing(|| "writing what is left".to_owned())?;
        Ok(most.min(MOST_BYTES / u64::from(self.length)).clamp(u64::from(self.sessions) * 2, MOST))
    }

    /// The server took `time` for that many.
    pub(super) fn took(&mut self, name: &str, messages: u64, time: Duration) {
        self.rates.insert(name.to_owned(), messages as f64 / time.as_secs_f64());
    }
}

/// Mails per second, before anything is known.
const FIRST_RATE: f64 = 200.0;
