//! `sportello check`: everything that is wrong with a configuration, at once.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;

use super::paper::{Failed, Paper};
use crate::config::fault::any_error;
use crate::config::report::{self, Report};
use crate::config::{Checked, Settings, international};

/// `sportello check`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Check {
    /// The configuration.
    #[arg(value_name = "FILE", default_value = Checked::USUAL)]
    pub file: PathBuf,
    /// Print one line of JSON, on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Checks; 0 when the server would start with the file, else 1.
pub fn run(check: &Check) -> Result<u8, Failed> {
    let checked = Checked::read(&check.file).map_err(|error| Failed::new(super::chain(&error)))?;
    let code = u8::from(any_error(&checked.faults));
    if check.json {
        Paper::stdout().json(&Report::new(&checked.source, &checked.faults))?;
        return Ok(code);
    }
    told(&checked);
    if let Some(settings) = checked.settings.as_ref().filter(|_| code == 0) {
        Paper::stdout().line(format_args!("{}: the server would start: {}", check.file.display(), sum(settings)))?;
        for (name, letters) in in_letters(settings) {
            Paper::stdout().line(format_args!("  {letters} is asked for as {name}"))?;
        }
    }
    Ok(code)
}

/// Says what is wrong with a file on standard error: in its lines on a terminal, else one line each.
pub fn told(checked: &Checked) {
    if checked.faults.is_empty() {
        return;
    }
    let mut paper = Paper::stderr();
    let text = if io::stderr().is_terminal() {
        report::graphical(&checked.source, &checked.faults, paper.ink())
    } else {
        report::plain(&checked.source, &checked.faults)
    };
    // Nobody may be there to read it; the exit code says the same.
    let _ = paper.text(text);
}

/// A file of the usual name is not read unless it is named; whoever made it should know.
pub fn hint_at_file() {
    if Path::new(Checked::USUAL).is_file() {
        let name = Checked::USUAL;
        let _ = Paper::stderr()
            .line(format_args!("{name} is here and is not read; to use it: sportello serve --config {name}"));
    }
}

/// The names of sites that people write otherwise than they are asked for.
fn in_letters(settings: &Settings) -> Vec<(String, String)> {
    let names = settings.sites.iter().flat_map(|site| &site.hosts.names).map(ToString::to_string);
    names.filter_map(|name| international::in_letters(&name).map(|letters| (name, letters))).collect()
}

/// What a server would do, in a few words.
fn sum(settings: &Settings) -> String {
    let many = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    [
        many(settings.channels.len(), "channel"),
        many(settings.sites.len(), "site"),
        many(settings.programs.len(), "command"),
    ]
    .join(", ")
}

const EXAMPLES: &str = "\
Examples:
  sportello check                    sportello.kdl in this folder
  sportello check /etc/sportello.kdl
  sportello check --json             for programs

Also looks at the world: whether folders and programs are there, and whether this user may have the ports.

Exit codes: 0 the server would start with it (warnings are told), 1 it would not, 2 wrong usage.";
