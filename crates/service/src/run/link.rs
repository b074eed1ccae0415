//! The server's end of the spawner: who is the spawner now, and how a run is asked for.
//!
//! The thread `spawner-link` only watches over it: when the spawner dies, every run fails with [`Lost`], what it had started is
//! killed, and a new one is started: programs come back, the server never stops. Each runtime that runs programs, which is each
//! worker, speaks with the spawner by a [`Line`] of its own.
//!
//! Bounded by the permits of [`super::Runner`]: a run sends at most three orders and is told one thing.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{Shutdown, shutdown};
use tokio::io::Interest;
use tokio::runtime::{Handle, Id};
use tokio::sync::{OnceCell, watch};
use tokio::time::timeout;

use super::line::{Line, Run};
use super::protocol::Order;
use super::spawner::{self, SpawnerHandle};
use super::tree;

/// A handle: clones speak with the same spawner.
#[derive(Clone, Debug)]
pub(super) struct Link(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    next: AtomicU64,
    /// The spawner, while there is one; its sender is the thread's.
    spawner: watch::Receiver<Option<Arc<Spawner>>>,
    lines: Arc<Lines>,
    /// True: the thread is to end, as it also does when this is dropped.
    closing: watch::Sender<bool>,
}

/// The lines in use, by the runtime whose they are.
#[derive(Debug, Default)]
struct Lines(Mutex<HashMap<Id, Arc<OnceCell<Arc<Line>>>>>);

/// A spawner that lives, as far as is known.
#[derive(Debug)]
struct Spawner {
    control: OwnedFd,
    pid: u32,
}

/// The spawner died, or is gone for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process that starts programs has died")]
pub(super) struct Lost;

/// Why a run could not be asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAsked {
    /// No spawner will come any more.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// A system call failed, for want of descriptors probably.
    #[error("the process that starts programs cannot be spoken with: {0}")]
    Io(#[from] io::Error),
}

impl Link {
    /// Starts the thread.
    pub(super) fn start(spawner: SpawnerHandle) -> io::Result<(Self, JoinHandle<()>)> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (told, spawner_now) = watch::channel(None);
        let (closing, closed) = watch::channel(false);
        // Here, not on the thread: whoever asks at once is to find it.
        let first = take_over(spawner, &told);
        let thread = std::thread::Builder::new()
            .name("spawner-link".to_owned())
            .spawn(move || runtime.block_on(supervise(first, &told, closed)))?;
        let shared = Shared { next: AtomicU64::new(0), spawner: spawner_now, lines: Arc::default(), closing };
        Ok((Self(Arc::new(shared)), thread))
    }

    /// The number of the next run.
    pub(super) fn number(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks for a program by the message that starts the run `id`; waits while there is no spawner. Dropping the future asks for
    /// nothing, or finishes with what it has asked for.
    pub(super) async fn run(&self, id: u64, message: &[u8], descriptors: &[OwnedFd]) -> Result<Run, NotAsked> {
        loop {
            let line = self.line().await?;
            match Line::start(&line, id, message, descriptors).await {
                Ok(run) => return Ok(run),
                // It died before it was asked; there will be another line.
                Err(error) if spawner::is_gone(&error) => self.0.lines.remove(Handle::current().id(), &line),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The spawner's process id, while there is one.
    pub(super) fn spawner(&self) -> Option<u32> {
        self.0.spawner.borrow().as_ref().map(|spawner| spawner.pid)
    }

    /// Ends the thread and the spawner, which kills all that still runs.
    pub(super) fn close(&self) {
        self.0.closing.send_replace(true);
    }

    /// This runtime's line, made if need be: by the first who wants it, while others wait.
    async fn line(&self) -> Result<Arc<Line>, NotAsked> {
        let runtime = Handle::current().id();
        let place = self.0.lines.place(runtime);
        place.get_or_try_init(|| self.connect(runtime)).await.cloned()
    }

    /// A new line of this runtime, to the spawner there is, or the next.
    async fn connect(&self, runtime: Id) -> Result<Arc<Line>, NotAsked> {
        let mut spawner = self.0.spawner.clone();
        let mut dead: Option<Arc<Spawner>> = None;
        loop {
            let is_new = |new: &Arc<Spawner>| dead.as_ref().is_none_or(|dead| !Arc::ptr_eq(dead, new));
            let now = spawner.wait_for(|now| now.as_ref().is_some_and(is_new)).await.map_err(|_| Lost)?.clone();
            let Some(now) = now else { continue };
            match give_line(&now).await {
                Ok((line, reading)) => {
                    self.0.lines.keep(runtime, &line, reading);
                    return Ok(line);
                }
                // Dead, which the thread has yet to notice; or it lives, and has no descriptor for another line.
                Err(error) if spawner::is_gone(&error) => {
                    let is_over =
                        |there: &Option<Arc<Spawner>>| !there.as_ref().is_some_and(|there| Arc::ptr_eq(there, &now));
                    if timeout(NOTICED, spawner.wait_for(is_over)).await.is_err() {
                        return Err(error.into());
                    }
                    dead = Some(now);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Gives a spawner the far end of a new line, and waits until it has taken it: one that was on its way when the spawner died would
/// lose what is sent behind it.
async fn give_line(spawner: &Spawner) -> io::Result<(Arc<Line>, impl Future<Output = ()> + Send + 'static)> {
    let (near, far) = spawner::pair()?;
    let order = Order::Line.encode().unwrap_or_default();
    spawner::send(spawner.control.as_fd(), &order, &[far.as_fd()], spawner::AT_ONCE)?;
    // Closed here, so that the near end hears when nobody has it.
    drop(far);
    Line::open(near).await
}

impl Lines {
    fn all(&self) -> MutexGuard<'_, HashMap<Id, Arc<OnceCell<Arc<Line>>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where this runtime's line is, or is to be.
    fn place(&self, runtime: Id) -> Arc<OnceCell<Arc<Line>>> {
        Arc::clone(self.all().entry(runtime).or_default())
    }

    /// Has this runtime read a new line, which is listed as long as that goes on.
    fn keep(self: &Arc<Self>, runtime: Id, line: &Arc<Line>, reading: impl Future<Output = ()> + Send + 'static) {
        let listed = Listed { lines: Arc::clone(self), runtime, line: Arc::clone(line) };
        // It ends when the spawner is gone, or is dropped with its runtime.
        tokio::spawn(async move {
            let _listed = listed;
            reading.await;
        });
    }

    /// Forgets a line that is of no use any more.
    fn remove(&self, runtime: Id, line: &Arc<Line>) {
        let mut lines = self.all();
        let current = lines.get(&runtime).and_then(|place| place.get());
        if current.is_some_and(|current| Arc::ptr_eq(current, line)) {
            lines.remove(&runtime);
        }
    }
}

/// A line as long as somebody reads it.
struct Listed {
    lines: Arc<Lines>,
    runtime: Id,
    line: Arc<Line>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.lines.remove(self.runtime, &self.line);
    }
}

/// A spawner under watch.
struct Watched {
    spawner: Arc<Spawner>,
    process: Child,
    binary: std::path::PathBuf,
}

fn take_over(spawner: SpawnerHandle, told: &watch::Sender<Option<Arc<Spawner>>>) -> Watched {
    let SpawnerHandle { socket, process, binary } = spawner;
    let spawner = Arc::new(Spawner { control: socket, pid: process.id() });
    told.send_replace(Some(Arc::clone(&spawner)));
    Watched { spawner, process, binary }
}

/// The life of the thread: one spawner after the other.
async fn supervise(mut now: Watched, told: &watch::Sender<Option<Arc<Spawner>>>, mut closing: watch::Receiver<bool>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = tokio::time::Instant::now();
        let error = tokio::select! {
            // An error: nobody is left who could want a program.
            _ = closing.wait_for(|closing| *closing) => None,
            error = gone(&now.spawner) => Some(error),
        };
        told.send_replace(None);
        // Whoever holds it for a moment yet does not keep it from closing. It may be closed already.
        let _ = shutdown(&now.spawner.control, Shutdown::Both);
        let Some(error) = error else { return wait(now.process) };
        tracing::error!(pid = now.spawner.pid, %error, "the spawner died; another is started");
        wait(now.process);
        // What it had started is this process's own now, as the nearest subreaper; there is no other child.
        tree::kill_all();
        if began.elapsed() > STEADY {
            pause = FIRST_PAUSE;
        }
        let spawner = loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
            match spawner::start_as(&now.binary) {
                Ok(spawner) => break spawner,
                Err(error) => tracing::error!(%error, "no new spawner yet"),
            }
        };
        now = take_over(spawner, told);
    }
}

/// Takes a spawner that has ended, or that is told to.
fn wait(mut process: Child) {
    if let Err(error) = process.wait() {
        tracing::error!(%error, "the spawner cannot be waited for");
    }
}

/// Waits until the spawner's end of the control socket closes: nothing is said there after the first word.
async fn gone(spawner: &Spawner) -> io::Error {
    let watched = spawner.control.try_clone().and_then(|socket| sportello_net::watch_for(socket, Interest::READABLE));
    let watched = match watched {
        Ok(watched) => watched,
        Err(error) => return error,
    };
    let received = watched
        .async_io(Interest::READABLE, |socket| {
            spawner::receive(socket.as_fd(), &mut [0; 64], &mut Vec::new(), spawner::NOT_WAITING)
        })
        .await;
    match received {
        Ok(0) => io::ErrorKind::UnexpectedEof.into(),
        Ok(_) => io::ErrorKind::InvalidData.into(),
        Err(error) => error,
    }
}

/// How long the thread may take to notice that the spawner is dead.
const NOTICED: Duration = Duration::from_secs(1);
/// A spawner that lived as long was not broken from its start.
const STEADY: Duration = Duration::from_secs(10);
/// The pause before a new spawner, doubled each time one dies young.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(5);
