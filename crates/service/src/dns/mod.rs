//! What name servers say: the seam through which everybody of ours asks them.
//!
//! Knows no mail. Two stand behind it: [`System`], which asks real servers, and [`Table`], which knows by heart. An answer is
//! bounded by the 64 KiB that a DNS message can hold; how many questions are asked, and for how long, is bounded by who asks.

mod cache;
mod system;
mod table;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;

pub use system::{Servers, System, SystemError, Validation};
pub use table::Table;

/// Whom questions are asked.
pub trait Dns: Send + Sync + fmt::Debug {
    /// Asks for the records of one kind at a name, as people write it, with or without its last dot. Dropping the future drops
    /// the question.
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asked<'a>;

    /// The same, and whether somebody whom we trust has validated the answer. Whoever does not know says no.
    fn find<'a>(&'a self, name: &'a str, kind: Kind) -> Finding<'a> {
        Box::pin(async move { Ok(Found { records: self.ask(name, kind).await?, proof: Proof::None }) })
    }
}

/// A question under way.
pub type Asked<'a> = Pin<Box<dyn Future<Output = Result<Vec<Record>, Unanswered>> + Send + 'a>>;

/// The same question, answered with its proof.
pub type Finding<'a> = Pin<Box<dyn Future<Output = Result<Found, Unanswered>> + Send + 'a>>;

/// Records, and whether they are proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// In no order.
    pub records: Vec<Record>,
    /// Whether DNSSEC proves them.
    pub proof: Proof,
}

/// Whether somebody whom we trust has validated an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The name server that we trust says so (AD, RFC 4035 §3.2.3).
    Validated,
    /// Nobody says so.
    None,
}

/// What may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Addresses of IPv4.
    A,
    /// Addresses of IPv6.
    Aaaa,
    /// Who takes a domain's mail.
    Mx,
    /// Text.
    Txt,
    /// The name of an address.
    Ptr,
    /// Certificates (RFC 6698).
    Tlsa,
    /// Where a service is (RFC 2782).
    Srv,
    /// Which CAs may sign (RFC 8659).
    Caa,
}

/// One record of an answer; only such as were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An address of IPv4.
    A(Ipv4Addr),
    /// An address of IPv6.
    Aaaa(Ipv6Addr),
    /// Who takes a domain's mail, without the last dot; `.` itself is the empty name (RFC 7505).
    Mx {
        /// The least is tried first.
        preference: u16,
        /// The host.
        exchange: String,
    },
    /// Text, its strings made one (RFC 7208 §3.3).
    Txt(Vec<u8>),
    /// The name of an address, without the last dot.
    Ptr(String),
    /// A certificate.
    Tlsa(Tlsa),
    /// Where a service is (RFC 2782).
    Srv {
        /// The least is tried first.
        priority: u16,
        /// Of those of one priority, how often.
        weight: u16,
        /// The port.
        port: u16,
        /// The host, without the last dot.
        target: String,
    },
    /// Which CAs may sign (RFC 8659 §4.1).
    Caa {
        /// What is said.
        tag: String,
        /// Of whom.
        value: String,
    },
}

/// What a server's certificate must be (RFC 6698 §2.1).
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

/// Why there is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// There is no such name (NXDOMAIN), or it is none that could be.
    #[error("there is no such name")]
    NoSuchName,
    /// The name has no record of this kind.
    #[error("it has no such record")]
    NoRecords,
    /// Nobody could say: time is up, a server failed, or names stand for each other in a circle. Later it may be known.
    #[error("{0}")]
    Trouble(String),
}

impl Unanswered {
    /// Whether it is known that nothing is there: what RFC 7208 §4.6.4 calls a void look-up.
    pub fn is_void(&self) -> bool {
        matches!(self, Self::NoSuchName | Self::NoRecords)
    }
}

/// The name at which the name of an address is found (RFC 1035 §3.5, RFC 3596 §2.5).
pub fn reverse_name(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(_) => format!("{}.in-addr.arpa", reversed(address)),
        IpAddr::V6(_) => format!("{}.ip6.arpa", reversed(address)),
    }
}

/// The labels of an address from its last to its first: octets of IPv4, nibbles of IPv6 (RFC 5782 §2.1, §2.4).
pub fn reversed(address: IpAddr) -> String {
    let labels: Vec<String> = match address.to_canonical() {
        IpAddr::V4(address) => address.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(address) => {
            let nibbles = |octet: &u8| [format!("{:x}", octet & 15), format!("{:x}", octet >> 4)];
            address.octets().iter().rev().flat_map(nibbles).collect()
        }
    };
    labels.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_from_their_end() {
        let name = |address: &str| reverse_name(address.parse().unwrap());
        assert_eq!(name("192.0.2.1"), "1.2.0.192.in-addr.arpa");
        assert_eq!(name("::ffff:192.0.2.1"), "1.2.0.192.in-addr.arpa", "an address of IPv4 in other clothes");
        let expect = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(name("2001:db8::cb01"), expect);
    }
}
