//! SMTP.

pub mod client;
