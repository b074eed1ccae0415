//! What the server has promised to the clients of a load, and when they read it.
//!
//! A file of JSON lines, written by the load: `at` is the number of the seam's order that was next when the client had
//! read the answer (or, of a thing asked for, before it asked). Knows nothing of disks. Where only so much mail is kept, what
//! may have been too much at a moment is only promised to be whole if it is there.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sportello_store::Retention;

/// What a message was, as its sender knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// The id in the 250.
    pub(crate) id: u64,
    /// Its bytes and their SHA-256 in hexadecimal, without what the server writes before it.
    pub(crate) bytes: usize,
    pub(crate) hash: String,
    /// The one word of its body, which no other message has.
    pub(crate) word: String,
}

/// The course of one message.
#[derive(Clone, Debug, Default)]
struct Course {
    sent: Option<u64>,
    /// Bytes of what was sent, where the load tells.
    bytes: Option<u64>,
    accepted: Option<(u64, Text)>,
    deleting: Option<u64>,
    deleted: Option<u64>,
    marked: Option<u64>,
    /// The sender read that it was not taken.
    refused: Option<u64>,
    /// Who deleted it read that it is still there.
    spared: Option<u64>,
}

/// All that was promised.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promises(BTreeMap<String, Course>);

/// Whether it is marked as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// That was said.
    Seen,
    /// Either.
    Any,
}

/// What must be true of a message at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It is there, whole, under this id.
    There(Text, Mark),
    /// It may be there, but only whole.
    Maybe,
    /// It was deleted, or not taken, and that was said.
    Gone,
    /// Nobody had sent it.
    Unheard,
}

/// The most bytes that the server writes before what the client sent.
pub(crate) const TRACE: u64 = 2048;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    #[error("{0}, line {1}: not a promise")]
    Line(PathBuf, usize),
}

impl Promises {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|why| Error::Io(path.to_owned(), why))?;
        let mut promises = Self::default();
        for (number, line) in text.lines().enumerate() {
            promises.take(line).ok_or_else(|| Error::Line(path.to_owned(), number + 1))?;
        }
        Ok(promises)
    }

    fn take(&mut self, line: &str) -> Option<()> {
        let line: Value = serde_json::from_str(line).ok()?;
        let at = line["at"].as_u64()?;
        let course = self.0.entry(line["token"].as_str()?.to_owned()).or_default();
        match line["what"].as_str()? {
            "sent" => (course.sent, course.bytes) = (Some(at), line["bytes"].as_u64()),
            "deleting" => course.deleting = Some(at),
            "deleted" => course.deleted = Some(at),
            "marked" => course.marked = Some(at),
            "refused" => course.refused = Some(at),
            "spared" => course.spared = Some(at),
            "accepted" => {
                let bytes = usize::try_from(line["bytes"].as_u64()?).ok()?;
                let text = |name: &str| line[name].as_str().map(str::to_owned);
                let (hash, word) = (text("sha256")?, text("word")?);
                course.accepted = Some((at, Text { id: line["id"].as_u64()?, bytes, hash, word }));
            }
            _ => return None,
        }
        Some(())
    }

    /// What is due of each message at `at`, where no more is kept than `rule` says.
    pub(crate) fn at(&self, at: u64, rule: &Retention) -> HashMap<&str, Due> {
        let due = |course: &Course| match course.due(at) {
            Due::There(..) if self.may_be_too_old(course, at, rule) => Due::Maybe,
            due => due,
        };
        self.0.iter().map(|(token, course)| (token.as_str(), due(course))).collect()
    }

    /// Whether so much may have come after a message that it had to go.
    fn may_be_too_old(&self, message: &Course, at: u64, rule: &Retention) -> bool {
        let older = |other: &Course| {
            let accepted = other.accepted.as_ref().map(|(accepted, _)| *accepted);
            accepted.is_some_and(|accepted| message.sent.is_none_or(|sent| accepted < sent))
        };
        let may_be_later = |other: &&Course| other.sent.is_some_and(|sent| sent <= at) && !older(other);
        // The message itself is one of them.
        let (mut messages, mut bytes) = (0_u64, 0_u64);
        for course in self.0.values().filter(may_be_later) {
            messages += 1;
            bytes = bytes.saturating_add(course.bytes.map_or(u64::MAX, |bytes| bytes.saturating_add(TRACE)));
        }
        rule.most_messages.is_some_and(|most| messages > most) || rule.most_bytes.is_some_and(|most| bytes > most)
    }

    /// The word of each message of which it is known.
    pub(crate) fn words(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(token, course)| Some((token.as_str(), course.accepted.as_ref()?.1.word.as_str())))
    }

    /// The greatest id that was told before `at`.
    pub(crate) fn last_id(&self, at: u64) -> u64 {
        let told = self.0.values().filter_map(|course| course.accepted.as_ref().filter(|(when, _)| *when <= at));
        told.map(|(_, text)| text.id).max().unwrap_or_default()
    }
}

impl Course {
    fn due(&self, at: u64) -> Due {
        let before = |moment: Option<u64>| moment.is_some_and(|moment| moment <= at);
        match &self.accepted {
            _ if before(self.deleted) || before(self.refused) => Due::Gone,
            _ if before(self.deleting) && !before(self.spared) => Due::Maybe,
            Some((accepted, text)) if *accepted <= at => {
                Due::There(text.clone(), if before(self.marked) { Mark::Seen } else { Mark::Any })
            }
            _ if before(self.sent) => Due::Maybe,
            _ => Due::Unheard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_changes_at_the_moment_the_client_read_it() {
        let mut promises = Promises::default();
        for line in [
            r#"{"at": 5, "what": "sent", "token": "t"}"#,
            r#"{"at": 9, "what": "accepted", "token": "t", "id": 3, "bytes": 2, "sha256": "ab", "word": "w"}"#,
            r#"{"at": 10, "what": "marked", "token": "t"}"#,
            r#"{"at": 12, "what": "deleting", "token": "t"}"#,
            r#"{"at": 15, "what": "spared", "token": "t"}"#,
            r#"{"at": 6, "what": "sent", "token": "u"}"#,
            r#"{"at": 7, "what": "refused", "token": "u"}"#,
            r#"{"at": 20, "what": "deleted", "token": "t"}"#,
        ] {
            promises.take(line).unwrap();
        }
        let text = Text { id: 3, bytes: 2, hash: "ab".to_owned(), word: "w".to_owned() };
        for (at, due) in [
            (4, Due::Unheard),
            (5, Due::Maybe),
            (8, Due::Maybe),
            (9, Due::There(text.clone(), Mark::Any)),
            (10, Due::There(text.clone(), Mark::Seen)),
            (11, Due::There(text.clone(), Mark::Seen)),
            (12, Due::Maybe),
            (14, Due::Maybe),
            (15, Due::There(text.clone(), Mark::Seen)),
            (19, Due::There(text.clone(), Mark::Seen)),
            (20, Due::Gone),
        ] {
            assert_eq!(promises.at(at, &Retention::default())["t"], due, "at {at}");
        }
        for (at, due) in [(5, Due::Unheard), (6, Due::Maybe), (7, Due::Gone)] {
            assert_eq!(promises.at(at, &Retention::default())["u"], due, "at {at}");
        }
        assert_eq!((promises.last_id(8), promises.last_id(9)), (0, 3));
        assert_eq!(promises.take("{}"), None);
        assert_eq!(promises.take(r#"{"at": 1, "token": "t", "what": "hoped"}"#), None);
    }

    #[test]
    fn what_may_have_been_too_much_need_not_be_there() {
        let mut promises = Promises::default();
        // One after the other, but for the last two, which came together.
        for (token, sent, accepted) in [("a", 1, 2), ("b", 3, 4), ("c", 5, 7), ("d", 6, 8)] {
            promises.take(&format!(r#"{{"at": {sent}, "what": "sent", "token": "{token}", "bytes": 952}}"#)).unwrap();
            let more = r#""id": 1, "bytes": 952, "sha256": "", "word": """#;
            promises.take(&format!(r#"{{"at": {accepted}, "what": "accepted", "token": "{token}", {more}}}"#)).unwrap();
        }
        let there = |rule: Retention, at: u64| {
            let due = promises.at(at, &rule);
            ["a", "b", "c", "d"].into_iter().filter(|token| matches!(due[token], Due::There(..))).collect::<String>()
        };
        let (none, count) =
            (Retention::default(), |most| Retention { most_messages: Some(most), ..Retention::default() });
        let bytes = |most| Retention { most_bytes: Some(most), ..Retention::default() };
        for (rule, at, expect) in [
            (none, 8, "abcd"),
            (count(4), 8, "abcd"),
            (count(3), 8, "bcd"),
            (count(2), 8, "cd"),
            (count(1), 8, ""),
            (count(1), 4, "b"),
            (count(1), 5, ""),
            (bytes(12_000), 8, "abcd"),
            (bytes(11_999), 8, "bcd"),
            (bytes(2_999), 2, ""),
        ] {
            assert_eq!(there(rule, at), expect, "{rule:?} at {at}");
        }
    }
}
