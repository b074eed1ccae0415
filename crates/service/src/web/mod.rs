//! What an HTTP channel hands to a service, and what it gets back: the same for every version of HTTP.
//!
//! A service never holds the client's connection: it is given a [`Request`] whose body comes in pieces, and returns an [`Answer`];
//! the protocol frames it (length, date, `Connection`, HEAD, 304 without a body). What is in [`Fields`] cannot split a message, what
//! is in a [`Path`] was decoded exactly once, and an authority was checked: whoever passes them on need not look again.

mod answer;
mod body;
mod fields;
mod network;
mod notes;
mod path;
mod request;
pub mod trace;

pub use answer::{Answer, Body, Tunnel, Wire};
pub use body::{Broken, Incoming, Live, Pieces, Ready};
pub use fields::{BadField, Fields};
pub use network::{BadNetwork, Network, Says};
pub use notes::{Asked, Notes};
pub use path::Path;
pub use request::{Client, Request, Scheme, Upgrade};
