//! `cargo xtask soak`: the faults of the scenarios, for long and with many seeds, and a page of what came of it.
//!
//! Knows nothing of faults: a scenario takes its seed and its length from the environment and prints lines that begin with
//! `sum: `, which are the page. Bounded by the rounds and points that are asked for.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::child::Child;
use crate::faults::{Beside, Tools};
use crate::scenarios::{self, Scenario};
use crate::step::{Note, Report};
use crate::{numbers, server};

/// How long a soak is.
#[derive(Clone, Copy, Debug)]
struct Length {
    seed: u64,
    /// Kills in all.
    rounds: u64,
    /// Cuts of the power in all.
    points: u64,
}

/// Rounds or points of one run of a scenario, so that there is something to see meanwhile.
const ROUNDS: u64 = 100;
const RECORDINGS: u64 = 4;
const POINTS: u64 = 50;
/// Runs of the scenarios that have no length.
const REPEATS: u64 = 3;
/// How often each kind of damage is done to the search index in one run.
const DAMAGED: u64 = 5;
/// Where the page is.
const RESULTS: &str = "tests/faults/RESULTS.md";

/// One run of a scenario, done.
struct Run {
    scenario: String,
    seed: u64,
    took: Duration,
    /// Its sums, or the first line of its failure.
    said: Vec<String>,
    failed: bool,
}

/// Runs everything; the page is written whatever comes of it.
pub(crate) fn soak(root: &Path, options: &[&str]) -> Result<std::process::ExitCode, String> {
    let given = numbers(options, &["--seed", "--rounds", "--points"])?;
    let option =
        |name: &str, usual: u64| given.iter().find(|(given, _)| given == name).map_or(usual, |(_, value)| *value);
    let length =
        Length { seed: option("--seed", 1), rounds: option("--rounds", 1000), points: option("--points", 1200) };
    let all = scenarios::all(root)?;
    let named = |name: &str| {
        all.iter().find(|scenario| scenario.name == name).ok_or_else(|| format!("there is no scenario {name}"))
    };
    crate::install::everything(root)?;
    let (binary, tools) = (server(root)?, Tools::build(root, Beside::Nothing)?);
    let mut report = Report::default();
    let mut runs = Vec::new();
    let (plan, began) = (plan(length), Instant::now());
    let number = plan.len();
    for (at, (scenario, seed, variables)) in plan.into_iter().enumerate() {
        let scenario = named(scenario)?;
        let words: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let minutes = began.elapsed().as_secs() / 60;
        let name = format!("{} of {number}, {minutes} min: {} {}", at + 1, scenario.name, words.join(" "));
        report.run(&name, || {
            let run = one(
                scenario,
                seed,
                |environment| scenario.run_long(root, &binary, Some(&tools), environment),
                &variables,
            );
            let (failed, said) = (run.failed, run.said.join("\n"));
            runs.push(run);
            // Written each time: a soak that is ended early leaves what it found.
            fs::write(root.join(RESULTS), page(root, &binary, length, &runs))
                .map_err(|error| format!("{RESULTS}: {error}"))?;
            if failed { Err(said) } else { Ok(Note::of(said)) }
        });
    }
    Ok(report.conclude())
}

/// Which scenario, with which seed, and with which variables.
type Planned = (&'static str, u64, Vec<(&'static str, String)>);

fn plan(length: Length) -> Vec<Planned> {
    let mut plan: Vec<Planned> = Vec::new();
    for turn in 0..REPEATS {
        let seed = length.seed + turn;
        plan.push(("13_disk_full", seed, vec![("FAULTS_SEED", seed.to_string())]));
        let damaged = ("FAULTS_DAMAGED", DAMAGED.to_string());
        plan.push(("14_failing_machine", seed, vec![("FAULTS_SEED", seed.to_string()), damaged]));
    }
    for (turn, points) in pieces(length.points, RECORDINGS * POINTS).enumerate() {
        let seed = length.seed + turn as u64;
        let each = points.div_ceil(RECORDINGS).to_string();
        let (seed_word, recordings) = (seed.to_string(), RECORDINGS.to_string());
        let variables = vec![("FAULTS_SEED", seed_word), ("FAULTS_LOADS", recordings), ("FAULTS_POINTS", each)];
        plan.push(("11_power_cut", seed, variables));
    }
    for (turn, rounds) in pieces(length.rounds, ROUNDS).enumerate() {
        let seed = length.seed + turn as u64;
        plan.push((
            scenarios::CRASH,
            seed,
            vec![("CRASH_SEED", seed.to_string()), ("CRASH_ROUNDS", rounds.to_string())],
        ));
    }
    plan
}

/// A number in pieces of `most`.
fn pieces(number: u64, most: u64) -> impl Iterator<Item = u64> {
    (0..number.div_ceil(most)).map(move |turn| most.min(number - turn * most))
}

fn one(
    scenario: &Scenario,
    seed: u64,
    run: impl FnOnce(&[(&str, String)]) -> Result<String, String>,
    variables: &[(&str, String)],
) -> Run {
    let began = Instant::now();
    let result = run(variables);
    let (failed, said) = match result {
        Ok(text) => (false, text.lines().filter_map(|line| line.strip_prefix("sum: ")).map(str::to_owned).collect()),
        Err(text) => (true, text.lines().filter(|line| told(line)).map(str::to_owned).collect()),
    };
    Run { scenario: scenario.name.clone(), seed, took: began.elapsed(), said, failed }
}

/// A line that says what failed, or where: `faults cut` names seed and point.
fn told(line: &str) -> bool {
    line.starts_with("FAIL") || line.trim_start().starts_with("seed ")
}

fn page(root: &Path, binary: &Path, length: Length, runs: &[Run]) -> String {
    let said = |program: &str, words: &[&str]| {
        let text = Child::new(program).arguments(words).folder(root).run(Duration::from_secs(10)).unwrap_or_default();
        text.trim().to_owned()
    };
    let failed = runs.iter().filter(|run| run.failed).count();
    let mut page = format!(
        "# What a soak found\n\nWritten by `cargo xtask soak --seed {} --rounds {} --points {}` on {} ({}), at commit {}, \
         driving {}: {} runs, {failed} failed.\n\n| scenario | seed | took | result |\n|---|---|---|---|\n",
        length.seed,
        length.rounds,
        length.points,
        said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        said("uname", &["-srm"]),
        said("git", &["rev-parse", "--short", "HEAD"]),
        kind(binary),
        runs.len(),
    );
    for run in runs {
        let words = if run.said.is_empty() { "every step passed".to_owned() } else { run.said.join("; ") };
        let word = if run.failed { format!("**failed**: {words}") } else { words };
        page.push_str(&format!("| {} | {} | {:.0} s | {word} |\n", run.scenario, run.seed, run.took.as_secs_f64()));
    }
    page
}

/// What was driven: the release build, unless another binary was named.
fn kind(binary: &Path) -> String {
    if binary.components().any(|part| part.as_os_str() == "release") {
        return "the release build".to_owned();
    }
    format!("`{}`", binary.file_name().unwrap_or_default().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_is_what_was_asked_for() {
        assert_eq!(pieces(250, 100).collect::<Vec<_>>(), [100, 100, 50]);
        assert_eq!(pieces(0, 100).count(), 0);
        let plan = plan(Length { seed: 7, rounds: 101, points: 201 });
        let of = |name: &str, variable: &str| -> Vec<String> {
            let these = plan.iter().filter(|(scenario, ..)| *scenario == name);
            these
                .flat_map(|(.., all)| all.iter().filter(|(each, _)| *each == variable))
                .map(|(_, value)| value.clone())
                .collect()
        };
        assert_eq!(of("09_crash", "CRASH_ROUNDS"), ["100", "1"]);
        assert_eq!(of("09_crash", "CRASH_SEED"), ["7", "8"]);
        assert_eq!(of("11_power_cut", "FAULTS_POINTS"), ["50", "1"]);
        assert_eq!(of("13_disk_full", "FAULTS_SEED").len(), 3);
        assert_eq!(of("14_failing_machine", "FAULTS_DAMAGED"), ["5", "5", "5"]);
    }
}
