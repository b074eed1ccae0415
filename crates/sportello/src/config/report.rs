//! Faults, shown: in their lines for people, one line each for other programs' eyes, as JSON for programs.
//!
//! In the manner of rustc and miette, by hand: what miette's own report brings along is larger than the rest of the server's
//! dependencies together. Control characters of the file are shown and not obeyed.

use std::fmt::Write;

use serde::Serialize;

use super::fault::{Fault, Severity};
use super::lexical::is_disallowed;
use super::source::{Place, Source, Span};
use crate::cli::paper::{Ink, Style, visible};

/// All faults in their lines, those of one file one after the other in their order.
pub fn graphical(source: &Source, faults: &[Fault], ink: Ink) -> String {
    let mut text = String::new();
    for fault in sorted(faults) {
        one(&mut text, source, fault, ink);
        text.push('\n');
    }
    text.push_str(&sum(source, faults));
    text.push('\n');
    text
}

/// One line each: `FILE:LINE:COLUMN: error: what is wrong; what to write`.
pub fn plain(source: &Source, faults: &[Fault]) -> String {
    let mut text = String::new();
    for fault in sorted(faults) {
        let Place { line, column } = source.place(fault.span.start);
        let _ = write!(
            text,
            "{}:{line}:{column}: {}: {}",
            source.path().display(),
            fault.severity.word(),
            visible(&fault.message)
        );
        if !fault.label.is_empty() {
            let _ = write!(text, " ({})", visible(&fault.label));
        }
        for (span, label) in &fault.also {
            let _ = write!(text, "; line {}: {}", source.place(span.start).line, visible(label));
        }
        if let Some(help) = &fault.help {
            let _ = write!(text, "; {}", visible(help));
        }
        text.push('\n');
    }
    text
}

/// What `check --json` prints.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// Whether the server would start with it.
    pub ok: bool,
    /// What is wrong.
    pub faults: Vec<Told>,
}

/// One fault for programs.
#[derive(Debug, Serialize)]
pub struct Told {
    /// `error` or `warning`.
    pub severity: &'static str,
    /// Where it begins, from 1.
    pub line: usize,
    /// The character there, from 1.
    pub column: usize,
    /// Where it ends.
    pub end_line: usize,
    /// The character behind its last.
    pub end_column: usize,
    /// What is wrong.
    pub message: String,
    /// A few words for the place.
    pub label: String,
    /// What to write.
    pub help: Option<String>,
    /// Other places that belong to it.
    pub also: Vec<Elsewhere>,
}

/// Another place.
#[derive(Debug, Serialize)]
pub struct Elsewhere {
    /// Its line.
    pub line: usize,
    /// Its character.
    pub column: usize,
    /// What is there.
    pub label: String,
}

impl Report {
    /// All faults of a file.
    pub fn new(source: &Source, faults: &[Fault]) -> Self {
        let told = |fault: &Fault| {
            let (start, end) = (source.place(fault.span.start), source.place(fault.span.end));
            let elsewhere = |(span, label): &(Span, String)| {
                let Place { line, column } = source.place(span.start);
                Elsewhere { line, column, label: label.clone() }
            };
            Told {
                severity: fault.severity.word(),
                line: start.line,
                column: start.column,
                end_line: end.line,
                end_column: end.column,
                message: fault.message.clone(),
                label: fault.label.clone(),
                help: fault.help.clone(),
                also: fault.also.iter().map(elsewhere).collect(),
            }
        };
        Self {
            file: source.path().display().to_string(),
            ok: !super::fault::any_error(faults),
            faults: sorted(faults).into_iter().map(told).collect(),
        }
    }
}

fn sorted(faults: &[Fault]) -> Vec<&Fault> {
    let mut sorted: Vec<&Fault> = faults.iter().collect();
    sorted.sort_by_key(|fault| fault.span.start);
    sorted
}

/// The last line of the report.
fn sum(source: &Source, faults: &[Fault]) -> String {
    let count = |severity| faults.iter().filter(|fault| fault.severity == severity).count();
    let named = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        count => Some(format!("{count} {word}s")),
    };
    let parts: Vec<String> = [named(count(Severity::Error), "error"), named(count(Severity::Warning), "warning")]
        .into_iter()
        .flatten()
        .collect();
    if parts.is_empty() {
        format!("{}: nothing is wrong", source.path().display())
    } else {
        format!("{}: {}", source.path().display(), parts.join(", "))
    }
}

fn one(text: &mut String, source: &Source, fault: &Fault, ink: Ink) {
    let style = if fault.severity == Severity::Error { Style::Bad } else { Style::Channel };
    let word = ink.paint(style, fault.severity.word());
    let _ = writeln!(text, "{word}: {}", ink.paint(Style::Heading, visible(&fault.message)));
    let mut marks: Vec<(Span, &str)> = vec![(fault.span, fault.label.as_str())];
    marks.extend(fault.also.iter().map(|(span, label)| (*span, label.as_str())));
    marks.sort_by_key(|(span, _)| span.start);
    let last = marks.iter().map(|(span, _)| source.place(span.start).line).max().unwrap_or(1);
    let width = last.to_string().len().max(2);
    let Place { line, column } = source.place(fault.span.start);
    let edge = |piece: &str| ink.paint(Style::Faint, piece);
    let path = source.path().display();
    let _ = writeln!(text, "{:width$} {} {path}:{line}:{column}", "", edge("╭─"));
    let mut shown = 0;
    for (span, label) in marks {
        let number = source.place(span.start).line;
        if number != shown {
            if shown > 0 && number > shown + 1 {
                let _ = writeln!(text, "{:width$} {}", "", edge("┆"));
            }
            let _ = writeln!(text, "{number:width$} {} {}", edge("│"), shown_line(source.line(number)));
            shown = number;
        }
        let (before, length) = columns(source, span, number);
        let carets = ink.paint(style, "^".repeat(length));
        let label = if label.is_empty() { String::new() } else { format!(" {}", ink.paint(style, visible(label))) };
        let _ = writeln!(text, "{:width$} {} {:before$}{carets}{label}", "", edge("·"), "");
    }
    if let Some(help) = &fault.help {
        let _ = writeln!(text, "{:width$} {} {}", "", edge("╰─"), visible(help));
    } else {
        let _ = writeln!(text, "{:width$} {}", "", edge("╰─"));
    }
}

/// The most characters of a line that are shown.
const WIDEST: usize = 160;

/// A line as it can be shown: tabs as one space, nothing that moves a cursor, not endless.
fn shown_line(line: &str) -> String {
    let show = |letter: char| match letter {
        '\t' => ' ',
        letter if is_disallowed(letter) => '\u{fffd}',
        letter => letter,
    };
    let shown: String = line.chars().take(WIDEST).map(show).collect();
    let more = if line.chars().nth(WIDEST).is_some() { "…" } else { "" };
    format!("{}{more}", visible(&shown)).trim_end().to_owned()
}

/// How many characters stand before a span in its line, and how many of it stand in the line.
fn columns(source: &Source, span: Span, line: usize) -> (usize, usize) {
    let start = source.line_start(line);
    let end = start + source.line(line).len();
    let count = |from: usize, to: usize| source.text().get(from..to).map_or(0, |text| text.chars().count());
    let before = count(start, span.start).min(WIDEST);
    (before, count(span.start, span.end.min(end)).clamp(1, WIDEST + 1 - before.min(WIDEST)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn faults_are_shown_in_their_lines() {
        let text = "address \"::1\"\n\tchannel a port=1\nx\nchannel ä port=1\n";
        let source = Source::new(Path::new("a.kdl"), text.as_bytes(), &mut Vec::new());
        let find = |piece: &str, from: usize| {
            let start = from + text[from..].find(piece).unwrap();
            Span { start, end: start + piece.len() }
        };
        let fault = Fault::error(find("port=1", 30), "two channels on one port")
            .label("here \x1b[1m again")
            .also(find("port=1", 0), "first here")
            .help("give each its own");
        let faults = [fault, Fault::warning(find("\"::1\"", 0), "odd")];
        let expect = "\
warning: odd
   ╭─ a.kdl:1:9
 1 │ address \"::1\"
   ·         ^^^^^
   ╰─

error: two channels on one port
   ╭─ a.kdl:4:11
 2 │  channel a port=1
   ·            ^^^^^^ first here
   ┆
 4 │ channel ä port=1
   ·           ^^^^^^ here \u{FFFD}[1m again
   ╰─ give each its own

a.kdl: 1 error, 1 warning
";
        let shown = graphical(&source, &faults, Ink::Plain);
        let shown: String = shown.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        assert_eq!(shown, expect);
        let plain = plain(&source, &faults);
        assert!(
            plain.starts_with("a.kdl:1:9: warning: odd\na.kdl:4:11: error: two channels on one port (here"),
            "{plain}"
        );
        assert!(plain.ends_with("; line 2: first here; give each its own\n"), "{plain}");
        let report = Report::new(&source, &faults);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((json["ok"].as_bool(), json["faults"][1]["column"].as_u64()), (Some(false), Some(11)));
        assert_eq!(json["faults"][1]["also"][0]["line"].as_u64(), Some(2));
    }

    #[test]
    fn a_line_is_not_endless() {
        let long = "x".repeat(1_000);
        let source = Source::new(Path::new("a.kdl"), long.as_bytes(), &mut Vec::new());
        for span in [Span { start: 0, end: 1_000 }, Span { start: 900, end: 1_000 }, Span { start: 1_000, end: 1_000 }]
        {
            let shown = graphical(&source, &[Fault::error(span, "long")], Ink::Plain);
            assert!(shown.lines().all(|line| line.chars().count() < 180), "{shown}");
        }
    }
}
