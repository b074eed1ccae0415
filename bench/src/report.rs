//! The table: one line on the terminal as a case ends, JSON lines under `target/bench/`, and `bench/RESULTS.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::cases::CASES;
use crate::error::{Doing, Error};
use crate::harness::Cores;
use crate::machine;
use crate::peers::sportello::{target, workspace};
use crate::result::{Finding, Row, Server};

/// Notes about rows that fall short, kept by hand.
const PROFILES: &str = "bench/PROFILES.md";
const RESULTS: &str = "bench/RESULTS.md";

/// The rows of earlier runs, the newest of each case and sharing of cores.
pub(crate) fn kept() -> Result<Vec<Row>, Error> {
    let text = fs::read_to_string(rows_file()?).unwrap_or_default();
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Keeps `row` in the place of the last one of its case and sharing of cores.
pub(crate) fn keep(row: Row) -> Result<(), Error> {
    let mut rows = kept()?;
    rows.retain(|other| (&other.case, &other.cores) != (&row.case, &row.cores));
    rows.push(row);
    let mut text = String::new();
    for row in &rows {
        let line = serde_json::to_string(row).map_err(|error| Error::not_so(error.to_string()))?;
        text.push_str(&line);
        text.push('\n');
    }
    let file = rows_file()?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).doing(|| format!("making {}", folder.display()))?;
    }
    fs::write(&file, text).doing(|| format!("writing {}", file.display()))
}

fn rows_file() -> Result<PathBuf, Error> {
    Ok(target()?.join("bench/rows.jsonl"))
}

/// Writes `bench/RESULTS.md` from the rows kept.
pub(crate) fn write() -> Result<PathBuf, Error> {
    let profiles = fs::read_to_string(workspace().join(PROFILES)).unwrap_or_default();
    let text = markdown(&kept()?, &machine::lines(), &profiles);
    let file = workspace().join(RESULTS);
    fs::write(&file, text).doing(|| format!("writing {}", file.display()))?;
    Ok(file)
}

/// One case, for the terminal.
pub(crate) fn line(row: &Row) -> String {
    let met = if row.finding.met() { "met" } else { "NOT MET" };
    match &row.finding {
        Finding::Compared { measure, target, servers, .. } => {
            let ratios: Vec<String> = servers
                .iter()
                .skip(1)
                .map(|server| format!("{} {} over {}", ratio(server), measure.name(), server.name))
                .collect();
            format!("{}: {} (wanted {target}: {met})", row.case, ratios.join("; "))
        }
        Finding::Bounded { unit, value, bound, notes } => {
            let notes = notes.join("; ");
            format!("{}: {} {} (at most {bound}: {met}) {notes}", row.case, figure(*value), unit.name())
        }
    }
}

fn markdown(rows: &[Row], machine: &[String], profiles: &str) -> String {
    let mut text = String::from(HEADING);
    for line in machine {
        let _ = writeln!(text, "- {line}");
    }
    for cores in [Cores::Pinned, Cores::Free] {
        let rows: Vec<&Row> = CASES
            .iter()
            .filter_map(|case| rows.iter().find(|row| row.case == case.name && row.cores == cores.name()))
            .collect();
        if !rows.is_empty() {
            table(&mut text, cores, &rows);
        }
    }
    if !profiles.is_empty() {
        let _ = write!(text, "\n{}", profiles.trim_start());
    }
    text
}

fn table(text: &mut String, cores: Cores, rows: &[&Row]) {
    let flag = if cores == Cores::Free { " --unpinned" } else { "" };
    let _ = writeln!(text, "\n## {}\n", cores.sharing());
    text.push_str("| case | ratio | wanted | met | made of |\n|---|---|---|---|---|\n");
    for row in rows {
        let met = if row.finding.met() { "yes" } else { "**no**" };
        let title = title(row);
        let _ = match &row.finding {
            Finding::Compared { measure, target, servers, .. } => {
                let ratio = servers.get(1).map(ratio).unwrap_or_default();
                let peer = servers.get(1).map_or("", |peer| peer.name.as_str());
                let made = measure.name();
                writeln!(text, "| {title} | {ratio} | ≥ {target} | {met} | {made} against {peer} |")
            }
            Finding::Bounded { unit, value, bound, notes } => {
                let (value, unit, notes) = (figure(*value), unit.name(), notes.join("; "));
                writeln!(text, "| {title} | {value} {unit} | ≤ {bound} {unit} | {met} | {notes} |")
            }
        };
    }
    for row in rows {
        let Finding::Compared { servers, notes, .. } = &row.finding else { continue };
        let _ = writeln!(text, "\n### {}\n", title(row));
        let _ = writeln!(
            text,
            "`cargo xtask bench {}{flag}`: {} rounds of {} s, {} UTC, commit {}.\n",
            row.case, row.rounds, row.slice_seconds, row.date, row.revision
        );
        text.push_str(SERVERS);
        for server in servers {
            server_line(text, server);
        }
        if !notes.is_empty() {
            let _ = writeln!(text, "\n{}.", notes.join("; "));
        }
    }
}

fn server_line(text: &mut String, server: &Server) {
    let time = |time: Option<f64>| time.map_or_else(|| "–".to_owned(), figure);
    let ours = if server.name == "Sportello" { "1".to_owned() } else { ratio(server) };
    let logged = server.logged.map_or_else(|| "–".to_owned(), |share| format!("{:.0}", 100.0 * share));
    let _ = writeln!(
        text,
        "| {} | {} [{}, {}] | {:.0} | {} | {} | {} | {:.0} | {:.0} | {logged} | {ours} | {} |",
        server.name,
        figure(server.cost.median),
        figure(server.cost.least),
        figure(server.cost.greatest),
        100.0 * server.user_share,
        figure(server.rate.median),
        time(server.p50),
        time(server.p99),
        server.settled_rate.median,
        100.0 * server.busy,
        figure(server.other_ratio.median),
    );
}

const HEADING: &str = "\
# Figures

Made by the `bench` crate (`bench/README.md` says how to repeat them); this file is written by `cargo xtask bench -- --write`
and by nobody else. Ratios are greater when Sportello is better: *CPU/op* is the peer's processor time per operation over ours,
*rate* is our operations per second over the peer's. Each is the median of the rounds' paired ratios, with the least and the
greatest. Sportello has its log (one line per request, to a file) and the revalidation of cached files on; the peers are as
fast as their manuals say they can be made (`bench/src/peers/`). Mails are durable on both sides: synced before 250.

";

const SERVERS: &str = "\
| server | CPU per operation, µs | of it user, % | op/s | p50, µs | p99, µs | op/s until settled | busy, % | logged, % | ratio | other ratio |
|---|---|---|---|---|---|---|---|---|---|---|
";

fn title(row: &Row) -> &str {
    CASES.iter().find(|case| case.name == row.case).map_or(row.case.as_str(), |case| case.title)
}

fn ratio(server: &Server) -> String {
    let of = server.ratio;
    format!("{} [{}, {}]", figure(of.median), figure(of.least), figure(of.greatest))
}

/// Three significant digits, or all of a large number.
fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Unit;

    #[test]
    fn figures_have_three_digits() {
        for (value, expect) in [(0.5, "0.500"), (1.234, "1.23"), (12.34, "12.3"), (123_456.7, "123457")] {
            assert_eq!(figure(value), expect);
        }
    }

    #[test]
    fn a_row_that_falls_short_says_so() {
        let row = Row {
            case: "memory-start".to_owned(),
            cores: "pinned".to_owned(),
            date: "2026-01-01 00:00".to_owned(),
            revision: "abc".to_owned(),
            rounds: 9,
            slice_seconds: 1.5,
            finding: Finding::bounded(Unit::MiB, 30.0, 24.0, vec!["two workers".to_owned()]),
        };
        let text = markdown(&[row], &["kernel: any".to_owned()], "## Profiles\n");
        let wanted = "| resident at start | 30.0 MiB | ≤ 24 MiB | **no** | two workers |";
        assert!(text.contains(wanted), "{text}");
        assert!(text.ends_with("## Profiles\n"));
    }
}
