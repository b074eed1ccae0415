//! `run`: a configured program answers.
//!
//! The request's body is its input, what it writes is the answer, and how it ends is the status: 0 is 200, 75 is 503, another one is 500 and
//! stands in the field `exit-status`, no end in time is 504. Bounded by the program's own limits.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::Template;
use super::ours::Ours;
use super::template::For;
use super::walk::Known;
use crate::failure::{Class, Failure};
use crate::run::{Exit, Invocation, Runner};
use crate::web::{Answer, Body, Request};

/// A program and what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its name.
    pub program: Box<str>,
    /// Words that fill its template.
    pub words: Vec<Template>,
    /// The media type of what it writes.
    pub media_type: Box<str>,
    /// The methods by which it may be asked for.
    pub methods: Vec<Box<str>>,
}

/// The number of the next run, for the log.
static RUNS: AtomicU64 = AtomicU64::new(1);

impl Run {
    /// Runs it for this request. Dropping the future kills it.
    pub(super) async fn answer(
        &self,
        runner: Option<&Runner>,
        request: Request,
        known: &Known,
    ) -> Result<Answer, Ours> {
        if !self.methods.iter().any(|method| method.as_bytes() == &request.verb[..]) {
            let allowed = self.methods.join(", ");
            return Err(Ours::new(405, "this program is asked for in another way").with("allow", allowed));
        }
        let unknown = || Failure::new(Class::NotFound, "no program has this name");
        let runner = runner.ok_or_else(unknown)?;
        let most = runner.program(&self.program).ok_or_else(unknown)?.limits.stdin;
        let notes = std::rc::Rc::clone(&request.notes);
        let invocation = Invocation {
            program: self.program.to_string(),
            arguments: self.words.iter().map(|word| word.filled(&request, known, For::Field)).collect(),
            peer: request.client.peer,
            request: format!("http.{}", RUNS.fetch_add(1, Ordering::Relaxed)),
            stdin: request.body.whole(most as u64).await?,
        };
        let outcome = runner.run(invocation).await?;
        notes.was_queued(outcome.queued);
        match outcome.exit {
            Exit::Code(0) => {
                let answer = Answer::empty(200).with("content-type", self.media_type.to_string());
                let answer = answer.with("x-content-type-options", "nosniff").with("cache-control", "no-store");
                Ok(answer.over(Body::Bytes(Bytes::from(outcome.stdout))))
            }
            // EX_TEMPFAIL of sysexits.h
            Exit::Code(75) => Err(Failure::new(Class::TryAgain, "the program asks to be tried again").into()),
            Exit::Code(code) => Err(Ours::new(500, "the program failed").with("exit-status", code.to_string())),
            Exit::Signal(_) => Err(Ours::new(500, "the program failed")),
            Exit::TimedOut => Err(Failure::new(Class::TimedOut, "the program took too long").into()),
        }
    }
}
