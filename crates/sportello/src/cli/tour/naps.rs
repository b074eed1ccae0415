//! Eight programs that take one second each, all at once.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use sportello_service::picture::Picture;

use super::Untrue;
use crate::cli::conversation::Deadlines;
use crate::cli::conversation::resp::Commands;
use crate::cli::paper::Failed;
use crate::cli::place::Place;

/// How many.
pub const COUNT: usize = 8;
/// Eight of them one after the other would take eight seconds; half of that is proof enough on a busy machine.
const MOST: Duration = Duration::from_secs(4);
/// `sleep 1` never takes less; clocks are compared with a little room.
const LEAST: Duration = Duration::from_millis(950);

/// The eight, or why they were not run.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Naps {
    /// They ran.
    Ran {
        /// Begin and end of each, in seconds after the first began.
        spans: Vec<(f64, f64)>,
        /// From the first begin to the last end.
        seconds: f64,
    },
    /// This server has no such program.
    Skipped {
        /// Why, in a sentence.
        skipped: String,
    },
}

/// Runs them.
pub fn eight(commands: &Place, untrue: &mut Untrue) -> Result<Naps, Failed> {
    let deadlines = Deadlines { idle: Duration::from_secs(30), ..Deadlines::default() };
    let picture: Picture = Commands::open(commands, deadlines)?.json(&["STATUS", "JSON"])?;
    if !picture.programs.names.iter().any(|name| name == "nap") {
        let skipped = "this server has no program named nap (serve --command nap=/bin/sleep)";
        return Ok(Naps::Skipped { skipped: skipped.to_owned() });
    }
    let mut clients = Vec::with_capacity(COUNT);
    for _ in 0..COUNT {
        clients.push(Commands::open(commands, deadlines)?);
    }
    let barrier = Barrier::new(COUNT);
    let epoch = Instant::now();
    let outcomes: Vec<_> = thread::scope(|scope| {
        let nap = |client: &mut Commands| {
            barrier.wait();
            let begin = epoch.elapsed();
            client.bytes(&["nap", "1"]).map(|_| (begin, epoch.elapsed()))
        };
        let threads: Vec<_> = clients.iter_mut().map(|client| scope.spawn(move || nap(client))).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let mut spans = Vec::with_capacity(COUNT);
    for outcome in outcomes {
        spans.push(outcome.map_err(|_| Failed::new("a client of the tour panicked"))??);
    }
    Ok(measured(&spans, untrue))
}

fn measured(spans: &[(Duration, Duration)], untrue: &mut Untrue) -> Naps {
    let first = spans.iter().map(|(begin, _)| *begin).min().unwrap_or_default();
    let last = spans.iter().map(|(_, end)| *end).max().unwrap_or_default();
    let took = last.saturating_sub(first);
    if took >= MOST {
        untrue.note(format!("eight programs of one second took {:.2} s: they did not run at once", took.as_secs_f64()));
    }
    if spans.iter().any(|(begin, end)| end.saturating_sub(*begin) < LEAST) {
        untrue.note("a program that sleeps one second ended sooner".to_owned());
    }
    let seconds = |at: Duration| at.saturating_sub(first).as_secs_f64();
    let mut spans: Vec<_> = spans.iter().map(|(begin, end)| (seconds(*begin), seconds(*end))).collect();
    spans.sort_by(|one, other| one.1.total_cmp(&other.1));
    Naps::Ran { spans, seconds: took.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(spans: &[(u64, u64)]) -> usize {
        let spans: Vec<_> =
            spans.iter().map(|(begin, end)| (Duration::from_millis(*begin), Duration::from_millis(*end))).collect();
        let mut untrue = Untrue::default();
        let _ = measured(&spans, &mut untrue);
        untrue.notes().len()
    }

    #[test]
    fn one_after_the_other_is_not_at_once() {
        assert_eq!(notes(&[(500, 1_510), (501, 1_520)]), 0);
        assert_eq!(notes(&[(0, 1_000), (1_000, 3_999)]), 0);
        assert_eq!(notes(&[(0, 1_000), (3_000, 4_000)]), 1);
        assert_eq!(notes(&[(0, 950), (0, 949)]), 1);
    }
}
