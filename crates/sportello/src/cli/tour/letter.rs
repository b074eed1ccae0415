//! The mail of the tour: written, and read back from what was stored.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use sportello_wire::date::mail_date;
use sportello_wire::smtp::client::Path;

use super::Untrue;
use crate::cli::conversation::Deadlines;
use crate::cli::conversation::resp::Commands;
use crate::cli::paper::Failed;
use crate::cli::place::Place;
use crate::cli::send::{new_message_id, queue_id};

/// What was stored.
#[derive(Debug, Serialize)]
pub struct Letter {
    /// The id that the 250 named.
    pub id: String,
    /// The bytes that were sent.
    pub sent: u64,
    /// The bytes that were read back.
    pub stored: u64,
    /// The bytes that the server put before them: its Received field.
    pub added: u64,
    /// That field, on one line.
    pub trace: String,
}

/// The message: dots where SMTP stuffs them, letters beyond ASCII, an empty line at the end.
pub fn write(from: &Path, to: &Path) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (date, id) = (mail_date(now.as_secs()), new_message_id(from, now.as_nanos()));
    let text = format!(
        "Date: {date}\nFrom: <{}>\nTo: <{}>\nSubject: A letter from the tour\nMessage-ID: <{id}>\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\
         Buongiorno! This letter went through one of the windows of a sportello.\n\
         .\n..\n.this line begins with a dot, and the one before with two\n\
         è àèìòù – € ☕\n\n",
        from.as_str(),
        to.as_str()
    );
    text.replace('\n', "\r\n").into_bytes()
}

/// Reads it back and compares.
pub fn read_back(commands: &Place, reply: &str, sent: &[u8], untrue: &mut Untrue) -> Result<Letter, Failed> {
    let id = queue_id(reply).ok_or_else(|| Failed::new(format!("the 250 names no id: {reply}")))?;
    let stored = Commands::open(commands, Deadlines::default())?.bytes(&["MAIL", "READ", &id, "RAW"])?;
    let (added, trace) = compare(&stored, sent, untrue);
    Ok(Letter { id, sent: sent.len() as u64, stored: stored.len() as u64, added, trace })
}

/// How many bytes stand before the message as it was sent, and the Received field among them.
fn compare(stored: &[u8], sent: &[u8], untrue: &mut Untrue) -> (u64, String) {
    let Some(added) = stored.strip_suffix(sent) else {
        untrue.note("the stored mail is not, byte for byte, the mail that was sent".to_owned());
        return (0, String::new());
    };
    let text = String::from_utf8_lossy(added);
    // RFC 5322 §2.2.3: unfolding takes away the line ends that stand before white space.
    let unfolded = text.replace("\r\n\t", " ").replace("\r\n ", " ");
    let trace = unfolded.split_terminator("\r\n").find(|field| field.starts_with("Received:")).unwrap_or_default();
    if trace.is_empty() || !text.ends_with("\r\n") {
        untrue.note("the server has not put a Received field before the mail".to_owned());
    }
    (added.len() as u64, crate::cli::paper::visible(trace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letter_has_canonical_lines_and_dots() {
        let path = |text| Path::parse(text).unwrap();
        let letter = write(&path("a@b"), &path("c@d"));
        assert_eq!(sportello_wire::smtp::client::canonical_lines(&letter), letter);
        let text = String::from_utf8(letter).unwrap();
        assert!(text.contains("\r\n.\r\n..\r\n.this") && text.ends_with("☕\r\n\r\n"), "{text}");
    }

    #[test]
    fn a_changed_byte_is_seen() {
        let check = |stored: &str, notes: usize, added: u64| {
            let mut untrue = Untrue::default();
            let outcome = compare(stored.as_bytes(), b"a: b\r\n\r\nc\r\n", &mut untrue);
            assert_eq!((untrue.notes().len(), outcome.0), (notes, added), "{stored:?}");
            assert!(notes > 0 || outcome.1.starts_with("Received: x"), "{}", outcome.1);
        };
        check("Received: x\r\n\ty\r\na: b\r\n\r\nc\r\n", 0, 17);
        check("Return-Path: <>\r\nReceived: x\r\na: b\r\n\r\nc\r\n", 0, 30);
        check("a: b\r\n\r\nc\r\n", 1, 0);
        check("Received: x\r\na: b\r\n\r\nC\r\n", 1, 0);
        check("Received: x\r\na: b\r\n\r\nc\r\n\r\n", 1, 0);
        check("Received: xa: b\r\n\r\nc\r\n", 1, 11);
        check("", 1, 0);
    }
}
