//! The servers that run a program for each connection: `tcpserver` of ucspi-tcp and inetd of OpenBSD.
//!
//! Both give the program the connection itself as its output; what the client sends is never read. They run in the environment that
//! Sportello gives its programs: with `LANG`, `echo` makes three times the system calls that it makes without.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;

use super::free_address;
use crate::error::{Doing, Error};
use crate::harness::Harness;
use crate::rounds::Contender;

/// What is run, by every server alike.
pub(crate) const PROGRAM: &str = "/bin/echo";
/// Its argument.
pub(crate) const WORD: &str = "hello";
/// As in `docs/manual.md`.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("HOME", "/nonexistent")];

/// Starts `tcpserver -HRl0`: no look-ups of names or idents; as many at once as the load has connections.
pub(crate) fn tcpserver(harness: &Harness) -> Result<Contender, Error> {
    let address = free_address()?;
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let arguments = ["-q", "-H", "-R", "-l0", "-b", "4096", "-c", "1000", &host, &port, PROGRAM, WORD];
    let mut process = harness.start("tcpserver", "tcpserver", &arguments.map(str::to_owned), |command| {
        command.env_clear().envs(ENVIRONMENT);
    })?;
    process.wait_until("listening", || listening(address))?;
    Ok(Contender::new("tcpserver", address, process))
}

/// Starts openbsd-inetd with no limit on its rate.
pub(crate) fn inetd(harness: &Harness) -> Result<Contender, Error> {
    let folder = harness.folder("inetd")?;
    let address = free_address()?;
    let file = folder.join("inetd.conf");
    let line = format!("{address} stream tcp nowait.1000000000 root {PROGRAM} {PROGRAM} {WORD}\n");
    fs::write(&file, line).doing(|| "writing inetd.conf".to_owned())?;
    let arguments = ["-i", "-q", "4096", "-R", "1000000000", &file.to_string_lossy()].map(str::to_owned);
    let mut process = harness.start("inetd", "/usr/sbin/inetd", &arguments, |command| {
        command.env_clear().envs(ENVIRONMENT).stdout(Stdio::null()).stderr(Stdio::null());
    })?;
    process.wait_until("listening", || listening(address))?;
    Ok(Contender::new("inetd", address, process))
}

/// Whether somebody listens there, without connecting: a connection would run the program.
fn listening(address: SocketAddr) -> bool {
    // proc(5), /proc/net/tcp: address and port in hexadecimal, state 0A is LISTEN.
    let port = format!(":{:04X} 00000000:0000 0A", address.port());
    fs::read_to_string("/proc/net/tcp").is_ok_and(|text| text.lines().any(|line| line.contains(&port)))
}
