//! Load that is cheaper than the servers it measures: no parsing, no copying of bodies, no sleeping between polls.

pub(crate) mod exchange;
pub(crate) mod http;
pub(crate) mod resp;
pub(crate) mod smtp;
