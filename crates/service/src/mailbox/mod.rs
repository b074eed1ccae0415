//! Reads stored mail for every door (the desk's pages, `MAIL READ` on a command channel) and for the store's search index.
//!
//! Knows no protocol and writes nothing. Bounded by [`Limits`] (nesting, parts, fields, text), by [`MOST_MESSAGE`] bytes of
//! one message, and by [`ROOM_MIB`] for all large messages that are being read at the same time.

pub mod decode;
mod extract;
mod html;
pub mod letter;
pub mod name;
mod plain;
mod search;
pub mod structure;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sportello_store::{Store, StoredBody};
use tokio::sync::{Semaphore, SemaphorePermit};

pub use sportello_store::MessageId;

pub use extract::extractor;
pub use letter::{Letter, saved_name};
pub use plain::plain;
pub use search::search;
pub use structure::{Limits, Part};

use crate::failure::{Class, Failure};

/// Reads one message. `None`: there is no such message.
pub async fn read(store: &Store, id: MessageId) -> Result<Option<Letter>, Failure> {
    look(store, id, |message| Letter::of(message, &Limits::default())).await
}

/// One part and its decoded body. `None`: no such message, or no such part in it.
pub async fn part(store: &Store, id: MessageId, number: usize) -> Result<Option<(Part, Bytes)>, Failure> {
    let Some(message) = fetch(store, id).await? else { return Ok(None) };
    blocking(move || {
        let mut structure = structure::Structure::of(&message.bytes, &Limits::default());
        if number >= structure.parts.len() {
            return None;
        }
        let part = structure.parts.swap_remove(number);
        let body = if letter::is_as_sent(&part) {
            message.slice(&part)
        } else {
            message.derived(letter::part_body(&message.bytes, &part))
        };
        Some((part, body))
    })
    .await
}

/// Runs `reader` over the bytes of a message, away from the event loop: a fault in it costs this one reading.
pub async fn look<T, F>(store: &Store, id: MessageId, reader: F) -> Result<Option<T>, Failure>
where
    T: Send + 'static,
    F: FnOnce(&[u8]) -> T + Send + 'static,
{
    let Some(message) = fetch(store, id).await? else { return Ok(None) };
    blocking(move || Some(reader(&message.bytes))).await
}

/// A message in memory. A large one holds its share of the room until the last slice of it is dropped.
struct Message {
    bytes: Bytes,
    room: Room,
}

/// The share of [`ROOM`] that something large holds; small things hold none.
type Room = Option<Arc<SemaphorePermit<'static>>>;

/// Bytes that give their room back when they are dropped.
struct Held {
    bytes: Vec<u8>,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Message {
    fn large(bytes: Vec<u8>, room: Room) -> Self {
        Self { bytes: Bytes::from_owner(Held { bytes, _room: room.clone() }), room }
    }

    /// The body of a part as sent, without a copy.
    fn slice(&self, part: &Part) -> Bytes {
        if self.bytes.get(part.body.clone()).is_none() {
            return Bytes::new();
        }
        self.bytes.slice(part.body.clone())
    }

    /// Bytes made from this message, under the same room.
    fn derived(&self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Held { bytes, _room: self.room.clone() })
    }
}

async fn fetch(store: &Store, id: MessageId) -> Result<Option<Message>, Failure> {
    match store.body(id).await? {
        None => Ok(None),
        Some(StoredBody::Memory(bytes)) => Ok(Some(Message { bytes, room: None })),
        Some(StoredBody::File { file, length }) => {
            let length = readable(length)?;
            let room = room_for(&ROOM, length).await?;
            blocking(move || read_file(&file, length).map(|bytes| Some(Message::large(bytes, room))))
                .await?
                .map_err(Failure::internal)
        }
    }
}

/// The length of a message that is small enough to be read here.
fn readable(length: u64) -> Result<usize, Failure> {
    let length = usize::try_from(length).ok().filter(|&length| length <= MOST_MESSAGE);
    length.ok_or(Failure::new(Class::TooLarge, "this message is too large to be opened; save it raw"))
}

/// Room for a message and for what is decoded from it, which is never longer.
async fn room_for(room: &'static Semaphore, length: usize) -> Result<Room, Failure> {
    let mebibytes = u32::try_from(length.saturating_mul(2).div_ceil(1024 * 1024)).unwrap_or(u32::MAX);
    match tokio::time::timeout(ROOM_WAIT, room.acquire_many(mebibytes)).await {
        Ok(Ok(permit)) => Ok(Some(Arc::new(permit))),
        Ok(Err(closed)) => Err(Failure::internal(closed)),
        Err(_) => Err(Failure::new(Class::Busy, "other large messages are being read; try again shortly")),
    }
}

fn read_file(file: &File, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(Failure::internal)
}

/// The longest message that is opened; a longer one can only be saved.
pub const MOST_MESSAGE: usize = 64 * 1024 * 1024;

/// Mebibytes of large messages that may be in memory for readers at the same time, in the whole process.
pub const ROOM_MIB: usize = 256;

// The longest message and what is decoded from it find room, else their reader would wait in vain.
const _: () = assert!(MOST_MESSAGE * 2 <= ROOM_MIB * 1024 * 1024);

/// One for the process, as the memory is: readers come from every worker.
static ROOM: Semaphore = Semaphore::const_new(ROOM_MIB);

/// How long a reader waits for room.
const ROOM_WAIT: Duration = Duration::from_secs(10);
