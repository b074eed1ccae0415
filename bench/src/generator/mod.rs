//! Load that is cheaper than the servers it measures: no parsing, no copying of bodies, no sleeping between polls.

pub(crate) mod exchange;
pub(crate) mod h2load;
pub(crate) mod handshake;
pub(crate) mod http;
pub(crate) mod resp;
mod sealed;
pub(crate) mod smtp;
pub(crate) mod tls;
pub(crate) mod websocket;
