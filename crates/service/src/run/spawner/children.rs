//! The programs that the spawner has started, and what became of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, kill_process_group, waitid, waitpid,
};

use super::super::outcome::Exit;
use super::super::protocol::{Order, Report};
use super::super::tree;

/// The entry of the environment by which a process that has left its group and its parent is known to belong to a run.
const MARK: &[u8] = b"SPORTELLO_REQUEST=";
/// How often the strays are gone through again after a run: the lists in /proc may miss one, and a process that is just being
/// executed has no environment to know it by.
const SWEEPS: u8 = 5;
/// Runs whose strays are looked for, at most.
const MARKS: usize = 256;

/// The programs started and not yet finished with, by the server's number for the run.
#[derive(Default)]
pub(super) struct Children {
    leaders: RefCell<BTreeMap<u64, Leader>>,
    /// The marks of runs that are over, and how often to look for them yet.
    marks: RefCell<Vec<(Vec<u8>, u8)>>,
}

/// The first process of a run: the leader of its process group.
struct Leader {
    pid: Pid,
    mark: Vec<u8>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// A zombie, told to the server.
    Exited,
    /// Killed by order of the server, which has forgotten it.
    Finishing,
}

impl Children {
    /// Does what the server asks; what there is to tell at once.
    pub(super) fn carry_out(&self, order: Order, descriptors: Vec<OwnedFd>) -> Option<Report> {
        match order {
            Order::Start { id, argv, environment } => Some(match start(&argv, &environment, descriptors) {
                Ok(pid) => {
                    let mark = environment.into_iter().find(|entry| entry.starts_with(MARK)).unwrap_or_default();
                    self.leaders.borrow_mut().insert(id, Leader { pid, mark, phase: Phase::Running });
                    Report::Started { id, pid: pid.as_raw_pid().unsigned_abs() }
                }
                Err(error) => Report::Failed { id, errno: error.raw_os_error().unwrap_or_default().unsigned_abs() },
            }),
            Order::Term { id } => {
                if let Some(leader) = self.leaders.borrow().get(&id) {
                    // ESRCH: it ended meanwhile.
                    let _ = kill_process_group(leader.pid, Signal::TERM);
                }
                None
            }
            Order::Finish { id } => {
                self.finish(id);
                None
            }
        }
    }

    /// Looks which have ended: what there is to tell.
    pub(super) fn reap(&self) -> Vec<Report> {
        let mut reports = Vec::new();
        let mut settled = Vec::new();
        for (&id, leader) in self.leaders.borrow_mut().iter_mut() {
            if leader.phase == Phase::Exited {
                continue;
            }
            let Some(exit) = exited(leader.pid) else { continue };
            if leader.phase == Phase::Finishing {
                settled.push(id);
            } else {
                leader.phase = Phase::Exited;
                reports.push(Report::Exited { id, exit });
            }
        }
        for id in settled {
            self.settle(id);
        }
        self.sweep();
        reports
    }

    /// Whether [`Self::look_again`] is to be called soon.
    pub(super) fn restless(&self) -> bool {
        !self.marks.borrow().is_empty()
    }

    /// Goes through the processes that lost their parent: takes those that have ended, and kills those that belong to a run that is
    /// over, or all of them when nothing runs that they could belong to.
    fn sweep(&self) {
        let leaders: Vec<Pid> = self.leaders.borrow().values().map(|leader| leader.pid).collect();
        let marks = self.marks.borrow();
        for pid in tree::children(rustix::process::getpid()) {
            if leaders.contains(&pid) || matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_))) {
                continue;
            }
            if leaders.is_empty() || marks.iter().any(|(mark, _)| tree::has_environment(pid, mark)) {
                tree::kill(pid);
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Sweeps once more for the runs that are over.
    pub(super) fn look_again(&self) {
        self.sweep();
        self.marks.borrow_mut().retain_mut(|(_, sweeps)| {
            *sweeps = sweeps.saturating_sub(1);
            *sweeps > 0
        });
    }

    fn finish(&self, id: u64) {
        let phase = {
            let mut children = self.leaders.borrow_mut();
            let Some(leader) = children.get_mut(&id) else { return };
            std::mem::replace(&mut leader.phase, Phase::Finishing)
        };
        match phase {
            Phase::Exited => {
                self.settle(id);
                self.sweep();
            }
            Phase::Running | Phase::Finishing => {
                if let Some(leader) = self.leaders.borrow().get(&id) {
                    tree::kill(leader.pid);
                }
                // SIGCHLD brings the rest.
            }
        }
    }

    /// The leader is a zombie: kills what it left behind, then lets its number go.
    fn settle(&self, id: u64) {
        let Some(leader) = self.leaders.borrow_mut().remove(&id) else { return };
        tree::kill(leader.pid);
        let _ = waitpid(Some(leader.pid), WaitOptions::NOHANG);
        let mut marks = self.marks.borrow_mut();
        if marks.len() == MARKS {
            marks.remove(0);
        }
        marks.push((leader.mark, SWEEPS));
    }
}

/// How a process has ended, if it has; it stays a zombie.
fn exited(pid: Pid) -> Option<Exit> {
    let status =
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT).ok()??;
    let number = |value: i32| u8::try_from(value & 0xff).unwrap_or_default();
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Some(Exit::Code(number(code))),
        (None, signal) => Some(Exit::Signal(signal.map(number).unwrap_or_default())),
    }
}

/// Starts a program: never a shell, nothing inherited but the descriptors given. Neither user nor a closure is set, so that the
/// standard library uses posix_spawn.
fn start(argv: &[Vec<u8>], environment: &[Vec<u8>], descriptors: Vec<OwnedFd>) -> io::Result<Pid> {
    let (path, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut descriptors = descriptors.into_iter();
    let stdout = descriptors.next().ok_or(io::ErrorKind::InvalidInput)?;
    let stderr = descriptors.next().ok_or(io::ErrorKind::InvalidInput)?;
    let stdin = descriptors.next().map_or_else(Stdio::null, Stdio::from);
    let mut command = Command::new(OsStr::from_bytes(path));
    command.args(arguments.iter().map(|argument| OsStr::from_bytes(argument))).env_clear();
    for entry in environment {
        let mut parts = entry.splitn(2, |byte| *byte == b'=').map(OsStr::from_bytes);
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            command.env(name, value);
        }
    }
    command.current_dir("/").stdin(stdin).stdout(stdout).stderr(stderr).process_group(0);
    command.spawn().map(|child| Pid::from_child(&child))
}
