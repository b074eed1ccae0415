//! One body as it arrives: in memory while it is small and the budget lasts, else in the spool.
//!
//! Knows nothing of messages but the number it will have. Bounded by: `Settings::memory_body` and the budget in memory;
//! the disk's promises in the spool; one write under way at a time, so that the socket is not read faster than the disk
//! takes.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sha2::{Digest, Sha256};

use crate::blob::Bodies;
use crate::blob::budget::Grant;
use crate::blob::disk::Promise;
use crate::blob::spool::{Placed, SpoolFile};
use crate::counters::Counters;
use crate::error::Error;
use crate::types::MessageId;

/// A body that is arriving. Dropping it forgets the body and gives back its memory and its disk.
#[derive(Debug)]
pub struct Incoming {
    bodies: Arc<Bodies>,
    id: MessageId,
    declared: Option<u64>,
    length: u64,
    held: Held,
}

/// The whole body so far.
#[derive(Debug)]
pub enum Content<'a> {
    /// In memory.
    Memory(&'a [u8]),
    /// In a file that is to be read at offsets, its first `length` bytes. It stays readable whatever becomes of the body, and is no
    /// longer the body once something was put in front of that.
    File {
        /// The file.
        file: Arc<File>,
        /// Its bytes.
        length: u64,
    },
}

/// Bytes a spooling body gathers before they are worth a trip to another thread.
const CHUNK: usize = 32 << 10;

/// Room for the Received field that comes before what the client declared.
const FIELD: u64 = 2 << 10;

/// The least memory worth asking for.
const FIRST: usize = 4 << 10;

#[derive(Debug)]
enum Held {
    Memory {
        bytes: Vec<u8>,
        grant: Grant,
        promise: Promise,
    },
    Spool(Box<Spooling>),
    /// With a thread that writes it, or lost to a write that failed or was dropped.
    Away,
}

#[derive(Debug)]
struct Spooling {
    file: SpoolFile,
    pending: Vec<u8>,
    grant: Grant,
}

/// A body that is whole: in memory, or safe in `blobs/`.
#[derive(Debug)]
pub(crate) enum Body {
    Memory {
        bytes: Vec<u8>,
        hash: [u8; 32],
        /// Given back when the row is committed.
        #[expect(dead_code, reason = "held for its drop")]
        grant: Grant,
        #[expect(dead_code, reason = "held for its drop")]
        promise: Promise,
    },
    File(Placed),
}

impl Incoming {
    /// The most bytes that are put in front of a message at once.
    pub const MOST_IN_FRONT: usize = 64 << 10;

    /// A body of `declared` bytes, as the client says, or of nobody knows how many.
    pub(crate) fn begin(bodies: &Arc<Bodies>, id: MessageId, declared: Option<u64>) -> Result<Self, Error> {
        let promised = declared.unwrap_or(bodies.memory_body as u64).saturating_add(FIELD);
        let promise = bodies.disk.promise(promised)?;
        let held = Held::Memory { bytes: Vec::new(), grant: Grant::empty(&bodies.budget), promise };
        Ok(Self { bodies: Arc::clone(bodies), id, declared, length: 0, held })
    }

    /// The number the message will have: the queue id that a Received field and the 250 name.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Bytes taken so far.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether nothing was taken so far.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes the next bytes; returns when they are taken. Slices of 16 KiB and more suit it best.
    ///
    /// After an error the body is lost, and every later call says [`Error::Spoiled`]. Dropping this future before its
    /// end has the same effect.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.bodies.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        if !self.keep_in_memory(bytes) {
            self.spill();
            self.spool(bytes).await?;
        }
        self.length = self.length.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// All that was taken so far, to be read before the message is accepted. Writes to the disk what still waits for that; after an
    /// error, or when this future is dropped before its end, the body is lost as with [`Incoming::write`].
    pub async fn content(&mut self) -> Result<Content<'_>, Error> {
        if let Held::Spool(spooling) = &self.held
            && !spooling.pending.is_empty()
        {
            self.away(|mut spooling| spooling.write().map(|()| spooling)).await?;
        }
        match &self.held {
            Held::Memory { bytes, .. } => Ok(Content::Memory(bytes)),
            Held::Spool(spooling) => Ok(match spooling.file.content() {
                Some((file, length)) => Content::File { file, length },
                None => Content::Memory(&[]),
            }),
            Held::Away => Err(Error::Spoiled),
        }
    }

    /// Puts bytes before all that was taken so far: fields that could only be written when the whole message was known. At most
    /// [`Incoming::MOST_IN_FRONT`]. A body in a file is written once more for each call, so it is better to put all there at once.
    ///
    /// After an error, or when this future is dropped before its end, the body is lost as with [`Incoming::write`].
    pub async fn prepend(&mut self, front: &[u8]) -> Result<(), Error> {
        if front.len() > Self::MOST_IN_FRONT {
            return Err(Error::TooMany { what: "bytes in front of a message", most: Self::MOST_IN_FRONT });
        }
        if self.bodies.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        if self.keep_in_memory(front) {
            if let Held::Memory { bytes, .. } = &mut self.held {
                bytes.rotate_right(front.len());
            }
        } else {
            self.spill();
            let front = front.to_vec();
            self.away(move |spooling| spooling.prepend(&front)).await?;
        }
        self.length = self.length.saturating_add(front.len() as u64);
        Ok(())
    }

    /// Whether it was begun with these.
    pub(crate) fn belongs_to(&self, bodies: &Arc<Bodies>) -> bool {
        Arc::ptr_eq(&self.bodies, bodies)
    }

    /// The whole body: hashed, or synced and placed. Dropping this future forgets the body.
    pub(crate) async fn finish(mut self) -> Result<Body, Error> {
        match std::mem::replace(&mut self.held, Held::Away) {
            Held::Memory { bytes, grant, promise } => {
                let hash = Sha256::digest(&bytes).into();
                Ok(Body::Memory { bytes, hash, grant, promise })
            }
            Held::Spool(spooling) => self.bodies.blocking.run(|()| spooling.place()).await?.map(Body::File),
            Held::Away => Err(Error::Spoiled),
        }
    }

    /// Keeps the bytes if it may.
    fn keep_in_memory(&mut self, more: &[u8]) -> bool {
        let most = self.bodies.memory_body;
        if self.declared.is_some_and(|declared| declared > most as u64) {
            return false;
        }
        let Held::Memory { bytes, grant, .. } = &mut self.held else { return false };
        let Some(length) = bytes.len().checked_add(more.len()).filter(|length| *length <= most) else { return false };
        if length > bytes.capacity() {
            let declared = self.declared.unwrap_or(0).saturating_add(FIELD);
            let expected = usize::try_from(declared).unwrap_or(most);
            let capacity =
                length.max(bytes.capacity().saturating_mul(2)).max(expected).max(FIRST).min(most.max(length));
            if !grant.grow_to(capacity as u64) {
                return false;
            }
            bytes.reserve_exact(capacity - bytes.len());
        }
        bytes.extend_from_slice(more);
        true
    }

    /// From memory to the spool.
    fn spill(&mut self) {
        self.held = match std::mem::replace(&mut self.held, Held::Away) {
            Held::Memory { bytes, grant, promise } => {
                Counters::add(&self.bodies.counters.spooled, 1);
                let file = SpoolFile::new(&self.bodies.folder, &self.bodies.counters, self.id, promise);
                Held::Spool(Box::new(Spooling { file, pending: bytes, grant }))
            }
            held => held,
        };
    }

    async fn spool(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        loop {
            let Held::Spool(spooling) = &mut self.held else { return Err(Error::Spoiled) };
            bytes = spooling.gather(bytes);
            if bytes.is_empty() && spooling.may_wait() {
                return Ok(());
            }
            self.away(|mut spooling| spooling.write().map(|()| spooling)).await?;
        }
    }

    /// Gives the file to a thread that may block. The job owns it: when it fails, or when nobody waits for it any more, the file goes
    /// on that thread.
    async fn away(
        &mut self,
        work: impl FnOnce(Box<Spooling>) -> Result<Box<Spooling>, Error> + Send + 'static,
    ) -> Result<(), Error> {
        let Held::Spool(spooling) = std::mem::replace(&mut self.held, Held::Away) else { return Err(Error::Spoiled) };
        self.held = Held::Spool(self.bodies.blocking.run(move |()| work(spooling)).await??);
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Removing a large file takes time that an event loop does not have.
        if let Held::Spool(spooling) = std::mem::replace(&mut self.held, Held::Away)
            && let Err(refused) = self.bodies.blocking.offer(move |()| drop(spooling))
        {
            refused.run(&mut ());
        }
    }
}

impl Spooling {
    /// Takes what fits of `bytes`; returns the rest.
    fn gather<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let room = CHUNK.saturating_sub(self.pending.len()).min(bytes.len());
        let (now, later) = bytes.split_at(room);
        self.pending.extend_from_slice(now);
        later
    }

    /// Whether what is pending may stay in memory for more to come: only while the budget pays for it.
    fn may_wait(&mut self) -> bool {
        self.pending.is_empty() || (self.pending.len() < CHUNK && self.grant.grow_to(CHUNK as u64))
    }

    fn write(&mut self) -> Result<(), Error> {
        self.file.write(&self.pending)?;
        self.pending.clear();
        if self.pending.capacity() > CHUNK || self.grant.bytes() < CHUNK as u64 {
            self.pending = Vec::new();
        }
        self.grant.shrink_to(CHUNK as u64);
        Ok(())
    }

    fn prepend(mut self: Box<Self>, front: &[u8]) -> Result<Box<Self>, Error> {
        if self.file.content().is_none() {
            // It has just left memory, and goes to the disk with what is before it.
            self.pending.splice(..0, front.iter().copied());
            self.write()?;
            return Ok(self);
        }
        if !self.pending.is_empty() {
            self.write()?;
        }
        let Self { file, pending, grant } = *self;
        Ok(Box::new(Self { file: file.behind(front)?, pending, grant }))
    }

    fn place(mut self: Box<Self>) -> Result<Placed, Error> {
        if !self.pending.is_empty() {
            self.write()?;
        }
        let Self { file, pending, grant } = *self;
        drop((pending, grant));
        file.place()
    }
}
