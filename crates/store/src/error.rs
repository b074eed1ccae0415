//! Why the store did not do what it was asked.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why an operation was not done. Nothing of it is stored, unless a variant says otherwise.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no room on the disk; the same operation may work later.
    #[error("no room on the disk")]
    DiskFull,
    /// A commit or a sync failed: all writes are refused until the store is reopened, reads go on. Whether the write
    /// that met the failure is on the disk is not known.
    #[error("the store refuses writes until it is reopened: {0}")]
    Failed(Arc<str>),
    /// The store is closed or closing.
    #[error("the store is closed")]
    Closed,
    /// The database is held by another program, or the supply of numbers is empty for the moment; may work later.
    #[error("the store is busy")]
    Busy,
    /// A read ran longer than `Settings::read_time`.
    #[error("the read took too long")]
    TimedOut,
    /// A bound was passed.
    #[error("too many {what}: at most {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        most: usize,
    },
    /// There is another by this name.
    #[error("the name is taken")]
    Taken,
    /// There is no such mailbox, or its account is being deleted.
    #[error("there is no such mailbox")]
    NoMailbox,
    /// There is no such account.
    #[error("there is no such account")]
    NoAccount,
    /// The message would pass an account's quota.
    #[error("the mailbox is full")]
    OverQuota,
    /// An earlier write of this body failed or was dropped before its end: the body is not whole.
    #[error("the body is not whole")]
    Spoiled,
    /// The request contradicts what the database holds.
    #[error("refused by the database: {0}")]
    Refused(Arc<str>),
    /// The database or a body is not as it was written.
    #[error("damaged: {0}")]
    Damaged(Arc<str>),
    /// The operating system refused something.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why it was refused.
        #[source]
        source: Arc<io::Error>,
    },
}

impl Error {
    /// A refusal of the operating system; a full disk or quota becomes [`Error::DiskFull`].
    pub(crate) fn io(doing: &'static str, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        if is_full(&source) { Self::DiskFull } else { Self::Io { doing, source: Arc::new(source) } }
    }
}

/// Whether the operating system only says that there is no room (ENOSPC, EDQUOT).
pub(crate) fn is_full(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Why a store was not opened. The state folder is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the state folder {} is in use by process {pid}: stop that one, or choose another folder", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Who holds it, as the lock file says; `unknown` when it says nothing.
        pid: String,
    },
    /// A later version of this program wrote it.
    #[error(
        "the store {} has schema {found} and this program knows {known}: use the newer program that wrote it, or the copy it made before it migrated",
        file.display()
    )]
    Newer {
        /// The database.
        file: PathBuf,
        /// Its schema version.
        found: i64,
        /// The latest we know.
        known: i64,
    },
    /// The database is gone and bodies are there. A fresh database would sweep them away.
    #[error(
        "the folder {} holds bodies of messages but no store.db: put the database back, or move its folder `blobs` away",
        folder.display()
    )]
    Lost {
        /// The state folder.
        folder: PathBuf,
    },
    /// A database of some other program.
    #[error("{} is a database, but not of this program", file.display())]
    Foreign {
        /// The database.
        file: PathBuf,
    },
    /// A migration failed; the data is as it was.
    #[error("cannot migrate the store from schema {from} to {to}; it is left as it was: {why}")]
    Migration {
        /// The version found.
        from: i64,
        /// The version wanted.
        to: i64,
        /// What failed.
        why: String,
    },
    /// SQLite refused something.
    #[error("cannot open the store: {doing}: {why}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        why: String,
    },
    /// The operating system refused something.
    #[error("cannot open the store: {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it was refused.
        #[source]
        source: io::Error,
    },
}
