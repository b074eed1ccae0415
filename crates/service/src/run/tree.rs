//! The processes beneath this one, found through `/proc/PID/task/*/children`, and how to kill them.
//!
//! A process can leave its process group; as the spawner is a subreaper (`man 2 PR_SET_CHILD_SUBREAPER`), one that loses its parent
//! becomes the spawner's child, so that nothing gets out of sight. Where the kernel has no such file (CONFIG_PROC_CHILDREN) only the
//! process groups are known.

use std::fs::{self, File};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group};

/// The most processes that one walk lists.
const MOST: usize = 32 << 10;
/// Bytes of a list read at once: some hundred processes.
const ONE_READ: usize = 4 << 10;
/// Bytes after which there may be more.
const FULL: usize = ONE_READ / 2;
/// The most digits of a process id, and a space.
const LONGEST: usize = 11;
/// Rounds of killing. Each kills every descendant there is; another is needed for those forked meanwhile, and for those that the
/// kernel has yet to take apart.
const ROUNDS: usize = 1000;
/// The pause between two rounds.
const PAUSE: Duration = Duration::from_millis(2);

/// The children of a process.
pub(super) fn children(of: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", of.as_raw_pid())) else { return found };
    for task in tasks.flatten() {
        let Ok(text) = fs::read_to_string(task.path().join("children")) else { continue };
        found.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).filter_map(Pid::from_raw));
    }
    found
}

/// All processes beneath one, parents before their children.
pub(super) fn beneath(root: Pid) -> Vec<Pid> {
    let mut found = children(root);
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        if found.len() > MOST {
            break;
        }
        found.extend(children(pid));
        next += 1;
    }
    found
}

/// Kills a process group and everything beneath its leader.
pub(super) fn kill(leader: Pid) {
    let beneath = beneath(leader);
    // ESRCH, nothing there any more, is what is wanted; nothing else can be done about EPERM here.
    let _ = kill_process_group(leader, Signal::KILL);
    for pid in beneath {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Kills everything beneath this process and waits for it, but no longer than a few seconds: a process may hang in the kernel.
///
/// For a subreaper only: what an ended process leaves behind becomes a child of this one, so that having no child means having no
/// descendant. (The lists in /proc may miss one while others end.)
pub(super) fn kill_all() {
    let own = rustix::process::getpid();
    for _ in 0..ROUNDS {
        for pid in beneath(own) {
            let _ = kill_process(pid, Signal::KILL);
        }
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether one of the entries (`NAME=value`) of the environment that a process was started with is what is looked for.
pub(super) fn has_environment(pid: Pid, entry: impl Fn(&[u8]) -> bool) -> bool {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_pid())).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(entry)
}

/// The list of this process's own children, opened once: after each program it is looked at again. For a process of one thread.
pub(super) struct OwnChildren {
    /// None: the kernel has no such file.
    file: Option<File>,
    text: Vec<u8>,
    found: Vec<Pid>,
}

impl OwnChildren {
    pub(super) fn open() -> Self {
        Self { file: File::open("/proc/thread-self/children").ok(), text: Vec::new(), found: Vec::new() }
    }

    /// The children there are now.
    pub(super) fn list(&mut self) -> &[Pid] {
        self.found.clear();
        self.text.clear();
        if let Some(file) = &self.file {
            let mut offset = 0;
            while self.text.len() < MOST * LONGEST {
                self.text.reserve(ONE_READ);
                let read = rustix::io::pread(file, spare_capacity(&mut self.text), offset);
                // The file fills what it is given as long as it has more. An error leaves the list short; it is looked at again.
                let Ok(length @ FULL..) = read else { break };
                offset = offset.saturating_add(length as u64);
            }
        }
        let pids = self.text.split(u8::is_ascii_whitespace);
        let pids = pids.filter_map(|pid| std::str::from_utf8(pid).ok()?.parse().ok()).filter_map(Pid::from_raw);
        self.found.extend(pids.take(MOST));
        &self.found
    }
}
