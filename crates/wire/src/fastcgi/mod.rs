//! FastCGI 1.0 as bytes: what a web server sends to an application, and what it gets back.
//!
//! Only the role of a responder is spoken, one request at a time on a connection ([`REQUEST`]): that is what applications such as PHP
//! understand. Knows no socket, no file and no clock, and not what the parameters mean. Strict in what comes back: a record that was not
//! asked for, or that does not belong to the request, is refused with an [`answer::Error`], and the connection is of no use afterwards.
//! Bounded by: 16 bits for the length of a record, [`head::Limits`] for the head of an answer; nothing else is gathered.

pub mod answer;
pub mod head;
pub mod pairs;
pub mod request;

/// The number of the one request on a connection (FastCGI 1.0 §3.3: not 0, which is the connection's own).
pub const REQUEST: u16 = 1;

/// The most content of one record (§3.3: a length of 16 bits).
pub const RECORD_MOST: usize = 0xffff;

/// The bytes before the content of a record (§3.3).
const HEADER: usize = 8;

/// The version of the protocol (§8).
const VERSION: u8 = 1;

/// The types of records that are sent or understood here (§8).
mod kind {
    pub(super) const BEGIN_REQUEST: u8 = 1;
    pub(super) const END_REQUEST: u8 = 3;
    pub(super) const PARAMS: u8 = 4;
    pub(super) const STDIN: u8 = 5;
    pub(super) const STDOUT: u8 = 6;
    pub(super) const STDERR: u8 = 7;
}
