//! SMTP (RFC 5321): the server's side of a session, and what a client reads.

pub mod client;
pub mod server;
