//! Our own server, as a newcomer would start it, with its log (request lines too) written to a file.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::programs::PROGRAM;
use crate::error::{Doing, Error};
use crate::harness::Harness;
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
    let folder = harness.folder(&name.replace([' ', ','], "-"))?;
    let log = folder.join("log");
    let file: File =
        OpenOptions::new().create(true).append(true).open(&log).doing(|| "making the log of sportello".to_owned())?;
    let mut arguments = vec!["serve".to_owned(), root.display().to_string(), "--json".to_owned()];
    arguments.extend(["--state".to_owned(), folder.join("state").display().to_string()]);
    for channel in ["--web", "--mail", "--commands", "--desk"] {
        arguments.extend([channel.to_owned(), "0".to_owned()]);
    }
    arguments.extend(["--workers".to_owned(), workers.to_string()]);
    arguments.extend(["--command".to_owned(), format!("say={PROGRAM}")]);
    if observation == Observation::Off {
        arguments.extend(["--log", "off"].map(str::to_owned));
    }
    let mut process = harness.start("sportello", &harness.sportello, &arguments, |command| {
        command.stdout(Stdio::piped()).stderr(file);
    })?;
    let stdout = process.child().stdout.take().ok_or_else(|| Error::not_so("sportello has no output"))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).doing(|| "reading sportello's ready line".to_owned())?;
    let ready: Ready = serde_json::from_str(&line).map_err(|_| {
        let said = fs::read_to_string(&log).unwrap_or_default();
        Error::not_so(format!("sportello did not become ready: {line}{said}"))
    })?;
    let channel = ready.channels.iter().find(|channel| channel.name == door.name());
    let port = channel.ok_or_else(|| Error::not_so(format!("sportello has no channel {}", door.name())))?.port;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let log = (observation == Observation::On).then_some(log);
    Ok(Contender { log, ..Contender::new(name, address, process) })
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
