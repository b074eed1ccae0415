//! From what was written, on the command line or in a file, to what is used: each crate's own checked settings.
//!
//! Knows what the server can be told, and nothing of how it does it. Every error is a clear sentence with the way out.

pub mod aliases;
pub mod as_written;
mod checked;
pub mod fault;
pub mod fixed;
mod flags;
pub mod format;
mod lexical;
pub mod reference;
pub mod report;
mod settings;
mod settle;
pub mod source;
pub mod suggest;
pub mod table;
pub(crate) mod usual;
pub mod value;

pub use sportello_wire::international;

pub use self::checked::Checked;
pub use self::flags::Error;
pub use self::settings::{
    AccessLog, Ban, Begins, Door, Hosts, HttpsPort, Logging, Origin, Others, Role, Settings, Site, Tls,
};
pub use self::settle::published::submission;
pub use self::usual::{deadlines, default_state};
