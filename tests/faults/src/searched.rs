//! Whether a search finds what is there, and nothing else, whatever became of the index.
//!
//! Each message of a load has one word in its body that no other has. An index that is found damaged is made anew, and only
//! what is then found counts: [`TRIES`] times at most, and within [`PATIENCE`].

use std::time::Duration;

use sportello_store::{Found, MailboxId, MessageId, Query, Start, Store, Window};

use crate::check::chain;

/// How often the index may turn out to be damaged.
const TRIES: usize = 5;
/// How long it may take to be made anew.
const PATIENCE: Duration = Duration::from_secs(60);
/// The fewest letters of a word that is taken for a message's own.
const WORD: usize = 20;

/// Which messages there are, each with its word, and the words of some that there are not.
pub(crate) struct Here<'a> {
    pub(crate) present: Vec<(MessageId, String)>,
    pub(crate) absent: Vec<&'a str>,
}

/// Looks for each message by its word.
pub(crate) async fn searched(store: &Store, here: &Here<'_>) -> Result<(), String> {
    for _ in 0..TRIES {
        indexed(store).await?;
        if all_found(store, here).await? {
            return Ok(());
        }
    }
    Err(format!("the index is damaged again after {TRIES} times"))
}

/// The word of a message: the first line of its body, if it is one that the load made.
pub(crate) fn word(message: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    let line = text.split_once("\r\n\r\n")?.1.lines().next()?;
    (line.len() >= WORD && line.bytes().all(|byte| byte.is_ascii_alphanumeric())).then(|| line.to_owned())
}

async fn indexed(store: &Store) -> Result<(), String> {
    let following = async {
        // Busy: it has met damage and begins anew.
        while store.indexed().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let waits = || format!("the index does not follow: {:?}", store.figures().index_waits);
    tokio::time::timeout(PATIENCE, following).await.map_err(|_| waits())
}

/// Whether every search was answered from the whole index; then every answer was right.
async fn all_found(store: &Store, here: &Here<'_>) -> Result<bool, String> {
    for (id, word) in &here.present {
        let found = find(store, &format!("body:\"{word}\"")).await?;
        if found.pending > 0 {
            return Ok(false);
        }
        let ids: Vec<_> = found.page.rows.iter().map(|row| row.id).collect();
        if ids != [*id] {
            return Err(format!("message {id} is looked for by its word, and {ids:?} are found"));
        }
    }
    for word in &here.absent {
        let found = find(store, &format!("\"{word}\"")).await?;
        if found.page.messages > 0 {
            return Err(format!("a message is not there, and its word finds {:?}", found.page.rows));
        }
    }
    // Every load sends from there.
    let all = find(store, "from:s@example.org").await?;
    let number = here.present.len() as u64;
    match all.pending {
        0 if all.page.messages == number => Ok(true),
        0 => Err(format!("a search finds {} of {number} messages", all.page.messages)),
        _ => Ok(false),
    }
}

async fn find(store: &Store, query: &str) -> Result<Found, String> {
    let query = Query::parse(query).map_err(|why| why.to_string())?;
    let window = Window { start: Start::Newest, limit: 2 };
    store.search(MailboxId::INBOX, query, window).await.map_err(|why| format!("search: {}", chain(&why)))
}
