//! One program from its start to its end: its pipes, its clock, its bounds.
//!
//! Input is written, output and diagnostics are read and the exit is awaited at the same time, so that no pipe that is full can
//! hold up another. What the first process has written when it exits is the answer: a descendant that keeps the pipe open is
//! not waited for.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use bytes::{Buf, Bytes};
use rustix::pipe::PipeFlags;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::time::Instant;

use super::link::{Link, Lost, Run};
use super::outcome::{Exit, Tail};
use super::program::Limits;
use crate::failure::{Class, Failure};

/// How a program ended and what it wrote.
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Runs a program. Dropping the future kills its process group.
pub(super) async fn run(
    link: &Link,
    limits: &Limits,
    argv: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
    stdin: Bytes,
) -> Result<Ended, Failure> {
    let deadline = Instant::now() + limits.timeout;
    let (mut streams, theirs) = Streams::open(stdin, limits).map_err(no_pipes)?;
    let too_large = || Failure::new(Class::TooLarge, "the arguments are too large");
    let mut run = link.run(argv, environment, theirs).ok_or_else(too_large)?;
    match tokio::time::timeout_at(deadline, &mut run.started).await {
        Ok(Ok(Ok(_pid))) => {}
        Ok(Ok(Err(errno))) => {
            let cause = io::Error::from_raw_os_error(errno);
            return Err(Failure::new(Class::Internal, "the program cannot be started").because(cause));
        }
        Ok(Err(_)) => return Err(lost()),
        Err(_) => return Ok(streams.end(Exit::TimedOut)),
    }
    let exit = match streams.pump(&mut run, deadline).await {
        Stop::Exited(exit) => exit,
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
    Deadline,
    TooLarge,
    Lost,
}

/// The output passed its bound.
struct TooLarge;

/// Our ends of the pipes.
struct Streams {
    input: Option<(pipe::Sender, Bytes)>,
    output: Option<pipe::Receiver>,
    diagnostics: Option<pipe::Receiver>,
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
        let mut theirs = vec![stdout, stderr];
        let mut input = None;
        if !stdin.is_empty() {
            let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
            theirs.push(read);
            input = Some((pipe::Sender::from_owned_fd(write)?, stdin));
        }
        let streams = Self {
            input,
            output: Some(pipe::Receiver::from_owned_fd(output)?),
            diagnostics: Some(pipe::Receiver::from_owned_fd(diagnostics)?),
            stdout: Vec::new(),
            stderr: Tail::new(limits.stderr),
            most: limits.output,
            discard: false,
        };
        Ok((streams, theirs))
    }

    /// Moves bytes until the program exits or something else ends it.
    async fn pump(&mut self, run: &mut Run, deadline: Instant) -> Stop {
        let sleep = tokio::time::sleep_until(deadline);
        tokio::pin!(sleep);
        let mut more = vec![0; CHUNK];
        loop {
            let Self { input, output, diagnostics, .. } = self;
            // Two pipes share one buffer, so readiness is awaited and the reading done after.
            let step = tokio::select! {
                exit = &mut run.exited => return exit.map_or(Stop::Lost, Stop::Exited),
                () = &mut sleep => return Stop::Deadline,
                wrote = optional(input.as_mut().map(write)) => Step::Wrote(wrote),
                _ = optional(output.as_ref().map(pipe::Receiver::readable)) => Step::Output,
                _ = optional(diagnostics.as_ref().map(pipe::Receiver::readable)) => Step::Diagnostics,
            };
            match step {
                Step::Wrote(Ok(())) if self.input.as_ref().is_some_and(|(_, rest)| !rest.is_empty()) => {}
                // All is written, or the program does not read (EPIPE), which is its business.
                Step::Wrote(_) => self.input = None,
                Step::Output => {
                    let Some(pipe) = &mut self.output else { continue };
                    match take(pipe, &mut more) {
                        Taken::Some(bytes) => {
                            if self.push(bytes).is_err() {
                                return Stop::TooLarge;
                            }
                        }
                        Taken::NothingNow => {}
                        Taken::Ended => self.output = None,
                    }
                }
                Step::Diagnostics => {
                    let Some(pipe) = &mut self.diagnostics else { continue };
                    match take(pipe, &mut more) {
                        Taken::Some(bytes) => self.stderr.push(bytes),
                        Taken::NothingNow => {}
                        Taken::Ended => self.diagnostics = None,
                    }
                }
            }
        }
    }

    /// Takes what the pipes hold now, waiting for nothing.
    fn drain(&mut self) -> Result<(), TooLarge> {
        let mut more = vec![0; CHUNK];
        while let Some(bytes) = self.output.as_ref().and_then(|pipe| at_hand(pipe, &mut more)) {
            self.push(bytes)?;
        }
        // A pipe holds 64 KiB; a descendant may go on writing.
        for _ in 0..DIAGNOSTICS / CHUNK {
            let Some(bytes) = self.diagnostics.as_ref().and_then(|pipe| at_hand(pipe, &mut more)) else { break };
            self.stderr.push(bytes);
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

enum Taken<'a> {
    Some(&'a [u8]),
    NothingNow,
    Ended,
}

/// One read that does not wait.
fn take<'a>(pipe: &pipe::Receiver, buffer: &'a mut [u8]) -> Taken<'a> {
    match pipe.try_read(buffer) {
        Ok(0) => Taken::Ended,
        Ok(length) => Taken::Some(buffer.get(..length).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Taken::NothingNow,
        Err(_) => Taken::Ended,
    }
}

/// One read past the reactor, which may not have heard yet that there is something.
fn at_hand<'a>(pipe: &pipe::Receiver, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let length = rustix::io::retry_on_intr(|| rustix::io::read(pipe.as_fd(), &mut *buffer)).ok()?;
    buffer.get(..length).filter(|bytes| !bytes.is_empty())
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

/// Bytes read at once.
const CHUNK: usize = 16 << 10;
/// Bytes of diagnostics read after the exit.
const DIAGNOSTICS: usize = 128 << 10;
