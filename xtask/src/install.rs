//! What the tests need beside the Rust toolchain: prints it, and installs what is missing where it may.
//!
//! System packages come through apt-get and only as root; everybody else is told the one command to run. The Python
//! packages go to a virtual environment under `target/`, at the versions of `tests/requirements.txt`; those of Node beside
//! it, at the versions of the lock file of the one scenario that needs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::child::Child;
use crate::step::Note;
use crate::tree;

/// A command that a test runs, and the Debian package that holds it.
const NEEDS: [(&str, &str); 22] = [
    ("cc", "gcc"),
    ("git", "git"),
    ("bash", "bash"),
    ("curl", "curl"),
    ("h2load", "nghttp2-client"),
    ("nginx", "nginx-light"),
    ("haproxy", "haproxy"),
    ("redis-cli", "redis-tools"),
    ("swaks", "swaks"),
    ("nc", "netcat-openbsd"),
    ("python3", "python3"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("chromium", "chromium"),
    ("prlimit", "util-linux"),
    ("kill", "procps"),
    ("strace", "strace"),
    ("ip", "iproute2"),
    ("openssl", "openssl"),
    ("pebble", "pebble"),
    ("php-fpm8.2", "php8.2-fpm"),
    ("nsd", "nsd"),
];

/// What the benchmark measures Sportello against, likewise.
const PEERS: [(&str, &str); 9] = [
    ("nginx", "nginx-light"),
    ("h2o", "h2o"),
    ("lighttpd", "lighttpd"),
    ("caddy", "caddy"),
    ("redis-server", "redis-server"),
    ("smtp-source", "postfix"),
    ("tcpserver", "ucspi-tcp"),
    ("h2load", "nghttp2-client"),
    ("inetd", "openbsd-inetd"),
];

/// Makes sure of the peers of the benchmark.
pub(crate) fn peers() -> Result<(), String> {
    packages(&PEERS).map(drop)
}

/// Makes sure of everything; says what was there and what came new.
pub(crate) fn everything(root: &Path) -> Result<Note, String> {
    components(root)?;
    let installed = packages(&NEEDS)?;
    let fresh = environment(root)?;
    let modules = node_modules(root)?;
    let mut words = vec![format!("{} commands", NEEDS.len())];
    if !installed.is_empty() {
        words.push(format!("installed {}", installed.join(" ")));
    }
    if fresh {
        words.push("a new Python environment".to_owned());
    }
    if modules {
        words.push("new Node modules".to_owned());
    }
    Ok(Note::of(words.join(" · ")))
}

/// The Python of the virtual environment.
pub(crate) fn python(root: &Path) -> PathBuf {
    tree::target(root).join("venv").join("bin").join("python")
}

/// rustfmt and clippy come with the toolchain, or through rustup.
fn components(root: &Path) -> Result<(), String> {
    for component in ["rustfmt", "clippy"] {
        let word = if component == "rustfmt" { "fmt" } else { "clippy" };
        if Child::new(tree::cargo()).arguments(&[word, "--version"]).folder(root).run(MINUTE).is_ok() {
            continue;
        }
        println!("   {component} is missing: rustup component add {component}");
        Child::new("rustup").arguments(&["component", "add", component]).folder(root).run(MINUTE * 5).map_err(
            |error| {
                format!("the Rust toolchain has no {component}; with rustup: rustup component add {component}\n{error}")
            },
        )?;
    }
    Ok(())
}

/// Installs those packages of `needs` whose commands are missing; which they were.
fn packages(needs: &[(&str, &'static str)]) -> Result<Vec<&'static str>, String> {
    let mut missing: Vec<&str> = needs.iter().filter(|(command, _)| !is_command(command)).map(|need| need.1).collect();
    if is_command("python3") && !has_venv() || missing.contains(&"python3") {
        missing.push("python3-venv");
    }
    // Debian only recommends it to swaks, which has no TLS without it.
    if is_command("swaks") && !has_perl_tls() || missing.contains(&"swaks") {
        missing.push("libnet-ssleay-perl");
    }
    if missing.is_empty() {
        return Ok(missing);
    }
    println!("   missing: {}", missing.join(" "));
    let by_hand = format!("apt-get update && apt-get install --yes {}", missing.join(" "));
    if !is_command("apt-get") {
        return Err(format!("these Debian packages are needed, and here is no apt-get: {}", missing.join(" ")));
    }
    if !is_root() {
        return Err(format!("packages are needed that only root may install; run once: sudo sh -c '{by_hand}'"));
    }
    apt(&["update"])?;
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend_from_slice(&missing);
    apt(&words)?;
    let still: Vec<&str> =
        needs.iter().filter(|(command, _)| !is_command(command)).map(|(command, _)| *command).collect();
    if still.is_empty() { Ok(missing) } else { Err(format!("installed, and still missing: {}", still.join(" "))) }
}

fn apt(words: &[&str]) -> Result<(), String> {
    println!("   apt-get {}", words.join(" "));
    let child = Child::new("apt-get").arguments(words).variable("DEBIAN_FRONTEND", "noninteractive");
    child.run(MINUTE * 10).map(|_| ())
}

/// The virtual environment, made anew when the list of its packages changed. True when it was.
fn environment(root: &Path) -> Result<bool, String> {
    let list = root.join("tests/requirements.txt");
    let wanted = fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let folder = tree::target(root).join("venv");
    let stamp = folder.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|has| has == wanted) && is_file(&python(root)) {
        return Ok(false);
    }
    println!("   python3 -m venv {}", folder.display());
    let make = Child::new("python3").arguments(&["-m", "venv", "--clear"]).arguments(&[&folder]);
    make.run(MINUTE * 2)?;
    let words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    Child::new(python(root)).arguments(&words).arguments(&[&list]).run(MINUTE * 5)?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(true)
}

/// Where Node finds the packages: its `NODE_PATH`.
pub(crate) fn node_path(root: &Path) -> PathBuf {
    tree::target(root).join("npm").join("node_modules")
}

/// The packages of Node, installed anew when their lock file changed. True when they were.
fn node_modules(root: &Path) -> Result<bool, String> {
    let folder = tree::target(root).join("npm");
    let stamp = folder.join("installed.json");
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let lists = root.join("tests/scenarios/10_mailpit");
    let wanted = read(&lists.join("package-lock.json"))?;
    if fs::read_to_string(&stamp).is_ok_and(|has| has == wanted) && node_path(root).is_dir() {
        return Ok(false);
    }
    println!("   npm ci in {}", folder.display());
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    put("package.json", &read(&lists.join("package.json"))?)?;
    put("package-lock.json", &wanted)?;
    let words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    Child::new("npm").arguments(&words).folder(&folder).run(MINUTE * 5)?;
    put("installed.json", &wanted)?;
    Ok(true)
}

/// Whether Perl can speak TLS.
fn has_perl_tls() -> bool {
    Child::new("perl").arguments(&["-MNet::SSLeay", "-e", "1"]).run(MINUTE).is_ok()
}

fn has_venv() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import venv, ensurepip"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn is_command(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers lie where only root's path leads.
    let system = PathBuf::from("/usr/sbin");
    std::env::split_paths(&path).chain([system]).any(|folder| is_file(&folder.join(name)))
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// The effective user of this process, as proc(5) tells it: the second number of `Uid:`.
fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    line.and_then(|numbers| numbers.split_whitespace().nth(1)) == Some("0")
}

const MINUTE: Duration = Duration::from_secs(60);
