//! The server's end of the spawner: one thread, `spawner-link`, that alone speaks with it.
//!
//! Workers hand orders to it and get each run's fate through a channel of the run. When the spawner dies, every run fails with
//! [`Lost`], what it had started is killed, and a new one is started: programs come back, the server never stops.
//!
//! Bounded by the permits of [`super::Runner`]: a run sends at most three orders.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::{mpsc, oneshot};

use super::outcome::Exit;
use super::protocol::{Order, Report};
use super::spawner::{self, SpawnerHandle};
use super::tree;

/// A handle to the thread.
#[derive(Clone, Debug)]
pub(super) struct Link {
    jobs: mpsc::UnboundedSender<Job>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    next: AtomicU64,
    /// 0 while there is none.
    spawner: AtomicU32,
}

/// The spawner died, or is gone for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process that starts programs has died")]
pub(super) struct Lost;

/// A program that was asked for. Dropping it kills whatever is left of the process group.
#[derive(Debug)]
pub(super) struct Run {
    id: u64,
    link: Link,
    /// Comes first: its process id, or the operating system's error number.
    pub(super) started: oneshot::Receiver<Result<u32, i32>>,
    /// Comes when it has ended.
    pub(super) exited: oneshot::Receiver<Exit>,
}

impl Run {
    /// Sends TERM to the process group.
    pub(super) fn term(&self) {
        self.link.tell(Job::Tell(Order::Term { id: self.id }));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.link.tell(Job::Tell(Order::Finish { id: self.id }));
    }
}

#[derive(Debug)]
enum Job {
    Start { message: Vec<u8>, id: u64, descriptors: Vec<OwnedFd>, watch: Watch },
    Tell(Order),
    Close,
}

/// Whom to tell of a run.
#[derive(Debug)]
struct Watch {
    started: Option<oneshot::Sender<Result<u32, i32>>>,
    exited: oneshot::Sender<Exit>,
}

impl Link {
    /// Starts the thread.
    pub(super) fn start(spawner: SpawnerHandle) -> io::Result<(Self, JoinHandle<()>)> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (jobs, orders) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { next: AtomicU64::new(0), spawner: AtomicU32::new(spawner.pid()) });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("spawner-link".to_owned())
            .spawn(move || runtime.block_on(supervise(spawner, orders, &theirs)))?;
        Ok((Self { jobs, shared }, thread))
    }

    /// Asks for a program. `None`: the arguments are more than a message holds.
    pub(super) fn run(&self, argv: Vec<Vec<u8>>, environment: Vec<Vec<u8>>, descriptors: Vec<OwnedFd>) -> Option<Run> {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let message = Order::Start { id, argv, environment }.encode()?;
        let (started, started_here) = oneshot::channel();
        let (exited, exited_here) = oneshot::channel();
        let watch = Watch { started: Some(started), exited };
        self.tell(Job::Start { message, id, descriptors, watch });
        Some(Run { id, link: self.clone(), started: started_here, exited: exited_here })
    }

    /// The spawner's process id, while there is one.
    pub(super) fn spawner(&self) -> Option<u32> {
        Some(self.shared.spawner.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    /// Ends the thread and the spawner, which kills all that still runs.
    pub(super) fn close(&self) {
        self.tell(Job::Close);
    }

    fn tell(&self, job: Job) {
        // The thread has ended: nothing runs any more, and a run that was asked for sees its channels closed.
        let _ = self.jobs.send(job);
    }
}

/// How one spawner's time ended.
enum End {
    Closed,
    Lost(io::Error),
}

/// The life of the thread: one spawner after the other.
async fn supervise(mut spawner: SpawnerHandle, mut orders: mpsc::UnboundedReceiver<Job>, shared: &Shared) {
    let mut pause = FIRST_PAUSE;
    loop {
        let SpawnerHandle { socket, process, binary } = spawner;
        shared.spawner.store(process.id(), Ordering::Relaxed);
        let began = tokio::time::Instant::now();
        let running = RefCell::new(HashMap::new());
        let end = match spawner::register(socket) {
            Ok(socket) => tokio::select! {
                end = sending(&socket, &mut orders, &running) => end,
                error = receiving(&socket, &running) => End::Lost(error),
            },
            Err(error) => End::Lost(error),
        };
        shared.spawner.store(0, Ordering::Relaxed);
        let error = match end {
            End::Closed => return wait(process),
            End::Lost(error) => error,
        };
        let running = running.into_inner();
        tracing::error!(pid = process.id(), running = running.len(), %error, "the spawner died; another is started");
        drop(running);
        wait(process);
        // What it had started is this process's own now, as the nearest subreaper; there is no other child.
        tree::kill_all();
        if began.elapsed() > STEADY {
            pause = FIRST_PAUSE;
        }
        spawner = loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
            match spawner::start_as(&binary) {
                Ok(spawner) => break spawner,
                Err(error) => tracing::error!(%error, "no new spawner yet"),
            }
        };
    }
}

/// Takes a spawner that has ended, or that is told to.
fn wait(mut process: Child) {
    if let Err(error) = process.wait() {
        tracing::error!(%error, "the spawner cannot be waited for");
    }
}

/// Carries orders to the spawner.
async fn sending(
    socket: &UnixDatagram,
    orders: &mut mpsc::UnboundedReceiver<Job>,
    running: &RefCell<HashMap<u64, Watch>>,
) -> End {
    loop {
        let (message, descriptors) = match orders.recv().await {
            None | Some(Job::Close) => return End::Closed,
            Some(Job::Start { message, id, descriptors, watch }) => {
                running.borrow_mut().insert(id, watch);
                (message, descriptors)
            }
            Some(Job::Tell(order)) => {
                if let Order::Finish { id } = order {
                    running.borrow_mut().remove(&id);
                }
                (order.encode().unwrap_or_default(), Vec::new())
            }
        };
        let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        let sent = socket.async_io(Interest::WRITABLE, || spawner::send_now(socket.as_fd(), &message, &borrowed)).await;
        if let Err(error) = sent {
            return End::Lost(error);
        }
    }
}

/// Tells each run its fate.
async fn receiving(socket: &UnixDatagram, running: &RefCell<HashMap<u64, Watch>>) -> io::Error {
    let mut message = [0; 64];
    loop {
        let received = socket
            .async_io(Interest::READABLE, || spawner::receive(socket.as_fd(), &mut message, &mut Vec::new()))
            .await;
        let report = match received {
            Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
            Ok(length) => message.get(..length).and_then(Report::decode),
            Err(error) => return error,
        };
        let Some(report) = report else { return io::ErrorKind::InvalidData.into() };
        tell(report, &mut running.borrow_mut());
    }
}

fn tell(report: Report, running: &mut HashMap<u64, Watch>) {
    // A receiver that is gone, or a run that was finished with, no longer wants to know.
    match report {
        Report::Ready { .. } => {}
        Report::Started { id, pid } => {
            if let Some(watch) = running.get_mut(&id) {
                watch.started.take().map(|started| started.send(Ok(pid)));
            }
        }
        Report::Failed { id, errno } => {
            let started = running.remove(&id).and_then(|watch| watch.started);
            started.map(|started| started.send(Err(i32::try_from(errno).unwrap_or_default())));
        }
        Report::Exited { id, exit } => {
            let _ = running.remove(&id).map(|watch| watch.exited.send(exit));
        }
    }
}

/// A spawner that lived as long was not broken from its start.
const STEADY: Duration = Duration::from_secs(10);
/// The pause before a new spawner, doubled each time one dies young.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(5);
