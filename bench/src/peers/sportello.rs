//! Our own server, as a newcomer would start it, with its log (request lines too) written to a file.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::programs::PROGRAM;
use crate::error::{Doing, Error};
use crate::generator::smtp::DOMAIN;
use crate::harness::{Harness, START};
use crate::rounds::Contender;

/// Which of its channels is loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Door {
    Web,
    Mail,
    Commands,
}

/// How many workers it has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Workers {
    /// As many as its peers.
    AsPeers,
    /// As many as it takes by itself on two cores.
    Two,
}

impl Door {
    fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Mail => "mail",
            Self::Commands => "commands",
        }
    }
}

/// Whether it tells of what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observation {
    /// One line in the log for each request, into a file; samples for the desk.
    On,
    /// As little as it can be told to: no log.
    Off,
}

/// The line it prints when it is ready.
#[derive(Deserialize)]
struct Ready {
    channels: Vec<Channel>,
}

#[derive(Deserialize)]
struct Channel {
    name: String,
    port: u16,
}

/// Starts Sportello serving `root`, as it is by itself.
pub(crate) fn start(harness: &Harness, root: &Path, door: Door, workers: Workers) -> Result<Contender, Error> {
    let workers = match workers {
        Workers::AsPeers => harness.cores.workers(),
        Workers::Two => 2,
    };
    start_as(harness, "Sportello", root, door, workers, Observation::On)
}

/// Starts Sportello serving `root`, under a name of its own.
pub(crate) fn start_as(
    harness: &Harness,
    name: &str,
    root: &Path,
    door: Door,
    workers: u32,
    observation: Observation,
) -> Result<Contender, Error> {
    let folder = folder(harness, name)?;
    let mut arguments = flags(&folder, root, workers);
    arguments.extend(["--command".to_owned(), format!("say={PROGRAM}")]);
    if observation == Observation::Off {
        arguments.extend(["--log", "off"].map(str::to_owned));
    }
    let contender = launch(harness, name, &harness.sportello, &folder, &arguments, door.name())?;
    Ok(if observation == Observation::On { contender } else { Contender { log: None, ..contender } })
}

/// Starts another binary of it, serving `root`.
pub(crate) fn start_other(harness: &Harness, name: &str, program: &Path, root: &Path) -> Result<Contender, Error> {
    let folder = folder(harness, name)?;
    let arguments = flags(&folder, root, harness.cores.workers());
    launch(harness, name, program, &folder, &arguments, Door::Web.name())
}

/// What it is started with without a configuration: all channels, on free ports.
fn flags(folder: &Path, root: &Path, workers: u32) -> Vec<String> {
    let mut flags = vec!["serve".to_owned(), root.display().to_string(), "--json".to_owned()];
    flags.extend(["--state".to_owned(), folder.join("state").display().to_string()]);
    for channel in ["--web", "--mail", "--commands", "--desk"] {
        flags.extend([channel.to_owned(), "0".to_owned()]);
    }
    flags.extend(["--workers".to_owned(), workers.to_string()]);
    flags
}

/// Starts Sportello with a configuration: `rest`, behind the state folder and as many workers as its peers have. It has a
/// channel `web`, which is loaded.
pub(crate) fn start_configured(harness: &Harness, name: &str, rest: &str) -> Result<Contender, Error> {
    configured(harness, name, rest, Door::Web)
}

/// Starts Sportello so that mail for `inbox` at [`DOMAIN`] goes on to the server at `sink`: by an alias that leads elsewhere,
/// which asks for no login, as `smtp-source` has none.
pub(crate) fn start_relaying(harness: &Harness, sink: SocketAddr) -> Result<Contender, Error> {
    let rest = format!(
        "hostname \"mx.{DOMAIN}\"\nrelay \"{sink}\" tls=off\nchannel mail port=0 protocol=smtp\n\
         domain {DOMAIN} {{\n    mail {{\n        alias inbox to=\"inbox@elsewhere.test\"\n    }}\n}}\n"
    );
    let contender = configured(harness, "Sportello", &rest, Door::Mail)?;
    let socket = contender.log.as_ref().map(|log| log.with_file_name(STATE).join(SOCKET));
    Ok(Contender { socket, ..contender })
}

/// Where the queue is asked for, in the state folder.
const SOCKET: &str = "command.sock";
const STATE: &str = "state";

/// Whether the queue of the server behind `socket` is empty.
pub(crate) fn is_queue_empty(socket: &Path) -> Result<bool, Error> {
    let doing = || "asking for the queue of sportello".to_owned();
    let mut stream = UnixStream::connect(socket).doing(doing)?;
    stream.set_read_timeout(Some(START)).doing(doing)?;
    stream.write_all(b"*4\r\n$5\r\nQUEUE\r\n$4\r\nLIST\r\n$1\r\n1\r\n$4\r\nJSON\r\n").doing(doing)?;
    let mut length = String::new();
    BufReader::new(stream.take(LONGEST_LENGTH)).read_line(&mut length).doing(doing)?;
    match length.trim_end().strip_prefix('$').and_then(|digits| digits.parse::<u64>().ok()) {
        // `[]`: a list of nothing.
        Some(octets) => Ok(octets == 2),
        None => Err(Error::not_so(format!("sportello told of its queue {length:?}"))),
    }
}

/// The most octets of the line that is read of an answer.
const LONGEST_LENGTH: u64 = 200;

fn configured(harness: &Harness, name: &str, rest: &str, door: Door) -> Result<Contender, Error> {
    let folder = folder(harness, name)?;
    let state = folder.join(STATE);
    let text = format!("state \"{}\"\nworkers {}\n{rest}", state.display(), harness.cores.workers());
    let file = folder.join("sportello.kdl");
    fs::write(&file, text).doing(|| "writing sportello.kdl".to_owned())?;
    let arguments = ["serve", "--json", "--config", &file.to_string_lossy()].map(str::to_owned);
    launch(harness, name, &harness.sportello, &folder, &arguments, door.name())
}

fn folder(harness: &Harness, name: &str) -> Result<PathBuf, Error> {
    harness.folder(&name.replace([' ', ','], "-"))
}

/// Starts `program` with its log in `folder`, and waits until it is ready.
fn launch(
    harness: &Harness,
    name: &str,
    program: &Path,
    folder: &Path,
    arguments: &[String],
    door: &str,
) -> Result<Contender, Error> {
    let log = folder.join("log");
    let file: File =
        OpenOptions::new().create(true).append(true).open(&log).doing(|| "making the log of sportello".to_owned())?;
    let mut process = harness.start("sportello", program, arguments, |command| {
        command.stdout(Stdio::piped()).stderr(file);
    })?;
    let stdout = process.child().stdout.take().ok_or_else(|| Error::not_so("sportello has no output"))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).doing(|| "reading sportello's ready line".to_owned())?;
    let ready: Ready = serde_json::from_str(&line).map_err(|_| {
        let said = fs::read_to_string(&log).unwrap_or_default();
        Error::not_so(format!("sportello did not become ready: {line}{said}"))
    })?;
    let channel = ready.channels.iter().find(|channel| channel.name == door);
    let port = channel.ok_or_else(|| Error::not_so(format!("sportello has no channel {door}")))?.port;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    Ok(Contender { log: Some(log), ..Contender::new(name, address, process) })
}

/// The program to measure: the one that `SPORTELLO` names, or the workspace's, built first if need be.
pub(crate) fn program() -> Result<PathBuf, Error> {
    if let Some(named) = std::env::var_os("SPORTELLO") {
        let path = PathBuf::from(named);
        return if path.is_file() { Ok(path) } else { Err(Error::not_so(format!("no {}", path.display()))) };
    }
    let target = target()?;
    // It says what it compiles, and ends with the harness.
    let built = Command::new("setpriv")
        .args(["--pdeathsig", "TERM", env!("CARGO"), "build", "--release", "-p", "sportello", "--target-dir"])
        .arg(&target)
        .current_dir(workspace())
        .status()
        .doing(|| "building sportello".to_owned())?;
    if !built.success() {
        return Err(Error::not_so("sportello does not build"));
    }
    Ok(target.join("release/sportello"))
}

/// The folder that this program was built into: `target`.
pub(crate) fn target() -> Result<PathBuf, Error> {
    let own = std::env::current_exe().doing(|| "finding this program".to_owned())?;
    own.parent()
        .and_then(Path::parent)
        .map(Path::to_owned)
        .ok_or_else(|| Error::not_so("this program is not in a target folder"))
}

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
