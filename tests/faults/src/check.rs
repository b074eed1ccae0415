//! Opens a store as a restart does, and compares what it holds with what was promised.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sportello_store::{
    Accept, Envelope, ListPage, MailboxId, MessageId, MessageRow, Origin, Place, Retention, Settings, Store,
    StoredBody, Summary, Verdict,
};

use crate::promise::{Due, Mark, TRACE, Text};
use crate::searched::{Here, searched, word};

/// What must be true of a store.
pub(crate) struct Expected<'a> {
    /// Of each message that a load sent.
    pub(crate) due: HashMap<&'a str, Due>,
    /// The word of each message that was ever accepted.
    pub(crate) words: Vec<(&'a str, &'a str)>,
    /// The greatest id that was told.
    pub(crate) last_id: u64,
    /// How much is kept.
    pub(crate) keep: Retention,
}

/// What one look found, for the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Messages that had to be there and were.
    pub(crate) kept: u64,
    /// Messages in the store.
    pub(crate) present: u64,
}

/// One message as it is there.
struct Present {
    row: MessageRow,
    word: Option<String>,
    in_file: bool,
}

/// How long the oldest messages may take to be deleted.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether their files are gone: nobody says so.
const LOOK: Duration = Duration::from_millis(5);

/// As the server opens it.
pub(crate) fn settings(state: &Path, retention: Retention) -> Settings {
    Settings { extractor: sportello_service::mailbox::extractor(), retention, ..Settings::new(state) }
}

/// Opens the store in `state` and looks. The error is a sentence that says what is wrong.
pub(crate) async fn check(state: &Path, expected: &Expected<'_>) -> Result<Found, String> {
    // Everything is kept at first, so that what was promised is seen before the oldest give way.
    let store = Store::open(settings(state, Retention::default()))
        .map_err(|why| format!("the store does not open: {}", chain(&why)))?;
    let found = look(&store, state, expected).await;
    store.close().await;
    found
}

async fn look(store: &Store, state: &Path, expected: &Expected<'_>) -> Result<Found, String> {
    let (mut all, kept) = promised(store, &expected.due).await?;
    let found = Found { kept, present: all.len() as u64 };
    whole(store, state, &all, expected).await?;
    if expected.keep != Retention::default() {
        retained(store, state, &mut all, expected.keep)
            .await
            .map_err(|what| format!("when the oldest give way: {what}"))?;
        whole(store, state, &all, expected).await.map_err(|what| format!("after the oldest gave way: {what}"))?;
    }
    goes_on(store, expected.last_id).await?;
    Ok(found)
}

/// All messages, newest first, each as it must be; how many of them had to be there.
async fn promised(store: &Store, due: &HashMap<&str, Due>) -> Result<(Vec<Present>, u64), String> {
    let (mut all, mut kept) = (Vec::new(), 0);
    let mut seen = HashSet::new();
    for row in list(store).await? {
        let token = row.summary.subject.clone();
        let whole = store.verify(row.id).await.map_err(|why| format!("{token}: {}", chain(&why)))?;
        if whole != Some(Verdict::Whole) {
            return Err(format!("{token} is not whole: {whole:?}"));
        }
        let (bytes, in_file) = bytes(store, &row).await?;
        match due.get(token.as_str()) {
            None | Some(Due::Unheard) => return Err(format!("{token} is there, and nobody had sent it")),
            Some(Due::Gone) => return Err(format!("{token} is there, and it was said that it is not")),
            Some(Due::Maybe) => {}
            Some(Due::There(_, Mark::Seen)) if !row.flags.seen() => {
                return Err(format!("{token} was marked as read and is not"));
            }
            Some(Due::There(text, _)) => {
                same(&row, text, &bytes).map_err(|what| format!("{token}: {what}"))?;
                kept += 1;
            }
        }
        all.push(Present { row, word: word(&bytes), in_file });
        if !seen.insert(token.clone()) {
            return Err(format!("{token} is there twice"));
        }
    }
    for (token, due) in due {
        if matches!(due, Due::There(..)) && !seen.contains(*token) {
            return Err(format!("{token} was accepted and is not there"));
        }
    }
    Ok((all, kept))
}

/// Counters, files and index say what is there, and nothing else.
async fn whole(store: &Store, state: &Path, all: &[Present], expected: &Expected<'_>) -> Result<(), String> {
    counters(store, all).await?;
    files(state, all)?;
    let there: HashSet<&str> = all.iter().map(|message| message.row.summary.subject.as_str()).collect();
    let word = |message: &Present| Some((message.row.id, message.word.clone()?));
    let absent = expected.words.iter().filter(|(token, _)| !there.contains(token)).map(|(_, word)| *word).collect();
    let present: Vec<(MessageId, String)> = all.iter().filter_map(word).collect();
    if present.len() != all.len() {
        return Err("a message has lost its word".to_owned());
    }
    searched(store, &Here { present, absent }).await
}

/// The oldest give way, down to what is kept, and no others. What stays is left in `all`.
async fn retained(store: &Store, state: &Path, all: &mut Vec<Present>, keep: Retention) -> Result<(), String> {
    let (mut messages, mut bytes) = (0, 0);
    let stays = |message: &&Present| {
        (messages, bytes) = (messages + 1, bytes + message.row.size);
        keep.most_messages.is_none_or(|most| messages <= most) && keep.most_bytes.is_none_or(|most| bytes <= most)
    };
    let stay = all.iter().take_while(stays).count();
    store.retain(keep);
    let mut changes = store.changes();
    let fewer = async {
        while store.figures().messages > stay as u64 {
            changes.changed().await.map_err(|why| why.to_string())?;
        }
        Ok::<(), String>(())
    };
    let many = || format!("{} messages are still there, {stay} are kept", store.figures().messages);
    tokio::time::timeout(PATIENCE, fewer).await.map_err(|_| many())??;
    all.truncate(stay);
    // The rows go first; what is not removed in time is told by the look that follows.
    let removed = async {
        while files(state, all).is_err() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let _ = tokio::time::timeout(PATIENCE, removed).await;
    let left: Vec<MessageId> = list(store).await?.iter().map(|row| row.id).collect();
    let expect: Vec<MessageId> = all.iter().map(|message| message.row.id).collect();
    if left == expect { Ok(()) } else { Err(format!("{left:?} are left, and {expect:?} are to be kept")) }
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

/// The body, and whether it is a file.
async fn bytes(store: &Store, row: &MessageRow) -> Result<(Vec<u8>, bool), String> {
    match store.body(row.id).await {
        Ok(Some(StoredBody::Memory(bytes))) => Ok((bytes.to_vec(), false)),
        Ok(Some(StoredBody::File { file, length })) => {
            let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
            file.read_exact_at(&mut bytes, 0).map_err(|why| why.to_string())?;
            Ok((bytes, true))
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
    if trace.len() as u64 > TRACE || hexadecimal(&Sha256::digest(own)) != text.hash {
        return Err("it is not what was sent".to_owned());
    }
    Ok(())
}

/// The mailbox's counters say what is there.
async fn counters(store: &Store, all: &[Present]) -> Result<(), String> {
    let boxes = store.mailboxes().await.map_err(|why| chain(&why))?;
    let inbox = boxes.iter().find(|mailbox| mailbox.id == MailboxId::INBOX).ok_or("there is no inbox")?;
    let rows = || all.iter().map(|message| &message.row);
    let bytes: u64 = rows().map(|row| row.size).sum();
    let unseen = rows().filter(|row| !row.flags.seen()).count() as u64;
    let above = rows().all(|row| row.uid.0 < inbox.uid_next.0);
    if (inbox.messages, inbox.bytes, inbox.unseen, above) == (all.len() as u64, bytes, unseen, true) {
        return Ok(());
    }
    Err(format!("the inbox says {inbox:?}; there are {} messages, {unseen} unseen, {bytes} bytes", all.len()))
}

/// The files are those of the messages that have one, and no others: what a cut left between the two is swept.
fn files(state: &Path, all: &[Present]) -> Result<(), String> {
    let names = |folder: &str| -> Result<BTreeSet<String>, String> {
        let entries = fs::read_dir(state.join(folder)).map_err(|why| format!("{folder}: {why}"))?;
        Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    };
    let (spool, blobs) = (names("spool")?, names("blobs")?);
    let expect: BTreeSet<String> =
        all.iter().filter(|message| message.in_file).map(|message| message.row.id.to_string()).collect();
    if spool.is_empty() && blobs == expect {
        return Ok(());
    }
    Err(format!("the files {spool:?} are in spool, {blobs:?} in blobs, and the messages need {expect:?}"))
}

/// It takes mail again, under a number that nobody was told before.
async fn goes_on(store: &Store, last_id: u64) -> Result<(), String> {
    let say = |why: sportello_store::Error| format!("it takes no mail: {}", chain(&why));
    let mut body = store.begin(None).map_err(say)?;
    body.write(b"Subject: after\r\n\r\n").await.map_err(say)?;
    let envelope = Envelope { sender: String::new(), recipients: vec!["a@example.org".to_owned()] };
    let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 25));
    let origin = Origin { peer, helo: "after".to_owned(), channel: "mail".to_owned(), connection: 1 };
    let accept = Accept {
        envelope,
        origin,
        summary: Summary::default(),
        body,
        places: vec![Place::CAUGHT],
        queue: Vec::new(),
        trace: None,
    };
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

/// An error and what is behind it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
