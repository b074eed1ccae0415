//! Hostile input: one target for each parser and for each whole session.
//!
//! A target is a function of some bytes that panics when a property does not hold: the same input in other pieces gives the same
//! result, what is written is read back as it was, nothing is consumed that was not given, every bound holds. Two drivers call
//! them: `cargo xtask fuzz` searches for inputs by coverage (`bin/search.rs`), and `cargo xtask test` plays the kept corpus and
//! a fixed number of mutations of it (`tests/short.rs`). Sessions run on the simulated clock of `sportello_net::simulation`.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a panic is what a target finds")]

mod config;
pub mod corpus;
mod fastcgi;
mod http;
mod http_client;
mod mail;
mod mail_files;
pub mod mutation;
mod pieces;
mod proxy_protocol;
mod resp;
mod routes;
#[cfg(feature = "sessions")]
mod session;
mod smtp;
mod smtp_client;

/// One thing that is fuzzed.
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Panics when a property does not hold.
    pub run: fn(&[u8]),
    /// The longest input that is tried.
    pub longest: usize,
}

const fn target(name: &'static str, run: fn(&[u8]), longest: usize) -> Target {
    Target { name, run, longest }
}

/// All targets, the parsers first.
pub const TARGETS: &[Target] = &[
    target("http_head", http::head, 4096),
    target("http_body", http::body, 4096),
    target("http_target", http::target, 1024),
    target("http_conditions", http::conditions, 1024),
    target("http_codings", http::codings, 256),
    target("http_client", http_client::answer, 4096),
    target("http_client_request", http_client::request, 512),
    target("fastcgi_answer", fastcgi::answer, 2048),
    target("fastcgi_head", fastcgi::cgi_head, 512),
    target("fastcgi_request", fastcgi::request, 2048),
    target("smtp_commands", smtp::commands, 4096),
    target("smtp_text", smtp::text, 4096),
    target("smtp_wire", smtp::wire, 4096),
    target("smtp_submission", smtp::submission, 4096),
    target("smtp_client", smtp::client, 4096),
    target("smtp_client_session", smtp_client::session, 2048),
    target("mail_address", mail::address, 512),
    target("mail_header", mail::header, 4096),
    target("mail_words", mail::words, 1024),
    target("mail_date", mail::date, 256),
    target("mail_mbox", mail_files::mbox, 4096),
    target("mail_names", mail_files::names, 512),
    target("mailbox", mail::mailbox, 4096),
    target("proxy_protocol", proxy_protocol::header, 512),
    target("resp_request", resp::request, 4096),
    target("resp_reply", resp::reply, 2048),
    target("resp_client", resp::client, 4096),
    target("config", config::file, 2048),
    target("routes", routes::target, 1024),
    #[cfg(feature = "sessions")]
    target("session_http_folder", session::http::folder_session, 2048),
    #[cfg(feature = "sessions")]
    target("session_http_desk", session::http::desk, 2048),
    #[cfg(feature = "sessions")]
    target("session_smtp", session::smtp::store, 2048),
    #[cfg(feature = "sessions")]
    target("session_command", session::command::builtins, 2048),
];

/// The target of that name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Tells the name and the longest input of each target, one on a line.
pub fn list() {
    let line = |target: &Target| format!("{} {}\n", target.name, target.longest);
    let lines: String = TARGETS.iter().map(line).collect();
    // Nobody may be there to read it.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), lines.as_bytes());
}

/// Removes the folders that the sessions of this process had. To be called at its end.
#[cfg(feature = "sessions")]
pub fn clean() {
    session::clean();
}

/// Whether this process was started to be the spawner of another one's command sessions: then [`spawner`] is all it does.
pub fn is_spawner() -> bool {
    sportello_service::run::spawner::asked_for()
}

/// Is the spawner until the other process ends.
pub fn spawner() {
    let _ = sportello_service::run::spawner::main();
}
