//! Files that hold one message after the other (RFC 4155), in the form mboxrd: a line `From sender date` before each, an empty
//! line behind it, and one `>` more before each line that is `From ` behind any number of `>`.
//!
//! [`Writer`] writes exactly that, with the flags in the fields Status and X-Status at the very top of each message.
//! [`Reader`] reads it back byte for byte (but one that ends with a CR or LF alone, which mail does not), and what others write as far as it can be told: mboxo (only `From ` is quoted), mboxcl
//! (nothing is; Content-Length is there, and is not trusted: a message ends where the next one begins). Both hold less than
//! one short line.

mod from_line;
mod read;
mod write;

pub use from_line::FromLine;
pub use read::{Event, Reader};
pub use write::Writer;

/// The fields in which flags are kept.
const STATUS: &[u8] = b"status";
const X_STATUS: &[u8] = b"x-status";

/// What a line that begins a message begins with.
const FROM: &[u8] = b"From ";

#[cfg(test)]
mod tests;
