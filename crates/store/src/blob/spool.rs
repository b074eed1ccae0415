//! One body in a file: written in `spool/`, then synced and placed in `blobs/`.
//!
//! Everything here blocks; it runs on `blocking-*`. Bounded by the promise it was given and what more the disk
//! promises.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::FallocateFlags;
use rustix::io::{Errno, retry_on_intr};
use sha2::{Digest, Sha256};

use crate::blob::disk::Promise;
use crate::counters::Counters;
use crate::error::{Error, is_full};
use crate::folder::Folder;
use crate::types::MessageId;

/// Disk is taken in steps of this many bytes, once the promise made at MAIL is used up.
pub(crate) const STEP: u64 = 1 << 20;

/// Bytes that are copied at once.
const COPY: usize = 128 << 10;

/// A body that is still arriving. Dropped, it is forgotten, and its file removed.
#[derive(Debug)]
pub(crate) struct SpoolFile {
    folder: Arc<Folder>,
    counters: Arc<Counters>,
    id: MessageId,
    /// Made with the first bytes, so that it is made on a thread that may block.
    file: Option<Arc<File>>,
    /// Whether its name is in `spool/`.
    named: Named,
    hasher: Sha256,
    length: u64,
    /// Bytes for which blocks were taken.
    taken: u64,
    /// Whether the file system can take blocks ahead; tmpfs, ext4, xfs and btrfs can.
    ahead: Ahead,
    promise: Promise,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ahead {
    Can,
    Cannot,
}

impl SpoolFile {
    /// A body that has no file yet.
    pub(crate) fn new(folder: &Arc<Folder>, counters: &Arc<Counters>, id: MessageId, promise: Promise) -> Self {
        Self {
            folder: Arc::clone(folder),
            counters: Arc::clone(counters),
            id,
            file: None,
            named: Named::No,
            hasher: Sha256::new(),
            length: 0,
            taken: 0,
            ahead: Ahead::Can,
            promise,
        }
    }

    /// Appends.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.file.is_none() {
            let file = self.folder.create_spool(self.id).map_err(|why| Error::io("making a spool file", why))?;
            self.file = Some(Arc::new(file));
            self.named = Named::Yes;
        }
        let more = bytes.len() as u64;
        self.make_room(more)?;
        let Some(mut file) = self.file.as_deref() else { return Err(Error::Spoiled) };
        file.write_all(bytes).map_err(|why| Error::io("writing a spool file", why))?;
        self.hasher.update(bytes);
        self.length = self.length.saturating_add(more);
        if self.ahead == Ahead::Cannot {
            // The bytes just written are what statvfs now misses.
            self.promise.shrink_by(more);
        }
        Ok(())
    }

    /// What was written so far, to be read at any offset; `None` while nothing was.
    pub(crate) fn content(&self) -> Option<(Arc<File>, u64)> {
        self.file.as_ref().map(|file| (Arc::clone(file), self.length))
    }

    /// The same body behind `front`: written once more, into a file that takes this one's place. For that long the disk holds it
    /// twice. What is in `spool/` is never looked for after a crash, so no moment of this needs more care than any other write.
    pub(crate) fn behind(mut self, front: &[u8]) -> Result<Self, Error> {
        let promise = self.promise.another(self.length.saturating_add(front.len() as u64))?;
        let mut whole = Self::new(&self.folder, &self.counters, self.id, promise);
        if self.named == Named::Yes {
            self.folder.remove_spool(self.id);
            self.named = Named::No;
        }
        whole.write(front)?;
        let mut chunk = vec![0; COPY];
        let mut offset = 0;
        while let Some(file) = self.file.as_deref().filter(|_| offset < self.length) {
            let read =
                retry(|| file.read_at(&mut chunk, offset)).map_err(|why| Error::io("reading a spool file", why))?;
            let read = chunk.get(..read).filter(|read| !read.is_empty()).ok_or(Error::Spoiled)?;
            whole.write(read)?;
            offset = offset.saturating_add(read.len() as u64);
        }
        Ok(whole)
    }

    /// Syncs the file, moves it to `blobs/` and syncs that folder: from here on the body lasts, and its row may commit.
    pub(crate) fn place(mut self) -> Result<Placed, Error> {
        let Some(file) = self.file.take() else { return Err(Error::Spoiled) };
        if self.taken > self.length && self.ahead == Ahead::Can {
            // Gives back the blocks beyond the end. When it fails they are lost to the disk only while the message
            // lives.
            let _ = file.set_len(self.length);
        }
        // Drop removes the spool's name, should a step fail.
        self.synced("syncing a body", file.sync_data())?;
        self.folder.place(self.id).map_err(|why| Error::io("moving a body to blobs", why))?;
        self.named = Named::No;
        let placed = Placed {
            folder: Arc::clone(&self.folder),
            id: self.id,
            length: self.length,
            hash: self.hasher.finalize_reset().into(),
            on_drop: OnDrop::Remove,
        };
        self.synced("syncing blobs", self.folder.sync_blobs())?;
        Ok(placed)
    }

    /// After a failed sync the kernel may have dropped what it could not write, and a second sync would say "done": so
    /// the store fails. Not so where the sync says that there is no room (a disk that allocates late may): nothing else
    /// is in doubt then.
    fn synced(&self, doing: &'static str, result: io::Result<()>) -> Result<(), Error> {
        match result {
            Ok(()) => Ok(()),
            Err(why) if is_full(&why) => Err(Error::DiskFull),
            Err(why) => Err(self.counters.fail(doing, &why)),
        }
    }

    /// Blocks for `more` bytes after the end: all that is promised at once, then in steps.
    fn make_room(&mut self, more: u64) -> Result<(), Error> {
        let missing = self.length.saturating_add(more).saturating_sub(self.taken);
        if missing == 0 {
            return Ok(());
        }
        let mut step = self.promise.bytes();
        if self.ahead == Ahead::Cannot {
            // Nothing was taken ahead, so the promise must cover what is written.
            step = 0;
        }
        if step < missing {
            let wanted = missing.next_multiple_of(STEP);
            self.promise.grow_by(wanted - step)?;
            step = wanted;
        }
        let Some(file) = self.file.as_deref() else { return Err(Error::Spoiled) };
        if self.ahead == Ahead::Can {
            let flags = FallocateFlags::KEEP_SIZE;
            match retry_on_intr(|| rustix::fs::fallocate(file, flags, self.taken, step)) {
                Ok(()) => self.promise.shrink_by(step),
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.ahead = Ahead::Cannot,
                Err(why) => {
                    self.promise.disk().look_again();
                    return Err(Error::io("taking disk for a spool file", why));
                }
            }
        }
        self.taken = self.taken.saturating_add(step);
        Ok(())
    }
}

/// Again, for as long as a signal came first.
fn retry<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match work() {
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        if self.named == Named::Yes {
            self.folder.remove_spool(self.id);
        }
    }
}

/// A body in `blobs/` whose row is not yet committed. Dropped before [`Placed::keep`], it is removed.
#[derive(Debug)]
pub(crate) struct Placed {
    folder: Arc<Folder>,
    id: MessageId,
    pub(crate) length: u64,
    pub(crate) hash: [u8; 32],
    on_drop: OnDrop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnDrop {
    Remove,
    Keep,
}

impl Placed {
    /// Its row is committed, or may be: from now on only the sweep at the next start may judge it.
    pub(crate) fn keep(&mut self) {
        self.on_drop = OnDrop::Keep;
    }

    /// Its row was certainly not committed.
    pub(crate) fn remove(&mut self) {
        self.on_drop = OnDrop::Remove;
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        if self.on_drop == OnDrop::Remove {
            self.folder.remove_blob(self.id);
        }
    }
}
