//! What mail needs to know of the DNS, and whether the answer was validated.
//!
//! Knows nothing of mail. [`Resolve`] has two implementations: a name server that is asked ([`NameServers`]), and a table for tests.
//! Bounded by: [`RECORDS_MOST`] of an answer, [`ALIASES_MOST`] names that stand for others, and each implementation's time.

mod cache;
mod name_servers;
#[cfg(test)]
pub(crate) mod table;

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use thiserror::Error;

pub use name_servers::{BadServers, NameServers, Servers, Validation};

/// Answers questions.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The records of this kind that `name` has, over its aliases. `name` is in A-labels, without a dot at its end. A name that does not
    /// exist has none.
    ///
    /// # Errors
    /// When nobody knows: it is worth asking again later.
    fn records<'a>(&'a self, name: &'a str, kind: Kind) -> Answer<'a>;
}

/// An answer that is being waited for.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Found, Unknown>> + Send + 'a>>;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Who takes mail.
    Mx,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Texts.
    Txt,
    /// Certificates (RFC 6698).
    Tlsa,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Who takes mail, and how gladly: less is more.
    Mx(u16, String),
    /// An address.
    Address(IpAddr),
    /// A text, its strings joined.
    Text(Vec<u8>),
    /// A certificate.
    Tlsa(Tlsa),
}

/// RFC 6698 §2.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// 0: constrains the CA; 1: constrains the certificate; 2: is the authority; 3: is the certificate.
    pub usage: u8,
    /// 0: the certificate; 1: its key.
    pub selector: u8,
    /// 0: itself; 1: its SHA-256; 2: its SHA-512.
    pub matching: u8,
    /// To be compared with.
    pub data: Vec<u8>,
}

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// In no order.
    pub records: Vec<Record>,
    /// Whether DNSSEC proves it.
    pub proof: Proof,
    /// For how long it holds.
    pub valid: Duration,
}

/// Whether somebody whom we trust has validated an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The name server that we trust says so (AD, RFC 4035 §3.2.3).
    Validated,
    /// Nobody says so.
    None,
}

/// Nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unknown {
    /// No server answers, or it answers that it cannot.
    #[error("the DNS does not answer for {0}: {1}")]
    NoAnswer(String, String),
    /// Names that stand for each other.
    #[error("{0} is an alias that leads nowhere")]
    Circle(String),
    /// It is no name.
    #[error("{0} is no name that the DNS could know")]
    Name(String),
}

/// The most records of an answer that are looked at.
pub const RECORDS_MOST: usize = 1_000;
/// The most aliases that are followed.
pub const ALIASES_MOST: usize = 8;

impl Found {
    /// There is nothing.
    pub(crate) fn nothing(valid: Duration) -> Self {
        Self { records: Vec::new(), proof: Proof::None, valid }
    }
}
