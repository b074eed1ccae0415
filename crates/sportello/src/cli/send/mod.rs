//! `sportello send`: one message, from standard input and files, handed to a mail server.

pub mod message;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;
use sportello_wire::smtp::client;

use self::message::{Draft, Error, Room};
use super::conversation::Deadlines;
use super::conversation::smtp::Mail;
use super::paper::{Failed, Paper, byte_size, visible};
use super::place::{Wanted, Whereabouts};

/// `sportello send`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Send {
    /// A recipient; may be given many times. All get the message, or none.
    #[arg(long, value_name = "ADDRESS", required = true, num_args = 1.., value_parser = address)]
    pub to: Vec<client::Path>,
    /// The sender [default: you at this machine]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub from: Option<client::Path>,
    /// The subject.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub subject: String,
    /// A file to attach; may be given many times.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub attach: Vec<PathBuf>,
    /// Print what was done as one line of JSON: {"server","from","to","message_id","bytes","reply","queue_id","seconds"}.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

const EXAMPLES: &str = "\
The text is read from standard input (UTF-8). What the server says when it has taken the message is printed; from Sportello \
it names the id by which the message can be read again (sportello call MAIL READ ID).

Examples:
  echo Hello | sportello send --to ada@example.org --subject Greetings
  sportello send --to ada@example.org bob@example.org --attach report.pdf < letter.txt
  sportello send --server mail.example.org:25 --from me@example.org --to ada@example.org < letter.txt

Exit codes: 0 the server has taken it, 1 it has not (one sentence on standard error says why), 2 wrong usage.";

/// What was done.
#[derive(Debug, Serialize)]
struct Report<'a> {
    server: String,
    from: &'a str,
    to: Vec<&'a str>,
    message_id: &'a str,
    bytes: u64,
    reply: String,
    queue_id: Option<String>,
    seconds: f64,
}

/// Runs it.
pub fn run(send: &Send) -> Result<u8, Failed> {
    let place = send.whereabouts.place(Wanted::Mail)?;
    let mut room = Room(message::MOST);
    let attachments = send.attach.iter().map(|path| room.attach(path)).collect::<Result<Vec<_>, _>>()?;
    let from = match &send.from {
        Some(from) => from.clone(),
        None => myself().ok_or_else(|| Failed::new("say with --from who sends it"))?,
    };
    let date = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let message_id = new_message_id(&from, date.as_nanos());
    let draft = Draft {
        from: from.clone(),
        to: send.to.clone(),
        subject: send.subject.clone(),
        text: text(&mut room)?,
        attachments,
        date: date.as_secs(),
        message_id: message_id.clone(),
    };
    let message = draft.build()?;
    let started = Instant::now();
    let mut mail = Mail::open(&place, Deadlines::default())?;
    let delivered = mail.deliver(&from, &send.to, &message);
    mail.quit();
    let reply = delivered?;
    let report = Report {
        server: place.to_string(),
        from: from.as_str(),
        to: send.to.iter().map(client::Path::as_str).collect(),
        message_id: &message_id,
        bytes: message.len() as u64,
        queue_id: queue_id(&reply.text()),
        reply: visible(&reply.text()),
        seconds: started.elapsed().as_secs_f64(),
    };
    let mut paper = Paper::stdout();
    if send.json {
        paper.json(&report)?;
    } else {
        paper.line(format_args!("{} ({} taken by {place})", report.reply, byte_size(report.bytes)))?;
    }
    Ok(0)
}

/// The text of the message. A person who types it is told how to end it.
fn text(room: &mut Room) -> Result<String, Failed> {
    if io::stdin().is_terminal() {
        Paper::stderr().line("Type the message; end it with Ctrl-D on a line of its own.")?;
    }
    let bytes = room.read(Path::new("standard input"), io::stdin().lock())?;
    Ok(String::from_utf8(bytes).map_err(|_| Error::NotText)?)
}

fn address(text: &str) -> Result<client::Path, &'static str> {
    client::Path::parse(text).ok_or("write it as NAME@DOMAIN")
}

/// `$USER@` this machine.
fn myself() -> Option<client::Path> {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "nobody".to_owned());
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    client::Path::parse(&format!("{user}@{machine}")).or_else(|| client::Path::parse("nobody@localhost"))
}

/// `TIME.RANDOM@DOMAIN`, unique and without a name of anybody's (RFC 5322 §3.6.4).
pub fn new_message_id(from: &client::Path, nanoseconds: u128) -> String {
    let random = RandomState::new().build_hasher().finish();
    let domain = from.as_str().rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let domain = if domain.is_ascii() { domain } else { "localhost" };
    format!("{nanoseconds:x}.{random:016x}@{domain}")
}

/// The id in `250 2.0.0 … queued as ID`, which Sportello and most other servers say.
pub fn queue_id(reply: &str) -> Option<String> {
    let mut words = reply.split_ascii_whitespace();
    words.by_ref().find(|word| word.eq_ignore_ascii_case("queued"))?;
    let id = words.find(|word| !word.eq_ignore_ascii_case("as"))?;
    let id = id.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests;
