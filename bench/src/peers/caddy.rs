//! Caddy for a static file: as many threads as cores, no administration socket, no access log, HTTP/1.1 alone.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use super::{free_address, listens};
use crate::error::{Doing, Error};
use crate::harness::Harness;
use crate::rounds::Contender;

/// Starts Caddy serving `root`.
pub(crate) fn start(harness: &Harness, root: &Path) -> Result<Contender, Error> {
    let folder = harness.folder("caddy")?;
    let address = free_address()?;
    let configuration = format!(
        "{{\n\tadmin off\n\tauto_https off\n\tlog {{\n\t\toutput discard\n\t}}\n\
         \tservers {{\n\t\tprotocols h1\n\t}}\n}}\nhttp://:{port} {{\n\tbind {host}\n\troot * {root}\n\tfile_server\n}}\n",
        port = address.port(),
        host = address.ip(),
        root = root.display(),
    );
    let file = folder.join("Caddyfile");
    fs::write(&file, configuration).doing(|| "writing Caddyfile".to_owned())?;
    let arguments = ["run", "--adapter", "caddyfile", "--config", &file.to_string_lossy()].map(str::to_owned);
    let threads = harness.cores.workers().to_string();
    let mut process = harness.start("caddy", "caddy", &arguments, |command| {
        command.env("GOMAXPROCS", threads).env("HOME", &folder).stdout(Stdio::null()).stderr(Stdio::null());
    })?;
    process.wait_until("listening", || listens(address))?;
    Ok(Contender::new("Caddy", address, process))
}
