//! Bytes ⇄ values.
//!
//! Opens nothing, waits for nothing, reads no clock, starts no thread: every protocol here can be driven by a transcript, a
//! fuzzer or a simulated clock. What a front and a back end could read in two ways is refused, not repaired.

#![forbid(unsafe_code)]

pub mod date;
pub mod fastcgi;
pub mod http1;
pub mod international;
pub mod mail;
pub mod proxy_protocol;
pub mod resp;
pub mod sasl;
pub mod smtp;
