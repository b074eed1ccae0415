//! How bytes become requests: one session loop per protocol.
//!
//! A session owns its connection, asks services with values, and writes what they answer. It knows one protocol and no other.

pub mod command;
pub mod http;
pub mod smtp;
