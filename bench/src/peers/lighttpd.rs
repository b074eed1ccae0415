//! lighttpd at its best for a static file: one process per core, its stat cache, a request limit that is never met, no
//! access log. Small files are written from memory, large ones by `sendfile` (its own choice at 32 KiB).

use std::fs;
use std::path::Path;

use super::{free_address, listens};
use crate::error::{Doing, Error};
use crate::harness::Harness;
use crate::rounds::Contender;

/// Starts lighttpd serving `root`.
pub(crate) fn start(harness: &Harness, root: &Path) -> Result<Contender, Error> {
    let folder = harness.folder("lighttpd")?;
    let address = free_address()?;
    // One worker is the process itself; more are children of a supervisor.
    let workers = match harness.cores.workers() {
        1 => 0,
        more => more,
    };
    let configuration = format!(
        "server.document-root = \"{root}\"\nserver.bind = \"{host}\"\nserver.port = {port}\n\
         server.max-worker = {workers}\nserver.max-fds = 16384\nserver.max-connections = 8192\n\
         server.max-keep-alive-requests = 1000000000\nserver.max-keep-alive-idle = 600\n\
         server.stat-cache-engine = \"simple\"\nserver.listen-backlog = 4096\nserver.defer-accept = 1\nserver.tag = \"\"\n\
         server.errorlog = \"{at}/error.log\"\nmimetype.assign = ( \"\" => \"text/plain\" )\n",
        root = root.display(),
        host = address.ip(),
        port = address.port(),
        at = folder.display(),
    );
    let file = folder.join("lighttpd.conf");
    fs::write(&file, configuration).doing(|| "writing lighttpd.conf".to_owned())?;
    let arguments = ["-D", "-f", &file.to_string_lossy()].map(str::to_owned);
    let mut process = harness.start("lighttpd", "lighttpd", &arguments, |_| {})?;
    process.wait_until("listening", || listens(address))?;
    Ok(Contender::new("lighttpd", address, process))
}
