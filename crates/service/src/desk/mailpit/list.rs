//! Lists of messages: by position, newest first.
//!
//! Bounded by [`MOST_LISTED`] messages and by [`MOST_BYTES`]; of the store's rows one window is held at a time.

use std::io;
use std::sync::Arc;

use sportello_store::{MailboxId, MessageRow, Page, Start, Window};

use super::MOST_LISTED;
use super::answer::json;
use super::excerpt::Excerpt;
use super::letter::bare;
use super::shape::{MessageSummary, MessagesSummary};
use crate::desk::Request;
use crate::desk::{Desk, form, format};
use crate::failure::Failure;
use crate::web::Answer;

/// Which stretch of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// How many are passed over.
    pub start: u64,
    /// How many are wanted.
    pub limit: usize,
}

impl Stretch {
    /// What `start` and `limit` of the query say.
    pub(super) fn of(request: &Request) -> Self {
        let limit = form::query::<usize>(request, "limit").filter(|&limit| limit > 0).unwrap_or(USUAL);
        Self { start: form::query(request, "start").unwrap_or(0), limit: limit.min(MOST_LISTED) }
    }

    /// The windows of the store that make it up.
    pub(super) fn windows(self) -> impl Iterator<Item = Window> {
        (0..self.limit).step_by(Window::MOST).map(move |done| Window {
            start: Start::At(self.start.saturating_add(done as u64)),
            limit: self.limit.saturating_sub(done).min(Window::MOST),
        })
    }
}

/// A list as it grows, window by window.
#[derive(Default)]
pub(super) struct Listing {
    /// Messages that the question matches, and the unread ones of them.
    matching: (u64, u64),
    messages: Vec<MessageSummary>,
    /// Bytes of the messages as JSON.
    weight: usize,
}

impl Listing {
    /// Takes one more message if the list does not come to weigh more than `most`; the first is always taken, so that whoever
    /// pages through comes past it. Whether it was taken.
    fn push(&mut self, message: MessageSummary, most: usize) -> bool {
        let weight = self.weight.saturating_add(weight(&message));
        let fits = weight <= most || self.messages.is_empty();
        if fits {
            self.weight = weight;
            self.messages.push(message);
        }
        fits
    }
}

impl Desk {
    pub(super) async fn list_messages(&self, request: &Request) -> Result<Answer, Failure> {
        let stretch = Stretch::of(request);
        let mut listing = Listing::default();
        for window in stretch.windows() {
            let page = self.store.page(MailboxId::INBOX, window).await?;
            if !self.join(&mut listing, page, window.limit).await? {
                break;
            }
        }
        let mailbox = listing.matching;
        self.listed(listing, stretch, mailbox).await
    }

    /// A list as an answer; `mailbox` are the messages of the whole mailbox and the unread ones of them.
    pub(super) async fn listed(
        &self,
        listing: Listing,
        stretch: Stretch,
        mailbox: (u64, u64),
    ) -> Result<Answer, Failure> {
        Ok(json(
            200,
            &MessagesSummary {
                total: mailbox.0,
                unread: mailbox.1,
                count: listing.messages.len(),
                messages_count: listing.matching.0,
                messages_unread: listing.matching.1,
                start: stretch.start,
                tags: self.tag_names().await?,
                messages: listing.messages,
            },
        ))
    }

    /// Takes the next page, which was asked for with this limit; whether there may be another. A row whose message went
    /// meanwhile is left out.
    pub(super) async fn join(&self, listing: &mut Listing, page: Page, limit: usize) -> Result<bool, Failure> {
        let is_full = page.rows.len() >= limit;
        listing.matching = (page.messages, page.unread);
        for row in page.rows {
            let Some(excerpt) = self.excerpts.of(&self.store, &row).await? else { continue };
            if !listing.push(summary(row, excerpt), MOST_BYTES) {
                return Ok(false);
            }
        }
        Ok(is_full)
    }
}

/// A row as Mailpit tells it.
fn summary(row: MessageRow, excerpt: Arc<Excerpt>) -> MessageSummary {
    MessageSummary {
        id: row.id.to_string(),
        message_id: bare(&row.summary.message_id).to_owned(),
        read: row.flags.seen(),
        excerpt,
        subject: row.summary.subject,
        created: format::rfc3339(row.received_ms),
        tags: row.tags.iter().map(ToString::to_string).collect(),
        size: row.size,
    }
}

/// Bytes of a message as JSON, which are not kept.
fn weight(message: &MessageSummary) -> usize {
    let mut counted = Counted(0);
    // Invariant: what counts does not fail, and neither does what `json` serialises.
    let _ = serde_json::to_writer(&mut counted, message);
    counted.0
}

struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Messages of a list unless told.
const USUAL: usize = 50;

/// Bytes of messages in one answer; a list that would be longer ends there.
const MOST_BYTES: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_made_of_windows_that_meet() {
        for (start, limit, expect) in [
            (0, 1, vec![(0, 1)]),
            (7, Window::MOST, vec![(7, Window::MOST)]),
            (7, Window::MOST + 1, vec![(7, Window::MOST), (7 + Window::MOST as u64, 1)]),
            (u64::MAX, Window::MOST + 1, vec![(u64::MAX, Window::MOST), (u64::MAX, 1)]),
        ] {
            let windows: Vec<_> = Stretch { start, limit }.windows().collect();
            let expect: Vec<_> = expect.into_iter().map(|(at, limit)| Window { start: Start::At(at), limit }).collect();
            assert_eq!(windows, expect);
        }
    }

    #[test]
    fn a_list_ends_before_it_weighs_too_much_but_has_one_message() {
        let message = || MessageSummary {
            id: "1".to_owned(),
            message_id: String::new(),
            read: false,
            excerpt: Arc::default(),
            subject: "\u{1}\"é".to_owned(),
            created: String::new(),
            tags: Vec::new(),
            size: 1,
        };
        let one = weight(&message());
        assert_eq!(one, serde_json::to_vec(&message()).unwrap().len());
        for (most, expect) in [(0, 1), (one * 3 - 1, 2), (one * 3, 3), (one * 3 + 1, 3)] {
            let mut listing = Listing::default();
            let taken = (0..4).filter(|_| listing.push(message(), most)).count();
            assert_eq!((taken, listing.messages.len()), (expect, expect), "{most}");
        }
    }
}
