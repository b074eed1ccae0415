//! What the service reads in a message for the index: the store itself knows nothing of MIME.

use std::fmt;
use std::sync::Arc;

/// What is in a message beside its row. Longer texts are cut at the bounds named here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extract {
    /// The Cc field, decoded; at most [`Extract::MOST_FIELD`] bytes of it are indexed.
    pub cc: String,
    /// Its text, decoded; at most [`Extract::MOST_TEXT`] bytes of it are indexed.
    pub text: String,
    /// The name of each attachment; at most [`Extract::MOST_FIELD`] bytes of them are indexed.
    pub attachments: Vec<String>,
}

impl Extract {
    /// The most bytes of a message's text that are indexed.
    pub const MOST_TEXT: usize = 1 << 20;
    /// The most bytes of any other text.
    pub const MOST_FIELD: usize = 64 << 10;
    /// The most bytes of a message that are read for it.
    pub const MOST_READ: usize = 32 << 20;
}

/// Reads a message (its first [`Extract::MOST_READ`] bytes). Runs on the thread `indexer`, for as long as it likes; a
/// panic in it costs the text of that one message.
#[derive(Clone)]
pub struct Extractor(Arc<Read>);

type Read = dyn Fn(&[u8]) -> Extract + Send + Sync;

impl Extractor {
    /// One that calls `read`.
    pub fn new(read: impl Fn(&[u8]) -> Extract + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub(crate) fn read(&self, message: &[u8]) -> Extract {
        (self.0)(message)
    }
}

impl Default for Extractor {
    /// One that finds nothing: only rows are searched.
    fn default() -> Self {
        Self::new(|_| Extract::default())
    }
}

impl fmt::Debug for Extractor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Extractor")
    }
}
