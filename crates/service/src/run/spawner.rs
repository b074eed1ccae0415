//! The spawner: a small process of the same binary that starts programs for the server.
//!
//! Started by [`start`] before the server has a thread, a descriptor worth leaking or a sandbox; [`main`] is its whole life. It is a
//! session of its own, so that Ctrl-C reaches the server only; subreaper, so that no descendant gets out of sight; and when its
//! socket to the server closes, for whatever reason, it kills every descendant and ends.
//!
//! Knows nothing of clients, time or output: the server holds the other ends of a program's pipes and watches the clock.

mod children;

use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType,
};
use rustix::process::Pid;
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::children::Children;
use super::protocol::{MESSAGE, Order, Report};
use super::tree;

/// The argument by which the binary knows that it is to be the spawner.
const ARGUMENT: &str = "--spawner";
/// How long a new spawner may take until it is ready.
const READY: Duration = Duration::from_secs(10);
/// Standard output, standard error and, unless it is empty, standard input.
const MOST_DESCRIPTORS: usize = 3;

/// A running spawner, not yet in use.
#[derive(Debug)]
pub struct SpawnerHandle {
    pub(super) socket: OwnedFd,
    pub(super) process: Child,
    pub(super) binary: PathBuf,
}

/// Why there is no spawner.
#[derive(Debug, Error)]
pub enum StartError {
    /// A system call failed.
    #[error("the process that starts programs cannot be started: {0}")]
    Io(#[from] io::Error),
    /// It ended, or said something else, or nothing within the time it has.
    #[error("the process that starts programs did not become ready")]
    NotReady,
}

/// Starts the spawner. To be called by `main` before any thread exists.
pub fn start() -> Result<SpawnerHandle, StartError> {
    // The link in /proc works when the file was replaced meanwhile; its own name shows better in `ps`.
    let binary = std::env::current_exe().ok().filter(|path| path.exists());
    start_as(&binary.unwrap_or_else(|| PathBuf::from("/proc/self/exe")))
}

/// Starts `binary` as the spawner.
pub(super) fn start_as(binary: &Path) -> Result<SpawnerHandle, StartError> {
    let (socket, theirs) = pair()?;
    let process = Command::new(binary)
        .arg(ARGUMENT)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .spawn()?;
    let mut spawner = SpawnerHandle { socket, process, binary: binary.to_owned() };
    match spawner.wait_ready() {
        Ok(()) => Ok(spawner),
        Err(error) => {
            // It may have ended already.
            let _ = spawner.process.kill();
            let _ = spawner.process.wait();
            Err(error)
        }
    }
}

impl SpawnerHandle {
    /// The spawner's process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    fn wait_ready(&self) -> Result<(), StartError> {
        let limit = Timespec { tv_sec: i64::try_from(READY.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
        let mut poll = [PollFd::new(&self.socket, PollFlags::IN)];
        if rustix::io::retry_on_intr(|| rustix::event::poll(&mut poll, Some(&limit))).map_err(io::Error::from)? == 0 {
            return Err(StartError::NotReady);
        }
        let mut message = [0; 64];
        let length = receive(self.socket.as_fd(), &mut message, &mut Vec::new(), NOT_WAITING)?;
        match message.get(..length).and_then(Report::decode) {
            Some(Report::Ready { .. }) => Ok(()),
            _ => Err(StartError::NotReady),
        }
    }
}

/// Whether this process was started to be the spawner: then [`main`] is all it does.
pub fn asked_for() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == ARGUMENT)
        && rustix::net::sockopt::socket_type(io::stdin()).is_ok_and(|kind| kind == SocketType::SEQPACKET)
}

/// The spawner's whole life. Returns when the server is gone and everything beneath was killed.
pub fn main() -> ExitCode {
    match live() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The server sees the socket close and says so; only here is known why.
            let _ = writeln!(io::stderr(), "sportello: the process that starts programs ends: {error}");
            ExitCode::FAILURE
        }
    }
}

fn live() -> io::Result<()> {
    // Shown by `top` and `ps`; a name is not worth failing for.
    let _ = rustix::thread::set_name(c"spawner");
    // What whoever started the server had open without close-on-exec would come through it to every program.
    sportello_net::close_on_exec_from(3)?;
    rustix::process::setsid()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let _handled = Handled::new()?;
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    let served = Spawner::new(control).and_then(|mut spawner| spawner.serve());
    tree::kill_all();
    match served {
        // The server went while it was being told something.
        Err(error) if is_gone(&error) => Ok(()),
        served => served,
    }
}

/// Handlers that do nothing: the server decides when to stop. Unlike an ignored signal, a handled one is back to its default in a
/// program (`man 7 signal`, execve).
struct Handled {
    /// Never run: it is what tokio's handlers belong to, the one safe way we have to install any.
    _runtime: Runtime,
    _signals: [io::Result<Signal>; 4],
}

impl Handled {
    fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let within = runtime.enter();
        let signals =
            [SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        drop(within);
        Ok(Self { _runtime: runtime, _signals: signals })
    }
}

/// The loop: orders come in by the control socket and the lines, and a program's end by its process descriptor. No event loop and no
/// signal stands between: one `poll` for everything.
struct Spawner {
    control: OwnedFd,
    /// By a number of our own.
    lines: BTreeMap<u64, OwnedFd>,
    next: u64,
    children: Children,
    message: Vec<u8>,
}

/// What `poll` has found.
#[derive(Default)]
struct Found {
    control: bool,
    lines: Vec<u64>,
    ended: Vec<Pid>,
}

impl Spawner {
    fn new(control: OwnedFd) -> io::Result<Self> {
        let message = vec![0; MESSAGE];
        Ok(Self { control, lines: BTreeMap::new(), next: 0, children: Children::new()?, message })
    }

    /// Carries orders out until the server's end of the control socket closes.
    fn serve(&mut self) -> io::Result<()> {
        let ready = Report::Ready { pid: std::process::id() };
        send(self.control.as_fd(), &ready.encode(), &[], WAITING)?;
        loop {
            let found = self.wait()?;
            for pid in found.ended {
                if let Some((line, report)) = self.children.ended(pid) {
                    self.tell(line, report)?;
                }
            }
            for line in found.lines {
                self.hear(line)?;
            }
            if found.control && !self.accept()? {
                return Ok(());
            }
            self.children.look_when_due();
        }
    }

    /// Waits until there is something to do.
    fn wait(&self) -> io::Result<Found> {
        let limit = self.children.due_in().and_then(|wait| Timespec::try_from(wait).ok());
        let watched = |descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN);
        let mut poll = vec![watched(self.control.as_fd())];
        poll.extend(self.lines.values().map(|line| watched(line.as_fd())));
        poll.extend(self.children.descriptors().map(watched));
        match rustix::event::poll(&mut poll, limit.as_ref()) {
            Ok(0) | Err(Errno::INTR) => return Ok(Found::default()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = poll.iter().map(|descriptor| !descriptor.revents().is_empty());
        let control = ready.next().unwrap_or_default();
        let lines = self.lines.keys().zip(ready.by_ref().take(self.lines.len()));
        let lines = lines.filter_map(|(line, ready)| ready.then_some(*line)).collect();
        let ended = self.children.pids().zip(ready).filter_map(|(pid, ready)| ready.then_some(pid)).collect();
        Ok(Found { control, lines, ended })
    }

    /// Takes a new line. False: the server is gone.
    fn accept(&mut self) -> io::Result<bool> {
        let mut descriptors = Vec::new();
        let length = receive(self.control.as_fd(), &mut self.message, &mut descriptors, NOT_WAITING)?;
        let Some(message) = self.message.get(..length).filter(|message| !message.is_empty()) else { return Ok(false) };
        if Order::decode(message) != Some(Order::Line) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // Without: there was no room for it here (EMFILE), and the kernel has closed it, which the server hears.
        if let Some(line) = descriptors.pop() {
            let number = self.next;
            self.lines.insert(number, line);
            self.next += 1;
            self.tell(number, Report::Ready { pid: std::process::id() })?;
        }
        Ok(true)
    }

    /// Takes one order from a line, or its end.
    fn hear(&mut self, line: u64) -> io::Result<()> {
        let Some(socket) = self.lines.get(&line) else { return Ok(()) };
        let mut descriptors = Vec::new();
        let length = match receive(socket.as_fd(), &mut self.message, &mut descriptors, NOT_WAITING) {
            Err(error) if is_gone(&error) => 0,
            received => received?,
        };
        let Some(message) = self.message.get(..length).filter(|message| !message.is_empty()) else {
            self.lines.remove(&line);
            self.children.finish_all(line);
            return Ok(());
        };
        let order = Order::decode(message).ok_or(io::ErrorKind::InvalidData)?;
        match self.children.carry_out(line, order, descriptors) {
            Some(report) => self.tell(line, report),
            None => Ok(()),
        }
    }

    /// Tells the server; waits for it where it must. A line that is closed is noticed when it is heard.
    fn tell(&self, line: u64, report: Report) -> io::Result<()> {
        let Some(socket) = self.lines.get(&line) else { return Ok(()) };
        match send(socket.as_fd(), &report.encode(), &[], WAITING) {
            Err(error) if is_gone(&error) => Ok(()),
            sent => sent,
        }
    }
}

/// Whether an error says that the other end is closed.
pub(super) fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// Two ends for orders and reports.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (near, far) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    for end in [&near, &far] {
        rustix::net::sockopt::set_socket_send_buffer_size(end, MESSAGE * 2)?;
    }
    Ok((near, far))
}

/// Receives one message and the descriptors that come with it. 0: the other end is closed.
pub(super) fn receive(
    socket: BorrowedFd<'_>,
    message: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
    waiting: RecvFlags,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = waiting | RecvFlags::CMSG_CLOEXEC;
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(message)], &mut control, flags)
    })?;
    for control in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = control {
            descriptors.extend(received);
        }
    }
    Ok(received.bytes)
}

/// Sends one message with descriptors, whole or not at all.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    message: &[u8],
    descriptors: &[BorrowedFd<'_>],
    waiting: SendFlags,
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = waiting | SendFlags::NOSIGNAL;
    let sent =
        rustix::io::retry_on_intr(|| rustix::net::sendmsg(socket, &[IoSlice::new(message)], &mut control, flags))?;
    if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receive what is there, or [`io::ErrorKind::WouldBlock`].
pub(super) const NOT_WAITING: RecvFlags = RecvFlags::DONTWAIT;
/// Send what there is room for, or [`io::ErrorKind::WouldBlock`].
pub(super) const AT_ONCE: SendFlags = SendFlags::DONTWAIT;
/// Send as soon as there is room.
const WAITING: SendFlags = SendFlags::empty();
