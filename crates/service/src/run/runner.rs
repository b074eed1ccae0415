//! The handle by which every worker runs programs.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::audit::Audit;
use super::invocation::Invocation;
use super::link::Link;
use super::outcome::Outcome;
use super::program::Program;
use super::running::{self, Attention};
use super::spawner::SpawnerHandle;
use crate::failure::{Class, Failure};
use crate::picture::ProgramsView;

/// Runs the configured programs. A handle: clones share one spawner, and those of [`Runner::with`] too.
#[derive(Clone, Debug)]
pub struct Runner {
    engine: Arc<Engine>,
    programs: Arc<Programs>,
}

/// What runs them.
#[derive(Debug)]
struct Engine {
    link: Link,
    thread: Mutex<Option<JoinHandle<()>>>,
    running: AtomicU64,
    finished: AtomicU64,
}

/// Which there are.
#[derive(Debug, Default)]
struct Programs {
    /// By name in lower case.
    places: HashMap<String, Place>,
    names: Vec<String>,
}

/// One program and who waits for it.
#[derive(Debug)]
struct Place {
    program: Program,
    gate: Arc<Gate>,
}

/// Who runs it and who waits for it, also by another configuration.
#[derive(Debug)]
struct Gate {
    permits: Semaphore,
    queued: AtomicUsize,
    /// Whether its latest run wrote more than a pipe holds, or near it.
    writes_much: AtomicBool,
}

impl Programs {
    fn new(programs: Vec<Program>, before: &Self) -> Self {
        let names = programs.iter().map(|program| program.name().to_owned()).collect();
        let place = |program: Program| {
            let name = program.name().to_ascii_lowercase();
            let parallel = program.limits.parallel;
            let same = before.places.get(&name).filter(|place| place.program.limits.parallel == parallel);
            let gate = same.map(|place| Arc::clone(&place.gate)).unwrap_or_else(|| Arc::new(Gate::new(parallel)));
            (name, Place { program, gate })
        };
        Self { places: programs.into_iter().map(place).collect(), names }
    }
}

impl Gate {
    fn new(parallel: usize) -> Self {
        Self { permits: Semaphore::new(parallel), queued: AtomicUsize::new(0), writes_much: AtomicBool::new(false) }
    }
}

impl Runner {
    /// Takes over the spawner, and makes this process a subreaper, which must have no children of its own beside the spawner: when
    /// that dies, its programs come here to be killed with all other children. No two programs may have names that differ by the case of letters only; of such, the last counts.
    pub fn start(spawner: SpawnerHandle, programs: Vec<Program>) -> io::Result<Self> {
        let (link, thread) = Link::start(spawner)?;
        let thread = Mutex::new(Some(thread));
        let engine = Engine { link, thread, running: AtomicU64::new(0), finished: AtomicU64::new(0) };
        let programs = Arc::new(Programs::new(programs, &Programs::default()));
        Ok(Self { engine: Arc::new(engine), programs })
    }

    /// Another set of programs by the same spawner. A program that had as many places before has the same ones: the bound holds for
    /// those of both sets together.
    pub fn with(&self, programs: Vec<Program>) -> Self {
        Self { engine: Arc::clone(&self.engine), programs: Arc::new(Programs::new(programs, &self.programs)) }
    }

    /// Runs a program to its end. Dropping the future kills its process group.
    ///
    /// A program that ran is an [`Outcome`] whatever its exit; a [`Failure`] is one that could not, or was killed for its output.
    pub async fn run(&self, invocation: Invocation) -> Result<Outcome, Failure> {
        let mut audit = Audit::begin(&invocation);
        let result = self.admit_and_run(invocation, &mut audit).await;
        match &result {
            Ok(outcome) => audit.exited(outcome.exit, outcome.stdout.len()),
            Err(failure) => audit.failed(&failure.public),
        }
        result
    }

    /// Runs a program of the server's own, which no client can name. Its template is not asked: the arguments are ours. The caller
    /// bounds how many run at once. Otherwise as [`Runner::run`].
    pub async fn run_own(&self, program: &Program, invocation: Invocation) -> Result<Outcome, Failure> {
        let mut audit = Audit::begin(&invocation);
        let result = match invocation.check(&program.limits) {
            Ok(()) => self.carry(program, invocation.arguments.clone(), invocation, Attention::Later, &mut audit).await,
            Err(failure) => Err(failure),
        };
        match &result {
            Ok(outcome) => audit.exited(outcome.exit, outcome.stdout.len()),
            Err(failure) => audit.failed(&failure.public),
        }
        result
    }

    /// Whether there is a program of this name.
    pub fn has(&self, name: &str) -> bool {
        self.programs.places.contains_key(&name.to_ascii_lowercase())
    }

    /// The program of a name, written in letters of either case.
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.places.get(&name.to_ascii_lowercase()).map(|place| &place.program)
    }

    /// The configured names, in the order they were given.
    pub fn names(&self) -> &[String] {
        &self.programs.names
    }

    /// The figures of this moment.
    pub fn view(&self) -> ProgramsView {
        let queued: usize = self.programs.places.values().map(|place| place.gate.queued.load(Ordering::Relaxed)).sum();
        ProgramsView {
            names: self.programs.names.clone(),
            running: self.engine.running.load(Ordering::Relaxed),
            queued: u64::try_from(queued).unwrap_or(u64::MAX),
            finished: self.engine.finished.load(Ordering::Relaxed),
            spawner_pid: self.engine.link.spawner(),
        }
    }

    /// Ends the spawner, which kills all that still runs, and waits for it. Blocks: not for a worker. Later runs fail.
    pub fn close(&self) {
        self.engine.link.close();
        let thread = self.engine.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the spawner panicked");
        }
    }

    async fn admit_and_run(&self, invocation: Invocation, audit: &mut Audit) -> Result<Outcome, Failure> {
        let place = self.programs.places.get(&invocation.program.to_ascii_lowercase());
        let place = place.ok_or_else(|| Failure::new(Class::NotFound, "no program has this name"))?;
        let limits = &place.program.limits;
        invocation.check(limits)?;
        let words = place.program.template.fill(&invocation.arguments)?;
        let _permit = place.admit().await?;
        let attention =
            if place.gate.writes_much.load(Ordering::Relaxed) { Attention::AtOnce } else { Attention::Later };
        let outcome = self.carry(&place.program, words, invocation, attention, audit).await?;
        place.gate.writes_much.store(outcome.stdout.len() > MUCH, Ordering::Relaxed);
        Ok(outcome)
    }

    /// Runs what is admitted.
    async fn carry(
        &self,
        program: &Program,
        words: Vec<Vec<u8>>,
        invocation: Invocation,
        attention: Attention,
        audit: &mut Audit,
    ) -> Result<Outcome, Failure> {
        let queued = audit.admitted();
        let _counted = Counted::new(&self.engine.running, &self.engine.finished);
        let began = Instant::now();
        let vectors = vectors(program, words, &invocation);
        // Rare and large: kept off the future of each connection.
        let run = running::run(&self.engine.link, &program.limits, attention, vectors, invocation.stdin);
        let ended = Box::pin(run).await?;
        Ok(Outcome { exit: ended.exit, stdout: ended.stdout, stderr: ended.stderr, queued, took: began.elapsed() })
    }
}

impl Place {
    /// Waits for a permit, among a bounded number of others and for a bounded time.
    async fn admit(&self) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(permit) = self.gate.permits.try_acquire() {
            return Ok(permit);
        }
        let busy = |text: &'static str| Failure::new(Class::Busy, text);
        let waiting = Waiting::new(&self.gate.queued);
        if waiting.before >= self.program.limits.queue {
            return Err(busy("too many wait for this program, try later"));
        }
        match tokio::time::timeout(self.program.limits.queue_wait, self.gate.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(busy("no place became free in time, try later")),
        }
    }
}

/// What the program is given: its argument vector and an environment of fixed names.
fn vectors(program: &Program, words: Vec<Vec<u8>>, invocation: &Invocation) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    use std::os::unix::ffi::OsStrExt;
    let mut argv = vec![program.path().as_os_str().as_bytes().to_vec()];
    argv.extend(words);
    let environment = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("LANG", "C.UTF-8"),
        ("HOME", "/nonexistent"),
        ("SPORTELLO_COMMAND", program.name()),
        ("SPORTELLO_REQUEST", &invocation.request),
        ("SPORTELLO_PEER", &invocation.peer.to_string()),
    ];
    (argv, environment.iter().map(|(name, value)| format!("{name}={value}").into_bytes()).collect())
}

/// Bytes of output beyond which a program may have had to wait for its pipe, which holds 64 KiB.
const MUCH: usize = 48 << 10;

/// One that waits, counted as long as it lives.
struct Waiting<'a> {
    queued: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn new(queued: &'a AtomicUsize) -> Self {
        Self { queued, before: queued.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One that runs, counted as long as it lives, and then as finished.
struct Counted<'a> {
    running: &'a AtomicU64,
    finished: &'a AtomicU64,
}

impl<'a> Counted<'a> {
    fn new(running: &'a AtomicU64, finished: &'a AtomicU64) -> Self {
        running.fetch_add(1, Ordering::Relaxed);
        Self { running, finished }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
        self.finished.fetch_add(1, Ordering::Relaxed);
    }
}
