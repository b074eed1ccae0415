//! The long fuzzing: libFuzzer, by coverage, one target after the other; the corpus it leaves and the table it writes.
//!
//! The short run, the same each time, is a part of the step `unit` of `cargo xtask test`. Bounded by: the seconds asked for each target.

#[path = "../../fuzz/src/corpus.rs"]
#[allow(dead_code, unreachable_pub, reason = "written for both sides")]
mod corpus;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::child::Child;
use crate::step::Note;
use crate::tree;

/// Seconds for each target where nothing else is said.
const SECONDS: u64 = 300;
/// What makes stable rustc put libFuzzer's counters into every crate.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions -Ccodegen-units=4";
const HOST: &str = "x86_64-unknown-linux-gnu";

/// What was asked for.
struct Wanted {
    targets: Vec<String>,
    seconds: u64,
}

/// The short run of every target.
pub(crate) fn short(root: &Path) -> Result<Note, String> {
    let words = ["test", "--quiet", "--locked", "--package", "sportello-fuzz"];
    let output = Child::new(tree::cargo()).arguments(&words).folder(root).run(Duration::from_secs(1200))?;
    Ok(Note::of(format!("{} targets", targets_played(&output)?)))
}

/// How many targets this output of the short run tells of.
pub(crate) fn targets_played(output: &str) -> Result<usize, String> {
    let targets = output.lines().filter(|line| line.contains("... ok (")).count();
    if targets == 0 { Err(format!("no target of the short fuzzing ran\n{output}")) } else { Ok(targets) }
}

/// `cargo xtask fuzz [TARGET…] [--seconds N]`
pub(crate) fn long(root: &Path, words: &[&str]) -> Result<(), String> {
    let wanted = wanted(words)?;
    let search = build(root)?;
    let all = targets(&search)?;
    let unknown = wanted.targets.iter().find(|name| !all.iter().any(|(known, _)| known == *name));
    if let Some(name) = unknown {
        let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!("there is no target `{name}`; there are: {}", names.join(" ")));
    }
    let mut failed = Vec::new();
    for (name, longest) in all {
        if wanted.targets.is_empty() || wanted.targets.contains(&name) {
            match search_one(root, &search, &name, &longest, wanted.seconds) {
                Ok(row) => {
                    println!("{row}");
                    record(root, &name, &row)?;
                }
                Err(sentence) => failed.push(format!("{name}: {sentence}")),
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n\n")) }
}

fn wanted(words: &[&str]) -> Result<Wanted, String> {
    let mut wanted = Wanted { targets: Vec::new(), seconds: SECONDS };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match *word {
            "--seconds" => {
                let number = rest.next().and_then(|word| word.parse().ok());
                wanted.seconds = number.ok_or("--seconds takes a whole number")?;
            }
            option if option.starts_with('-') => return Err(format!("fuzz does not know `{option}`")),
            name => wanted.targets.push(name.to_owned()),
        }
    }
    Ok(wanted)
}

/// Builds the searching program, with counters, in a folder of its own. With `SPORTELLO_SEARCH=PATH` that one is driven, and none
/// is built.
fn build(root: &Path) -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("SPORTELLO_SEARCH") {
        return std::path::absolute(&path).map_err(|error| format!("{}: {error}", path.display()));
    }
    let folder = folder(root);
    let build = Child::new(tree::cargo())
        .arguments(&["build", "--release", "--locked", "--package", "sportello-fuzz", "--features", "libfuzzer"])
        .arguments(&["--bin", "search", "--target", HOST, "--target-dir"])
        .arguments(&[&folder])
        .arguments(&["--config", "profile.release.lto=false", "--config", "profile.release.opt-level=2"]);
    build.variable("RUSTFLAGS", FLAGS).folder(root).run_shown(Duration::from_secs(3600))?;
    Ok(folder.join(HOST).join("release").join("search"))
}

fn folder(root: &Path) -> PathBuf {
    tree::target(root).join("fuzz")
}

/// The names of all targets and their longest inputs, as the program tells them.
fn targets(search: &Path) -> Result<Vec<(String, String)>, String> {
    let output = Child::new(search).run(Duration::from_secs(60))?;
    // Beside them libFuzzer says what it misses.
    let pair = |line: &str| {
        let (name, longest) = line.split_once(' ')?;
        longest.parse::<usize>().is_ok().then(|| (name.to_owned(), longest.to_owned()))
    };
    Ok(output.lines().filter_map(pair).collect())
}

/// Searches one target, keeps what its corpus came to, and tells the row of the table.
fn search_one(root: &Path, search: &Path, name: &str, longest: &str, seconds: u64) -> Result<String, String> {
    println!("── {name}, {seconds} s");
    let packed = root.join("fuzz/corpus").join(format!("{name}.txt"));
    let (raw, merged) = (folder(root).join("corpus").join(name), folder(root).join("merged").join(name));
    let found = folder(root).join("found");
    fs::create_dir_all(&found).map_err(told(&found))?;
    fs::create_dir_all(&raw).map_err(told(&raw))?;
    for (number, input) in corpus::unpack(&fs::read_to_string(&packed).unwrap_or_default()).iter().enumerate() {
        let file = raw.join(format!("kept-{number}"));
        fs::write(&file, input).map_err(told(&file))?;
    }
    let run = |options: &[String], folders: &[&PathBuf]| {
        let child = Child::new(search).variable("SPORTELLO_FUZZ", name).folder(root).arguments(options);
        child.arguments(folders).run(Duration::from_secs(seconds + 1800))
    };
    let mut options = vec![
        format!("-max_total_time={seconds}"),
        format!("-max_len={longest}"),
        format!("-artifact_prefix={}/{name}-", found.display()),
        "-print_final_stats=1".to_owned(),
        "-timeout=60".to_owned(),
        "-rss_limit_mb=2048".to_owned(),
    ];
    let words = root.join("fuzz/dictionaries").join(format!("{}.txt", name.split('_').next().unwrap_or(name)));
    if words.exists() {
        options.push(format!("-dict={}", words.display()));
    }
    let output = run(&options, &[&raw])?;
    // The merge runs in an empty folder: what it leaves is the least that covers the same.
    let _ = fs::remove_dir_all(&merged);
    fs::create_dir_all(&merged).map_err(told(&merged))?;
    run(&["-merge=1".to_owned(), format!("-max_len={longest}"), "-timeout=60".to_owned()], &[&merged, &raw])?;
    let mut inputs = Vec::new();
    for entry in fs::read_dir(&merged).map_err(told(&merged))?.flatten() {
        inputs.push(fs::read(entry.path()).map_err(told(&entry.path()))?);
    }
    let text = corpus::pack(inputs);
    fs::write(&packed, &text).map_err(told(&packed))?;
    let kept = format!("{} ({} KiB)", text.lines().count(), text.len().div_ceil(1024));
    Ok(row(name, seconds, &output, &kept))
}

fn told(path: &Path) -> impl FnOnce(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}

fn row(name: &str, seconds: u64, output: &str, kept: &str) -> String {
    let after = |line: &str, word: &str| {
        let mut words = line.split_whitespace().skip_while(|found| *found != word);
        words.nth(1).unwrap_or("?").to_owned()
    };
    let statistic =
        |word: &str| output.lines().map(|line| after(line, word)).rfind(|found| found != "?").unwrap_or_default();
    let (runs, rate) = (statistic("stat::number_of_executed_units:"), statistic("stat::average_exec_per_sec:"));
    let (edges, features) = (statistic("cov:"), statistic("ft:"));
    format!("| {name} | {seconds} | {runs} | {rate} | {edges} | {features} | {kept} |")
}

const RESULTS: &str = "fuzz/RESULTS.md";
const TITLE: &str = "# What was fuzzed, and for how long

Written by `cargo xtask fuzz`: the latest run of each target. *Edges* and *features* are libFuzzer's: branches of our code and of what it uses that
were taken, and how often in powers of two. The corpus is what covers the same with the fewest bytes; at most 100 KiB of it are kept.

| target | seconds | executions | per second | edges | features | corpus |
|---|---|---|---|---|---|---|
";

/// Puts the row in the place of the target's last one.
fn record(root: &Path, name: &str, row: &str) -> Result<(), String> {
    let path = root.join(RESULTS);
    let old = fs::read_to_string(&path).unwrap_or_default();
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| target ");
    let mut rows: Vec<_> =
        old.lines().filter(is_row).filter(|line| !line.starts_with(&format!("| {name} |"))).collect();
    rows.push(row);
    rows.sort_unstable();
    fs::write(&path, format!("{TITLE}{}\n", rows.join("\n"))).map_err(told(&path))
}
