//! `sportello explain`: what would happen to a URL, an address or a command, and which lines of the configuration decide it.
//!
//! Asks the parts of the server that decide it themselves; starts nothing, listens nowhere. Without a file it explains what
//! `sportello serve` alone would do.

mod command;
mod file;
mod mail;
mod url;
mod way;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::check;
use super::paper::{Failed, Paper, Style, visible};
use super::serve::Serve;
use crate::config::as_written::{Directive, Written};
use crate::config::fault::any_error;
use crate::config::suggest::nearest;
use crate::config::{Checked, Settings, reference, table};

/// `sportello explain`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Explain {
    /// A URL, a mail address, a command, or a directive of the configuration.
    #[arg(value_name = "URL|ADDRESS|COMMAND|DIRECTIVE")]
    pub what: String,
    /// The configuration [default: sportello.kdl in this folder, else what holds without one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Of a URL: the method that asks for it.
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    pub method: String,
    /// Of a URL: a field of the request, such as "Accept: text/html". May be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub fields: Vec<String>,
    /// Of a URL: the address of the client [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    pub from: Option<IpAddr>,
    /// Print one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Who asks for a URL, and how.
#[derive(Debug)]
struct Asked {
    method: String,
    fields: Vec<String>,
    from: Option<IpAddr>,
}

/// What would happen, and why.
#[derive(Debug, Serialize)]
struct Explanation {
    /// What was asked.
    what: String,
    /// What would happen, a sentence each.
    happens: Vec<String>,
    /// The file that decides; none: the defaults.
    file: Option<String>,
    /// Its lines that decide.
    lines: Vec<Line>,
}

#[derive(Debug, Serialize, PartialEq, Eq)]
struct Line {
    line: usize,
    text: String,
}

/// What is explained: settings, and the file that they come from, if any.
struct Basis {
    settings: Settings,
    written: Option<Written>,
}

/// Explains; 1 when nobody would answer, or the file is wrong.
pub fn run(explain: &Explain) -> Result<u8, Failed> {
    let what = explain.what.as_str();
    let is_command = |basis: &Basis| command::is_known(basis, what);
    if let (Some(entry), false, false) = (reference::entry(what), what.contains("://"), what.contains('@')) {
        // A word may be a directive and a command as well: then both are told.
        let also = basis(explain).ok().flatten().filter(is_command);
        if let Some(basis) = also {
            show(explain, &command::explain(&basis, what), Some(&basis))?;
            if !explain.json {
                Paper::stdout().text(format_args!("\n{entry}"))?;
            }
            return Ok(0);
        }
        let happens = entry.lines().map(str::to_owned).collect();
        return if explain.json {
            let explanation = Explanation { what: what.to_owned(), happens, file: None, lines: Vec::new() };
            Paper::stdout().json(&explanation).map(|()| 0)
        } else {
            Paper::stdout().text(entry).map(|()| 0)
        };
    }
    let Some(basis) = basis(explain)? else { return Ok(1) };
    let (told, code) = if what.contains("://") {
        let Explain { method, fields, from, .. } = explain.clone();
        url::explain(&basis, what, &Asked { method, fields, from })?
    } else if what.contains('@') {
        mail::explain(&basis, what)?
    } else if is_command(&basis) {
        (command::explain(&basis, what), 0)
    } else {
        return Err(unknown(&basis, what));
    };
    show(explain, &told, Some(&basis))?;
    Ok(code)
}

/// What happens, and the places in the file that decide it: sentences and directives.
struct Told<'a> {
    happens: Vec<String>,
    /// Whole directives.
    whole: Vec<&'a Directive>,
    /// Directives of which only the first line decides.
    heads: Vec<&'a Directive>,
    /// Single lines.
    lines: Vec<usize>,
}

impl<'a> Told<'a> {
    fn new() -> Self {
        Self { happens: Vec::new(), whole: Vec::new(), heads: Vec::new(), lines: Vec::new() }
    }

    fn say(&mut self, sentence: impl Into<String>) {
        self.happens.push(sentence.into());
    }
}

/// The settings to explain; `None` when the file has errors, which are then told.
fn basis(explain: &Explain) -> Result<Option<Basis>, Failed> {
    let usual = Path::new(Checked::USUAL);
    let file = explain.config.as_deref().or_else(|| usual.is_file().then_some(usual));
    let Some(file) = file else {
        let settings = Settings::from_flags(&Serve::default()).map_err(|error| Failed::new(super::chain(&error)))?;
        return Ok(Some(Basis { settings, written: None }));
    };
    let checked = Checked::read(file).map_err(|error| Failed::new(super::chain(&error)))?;
    if any_error(&checked.faults) {
        check::told(&checked);
        return Ok(None);
    }
    Ok(checked.settings.map(|settings| Basis { settings, written: checked.written }))
}

fn unknown(basis: &Basis, what: &str) -> Failed {
    let commands = basis.settings.programs.iter().map(|program| program.name());
    let names = commands.chain(table::rows().map(|row| row.name));
    let near = nearest(what, names).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let kinds = "a URL (http://…), a mail address (name@domain), a command or a directive can be explained";
    Failed::new(format!("{} is no command and no directive{near}; {kinds}", visible(what)))
}

fn show(explain: &Explain, told: &Told<'_>, basis: Option<&Basis>) -> Result<(), Failed> {
    let written = basis.and_then(|basis| basis.written.as_ref());
    let lines = written.map_or_else(Vec::new, |written| lines(written, told));
    let file = written.map(|written| written.source.path().display().to_string());
    let mut paper = Paper::stdout();
    if explain.json {
        let happens = told.happens.clone();
        return paper.json(&Explanation { what: explain.what.clone(), happens, file, lines });
    }
    for sentence in &told.happens {
        paper.line(visible(sentence))?;
    }
    let ink = paper.ink();
    match file {
        None => paper
            .line(ink.paint(Style::Faint, "\nNo configuration decides this: it is what sportello serve alone does."))?,
        Some(file) => {
            paper.line(ink.paint(Style::Faint, format!("\nDecided by {file}:")))?;
            let width = lines.iter().map(|line| line.line.to_string().len()).max().unwrap_or(1);
            for line in &lines {
                paper.line(format_args!("{:>width$} │ {}", line.line, visible(&line.text)))?;
            }
        }
    }
    Ok(())
}

/// The lines of these directives, in their order.
fn lines(written: &Written, told: &Told<'_>) -> Vec<Line> {
    let source = &written.source;
    let mut numbers: Vec<usize> = Vec::new();
    for directive in &told.whole {
        numbers.extend(source.place(directive.span.start).line..=source.place(directive.span.end).line);
    }
    numbers.extend(told.lines.iter().copied().filter(|line| *line > 0));
    numbers.extend(told.heads.iter().map(|directive| source.place(directive.name.start).line));
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into_iter().map(|line| Line { line, text: source.line(line).replace('\t', "    ") }).collect()
}

impl Basis {
    /// The directives of this name in the file itself.
    fn directives<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Directive> {
        self.written.iter().flat_map(move |written| written.all(name))
    }

    /// The directive of this kind with this first value, whatever the case of its letters.
    fn named<'a>(&'a self, kind: &'a str, name: &str) -> Option<&'a Directive> {
        self.directives(kind).find(|directive| {
            directive.value().and_then(|value| value.text()).is_some_and(|its| its.eq_ignore_ascii_case(name))
        })
    }
}

const EXAMPLES: &str = "\
Examples:
  sportello explain http://www.example.org:8080/a.css   which channel, site and file answer
  sportello explain --from 192.0.2.7 --header 'Cookie: a=b' http://www.example.org/admin/
                                                        which steps and routes it comes by
  sportello explain ada@example.org                     what becomes of mail to this address
  sportello explain greet                               which program runs, and its limits
  sportello explain channel                             what can be written in the configuration
  sportello explain --config /etc/sportello.kdl PING

Exit codes: 0 explained, 1 nobody would answer or the configuration is wrong, 2 wrong usage.";

#[cfg(test)]
mod tests;
