//! Searching: Mailpit's `query` and `tz`, understood by the store.

use sportello_store::{MailboxId, Query, Selection, Start, Window};

use super::answer::ok;
use super::list::{Listing, Stretch};
use crate::desk::Request;
use crate::desk::{Desk, form};
use crate::failure::{Class, Failure};
use crate::mailbox;
use crate::web::Answer;

impl Desk {
    /// `GET search`.
    pub(super) async fn search(&self, request: &Request) -> Result<Answer, Failure> {
        let query = asked(request)?;
        let stretch = Stretch::of(request);
        let mut listing = Listing::default();
        for window in stretch.windows() {
            let found = mailbox::search(&self.store, &query, window).await?;
            if !self.join(&mut listing, found.page, window.limit).await? {
                break;
            }
        }
        let mailbox = self.mailbox().await?;
        self.listed(listing, stretch, (mailbox.messages, mailbox.unread)).await
    }

    /// `DELETE search`.
    pub(super) async fn delete_found(&self, request: &Request) -> Result<Answer, Failure> {
        self.store.delete_all(Selection::Found(MailboxId::INBOX, asked(request)?)).await?;
        Ok(ok())
    }

    /// The newest message, or the newest that a query finds.
    pub(super) async fn latest(&self, request: &Request) -> Result<Option<sportello_store::MessageRow>, Failure> {
        let window = Window { start: Start::Newest, limit: 1 };
        let page = match form::text(request, "query").filter(|text| !text.trim().is_empty()) {
            Some(text) => mailbox::search(&self.store, &understood(&text, request)?, window).await?.page,
            None => self.store.page(MailboxId::INBOX, window).await?,
        };
        Ok(page.rows.into_iter().next())
    }
}

fn asked(request: &Request) -> Result<Query, Failure> {
    understood(&form::text(request, "query").unwrap_or_default(), request)
}

/// A query as the store understands it. Dates in it are UTC: where they decide and another zone is wanted, that is said.
pub(super) fn understood(text: &str, request: &Request) -> Result<Query, Failure> {
    let query = Query::parse(text).map_err(|error| Failure::new(Class::BadRequest, error.to_string()))?;
    let zone = form::text(request, "tz").unwrap_or_default();
    let is_utc = zone.is_empty() || UTC.iter().any(|utc| utc.eq_ignore_ascii_case(&zone));
    let text = text.to_ascii_lowercase();
    if !is_utc && ["before:", "after:"].iter().any(|key| text.contains(key)) {
        return Err(Failure::new(
            Class::Unsupported,
            "this server knows no time zones by name: leave tz out and give dates an offset, as in after:2026-07-31T00:00+02:00",
        ));
    }
    Ok(query)
}

/// The names of the one zone that is known.
const UTC: &[&str] = &["UTC", "Etc/UTC", "GMT", "Etc/GMT", "Z"];
