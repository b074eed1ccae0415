//! The threads of this process and what each has used, from /proc (man 5 proc).

use std::fs;

use sportello_service::picture::ThreadView;

/// All threads of the process, in the order they were started.
pub(super) fn threads() -> Vec<ThreadView> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let mut threads: Vec<_> = tasks.flatten().filter_map(|task| thread(&task.file_name().to_string_lossy())).collect();
    threads.sort_unstable_by_key(|thread| thread.tid);
    threads
}

fn thread(tid: &str) -> Option<ThreadView> {
    let stat = fs::read_to_string(format!("/proc/self/task/{tid}/stat")).ok()?;
    let (name, state, ticks) = parse_stat(&stat)?;
    let doing = match state {
        "R" => "running",
        "D" => "waiting for the disk",
        _ => "waiting",
    };
    Some(ThreadView {
        name: name.to_owned(),
        tid: tid.parse().ok()?,
        cpu_ms: ticks.saturating_mul(1_000) / rustix::param::clock_ticks_per_second().max(1),
        doing: doing.to_owned(),
        connections: None,
        requests: None,
    })
}

/// The name, the state and the user and system time (clock ticks) of a `stat` line. The name is in parentheses and may hold
/// any byte, also a parenthesis.
fn parse_stat(stat: &str) -> Option<(&str, &str, u64)> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let mut fields = after.split_ascii_whitespace();
    let state = fields.next()?;
    let user: u64 = fields.nth(10)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((name, state, user.saturating_add(system)))
}

/// Resident memory of this process, bytes.
pub(super) fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|statm| statm.split_ascii_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    pages.saturating_mul(rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let line = "42 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 70 30 0 0 20 0 1 0";
        assert_eq!(parse_stat(line), Some(("a) b (c", "R", 100)));
        assert_eq!(parse_stat("42 (x"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn this_very_thread_is_seen() {
        assert!(threads().iter().any(|thread| thread.tid == std::process::id() || !thread.name.is_empty()));
        assert!(resident_bytes() > 0);
    }
}
