//! Gives messages to the running server, none that it has, and learns which of them are on disk.
//!
//! Over the command line's socket: TAKE and MORE carry a message, SETTLE tells of [`BATCH`] of them together. The server
//! reads no faster than its store takes. Bounded by what is known of one mailbox: some 100 bytes for each message in it, and
//! for each that was taken from files before.

use std::collections::{HashMap, HashSet};
use std::io;

use serde::Deserialize;
use sportello_wire::resp::client::Value;

use super::letter::{Again, HELD, Letter};
use super::trouble::Troubles;
use crate::cli::conversation::resp::Commands;
use crate::cli::paper::{Failed, visible_bytes};

/// Messages, and bytes, between two SETTLEs.
const BATCH: usize = 200;
const BATCH_BYTES: u64 = 8 << 20;

/// The way to the server, and what it said.
pub struct Taker {
    commands: Commands,
    account: Option<String>,
    repeat: &'static str,
    mailbox: u64,
    known: Known,
    /// What was taken since the last SETTLE: what it is called.
    unsettled: Vec<String>,
    bytes: u64,
    /// Messages that are on disk now.
    pub stored: u64,
    /// Messages that were there, or were taken before.
    pub already: u64,
}

/// What is known of a mailbox.
#[derive(Default)]
struct Known {
    /// How many messages with these bytes it has, and how many came from the source so far.
    counts: HashMap<[u8; 32], (u32, u32)>,
    /// Which were taken from files before: the hash, and which of equal ones.
    taken: HashSet<([u8; 32], u32)>,
}

/// What SETTLE tells.
#[derive(Deserialize)]
struct Settled {
    stored: u64,
    failed: Vec<NotStored>,
}

#[derive(Deserialize)]
struct NotStored {
    place: usize,
    what: String,
    why: String,
}

/// Whether what was taken before, and is not in the mailbox any more, is taken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It is.
    Yes,
    /// It stays away.
    No,
}

impl Taker {
    /// For this account; for the mail that is caught where there is none.
    pub fn new(commands: Commands, account: Option<String>, repeat: Repeat) -> Self {
        Self {
            commands,
            account,
            repeat: if repeat == Repeat::Yes { "AGAIN" } else { "ONCE" },
            mailbox: 0,
            known: Known::default(),
            unsettled: Vec::new(),
            bytes: 0,
            stored: 0,
            already: 0,
        }
    }

    /// What comes next goes into this mailbox, which is made where there is none.
    pub fn enter(&mut self, name: &str) -> Result<(), Failed> {
        let mailbox = match &self.account {
            None => CAUGHT,
            Some(account) => match self.commands.ask(&["MAILBOX", "MAKE", account, name])? {
                Value::Integer(number) => number.unsigned_abs(),
                other => return Err(refused(&other)),
            },
        };
        if mailbox == self.mailbox {
            return Ok(());
        }
        self.mailbox = mailbox;
        let mailbox = mailbox.to_string();
        let mut known = Known::default();
        let mut after = 0;
        loop {
            let rows = self.commands.bytes(&["MAILBOX", "THERE", &mailbox, &after.to_string()])?;
            let Some((_, last)) = records(&rows).last() else { break };
            after = last;
            records(&rows).for_each(|(hash, _)| known.counts.entry(hash).or_default().0 += 1);
        }
        let mut request = vec![b"MAILBOX".to_vec(), b"TAKEN".to_vec(), mailbox.into_bytes()];
        loop {
            let rows = self.commands.bytes(&request)?;
            let (whole, _) = rows.as_chunks::<RECORD>();
            let Some(last) = whole.last() else { break };
            request.truncate(3);
            request.push(last.to_vec());
            known.taken.extend(records(&rows));
        }
        self.known = known;
        Ok(())
    }

    /// Gives a message, unless the server has it. `again` is where its bytes can be read once more.
    pub fn take(
        &mut self,
        letter: Letter,
        again: impl FnOnce() -> Again,
        troubles: &mut Troubles,
    ) -> Result<(), Failed> {
        let (there, came) = self.known.counts.entry(letter.hash).or_default();
        let ordinal = *came;
        *came = came.saturating_add(1);
        let was_taken = self.repeat == "ONCE" && self.known.taken.contains(&(letter.hash, ordinal));
        if ordinal < *there || was_taken {
            self.already += 1;
            return Ok(());
        }
        match self.send(&letter, ordinal, again) {
            Ok(()) => {}
            Err(NotSent::Refused(why)) => {
                troubles.tell(letter.label, why);
                return Ok(());
            }
            Err(NotSent::Failed(failed)) => return Err(failed),
        }
        self.unsettled.push(letter.label);
        self.bytes = self.bytes.saturating_add(letter.size);
        if self.unsettled.len() >= BATCH || self.bytes >= BATCH_BYTES { self.settle(troubles) } else { Ok(()) }
    }

    fn send(&mut self, letter: &Letter, ordinal: u32, again: impl FnOnce() -> Again) -> Result<(), NotSent> {
        let is_whole = letter.size == letter.start.len() as u64;
        let account = self.account.clone().unwrap_or_default();
        let head = [
            "MAILBOX",
            "TAKE",
            &self.mailbox.to_string(),
            &letter.marks.to_maildir(),
            &letter.received_ms.to_string(),
            &ordinal.to_string(),
            self.repeat,
            &letter.sender,
            &account,
            &letter.size.to_string(),
        ];
        let mut words: Vec<&[u8]> = head.iter().map(|word| word.as_bytes()).collect();
        // The first piece is as long as each that is read again.
        words.push(if is_whole { &letter.start } else { b"" });
        taken(&self.commands.ask(&words)?)?;
        if is_whole {
            return Ok(());
        }
        let mut left = letter.size;
        let size = again().each(|piece| {
            left = left.checked_sub(piece.len() as u64).ok_or_else(changed)?;
            taken(&self.commands.ask(&[b"MAILBOX".as_slice(), b"MORE", piece])?)
        })?;
        if size == letter.size { Ok(()) } else { Err(changed()) }
    }

    /// Waits until all that was given is on disk.
    pub fn settle(&mut self, troubles: &mut Troubles) -> Result<(), Failed> {
        if self.unsettled.is_empty() {
            return Ok(());
        }
        let settled: Settled = self.commands.json(&["MAILBOX", "SETTLE"])?;
        let labels = std::mem::take(&mut self.unsettled);
        self.bytes = 0;
        self.stored += settled.stored;
        let mut stopped = None;
        for NotStored { place, what, why } in settled.failed {
            match what.as_str() {
                "taken before" => self.already += 1,
                "refused" => troubles.tell(labels.get(place).map_or("a message", String::as_str), why),
                _ => stopped = stopped.or(Some(why)),
            }
        }
        stopped.map_or(Ok(()), |why| Err(Failed::new(why)))
    }
}

/// The number of the mailbox that catches.
const CAUGHT: u64 = 1;
/// Bytes of one record of THERE and of TAKEN.
const RECORD: usize = 36;

/// Why a message was not sent.
enum NotSent {
    /// It is not taken; others may be.
    Refused(String),
    /// Nothing is.
    Failed(Failed),
}

impl From<io::Error> for NotSent {
    fn from(error: io::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<crate::cli::conversation::resp::Error> for NotSent {
    fn from(error: crate::cli::conversation::resp::Error) -> Self {
        Self::Failed(error.into())
    }
}

fn changed() -> NotSent {
    NotSent::Refused("it was changed while it was read".to_owned())
}

/// Hashes, each with its number.
fn records(rows: &[u8]) -> impl Iterator<Item = ([u8; 32], u32)> {
    let (whole, _) = rows.as_chunks::<RECORD>();
    whole.iter().filter_map(|record| {
        let (hash, number) = record.split_first_chunk::<32>()?;
        Some((*hash, u32::from_be_bytes(*number.first_chunk()?)))
    })
}

fn taken(answer: &Value) -> Result<(), NotSent> {
    match answer {
        Value::Integer(_) | Value::Simple(_) => Ok(()),
        Value::Error(why) if why.starts_with(b"ERR too large") => Err(NotSent::Refused(visible_bytes(why))),
        other => Err(NotSent::Failed(refused(other))),
    }
}

fn refused(answer: &Value) -> Failed {
    match answer {
        Value::Error(why) => Failed::new(visible_bytes(why)),
        _ => Failed::new("the server gave an answer of an unexpected kind"),
    }
}

// A piece and the words before it fit into one request.
const _: () = assert!(HELD <= 512 << 10);
