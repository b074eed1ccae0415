//! `sportello mail`: the caught mail, listed, read and searched; mail of any mailbox, saved to files and taken from them.
//!
//! All that a message says is its sender's: a terminal shows it and obeys nothing in it.

mod export;
mod import;

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use sportello_wire::mail::Marks;

use self::export::Export;
use self::import::Import;
use super::conversation::Deadlines;
use super::conversation::resp::Commands;
use super::paper::{Failed, Ink, Paper, Style, byte_size, visible};
use super::place::Whereabouts;

/// `sportello mail`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Mail {
    #[command(subcommand)]
    pub action: Action,
}

/// What is done with the mail.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Show the newest messages
    #[command(after_help = EXAMPLES)]
    List(List),
    /// Show one message as text; it then counts as read
    #[command(after_help = EXAMPLES)]
    Read(Read),
    /// Show the newest messages that a search finds
    #[command(after_help = EXAMPLES)]
    Search(Search),
    /// Save messages to files, byte for byte
    #[command(after_help = EXAMPLES)]
    Export(Export),
    /// Take messages from files, none twice; an interrupted import goes on when it is run again
    #[command(after_help = EXAMPLES)]
    Import(Import),
}

/// `sportello mail list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// The most messages that are shown, 1 to 200.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub number: u64,
    /// Only those that nobody has read.
    #[arg(long)]
    pub unread: bool,
    /// Print a JSON array on one line.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

/// `sportello mail read`.
#[derive(Clone, Debug, Args)]
pub struct Read {
    /// The message's number, as `mail list` shows it.
    pub id: u64,
    /// Give its bytes as they came; a terminal may obey what is in them.
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
    /// Print one line of JSON: {"id","text"}.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

/// `sportello mail search`.
#[derive(Clone, Debug, Args)]
pub struct Search {
    /// Words, "phrases", from:, to:, subject:, body:, tag:, is:unread, has:attachment, before:DATE, after:DATE, larger:SIZE; a
    /// `-` before one turns it round.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_parser = search_word)]
    pub query: Vec<String>,
    /// The most messages that are shown, 1 to 200.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub number: u64,
    /// Print one line of JSON: {"messages","total","unread","pending"}.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

/// Whose mail, and which files: `[ACCOUNT] PATH`, with options before, between and behind them.
fn account_and_path(words: &[String]) -> Result<(Option<&str>, &Path), Failed> {
    match words {
        [path] => Ok((None, Path::new(path))),
        [account, path] => Ok((Some(account), Path::new(path))),
        _ => Err(Failed::new("an account and one path, or a path alone").with_code(2)),
    }
}

/// One word of a search. An option among them would be looked for in the mail, and nothing be found.
fn search_word(word: &str) -> Result<String, &'static str> {
    if word.starts_with("--") || matches!(word, "-n" | "-h") {
        return Err("options stand before the words of the search");
    }
    Ok(word.to_owned())
}

/// In which form messages are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A folder with one file for each message, its bytes and nothing else
    Eml,
    /// A folder with cur, new and tmp, mailboxes beneath it as Maildir++ has them, flags in the names
    Maildir,
    /// One file, in the form mboxrd: a line `From …` before each message, `>` before lines that look like one
    Mbox,
}

const EXAMPLES: &str = "\
Examples:
  sportello mail list --unread
  sportello mail read 17
  sportello mail read 17 --raw > 17.eml
  sportello mail search from:ada invoice -is:read
  sportello mail export saved/                    one .eml file for each message
  sportello mail export --format mbox all.mbox
  sportello mail export --search subject:invoice invoices/
  sportello mail export ada@example.org backup/   all her mailboxes, as a Maildir
  sportello mail import ada@example.org ~ada/Maildir
  sportello mail import ada@example.org --mailbox Archive/2024 old.mbox

Options of `search` stand before its words. Nothing that exists is ever overwritten.

Exit codes: 0 done, 1 failed (one sentence on standard error says why), 2 wrong usage.";

/// A message as MAIL LIST JSON shows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Row {
    /// Its number.
    pub id: u64,
    /// Its place in the mailbox.
    pub uid: u32,
    /// Whether somebody has read it.
    pub seen: bool,
    /// Its flags.
    #[serde(default)]
    pub flags: Vec<String>,
    /// SHA-256 of its bytes, in hexadecimal digits.
    #[serde(default)]
    pub hash: String,
    /// Its bytes.
    pub size: u64,
    /// When it came, milliseconds since 1970.
    pub received_ms: u64,
    /// Who the envelope says sent it.
    pub sender: String,
    /// To whom the envelope says it goes.
    pub recipients: Vec<String>,
    /// Its From field.
    pub from: String,
    /// Its Subject field.
    pub subject: String,
    #[serde(flatten)]
    more: serde_json::Map<String, serde_json::Value>,
}

impl Row {
    /// Its flags.
    fn marks(&self) -> Marks {
        let known = |name: &str| match name {
            "seen" => Marks::SEEN,
            "answered" => Marks::ANSWERED,
            "flagged" => Marks::FLAGGED,
            "deleted" => Marks::DELETED,
            "draft" => Marks::DRAFT,
            _ => Marks::NONE,
        };
        self.flags.iter().map(|name| known(name)).fold(Marks::NONE, Marks::with)
    }
}

/// What MAIL SEARCH finds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Found {
    /// The page.
    pub messages: Vec<Row>,
    /// On all pages.
    pub total: u64,
    /// How many of them nobody has read.
    pub unread: u64,
    /// How many messages are not yet indexed.
    pub pending: u64,
}

/// Runs it.
pub fn run(mail: &Mail) -> Result<u8, Failed> {
    match &mail.action {
        Action::List(list) => run_list(list),
        Action::Read(read) => run_read(read),
        Action::Search(search) => run_search(search),
        Action::Export(export) => export::run(export),
        Action::Import(import) => import::run(import),
    }
}

fn commands(whereabouts: &Whereabouts) -> Result<Commands, Failed> {
    Ok(Commands::reach(&whereabouts.commands()?, Deadlines::default())?)
}

fn run_list(list: &List) -> Result<u8, Failed> {
    let number = list.number.to_string();
    let mut commands = commands(&list.whereabouts)?;
    let mut paper = Paper::stdout();
    let rows = if list.unread {
        commands.json::<Found>(&["MAIL", "SEARCH", "is:unread", &number, "JSON"])?.messages
    } else {
        commands.json::<Vec<Row>>(&["MAIL", "LIST", &number, "JSON"])?
    };
    if list.json {
        paper.json(&rows)?;
    } else {
        let ink = paper.ink();
        rows.iter().try_for_each(|row| paper.line(line(row, ink)))?;
    }
    Ok(0)
}

fn run_search(search: &Search) -> Result<u8, Failed> {
    let (number, query) = (search.number.to_string(), search.query.join(" "));
    let found: Found = commands(&search.whereabouts)?.json(&["MAIL", "SEARCH", &query, &number, "JSON"])?;
    let mut paper = Paper::stdout();
    if search.json {
        paper.json(&found)?;
        return Ok(0);
    }
    let ink = paper.ink();
    found.messages.iter().try_for_each(|row| paper.line(line(row, ink)))?;
    if found.total > found.messages.len() as u64 {
        paper.line(format_args!("{} of {} (-n shows more)", found.messages.len(), found.total))?;
    }
    if found.pending > 0 {
        Paper::stderr().line(format_args!("{} messages are not indexed yet: ask again shortly", found.pending))?;
    }
    Ok(0)
}

fn run_read(read: &Read) -> Result<u8, Failed> {
    let id = read.id.to_string();
    let mut commands = commands(&read.whereabouts)?;
    let mut paper = Paper::stdout();
    if read.raw {
        let mut out = std::io::stdout().lock();
        commands.copy(&["MAIL", "READ", &id, "RAW"], &mut out)?;
        return Ok(0);
    }
    let text = commands.bytes(&["MAIL", "READ", &id])?;
    let text = String::from_utf8_lossy(&text);
    if read.json {
        paper.json(&serde_json::json!({ "id": read.id, "text": text }))?;
    } else {
        // The server has neutralised it; a terminal is not made to trust the server for that.
        text.lines().try_for_each(|line| paper.bytes(format!("{}\n", shown(line)).as_bytes()))?;
        paper.flush()?;
    }
    Ok(0)
}

/// One line of a message: tabs stay, everything else that a terminal would obey does not.
fn shown(line: &str) -> String {
    line.split('\t').map(visible).collect::<Vec<_>>().join("\t")
}

/// One message in a list.
fn line(row: &Row, ink: Ink) -> String {
    let from = if row.from.is_empty() { &row.sender } else { &row.from };
    let subject = if row.subject.is_empty() { "(no subject)" } else { &row.subject };
    let text = format!(
        "{:>7} {} {} {:>9}  {:<30}  {}",
        row.id,
        if row.seen { " " } else { "*" },
        moment(row.received_ms),
        byte_size(row.size),
        super::connections::cut(from, 30),
        super::connections::cut(subject, 100),
    );
    if row.seen { text } else { ink.paint(Style::Heading, text) }
}

/// `2026-11-23 07:00`, UTC.
fn moment(milliseconds: u64) -> String {
    let text = sportello_wire::date::rfc3339(Duration::from_millis(milliseconds).as_secs(), 0);
    String::from_utf8_lossy(text.get(..16).unwrap_or_default()).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        serde_json::from_str(json).unwrap()
    }

    const ROW: &str = r#"{"id":17,"uid":3,"seen":false,"flags":[],"hash":"00","size":1536,"received_ms":1795417651000,"sender":"ada@example.org",
        "recipients":["b@example.org"],"from":"Ada\u001b]0;x\u0007","to":"b","subject":"","date_unix":null,"message_id":""}"#;

    #[test]
    fn a_line_shows_and_obeys_nothing() {
        let line = line(&row(ROW), Ink::Plain);
        for piece in ["17 *", "1.5 KiB", "(no subject)", "2026-11-23 "] {
            assert!(line.contains(piece), "{piece} in {line}");
        }
        assert!(!line.contains(['\x1b', '\x07']), "{line}");
        assert_eq!(shown("a\tb\x1b[31m\x07\u{9b}"), "a\tb\u{fffd}[31m\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_path_stands_alone_or_behind_an_account() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(account_and_path(&words(&["p"])).unwrap(), (None, Path::new("p")));
        assert_eq!(account_and_path(&words(&["a@b", "p"])).unwrap(), (Some("a@b"), Path::new("p")));
        assert!([words(&[]), words(&["a", "b", "c"])].iter().all(|words| account_and_path(words).is_err()));
    }

    #[test]
    fn what_this_version_does_not_know_is_passed_on() {
        let again = serde_json::to_value(row(ROW)).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(ROW).unwrap());
    }
}
