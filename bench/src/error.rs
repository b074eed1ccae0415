//! What can go wrong while measuring: always said with what was being done.

use std::io;

/// Why a figure could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The system refused something.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, as in "starting nginx".
        doing: String,
        /// The system's reason.
        source: io::Error,
    },
    /// What was found is not what a figure may be made of.
    #[error("{0}")]
    NotSo(String),
}

impl Error {
    pub(crate) fn not_so(what: impl Into<String>) -> Self {
        Self::NotSo(what.into())
    }
}

/// Names what was being done when a system call failed.
pub(crate) trait Doing<T> {
    /// The value, or an error that begins with `what`.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { doing: what(), source: source.into() })
    }
}
