//! What a service says when it cannot do what it was asked.
//!
//! Knows no protocol: `sportello::protocol::status` holds the one table that turns a [`Class`] into an HTTP status, an SMTP
//! reply and a RESP error.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// Why a request failed, as any protocol can say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The request cannot be understood or contradicts itself.
    BadRequest,
    /// Nothing of that name is here.
    NotFound,
    /// It is here, and this peer may not have it.
    Forbidden,
    /// The peer must say who it is first.
    Unauthenticated,
    /// A bound on size was passed.
    TooLarge,
    /// All places are taken and the queue is full; the same request may work later.
    Busy,
    /// The request took longer than it may.
    TimedOut,
    /// A program asked for the request to be tried again (EX_TEMPFAIL, 75).
    TryAgain,
    /// There is no room on the disk.
    DiskFull,
    /// The store refuses writes until it is reopened.
    StoreFailed,
    /// The request is understood and this server does not do it.
    Unsupported,
    /// A fault of ours.
    Internal,
}

/// A request that failed: its class, what the peer may read, and what only the log gets.
#[derive(Debug)]
pub struct Failure {
    /// Why, in one word.
    pub class: Class,
    /// A sentence for the peer; it reveals no path, address or text of the machine's own.
    pub public: Cow<'static, str>,
    /// The cause, logged once where the failure is answered.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Failure {
    /// A failure without an inner cause.
    pub fn new(class: Class, public: impl Into<Cow<'static, str>>) -> Self {
        Self { class, public: public.into(), source: None }
    }

    /// A fault of ours: the peer reads only that it happened, the log reads why.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { class: Class::Internal, public: "internal error".into(), source: Some(source.into()) }
    }

    /// The same failure with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.public)
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
