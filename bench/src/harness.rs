//! Where and how a measurement runs: cores, a folder of its own, time, and the processes it starts.
//!
//! Bounded by: 127.0.0.1 only; each process dies with the harness (`setpriv --pdeathsig`), each folder is removed at the
//! end, and what a killed run left behind is swept by the next one.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::CpuSet;

use crate::error::{Doing, Error};

/// Which cores servers and load may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// Servers on core 0 with one worker, load on core 1.
    Pinned,
    /// Everything anywhere, servers with two workers.
    Free,
}

impl Cores {
    pub(crate) fn workers(self) -> u32 {
        match self {
            Self::Pinned => 1,
            Self::Free => 2,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Free => "unpinned",
        }
    }

    /// In words, for the table's heading.
    pub(crate) fn sharing(self) -> &'static str {
        match self {
            Self::Pinned => "Servers on core 0 with one worker, load on core 1",
            Self::Free => "Nothing pinned, servers with two workers (Redis has one thread)",
        }
    }
}

/// One run of the benchmark.
#[derive(Debug)]
pub(crate) struct Harness {
    pub(crate) cores: Cores,
    pub(crate) rounds: u32,
    pub(crate) slice: Duration,
    /// The server measured.
    pub(crate) sportello: PathBuf,
    folder: PathBuf,
    every_core: CpuSet,
}

/// How long a server may take until it answers.
pub(crate) const START: Duration = Duration::from_secs(20);
/// How long a server may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(10);
/// Files that server and load may have open, where that is allowed.
const FILES: u64 = 65_536;
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;
const PREFIX: &str = "sportello-bench.";

impl Harness {
    /// Makes the run's folder, raises the limit on open files and takes the load's core.
    pub(crate) fn new(cores: Cores, rounds: u32, slice: Duration, sportello: PathBuf) -> Result<Self, Error> {
        sweep();
        let folder = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&folder).doing(|| format!("making {}", folder.display()))?;
        // Postfix's processes run as another user and must get through.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).doing(|| "opening the folder".to_owned())?;
        let limit = rustix::process::getrlimit(Resource::Nofile);
        let most = limit.maximum.unwrap_or(FILES).max(FILES);
        let raised = Rlimit { current: Some(most), maximum: Some(most) };
        // Only root may pass the maximum; what there is serves everybody else, but for the largest crowds.
        rustix::process::setrlimit(Resource::Nofile, raised)
            .or_else(|_| rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }))
            .doing(|| "raising the limit on open files".to_owned())?;
        let every_core = rustix::thread::sched_getaffinity(None).doing(|| "asking for the cores".to_owned())?;
        let harness = Self { cores, rounds, slice, sportello, folder, every_core };
        harness.take(LOAD_CORE)?;
        Ok(harness)
    }

    /// An empty folder for one server.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.folder.join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).doing(|| format!("making {}", path.display()))?;
        Ok(path)
    }

    /// Starts a server on its core, its standard streams as `streams` sets them. It ends with the harness, whatever
    /// becomes of that.
    pub(crate) fn start(
        &self,
        name: &str,
        program: impl AsRef<OsStr>,
        arguments: &[String],
        streams: impl FnOnce(&mut Command),
    ) -> Result<Process, Error> {
        self.start_on(SERVER_CORE, name, program, arguments, streams)
    }

    /// Starts what a server needs and is not measured, on the load's core.
    pub(crate) fn start_beside(
        &self,
        name: &str,
        program: impl AsRef<OsStr>,
        arguments: &[String],
        streams: impl FnOnce(&mut Command),
    ) -> Result<Process, Error> {
        self.start_on(LOAD_CORE, name, program, arguments, streams)
    }

    fn start_on(
        &self,
        core: usize,
        name: &str,
        program: impl AsRef<OsStr>,
        arguments: &[String],
        streams: impl FnOnce(&mut Command),
    ) -> Result<Process, Error> {
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "TERM"]).arg(program).args(arguments).stdin(Stdio::null());
        streams(&mut guarded);
        // The child inherits the affinity of the thread that starts it.
        self.take(core)?;
        let spawned = guarded.spawn().doing(|| format!("starting {name}"));
        self.take(LOAD_CORE)?;
        Ok(Process { child: spawned?, name: name.to_owned() })
    }

    /// Does `work` with the right to every core, as a compiler wants it.
    pub(crate) fn everywhere<T>(&self, work: impl FnOnce() -> T) -> Result<T, Error> {
        if self.cores == Cores::Pinned {
            rustix::thread::sched_setaffinity(None, &self.every_core).doing(|| "taking all cores".to_owned())?;
        }
        let done = work();
        self.take(LOAD_CORE)?;
        Ok(done)
    }

    fn take(&self, core: usize) -> Result<(), Error> {
        if self.cores == Cores::Free {
            return Ok(());
        }
        let mut set = CpuSet::new();
        set.set(core);
        rustix::thread::sched_setaffinity(None, &set)
            .doing(|| format!("taking core {core} (two cores are needed, or --unpinned)"))
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes the folders of runs that were killed.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        if process.parse::<u32>().is_ok() && !Path::new("/proc").join(process).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A server that the harness started; dropping it stops it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// An error when the server has ended.
    pub(crate) fn alive(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(Error::not_so(format!("{} ended: {status}", self.name))),
            Err(source) => Err(Error::Io { doing: format!("looking at {}", self.name), source }),
        }
    }

    /// Waits until `ready` says so, while the server lives.
    pub(crate) fn wait_until(&mut self, what: &str, mut ready: impl FnMut() -> bool) -> Result<(), Error> {
        let began = Instant::now();
        while !ready() {
            self.alive()?;
            if began.elapsed() > START {
                return Err(Error::not_so(format!("{}: not {what} within {START:?}", self.name)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(id, Signal::TERM);
        }
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if began.elapsed() > STOP {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
