//! Whether the commands in the documents print what the documents say they print.
//!
//! A block that opens with `console server` starts the server it shows; a block `console run` holds commands, each line
//! after `$ ` with what it prints below; `console run loose` lets figures differ. A document runs from top to bottom in a
//! fresh folder with a home of its own, in which the configuration lies that bears its name. The ports that people read in it are changed for free ones, and back in the output.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};

use crate::child::Child;
use crate::expectation::{self, Numbers};
use crate::markdown::{self, Block};
use crate::step::Note;
use crate::tree;

/// The documents whose commands run.
const DOCUMENTS: [&str; 5] =
    ["README.md", "docs/manual.md", "docs/what-is-a-server.md", "docs/che-cos-e-un-server.md", "docs/example-sites.md"];
/// Two languages of one text: the same commands in the same order.
const TWINS: [&str; 2] = ["docs/what-is-a-server.md", "docs/che-cos-e-un-server.md"];
/// The ports people read, and the flag that moves each.
const PORTS: [(&str, &str); 4] = [("8080", "--web"), ("1025", "--mail"), ("7070", "--commands"), ("8025", "--desk")];
/// How long one command may take.
const CEILING: Duration = Duration::from_secs(60);
/// How long the server may take to start, and to stop.
const START: Duration = Duration::from_secs(15);

/// Runs every document.
pub(crate) fn check(root: &Path, binary: &Path) -> Result<Note, String> {
    let mut faults = Vec::new();
    let mut count = 0_usize;
    let mut words = Vec::new();
    for name in DOCUMENTS {
        let document = markdown::parse(&tree::read(root, Path::new(name))?);
        let mut stage = Stage::new(root, name, binary)?;
        let mut commands = Vec::new();
        for block in &document.blocks {
            let Some(kind) = kind(&block.info) else { continue };
            for step in steps(block) {
                commands.push(step.command.clone());
                if let Err(reason) = stage.play(&kind, &step) {
                    faults.push(format!(
                        "{name}:{}: $ {}\n  {}",
                        step.line,
                        step.command,
                        reason.replace('\n', "\n  ")
                    ));
                }
            }
        }
        if let Err(reason) = stage.end() {
            faults.push(format!("{name}: {reason}"));
        }
        count = count.saturating_add(commands.len());
        if TWINS.contains(&name) {
            words.push(commands);
        }
    }
    if let [one, other] = words.as_slice()
        && one != other
    {
        let at = one.iter().zip(other).position(|(a, b)| a != b).unwrap_or(one.len().min(other.len()));
        faults.push(format!("{} and {} differ from their command {} on", TWINS[0], TWINS[1], at + 1));
    }
    if faults.is_empty() {
        return Ok(Note::of(format!("{count} commands of {} documents", DOCUMENTS.len())));
    }
    Err(format!("{} commands do not print what the document says\n{}", faults.len(), faults.join("\n")))
}

enum Kind {
    Server,
    Run(Numbers),
}

fn kind(info: &str) -> Option<Kind> {
    match info.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["console", "server"] => Some(Kind::Server),
        ["console", "run"] => Some(Kind::Run(Numbers::Exact)),
        ["console", "run", "loose"] => Some(Kind::Run(Numbers::Loose)),
        _ => None,
    }
}

/// One command with the lines it should print.
struct Step {
    line: usize,
    command: String,
    prints: Vec<String>,
}

fn steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut continued = false;
    for (number, line) in (block.line + 1..).zip(&block.lines) {
        let ends = line.ends_with('\\');
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (_, Some(step)) if continued => {
                step.command.push('\n');
                step.command.push_str(line);
            }
            (Some(command), _) => {
                steps.push(Step { line: number, command: command.to_owned(), prints: Vec::new() });
            }
            (None, Some(step)) => {
                step.prints.push(line.clone());
                continue;
            }
            (None, None) => continue,
        }
        continued = ends;
    }
    steps
}

/// The folder, the home and the server of one document.
struct Stage {
    folder: PathBuf,
    home: PathBuf,
    path: OsString,
    ports: Vec<u16>,
    server: Option<process::Child>,
}

impl Stage {
    fn new(root: &Path, name: &str, binary: &Path) -> Result<Self, String> {
        let base = tree::target(root).join("documents").join(name.replace('/', "-"));
        let _ = fs::remove_dir_all(&base);
        let (folder, home) = (base.join("folder"), base.join("home"));
        for each in [&folder, &home] {
            fs::create_dir_all(each).map_err(|error| format!("{}: {error}", each.display()))?;
        }
        let configuration = root.join(name).with_extension("kdl");
        if let (true, Some(file)) = (configuration.is_file(), configuration.file_name()) {
            fs::copy(&configuration, folder.join(file))
                .map_err(|error| format!("{}: {error}", configuration.display()))?;
        }
        let mut paths = vec![binary.parent().unwrap_or(Path::new("/")).to_owned()];
        paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let path = std::env::join_paths(paths).map_err(|error| error.to_string())?;
        Ok(Self { folder, home, path, ports: free_ports()?, server: None })
    }

    fn play(&mut self, kind: &Kind, step: &Step) -> Result<(), String> {
        let command = self.with_free_ports(&step.command);
        match kind {
            Kind::Server => self.start(&command, &step.prints),
            Kind::Run(numbers) => {
                // What a command prints is compared also when it fails: a document may show a refusal.
                let child = Child::new("bash").arguments(&["-c", &command]).folder(&self.folder);
                let printed = match self.environment(child).with_own_group().run(CEILING) {
                    Ok(text) => text,
                    Err(text) if step.prints.is_empty() => return Err(text),
                    Err(text) => text.split_once('\n').map_or(String::new(), |(_, printed)| printed.to_owned()),
                };
                expectation::compare(&step.prints, &self.with_usual_ports(&printed), *numbers)
            }
        }
    }

    fn environment(&self, child: Child) -> Child {
        child
            .variable("PATH", &self.path)
            .variable("HOME", &self.home)
            .variable("XDG_STATE_HOME", self.home.join(".local/state"))
            .variable("LC_ALL", "C.UTF-8")
            .variable("COLUMNS", "120")
            .variable("TERM", "dumb")
    }

    /// Starts the server that a document shows, and waits until it has printed what the document says.
    fn start(&mut self, command: &str, prints: &[String]) -> Result<(), String> {
        self.stop()?;
        let mut command = format!("exec {command}");
        for ((_, flag), port) in PORTS.iter().zip(&self.ports) {
            if !command.contains(flag) {
                command.push_str(&format!(" {flag} {port}"));
            }
        }
        let log = self.home.join("server.txt");
        let error = |error: std::io::Error| format!("the server could not be started: {error}");
        let output = File::create(&log).map_err(error)?;
        let mut child = Command::new("bash");
        child.args(["-c", &command]).current_dir(&self.folder).stdin(Stdio::null()).process_group(0);
        child.stderr(output.try_clone().map_err(error)?).stdout(output);
        child.env("PATH", &self.path).env("HOME", &self.home).env("XDG_STATE_HOME", self.home.join(".local/state"));
        self.server = Some(child.spawn().map_err(error)?);
        let deadline = Instant::now() + START;
        loop {
            let printed = self.with_usual_ports(&fs::read_to_string(&log).unwrap_or_default());
            match expectation::compare(prints, &printed, Numbers::Loose) {
                Ok(()) => return Ok(()),
                Err(reason) if Instant::now() > deadline => return Err(reason),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Asks the server to stop, and makes sure that it did.
    fn stop(&mut self) -> Result<(), String> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        let _ = Command::new("kill").args(["-TERM", &server.id().to_string()]).status();
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            match server.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the server ended with {status}")),
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(error.to_string()),
            }
        }
        let _ = server.kill();
        let _ = server.wait();
        Err(format!("the server did not stop within {} s of SIGTERM", START.as_secs()))
    }

    fn end(mut self) -> Result<(), String> {
        self.stop()
    }

    fn with_free_ports(&self, text: &str) -> String {
        PORTS
            .iter()
            .zip(&self.ports)
            .fold(text.to_owned(), |text, ((usual, _), free)| text.replace(usual, &free.to_string()))
    }

    /// Also the folders, which a document shows as `/path`.
    fn with_usual_ports(&self, text: &str) -> String {
        let text = PORTS
            .iter()
            .zip(&self.ports)
            .fold(text.to_owned(), |text, ((usual, _), free)| text.replace(&free.to_string(), usual));
        let text = text.replace(&*self.folder.to_string_lossy(), "/home/you/site");
        text.replace(&*self.home.to_string_lossy(), "/home/you")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Four ports that were free a moment ago, of five digits, so that changing them back touches nothing else.
fn free_ports() -> Result<Vec<u16>, String> {
    let mut held = Vec::new();
    while held.len() < PORTS.len() {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no free port: {error}"))?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        held.push((listener, port));
    }
    Ok(held.iter().map(|(_, port)| *port).collect())
}
