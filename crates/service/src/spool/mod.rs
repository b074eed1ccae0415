//! Bodies of requests, put aside until they are whole, so that who sends slowly keeps nobody waiting.
//!
//! A body is appended to a file as it comes, and read from it as it is wanted, both on blocking threads. The file has no name: it was made
//! without one (`O_TMPFILE`), or its name was removed at once, where the file system knows no such files. So nothing outlives the process,
//! and dropping a body gives its disk back.
//!
//! Knows neither HTTP nor who wants the body. Bounded by [`Bounds`]: the bytes and the files of all bodies, half of the one and a quarter of
//! the other for one source, and what is left free of the disk; [`PIECE`] bytes in memory for a body that is read, [`GATHERED`] for one that
//! comes.

mod pieces;

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use sportello_net::share::{Share, Shares};
use thiserror::Error;
use tokio::runtime::Handle;

use crate::compress::aside;
use crate::web::{Broken, Incoming};

/// Smaller pieces than this are gathered before they are written.
pub const GATHERED: usize = 16 * 1024;
/// Bytes that are read at once.
pub const PIECE: usize = 64 * 1024;
/// The disk is asked for its room each time a body has grown by this.
const STEP: u64 = 1 << 20;

/// What bodies may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all bodies; half of them, of one source and so of one body.
    pub bytes: u64,
    /// Bodies at once; a quarter of them, of one source. Each is a descriptor.
    pub files: u64,
    /// Bytes that they leave free of the disk.
    pub keep_free: u64,
}

/// Where bodies are put, shared by all workers.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    bounds: Bounds,
    bytes: AtomicU64,
    files: AtomicU64,
    bytes_of: Shares,
    files_of: Shares,
}

/// Why a body is not put aside.
#[derive(Debug, Error)]
pub enum Fault {
    /// It is longer than any may be.
    #[error("the body is longer than one source may put aside")]
    TooLarge,
    /// Others have the room, or others of the same source.
    #[error("other bodies have taken the room for bodies")]
    Full,
    /// The disk has no room.
    #[error("the disk has no room for bodies")]
    Disk,
    /// The disk, or the machine, fails.
    #[error("a body cannot be put aside")]
    Io(#[source] io::Error),
    /// It did not come whole.
    #[error("the body did not come whole")]
    Broken(#[source] Broken),
}

/// A body in its file. Dropped, it is gone, and its room is others'.
#[derive(Debug)]
pub struct Aside {
    /// Until it is dropped.
    taken: Option<Taken>,
    length: u64,
    /// Up to this length the disk had room when it was asked.
    room: u64,
}

/// What a body has taken.
#[derive(Debug)]
struct Taken {
    spool: Arc<Spool>,
    /// Made with the first bytes, so that it is made on a thread that may wait.
    file: Option<File>,
    bytes_of: Share,
    _file_of: Share,
}

impl Bounds {
    /// The most bytes of one source.
    pub fn bytes_of_one(&self) -> u64 {
        self.bytes / 2
    }

    /// The most bodies of one source.
    pub fn files_of_one(&self) -> u64 {
        (self.files / 4).max(1)
    }
}

impl Spool {
    /// Puts bodies into files in `folder`, which is looked for when the first one comes.
    pub fn new(folder: &Path, bounds: Bounds) -> Self {
        let (bytes_of, files_of) = (Shares::new(bounds.bytes_of_one()), Shares::new(bounds.files_of_one()));
        let (bytes, files) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { folder: folder.to_owned(), bounds, bytes, files, bytes_of, files_of }
    }

    /// Bytes and bodies that are put aside now.
    pub fn taken(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.files.load(Ordering::Relaxed))
    }

    /// A body of `source`, of which nothing has come. One that tells its length is refused now if there is no room for it now; the room is
    /// taken as it comes, since who tells a length has sent nothing yet.
    ///
    /// # Errors
    /// When there is no room.
    pub fn begin(self: &Arc<Self>, source: IpAddr, told: Option<u64>) -> Result<Aside, Fault> {
        let told = told.unwrap_or(0);
        if told > self.bounds.bytes_of_one() {
            return Err(Fault::TooLarge);
        }
        let (bytes, _) = self.taken();
        let mut file_of = self.files_of.holder(source);
        if bytes.saturating_add(told) > self.bounds.bytes
            || !file_of.grow_to(1)
            || !take(&self.files, 1, self.bounds.files)
        {
            return Err(Fault::Full);
        }
        let bytes_of = self.bytes_of.holder(source);
        let taken = Taken { spool: Arc::clone(self), file: None, bytes_of, _file_of: file_of };
        Ok(Aside { taken: Some(taken), length: 0, room: 0 })
    }

    /// A file without a name.
    fn file(&self) -> io::Result<File> {
        let (flags, mode) = (OFlags::RDWR | OFlags::CLOEXEC, Mode::from_raw_mode(0o600));
        match rustix::fs::openat(CWD, &self.folder, flags | OFlags::TMPFILE, mode) {
            Ok(file) => Ok(file.into()),
            // man 2 open: the file system, or the kernel, knows none.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(self.unnamed(flags, mode)?),
            Err(error) => Err(error.into()),
        }
    }

    /// The same where a file must be made by a name.
    fn unnamed(&self, flags: OFlags, mode: Mode) -> Result<File, Errno> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = self.folder.join(format!("body-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let make = || rustix::fs::openat(CWD, &name, flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW, mode);
        let file = make().or_else(|error| match error {
            // Of a server that died between the two calls.
            Errno::EXIST => rustix::fs::unlink(&name).and_then(|()| make()),
            other => Err(other),
        })?;
        rustix::fs::unlink(&name)?;
        Ok(file.into())
    }

    /// Whether the disk has this much room.
    fn has_room(&self, bytes: u64) -> Result<bool, Fault> {
        let state = rustix::fs::statvfs(&self.folder).map_err(|error| Fault::Io(error.into()))?;
        let free = state.f_bavail.saturating_mul(state.f_frsize);
        Ok(free >= bytes.saturating_add(self.bounds.keep_free))
    }
}

impl Aside {
    /// Bytes of it.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends what has come of a body and then all that comes, until it is whole. Dropping the future gives up the body.
    ///
    /// # Errors
    /// When there is no room, the disk fails, or the body does not come whole.
    pub async fn fill(mut self, begun: &[u8], mut body: Incoming) -> Result<Self, Fault> {
        let mut gathered = BytesMut::from(begun);
        loop {
            if gathered.len() >= GATHERED {
                self = self.append(gathered.split().freeze()).await?;
            }
            match body.piece().await.map_err(Fault::Broken)? {
                Some(piece) if gathered.is_empty() && piece.len() >= GATHERED => self = self.append(piece).await?,
                Some(piece) => gathered.extend_from_slice(&piece),
                None if gathered.is_empty() => return Ok(self),
                None => return self.append(gathered.freeze()).await,
            }
        }
    }

    /// All of it, to be read from its beginning.
    pub fn into_body(self) -> Incoming {
        Incoming::Pieces(Box::new(pieces::Put::new(self)))
    }

    /// It goes to the thread and comes back: one whose future is dropped is dropped there, after the call that was under way.
    async fn append(mut self, bytes: Bytes) -> Result<Self, Fault> {
        aside(move || self.write(&bytes).map(|()| self)).await.map_err(Fault::Io)?
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(taken) = &mut self.taken else { return Err(Fault::Full) };
        let length = self.length.saturating_add(bytes.len() as u64);
        taken.grow_to(length)?;
        if length > self.room {
            let more = length.saturating_sub(self.length).max(STEP);
            if !taken.spool.has_room(more)? {
                return Err(Fault::Disk);
            }
            self.room = self.length.saturating_add(more);
        }
        let file = match &mut taken.file {
            Some(file) => file,
            none => none.insert(taken.spool.file().map_err(unwritten)?),
        };
        file.write_all_at(bytes, self.length).map_err(unwritten)?;
        self.length = length;
        Ok(())
    }

    fn read(&self, at: u64) -> io::Result<Bytes> {
        let left = usize::try_from(self.length.saturating_sub(at)).unwrap_or(PIECE);
        let mut piece = vec![0; left.min(PIECE)];
        if let Some(file) = self.taken.as_ref().and_then(|taken| taken.file.as_ref()) {
            file.read_exact_at(&mut piece, at)?;
        }
        Ok(piece.into())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // The last close of a large file frees its blocks, which may take long.
        if let Some(taken) = self.taken.take_if(|taken| taken.file.is_some())
            && let Ok(runtime) = Handle::try_current()
        {
            drop(runtime.spawn_blocking(move || drop(taken)));
        }
    }
}

impl Taken {
    /// Takes what it lacks for a body of this length.
    fn grow_to(&mut self, length: u64) -> Result<(), Fault> {
        let Self { spool, bytes_of, .. } = self;
        if length > spool.bounds.bytes_of_one() {
            return Err(Fault::TooLarge);
        }
        let more = length.saturating_sub(bytes_of.bytes());
        if !take(&spool.bytes, more, spool.bounds.bytes) {
            return Err(Fault::Full);
        }
        if !bytes_of.grow_to(length) {
            give_back(&spool.bytes, more);
            return Err(Fault::Full);
        }
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // Its blocks are free before others may take them.
        drop(self.file.take());
        give_back(&self.spool.bytes, self.bytes_of.bytes());
        give_back(&self.spool.files, 1);
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// ENOSPC, EDQUOT, and EFBIG of a file system that has no larger files.
fn unwritten(error: io::Error) -> Fault {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) { Fault::Disk } else { Fault::Io(error) }
}

/// Whether `more` could be taken; the counts guard no other memory, so no ordering is needed.
fn take(count: &AtomicU64, more: u64, most: u64) -> bool {
    let sum = |taken: u64| taken.checked_add(more).filter(|sum| *sum <= most);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum).is_ok()
}

fn give_back(count: &AtomicU64, less: u64) {
    count.fetch_sub(less, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
