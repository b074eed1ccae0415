//! What executes a request: files, proxy, desk, mailbox, run.
//!
//! A service never holds a client's connection and knows no channel. It is given values, and returns values or a
//! [`failure::Failure`].

#![forbid(unsafe_code)]

pub mod accounts;
pub mod certificates;
pub mod chance;
pub mod clock;
pub mod compress;
pub mod conversations;
pub mod desk;
pub mod directory;
pub mod dkim;
pub mod dns;
pub mod failure;
pub mod fastcgi;
pub mod figure;
pub mod files;
pub mod judge;
pub mod mailbox;
pub mod media;
pub mod outbound;
pub mod page;
pub mod picture;
pub mod proxy;
pub mod published;
pub mod queue;
pub mod run;
pub mod site;
pub mod spool;
pub mod status;
pub mod web;
