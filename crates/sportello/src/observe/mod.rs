//! What is seen of the running server: the log, and the [`Picture`](sportello_service::picture::Picture) that STATUS, the
//! desk and `sportello status` show.
//!
//! Knows no protocol: a request is a verb, an object and an outcome. Bounded by: [`log::QUEUE`] blocks of lines that wait for
//! the writer of the log (what does not fit is counted, and the count is logged), and the sample of requests kept per worker.

pub mod access;
mod line;
pub mod log;
mod picture;
mod request;
mod request_line;
mod routes;
pub mod slow;
mod threads;

pub use picture::{About, Observatory, View};
pub use request::{Done, Recorder, Samples, answered};
pub use routes::{Route, Routes, routes_of};
