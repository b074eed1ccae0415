//! The processes beneath this one, found through `/proc/PID/task/*/children`, and how to kill them.
//!
//! A process can leave its process group; as the spawner is a subreaper (`man 2 PR_SET_CHILD_SUBREAPER`), one that loses its parent
//! becomes the spawner's child, so that nothing gets out of sight. Where the kernel has no such file (CONFIG_PROC_CHILDREN) only the
//! process groups are known.

use std::fs;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The most processes that one walk lists.
const MOST: usize = 32 << 10;

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

/// Whether a process was started with this `NAME=value` in its environment.
pub(super) fn has_environment(pid: Pid, entry: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_pid())).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|other| other == entry)
}
