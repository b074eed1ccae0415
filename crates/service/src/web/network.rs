//! A range of IP addresses, as access rules and trust are written (RFC 4632 §3.1): `10.0.0.0/8`, `2001:db8::/32`, or one address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// All addresses that begin with the same bits. An IPv4 address in IPv6 clothing (RFC 4291 §2.5.5.2) is the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

/// What is no [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadNetwork {
    /// Neither an address nor a range.
    #[error("expected an IP address or a range such as 10.0.0.0/8")]
    Form,
    /// More bits than an address has.
    #[error("an IPv4 prefix has 0 to 32 bits, an IPv6 prefix 0 to 128")]
    Prefix,
    /// Bits behind the prefix are set: one end or the other is not what was meant.
    #[error("the address has bits behind its prefix; write the first address of the range")]
    HostBits,
}

/// The fields in which a proxy names its client: one family alone, since the other may be the client's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Says {
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and the like.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl Says {
    /// Whether a field of this name, in lower case, is one of them. No proxy writes such a name with underscores.
    pub fn names(self, field: &str) -> bool {
        match self {
            Self::XForwarded => field.starts_with("x-forwarded-") && !field.contains('_'),
            Self::Forwarded => field == "forwarded",
        }
    }
}

impl Network {
    /// Whether `address` lies in it.
    pub fn has(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => first == address & mask4(self.prefix),
            (IpAddr::V6(first), IpAddr::V6(address)) => first == address & mask6(self.prefix),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(written: &str) -> Result<Self, BadNetwork> {
        let (address, prefix) = match written.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (written, None),
        };
        let first: IpAddr = address.parse().map_err(|_| BadNetwork::Form)?;
        let bits = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(text) if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(BadNetwork::Form);
            }
            Some(text) => text.parse().ok().filter(|&prefix: &u8| prefix <= bits).ok_or(BadNetwork::Prefix)?,
        };
        let whole = match first {
            IpAddr::V4(first) => first & mask4(prefix) == first,
            IpAddr::V6(first) => first & mask6(prefix) == first,
        };
        if !whole {
            return Err(BadNetwork::HostBits);
        }
        match first {
            // ::ffff:0:0/96 and what lies in it holds IPv4 addresses.
            IpAddr::V6(mapped) if prefix >= 96 && mapped.to_ipv4_mapped().is_some() => {
                Ok(Self { first: first.to_canonical(), prefix: prefix.saturating_sub(96) })
            }
            _ => Ok(Self { first, prefix }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.first, self.prefix)
    }
}

fn mask4(prefix: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::MAX.checked_shl(32u32.saturating_sub(prefix.into())).unwrap_or(0))
}

fn mask6(prefix: u8) -> Ipv6Addr {
    Ipv6Addr::from_bits(u128::MAX.checked_shl(128u32.saturating_sub(prefix.into())).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_its_addresses_and_no_others() {
        for (range, inside, outside) in [
            (
                "10.0.0.0/8",
                &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"][..],
                &["11.0.0.0", "9.255.255.255", "::1"][..],
            ),
            ("192.0.2.7", &["192.0.2.7"], &["192.0.2.6", "192.0.2.8"]),
            ("0.0.0.0/0", &["1.2.3.4"], &["::1"]),
            ("::/0", &["::1"], &["1.2.3.4", "::ffff:1.2.3.4"]),
            ("2001:db8::/33", &["2001:db8:7fff::"], &["2001:db8:8000::"]),
            ("::ffff:10.0.0.0/104", &["10.1.1.1"], &["11.0.0.0"]),
        ] {
            let network: Network = range.parse().unwrap();
            assert!(inside.iter().all(|address| network.has(address.parse().unwrap())), "{range}");
            assert!(!outside.iter().any(|address| network.has(address.parse().unwrap())), "{range}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for (written, expect) in [
            ("", BadNetwork::Form),
            ("10.0.0", BadNetwork::Form),
            ("10.0.0.0/", BadNetwork::Form),
            ("10.0.0.0/+8", BadNetwork::Form),
            ("10.0.0.0/33", BadNetwork::Prefix),
            ("::/129", BadNetwork::Prefix),
            ("::/999", BadNetwork::Prefix),
            ("10.0.0.1/8", BadNetwork::HostBits),
            ("2001:db8::1/64", BadNetwork::HostBits),
        ] {
            assert_eq!(written.parse::<Network>(), Err(expect), "{written}");
        }
    }
}
