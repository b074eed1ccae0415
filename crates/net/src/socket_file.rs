//! A Unix socket's file: who may have it, what becomes of one that a dead server left, and its removal.
//!
//! Mode 0600 from its first moment on. The folder is locked while the file is looked at and made, so that of two servers that
//! start at once only one replaces what a dead one left. Knows nothing of what is said over the socket.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use socket2::{Domain, SockAddr, Socket, Type};
use thiserror::Error;

/// Why there is no listening on a path.
#[derive(Debug, Error)]
pub enum PathError {
    /// Somebody listens there, or is just about to.
    #[error("another program listens on {0} already")]
    Taken(PathBuf),
    /// Something else bears this name.
    #[error("{0} is there already and is no socket")]
    NoSocket(PathBuf),
    /// The kernel has no room for the name.
    #[error("the path {0} is too long for a socket (107 bytes at most)")]
    TooLong(PathBuf),
    /// Anything else the kernel says.
    #[error("cannot listen on {path}")]
    Other {
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// The file of a socket that listens. Dropping it removes the file, unless another took its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// Makes a socket at `path` that only this user may connect to, and listens.
    pub(crate) fn listen(path: &Path, backlog: i32) -> Result<(Self, Socket), PathError> {
        let fail = |source| PathError::Other { path: path.to_owned(), source };
        let path = std::path::absolute(path).map_err(fail)?;
        let address = SockAddr::unix(&path).map_err(|_| PathError::TooLong(path.clone()))?;
        let _folder = lock(&path)?;
        clear(&path, &address)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None).map_err(fail)?;
        // The file takes its mode from the socket, so there is no moment at which it is open to others.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(|error| fail(error.into()))?;
        socket.bind(&address).map_err(fail)?;
        let made = fs::symlink_metadata(&path).map_err(fail)?;
        let file = Self { identity: (made.dev(), made.ino()), path };
        socket.listen(backlog).map_err(fail)?;
        Ok((file, socket))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if is_ours {
            // What is left behind in spite of this is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Locks the folder of `path` until the result is dropped.
fn lock(path: &Path) -> Result<OwnedFd, PathError> {
    let fail = |error: rustix::io::Errno| PathError::Other { path: path.to_owned(), source: error.into() };
    let folder = path.parent().unwrap_or(path);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty()).map_err(fail)?;
    match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(folder),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(PathError::Taken(path.to_owned())),
        Err(error) => Err(fail(error)),
    }
}

/// Removes what a dead server left at `path`; refuses whatever else is there.
fn clear(path: &Path, address: &SockAddr) -> Result<(), PathError> {
    let fail = |source| PathError::Other { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fail(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(PathError::NoSocket(path.to_owned())),
        Ok(_) => {}
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None).map_err(fail)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(fail),
        // A full queue (EAGAIN) has somebody at its end too.
        Ok(()) => Err(PathError::Taken(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(PathError::Taken(path.to_owned())),
        Err(error) => Err(fail(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sportello-socket-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn listen(path: &Path) -> Result<(SocketFile, Socket), PathError> {
        SocketFile::listen(path, 4)
    }

    #[test]
    fn a_live_socket_is_refused_and_a_dead_ones_file_replaced() {
        let folder = folder("live");
        let path = folder.join("s");
        let (file, socket) = listen(&path).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        assert!(matches!(listen(&path), Err(PathError::Taken(taken)) if taken == path));
        // As after kill -9: nobody listens, the file is there.
        drop(socket);
        std::mem::forget(file);
        assert!(UnixStream::connect(&path).is_err() && path.exists());
        let (file, _socket) = listen(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(file);
        assert!(!path.exists());
        fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = folder("file");
        let path = folder.join("s");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(listen(&path), Err(PathError::NoSocket(_))));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert!(matches!(listen(&path), Err(PathError::NoSocket(_))));
        assert!(fs::symlink_metadata(&path).is_ok() && !folder.join("elsewhere").exists());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn one_that_took_the_place_is_not_removed() {
        let folder = folder("place");
        let path = folder.join("s");
        let (file, _socket) = listen(&path).unwrap();
        fs::rename(&path, folder.join("t")).unwrap();
        fs::write(&path, "mine").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_path_fits_or_is_too_long() {
        let folder = folder("length");
        let room = 107 - folder.as_os_str().len() - 1;
        let longest = folder.join("x".repeat(room));
        let (file, _socket) = listen(&longest).unwrap();
        UnixStream::connect(&longest).unwrap();
        drop(file);
        assert!(matches!(listen(&folder.join("x".repeat(room + 1))), Err(PathError::TooLong(_))));
        fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn two_that_start_at_once_do_not_replace_each_other() {
        let folder = folder("race");
        let path = folder.join("s");
        let starting = lock(&path).unwrap();
        assert!(matches!(listen(&path), Err(PathError::Taken(_))));
        drop(starting);
        listen(&path).unwrap();
        fs::remove_dir(&folder).unwrap();
    }
}
