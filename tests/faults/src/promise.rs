//! What the server has promised to the clients of a load, and when they read it.
//!
//! A file of JSON lines, written by the load: `at` is the number of the seam's order that was next when the client had
//! read the answer (or, of a thing asked for, before it asked). Knows nothing of disks.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What a message was, as its sender knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// The id in the 250.
    pub(crate) id: u64,
    /// Its bytes and their SHA-256 in hexadecimal, without what the server writes before it.
    pub(crate) bytes: usize,
    pub(crate) hash: String,
}

/// The course of one message.
#[derive(Clone, Debug, Default)]
struct Course {
    sent: Option<u64>,
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
            "sent" => course.sent = Some(at),
            "deleting" => course.deleting = Some(at),
            "deleted" => course.deleted = Some(at),
            "marked" => course.marked = Some(at),
            "refused" => course.refused = Some(at),
            "spared" => course.spared = Some(at),
            "accepted" => {
                let bytes = usize::try_from(line["bytes"].as_u64()?).ok()?;
                let hash = line["sha256"].as_str()?.to_owned();
                course.accepted = Some((at, Text { id: line["id"].as_u64()?, bytes, hash }));
            }
            _ => return None,
        }
        Some(())
    }

    /// What is due of each message at `at`.
    pub(crate) fn at(&self, at: u64) -> HashMap<&str, Due> {
        self.0.iter().map(|(token, course)| (token.as_str(), course.due(at))).collect()
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
            r#"{"at": 9, "what": "accepted", "token": "t", "id": 3, "bytes": 2, "sha256": "ab"}"#,
            r#"{"at": 10, "what": "marked", "token": "t"}"#,
            r#"{"at": 12, "what": "deleting", "token": "t"}"#,
            r#"{"at": 15, "what": "spared", "token": "t"}"#,
            r#"{"at": 6, "what": "sent", "token": "u"}"#,
            r#"{"at": 7, "what": "refused", "token": "u"}"#,
            r#"{"at": 20, "what": "deleted", "token": "t"}"#,
        ] {
            promises.take(line).unwrap();
        }
        let text = Text { id: 3, bytes: 2, hash: "ab".to_owned() };
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
            assert_eq!(promises.at(at)["t"], due, "at {at}");
        }
        for (at, due) in [(5, Due::Unheard), (6, Due::Maybe), (7, Due::Gone)] {
            assert_eq!(promises.at(at)["u"], due, "at {at}");
        }
        assert_eq!((promises.last_id(8), promises.last_id(9)), (0, 3));
        assert_eq!(promises.take("{}"), None);
        assert_eq!(promises.take(r#"{"at": 1, "token": "t", "what": "hoped"}"#), None);
    }
}
