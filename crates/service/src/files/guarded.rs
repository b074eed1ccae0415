//! The state folder as the served folders see it: nothing of it is opened by another name, a hard link or a second mount.
//!
//! Asked before a file is opened, because closing any descriptor of a database drops the POSIX locks that this process holds on it.
//! Recognised are the files beside the database by whatever name (device and inode), and the folders by whatever mount, be it of a folder
//! above them. Not recognised is a hard link to a single body in `blobs/` or `spool/`, which would cost a look at all of them. Bounded by: [`MOST_FILES`] names, and the
//! depth of a path.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, StatxFlags};
use rustix::io::Errno;

/// The state folder, and the folders in it that hold mail.
#[derive(Debug)]
pub(super) struct Guarded {
    folder: OwnedFd,
    device: u64,
    mounts: Mounts,
}

/// Whether the served folder and this one are seen by the same mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mounts {
    /// Then their paths tell what of the one is in the other.
    One,
    /// Or it is not known: what is on the same device may be in both, and no path tells.
    Two,
}

/// The folders in it.
const INNER: [&CStr; 3] = [c".", c"blobs", c"spool"];
/// The most files beside the database that are looked at; there are about a dozen.
const MOST_FILES: usize = 1_000;

impl Guarded {
    /// The folder at `folder`, opened with `O_PATH`, as the folder `served` sees it.
    pub(super) fn new(folder: OwnedFd, served: BorrowedFd<'_>) -> Result<Self, Errno> {
        let device = rustix::fs::fstat(&folder)?.st_dev;
        let is_one = mount(folder.as_fd()).is_some_and(|its| mount(served) == Some(its));
        Ok(Self { folder, device, mounts: if is_one { Mounts::One } else { Mounts::Two } })
    }

    /// It, by a descriptor that opens nothing.
    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Whether `found` is one of its files. One look at the names, for a file that has another name too.
    pub(super) fn has(&self, found: &Stat) -> bool {
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        if !is_file || found.st_dev != self.device {
            return false;
        }
        // What cannot be told is not given.
        self.names(found).unwrap_or(true)
    }

    fn names(&self, found: &Stat) -> Result<bool, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let names = Dir::new(rustix::fs::openat(&self.folder, c".", flags, Mode::empty())?)?;
        for (number, name) in names.enumerate() {
            let name = name?;
            let is_it = match rustix::fs::statat(&self.folder, name.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => (stat.st_dev, stat.st_ino) == (found.st_dev, found.st_ino),
                // It is gone since.
                Err(Errno::NOENT) => false,
                Err(error) => return Err(error),
            };
            if is_it || number >= MOST_FILES {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether `found`, to which no mount on the way led, may be in it though its path is elsewhere: to be asked [`Guarded::is_above`].
    pub(super) fn may_be_above(&self, found: &Stat) -> bool {
        self.mounts == Mounts::Two && found.st_dev == self.device
    }

    /// Whether one of the folders above `place`, or what is there, is the state folder or in it, by whatever mount.
    pub(super) fn is_above(&self, place: &Path) -> bool {
        let inner = self.inner();
        place.ancestors().any(|folder| match rustix::fs::statat(rustix::fs::CWD, folder, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => inner.contains(&Some((stat.st_dev, stat.st_ino))),
            // It was renamed, perhaps by somebody who knows why.
            Err(_) => true,
        })
    }

    /// Device and inode of the folders that are there.
    fn inner(&self) -> [Option<(u64, u64)>; INNER.len()] {
        INNER.map(|name| {
            let stat = rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            Some((stat.st_dev, stat.st_ino))
        })
    }
}

/// The number of the mount by which a folder is seen (Linux 5.8).
fn mount(folder: BorrowedFd<'_>) -> Option<u64> {
    let seen = rustix::fs::statx(folder, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    (seen.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(seen.stx_mnt_id)
}
