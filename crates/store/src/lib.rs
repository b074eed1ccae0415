//! The embedded store: what survives a restart and a loss of power.
//!
//! [`Store`] is the whole contract: each method is one operation, done or not done. Behind it: rows in SQLite
//! (`sqlite`), bodies on their way and large ones in files (`blob`), schema versions (`migrate`), the state folder and
//! its lock (`folder`, which describes the layout on disk).
//!
//! The promise: when [`Store::accept`] returns `Ok`, the message is on disk, its body before its rows. Knows no
//! protocol: what a 250 or a 452 is, others know. Bounded by [`Settings`]: memory of bodies, queue of writes, time of
//! reads, room left on the disk.
//!
//! Threads: `store-writer`, `store-checkpoint`, `store-reader-0…1`, `store-search-0`, `blocking-0…3`, `indexer`, `store-retention`. All end at [`Store::close`].

#![forbid(unsafe_code)]

mod account;
mod accounts;
mod believed;
mod blob;
mod bulk;
mod contract;
mod counters;
mod error;
mod folder;
mod ids;
mod import;
mod index;
mod migrate;
mod open;
mod page;
mod query;
pub mod queue;
mod retention;
mod sqlite;
mod tag;
mod threads;
mod types;
mod verify;

pub use account::{
    Account, AccountChange, AccountId, AppPassword, AppPasswordId, Credential, NewAccount, NewAppPassword, Scope,
    Scopes, SpecialUse, Standing,
};
pub use blob::incoming::{Content, Incoming};
pub use contract::Store;
pub use error::{Error, OpenError};
pub use import::{Import, Imported, Repeat};
pub use index::extract::{Extract, Extractor};
pub use page::{Found, Page, Selection, Start, Window};
pub use query::{NotAQuery, Query};
pub use retention::Retention;
pub use tag::{NotATag, Tag, TagCount};
pub use types::{
    Accept, Accepted, Envelope, Figures, Flags, ListPage, Mailbox, MailboxId, MessageId, MessageRow, ModSeq, NotAnId,
    Origin, Place, Preview, Quota, Seen, Settings, StoredBody, Summary, Uid, Verdict,
};
