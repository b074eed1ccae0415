//! What the dispatcher needs of the rest of the house.

use std::future::Future;

use sportello_store::queue::{Destination, Entry};
use sportello_store::{Error, Place, StoredBody};

/// The house around the queue.
pub trait House {
    /// Our name, as reports say it.
    fn name(&self) -> &str;

    /// Where reports to a sender go. An error of the store: it is asked again.
    fn home(&self, sender: &str) -> impl Future<Output = Result<Home, Error>>;

    /// The fields that are sent before a message: its signatures, each a whole line with its CR LF. An error is told to
    /// people, and the message waits.
    fn sign(&self, entry: &Entry, body: &StoredBody) -> impl Future<Output = Result<Vec<u8>, String>>;
}

/// Where mail to an address goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// Into mailboxes here.
    Here(Vec<Place>),
    /// To another server, to this address there.
    Elsewhere(Destination, String),
    /// The address is one of ours and nobody has it.
    Nowhere,
}
