//! The resident memory of a process tree, from `/proc/PID/status`.

use std::fs;

use crate::cpu;

/// Bytes in memory; the sums over a tree count pages that its processes share once for each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident now (VmRSS).
    pub(crate) resident: u64,
    /// The greatest it has ever been (VmHWM).
    pub(crate) peak: u64,
    /// The part of `resident` that belongs to no file (RssAnon): heaps and stacks.
    pub(crate) anonymous: u64,
}

impl Memory {
    /// The sum over `root` and its descendants.
    pub(crate) fn of_tree(root: u32) -> Self {
        cpu::tree(root).into_iter().map(Self::of_process).fold(Self::default(), |sum, one| Self {
            resident: sum.resident + one.resident,
            peak: sum.peak + one.peak,
            anonymous: sum.anonymous + one.anonymous,
        })
    }

    /// What one process holds; nothing when it has ended.
    pub(crate) fn of_process(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
        };
        Self {
            resident: bytes("VmRSS").unwrap_or(0),
            peak: bytes("VmHWM").unwrap_or(0),
            anonymous: bytes("RssAnon").unwrap_or(0),
        }
    }
}

/// Bytes as MiB with one decimal.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
