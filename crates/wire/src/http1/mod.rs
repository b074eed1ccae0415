//! HTTP/1.1 as bytes: request heads, bodies, answer heads, ranges, conditions and targets (RFC 9110, RFC 9112).
//!
//! Knows no file, no clock and no connection. Strict in what arrives: a message that a front and a back end could frame in
//! two ways is refused with a [`Refusal`], after which the connection must be closed.
//! Bounded by: [`head::Limits`] for heads, the limit given to [`body::Decoder`] for bodies, [`body::EXTENSIONS_MOST`] and
//! [`body::TRAILERS_MOST`] for what surrounds the chunks of a body.

pub mod answer;
pub mod body;
pub mod client;
pub mod coding;
pub mod condition;
pub mod field;
pub mod head;
pub mod multipart;
pub mod range;
pub mod refusal;
pub mod target;
pub mod trace;

pub use field::Fields;
pub use head::{Head, Limits, Method, Persistence, Version};
pub use refusal::Refusal;
