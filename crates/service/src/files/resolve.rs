//! The way from a path to an open file, never outside the root.
//!
//! The kernel keeps it inside: `openat2` with `RESOLVE_BENEATH` refuses `..` and symbolic links that lead out, whatever is
//! renamed meanwhile. Only where the site follows links further ([`Links`]) may a link, never a name, lead out. Everything here may wait for the disk: blocking threads only, but for [`Root::identity`].
//!
//! A folder may be kept back ([`Root::keeping_back`]): nothing in it is opened, by whatever name, not even for a moment, because closing
//! any descriptor of a database drops the POSIX locks that this process holds on it.

use std::ffi::{CStr, CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use thiserror::Error;

use super::guarded::Guarded;
use super::links::{self, Links};
use crate::failure::{Class, Failure};

/// The folder beneath which everything is found. Held open: it stays the same folder when it is renamed.
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
    links: Links,
    guarded: Option<Guarded>,
    /// Whether what is guarded lies beneath the root, or the root beneath it.
    apart: Apart,
}

/// Whether two folders are apart, as their paths say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Apart {
    Yes,
    No,
}

/// What can be found beneath a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
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
        Ok(Self { folder: opened, links: Links::Beneath, guarded: None, apart: Apart::Yes })
    }

    /// The same, with these symbolic links followed.
    #[must_use]
    pub fn following(self, links: Links) -> Self {
        Self { links, ..self }
    }

    /// With `folder` and all that is in it not there, as if it were not beneath this one; nor is it by a hard link or another
    /// mount. Where it is nowhere, this costs nothing; by two mounts of one device, a look at each folder above what is opened.
    ///
    /// # Errors
    /// When it cannot be told where it is; when this one lies in it by another mount.
    pub fn keeping_back(self, folder: &Path) -> Result<Self, OpenError> {
        let failed = |error: Errno| OpenError { folder: folder.to_owned(), source: error.into() };
        let kept = match rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(kept) => kept,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(self),
            Err(error) => return Err(failed(error)),
        };
        let (root, place) = (real_path(&self.folder).map_err(failed)?, real_path(&kept).map_err(failed)?);
        let is_apart = !place.starts_with(&root) && !root.starts_with(&place);
        let guarded = Guarded::new(kept, self.folder.as_fd()).map_err(failed)?;
        if is_apart && guarded.is_above(&root) {
            let source = io::Error::other("it lies in the state folder, by another mount");
            return Err(OpenError { folder: root, source });
        }
        let apart = if is_apart { Apart::Yes } else { Apart::No };
        Ok(Self { guarded: Some(guarded), apart, ..self })
    }

    /// Whether a folder beneath this one is kept back.
    pub fn keeps_back(&self) -> bool {
        self.guarded.is_some() && self.apart == Apart::No
    }

    /// Whether `name` in `folder` is the folder that is kept back.
    pub(super) fn is_kept_back(&self, folder: BorrowedFd<'_>, name: &CStr) -> bool {
        let Some(guarded) = &self.guarded else { return false };
        match (rustix::fs::statat(folder, name, AtFlags::empty()), rustix::fs::fstat(guarded.folder())) {
            (Ok(found), Ok(kept)) => (found.st_dev, found.st_ino) == (kept.st_dev, kept.st_ino),
            _ => true,
        }
    }

    /// Opens what `names` (joined by `/`, empty for the root itself) leads to, if it is a file or a folder.
    pub(super) fn open_beneath(&self, names: &[u8]) -> Result<Opened, Failure> {
        let path = c_path(names)?;
        // NONBLOCK so that a FIFO does not keep the thread; NOCTTY so that a terminal does not become ours.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let plain = self.open_allowed(&path, flags, ResolveFlags::NO_SYMLINKS);
        let (descriptor, way) = match plain {
            Err(Errno::LOOP) => (self.open_linked(&path, flags), Way::Links),
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
        let found = self.open_linked(&path, OFlags::PATH | OFlags::CLOEXEC).ok()?;
        rustix::fs::fstat(found).ok()
    }

    /// What `names` lead to, be it readable to us or not; `None` where it leads out, nowhere, or to what is neither file nor folder.
    pub fn kind(&self, names: &[u8]) -> Option<Kind> {
        match FileType::from_raw_mode(self.look_beneath(names)?.st_mode) {
            FileType::RegularFile => Some(Kind::File),
            FileType::Directory => Some(Kind::Folder),
            _ => None,
        }
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

    /// Opens what `path` leads to through the links that are followed.
    fn open_linked(&self, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let found = match self.links {
            Links::Beneath => return self.open_allowed(path, flags, ResolveFlags::empty()),
            Links::SameOwner => links::open_of_same_owner(self.folder.as_fd(), path)?,
            Links::Any => links::open_anywhere(self.folder.as_fd(), path)?,
        };
        // It may be anywhere, so nothing is known of where it lies.
        if let Some(guarded) = &self.guarded {
            let (place, kept) = (real_path(&found)?, real_path(guarded.folder())?);
            if place.starts_with(kept) || guarded.is_above(&place) || guarded.has(&rustix::fs::fstat(&found)?) {
                return Err(Errno::NOENT);
            }
        }
        open_found(found, flags)
    }

    /// Opens what is not kept back. It is looked at through a descriptor that opens nothing (`O_PATH`), and then that very
    /// file is opened, whatever was renamed meanwhile.
    fn open_allowed(&self, path: &CStr, flags: OFlags, more: ResolveFlags) -> Result<OwnedFd, Errno> {
        let Some(guarded) = &self.guarded else { return self.openat2(path, flags, more) };
        let found = match self.openat2(path, OFlags::PATH | OFlags::CLOEXEC, more | ResolveFlags::NO_XDEV) {
            // It leads to another mount, or out.
            Err(Errno::XDEV) => {
                let found = self.openat2(path, OFlags::PATH | OFlags::CLOEXEC, more)?;
                if guarded.is_above(&real_path(&found)?) || guarded.has(&rustix::fs::fstat(&found)?) {
                    return Err(Errno::NOENT);
                }
                found
            }
            result => result?,
        };
        let stat = rustix::fs::fstat(&found)?;
        if stat.st_nlink > 1 && guarded.has(&stat) {
            return Err(Errno::NOENT);
        }
        if guarded.may_be_above(&stat) && guarded.is_above(&real_path(&found)?) {
            return Err(Errno::NOENT);
        }
        // Asked anew each time: a folder above both may be renamed.
        if self.apart == Apart::No && real_path(&found)?.starts_with(real_path(guarded.folder())?) {
            return Err(Errno::NOENT);
        }
        open_found(found, flags)
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

/// Opens the very file that was found with `O_PATH`.
fn open_found(found: OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    if flags.contains(OFlags::PATH) { Ok(found) } else { rustix::fs::open(by_descriptor(&found), flags, Mode::empty()) }
}

/// Where an open file or folder is now.
fn real_path(of: impl AsFd) -> Result<PathBuf, Errno> {
    let path = rustix::fs::readlink(by_descriptor(of), Vec::new())?;
    Ok(OsString::from_vec(path.into_bytes()).into())
}

/// The name that the kernel has for a descriptor (man 5 proc_pid_fd).
fn by_descriptor(of: impl AsFd) -> String {
    format!("/proc/self/fd/{}", of.as_fd().as_raw_fd())
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

pub(super) fn refused(error: Errno) -> Failure {
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
