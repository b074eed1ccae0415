//! What every test of the store needs: a folder that goes away, and messages.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test binary uses a part of it")]

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sportello_store::{
    Accept, Envelope, Error, Incoming, ListPage, MailboxId, MessageId, MessageRow, Origin, Settings, Store, StoredBody,
    Summary, Uid,
};

/// A state folder that does not exist yet, in a folder that is removed at the end.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sportello-store-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn outer(&self) -> &Path {
        &self.0
    }

    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    pub fn settings(&self) -> Settings {
        Settings::new(self.state())
    }

    pub fn open(&self) -> Store {
        Store::open(self.settings()).unwrap()
    }

    /// The names in one of the state folder's folders, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.state().join(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Bytes that are not the same at any two places near each other; another `seed`, other bytes.
pub fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

pub fn origin() -> Origin {
    Origin {
        peer: "192.0.2.7:40000".parse().unwrap(),
        helo: "client.example.org".to_owned(),
        channel: "mail".to_owned(),
        connection: u64::MAX,
    }
}

pub fn accept_of(body: Incoming, subject: &str) -> Accept {
    let envelope = Envelope {
        sender: "sender@example.org".to_owned(),
        recipients: vec!["\"a \\\"b\"@example.org".to_owned(), "bücher@example.org".to_owned()],
    };
    let summary = Summary {
        from: "Sender <sender@example.org>".to_owned(),
        to: "Anna".to_owned(),
        subject: subject.to_owned(),
        date_unix: Some(-1),
        message_id: "<1@example.org>".to_owned(),
    };
    Accept {
        envelope,
        origin: origin(),
        summary,
        body,
        places: vec![sportello_store::Place::CAUGHT],
        queue: Vec::new(),
        trace: None,
    }
}

/// A body written in pieces of 16 KiB, as a session writes it.
pub async fn write(store: &Store, message: &[u8]) -> Result<Incoming, Error> {
    let mut body = store.begin(None)?;
    for piece in message.chunks(16 << 10) {
        body.write(piece).await?;
    }
    Ok(body)
}

/// The same message, of which the first `front` bytes are put in front of the others once they are there.
pub async fn deliver_behind(store: &Store, message: &[u8], front: usize, subject: &str) -> Result<MessageId, Error> {
    let (front, rest) = message.split_at(front);
    let mut body = write(store, rest).await?;
    if !front.is_empty() {
        body.prepend(front).await?;
    }
    Ok(store.accept(accept_of(body, subject)).await?.id)
}

pub async fn deliver(store: &Store, message: &[u8], subject: &str) -> Result<MessageId, Error> {
    let body = write(store, message).await?;
    Ok(store.accept(accept_of(body, subject)).await?.id)
}

pub async fn read(store: &Store, id: MessageId) -> Vec<u8> {
    match store.body(id).await.unwrap().expect("the message is here") {
        StoredBody::Memory(bytes) => bytes.to_vec(),
        StoredBody::File { file, length } => {
            let mut bytes = vec![0; usize::try_from(length).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert_eq!(file.metadata().unwrap().len(), length, "the file holds nothing else");
            bytes
        }
    }
}

pub async fn list(store: &Store, before: Option<Uid>, limit: usize) -> Vec<MessageRow> {
    store.list(ListPage { mailbox: MailboxId::INBOX, before, limit }).await.unwrap()
}
