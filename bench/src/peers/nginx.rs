//! nginx at its best for one case.
//!
//! What its manual advises and what measured best here: one worker per core, `open_file_cache`, no `sendfile` for small
//! files (one `writev` from memory instead), `sendfile` with `tcp_nopush` for large ones, never `tcp_nopush` under
//! pipelining, a request limit per connection that is never met, `listen … deferred`.

use std::fs;
use std::path::Path;

use super::{free_address, listens};
use crate::error::{Doing, Error};
use crate::harness::Harness;
use crate::rounds::Contender;

/// How it sends a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    /// `sendfile off`.
    Small,
    /// `sendfile on; tcp_nopush on`.
    Large,
}

/// Whether it writes a line per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccessLog {
    Off,
    On,
}

/// Which core it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Core {
    /// The one of the servers that are measured.
    Servers,
    /// The load's: what a proxy asks.
    Load,
}

/// What one nginx serves, beyond what all have.
#[derive(Debug, Clone)]
pub(crate) struct Configured<'a> {
    pub(crate) name: &'a str,
    pub(crate) core: Core,
    /// Its one `listen` has this too, like `ssl`.
    pub(crate) listen: &'a str,
    /// Directives in `http`.
    pub(crate) http: String,
    /// Directives in its one `server`.
    pub(crate) server: String,
    pub(crate) log: AccessLog,
}

impl Files {
    /// The directives.
    pub(crate) fn directives(self) -> &'static str {
        match self {
            Self::Small => "sendfile off;",
            Self::Large => "sendfile on; tcp_nopush on; sendfile_max_chunk 2m;",
        }
    }
}

/// Starts nginx serving `root`.
pub(crate) fn start(harness: &Harness, root: &Path, files: Files, log: AccessLog) -> Result<Contender, Error> {
    let name = match log {
        AccessLog::Off => "nginx",
        AccessLog::On => "nginx, access log on",
    };
    let server = format!("root {};", root.display());
    let http = files.directives().to_owned();
    start_as(harness, &Configured { name, core: Core::Servers, listen: "", http, server, log })
}

/// Starts nginx with what `own` says.
pub(crate) fn start_as(harness: &Harness, own: &Configured<'_>) -> Result<Contender, Error> {
    let folder = harness.folder(&own.name.replace([' ', ','], "-"))?;
    let address = free_address()?;
    let access = folder.join("access.log");
    let access_log = match own.log {
        AccessLog::Off => "off".to_owned(),
        // Its manual's way of logging much: a buffer.
        AccessLog::On => format!("{} combined buffer=64k flush=1s", access.display()),
    };
    let at = folder.display();
    let configuration = format!(
        "worker_processes {workers};\nworker_rlimit_nofile 32768;\npid {at}/pid;\nerror_log {at}/error.log crit;\n\
         events {{ worker_connections 16384; multi_accept on; accept_mutex off; }}\n\
         http {{\n  access_log {access_log};\n  default_type text/plain;\n  {http}\n  tcp_nodelay on;\n\
         keepalive_timeout 600s;\n  keepalive_requests 1000000000;\n  reset_timedout_connection off;\n\
         open_file_cache max=1000 inactive=600s;\n  open_file_cache_valid 60s;\n  open_file_cache_min_uses 1;\n\
         output_buffers 2 64k;\n  server_tokens off;\n\
         client_body_temp_path {at}/body;\n  proxy_temp_path {at}/proxy;\n  fastcgi_temp_path {at}/fastcgi;\n\
         uwsgi_temp_path {at}/uwsgi;\n  scgi_temp_path {at}/scgi;\n\
         server {{ listen {address} deferred backlog=4096 {listen};\n{server}\n}}\n}}\n",
        workers = harness.cores.workers(),
        http = own.http,
        listen = own.listen,
        server = own.server,
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, configuration).doing(|| "writing nginx.conf".to_owned())?;
    let arguments = ["-c", &file.to_string_lossy(), "-p", &folder.to_string_lossy(), "-g", "daemon off;"];
    let arguments = arguments.map(str::to_owned);
    let mut process = match own.core {
        Core::Servers => harness.start(own.name, "nginx", &arguments, |_| {})?,
        Core::Load => harness.start_beside(own.name, "nginx", &arguments, |_| {})?,
    };
    process.wait_until("listening", || listens(address))?;
    let log = (own.log == AccessLog::On).then_some(access);
    Ok(Contender { log, ..Contender::new(own.name, address, process) })
}
