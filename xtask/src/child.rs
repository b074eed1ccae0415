//! One child process with a ceiling on its time: started without a terminal's input, and ended when it takes too long;
//! with its whole process group where it was given one.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A program to be run to its end.
pub(crate) struct Child {
    command: Command,
    name: String,
    group: Group,
}

/// Which process group a child is in: ours, so that Ctrl-C reaches it, or one of its own, so that its descendants can be
/// ended with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Ours,
    Own,
}

impl Child {
    /// Nothing is started yet.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let name = Path::new(program.as_ref()).file_name().unwrap_or(program.as_ref()).to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { command, name, group: Group::Ours }
    }

    /// Adds arguments.
    pub(crate) fn arguments<A: AsRef<OsStr>>(mut self, words: &[A]) -> Self {
        for word in words {
            self.command.arg(word);
        }
        self
    }

    /// Sets the working folder.
    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// Gives it a process group of its own, ended as a whole.
    pub(crate) fn with_own_group(mut self) -> Self {
        self.command.process_group(0);
        self.group = Group::Own;
        self
    }

    /// Runs it, its output going where ours goes.
    pub(crate) fn run_shown(mut self, ceiling: Duration) -> Result<(), String> {
        let mut child = self.command.spawn().map_err(|error| format!("{} could not be started: {error}", self.name))?;
        let status = wait(&mut child, ceiling, &self.name, self.group)?;
        if status.success() { Ok(()) } else { Err(format!("{}: {status}", self.words())) }
    }

    /// Runs it and gives what it printed, both streams in the order they came. A failure carries the text too.
    pub(crate) fn run(mut self, ceiling: Duration) -> Result<String, String> {
        let (mut reader, writer) = std::io::pipe().map_err(|error| format!("no pipe for {}: {error}", self.name))?;
        let second = writer.try_clone().map_err(|error| format!("no pipe for {}: {error}", self.name))?;
        self.command.stdout(writer).stderr(second);
        let words = self.words();
        let mut child = self.command.spawn().map_err(|error| format!("{} could not be started: {error}", self.name))?;
        // The command holds our copies of the pipe's writing end: without dropping it the reader would never see the end.
        drop(self.command);
        let reading = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let result = reader.read_to_end(&mut bytes);
            (bytes, result)
        });
        let status = wait(&mut child, ceiling, &self.name, self.group);
        let deadline = Instant::now() + AFTERMATH;
        // A grandchild that outlives its parent would hold the pipe open: it is given a moment, then told of.
        while !reading.is_finished() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        if !reading.is_finished() {
            end(&mut child, self.group);
            return Err(format!("{words}: it ended and left a process behind that holds its output"));
        }
        let (bytes, _) = reading.join().map_err(|_| format!("{words}: its output could not be read"))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match status {
            Ok(status) if status.success() => Ok(text),
            Ok(status) => Err(format!("{words}: {status}\n{text}")),
            Err(sentence) => Err(format!("{sentence}\n{text}")),
        }
    }

    fn words(&self) -> String {
        let mut words = self.name.clone();
        for argument in self.command.get_args() {
            words.push(' ');
            words.push_str(&argument.to_string_lossy());
        }
        words
    }
}

/// How often a running child is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long the output of an ended child may stay open.
const AFTERMATH: Duration = Duration::from_secs(5);

fn wait(child: &mut process::Child, ceiling: Duration, name: &str, group: Group) -> Result<ExitStatus, String> {
    let deadline = Instant::now() + ceiling;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(POLL),
            Ok(None) => {
                end(child, group);
                return Err(format!("{name} was ended: it took more than {} s", ceiling.as_secs()));
            }
            Err(error) => return Err(format!("{name} could not be awaited: {error}")),
        }
    }
}

/// Ends the child, and its process group (numbered like the child) where it has its own.
fn end(child: &mut process::Child, group: Group) {
    if group == Group::Own {
        let group = format!("-{}", child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    }
    let _ = child.kill();
    let _ = child.wait();
}
