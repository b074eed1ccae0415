//! Who is believed to ask, where a proxy stands in between.
//!
//! What a proxy says of its client counts only if the connection comes from one that was named; of several, each names the one before it,
//! and the first that is not trusted is believed to be the client. So a client cannot choose its address: what it wrote itself stands
//! left of what the proxies added. Bounded by the request's fields.

use std::net::{IpAddr, SocketAddr};

use sportello_wire::http1::field::Lines;

pub use crate::web::Says;
use crate::web::{Network, Request, Scheme};

/// The proxies that are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Where they are.
    pub proxies: Vec<Network>,
    /// Where they write what they know.
    pub says: Says,
}

impl Trust {
    /// Whether this is one of them.
    pub fn has(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.has(address))
    }

    /// The client's address.
    pub(super) fn address(&self, request: &Request) -> IpAddr {
        self.address_of(request.client.peer.ip(), &request.fields)
    }

    /// The address of the client that connected from `peer` and sent these fields.
    pub fn address_of(&self, peer: IpAddr, fields: &impl Lines) -> IpAddr {
        let peer = peer.to_canonical();
        let mut client = peer;
        if self.proxies.is_empty() || !self.has(peer) {
            return client;
        }
        let names: Vec<Option<IpAddr>> = match self.says {
            Says::XForwarded => elements(fields, "x-forwarded-for").map(address).collect(),
            Says::Forwarded => {
                elements(fields, "forwarded").map(|text| parameter(text, "for").and_then(address)).collect()
            }
        };
        for named in names.into_iter().rev() {
            // A name that is no address (RFC 7239 §6: `unknown`, `_hidden`) is where our knowledge ends.
            let Some(named) = named else { break };
            client = named.to_canonical();
            if !self.has(client) {
                break;
            }
        }
        client
    }

    /// Over what the client asked, as far as is known.
    pub(super) fn scheme(&self, request: &Request) -> Scheme {
        if request.scheme == Scheme::Https || !self.has(request.client.peer.ip()) {
            return request.scheme;
        }
        let said = match self.says {
            Says::XForwarded => elements(&request.fields, "x-forwarded-proto").last(),
            Says::Forwarded => elements(&request.fields, "forwarded").last().and_then(|text| parameter(text, "proto")),
        };
        if said.is_some_and(|said| said.eq_ignore_ascii_case("https")) { Scheme::Https } else { request.scheme }
    }
}

/// The elements of a list that may stand in several lines, in their order.
fn elements<'f>(fields: &'f impl Lines, name: &'f str) -> impl Iterator<Item = &'f str> {
    let lines = fields.values_of(name).map(|value| std::str::from_utf8(value).unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// RFC 7239 §4: `for="[2001:db8::1]:80";proto=https`.
fn parameter<'t>(element: &'t str, name: &str) -> Option<&'t str> {
    let pair = element
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .find(|(its, _)| its.trim().eq_ignore_ascii_case(name));
    pair.map(|(_, value)| value.trim().trim_matches('"'))
}

/// An address with or without brackets and port.
fn address(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    inner.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|place| place.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::request;

    #[test]
    fn the_first_who_is_not_trusted_is_the_client() {
        let trust = |proxies: &[&str], says| Trust {
            proxies: proxies.iter().map(|text| text.parse().unwrap()).collect(),
            says,
        };
        let near = trust(&["192.0.2.0/24", "10.0.0.0/8"], Says::XForwarded);
        let far = trust(&["198.51.100.0/24"], Says::XForwarded);
        let standard = trust(&["192.0.2.7"], Says::Forwarded);
        for (trust, fields, expect) in [
            (&near, &[][..], "192.0.2.7"),
            (&near, &[("x-forwarded-for", "203.0.113.9")], "203.0.113.9"),
            (&near, &[("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.1.1.1")], "203.0.113.9"),
            (&near, &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.9")], "203.0.113.9"),
            (&near, &[("x-forwarded-for", "1.1.1.1, nonsense, 10.1.1.1")], "10.1.1.1"),
            (&near, &[("x-forwarded-for", "10.1.1.1")], "10.1.1.1"),
            (&near, &[("x-forwarded-for", "203.0.113.9:4711")], "203.0.113.9"),
            (&near, &[("x-forwarded-for", "[2001:db8::1]:80")], "2001:db8::1"),
            (&near, &[("x-forwarded-for", "::ffff:203.0.113.9")], "203.0.113.9"),
            (&near, &[("forwarded", "for=203.0.113.9")], "192.0.2.7"),
            (&far, &[("x-forwarded-for", "203.0.113.9")], "192.0.2.7"),
            (&standard, &[("forwarded", "for=\"[2001:db8::1]:80\";proto=https")], "2001:db8::1"),
            (&standard, &[("forwarded", "for=1.1.1.1, For=203.0.113.9")], "203.0.113.9"),
            (&standard, &[("forwarded", "for=_hidden")], "192.0.2.7"),
            (&standard, &[("x-forwarded-for", "203.0.113.9")], "192.0.2.7"),
        ] {
            let mut asked = request("/");
            for (name, value) in fields {
                asked.fields.add(*name, *value).unwrap();
            }
            assert_eq!(trust.address(&asked).to_string(), expect, "{fields:?}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_says_that_it_was_encrypted() {
        let trusting = |proxy: &str, says| Trust { proxies: vec![proxy.parse().unwrap()], says };
        for (trust, name, value, expect) in [
            (trusting("192.0.2.7", Says::XForwarded), "x-forwarded-proto", "https", Scheme::Https),
            (trusting("192.0.2.7", Says::XForwarded), "x-forwarded-proto", "https, http", Scheme::Http),
            (trusting("192.0.2.8", Says::XForwarded), "x-forwarded-proto", "https", Scheme::Http),
            (trusting("192.0.2.7", Says::Forwarded), "forwarded", "for=1.2.3.4;proto=https", Scheme::Https),
            (Trust::default(), "x-forwarded-proto", "https", Scheme::Http),
        ] {
            let mut asked = request("/");
            asked.fields.add(name, value).unwrap();
            assert_eq!(trust.scheme(&asked), expect, "{name} {value}");
        }
    }
}
