//! Mail that goes out: what is sent when, and what its senders are told.
//!
//! Knows no DNS, no TLS and no SMTP: those are behind [`Carrier`].

pub mod carrier;

pub use carrier::{Batch, Carried, Carrier, Destination, Fate, Recipient};
