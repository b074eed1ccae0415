//! The way from a path to an open file, never outside the root.
//!
//! The kernel keeps it inside: `openat2` with `RESOLVE_BENEATH` refuses `..` and symbolic links that lead out, whatever is
//! renamed meanwhile. Everything here may wait for the disk: blocking threads only, but for [`Root::identity`].

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use thiserror::Error;

use crate::failure::{Class, Failure};

/// The folder beneath which everything is found. Held open: it stays the same folder when it is renamed.
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
}

/// The folder cannot be served.
#[derive(Debug, Error)]
#[error("cannot serve the folder {folder}")]
pub struct OpenError {
    folder: PathBuf,
    #[source]
    source: io::Error,
}

/// What of a file's metadata changes when its content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    /// Nanoseconds since 1970; what was before is 0.
    pub(super) modified: u128,
    /// The same, of the last change of content or metadata.
    pub(super) changed: u128,
}

/// An open file or folder, and how it was reached.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) kind: FileType,
    pub(super) identity: Identity,
    pub(super) way: Way,
}

/// How a path was walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By names alone.
    Plain,
    /// Through a symbolic link, so that a look at the last name alone does not tell whether it still leads there.
    Links,
}

impl Root {
    /// Opens the folder to be served.
    ///
    /// # Errors
    /// When there is no such folder, or it may not be read.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(folder, flags, Mode::empty())
            .map_err(|error| OpenError { folder: folder.to_owned(), source: error.into() })?;
        Ok(Self { folder: opened })
    }

    /// Opens what `names` (joined by `/`, empty for the root itself) leads to, if it is a file or a folder.
    pub(super) fn open_beneath(&self, names: &[u8]) -> Result<Opened, Failure> {
        let path = c_path(names)?;
        // NONBLOCK so that a FIFO does not keep the thread; NOCTTY so that a terminal does not become ours.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let plain = self.openat2(&path, flags, ResolveFlags::NO_SYMLINKS);
        let (descriptor, way) = match plain {
            Err(Errno::LOOP) => (self.openat2(&path, flags, ResolveFlags::empty()), Way::Links),
            other => (other, Way::Plain),
        };
        let descriptor = descriptor.map_err(refused)?;
        let stat = rustix::fs::fstat(&descriptor).map_err(refused)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !matches!(kind, FileType::RegularFile | FileType::Directory) {
            return Err(not_found());
        }
        Ok(Opened { file: descriptor.into(), kind, identity: Identity::of(&stat), way })
    }

    /// Looks at what `names` leads to through symbolic links, without opening it; `None` where it leads out or nowhere.
    pub(super) fn look_beneath(&self, names: &[u8]) -> Option<Stat> {
        let path = c_path(names).ok()?;
        let found = self.openat2(&path, OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::empty()).ok()?;
        rustix::fs::fstat(found).ok()
    }

    /// What is at `path` now, if it is a regular file. One system call that does not follow a last symbolic link; a file
    /// with the same identity as one that was opened beneath the root is that file.
    pub(super) fn identity(&self, path: &CStr) -> Option<Identity> {
        let stat = rustix::fs::statat(self.folder.as_fd(), path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then(|| Identity::of(&stat))
    }

    /// The same of a folder.
    pub(super) fn folder_identity(&self, path: &CStr) -> Option<Identity> {
        let stat = rustix::fs::statat(self.folder.as_fd(), path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        (FileType::from_raw_mode(stat.st_mode) == FileType::Directory).then(|| Identity::of(&stat))
    }

    /// Whether nothing is at `path` now. One system call; a symbolic link on the way that leads out changes nothing: what is
    /// behind it is not there either.
    pub(super) fn is_nothing(&self, path: &CStr) -> bool {
        let found = rustix::fs::statat(self.folder.as_fd(), path, AtFlags::SYMLINK_NOFOLLOW);
        matches!(found, Err(Errno::NOENT | Errno::NOTDIR))
    }

    fn openat2(&self, path: &CStr, flags: OFlags, more: ResolveFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | more;
        let mut tries = 0;
        loop {
            match rustix::fs::openat2(self.folder.as_fd(), path, flags, Mode::empty(), resolve) {
                // Something was renamed on the way while the kernel walked it (man 2 openat2, EAGAIN).
                Err(Errno::AGAIN | Errno::INTR) if tries < RESOLVE_TRIES => tries += 1,
                result => return result,
            }
        }
    }
}

/// How often a walk that a rename disturbed is begun again.
const RESOLVE_TRIES: u32 = 16;

impl Identity {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// When the content was changed, in whole seconds since 1970.
    pub(super) fn modified_seconds(&self) -> u64 {
        u64::try_from(self.modified / 1_000_000_000).unwrap_or(u64::MAX)
    }
}

fn nanoseconds(seconds: i64, nanoseconds: u64) -> u128 {
    u128::from(u64::try_from(seconds).unwrap_or(0)) * 1_000_000_000 + u128::from(nanoseconds)
}

/// The names as the kernel takes them.
pub(super) fn c_path(names: &[u8]) -> Result<CString, Failure> {
    let names = if names.is_empty() { b"." } else { names };
    CString::new(names).map_err(|_| not_found())
}

/// Nothing is there, or nothing that may be seen: told alike.
pub(super) fn not_found() -> Failure {
    Failure::new(Class::NotFound, "nothing is here by that name")
}

fn refused(error: Errno) -> Failure {
    match error {
        // XDEV and LOOP: it leads out of the root, or in circles. NXIO: a socket or a FIFO.
        Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP | Errno::NAMETOOLONG | Errno::NXIO | Errno::NODEV => {
            not_found()
        }
        Errno::ACCESS | Errno::PERM => Failure::new(Class::Forbidden, "this may not be read"),
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => {
            Failure::new(Class::Busy, "too many files are open").because(io::Error::from(error))
        }
        other => Failure::internal(io::Error::from(other)),
    }
}
