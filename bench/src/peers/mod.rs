//! The servers that are measured: ours, and each peer as its manual says it is fastest, privately configured, on a free
//! port of 127.0.0.1, with nothing of the system's own instance touched.

pub(crate) mod caddy;
pub(crate) mod floor;
pub(crate) mod h2o;
pub(crate) mod lighttpd;
pub(crate) mod nginx;
pub(crate) mod opensmtpd;
pub(crate) mod postfix;
pub(crate) mod programs;
pub(crate) mod redis;
pub(crate) mod sink;
pub(crate) mod sportello;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::error::{Doing, Error};

/// An address nobody listens on. Somebody may take it before the peer does: then that says so and the run ends.
pub(crate) fn free_address() -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing(|| "finding a free port".to_owned())?;
    listener.local_addr().doing(|| "finding a free port".to_owned())
}

/// Whether somebody listens there.
pub(crate) fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

/// The first line a program prints about itself.
pub(crate) fn version(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else { return format!("{program}: missing") };
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).lines().next().unwrap_or_default().trim().to_owned()
}
