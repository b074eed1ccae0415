//! Sportello as a library: what `main` wires together, reachable for integration tests and fuzzing.
//!
//! Promises nothing to other crates: the program is the product, and this page changes with it.

#![forbid(unsafe_code)]
// Hardly anything is exported: `pub` here says, as in the other crates, what a module's page is.
#![allow(unreachable_pub)]

pub mod acme;
pub mod announce;
mod carried;
pub mod cli;
pub mod config;
pub mod current;
pub mod encryption;
pub(crate) mod generation;
mod introduction;
pub mod observe;
pub(crate) mod opened;
pub mod protocol;
pub mod queue;
pub mod reload;
mod renewal;
pub mod server;
pub mod socket;
pub mod stop;
