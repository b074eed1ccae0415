//! The client's half of SMTP: commands out, replies in, a message made fit for DATA.
//!
//! [`Session`] is the whole of it, for whoever hands mail on; the parts serve also without it. Knows no socket, no clock, no DNS
//! and no cryptography, and holds no byte of a message. A [`Reply`] is bounded by [`Limits`], however many lines a server sends.

mod command;
mod envelope;
mod extensions;
mod reply;
mod session;
mod text;

pub use command::{Announcement, Path, write_mail, write_only_chunk, write_rcpt};
pub use envelope::{Envelope, Recipient, Unfit};
pub use extensions::{Extensions, Mechanisms};
pub use reply::{Error, Limits, Reply};
pub use session::{Awaited, Broken, Event, Outcome, Progress, Session, Step, TextFault};
pub use text::{Stuffing, canonical_lines};
