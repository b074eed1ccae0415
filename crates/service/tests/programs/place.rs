//! A folder of its own for each case, with a program that runs what it is told.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sportello_service::failure::Failure;
use sportello_service::run::{Invocation, Limits, Outcome, Program, Runner, spawner};

pub(crate) struct Place {
    pub(crate) folder: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("sportello-programs-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    pub(crate) fn runner(&self) -> Runner {
        self.runner_with(Limits::default())
    }

    /// A runner with a spawner of its own, and these programs: `do SCRIPT ARGUMENT…`, `cat`, `ls`, `env`.
    pub(crate) fn runner_with(&self, limits: Limits) -> Runner {
        let script = self.folder.join("do");
        fs::write(&script, "#!/bin/sh\nscript=$1\nshift\neval \"$script\"\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let broken = self.folder.join("broken");
        fs::write(&broken, "#!/no/such/interpreter\n").unwrap();
        fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
        let written = [
            format!("do={}", script.display()),
            format!("broken={}", broken.display()),
            "cat=/bin/cat".to_owned(),
            "ls=/bin/ls".to_owned(),
            "env=/usr/bin/env".to_owned(),
        ];
        let mut programs = Program::parse_all(written.iter().map(String::as_str), &[]).unwrap();
        programs.iter_mut().for_each(|program| program.limits = limits);
        Runner::start(spawner::start().unwrap(), programs).unwrap()
    }

    /// A named pipe, to hear from a program while it runs.
    pub(crate) fn fifo(&self, name: &str) -> String {
        let path = self.folder.join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        path.display().to_string()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The text written to a named pipe until its writer closes it.
pub(crate) async fn heard(fifo: &str) -> String {
    let fifo = fifo.to_owned();
    tokio::task::spawn_blocking(move || fs::read_to_string(fifo).unwrap()).await.unwrap()
}

pub(crate) fn invocation(program: &str, arguments: &[&str]) -> Invocation {
    Invocation {
        program: program.to_owned(),
        arguments: arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect(),
        stdin: Bytes::new(),
        peer: SocketAddr::from(([127, 0, 0, 1], 4711)),
        request: "1.1".to_owned(),
    }
}

pub(crate) fn run(
    runner: &Runner,
    program: &str,
    arguments: &[&str],
) -> impl Future<Output = Result<Outcome, Failure>> + use<> {
    let (runner, invocation) = (runner.clone(), invocation(program, arguments));
    async move { runner.run(invocation).await }
}

pub(crate) fn text(outcome: &Outcome) -> &str {
    std::str::from_utf8(&outcome.stdout).unwrap()
}

/// Expects a process to be gone, or to go soon.
pub(crate) fn check_gone(pid: &str) {
    let number: i32 = pid.trim().parse().unwrap_or_else(|_| panic!("not a process id: {pid:?}"));
    let Ok(process) = pidfd_open(Pid::from_raw(number).unwrap(), PidfdFlags::empty()) else { return };
    let mut poll = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut poll, Some(&limit)), Ok(1), "process {number} still lives");
}
