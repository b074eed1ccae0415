//! One address, many channels: listening, accepting, reading and writing, with a bound on each.
//!
//! Knows no protocol. It gives a [`Connection`] to whoever serves the channel, on the worker where the connection lives and
//! dies, and keeps for every open connection what people ask about it: who, since when, doing what, how its TCP fares.
//!
//! Bounded by: connections in all, per channel and per source ([`limit`]); every wait for a peer ([`deadline`]); 16 KiB of
//! buffer per connection while a request is under way, none while it idles ([`buffer`]).

#![deny(unsafe_code)]

mod accept;
pub mod ban;
pub mod buffer;
pub mod channel;
pub mod connection;
pub mod counters;
pub mod deadline;
mod lane;
pub mod limit;
mod listener;
mod port;
pub mod rate;
mod registry;
mod renew;
pub mod share;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
mod socket_file;
mod sys;
pub mod tcp_info;
pub mod tls;
pub mod worker;

pub use buffer::Buffer;
pub use channel::{Channel, Speaker};
pub use connection::{Connection, Credentials, Ended, Failed, Moved, Pace, Patience, Stream, UNIX_PEER, Wants};
pub use deadline::{Deadline, Deadlines};
pub use listener::{BindError, Listener};
pub use registry::ConnectionReport;
pub use renew::{ChannelReport, Next, RenewError};
pub use socket_file::PathError;
pub use sys::{close_on_exec_from, watch_for};
pub use tcp_info::TcpInfo;
pub use worker::{Serve, Workers};
