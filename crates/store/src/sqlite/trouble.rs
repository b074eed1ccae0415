//! What an error of SQLite means for one request, for the transaction around it, and for the store.

use rusqlite::ffi::{self, ErrorCode};

use crate::error::Error;

/// Why a request or a transaction was not done.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Only this request: it is rolled back to its savepoint, the others go on.
    Request(Error),
    /// No room: the transaction is rolled back, the store goes on.
    Full,
    /// Another program holds the database: the transaction is rolled back, the store goes on.
    Busy,
    /// What is on the disk is in doubt: the store refuses writes from now on.
    Fatal(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(why: rusqlite::Error) -> Self {
        match why.sqlite_error() {
            // The log's index (`store.db-shm`) is lengthened before anything is written: no room for it leaves all as
            // it was.
            Some(ffi::Error { extended_code: ffi::SQLITE_IOERR_SHMSIZE, .. }) => Self::Full,
            Some(error) => match error.code {
                ErrorCode::DiskFull => Self::Full,
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
                ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch => {
                    Self::Request(Error::Refused(why.to_string().into()))
                }
                _ => Self::Fatal(why),
            },
            // Not from SQLite: a value that does not have the type we expect.
            None => Self::Request(Error::Damaged(why.to_string().into())),
        }
    }
}

/// What an error means for a read.
pub(crate) fn of_read(why: &rusqlite::Error) -> Error {
    match why.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => Error::TimedOut,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy,
        Some(ErrorCode::DiskFull) => Error::DiskFull,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => Error::Damaged(why.to_string().into()),
        Some(_) => Error::Refused(why.to_string().into()),
    }
}
