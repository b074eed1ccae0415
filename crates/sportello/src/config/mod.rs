//! From what was written, on the command line or in a file, to what is used: each crate's own checked settings.
//!
//! Knows what the server can be told, and nothing of how it does it. Every error is a clear sentence with the way out.

mod flags;
mod settings;
mod usual;

pub use self::flags::Error;
pub use self::settings::{Door, Origin, Role, Settings, Site};
pub use self::usual::default_state;
