//! The state folder: what is in it, who may touch it, and which syncs make its names last.
//!
//! ```text
//! STATE/                 mode 0700
//!   lock                 flock(2) held while the store is open; holds the decimal process id and a line feed
//!   store.db             SQLite, WAL (its tables: migrate/*.sql); with store.db-wal and store.db-shm while open
//!   store.db.before-N    the copy made before the migration to schema N
//!   search.db            the search index (index/file.rs), made anew whenever it is missing; with -wal and -shm while open
//!   clock                the last moment that retention by age believed (believed.rs); absent without that rule
//!   spool/<message id>   a body that is still arriving; whatever is here at start is stale
//!   blobs/<message id>   the whole message of a row with file = 1: these bytes and nothing else, never changed
//! ```
//!
//! A name lasts through a loss of power only when the folder that holds it is synced: a new state folder's parent, the
//! state folder once its files are made, `blobs/` after each rename into it. `spool/` needs no sync: what is lost there
//! was promised to nobody, and a name left there by a rename that lasted only half is swept.
//!
//! Nobody in this process opens `store.db` but SQLite: closing *any* descriptor of a file drops all POSIX locks that
//! the process holds on it. [`Folder::open`] makes the empty file (for its mode) before SQLite first opens it, and
//! afterwards touches it by name only.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::OpenError;
use crate::types::MessageId;

/// The open state folder, locked.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    state: OwnedFd,
    spool: OwnedFd,
    blobs: OwnedFd,
    lock: Mutex<Option<File>>,
}

impl Folder {
    /// Makes what is missing, and takes the lock.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        make_folder(path)?;
        let path = fs::canonicalize(path).map_err(failed("resolving", path))?;
        let state = open_folder(&path)?;
        let lock = lock(&path, &state)?;
        close_to_others(&path)?;
        let spool = path.join("spool");
        let blobs = path.join("blobs");
        for inner in [&spool, &blobs] {
            make_folder(inner)?;
        }
        refuse_links(&path)?;
        let folder = Self {
            spool: open_folder(&spool)?,
            blobs: open_folder(&blobs)?,
            state,
            lock: Mutex::new(Some(lock)),
            path,
        };
        folder.make_database_file()?;
        folder.sync()?;
        Ok(folder)
    }

    /// The folder's absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where SQLite's file is.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("store.db")
    }

    /// Where SQLite's write-ahead log is, when there is one.
    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("store.db-wal")
    }

    /// Where the search index is.
    pub(crate) fn index(&self) -> PathBuf {
        self.path.join("search.db")
    }

    /// A descriptor of the state folder, for asking its disk.
    pub(crate) fn descriptor(&self) -> Result<OwnedFd, OpenError> {
        self.state.try_clone().map_err(failed("opening", &self.path))
    }

    /// Makes every name in the state folder last: its own files, and SQLite's once SQLite has made them.
    pub(crate) fn sync(&self) -> Result<(), OpenError> {
        rustix::fs::fsync(&self.state).map_err(failed("syncing", &self.path))
    }

    /// A new file in `spool/`, mode 0600, to be written and read.
    pub(crate) fn create_spool(&self, id: MessageId) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(rustix::fs::openat(&self.spool, id.to_string(), flags, Mode::from_raw_mode(0o600))?.into())
    }

    /// Removes a file from `spool/`.
    pub(crate) fn remove_spool(&self, id: MessageId) {
        self.remove(&self.spool, "spool", &id.to_string());
    }

    /// Moves a synced file from `spool/` to `blobs/`. Not lasting before [`Folder::sync_blobs`].
    pub(crate) fn place(&self, id: MessageId) -> io::Result<()> {
        let name = id.to_string();
        Ok(rustix::fs::renameat(&self.spool, &name, &self.blobs, &name)?)
    }

    /// Makes the names in `blobs/` last.
    pub(crate) fn sync_blobs(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.blobs)?)
    }

    /// Opens a body for reading.
    pub(crate) fn open_blob(&self, id: MessageId) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(rustix::fs::openat(&self.blobs, id.to_string(), flags, Mode::empty())?.into())
    }

    /// Removes a body. No sync: a name that comes back after a loss of power is an orphan, and swept.
    pub(crate) fn remove_blob(&self, id: MessageId) {
        self.remove(&self.blobs, "blobs", &id.to_string());
    }

    /// The names in `spool/`.
    pub(crate) fn spool_names(&self) -> Result<Vec<String>, OpenError> {
        names(&self.path.join("spool"))
    }

    /// The names in `blobs/`.
    pub(crate) fn blob_names(&self) -> Result<Vec<String>, OpenError> {
        names(&self.path.join("blobs"))
    }

    /// Removes whatever has this name in `spool/`.
    pub(crate) fn remove_stale(&self, name: &str) {
        self.remove(&self.spool, "spool", name);
    }

    /// Lets another process have the folder.
    pub(crate) fn unlock(&self) {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(file) = lock {
            // The number of a process that is gone should name nobody; when this fails, the next holder overwrites it.
            let _ = file.set_len(0);
        }
    }

    fn remove(&self, folder: &OwnedFd, of: &'static str, name: &str) {
        match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(why) => {
                tracing::error!(folder = of, name, %why, "cannot remove a body's file; it is tried again at the next start")
            }
        }
    }

    fn make_database_file(&self) -> Result<(), OpenError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match rustix::fs::openat(&self.state, "store.db", flags, Mode::from_raw_mode(0o600)) {
            Ok(_) => Ok(()),
            Err(Errno::EXIST) => fs::set_permissions(self.database(), Permissions::from_mode(0o600))
                .map_err(failed("setting the mode of", &self.database())),
            Err(why) => Err(failed("making", &self.database())(why)),
        }
    }
}

/// Refuses a database that lies elsewhere: SQLite would keep its log beside the other end of the link, where what a crash
/// left in it is not looked for.
fn refuse_links(path: &Path) -> Result<(), OpenError> {
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        let file = path.join(name);
        match fs::symlink_metadata(&file) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => {
                let why = "it is no file but a link or a folder; to keep the mail elsewhere, make the whole state folder a link";
                return Err(failed("opening", &file)(io::Error::other(why)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("looking at", &file)(error)),
        }
    }
    Ok(())
}

/// Makes a folder and the missing ones above it (mode 0700), and makes each of their names last.
fn make_folder(path: &Path) -> Result<(), OpenError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_parent(path),
        // It may be there since a crash that came before its name was synced.
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => sync_parent(path),
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
                return Err(failed("making", path)(why));
            };
            make_folder(parent)?;
            DirBuilder::new().mode(0o700).create(path).map_err(failed("making", path))?;
            sync_parent(path)
        }
        Err(why) => Err(failed("making", path)(why)),
    }
}

fn sync_parent(path: &Path) -> Result<(), OpenError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A parent that may not be read cannot be synced; then the folder is as lasting as its owner made it.
    match File::open(parent) {
        // A read-only parent (a mount point in a container) and one that knows no sync have nothing that could be lost.
        Ok(folder) => match folder.sync_all() {
            Err(why) if !matches!(why.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::InvalidInput) => {
                Err(failed("syncing", parent)(why))
            }
            _ => Ok(()),
        },
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(why) => Err(failed("opening", parent)(why)),
    }
}

fn open_folder(path: &Path) -> Result<OwnedFd, OpenError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(failed("opening", path))
}

/// Takes the lock without waiting. The descriptor is not inherited by programs, and `flock` belongs to it, not to the
/// process: so a second store in the same process is refused as well.
fn lock(path: &Path, state: &OwnedFd) -> Result<File, OpenError> {
    let name = path.join("lock");
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let opened =
        rustix::fs::openat(state, "lock", flags, Mode::from_raw_mode(0o600)).map_err(failed("opening", &name))?;
    let mut file = File::from(opened);
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            file.set_len(0)
                .and_then(|()| writeln!(file, "{}", std::process::id()))
                .map_err(failed("writing", &name))?;
            Ok(file)
        }
        Err(Errno::WOULDBLOCK) => {
            let mut pid = String::new();
            // 20 digits hold any process id; a longer text is not one of ours.
            let _ = file.take(20).read_to_string(&mut pid);
            let pid = pid.trim();
            let known = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
            Err(OpenError::InUse {
                folder: path.to_path_buf(),
                pid: if known { pid.to_owned() } else { "unknown".to_owned() },
            })
        }
        Err(why) => Err(failed("locking", &name)(why)),
    }
}

/// Takes rights away from group and others, but only from a folder that is ours: `--state /tmp` must not close /tmp.
fn close_to_others(path: &Path) -> Result<(), OpenError> {
    let mode = fs::metadata(path).map_err(failed("looking at", path))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let foreign = names(path)?.into_iter().any(|name| name != "lock" && name != "lost+found");
    if foreign && !path.join("store.db").exists() {
        tracing::warn!(folder = %path.display(), "the state folder holds other files and is open to other users: left so");
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed("setting the mode of", path))
}

fn names(path: &Path) -> Result<Vec<String>, OpenError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed("listing", path))? {
        let name = entry.map_err(failed("listing", path))?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    Ok(names)
}

fn failed<E: Into<io::Error>>(doing: &'static str, path: &Path) -> impl FnOnce(E) -> OpenError {
    move |why| OpenError::Io { doing, path: path.to_path_buf(), source: why.into() }
}
