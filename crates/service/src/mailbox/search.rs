//! Searching an inbox for people, who want to find what came a moment ago as well.

use std::time::Duration;

use sportello_store::{Error, Found, MailboxId, Query, Store, Window};
use tokio::time::timeout;

/// How long a search waits for the index.
const INDEXING: Duration = Duration::from_millis(500);

/// One page of what a query finds in the inbox. Mail that came a moment ago is waited for, a little, until its text can be searched.
pub async fn search(store: &Store, query: &Query, window: Window) -> Result<Found, Error> {
    let found = store.search(MailboxId::INBOX, query.clone(), window).await?;
    if found.pending == 0 {
        return Ok(found);
    }
    // Not in time, or not at all: then what is known of the rest is searched, and how much that is will be said.
    let _ = timeout(INDEXING, store.indexed()).await;
    store.search(MailboxId::INBOX, query.clone(), window).await
}
