//! The processor time of a server's whole process tree.
//!
//! By the nanosecond from each thread's `/proc/PID/task/TID/schedstat`; where threads or processes ended in between,
//! `/proc/PID/stat` (10 ms steps, but it keeps what ended threads and waited-for children used) repairs the sum.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// What a process tree had used at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    threads: HashMap<(u32, u32), u64>,
    processes: HashMap<u32, Ticks>,
}

/// User and system time of a process and of its waited-for children, in clock ticks.
#[derive(Debug, Clone, Copy, Default)]
struct Ticks {
    user: u64,
    system: u64,
}

/// What a process tree used between two samples.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) total: Duration,
    /// The part in user mode, 0 to 1; told in steps of 10 ms.
    pub(crate) user_share: f64,
}

impl Sample {
    /// What the process `root` and all its descendants have used so far.
    pub(crate) fn of_tree(root: u32) -> Self {
        let mut sample = Self::default();
        for process in tree(root) {
            sample.add(process);
        }
        sample
    }

    fn add(&mut self, process: u32) {
        if let Some(ticks) = ticks(process) {
            self.processes.insert(process, ticks);
        }
        let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return };
        for task in tasks.flatten() {
            let Some(thread) = task.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            if let Some(ran) = text.split_whitespace().next().and_then(|first| first.parse().ok()) {
                self.threads.insert((process, thread), ran);
            }
        }
    }

    /// What was used from `earlier` until this sample.
    pub(crate) fn since(&self, earlier: &Self) -> Spent {
        let by_thread: u64 = self
            .threads
            .iter()
            .map(|(thread, ran)| ran.saturating_sub(earlier.threads.get(thread).copied().unwrap_or(0)))
            .sum();
        let (mut user, mut system) = (0, 0);
        for (process, now) in &self.processes {
            let then = earlier.processes.get(process).copied().unwrap_or_default();
            user += now.user.saturating_sub(then.user);
            system += now.system.saturating_sub(then.system);
        }
        let tick = Duration::from_nanos(1_000_000_000 / rustix::param::clock_ticks_per_second().max(1));
        // Each process may have been rounded up by a tick in both columns.
        let rounding = u64::try_from(self.processes.len()).unwrap_or(0) * 2;
        let by_tick = tick * u32::try_from((user + system).saturating_sub(rounding)).unwrap_or(u32::MAX);
        let user_share = if user + system == 0 { 0.0 } else { user as f64 / (user + system) as f64 };
        Spent { total: Duration::from_nanos(by_thread).max(by_tick), user_share }
    }
}

/// `root` and every process descended from it.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, stat_fields(process)?.get(1)?.parse().ok()?)))
        .collect();
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        tree.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(process, _)| *process));
        next += 1;
    }
    tree
}

/// The fields of `/proc/PID/stat` after the name: state, parent, …
fn stat_fields(process: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name may hold spaces and brackets: what counts begins after the last one.
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// proc(5): utime, stime, cutime, cstime are fields 14 to 17; the state is field 3.
fn ticks(process: u32) -> Option<Ticks> {
    let fields = stat_fields(process)?;
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
    Some(Ticks { user: field(14)? + field(16)?, system: field(15)? + field(17)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn busy_time_is_counted() {
        let before = Sample::of_tree(std::process::id());
        let began = Instant::now();
        let mut turns = 0_u64;
        while began.elapsed() < Duration::from_millis(200) {
            turns = std::hint::black_box(turns + 1);
        }
        let spent = Sample::of_tree(std::process::id()).since(&before);
        assert!(spent.total > Duration::ZERO, "{spent:?} after {turns} turns");
    }

    #[test]
    fn the_tree_begins_with_its_root() {
        let root = std::process::id();
        assert_eq!(tree(root).first(), Some(&root));
    }
}
