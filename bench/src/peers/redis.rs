//! Redis at its best for PING: nothing saved, one thread for I/O, no latency histogram, no slow log.

use std::process::Stdio;

use super::{free_address, listens};
use crate::error::Error;
use crate::harness::Harness;
use crate::rounds::Contender;

/// Starts Redis.
pub(crate) fn start(harness: &Harness) -> Result<Contender, Error> {
    let folder = harness.folder("redis")?;
    let address = free_address()?;
    let port = address.port().to_string();
    let folder = folder.to_string_lossy();
    let arguments = [
        ["--bind", "127.0.0.1"],
        ["--port", &port],
        ["--dir", &folder],
        ["--save", ""],
        ["--appendonly", "no"],
        ["--io-threads", "1"],
        ["--daemonize", "no"],
        ["--latency-tracking", "no"],
        ["--slowlog-log-slower-than", "-1"],
        ["--tcp-backlog", "4096"],
        ["--loglevel", "warning"],
    ];
    let arguments: Vec<String> = arguments.concat().into_iter().map(str::to_owned).collect();
    let mut process = harness.start("redis", "redis-server", &arguments, |command| {
        command.stdout(Stdio::null());
    })?;
    process.wait_until("listening", || listens(address))?;
    Ok(Contender::new("Redis", address, process))
}
