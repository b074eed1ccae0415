//! A private Postfix that takes any mail and delivers it to a Maildir or passes it on, at its best: durable (queue file
//! and Maildir file are synced), with everything off that a plain delivery does not need.
//!
//! Off: name look-ups, TLS, chroot, anvil's counters, flow delay, header checks, address rewriting, limits on concurrent
//! deliveries and sessions. It logs to nobody (there is no syslog daemon where the harness runs, or it pays for one).

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{free_address, listens, version};
use crate::error::{Doing, Error};
use crate::generator::smtp::{DOMAIN, deliver};
use crate::harness::Harness;
use crate::rounds::Contender;

const DAEMONS: &str = "/usr/lib/postfix/sbin";
/// Debian's package leaves this folder to Postfix's user.
const OWNED: &str = "/var/lib/postfix";

/// Starts Postfix so that it delivers to a Maildir; needs root, as its master does.
pub(crate) fn start(harness: &Harness) -> Result<Contender, Error> {
    let folder = harness.folder("postfix")?;
    let delivered = inbox(&folder);
    let contender = launch(harness, &folder, delivering)?;
    let mut contender = Contender { delivered: Some(delivered.clone()), ..contender };
    check_delivery(&mut contender, &delivered)?;
    Ok(contender)
}

/// Starts Postfix so that all mail goes on to the server at `sink`, over connections that it keeps.
pub(crate) fn start_relaying(harness: &Harness, sink: SocketAddr) -> Result<Contender, Error> {
    launch(harness, &harness.folder("postfix")?, |_, _, _| relaying(sink))
}

/// Starts it in `folder` with the parameters that every case has and those of `more`, which is told the folder and its
/// user and group.
fn launch(harness: &Harness, folder: &Path, more: impl FnOnce(&Path, u32, u32) -> String) -> Result<Contender, Error> {
    let address = free_address()?;
    let owner = fs::metadata(OWNED).doing(|| format!("looking at {OWNED} (package postfix)"))?;
    for (name, own) in [("etc", false), ("queue", false), ("data", true), ("mail", true)] {
        let path = folder.join(name);
        fs::create_dir(&path).doing(|| format!("making {}", path.display()))?;
        if own {
            chown(&path, Some(owner.uid()), Some(owner.gid())).doing(|| "giving a folder to postfix".to_owned())?;
        }
    }
    let etc = folder.join("etc");
    let parameters = main_cf(folder) + &more(folder, owner.uid(), owner.gid());
    fs::write(etc.join("main.cf"), parameters).doing(|| "writing main.cf".to_owned())?;
    fs::write(etc.join("master.cf"), master_cf(&address.to_string())).doing(|| "writing master.cf".to_owned())?;
    let etc = etc.to_string_lossy();
    // Makes the queue's folders with the owners that they need.
    let output = Command::new("postfix").args(["-c", &etc, "check"]).output().doing(|| "postfix check".to_owned())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::not_so(format!("postfix check: {}", said.trim())));
    }
    let arguments = ["-c", &etc, "-d"].map(str::to_owned);
    let mut process = harness.start("postfix", format!("{DAEMONS}/master"), &arguments, |command| {
        command.env("MAIL_CONFIG", &*etc).stdout(Stdio::null()).stderr(Stdio::null());
    })?;
    process.wait_until("listening", || listens(address))?;
    let queues = ["maildrop", "incoming", "active"].map(|queue| folder.join("queue").join(queue)).to_vec();
    Ok(Contender { queues, ..Contender::new("Postfix", address, process) })
}

/// One mail must arrive byte for byte (with the line ends of a Maildir).
pub(super) fn check_delivery(contender: &mut Contender, inbox: &Path) -> Result<(), Error> {
    let body = "A mail to check by.\r\nWith two lines.\r\n";
    deliver(contender.address, &format!("Subject: check\r\n\r\n{body}"))?;
    let stored = body.replace("\r\n", "\n");
    contender.process.wait_until("delivering a mail whole", || {
        let mails = fs::read_dir(inbox).into_iter().flatten().flatten();
        mails.into_iter().any(|mail| fs::read_to_string(mail.path()).is_ok_and(|text| text.ends_with(&stored)))
    })
}

fn inbox(folder: &Path) -> PathBuf {
    folder.join("mail/inbox/new")
}

/// The one line of a program's version.
pub(crate) fn mail_version() -> String {
    format!("Postfix {}", version("postconf", &["-d", "-h", "mail_version"]))
}

/// What every case has.
fn main_cf(folder: &Path) -> String {
    let at = folder.display();
    format!(
        "compatibility_level = 3.6\nqueue_directory = {at}/queue\ndata_directory = {at}/data\n\
         command_directory = /usr/sbin\ndaemon_directory = {DAEMONS}\nmail_owner = postfix\nsetgid_group = postdrop\n\
         inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = {DOMAIN}\nmydestination =\n\
         mynetworks = 127.0.0.0/8\nalias_maps =\nalias_database =\nlocal_recipient_maps =\nbiff = no\n\
         in_flow_delay = 0\nsmtpd_peername_lookup = no\ndisable_dns_lookups = yes\n\
         smtpd_tls_security_level = none\nsmtp_tls_security_level = none\n\
         smtpd_client_connection_count_limit = 0\nsmtpd_client_connection_rate_limit = 0\n\
         smtpd_client_event_limit_exceptions = 127.0.0.0/8\n\
         smtpd_relay_restrictions = permit_mynetworks,reject\nsmtpd_recipient_restrictions = permit_mynetworks,reject\n\
         receive_override_options = no_unknown_recipient_checks,no_header_body_checks,no_address_mappings\n\
         local_header_rewrite_clients =\ndisable_mime_input_processing = yes\nenable_original_recipient = no\n\
         initial_destination_concurrency = 20\ndefault_process_limit = 200\nmax_use = 1000000\n\
         max_idle = 1h\nqueue_minfree = 0\nmessage_size_limit = 104857600\n"
    )
}

/// All mail goes to one Maildir.
fn delivering(folder: &Path, user: u32, group: u32) -> String {
    let at = folder.display();
    format!(
        "virtual_mailbox_domains = static:yes\nvirtual_mailbox_base = {at}/mail\n\
         virtual_mailbox_maps = static:inbox/\nvirtual_uid_maps = static:{user}\nvirtual_gid_maps = static:{group}\n\
         virtual_minimum_uid = 1\nvirtual_transport = virtual\nvirtual_destination_concurrency_limit = 20\n\
         virtual_mailbox_limit = 0\n"
    )
}

/// All mail goes to one server; its connections are kept without being asked for.
fn relaying(sink: SocketAddr) -> String {
    format!(
        "relayhost = [{}]:{}\nsmtp_host_lookup = native\nsmtp_destination_concurrency_limit = 20\n\
         smtp_connection_cache_destinations = $relayhost\n",
        sink.ip(),
        sink.port()
    )
}

/// Only the services that a delivery may need; none in a chroot.
fn master_cf(address: &str) -> String {
    let services = [
        "pickup unix n - n 60 1 pickup",
        "cleanup unix n - n - 0 cleanup",
        "qmgr unix n - n 300 1 qmgr",
        "rewrite unix - - n - - trivial-rewrite",
        "bounce unix - - n - 0 bounce",
        "defer unix - - n - 0 bounce",
        "trace unix - - n - 0 bounce",
        "verify unix - - n - 1 verify",
        "flush unix n - n 1000? 0 flush",
        "proxymap unix - - n - - proxymap",
        "error unix - - n - - error",
        "retry unix - - n - - error",
        "virtual unix - n n - - virtual",
        "smtp unix - - n - - smtp",
        "scache unix - - n - 1 scache",
        "anvil unix - - n - 1 anvil",
        "postlog unix-dgram n - n - 1 postlogd",
    ];
    format!("{address} inet n - n - 100 smtpd\n{}\n", services.join("\n"))
}
