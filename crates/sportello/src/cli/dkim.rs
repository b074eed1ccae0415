//! `sportello dkim`: the keys by which our domains' mail is signed, made and changed with overlap.
//!
//! Asked over the socket in the state folder, which only the server's own user can open.

use std::io::{Read, Write};

use clap::{Args, Subcommand};
use sportello_service::dkim::{KeyView, OVERLAP, Standing};
use sportello_wire::date::mail_date;

use super::conversation::Deadlines;
use super::conversation::resp::Commands;
use super::paper::{Failed, Ink, Paper, Style, visible};
use super::place::Whereabouts;

/// `sportello dkim`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Dkim {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with keys.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// List the keys of a domain, or of all
    List(List),
    /// Make a domain's first pair of keys, or its next one
    Make(One),
    /// Let the next pair sign from now on
    Rotate(One),
    /// Forget the pair that signed before
    Retire(Retire),
    /// Sign a message, to see that it works: reads it from standard input, writes the fields that come before it
    Sign(Sign),
}

/// `sportello dkim list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Of this domain only.
    pub domain: Option<String>,
    /// Print a JSON array on one line.
    #[arg(long)]
    pub json: bool,
    /// Print the records as lines of a zone file.
    #[arg(long, conflicts_with = "json")]
    pub records: bool,
    /// Where the server is.
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

/// `sportello dkim make` and `sportello dkim rotate`.
#[derive(Clone, Debug, Args)]
pub struct One {
    /// The domain.
    pub domain: String,
    /// Print a JSON array on one line.
    #[arg(long)]
    pub json: bool,
    /// Where the server is.
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

/// `sportello dkim retire`.
#[derive(Clone, Debug, Args)]
pub struct Retire {
    /// The domain.
    pub domain: String,
    /// Though mail that it signed may be on its way: somebody else may have the keys.
    #[arg(long)]
    pub now: bool,
    /// Print a JSON array on one line.
    #[arg(long)]
    pub json: bool,
    /// Where the server is.
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

/// `sportello dkim sign`.
#[derive(Clone, Debug, Args)]
pub struct Sign {
    /// The address from which it is sent.
    pub sender: String,
    /// Where the server is.
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

const EXAMPLES: &str = "\
A domain signs with a pair of keys, RSA-2048 and Ed25519. They change in three steps: make (publish the records it prints, and wait \
until they are seen), rotate (the new pair signs), retire (a week later; then remove the old records).

Examples:
  sportello dkim make example.org
  sportello dkim list example.org --records >> example.org.zone
  sportello dkim rotate example.org
  sportello dkim retire example.org

Exit codes: 0 done, 1 not done (one sentence on standard error says why), 2 wrong usage.";

/// The most bytes of a message to sign.
const LARGEST: u64 = 256 << 10;

/// Runs `sportello dkim`.
pub fn run(dkim: &Dkim) -> Result<u8, Failed> {
    match &dkim.action {
        Action::List(list) => {
            let mut words = vec!["DKIM", "LIST"];
            words.extend(list.domain.as_deref());
            let keys = ask(&list.whereabouts, &words)?;
            let mut paper = Paper::stdout();
            if list.json {
                paper.json(&keys)?;
            } else if list.records {
                paper.text(records(&keys))?;
            } else if keys.is_empty() {
                paper.text("there are no keys: sportello dkim make DOMAIN makes them\n".to_owned())?;
            } else {
                let text = table(&keys, paper.ink());
                paper.text(text)?;
            }
        }
        Action::Make(one) => {
            let keys = ask(&one.whereabouts, &["DKIM", "MAKE", &one.domain])?;
            let signs = keys.iter().any(|key| key.standing == Standing::Signing);
            let says = if signs {
                "these keys sign from now on; publish their records:"
            } else {
                "publish these records; when they are seen everywhere: sportello dkim rotate"
            };
            told(&keys, one.json, says, Shown::Records)?;
        }
        Action::Rotate(one) => {
            let keys = ask(&one.whereabouts, &["DKIM", "ROTATE", &one.domain])?;
            let days = OVERLAP.as_secs() / 86_400;
            let says =
                format!("the new pair signs; leave all records published, and in {days} days: sportello dkim retire");
            told(&keys, one.json, &says, Shown::Table)?;
        }
        Action::Retire(Retire { domain, now, json, whereabouts }) => {
            let mut words = vec!["DKIM", "RETIRE", domain];
            words.extend(now.then_some("NOW"));
            let keys = ask(whereabouts, &words)?;
            told(&keys, *json, "these keys are forgotten; remove their records from the DNS:", Shown::Records)?;
        }
        Action::Sign(Sign { sender, whereabouts }) => return sign(sender, whereabouts),
    }
    Ok(0)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Records,
    Table,
}

fn told(keys: &[KeyView], json: bool, says: &str, shown: Shown) -> Result<(), Failed> {
    let mut paper = Paper::stdout();
    if json {
        paper.json(&keys)?;
        return Ok(());
    }
    let text = if shown == Shown::Records { records(keys) } else { table(keys, paper.ink()) };
    paper.text(text)?;
    Paper::stderr().line(format_args!("{says}"))?;
    Ok(())
}

fn sign(sender: &str, whereabouts: &Whereabouts) -> Result<u8, Failed> {
    let mut message = Vec::new();
    let read = std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut message);
    read.map_err(|error| Failed::new(format!("the message cannot be read: {error}")))?;
    if message.len() as u64 > LARGEST {
        return Err(Failed::new(format!("the message is longer than {} KiB", LARGEST >> 10)));
    }
    let mut commands = Commands::reach(&whereabouts.commands()?, Deadlines::default())?;
    let fields = commands.bytes(&[b"DKIM", b"SIGN", sender.as_bytes(), &message])?;
    if fields.is_empty() {
        let why = "it is not signed: there is no key for the sender's domain, or its From field is not of that domain";
        return Err(Failed::new(why));
    }
    let mut output = std::io::stdout().lock();
    let written = output.write_all(&fields).and_then(|()| output.flush());
    written.map_err(|error| Failed::new(format!("the fields cannot be written: {error}")))?;
    Ok(0)
}

fn ask(whereabouts: &Whereabouts, words: &[&str]) -> Result<Vec<KeyView>, Failed> {
    Ok(Commands::reach(&whereabouts.commands()?, Deadlines::default())?.json(words)?)
}

fn records(keys: &[KeyView]) -> String {
    keys.iter().map(|key| format!("{}\n", visible(&key.zone_line()))).collect()
}

fn table(keys: &[KeyView], ink: Ink) -> String {
    let widest = keys.iter().map(|key| key.domain.chars().count()).max().unwrap_or(0).clamp(6, 60);
    let head = format!("{:<widest$} {:<14} {:<9} {:<8} since", "domain", "selector", "algorithm", "standing");
    let mut text = format!("{}\n", ink.paint(Style::Faint, &head));
    for key in keys {
        let (domain, selector) = (visible(&key.domain), visible(&key.selector));
        let (algorithm, standing) = (key.algorithm.word(), key.standing.word());
        let since = mail_date(key.since_ms / 1_000);
        text += &format!("{domain:<widest$} {selector:<14} {algorithm:<9} {standing:<8} {since}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use sportello_service::dkim::Algorithm;

    use super::*;

    fn key(domain: &str) -> KeyView {
        KeyView {
            domain: domain.to_owned(),
            selector: "s20261124e".to_owned(),
            algorithm: Algorithm::Ed25519,
            standing: Standing::Next,
            since_ms: 0,
            name: format!("s20261124e._domainkey.{domain}"),
            record: "v=DKIM1; k=ed25519; p=abc".to_owned(),
        }
    }

    #[test]
    fn keys_are_lines_and_nothing_in_them_moves_the_terminal() {
        let keys = [key("example.org"), key("\x1b[2J.org")];
        let text = table(&keys, Ink::Plain);
        assert!(!text.contains('\x1b') && text.contains("s20261124e") && text.contains("next"), "{text:?}");
        let text = records(&keys[..1]);
        assert_eq!(text, "s20261124e._domainkey.example.org. IN TXT \"v=DKIM1; k=ed25519; p=abc\"\n");
    }
}
