//! The programs that the spawner has started, and what became of them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, kill_process_group, pidfd_open, waitid,
    waitpid,
};

use super::super::outcome::Exit;
use super::super::protocol::{Order, Report};
use super::super::tree::{self, OwnChildren};

/// The entry of the environment by which a process that has left its group and its parent is known to belong to a run.
const MARK: &[u8] = b"SPORTELLO_REQUEST=";
/// How often the strays are gone through again after a run: the lists in /proc may miss one, and a process that is just being
/// executed has no environment to know it by.
const SWEEPS: u8 = 5;
/// The pause between two such looks.
const SWEEP: Duration = Duration::from_millis(20);
/// The pause between two looks while programs run and none ends: what they have left to us may have ended, and wants to be waited for.
const PATROL: Duration = Duration::from_millis(200);
/// Runs whose strays are looked for, at most.
const MARKS: usize = 256;

/// The programs started and not yet ended, by the process id of their leader.
pub(super) struct Children {
    leaders: HashMap<Pid, Leader>,
    /// The marks of runs that are over, and how often to look for them yet.
    marks: Vec<(Vec<u8>, u8)>,
    /// When to look for strays again.
    due: Option<Instant>,
    own: OwnChildren,
    /// The input of programs that are given none.
    nothing: File,
}

/// The first process of a run: the leader of its process group.
struct Leader {
    /// The server's number for the run.
    id: u64,
    /// Whom to tell.
    line: u64,
    /// Readable when it has ended.
    process: OwnedFd,
    mark: Vec<u8>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// Killed by order of the server, which has forgotten it.
    Finishing,
}

impl Children {
    pub(super) fn new() -> io::Result<Self> {
        let nothing = File::open("/dev/null")?;
        Ok(Self { leaders: HashMap::new(), marks: Vec::new(), due: None, own: OwnChildren::open(), nothing })
    }

    /// The descriptors of all that run, in the order of [`Self::pids`].
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.leaders.values().map(|leader| leader.process.as_fd())
    }

    /// The process ids of all that run.
    pub(super) fn pids(&self) -> impl Iterator<Item = Pid> {
        self.leaders.keys().copied()
    }

    /// Does what the server asks on a line; what there is to tell at once.
    pub(super) fn carry_out(&mut self, line: u64, order: Order, descriptors: Vec<OwnedFd>) -> Option<Report> {
        match order {
            // Said on the control socket only.
            Order::Line => None,
            Order::Start { id, argv, environment } => {
                let failed = |error: io::Error| error.raw_os_error().unwrap_or_default().unsigned_abs();
                let started = self.start(&argv, &environment, descriptors);
                let (pid, process) = match started {
                    Ok(started) => started,
                    Err(error) => return Some(Report::Failed { id, errno: failed(error) }),
                };
                let mark = environment.into_iter().find(|entry| entry.starts_with(MARK)).unwrap_or_default();
                self.leaders.insert(pid, Leader { id, line, process, mark, phase: Phase::Running });
                self.look_within(PATROL);
                None
            }
            Order::Term { id } => {
                if let Some((pid, _)) = self.leaders.iter().find(|(_, leader)| leader.id == id) {
                    // ESRCH: it ended meanwhile.
                    let _ = kill_process_group(*pid, Signal::TERM);
                }
                None
            }
            Order::Finish { id } => {
                self.finish(|leader| leader.id == id);
                None
            }
        }
    }

    /// The server has closed a line: what it asked for there is of no use any more.
    pub(super) fn finish_all(&mut self, line: u64) {
        self.finish(|leader| leader.line == line);
    }

    /// A leader has ended: kills what it left behind, then lets its number go. Whom to tell, and what.
    pub(super) fn ended(&mut self, pid: Pid) -> Option<(u64, Report)> {
        let leader = self.leaders.remove(&pid)?;
        if self.marks.len() == MARKS {
            self.marks.remove(0);
        }
        self.marks.push((leader.mark, SWEEPS));
        // Strays first: beneath one that is killed with the group may be one of another group.
        self.sweep(Some(pid));
        // A zombie keeps its number, which is also its group's, until it is waited for.
        let _ = kill_process_group(pid, Signal::KILL);
        let exit = exit(leader.process.as_fd());
        self.look_within(SWEEP);
        (leader.phase == Phase::Running).then_some((leader.line, Report::Exited { id: leader.id, exit }))
    }

    /// How long until [`Self::look_when_due`] has something to do.
    pub(super) fn due_in(&self) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Sweeps once more for the runs that are over, if it is time to.
    pub(super) fn look_when_due(&mut self) {
        if self.due.is_none_or(|due| due > Instant::now()) {
            return;
        }
        self.sweep(None);
        self.marks.retain_mut(|(_, sweeps)| {
            *sweeps = sweeps.saturating_sub(1);
            *sweeps > 0
        });
        self.due = None;
        if !self.marks.is_empty() {
            self.look_within(SWEEP);
        } else if !self.leaders.is_empty() {
            self.look_within(PATROL);
        }
    }

    fn look_within(&mut self, wait: Duration) {
        let latest = Instant::now() + wait;
        self.due = Some(self.due.map_or(latest, |due| due.min(latest)));
    }

    /// Goes through the processes that lost their parent: takes those that have ended, and kills those that belong to a run that is
    /// over, or all of them when nothing runs that they could belong to. `but`: a leader that has just ended.
    fn sweep(&mut self, but: Option<Pid>) {
        for &pid in self.own.list() {
            let known = self.leaders.contains_key(&pid) || but == Some(pid);
            if known || matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_))) {
                continue;
            }
            let over = |entry: &[u8]| self.marks.iter().any(|(mark, _)| mark == entry);
            if self.leaders.is_empty() || tree::has_environment(pid, over) {
                tree::kill(pid);
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Kills these runs; their ends bring the rest.
    fn finish(&mut self, which: impl Fn(&Leader) -> bool) {
        for (pid, leader) in self.leaders.iter_mut().filter(|(_, leader)| which(leader)) {
            leader.phase = Phase::Finishing;
            tree::kill(*pid);
        }
    }

    /// Starts a program: never a shell, nothing inherited but the descriptors given and our folder, which is `/`. Neither user nor a
    /// closure is set, so that the standard library uses posix_spawn.
    fn start(
        &self,
        argv: &[Vec<u8>],
        environment: &[Vec<u8>],
        descriptors: Vec<OwnedFd>,
    ) -> io::Result<(Pid, OwnedFd)> {
        let (path, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut descriptors = descriptors.into_iter();
        // Where one is missing, there was no room for it here.
        let stdout = descriptors.next().ok_or(Errno::MFILE)?;
        let stderr = descriptors.next().ok_or(Errno::MFILE)?;
        let stdin = match descriptors.next() {
            Some(stdin) => stdin,
            None => self.nothing.as_fd().try_clone_to_owned()?,
        };
        let mut command = Command::new(OsStr::from_bytes(path));
        command.args(arguments.iter().map(|argument| OsStr::from_bytes(argument))).env_clear();
        for entry in environment {
            let mut parts = entry.splitn(2, |byte| *byte == b'=').map(OsStr::from_bytes);
            if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::from(stdin)).stdout(stdout).stderr(stderr).process_group(0);
        let pid = Pid::from_child(&command.spawn()?);
        let process = pidfd_open(pid, PidfdFlags::empty()).inspect_err(|_| {
            // Without a descriptor nothing would tell of its end.
            tree::kill(pid);
            let _ = waitpid(Some(pid), WaitOptions::empty());
        })?;
        Ok((pid, process))
    }
}

/// How a process has ended, which frees its number.
fn exit(process: BorrowedFd<'_>) -> Exit {
    let status = waitid(WaitId::PidFd(process), WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok().flatten();
    let number = |value: i32| u8::try_from(value & 0xff).unwrap_or_default();
    match status.map(|status| (status.exit_status(), status.terminating_signal())) {
        Some((Some(code), _)) => Exit::Code(number(code)),
        Some((None, signal)) => Exit::Signal(signal.map(number).unwrap_or_default()),
        // Nobody else waits for it.
        None => Exit::Signal(number(Signal::KILL.as_raw())),
    }
}
