//! Which symbolic links of a served folder are followed, and the way through those that need their owner looked at.
//!
//! Blocking threads only. Bounded by the names of a path and by the kernel's own count of links on one way.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Which symbolic links are followed. Those of `/proc` that lead to descriptors never are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Those that stay beneath the root.
    #[default]
    Beneath,
    /// Those that lead, wherever it is, to what belongs to the owner of the link.
    SameOwner,
    /// All, wherever they lead.
    Any,
}

/// Opens with `O_PATH` what `path` leads to, names one by one. A link is opened itself, asked where it leads and followed from there:
/// so the one whose owner was looked at is the one that is followed, whatever is renamed meanwhile.
pub(super) fn open_of_same_owner(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    let mut at: Option<OwnedFd> = None;
    for name in path.to_bytes().split(|&byte| byte == b'/') {
        let from = at.as_ref().map_or(root, AsFd::as_fd);
        let found = rustix::fs::openat(from, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let stat = rustix::fs::fstat(&found)?;
        let next = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => follow(from, &found, stat.st_uid)?,
            _ => found,
        };
        at = Some(next);
    }
    at.ok_or(Errno::NOENT)
}

/// What a link that lies in `from` leads to, if that has the same owner. Links on the way there may be of anybody: what is found in the
/// end is the owner's own.
fn follow(from: BorrowedFd<'_>, link: &OwnedFd, owner: u32) -> Result<OwnedFd, Errno> {
    let place = rustix::fs::readlinkat(link, c"", Vec::new())?;
    let found = open_anywhere(from, &place)?;
    // Told as a link that leads out: LOOP is nothing that is there.
    if rustix::fs::fstat(&found)?.st_uid == owner { Ok(found) } else { Err(Errno::LOOP) }
}

/// Opens with `O_PATH` what `path` leads to, through whatever links.
pub(super) fn open_anywhere(from: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat2(from, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
}
