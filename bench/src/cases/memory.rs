//! What Sportello holds in memory: at start, for each idle connection, and under a thousand senders of large mails.

use std::time::Duration;

use crate::error::{Doing, Error};
use crate::generator::exchange::Kind;
use crate::generator::{http, smtp};
use crate::harness::Harness;
use crate::memory::{Memory, mib};
use crate::peers::nginx::{self, AccessLog, Files};
use crate::peers::sportello::{self, Door, Workers};
use crate::result::{Finding, Unit};
use crate::rounds::Contender;

const PATH: &str = "/1k.txt";
const BODY: [u8; 1024] = [b'x'; 1024];
/// Senders at once.
const CROWD: usize = 1000;
const MAIL: usize = 5 << 20;
/// Long enough for a server to give back what it gives back.
const REST: Duration = Duration::from_millis(700);

pub(crate) fn start(harness: &Harness) -> Result<Finding, Error> {
    let root = root(harness)?;
    let contender = sportello::start(harness, &root, Door::Web, Workers::Two)?;
    std::thread::sleep(REST);
    let memory = Memory::of_tree(contender.process.id());
    let server = Memory::of_process(contender.process.id());
    let note = format!(
        "server {:.1} MiB and its spawner {:.1} MiB resident, {:.1} MiB of it anonymous; two workers",
        mib(server.resident),
        mib(memory.resident - server.resident),
        mib(memory.anonymous)
    );
    Ok(Finding::bounded(Unit::MiB, mib(memory.resident), 24.0, vec![note]))
}

/// `connections` that have each asked once.
pub(crate) fn idle(harness: &Harness, connections: usize) -> Result<Finding, Error> {
    let root = root(harness)?;
    let ours = sportello::start(harness, &root, Door::Web, Workers::AsPeers)?;
    let (each, resident) = per_connection(&ours, connections)?;
    let mut notes = vec![format!("by all resident pages: {resident:.0} bytes")];
    let peer = nginx::start(harness, &root, Files::Small, AccessLog::Off)?;
    let (beside, _) = per_connection(&peer, connections)?;
    notes.push(format!("nginx: {beside:.0} bytes"));
    Ok(Finding::bounded(Unit::Bytes, each, 1024.0, notes))
}

pub(crate) fn senders(harness: &Harness) -> Result<Finding, Error> {
    let root = root(harness)?;
    let contender = sportello::start(harness, &root, Door::Mail, Workers::AsPeers)?;
    let crowd = smtp::crowd(contender.address, CROWD, MAIL)?;
    let memory = Memory::of_tree(contender.process.id());
    if crowd.accepted != CROWD {
        let first = crowd.refused.first().cloned().unwrap_or_default();
        return Err(Error::not_so(format!(
            "only {} of {CROWD} mails were accepted; one reply: {first}",
            crowd.accepted
        )));
    }
    let rate = CROWD as f64 * mib(MAIL as u64) / crowd.took.as_secs_f64();
    let took = crowd.took.as_secs_f64();
    let note = format!("all {CROWD} accepted in {took:.1} s, {rate:.0} MiB/s; the peak of the whole process tree");
    Ok(Finding::bounded(Unit::MiB, mib(memory.peak), 250.0, vec![note]))
}

fn root(harness: &Harness) -> Result<std::path::PathBuf, Error> {
    let root = harness.folder("root")?;
    std::fs::write(root.join(PATH.trim_start_matches('/')), BODY).doing(|| "writing the file to serve".to_owned())?;
    Ok(root)
}

/// Bytes per idle connection after one answered request each: anonymous ones, and all resident ones.
fn per_connection(contender: &Contender, connections: usize) -> Result<(f64, f64), Error> {
    // What the first requests set up once (caches, code pages) is not a connection's.
    let length = http::answer(contender.address, PATH, Kind::Kept, 1, &BODY)?.length;
    drop(http::answered(contender.address, PATH, 50, length)?);
    std::thread::sleep(REST);
    let before = Memory::of_tree(contender.process.id());
    let connections = http::answered(contender.address, PATH, connections, length)?;
    std::thread::sleep(REST);
    let with = Memory::of_tree(contender.process.id());
    let each = |with: u64, before: u64| (with as f64 - before as f64) / connections.len() as f64;
    Ok((each(with.anonymous, before.anonymous), each(with.resident, before.resident)))
}
