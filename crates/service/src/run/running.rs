//! One program from its start to its end: its pipes, its clock, its bounds.
//!
//! Input is written, output and diagnostics are read and the exit is awaited at the same time, so that no pipe that is full can
//! hold up another. What the first process has written when it exits is the answer: a descendant that keeps the pipe open is
//! not waited for.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use bytes::{Buf, Bytes};
use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::line::{Fate, Run};
use super::link::{Link, Lost, NotAsked};
use super::outcome::{Exit, Tail};
use super::program::Limits;
use super::protocol::Order;
use crate::failure::{Class, Failure};

/// How a program ended and what it wrote.
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// From when on a program's output is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attention {
    /// From the start: it is one that writes much.
    AtOnce,
    /// After [`PATIENCE`]: most programs end before, having written what fits into a pipe.
    Later,
}

/// Runs a program. Dropping the future kills its process group.
pub(super) async fn run(
    link: &Link,
    limits: &Limits,
    attention: Attention,
    (argv, environment): (Vec<Vec<u8>>, Vec<Vec<u8>>),
    stdin: Bytes,
) -> Result<Ended, Failure> {
    let deadline = Instant::now() + limits.timeout;
    let (mut streams, theirs) = Streams::open(stdin, limits).map_err(no_pipes)?;
    let id = link.number();
    let too_large = || Failure::new(Class::TooLarge, "the arguments are too large");
    let message = Order::Start { id, argv, environment }.encode().ok_or_else(too_large)?;
    let mut run = match timeout_at(deadline, link.run(id, &message, &theirs)).await {
        Ok(Ok(run)) => run,
        Ok(Err(NotAsked::Lost(_))) => return Err(lost()),
        Ok(Err(NotAsked::Io(error))) => return Err(no_pipes(error)),
        Err(_) => return Ok(streams.end(Exit::TimedOut)),
    };
    drop((theirs, message));
    let patience = if attention == Attention::Later && streams.input.is_none() { PATIENCE } else { Duration::ZERO };
    let fate = match timeout_at(deadline.min(Instant::now() + patience), &mut run.fate).await {
        Ok(fate) => Stop::told(fate),
        Err(_) => {
            streams.watch().map_err(no_pipes)?;
            streams.pump(&mut run, deadline).await
        }
    };
    let exit = match fate {
        Stop::Exited(exit) => exit,
        Stop::NotStarted(errno) => {
            let cause = io::Error::from_raw_os_error(errno);
            return Err(Failure::new(Class::Internal, "the program cannot be started").because(cause));
        }
        Stop::Deadline => {
            run.term();
            // Its output is read and thrown away: a handler of TERM that writes must not hang on a full pipe.
            streams.discard = true;
            let _ = streams.pump(&mut run, Instant::now() + limits.grace).await;
            return Ok(streams.end(Exit::TimedOut));
        }
        Stop::TooLarge => return Err(output_too_large(limits)),
        Stop::Lost => return Err(lost()),
    };
    streams.drain().map_err(|TooLarge| output_too_large(limits))?;
    Ok(streams.end(exit))
}

/// Why [`Streams::pump`] stopped.
enum Stop {
    Exited(Exit),
    /// The operating system's error number.
    NotStarted(i32),
    Deadline,
    TooLarge,
    Lost,
}

impl Stop {
    fn told(fate: Result<Fate, oneshot::error::RecvError>) -> Self {
        match fate {
            Ok(Ok(exit)) => Self::Exited(exit),
            Ok(Err(errno)) => Self::NotStarted(errno),
            Err(_) => Self::Lost,
        }
    }
}

/// The output passed its bound.
struct TooLarge;

/// Our end of a pipe that the program writes to.
enum Source {
    /// To be read when it has something.
    Plain(OwnedFd),
    /// The reactor tells when.
    Watched(pipe::Receiver),
}

impl Source {
    fn watched(&self) -> Option<&pipe::Receiver> {
        match self {
            Self::Plain(_) => None,
            Self::Watched(pipe) => Some(pipe),
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(pipe) => pipe.as_fd(),
            Self::Watched(pipe) => pipe.as_fd(),
        }
    }
}

/// Our ends of the pipes.
struct Streams {
    input: Option<(pipe::Sender, Bytes)>,
    output: Option<Source>,
    diagnostics: Option<Source>,
    stdout: Vec<u8>,
    stderr: Tail,
    most: usize,
    discard: bool,
}

impl Streams {
    /// Makes the pipes: ours, and theirs in the order the spawner expects.
    fn open(stdin: Bytes, limits: &Limits) -> io::Result<(Self, Vec<OwnedFd>)> {
        let (output, stdout) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let (diagnostics, stderr) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        // Ours alone: each end has flags of its own.
        for end in [&output, &diagnostics] {
            rustix::fs::fcntl_setfl(end, OFlags::NONBLOCK)?;
        }
        let mut theirs = vec![stdout, stderr];
        let mut input = None;
        if !stdin.is_empty() {
            let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
            theirs.push(read);
            input = Some((pipe::Sender::from_owned_fd(write)?, stdin));
        }
        let streams = Self {
            input,
            output: Some(Source::Plain(output)),
            diagnostics: Some(Source::Plain(diagnostics)),
            stdout: Vec::new(),
            stderr: Tail::new(limits.stderr),
            most: limits.output,
            discard: false,
        };
        Ok((streams, theirs))
    }

    /// Has the reactor tell when there is something to read.
    fn watch(&mut self) -> io::Result<()> {
        for source in [&mut self.output, &mut self.diagnostics] {
            *source = match source.take() {
                Some(Source::Plain(pipe)) => Some(Source::Watched(pipe::Receiver::from_owned_fd(pipe)?)),
                other => other,
            };
        }
        Ok(())
    }

    /// Moves bytes until the program exits or something else ends it. The output is watched.
    async fn pump(&mut self, run: &mut Run, deadline: Instant) -> Stop {
        let sleep = tokio::time::sleep_until(deadline);
        tokio::pin!(sleep);
        let mut more = Vec::with_capacity(CHUNK);
        loop {
            let Self { input, output, diagnostics, .. } = self;
            let (output, diagnostics) = (output.as_ref(), diagnostics.as_ref());
            // Two pipes share one buffer, so readiness is awaited and the reading done after.
            let step = tokio::select! {
                fate = &mut run.fate => return Stop::told(fate),
                () = &mut sleep => return Stop::Deadline,
                wrote = optional(input.as_mut().map(write)) => Step::Wrote(wrote),
                _ = optional(output.and_then(Source::watched).map(pipe::Receiver::readable)) => Step::Output,
                _ = optional(diagnostics.and_then(Source::watched).map(pipe::Receiver::readable)) => Step::Diagnostics,
            };
            match step {
                Step::Wrote(Ok(())) if self.input.as_ref().is_some_and(|(_, rest)| !rest.is_empty()) => {}
                // All is written, or the program does not read (EPIPE), which is its business.
                Step::Wrote(_) => self.input = None,
                Step::Output => match take(self.output.as_ref(), &mut more) {
                    Taken::Some if self.push(&more).is_err() => return Stop::TooLarge,
                    Taken::Some | Taken::NothingNow => {}
                    Taken::Ended => self.output = None,
                },
                Step::Diagnostics => match take(self.diagnostics.as_ref(), &mut more) {
                    Taken::Some => self.stderr.push(&more),
                    Taken::NothingNow => {}
                    Taken::Ended => self.diagnostics = None,
                },
            }
        }
    }

    /// Takes what the pipes hold now, waiting for nothing.
    fn drain(&mut self) -> Result<(), TooLarge> {
        // On the stack, and not filled first: most programs have written a line.
        let mut room = [MaybeUninit::uninit(); CHUNK];
        while let Some(more) = self.output.as_ref().and_then(|pipe| at_hand(pipe, &mut room)) {
            self.push(more)?;
        }
        // A pipe holds 64 KiB; a descendant may go on writing.
        for _ in 0..DIAGNOSTICS / CHUNK {
            let Some(more) = self.diagnostics.as_ref().and_then(|pipe| at_hand(pipe, &mut room)) else { break };
            self.stderr.push(more);
        }
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        if self.discard {
            return Ok(());
        }
        if self.stdout.len().saturating_add(bytes.len()) > self.most {
            return Err(TooLarge);
        }
        self.stdout.extend_from_slice(bytes);
        Ok(())
    }

    fn end(self, exit: Exit) -> Ended {
        Ended { exit, stdout: self.stdout, stderr: self.stderr.into_bytes() }
    }
}

enum Step {
    Wrote(io::Result<()>),
    Output,
    Diagnostics,
}

enum Taken {
    /// The buffer holds it.
    Some,
    NothingNow,
    Ended,
}

/// One read that does not wait.
fn take(pipe: Option<&Source>, buffer: &mut Vec<u8>) -> Taken {
    let Some(pipe) = pipe.and_then(Source::watched) else { return Taken::Ended };
    buffer.clear();
    match pipe.try_read_buf(buffer) {
        Ok(0) => Taken::Ended,
        Ok(_) => Taken::Some,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Taken::NothingNow,
        Err(_) => Taken::Ended,
    }
}

/// One read past the reactor, which may not have heard yet that there is something, or may never have been asked. It does not wait:
/// the program may read from its own output too (`/proc/self/fd/1`), so that what is there now may be gone the next moment.
fn at_hand<'a>(pipe: &Source, room: &'a mut [MaybeUninit<u8>]) -> Option<&'a [u8]> {
    // As it does not wait, no signal ends it.
    let (read, _) = rustix::io::read(pipe, room).ok()?;
    Some(read).filter(|bytes| !bytes.is_empty()).map(|bytes| &*bytes)
}

/// Writes some of the input.
async fn write((pipe, rest): &mut (pipe::Sender, Bytes)) -> io::Result<()> {
    let written = pipe.write(rest).await?;
    rest.advance(written);
    Ok(())
}

/// What the future gives; never, where there is none.
async fn optional<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn lost() -> Failure {
    Failure::new(Class::Internal, "the program was lost").because(Lost)
}

fn no_pipes(error: io::Error) -> Failure {
    Failure::new(Class::Busy, "no descriptors are left for another program").because(error)
}

fn output_too_large(limits: &Limits) -> Failure {
    Failure::new(Class::TooLarge, format!("the program wrote more than {} bytes", limits.output))
}

/// How long a program may run before its output is watched: until then it writes to a pipe, which holds 64 KiB, and neither wakes
/// the worker nor is registered with its reactor.
const PATIENCE: Duration = Duration::from_millis(5);
/// Bytes read at once.
const CHUNK: usize = 16 << 10;
/// Bytes of diagnostics read after the exit.
const DIAGNOSTICS: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_hand_is_taken_without_waiting_for_more() {
        let (mut streams, theirs) = Streams::open(Bytes::new(), &Limits::default()).unwrap();
        // Writers are there, and nothing is written.
        assert!(streams.drain().is_ok() && streams.stdout.is_empty());
        rustix::io::write(&theirs[0], b"out").unwrap();
        rustix::io::write(&theirs[1], b"error").unwrap();
        assert!(streams.drain().is_ok());
        // Read by somebody else between a look and a read, as a program may do that opens its own output.
        let mut room = [MaybeUninit::uninit(); CHUNK];
        let output = streams.output.as_ref().unwrap();
        assert_eq!(at_hand(output, &mut room), None);
        drop(theirs);
        assert_eq!(at_hand(output, &mut room), None);
        let ended = streams.end(Exit::Code(0));
        assert_eq!((&ended.stdout[..], &ended.stderr[..]), (&b"out"[..], &b"error"[..]));
    }
}
