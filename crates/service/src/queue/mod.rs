//! Mail that goes out: what is sent when, and what its senders are told.
//!
//! The [`Dispatcher`] leases from the store what is due, destination by destination, lets a [`Carrier`] carry it, and
//! settles what came of it together with the report to the sender. Knows no DNS, no TLS and no SMTP (those are behind
//! [`Carrier`]), nothing of who has which address (that is the [`House`]'s). Bounded by: lanes in all and of one
//! destination, connections that are kept, recipients and bytes as the store has them.

pub mod carrier;
mod decide;
mod dispatch;
mod figures;
mod house;
mod lanes;
mod report;
mod schedule;
mod trip;

pub use carrier::{Batch, Carried, Carrier, Destination, Fate, Recipient};
pub use dispatch::{Dispatcher, Settings};
pub use figures::{Counted, Figures};
pub use house::{Home, House};
pub use schedule::Schedule;

#[cfg(test)]
mod tests;
