//! The server's side of SMTP: bytes in, replies and events out.
//!
//! A [`Session`] is fed what the client sent and says, one at a time, what came of it: a question for whoever drives it (may
//! this mail begin? this recipient? is the message stored?), a slice of a body, or the end. It writes its replies into a
//! buffer of the driver's, so that the answers to pipelined commands leave together (RFC 2920). It owns no byte of a body,
//! knows no socket, no store and no clock. Bounded by: [`Limits`].

mod command;
mod data;
mod limits;
mod reply;
mod role;
mod session;
mod trace;

pub use command::{BodyType, Error as CommandError, Mail, Recipient};
pub use data::Fault;
pub use limits::Limits;
pub use reply::Reply;
pub use role::Role;
pub use session::{Envelope, Event, Hello, Progress, Session};
pub use trace::{Last, Trace};
