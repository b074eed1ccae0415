//! A private OpenSMTPD that takes any mail and delivers it to a Maildir.
//!
//! Debian's package cannot be installed beside Postfix, so it is fetched and unpacked, and runs in a mount namespace of its
//! own where its fixed paths (its helpers, its spool, its users) lead to the run's folder. Nothing of the system changes.
//! It needs root, as its parent process does.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::postfix::check_delivery;
use super::sportello::target;
use super::{free_address, listens};
use crate::error::{Doing, Error};
use crate::generator::smtp::DOMAIN;
use crate::harness::Harness;
use crate::rounds::Contender;

/// What happens in the namespace before it starts: `$1` is the unpacked package, `$2` the run's folder.
const SCRIPT: &str = "set -e\nmount --make-rprivate /\n\
    mount -t tmpfs none /usr/libexec\nmkdir /usr/libexec/opensmtpd\nmount --bind $1/usr/libexec/opensmtpd /usr/libexec/opensmtpd\n\
    mount -t tmpfs none /var/spool\nmkdir /var/spool/smtpd\nmount --bind $2/spool /var/spool/smtpd\n\
    mount -t tmpfs none /var/lib\nmkdir -p /var/lib/opensmtpd/empty\n\
    mount --bind $2/resolv.conf /etc/resolv.conf\n\
    mount --bind $2/passwd /etc/passwd\nmount --bind $2/group /etc/group\n\
    exec setpriv --pdeathsig TERM $1/usr/sbin/smtpd -d -f $2/smtpd.conf\n";

/// Starts OpenSMTPD.
pub(crate) fn start(harness: &Harness) -> Result<Contender, Error> {
    let package = package()?;
    let folder = harness.folder("opensmtpd")?;
    let address = free_address()?;
    let inbox = folder.join("mail");
    for path in [folder.join("spool"), inbox.clone()] {
        fs::create_dir(&path).doing(|| format!("making {}", path.display()))?;
    }
    fs::set_permissions(folder.join("spool"), fs::Permissions::from_mode(0o711))
        .doing(|| "opening the spool of smtpd".to_owned())?;
    let nobody = nobody()?;
    chown(&inbox, Some(nobody), None).doing(|| "giving the inbox to nobody".to_owned())?;
    users(&folder)?;
    let configuration = format!(
        "listen on {host} port {port} hostname {DOMAIN}\n\
         action \"local\" maildir \"{inbox}\" virtual {{ \"@\" = nobody }}\n\
         match from any for any action \"local\"\n",
        host = address.ip(),
        port = address.port(),
        inbox = inbox.display(),
    );
    fs::write(folder.join("smtpd.conf"), configuration).doing(|| "writing smtpd.conf".to_owned())?;
    // It looks up every client's name: in /etc/hosts, and waits for no network.
    fs::write(folder.join("resolv.conf"), "lookup file\n").doing(|| "writing resolv.conf".to_owned())?;
    let at = folder.to_string_lossy();
    let arguments = ["-m", "sh", "-c", SCRIPT, "sh", &package.to_string_lossy(), &at].map(str::to_owned);
    let output = fs::File::create(folder.join("output")).doing(|| "making smtpd's output".to_owned())?;
    let mut process = harness.start("opensmtpd", "unshare", &arguments, |command| {
        command.stdout(Stdio::null()).stderr(output);
    })?;
    process.wait_until("listening", || listens(address))?;
    let delivered = inbox.join("new");
    let queues = ["queue", "incoming"].map(|queue| folder.join("spool").join(queue)).to_vec();
    let mut contender =
        Contender { queues, delivered: Some(delivered.clone()), ..Contender::new("OpenSMTPD", address, process) };
    check_delivery(&mut contender, &delivered)?;
    Ok(contender)
}

/// The package, fetched once and unpacked under `target/bench/`.
fn package() -> Result<PathBuf, Error> {
    let folder = target()?.join("bench/opensmtpd");
    let root = folder.join("root");
    if root.join("usr/sbin/smtpd").is_file() {
        return Ok(root);
    }
    fs::create_dir_all(&folder).doing(|| format!("making {}", folder.display()))?;
    let said = |command: &mut Command| {
        let output =
            command.current_dir(&folder).stdin(Stdio::null()).output().doing(|| "fetching opensmtpd".to_owned())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(Error::not_so(format!("fetching opensmtpd: {said}"))) }
    };
    said(Command::new("apt-get").args(["download", "opensmtpd"]))?;
    said(Command::new("sh").args(["-c", "dpkg-deb -x opensmtpd_*.deb root"]))?;
    Ok(root)
}

/// The users that it wants to find, in copies of the system's lists.
fn users(folder: &Path) -> Result<(), Error> {
    for (name, lines) in [
        ("passwd", "opensmtpd:x:64101:64101::/:/bin/false\nopensmtpq:x:64102:64102::/:/bin/false\n"),
        ("group", "opensmtpd:x:64101:\nopensmtpq:x:64102:\n"),
    ] {
        let system = Path::new("/etc").join(name);
        let mut text = fs::read_to_string(&system).doing(|| format!("reading {}", system.display()))?;
        text.push_str(lines);
        fs::write(folder.join(name), text).doing(|| format!("writing {name}"))?;
    }
    Ok(())
}

/// The number of the user `nobody`.
fn nobody() -> Result<u32, Error> {
    let text = fs::read_to_string("/etc/passwd").doing(|| "reading /etc/passwd".to_owned())?;
    let line = text.lines().find(|line| line.starts_with("nobody:"));
    let number = line.and_then(|line| line.split(':').nth(2)?.parse().ok());
    number.ok_or_else(|| Error::not_so("there is no user nobody"))
}

/// Its version, as it says it.
pub(crate) fn version() -> String {
    let Ok(root) = package() else { return "OpenSMTPD: missing".to_owned() };
    super::version(&root.join("usr/sbin/smtpd").to_string_lossy(), &["-h"])
}
