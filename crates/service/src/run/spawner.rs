//! The spawner: a small process of the same binary that starts programs for the server.
//!
//! Started by [`start`] before the server has a thread, a descriptor worth leaking or a sandbox; [`main`] is its whole life. It is a
//! session of its own, so that Ctrl-C reaches the server only; subreaper, so that no descendant gets out of sight; and when its
//! socket to the server closes, for whatever reason, it kills every descendant and ends.
//!
//! Knows nothing of clients, time or output: the server holds the other ends of a program's pipes and watches the clock.

mod children;

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType,
};
use thiserror::Error;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::children::Children;
use super::protocol::{MESSAGE, Order, Report};
use super::tree;

/// The argument by which the binary knows that it is to be the spawner.
const ARGUMENT: &str = "--spawner";
/// How long a new spawner may take until it is ready.
const READY: Duration = Duration::from_secs(10);
/// The pause between two looks at what runs have left behind.
const SWEEP: Duration = Duration::from_millis(20);
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
    let (socket, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(io::Error::from)?;
    for end in [&socket, &theirs] {
        rustix::net::sockopt::set_socket_send_buffer_size(end, MESSAGE * 2).map_err(io::Error::from)?;
    }
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
        let length = receive(self.socket.as_fd(), &mut message, &mut Vec::new())?;
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
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let children = Children::default();
    let served = runtime.block_on(serve(socket, &children));
    tree::kill_all();
    match served {
        // The server went while it was being told something.
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
        served => served,
    }
}

/// Carries orders out until the server's end of the socket closes.
async fn serve(socket: OwnedFd, children: &Children) -> io::Result<()> {
    // A handler that does nothing: the server decides when to stop. Unlike an ignored signal, a handled one is back to its
    // default in a program (`man 7 signal`, execve).
    let _handled = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let mut child_ended = signal(SignalKind::child())?;
    let socket = register(socket)?;
    send(&socket, &Report::Ready { pid: std::process::id() }.encode()).await?;
    let mut message = vec![0; MESSAGE];
    loop {
        let mut descriptors = Vec::new();
        tokio::select! {
            length = socket.async_io(Interest::READABLE, || receive(socket.as_fd(), &mut message, &mut descriptors)) => {
                let Some(message) = message.get(..length?).filter(|message| !message.is_empty()) else { return Ok(()) };
                let order = Order::decode(message).ok_or(io::ErrorKind::InvalidData)?;
                if let Some(report) = children.carry_out(order, descriptors) {
                    send(&socket, &report.encode()).await?;
                }
            }
            () = tokio::time::sleep(SWEEP), if children.restless() => children.look_again(),
            () = ended(&mut child_ended) => {
                for report in children.reap() {
                    send(&socket, &report.encode()).await?;
                }
            }
        }
    }
}

/// Waits for SIGCHLD.
async fn ended(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        // Invariant: the runtime's signal driver lives as long as this task.
        std::future::pending::<()>().await;
    }
}

/// Receives one message and the descriptors that come with it. 0: the other end is closed.
pub(super) fn receive(socket: BorrowedFd<'_>, message: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(message)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    for control in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = control {
            descriptors.extend(received);
        }
    }
    Ok(received.bytes)
}

/// Sends one message with descriptors, whole or not at all.
pub(super) fn send_now(socket: BorrowedFd<'_>, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let sent = rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(socket, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL)
    })?;
    if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Registers one end with the reactor. Tokio has no type for SOCK_SEQPACKET; nothing but readiness is asked of this one.
pub(super) fn register(socket: OwnedFd) -> io::Result<UnixDatagram> {
    let socket = std::os::unix::net::UnixDatagram::from(socket);
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

async fn send(socket: &UnixDatagram, message: &[u8]) -> io::Result<()> {
    socket.async_io(Interest::WRITABLE, || send_now(socket.as_fd(), message, &[])).await
}
