//! Slices in turns: server A, server B, …, again and again, so that what moves with the machine moves for all of them.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cpu::{Sample, Spent};
use crate::error::{Doing, Error};
use crate::harness::{Harness, Process};
use crate::histogram::Histogram;
use crate::peers::sportello::is_queue_empty;

/// A server under load.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    /// Where it writes a line per request; emptied after each slice.
    pub(crate) log: Option<PathBuf>,
    /// Folders that must hold no file before it has done its work: a mail server's queue.
    pub(crate) queues: Vec<PathBuf>,
    /// Where Sportello is asked whether its queue is empty; none where nothing goes there.
    pub(crate) socket: Option<PathBuf>,
    /// A folder of delivered mails, emptied after each slice.
    pub(crate) delivered: Option<PathBuf>,
}

impl Contender {
    /// A server that puts nothing off and writes no log that we read.
    pub(crate) fn new(name: &str, address: SocketAddr, process: Process) -> Self {
        Self { name: name.to_owned(), address, process, log: None, queues: Vec::new(), socket: None, delivered: None }
    }
}

/// What one server did in one turn.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) operations: u64,
    /// From the first request to the last answer.
    pub(crate) wall: Duration,
    /// Until what the server put off was done too.
    pub(crate) settled: Duration,
    pub(crate) spent: Spent,
    pub(crate) latency: Histogram,
    /// Lines in its log for each operation; none where it has no log.
    pub(crate) logged: Option<f64>,
}

impl Slice {
    /// Microseconds of processor time per operation.
    pub(crate) fn cost(&self) -> f64 {
        self.spent.total.as_secs_f64() * 1e6 / self.operations.max(1) as f64
    }

    /// Seconds that one operation in a hundred exceeds.
    pub(crate) fn tail(&self) -> f64 {
        self.latency.at(0.99).map_or(f64::NAN, |time| time.as_secs_f64())
    }

    /// Operations per second, by the wall clock.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.wall.as_secs_f64().max(1e-9)
    }
}

/// Counts one slice: started by the load when its connections are open.
#[derive(Debug)]
pub(crate) struct Meter {
    root: u32,
    began: Option<(Instant, Sample)>,
    wall: Duration,
    latency: Histogram,
}

impl Meter {
    fn of(process: &Process) -> Self {
        Self { root: process.id(), began: None, wall: Duration::ZERO, latency: Histogram::default() }
    }

    /// The load begins now; returns the moment.
    pub(crate) fn begin(&mut self) -> Instant {
        let sample = Sample::of_tree(self.root);
        let now = Instant::now();
        self.began = Some((now, sample));
        now
    }

    /// The last answer has come.
    pub(crate) fn end(&mut self) {
        self.wall = self.began.as_ref().map_or(Duration::ZERO, |(began, _)| began.elapsed());
    }

    pub(crate) fn answered(&mut self, latency: Duration, times: u64) {
        self.latency.add(latency, times);
    }
}

/// Loads one server for about the time given, and returns how many operations it answered.
pub(crate) type Load<'a> = dyn FnMut(&mut Contender, Duration, &mut Meter) -> Result<u64, Error> + 'a;

/// One slice for each of `contenders`, `rounds` times; the first of all goes unrecorded. Returns the slices of each.
pub(crate) fn take_turns(
    harness: &Harness,
    contenders: &mut [Contender],
    load: &mut Load<'_>,
) -> Result<Vec<Vec<Slice>>, Error> {
    let mut slices: Vec<Vec<Slice>> = contenders.iter().map(|_| Vec::new()).collect();
    for contender in contenders.iter_mut() {
        one_slice(contender, harness.slice / 3, load)?;
    }
    for round in 0..harness.rounds {
        for (contender, slices) in contenders.iter_mut().zip(&mut slices) {
            let slice = one_slice(contender, harness.slice, load)?;
            eprint_progress(round, contender, &slice);
            slices.push(slice);
        }
    }
    Ok(slices)
}

fn one_slice(contender: &mut Contender, time: Duration, load: &mut Load<'_>) -> Result<Slice, Error> {
    contender.process.alive()?;
    let mut meter = Meter::of(&contender.process);
    let operations = load(contender, time, &mut meter)?;
    if operations == 0 {
        return Err(Error::not_so(format!("{} answered nothing within {time:?}", contender.name)));
    }
    settle(contender)?;
    let (began, before) = meter.began.ok_or_else(|| Error::not_so("a load that never began"))?;
    let settled = began.elapsed();
    let spent = Sample::of_tree(meter.root).since(&before);
    let logged = match &contender.log {
        Some(log) => Some(lines(log)? as f64 / operations as f64),
        None => None,
    };
    tidy(contender)?;
    Ok(Slice { operations, wall: meter.wall, settled, spent, latency: meter.latency, logged })
}

/// What a server does after its answers (writing its log, delivering its queue) is charged to it.
fn settle(contender: &mut Contender) -> Result<(), Error> {
    wait_for(contender, |contender| Ok(!contender.queues.iter().any(|folder| holds_a_file(folder))))?;
    std::thread::sleep(SETTLE);
    Ok(())
}

/// Waits until `sunk` mails have come out at the other end, as `taken` counts them, and the queue is empty.
pub(crate) fn relayed(
    contender: &mut Contender,
    sunk: u64,
    mut taken: impl FnMut() -> Result<u64, Error>,
) -> Result<(), Error> {
    wait_for(contender, |contender| {
        Ok(taken()? >= sunk
            && !contender.queues.iter().any(|folder| holds_a_file(folder))
            && contender.socket.as_deref().map_or(Ok(true), is_queue_empty)?)
    })
}

/// Waits until the server has `done` what it put off, while it lives.
fn wait_for(contender: &mut Contender, mut done: impl FnMut(&Contender) -> Result<bool, Error>) -> Result<(), Error> {
    let began = Instant::now();
    while !done(contender)? {
        contender.process.alive()?;
        if began.elapsed() > PATIENCE {
            return Err(Error::not_so(format!("{} did not empty its queue within {PATIENCE:?}", contender.name)));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Whether there is a file in the folder or in a folder of it; queues keep theirs by their first letters.
fn holds_a_file(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => holds_a_file(&entry.path()),
        Ok(_) => true,
        Err(_) => false,
    })
}

/// How many lines a log has.
fn lines(log: &Path) -> Result<u64, Error> {
    let doing = || format!("reading {}", log.display());
    let mut file = File::open(log).doing(doing)?;
    let mut bytes = vec![0; 1 << 20];
    let mut lines = 0;
    loop {
        let count = file.read(&mut bytes).doing(doing)?;
        if count == 0 {
            return Ok(lines);
        }
        lines += bytes.iter().take(count).filter(|byte| **byte == b'\n').count() as u64;
    }
}

/// Forgets what the slice has left on the disk, so that no later slice pays for it.
fn tidy(contender: &Contender) -> Result<(), Error> {
    if let Some(log) = &contender.log {
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(log)
            .doing(|| format!("emptying the log of {}", contender.name))?;
    }
    if let Some(folder) = &contender.delivered {
        for mail in fs::read_dir(folder).into_iter().flatten().flatten() {
            fs::remove_file(mail.path()).doing(|| format!("removing the mails of {}", contender.name))?;
        }
    }
    Ok(())
}

#[allow(clippy::print_stderr, reason = "a run takes minutes: the person at the terminal sees that it goes on")]
fn eprint_progress(round: u32, contender: &Contender, slice: &Slice) {
    eprintln!(
        "  round {:2}  {:<24} {:>10.3} µs CPU/op {:>12.0} op/s {:>4.0} % busy",
        round + 1,
        contender.name,
        slice.cost(),
        slice.rate(),
        100.0 * slice.spent.total.as_secs_f64() / slice.wall.as_secs_f64().max(1e-9)
    );
}

/// Long enough for a server's log thread to write what it holds.
const SETTLE: Duration = Duration::from_millis(30);
/// How long a queue may take to empty.
const PATIENCE: Duration = Duration::from_secs(120);
