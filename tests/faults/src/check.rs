//! Opens a store as a restart does, and compares what it holds with what was promised.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use sportello_store::{
    Accept, Envelope, ListPage, MailboxId, MessageRow, Origin, Query, Settings, Start, Store, StoredBody, Summary,
    Verdict, Window,
};

use crate::promise::{Due, Mark, Text};

/// What one look found, for the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Messages that had to be there and were.
    pub(crate) kept: u64,
    /// Messages in the store.
    pub(crate) present: u64,
}

/// The most bytes that the server writes before what the client sent.
const TRACE: usize = 2048;

/// Opens the store in `state`; `due` says what must be there, `last_id` is the greatest id that was told. The error is a
/// sentence that says what is wrong.
pub(crate) async fn check(state: &Path, due: &HashMap<&str, Due>, last_id: u64) -> Result<Found, String> {
    let store = Store::open(Settings::new(state)).map_err(|why| format!("the store does not open: {}", chain(&why)))?;
    let found = look(&store, state, due, last_id).await;
    store.close().await;
    found
}

async fn look(store: &Store, state: &Path, due: &HashMap<&str, Due>, last_id: u64) -> Result<Found, String> {
    let rows = list(store).await?;
    let mut found = Found { present: rows.len() as u64, ..Found::default() };
    let mut seen = HashSet::new();
    for row in &rows {
        let token = row.summary.subject.as_str();
        if !seen.insert(token) {
            return Err(format!("{token} is there twice"));
        }
        let whole = store.verify(row.id).await.map_err(|why| format!("{token}: {}", chain(&why)))?;
        if whole != Some(Verdict::Whole) {
            return Err(format!("{token} is not whole: {whole:?}"));
        }
        match due.get(token) {
            None | Some(Due::Unheard) => return Err(format!("{token} is there, and nobody had sent it")),
            Some(Due::Gone) => return Err(format!("{token} is there, and it was said that it is not")),
            Some(Due::Maybe) => {}
            Some(Due::There(_, Mark::Seen)) if !row.flags.seen() => {
                return Err(format!("{token} was marked as read and is not"));
            }
            Some(Due::There(text, _)) => {
                same(row, text, &bytes(store, row).await?).map_err(|what| format!("{token}: {what}"))?;
                found.kept += 1;
            }
        }
    }
    for (token, due) in due {
        if matches!(due, Due::There(..)) && !seen.contains(token) {
            return Err(format!("{token} was accepted and is not there"));
        }
    }
    counters(store, &rows).await?;
    files(state, rows.len())?;
    searched(store, rows.len() as u64).await?;
    goes_on(store, last_id).await?;
    Ok(found)
}

async fn list(store: &Store) -> Result<Vec<MessageRow>, String> {
    let mut rows: Vec<MessageRow> = Vec::new();
    loop {
        let before = rows.last().map(|row| row.uid);
        let page = ListPage { mailbox: MailboxId::INBOX, before, limit: ListPage::MOST };
        let more = store.list(page).await.map_err(|why| format!("the inbox cannot be listed: {}", chain(&why)))?;
        if more.is_empty() {
            return Ok(rows);
        }
        rows.extend(more);
    }
}

async fn bytes(store: &Store, row: &MessageRow) -> Result<Vec<u8>, String> {
    match store.body(row.id).await {
        Ok(Some(StoredBody::Memory(bytes))) => Ok(bytes.to_vec()),
        Ok(Some(StoredBody::File { file, length })) => {
            let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
            file.read_exact_at(&mut bytes, 0).map_err(|why| why.to_string())?;
            Ok(bytes)
        }
        other => Err(format!("its body: {other:?}")),
    }
}

fn same(row: &MessageRow, text: &Text, bytes: &[u8]) -> Result<(), String> {
    if row.id.number() != text.id {
        return Err(format!("the 250 named it {}, and it is {}", text.id, row.id));
    }
    let Some((trace, own)) = bytes.len().checked_sub(text.bytes).map(|at| bytes.split_at(at)) else {
        return Err(format!("{} bytes are there, {} were sent", bytes.len(), text.bytes));
    };
    if trace.len() > TRACE || hexadecimal(&Sha256::digest(own)) != text.hash {
        return Err("it is not what was sent".to_owned());
    }
    Ok(())
}

/// The mailbox's counters say what is there.
async fn counters(store: &Store, rows: &[MessageRow]) -> Result<(), String> {
    let boxes = store.mailboxes().await.map_err(|why| chain(&why))?;
    let inbox = boxes.iter().find(|mailbox| mailbox.id == MailboxId::INBOX).ok_or("there is no inbox")?;
    let bytes: u64 = rows.iter().map(|row| row.size).sum();
    let unseen = rows.iter().filter(|row| !row.flags.seen()).count() as u64;
    let above = rows.iter().all(|row| row.uid.0 < inbox.uid_next.0);
    if (inbox.messages, inbox.bytes, inbox.unseen, above) == (rows.len() as u64, bytes, unseen, true) {
        return Ok(());
    }
    Err(format!("the inbox says {inbox:?}; there are {} messages, {unseen} unseen, {bytes} bytes", rows.len()))
}

/// No file without its row: what a cut left between the two is swept.
fn files(state: &Path, messages: usize) -> Result<(), String> {
    let names = |folder: &str| -> Result<usize, String> {
        fs::read_dir(state.join(folder)).map(Iterator::count).map_err(|why| format!("{folder}: {why}"))
    };
    match (names("spool")?, names("blobs")?) {
        (0, blobs) if blobs <= messages => Ok(()),
        (spool, blobs) => Err(format!("{spool} files in spool, {blobs} in blobs for {messages} messages")),
    }
}

/// A search finds what is there and nothing else, whatever became of the index.
async fn searched(store: &Store, messages: u64) -> Result<(), String> {
    store.indexed().await.map_err(|why| format!("the index does not follow: {}", chain(&why)))?;
    // Every load sends from there.
    let query = Query::parse("from:s@example.org").map_err(|why| why.to_string())?;
    let window = Window { start: Start::Newest, limit: 1 };
    let found =
        store.search(MailboxId::INBOX, query, window).await.map_err(|why| format!("search: {}", chain(&why)))?;
    if (found.page.messages, found.pending) == (messages, 0) {
        return Ok(());
    }
    Err(format!("a search finds {} of {messages} messages; {} are not indexed", found.page.messages, found.pending))
}

/// It takes mail again, under a number that nobody was told before.
async fn goes_on(store: &Store, last_id: u64) -> Result<(), String> {
    let say = |why: sportello_store::Error| format!("it takes no mail: {}", chain(&why));
    let mut body = store.begin(None).map_err(say)?;
    body.write(b"Subject: after\r\n\r\n").await.map_err(say)?;
    let envelope = Envelope { sender: String::new(), recipients: vec!["a@example.org".to_owned()] };
    let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 25));
    let origin = Origin { peer, helo: "after".to_owned(), channel: "mail".to_owned(), connection: 1 };
    let accept = Accept { envelope, origin, summary: Summary::default(), body };
    let id = store.accept(accept).await.map_err(say)?.id;
    if id.number() <= last_id {
        return Err(format!("the number {id} is given again; {last_id} was told before"));
    }
    Ok(())
}

/// As `sha256sum` writes it.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
