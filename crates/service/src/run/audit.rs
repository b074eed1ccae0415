//! One line for each invocation, whatever came of it: who ran what, how long, and how it ended.

use std::time::Duration;

use tokio::time::Instant;

use super::invocation::Invocation;
use super::outcome::Exit;

/// Gathers what is to be told; tells it when dropped, so that a client who leaves is told of too.
pub(super) struct Audit {
    program: String,
    request: String,
    peer: String,
    arguments: usize,
    argument_bytes: usize,
    stdin: usize,
    began: Instant,
    queued: Duration,
    ran: Option<Instant>,
    end: String,
    stdout: usize,
}

impl Audit {
    pub(super) fn begin(invocation: &Invocation) -> Self {
        Self {
            program: invocation.program.clone(),
            request: invocation.request.clone(),
            peer: invocation.peer.to_string(),
            arguments: invocation.arguments.len(),
            argument_bytes: invocation.arguments.iter().map(Vec::len).sum(),
            stdin: invocation.stdin.len(),
            began: Instant::now(),
            queued: Duration::ZERO,
            ran: None,
            end: "left".to_owned(),
            stdout: 0,
        }
    }

    /// It has a place: how long it waited for it.
    pub(super) fn admitted(&mut self) -> Duration {
        self.queued = self.began.elapsed();
        self.ran = Some(Instant::now());
        self.queued
    }

    /// It ended.
    pub(super) fn exited(&mut self, exit: Exit, stdout: usize) {
        self.end = match exit {
            Exit::Code(code) => format!("exit {code}"),
            Exit::Signal(signal) => format!("signal {signal}"),
            Exit::TimedOut => "timeout".to_owned(),
        };
        self.stdout = stdout;
    }

    /// It failed.
    pub(super) fn failed(&mut self, why: &str) {
        self.end = format!("failed: {why}");
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let took = self.ran.map(|ran| ran.elapsed()).unwrap_or_default();
        tracing::info!(
            target: "sportello::audit",
            program = %self.program,
            request = %self.request,
            peer = %self.peer,
            arguments = self.arguments,
            argument_bytes = self.argument_bytes,
            stdin = self.stdin,
            queued_us = micros(self.queued),
            took_us = micros(took),
            end = %self.end,
            stdout = self.stdout,
            "invocation"
        );
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
