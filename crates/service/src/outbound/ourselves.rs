//! Who we are, so that mail is never sent to ourselves, nor into the house that we stand in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::web::Network;

/// Our names and where we listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ourselves {
    names: Vec<String>,
    listens: Vec<SocketAddr>,
}

impl Ourselves {
    /// Nobody: for tests.
    #[cfg(test)]
    pub(super) const NOBODY: Self = Self { names: Vec::new(), listens: Vec::new() };

    /// Called by these names, at these sockets; an unspecified address is each of the machine's.
    pub fn new(names: &[String], listens: &[SocketAddr]) -> Self {
        Self { names: names.iter().map(|name| name.to_ascii_lowercase()).collect(), listens: listens.to_vec() }
    }

    pub(super) fn is_named(&self, host: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(host.trim_end_matches('.')))
    }

    /// Whether whoever connects there from `local`, if that is known, meets us. A connection to an address of one's own machine comes from that address.
    pub(super) fn is_at(&self, peer: SocketAddr, local: Option<IpAddr>) -> bool {
        let address = peer.ip().to_canonical();
        self.listens.iter().any(|listen| {
            let ours = listen.ip().to_canonical();
            let same =
                ours == address || (ours.is_unspecified() && local.map(|local| local.to_canonical()) == Some(address));
            listen.port() == peer.port() && same
        })
    }
}

/// Whether mail may go to an address that a stranger's DNS names: one of the Internet, or one that is allowed.
pub(super) fn may_be_dialled(address: IpAddr, allowed: &[Network]) -> bool {
    let is_public = match address.to_canonical() {
        IpAddr::V4(address) => is_public4(address),
        IpAddr::V6(address) => is_public6(address),
    };
    is_public || allowed.iter().any(|network| network.has(address))
}

/// RFC 6890 §2.2.2; the networks for documentation lead nowhere by themselves.
fn is_public4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    !(first == 0
        || first >= 240
        || is_shared
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast())
}

/// RFC 6890 §2.2.3; an IPv4 address in one of IPv6 (RFC 6052 §2.1, RFC 3056) is judged by itself.
fn is_public6(address: Ipv6Addr) -> bool {
    let embedded = match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    let embedded = embedded.map(|(high, low)| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    let is_old_compatible = address.segments().starts_with(&[0; 6]);
    !(is_old_compatible
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || embedded.is_some_and(|embedded| !is_public4(embedded)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_dialled() {
        for public in [
            "192.0.3.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.32.0.1",
            "2606:4700::1",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(may_be_dialled(public.parse().unwrap(), &[]), "{public}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.2",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fd00::1",
            "fc00::1",
            "ff02::1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::1",
        ] {
            let address = private.parse().unwrap();
            assert!(!may_be_dialled(address, &[]), "{private}");
            assert!(may_be_dialled(address, &["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]), "{private}");
        }
        let allowed = ["127.0.0.2/31".parse().unwrap()];
        assert!(may_be_dialled("::ffff:127.0.0.3".parse().unwrap(), &allowed));
        assert!(!may_be_dialled("127.0.0.4".parse().unwrap(), &allowed));
    }

    #[test]
    fn we_know_ourselves_by_name_and_by_socket() {
        let ourselves = Ourselves::new(
            &["MX.here.example".to_owned()],
            &["127.0.0.2:25".parse().unwrap(), "[::]:26".parse().unwrap()],
        );
        assert!(ourselves.is_named("mx.HERE.example.") && !ourselves.is_named("here.example"));
        let at = |peer: &str, local: Option<&str>| {
            ourselves.is_at(peer.parse().unwrap(), local.map(|local| local.parse().unwrap()))
        };
        assert!(at("127.0.0.2:25", None) && at("[::ffff:127.0.0.2]:25", None));
        assert!(!at("127.0.0.3:25", None) && !at("127.0.0.2:26", None));
        assert!(
            at("192.0.2.7:26", Some("192.0.2.7"))
                && !at("192.0.2.7:26", Some("192.0.2.8"))
                && !at("192.0.2.7:26", None)
        );
    }
}
