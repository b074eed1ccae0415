//! What a service says when it cannot do what it was asked.
//!
//! Knows no protocol: [`status::said`](crate::status::said) is the one table that turns a [`Class`] into an HTTP status, an SMTP
//! reply and a RESP error. What the store refuses becomes a [`Class`] here, and nowhere else.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use sportello_store::Error as StoreError;

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
    /// There is another by that name.
    Conflict,
    /// A mailbox has as much as its account may have.
    MailboxFull,
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

impl From<&StoreError> for Class {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::DiskFull => Self::DiskFull,
            StoreError::Failed(_) | StoreError::Closed => Self::StoreFailed,
            StoreError::Busy => Self::Busy,
            StoreError::TimedOut => Self::TimedOut,
            StoreError::TooMany { .. } => Self::TooLarge,
            StoreError::Taken => Self::Conflict,
            StoreError::NoMailbox | StoreError::NoAccount => Self::NotFound,
            StoreError::OverQuota => Self::MailboxFull,
            StoreError::Spoiled | StoreError::Refused(_) | StoreError::Damaged(_) | StoreError::Io { .. } => {
                Self::Internal
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let class = Class::from(&error);
        let public: Cow<'static, str> = match &error {
            StoreError::DiskFull => "there is no room on the disk".into(),
            StoreError::Failed(_) => "the store takes no changes until the server is started again".into(),
            StoreError::Closed => "the store is closed".into(),
            StoreError::Busy => "the store is busy; try again".into(),
            StoreError::TimedOut => "the store took too long".into(),
            // Its words are ours, and its number is a bound that the manual may name.
            StoreError::TooMany { .. }
            | StoreError::Taken
            | StoreError::NoMailbox
            | StoreError::NoAccount
            | StoreError::OverQuota => error.to_string().into(),
            StoreError::Spoiled | StoreError::Refused(_) | StoreError::Damaged(_) | StoreError::Io { .. } => {
                return Self::internal(error);
            }
        };
        Self::new(class, public).because(error)
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
