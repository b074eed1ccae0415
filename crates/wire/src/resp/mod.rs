//! RESP2, RESP3 and text lines: what a command channel speaks.
//!
//! By its first byte a request is an array of bulk strings (`*`, what every Redis client sends) or a line of words (what a
//! person types into `nc`). The answer is RESP in both cases, as Redis gives it. Source: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
//!
//! Knows no command. Bounded by [`Limits`]; nothing is allocated for a length that was only claimed.

pub mod client;
mod line;
pub mod reply;
pub mod request;

pub use reply::{Reply, Version};
pub use request::{Arguments, Foreign, Limits, Next, Parser, Refused};
