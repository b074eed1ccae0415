//! `cargo xtask`: the one command that tests the project, and the commands that run a part of it.
//!
//! Knows nothing of how the server is built inside: it runs Cargo, reads the tree's files, and starts the scenarios, which
//! drive the real binary. Bounded by: a ceiling of time on every child it starts.

#![forbid(unsafe_code)]
// A program whose output is for the person who started it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod child;
mod documents;
mod expectation;
mod faults;
mod fuzz;
mod install;
mod licences;
mod links;
mod markdown;
mod scenarios;
mod soak;
mod step;
mod style;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use child::Child;
use faults::{Beside, Tools};
use step::{Note, Report};

const HELP: &str = "\
cargo xtask test [--only STEP]           everything a change must pass; installs what the tests need
cargo xtask scenario NAME                one folder of tests/scenarios, its output shown as it comes
cargo xtask crash [--seed N --rounds N]  kill -9 under load: every 250 that was read is there afterwards, whole, once
cargo xtask soak [--seed N --rounds N --points N]  every fault for long: kills, cuts of the power, a disk that is full or fails
cargo xtask fuzz [TARGET…] [--seconds N]  search for inputs by coverage, 300 s for each target; keeps the corpus and the table
cargo xtask reference                    writes docs/reference.md from the table of directives
cargo xtask bench [ARGUMENTS]            the figures: peers side by side (the bench crate)
cargo xtask help                         this text

The steps of `test`, in order:
  install format style links licences clippy unit build documents scenarios
`unit` plays the short fuzzing too, which is `--only fuzz` by itself. `--only` also takes the name of one scenario, like 03_http, or its number.
With SPORTELLO=PATH that binary is driven, and none is built.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = tree::root();
    let result = match words.as_slice() {
        ["test"] => test(&root, None),
        ["test", "--only", name] => test(&root, Some(name)),
        ["scenario", name] => scenario(&root, name, &[]),
        ["crash", options @ ..] => crash(&root, options),
        ["soak", options @ ..] => soak::soak(&root, options),
        ["fuzz", rest @ ..] => fuzz::long(&root, rest).map(|()| ExitCode::SUCCESS),
        ["reference"] => reference(&root),
        ["bench", rest @ ..] => bench(&root, rest),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => Err(format!("xtask does not know `{}`\n\n{HELP}", words.join(" "))),
    };
    match result {
        Ok(code) => code,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Everything, or the one step that was named.
fn test(root: &Path, only: Option<&str>) -> Result<ExitCode, String> {
    let all = scenarios::all(root)?;
    let scenario = only.and_then(|name| all.iter().find(|scenario| scenario.is_called(name)));
    if let Some(name) = only
        && scenario.is_none()
        && !STEPS.contains(&name)
    {
        return Err(format!("there is no step or scenario `{name}`\n\n{HELP}"));
    }
    // A step runs when it is asked for, or when a thing that is asked for needs it.
    let wanted = |step: &str| match only {
        None => true,
        Some(name) if name == step => true,
        Some(name) => {
            let binary = scenario.is_some() || name == "scenarios" || name == "documents";
            binary && (step == "install" || step == "build")
        }
    };

    let mut report = Report::default();
    if wanted("install") {
        report.run("install", || install::everything(root));
    }
    if wanted("format") {
        report.run("format", || cargo(root, &["fmt", "--all", "--", "--check"], MINUTE * 2));
    }
    if wanted("style") {
        report.run("style", || style::check(root));
    }
    if wanted("links") {
        report.run("links", || links::check(root));
    }
    if wanted("licences") {
        report.run("licences", || licences::check(root));
    }
    if wanted("clippy") {
        let words = ["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        report.run("clippy", || cargo(root, &words, MINUTE * 15));
    }
    if wanted("unit") {
        report.run("unit", || unit(root));
    }
    if only == Some("fuzz") {
        report.run("fuzz", || fuzz::short(root));
    }
    let mut binary = Err("not run: the server was not built".to_owned());
    if wanted("build") {
        report.run("build", || {
            let seam = scenario.map_or(only != Some("documents"), scenarios::Scenario::uses_the_seam);
            let beside = if only.is_none() { Beside::Tests } else { Beside::Nothing };
            let tools = || if seam { Tools::build(root, beside).map(Some) } else { Ok(None) };
            binary = server(root).and_then(|binary| Ok((binary, tools()?)));
            binary.as_ref().map(|_| Note::none()).map_err(Clone::clone)
        });
    }
    if wanted("documents") {
        report.run("documents", || documents::check(root, &binary.as_ref()?.0));
    }
    for each in &all {
        let named = scenario.is_some_and(|one| one.name == each.name);
        if named || (scenario.is_none() && wanted("scenarios")) {
            report.run(&each.name, || {
                let (binary, tools) = binary.as_ref()?;
                each.run(root, binary, tools.as_ref())
            });
        }
    }
    Ok(report.conclude())
}

const STEPS: [&str; 11] =
    ["install", "format", "style", "links", "licences", "clippy", "unit", "fuzz", "build", "documents", "scenarios"];
const MINUTE: Duration = Duration::from_secs(60);

fn cargo(root: &Path, words: &[&str], ceiling: Duration) -> Result<Note, String> {
    Child::new(tree::cargo()).arguments(words).folder(root).run_shown(ceiling)?;
    Ok(Note::none())
}

/// Unit tests, transcripts, the short fuzzing and the examples in the documentation of every crate. All at once: a package asked for by
/// itself is built with other features, and with it much that is beneath it.
fn unit(root: &Path) -> Result<Note, String> {
    let words = ["test", "--workspace", "--locked", "--no-fail-fast"];
    let output = Child::new(tree::cargo()).arguments(&words).folder(root).run(MINUTE * 25)?;
    let (mut passed, mut failed) = (0_u64, 0_u64);
    for line in output.lines().filter_map(|line| line.trim().strip_prefix("test result: ")) {
        let number = |word: &str| -> u64 {
            let before = line.split(';').find(|part| part.trim_end().ends_with(word));
            before.and_then(|part| part.split_whitespace().rev().nth(1)).and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        passed = passed.saturating_add(number("passed"));
        failed = failed.saturating_add(number("failed"));
    }
    if failed > 0 {
        return Err(format!("{failed} unit tests failed\n{output}"));
    }
    if passed == 0 {
        return Err(format!("no unit test ran\n{output}"));
    }
    Ok(Note::of(format!("{passed} tests, {} targets of the short fuzzing", fuzz::targets_played(&output)?)))
}

/// One scenario with its output shown; builds the server first.
fn scenario(root: &Path, name: &str, environment: &[(&str, String)]) -> Result<ExitCode, String> {
    let all = scenarios::all(root)?;
    let Some(scenario) = all.iter().find(|scenario| scenario.is_called(name)) else {
        let names: Vec<&str> = all.iter().map(|scenario| scenario.name.as_str()).collect();
        return Err(format!("there is no scenario `{name}`; there are: {}", names.join(" ")));
    };
    install::everything(root)?;
    let binary = server(root)?;
    let tools = if scenario.uses_the_seam() { Some(Tools::build(root, Beside::Nothing)?) } else { None };
    scenario.run_shown(root, &binary, tools.as_ref(), environment)?;
    Ok(ExitCode::SUCCESS)
}

/// The binary that the scenarios drive: built here, or one that is named.
fn server(root: &Path) -> Result<PathBuf, String> {
    if let Some(binary) = std::env::var_os("SPORTELLO") {
        println!("   the binary that SPORTELLO names: {}", binary.display());
        return std::path::absolute(&binary).map_err(|error| format!("{}: {error}", binary.display()));
    }
    cargo(root, &["build", "--release", "--locked", "--package", "sportello"], MINUTE * 20)?;
    Ok(tree::target(root).join("release").join("sportello"))
}

/// The kill -9 scenario with a seed and a length of one's own.
fn crash(root: &Path, options: &[&str]) -> Result<ExitCode, String> {
    let variable = |name: &str| if name == "--seed" { "CRASH_SEED" } else { "CRASH_ROUNDS" };
    let given = numbers(options, &["--seed", "--rounds"])?;
    let environment: Vec<_> = given.iter().map(|(name, value)| (variable(name), value.to_string())).collect();
    scenario(root, scenarios::CRASH, &environment)
}

/// `--name NUMBER` pairs, of these names.
fn numbers(options: &[&str], known: &[&str]) -> Result<Vec<(String, u64)>, String> {
    let mut found = Vec::new();
    let mut rest = options;
    while let [name, value, others @ ..] = rest {
        if !known.contains(name) {
            return Err(format!("`{name}` is not known here; there are {}", known.join(", ")));
        }
        let number = value.parse().map_err(|_| format!("{name} takes a whole number, not `{value}`"))?;
        found.push(((*name).to_owned(), number));
        rest = others;
    }
    match rest {
        [name] => Err(format!("{name} needs a number after it")),
        _ => Ok(found),
    }
}

/// The page is made where the table is; the unit tests fail when it is stale.
fn reference(root: &Path) -> Result<ExitCode, String> {
    let words =
        ["test", "--quiet", "--package", "sportello", "--lib", "--locked", "the_reference_is_made_from_the_table"];
    Child::new(tree::cargo()).arguments(&words).folder(root).variable("BLESS", "1").run_shown(MINUTE * 10)?;
    Ok(ExitCode::SUCCESS)
}

fn bench(root: &Path, rest: &[&str]) -> Result<ExitCode, String> {
    if !root.join("bench/Cargo.toml").exists() {
        return Err("the bench crate is not in this tree".to_owned());
    }
    if !rest.is_empty() && rest != ["list"] {
        install::peers()?;
    }
    let mut words = vec!["run", "--release", "--quiet", "--manifest-path", "bench/Cargo.toml", "--"];
    words.extend_from_slice(rest);
    cargo(root, &words, MINUTE * 240)?;
    Ok(ExitCode::SUCCESS)
}
