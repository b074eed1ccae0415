//! Lists of messages: by position, newest first.

use sportello_store::{MailboxId, MessageRow, Page, Start, Window};

use super::MOST_LISTED;
use super::answer::json;
use super::letter::bare;
use super::search::Join;
use super::shape::{MessageSummary, MessagesSummary};
use crate::desk::{Desk, form, format};
use crate::failure::Failure;
use crate::web::{Answer, Request};

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

impl Desk {
    pub(super) async fn list_messages(&self, request: &Request) -> Result<Answer, Failure> {
        let stretch = Stretch::of(request);
        let mut all = Page::default();
        for window in stretch.windows() {
            let page = self.store.page(MailboxId::INBOX, window).await?;
            if !all.join(page, window.limit) {
                break;
            }
        }
        let (total, unread) = (all.messages, all.unread);
        self.listed(all, stretch, (total, unread)).await
    }

    /// A page as an answer; `mailbox` are the messages of the whole mailbox and the unread ones of them.
    pub(super) async fn listed(&self, page: Page, stretch: Stretch, mailbox: (u64, u64)) -> Result<Answer, Failure> {
        let messages = self.summaries(page.rows).await?;
        Ok(json(
            200,
            &MessagesSummary {
                total: mailbox.0,
                unread: mailbox.1,
                count: messages.len(),
                messages_count: page.messages,
                messages_unread: page.unread,
                start: stretch.start,
                tags: self.tag_names().await?,
                messages,
            },
        ))
    }

    /// Rows as Mailpit tells them; one whose message went meanwhile is left out.
    async fn summaries(&self, rows: Vec<MessageRow>) -> Result<Vec<MessageSummary>, Failure> {
        let mut summaries = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(excerpt) = self.excerpts.of(&self.store, &row).await? else { continue };
            summaries.push(MessageSummary {
                id: row.id.to_string(),
                message_id: bare(&row.summary.message_id).to_owned(),
                read: row.flags.seen(),
                people: excerpt.people.clone(),
                subject: row.summary.subject,
                created: format::rfc3339(row.received_ms),
                tags: row.tags.iter().map(ToString::to_string).collect(),
                size: row.size,
                attachments: excerpt.attachments,
                snippet: excerpt.snippet.clone(),
            });
        }
        Ok(summaries)
    }
}

/// Messages of a list unless told.
const USUAL: usize = 50;

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
}
