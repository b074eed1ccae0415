//! A step of the test run: its name, how long it took, and what came of it; at the end, the list of what failed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What a step that passed has to say, if anything: `214 tests`.
pub(crate) struct Note(Option<String>);

impl Note {
    /// Nothing to say.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// A few words, shown beside the step.
    pub(crate) fn of(words: impl Into<String>) -> Self {
        Self(Some(words.into()))
    }
}

/// The steps that ran.
#[derive(Default)]
pub(crate) struct Report {
    steps: Vec<Step>,
}

struct Step {
    name: String,
    took: Duration,
    failure: Option<String>,
}

impl Report {
    /// Runs one step and says at once what came of it. A failure does not stop the steps after it.
    pub(crate) fn run(&mut self, name: &str, work: impl FnOnce() -> Result<Note, String>) {
        println!("── {name}");
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        let failure = match result {
            Ok(note) => {
                let words = note.0.map(|words| format!(" · {words}")).unwrap_or_default();
                println!("   passed in {}{words}", seconds(took));
                None
            }
            Err(text) => {
                println!("   FAILED in {}", seconds(took));
                for line in text.lines() {
                    println!("   │ {line}");
                }
                Some(text)
            }
        };
        self.steps.push(Step { name: name.to_owned(), took, failure });
    }

    /// Prints the list of failures and the closing line; the exit code says whether there was one.
    pub(crate) fn conclude(self) -> ExitCode {
        let total: Duration = self.steps.iter().map(|step| step.took).sum();
        let (failed, passed): (Vec<&Step>, Vec<&Step>) = self.steps.iter().partition(|step| step.failure.is_some());
        println!();
        if !failed.is_empty() {
            println!("What failed:");
            for step in &failed {
                let first = step.failure.as_deref().and_then(|text| text.lines().next()).unwrap_or("");
                println!("  {}: {first}", step.name);
            }
            println!();
        }
        println!("took {}", seconds(total));
        println!("{} passed, {} failed", passed.len(), failed.len());
        if failed.is_empty() && !passed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
