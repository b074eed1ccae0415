//! Access logs: a line for each request that a site has answered, as the site wants it, in a file or on standard output.
//!
//! `format` writes a line, `file` keeps files of a bounded size, `writer` is the thread that does it. Nobody who serves waits for any of
//! it, and a site without an access log pays nothing.

pub mod file;
pub mod format;
mod lines;
pub mod writer;

pub use file::Rotation;
pub use format::{Access, Format};
pub use lines::{Asked, Lines, Said, SiteLog, told};
pub use writer::{AccessLogs, Renewed, Sink, Target};
