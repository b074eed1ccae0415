//! `sportello mail import`: messages from a Maildir or mbox files into the mailboxes of the running server.
//!
//! The files are read here, with the rights of whoever typed it, and their messages go through the server's socket. What is
//! taken is noted beside each message, so that an import which is repeated, or was interrupted however, takes nothing twice.

mod letter;
mod progress;
mod source;
mod taker;
mod trouble;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;
use sportello_wire::mail::mbox::{Event, FromLine, Reader};
use sportello_wire::mail::{date, header, maildir};

use self::letter::{Again, Gathering, pieces};
use self::progress::Pace;
use self::source::{Entry, Kind, Part};
use self::taker::{Repeat, Taker};
use self::trouble::Troubles;
use super::{Form, account_and_path};
use crate::cli::conversation::Deadlines;
use crate::cli::conversation::resp::Commands;
use crate::cli::paper::{Failed, Paper, grouped};
use crate::cli::place::{Way, Whereabouts};
use crate::protocol::command::LARGEST;

/// `sportello mail import`.
#[derive(Clone, Debug, Args)]
pub struct Import {
    /// The account whose mailboxes are filled (the mail that is caught, unless told, whose one mailbox takes all), and a
    /// Maildir with its folders, a file in the form mbox, or a folder of such files.
    #[arg(value_name = "[ACCOUNT] PATH", required = true)]
    pub what: Vec<String>,
    /// Where the messages go; folders come beneath it. It is made where there is none.
    #[arg(long, value_name = "NAME", default_value = "Inbox", hide_default_value = true)]
    pub mailbox: String,
    /// maildir or mbox [default: what is found at PATH]
    #[arg(long, value_name = "FORMAT", value_parser = form)]
    pub format: Option<Form>,
    /// Take also what was imported before and is not in its mailbox any more.
    #[arg(long)]
    pub again: bool,
    /// Print one line of JSON: {"imported","already","failed","failures"}.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

/// An import reads two of the forms that an export writes.
fn form(text: &str) -> Result<Form, &'static str> {
    match text {
        "maildir" => Ok(Form::Maildir),
        "mbox" => Ok(Form::Mbox),
        _ => Err("write maildir or mbox"),
    }
}

/// Runs it: 0 when all is there, 1 when something could not be taken.
pub fn run(import: &Import) -> Result<u8, Failed> {
    let (account, path) = account_and_path(&import.what)?;
    let way = import.whereabouts.commands()?;
    if matches!(way, Way::Tcp(_)) {
        return Err(Failed::new(
            "an import goes through the socket in the state folder of a server that runs here: say where with --state DIR",
        ));
    }
    let mut troubles = Troubles::default();
    let parts = source::find(path, import.format, &mut troubles)?;
    let total = parts.iter().map(|part| size(part, &mut Troubles::default())).sum();
    let repeat = if import.again { Repeat::Yes } else { Repeat::No };
    let mut run = Run {
        taker: Taker::new(Commands::reach(&way, Deadlines::default())?, account.map(str::to_owned), repeat),
        pace: Pace::new("import", total),
        troubles,
    };
    let done = parts.into_iter().try_for_each(|part| run.part(part, &import.mailbox));
    // What the server has is told of, whatever came then.
    let settled = run.taker.settle(&mut run.troubles);
    run.pace.end()?;
    let stopped = done.and(settled).err();
    report(import, &run, stopped)
}

struct Run {
    taker: Taker,
    pace: Pace,
    troubles: Troubles,
}

/// Bytes of the files of a part.
fn size(part: &Part, troubles: &mut Troubles) -> u64 {
    match &part.kind {
        Kind::Maildir(folder) => source::entries(folder, &part.label, troubles).iter().map(|entry| entry.size).sum(),
        Kind::Mbox(file) => file.metadata().map_or(0, |metadata| metadata.len()),
    }
}

impl Run {
    fn part(&mut self, part: Part, mailbox: &str) -> Result<(), Failed> {
        let name = if part.mailbox.is_empty() {
            mailbox.to_owned()
        } else if mailbox == "Inbox" {
            part.mailbox.clone()
        } else {
            format!("{mailbox}/{}", part.mailbox)
        };
        match part.kind {
            Kind::Maildir(folder) => {
                let entries = source::entries(&folder, &part.label, &mut self.troubles);
                // An empty folder is one too.
                self.taker.enter(&name)?;
                for entry in entries {
                    self.file(&folder, &entry, &part.label)?;
                }
                Ok(())
            }
            Kind::Mbox(file) => {
                self.taker.enter(&name)?;
                self.mbox(file, &part.label)
            }
        }
    }

    /// One file of a Maildir.
    fn file(&mut self, folder: &OwnedFd, entry: &Entry, part: &str) -> Result<(), Failed> {
        let label = format!("{part}/{}/{}", entry.folder, entry.name.to_string_lossy());
        if entry.size > LARGEST {
            self.troubles.tell(label, format_args!("too large: at most {LARGEST} bytes of a message"));
            return self.pace.advance(entry.size, self.taker.stored);
        }
        let read = || {
            let Some(mut file) = source::open(folder, entry)? else { return Ok(None) };
            let mut gathering = Gathering::default();
            pieces(&mut file, |piece| {
                gathering.push(piece);
                Ok::<(), io::Error>(())
            })?;
            Ok::<_, io::Error>(Some((gathering, file)))
        };
        match read() {
            Ok(Some((gathering, file))) => {
                let marks = maildir::Name::read(entry.name.to_bytes()).marks;
                let letter = gathering.finish(label, marks, entry.received_ms);
                self.taker.take(letter, || Again::File(Arc::new(file)), &mut self.troubles)?;
            }
            // Its owner has moved it, or it is a link by now: the next import finds it where it is.
            Ok(None) => self.troubles.tell(label, "it is not there any more"),
            Err(error) => self.troubles.tell(label, error),
        }
        self.pace.advance(entry.size, self.taker.stored)
    }

    /// All messages of one file.
    fn mbox(&mut self, file: File, label: &str) -> Result<(), Failed> {
        let file = Arc::new(file);
        let mut coming: Option<Coming> = None;
        let mut number = 0_u64;
        let (taker, pace, troubles) = (&mut self.taker, &mut self.pace, &mut self.troubles);
        let mut sink = |event: Event<'_>| {
            match event {
                Event::Stray => troubles.tell(label, "what is before its first line `From …` is no message"),
                Event::Begin { line, offset } => {
                    number += 1;
                    coming = Some(Coming { line, offset, gathering: Gathering::default() });
                }
                Event::Text(text) => {
                    if let Some(coming) = &mut coming {
                        coming.gathering.push(text);
                    }
                }
                Event::End { marks, offset } => {
                    let Some(Coming { line, offset: start, gathering }) = coming.take() else { return Ok(()) };
                    let mut letter = gathering.finish(format!("{label}, message {number}"), marks, 0);
                    letter.received_ms = moment(&line, &letter.start).saturating_mul(1000);
                    if !line.sender.is_empty() {
                        letter.sender = line.sender;
                    }
                    taker.take(letter, || Again::Mbox(Arc::clone(&file), start, offset), troubles)?;
                    pace.advance(offset.saturating_sub(start), taker.stored)?;
                }
            }
            Ok::<(), Stop>(())
        };
        let mut reader = Reader::default();
        let read = pieces(&mut file.as_ref(), |piece| reader.push(piece, &mut sink));
        let read = read.and_then(|()| reader.finish(&mut sink));
        match read {
            Err(Stop::Failed(failed)) => return Err(failed),
            Err(Stop::Read(error)) => troubles.tell(label, error),
            Ok(()) => {}
        }
        Ok(())
    }
}

/// A message of a file of many.
struct Coming {
    line: FromLine,
    offset: u64,
    gathering: Gathering,
}

/// Why a file is not read to its end.
enum Stop {
    Failed(Failed),
    Read(io::Error),
}

impl From<Failed> for Stop {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// When a message was received, seconds since 1970: as the line before it says, or its own date, or now.
fn moment(line: &FromLine, start: &[u8]) -> u64 {
    let dated = || header::Fields::new(start).find(|field| field.is("date")).and_then(|field| date::parse(field.body));
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    line.seconds.or_else(dated).unwrap_or_else(now)
}

fn report(import: &Import, run: &Run, stopped: Option<Failed>) -> Result<u8, Failed> {
    let Run { taker, troubles, .. } = run;
    let mut paper = Paper::stdout();
    if import.json {
        let failures = troubles.named().iter().map(|(what, why)| json!({ "what": what, "why": why }));
        paper.json(&json!({
            "imported": taker.stored,
            "already": taker.already,
            "failed": troubles.count(),
            "failures": failures.collect::<Vec<_>>(),
            "stopped": stopped.as_ref().map(|failed| &failed.message),
        }))?;
    } else {
        let mut line = format!("{} messages imported", grouped(taker.stored));
        if taker.already > 0 {
            line += &format!(", {} were there already", grouped(taker.already));
        }
        paper.line(line)?;
        let mut errors = Paper::stderr();
        for (what, why) in troubles.named() {
            errors.line(format_args!("not imported: {what}: {why}"))?;
        }
        let more = troubles.count() - troubles.named().len() as u64;
        if more > 0 {
            errors.line(format_args!("and {} more were not imported", grouped(more)))?;
        }
    }
    match stopped {
        Some(failed) => Err(Failed::new(format!("{}; run it again to go on", failed.message))),
        None => Ok(u8::from(troubles.count() > 0)),
    }
}
