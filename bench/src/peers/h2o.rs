//! h2o at its best for a static file: one thread per core, files kept open, one request limit that is never met, its
//! access log off.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{free_address, listens};
use crate::error::{Doing, Error};
use crate::harness::Harness;
use crate::rounds::Contender;

/// Starts h2o serving `root`.
pub(crate) fn start(harness: &Harness, root: &Path) -> Result<Contender, Error> {
    let folder = harness.folder("h2o")?;
    let address = free_address()?;
    let configuration = format!(
        "num-threads: {threads}\nmax-connections: 8192\nnum-name-resolution-threads: 1\nhttp1-request-timeout: 600\n\
         tcp-fastopen: 0\nsend-server-name: OFF\nerror-log: {at}/error.log\nuser: {user}\n\
         listen:\n  host: {host}\n  port: {port}\n\
         hosts:\n  default:\n    paths:\n      /:\n        file.dir: {root}\n        file.send-compressed: OFF\n",
        threads = harness.cores.workers(),
        at = folder.display(),
        // As root it would take another user's rights, who may not read the folder.
        user = owner(&folder)?,
        host = address.ip(),
        port = address.port(),
        root = root.display(),
    );
    let file = folder.join("h2o.conf");
    fs::write(&file, configuration).doing(|| "writing h2o.conf".to_owned())?;
    let arguments = ["-m", "worker", "-c", &file.to_string_lossy()].map(str::to_owned);
    let log = fs::File::create(folder.join("output")).doing(|| "making h2o's output".to_owned())?;
    let mut process = harness.start("h2o", "h2o", &arguments, |command| {
        command.stderr(log);
    })?;
    process.wait_until("listening", || listens(address))?;
    Ok(Contender::new("h2o", address, process))
}

/// The user that this program runs as: it made the folder.
fn owner(folder: &Path) -> Result<String, Error> {
    let number = fs::metadata(folder).doing(|| "looking at the folder of h2o".to_owned())?.uid().to_string();
    let users = fs::read_to_string("/etc/passwd").doing(|| "reading /etc/passwd".to_owned())?;
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    Ok(name.unwrap_or(number))
}
