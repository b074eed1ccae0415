//! `sportello alias`: addresses that stand for others, shown and changed in the configuration, whose comments stay.
//!
//! The file is changed whole or not at all, and only to one that passes the checks; then the server that runs by it is asked to read
//! it again.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use sportello_service::directory::Alias as Meaning;
use sportello_wire::mail::Address;

use super::check;
use super::conversation::Deadlines;
use super::conversation::resp::Commands;
use super::fmt::replace;
use super::paper::{Failed, Paper, visible};
use super::place::{Way, Whereabouts};
use crate::config::aliases::{with, without};
use crate::config::as_written::Written;
use crate::config::fault::any_error;
use crate::config::format::formatted;
use crate::config::source::Source;
use crate::config::{Checked, Settings};
use crate::reload::Reloaded;

/// `sportello alias`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Alias {
    #[command(subcommand)]
    pub action: Action,
}

/// What is done with aliases.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Show all aliases, or those of one domain
    #[command(after_help = EXAMPLES)]
    List(List),
    /// Let an address stand for others, beside those for whom it does
    #[command(after_help = EXAMPLES)]
    Add(Add),
    /// Take an alias away, or some for whom it stands
    #[command(after_help = EXAMPLES)]
    Remove(Remove),
}

/// `sportello alias list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Only those of this domain.
    #[arg(value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// Print a JSON array on one line.
    #[arg(long)]
    pub json: bool,
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = Checked::USUAL)]
    pub config: PathBuf,
}

/// `sportello alias add`.
#[derive(Clone, Debug, Args)]
pub struct Add {
    /// The address that stands for others.
    #[arg(value_name = "ADDRESS")]
    pub alias: String,
    /// For whom: names of the same domain, or whole addresses anywhere.
    #[arg(value_name = "TO", required = true)]
    pub to: Vec<String>,
    #[command(flatten)]
    pub place: Place,
}

/// `sportello alias remove`.
#[derive(Clone, Debug, Args)]
pub struct Remove {
    /// The address that stands for others.
    #[arg(value_name = "ADDRESS")]
    pub alias: String,
    /// Only for these it stands no more [default: for nobody]
    #[arg(value_name = "TO")]
    pub to: Vec<String>,
    #[command(flatten)]
    pub place: Place,
}

/// Which file is changed, and what follows.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = Checked::USUAL)]
    pub config: PathBuf,
    /// Only change the file; a running server reads it at the next reload.
    #[arg(long)]
    pub no_reload: bool,
}

#[derive(Debug, Serialize, PartialEq, Eq)]
struct Shown {
    alias: String,
    to: Vec<String>,
    line: usize,
}

/// Runs it; 1 when the file is wrong or would be.
pub fn run(alias: &Alias) -> Result<u8, Failed> {
    match &alias.action {
        Action::List(list) => show(list),
        Action::Add(add) => change(&add.place, |written| {
            with(written, &address(&add.alias)?, &add.to).map_err(|error| Failed::new(error.to_string()))
        }),
        Action::Remove(remove) => change(&remove.place, |written| {
            without(written, &address(&remove.alias)?, &remove.to).map_err(|error| Failed::new(error.to_string()))
        }),
    }
}

fn address(text: &str) -> Result<Address, Failed> {
    Address::parse(text.as_bytes())
        .map_err(|error| Failed::new(format!("{} is no mail address: {error}", visible(text))))
}

fn read(file: &Path) -> Result<Option<(Checked, Settings)>, Failed> {
    let mut checked = Checked::read(file).map_err(|error| Failed::new(super::chain(&error)))?;
    match checked.settings.take() {
        Some(settings) => Ok(Some((checked, settings))),
        None => {
            check::told(&checked);
            Ok(None)
        }
    }
}

fn show(list: &List) -> Result<u8, Failed> {
    let Some((_, settings)) = read(&list.config)? else { return Ok(1) };
    let all = listed(&settings, list.domain.as_deref());
    let mut paper = Paper::stdout();
    if list.json {
        return paper.json(&all).map(|()| 0);
    }
    let width = all.iter().map(|shown| shown.alias.chars().count()).max().unwrap_or(0);
    for Shown { alias, to, .. } in &all {
        paper.line(format_args!("{:width$}  {}", visible(alias), visible(&to.join(" "))))?;
    }
    Ok(0)
}

fn listed(settings: &Settings, domain: Option<&str>) -> Vec<Shown> {
    let mut all = Vec::new();
    for (name, book) in settings.mail.with_accounts() {
        if domain.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(name)) {
            continue;
        }
        let one = |local: &str, alias: &Meaning| Shown {
            alias: format!("{local}@{name}"),
            to: alias.members.iter().map(ToString::to_string).collect(),
            line: alias.line,
        };
        all.extend(book.aliases.iter().map(|(local, alias)| one(local, alias)));
        all.extend(book.catch_all.iter().map(|alias| one("*", alias)));
    }
    all
}

fn change(place: &Place, edit: impl FnOnce(&Written) -> Result<String, Failed>) -> Result<u8, Failed> {
    let Some((checked, settings)) = read(&place.config)? else { return Ok(1) };
    let Some(written) = &checked.written else { return Ok(1) };
    let text = edit(written)?;
    // Who keeps the usual form finds it again.
    let text = match formatted(checked.source.text()) {
        Ok(usual) if usual == checked.source.text() => formatted(&text).unwrap_or(text),
        _ => text,
    };
    let mut faults = Vec::new();
    let after = Checked::new(Source::new(&place.config, text.as_bytes(), &mut faults), faults);
    if any_error(&after.faults) {
        check::told(&after);
        return Err(Failed::new(format!("{} is left as it was", place.config.display())));
    }
    replace(&place.config, &text)
        .map_err(|error| Failed::new(format!("cannot replace {}: {error}", place.config.display())))?;
    if place.no_reload { Ok(0) } else { reload(&settings) }
}

/// Asks the server that runs with this state folder to read its file again, if one does.
fn reload(settings: &Settings) -> Result<u8, Failed> {
    let whereabouts = Whereabouts { server: None, state: Some(settings.store.folder.clone()) };
    let Ok(way @ Way::Socket(_)) = whereabouts.commands() else {
        return Paper::stdout().line("changed; no server runs by it, so it holds from the next start on").map(|()| 0);
    };
    let reloaded: Reloaded = Commands::reach(&way, Deadlines::default())?.json(&["RELOAD", "JSON"])?;
    if reloaded.ok {
        let file = visible(&reloaded.file);
        return Paper::stdout().line(format_args!("changed, and {file} is in force")).map(|()| 0);
    }
    let mut errors = Paper::stderr();
    for line in &reloaded.errors {
        errors.line(visible(line))?;
    }
    Err(Failed::new("changed, but the running server did not take it: its configuration of before runs on"))
}

const EXAMPLES: &str = "\
Examples:
  sportello alias list
  sportello alias add info@example.org ada bob@example.net
  sportello alias remove info@example.org bob@example.net    no more for him
  sportello alias remove info@example.org                    no more at all
  sportello alias add --config /etc/sportello.kdl info@example.org ada

An alias is a line of the configuration: it is written there, beside your comments, and a running server reads the file again.
To see what an address means with all aliases and accounts: sportello explain info@example.org

Exit codes: 0 done, 1 the configuration is wrong or would be, 2 wrong usage.";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_file_is_changed_and_stays_sound() {
        let folder = std::env::temp_dir().join(format!("sportello-alias-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let config = folder.join("a.kdl");
        let text = "state \"state\"\nchannel mail port=0 protocol=smtp\ndomain example.org {\n    // ours\n    mail {\n        plus-tags off\n    }\n}\n";
        fs::write(&config, text).unwrap();
        let place = || Place { config: config.clone(), no_reload: false };
        let add = |alias: &str, to: &str| {
            let to = to.split_whitespace().map(str::to_owned).collect();
            run(&Alias { action: Action::Add(Add { alias: alias.to_owned(), to, place: place() }) })
        };
        assert_eq!(add("info@example.org", "ada bob@example.net").unwrap(), 0);
        let expect = text.replace(
            "        plus-tags off\n",
            "        plus-tags off\n        alias info to=\"ada bob@example.net\"\n",
        );
        assert_eq!(fs::read_to_string(&config).unwrap(), expect);
        // What would be wrong is not written.
        assert!(add("ada@example.org", "info").unwrap_err().message.contains("left as it was"));
        assert!(add("x@example.org", "a,b").is_err());
        assert!(add("x@example.net", "a").is_err());
        assert_eq!(fs::read_to_string(&config).unwrap(), expect);
        let (_, settings) = read(&config).unwrap().unwrap();
        let all = listed(&settings, Some("EXAMPLE.org"));
        let to = vec!["ada@example.org".to_owned(), "bob@example.net".to_owned()];
        assert_eq!(all, [Shown { alias: "info@example.org".to_owned(), to, line: 7 }]);
        assert!(listed(&settings, Some("example.net")).is_empty());
        let remove = Remove { alias: "INFO@example.org".to_owned(), to: Vec::new(), place: place() };
        assert_eq!(run(&Alias { action: Action::Remove(remove) }).unwrap(), 0);
        assert_eq!(fs::read_to_string(&config).unwrap(), text);
        fs::remove_dir_all(&folder).unwrap();
    }
}
