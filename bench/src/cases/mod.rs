//! The figures of issue 2: what is loaded, against whom, and what is wanted of the ratio.

pub(crate) mod build;
pub(crate) mod http;
pub(crate) mod mail;
pub(crate) mod memory;
pub(crate) mod ping;

use crate::error::Error;
use crate::harness::Harness;
use crate::result::Finding;

/// One row of the table.
pub(crate) struct Case {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) run: fn(&Harness) -> Result<Finding, Error>,
    pub(crate) when: When,
}

/// Whether `all` means it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// Only when named: it is a second look at another case, or takes minutes.
    Asked,
}

/// All there are, in the order of the table.
pub(crate) const CASES: &[Case] = &[
    case("http-1k", "HTTP 1 KiB, kept connections (32)", http::small),
    case("http-1k-pipelined", "HTTP 1 KiB, 16 pipelined (32 connections)", http::pipelined),
    case("http-1k-new", "HTTP 1 KiB, new connection each (32 at a time)", http::new_each),
    case("http-256k", "HTTP 256 KiB, kept connections (32)", http::large),
    case("ping", "PING, 50 connections", ping::plain),
    case("ping-pipelined", "PING, 16 pipelined, 50 connections", ping::pipelined),
    case("mail-1", "SMTP 4 KiB, 1 session", mail::one),
    case("mail-16", "SMTP 4 KiB, 16 sessions", mail::sixteen),
    case("mail-64", "SMTP 4 KiB, 64 sessions", mail::sixty_four),
    asked("mail-kept-1", "SMTP 4 KiB, 1 session, kept for many mails", mail::kept_one),
    asked("mail-kept-16", "SMTP 4 KiB, 16 sessions, kept for many mails", mail::kept_sixteen),
    asked("mail-kept-64", "SMTP 4 KiB, 64 sessions, kept for many mails", mail::kept_sixty_four),
    case("memory-start", "resident at start", memory::start),
    case("memory-idle", "memory per idle kept HTTP connection", memory::idle),
    case("memory-senders", "peak resident, 1,000 senders of 5 MiB", memory::senders),
    asked("build-time", "clean release build", build::clean),
];

const fn case(name: &'static str, title: &'static str, run: fn(&Harness) -> Result<Finding, Error>) -> Case {
    Case { name, title, run, when: When::Always }
}

const fn asked(name: &'static str, title: &'static str, run: fn(&Harness) -> Result<Finding, Error>) -> Case {
    Case { name, title, run, when: When::Asked }
}
