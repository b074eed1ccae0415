//! What Mailpit's lists tell of a message beyond its row: everybody it names, how much is attached, how it begins.
//!
//! It is read from the message itself, once: a message never changes. Bounded by what `mailbox` opens, by [`MOST_PEOPLE`]
//! of each field, and by [`MOST_BYTES`] of excerpts kept in memory, the oldest of which go first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use sportello_store::{MessageRow, Store};

use super::people::{People, Person};
use crate::failure::{Class, Failure};
use crate::mailbox::name::shown;
use crate::mailbox::structure::{Disposition, Part};
use crate::mailbox::{self, Letter, Limits, MessageId};

/// One message's excerpt.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::desk) struct Excerpt {
    /// Whom it names; of each field the first [`MOST_PEOPLE`].
    #[serde(flatten)]
    pub people: People,
    /// How many files are attached, those shown within the message not counted.
    pub attachments: usize,
    /// How its text begins, on one line.
    pub snippet: String,
}

impl Excerpt {
    /// Reads it.
    fn of(message: &[u8], row: &MessageRow) -> Self {
        let letter = Letter::of(message, &Limits { text_bytes: MOST_TEXT, ..Limits::default() });
        let attachments = letter.attachments.iter().filter_map(|&number| letter.part(number));
        Self {
            people: People::of(message, &row.envelope).first(MOST_PEOPLE),
            attachments: attachments.filter(|part| is_attached(part)).count(),
            snippet: letter.text.map(|text| snippet(&text.text)).unwrap_or_default(),
        }
    }

    /// What the row alone tells, of a message that is too large to be opened.
    fn of_row(row: &MessageRow) -> Self {
        let person = |text: &str| Person { name: text.to_owned(), address: String::new() };
        let people = People { from: person(&row.summary.from), to: vec![person(&row.summary.to)], ..People::default() };
        Self { people, attachments: 0, snippet: String::new() }
    }

    fn weight(&self) -> usize {
        self.people.weight().saturating_add(self.snippet.len()).saturating_add(size_of::<Self>())
    }
}

/// Whether a part is sent along with the message, rather than shown within it.
pub(super) fn is_attached(part: &Part) -> bool {
    part.disposition == Disposition::Attachment || part.media_type == "application/octet-stream"
}

/// At most 250 characters of one line, as Mailpit cuts it.
fn snippet(text: &str) -> String {
    let mut words = String::new();
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        // Four bytes are the longest character.
        if words.len() > SNIPPET.saturating_mul(4) {
            break;
        }
    }
    shown(&words, SNIPPET)
}

/// The excerpts read so far. A handle: clones share them.
#[derive(Clone, Default)]
pub(in crate::desk) struct Excerpts {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    by_id: HashMap<MessageId, Arc<Excerpt>>,
    order: VecDeque<MessageId>,
    bytes: usize,
}

impl Excerpts {
    /// The excerpt of a message; `None` when it is not here any more.
    pub(in crate::desk) async fn of(&self, store: &Store, row: &MessageRow) -> Result<Option<Arc<Excerpt>>, Failure> {
        if let Some(kept) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).by_id.get(&row.id) {
            return Ok(Some(Arc::clone(kept)));
        }
        let about = row.clone();
        let excerpt = match mailbox::look(store, row.id, move |message| Excerpt::of(message, &about)).await {
            Ok(Some(excerpt)) => Arc::new(excerpt),
            Ok(None) => return Ok(None),
            Err(failure) if failure.class == Class::TooLarge => return Ok(Some(Arc::new(Excerpt::of_row(row)))),
            Err(failure) => return Err(failure),
        };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).keep(row.id, &excerpt, MOST_BYTES);
        Ok(Some(excerpt))
    }
}

impl Kept {
    fn keep(&mut self, id: MessageId, excerpt: &Arc<Excerpt>, most: usize) {
        let weight = excerpt.weight();
        if weight > most || self.by_id.contains_key(&id) {
            return;
        }
        while self.bytes.saturating_add(weight) > most {
            let Some(oldest) = self.order.pop_front() else { return };
            let gone = self.by_id.remove(&oldest).map_or(0, |excerpt| excerpt.weight());
            self.bytes = self.bytes.saturating_sub(gone);
        }
        self.bytes = self.bytes.saturating_add(weight);
        self.order.push_back(id);
        self.by_id.insert(id, Arc::clone(excerpt));
    }
}

/// Characters of a snippet.
const SNIPPET: usize = 250;

/// Bytes of decoded text that are looked at for it; the style sheet of an HTML mail comes before its first word.
const MOST_TEXT: usize = 64 * 1024;

/// People of one field that a list tells; a message by itself tells them all.
const MOST_PEOPLE: usize = 50;

/// Bytes of excerpts that are kept.
const MOST_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_one_line_of_at_most_its_length() {
        assert_eq!(snippet(" Dear Grace,\r\n\r\n  how are\tyou? "), "Dear Grace, how are you?");
        let fits = "é".repeat(SNIPPET);
        assert_eq!(snippet(&fits), fits);
        assert_eq!(snippet(&"é".repeat(SNIPPET + 1)), format!("{fits}…"));
        assert_eq!(snippet(""), "");
    }

    #[test]
    fn no_more_is_kept_than_the_bound() {
        let excerpt = |snippet: &str| {
            Arc::new(Excerpt { people: People::default(), attachments: 0, snippet: snippet.to_owned() })
        };
        let id = |number: u64| number.to_string().parse::<MessageId>().unwrap();
        let small = excerpt("small");
        let most = small.weight() * 2;
        let mut kept = Kept::default();
        kept.keep(id(1), &small, most);
        kept.keep(id(2), &small, most);
        kept.keep(id(2), &small, most);
        assert_eq!((kept.by_id.len(), kept.bytes), (2, most), "exactly the bound");
        kept.keep(id(3), &small, most);
        assert!(!kept.by_id.contains_key(&id(1)) && kept.by_id.contains_key(&id(3)), "the oldest goes");
        assert_eq!((kept.by_id.len(), kept.order.len(), kept.bytes), (2, 2, most));
        kept.keep(id(4), &excerpt(&"x".repeat(most)), most);
        assert!(!kept.by_id.contains_key(&id(4)) && kept.bytes == most, "what is larger than all room is not kept");
    }
}
