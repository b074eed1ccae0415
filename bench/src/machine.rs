//! Which machine, which kernel, which versions: what a figure is worth nothing without.

use std::fs;
use std::process::Command;

use crate::peers::{opensmtpd, postfix, version};

/// One line for each thing that a reader must know.
pub(crate) fn lines() -> Vec<String> {
    let processor = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| Some(text.lines().find(|line| line.starts_with("model name"))?.split_once(": ")?.1.to_owned()))
        .unwrap_or_else(|| "unknown processor".to_owned());
    let cores = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| text.lines().next()?.split_whitespace().nth(1)?.parse::<u64>().ok())
        .map_or(0, |kib| kib >> 20);
    let folder = std::env::temp_dir();
    vec![
        format!("machine: {processor}, cores {}, {memory} GiB", cores.trim()),
        format!("kernel: {}", said("uname", &["-sr"])),
        format!("disk of the queues and stores: {} on {}", disk(&folder.to_string_lossy()), folder.display()),
        format!(
            "peers: {}; {}; {}; Caddy {}; {}; {}; {}; tcpserver of ucspi-tcp {}, openbsd-inetd {}",
            version("nginx", &["-v"]),
            version("h2o", &["--version"]),
            version("lighttpd", &["-v"]),
            version("caddy", &["version"]),
            redis(),
            postfix::mail_version(),
            opensmtpd::version(),
            said("dpkg-query", &["-f", "${Version}", "-W", "ucspi-tcp"]),
            said("dpkg-query", &["-f", "${Version}", "-W", "openbsd-inetd"]),
        ),
        format!("compiler: {}", said("rustc", &["--version"])),
    ]
}

fn redis() -> String {
    let line = version("redis-server", &["--version"]);
    line.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// The type of the file system that holds `path`.
fn disk(path: &str) -> String {
    said("stat", &["-f", "-c", "%T", path])
}

/// The commit that the workspace is at.
pub(crate) fn revision() -> String {
    said("git", &["-C", concat!(env!("CARGO_MANIFEST_DIR"), "/.."), "describe", "--always", "--dirty"])
}

/// Now, in UTC.
pub(crate) fn date() -> String {
    said("date", &["-u", "+%Y-%m-%d %H:%M"])
}

/// The processes that want to run, over the last minute: a figure made beside others is none.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
