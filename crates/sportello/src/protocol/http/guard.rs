//! What keeps a website in someone's browser away from a channel on loopback.
//!
//! A page of `evil.example` whose name is rebound to 127.0.0.1 would be of the same origin as what is served here, and could
//! read it. So a loopback channel answers only to names that can mean nothing but this machine, and to pages of such names.

use std::rc::Rc;

use sportello_net::tls::{Secured, Terms};
use sportello_service::site::Site;
use sportello_wire::http1::Head;
use sportello_wire::http1::field::{Fields, Known, Lines};
use sportello_wire::http1::target::Host;

use super::sites::{Choice, Sites, canonical};

/// A request that is not for what is served here, or that another website may have begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It names a host that is not this machine: 421 (RFC 9110 §15.5.20).
    Host,
    /// A page of another origin sends it: 403.
    Origin,
    /// It names a host that is no site of this channel: 421.
    Site,
    /// It names a host whose clients are asked for other certificates than those of the name that the connection was made for: 421.
    Connection,
    /// It names no host (HTTP/1.0), and there is no site for such: 404.
    Nameless,
}

/// Whether a channel listens on loopback, and so answers to this machine alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It does.
    Loopback,
    /// It is reached from other machines too.
    Network,
}

/// Whether a connection that was secured so may ask for this host: its clients must be asked for the same certificates as those of the
/// name that the handshake was for (RFC 9110 §7.4). `terms` are there only where not all are asked the same.
pub fn asked_alike(terms: Option<&Terms>, secured: Option<&Secured>, named: Option<Host<'_>>) -> Result<(), Foreign> {
    let (Some(terms), Some(secured)) = (terms, secured) else { return Ok(()) };
    let named = named.map(canonical);
    if terms.asks_the_same(secured.name.as_deref(), named.as_deref()) { Ok(()) } else { Err(Foreign::Connection) }
}

/// What a request says of whom it is for and who began it.
#[derive(Clone, Copy)]
pub struct Claim<'a, L> {
    /// The authority as it was written; empty where there is none.
    pub host: &'a [u8],
    /// The host in it.
    pub named: Option<Host<'a>>,
    /// The fields, where an Origin may be among them.
    pub origins: Option<&'a L>,
}

impl<'a> Claim<'a, Fields<'a>> {
    /// What this head says.
    pub fn of(head: &'a Head<'a>) -> Self {
        let origins = head.present.has(Known::Origin).then_some(&head.fields);
        Self { host: head.host, named: head.named, origins }
    }
}

impl<L: Lines> Claim<'_, L> {
    fn comes_from(&self, is_own: impl Fn(&[u8]) -> bool) -> bool {
        self.origins.is_none_or(|lines| lines.values_of("origin").all(is_own))
    }
}

/// The site that answers a request which came over a channel of this reach. Over loopback, beside this machine's names those
/// that were configured are its own: they cannot be another website's.
pub fn site<L: Lines>(claim: &Claim<'_, L>, reach: Reach, sites: &Sites) -> Result<Rc<Site>, Foreign> {
    match sites.choose(claim.host, claim.named) {
        Choice::Named(site) => {
            let is_own =
                |origin: &[u8]| is_loopback_origin(origin) || origin_host(origin).is_some_and(|host| sites.bears(host));
            if reach == Reach::Loopback && !claim.comes_from(is_own) {
                return Err(Foreign::Origin);
            }
            Ok(site)
        }
        Choice::Default(site) => admit(claim, reach).map(|()| site),
        Choice::None => {
            admit(claim, reach)?;
            Err(if claim.named.is_some() { Foreign::Site } else { Foreign::Nameless })
        }
    }
}

/// Checks Host and Origin of a request that came over a channel of this reach.
pub(super) fn admit<L: Lines>(claim: &Claim<'_, L>, reach: Reach) -> Result<(), Foreign> {
    if reach == Reach::Network {
        return Ok(());
    }
    // HTTP/1.0 may name no host; a browser always does.
    if claim.named.is_some_and(|host| !host.is_loopback()) {
        return Err(Foreign::Host);
    }
    if !claim.comes_from(is_loopback_origin) {
        return Err(Foreign::Origin);
    }
    Ok(())
}

/// RFC 6454 §7: scheme, host, port; or `null`, which is no one's.
fn origin_host(origin: &[u8]) -> Option<Host<'_>> {
    let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    authority.and_then(Host::parse)
}

fn is_loopback_origin(origin: &[u8]) -> bool {
    origin_host(origin).is_some_and(Host::is_loopback)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use sportello_net::tls::{Certificates, Client, Settings, Tickets};
    use sportello_service::certificates::credential::authorities;
    use sportello_wire::http1::head::{Limits, parse};

    use super::*;
    use crate::protocol::http::SiteName;

    #[test]
    fn a_host_in_whatever_form_is_found_among_those_that_ask_for_something_else() {
        let authorities = authorities(include_bytes!("../../../tests/certificates/clients-ca.pem")).unwrap();
        let alike = |configured: &str, shaken: Option<&str>, host: &str| {
            let client = Client::MayShow(authorities.clone());
            let clients = HashMap::from([(SiteName::parse(configured).unwrap().to_string(), Client::Anyone)]);
            let settings = Settings { client, clients, ..Settings::default() };
            let terms = Terms::new(&Certificates::default(), &settings, &[], &Tickets::default()).unwrap();
            let secured = Secured {
                name: shaken.map(str::to_owned),
                protocol: None,
                version: "TLSv1.3",
                suite: String::new(),
                resumed: false,
                client: None,
            };
            asked_alike(Some(&terms), Some(&secured), Host::parse(host.as_bytes())).is_ok()
        };
        for (configured, hosts) in [
            ("[::1]", &["[::1]", "[0:0:0:0:0:0:0:1]:443"][..]),
            ("[2001:DB8::1]", &["[2001:db8::1]", "[2001:0DB8::0001]"]),
            ("[::ffff:192.0.2.1]", &["[::ffff:192.0.2.1]", "[::ffff:c000:201]"]),
            ("127.0.0.1", &["127.0.0.1", "127.0.0.1:80"]),
            ("A.test.", &["a.test", "A.TEST.:1"]),
            ("*.w.test", &["x.w.test", "y.x.W.test."]),
        ] {
            for host in hosts {
                for shaken in [None, Some("other.test")] {
                    assert!(!alike(configured, shaken, host), "{host} over {shaken:?} reaches {configured}");
                    assert!(alike("z.test", shaken, host), "{host} over {shaken:?} is z.test");
                }
            }
        }
        assert!(alike("a.test", Some("a.test"), "A.test.") && alike("a.test", None, "b.test"));
    }

    #[test]
    fn only_this_machine_is_admitted_over_loopback() {
        for (fields, expect) in [
            ("Host: localhost:8080", Ok(())),
            ("Host: 127.0.0.1", Ok(())),
            ("Host: [::1]:8025", Ok(())),
            ("Host: evil.example", Err(Foreign::Host)),
            ("Host: localhost.evil.example", Err(Foreign::Host)),
            ("Host: 192.168.0.1", Err(Foreign::Host)),
            ("Host: localhost\r\nOrigin: http://localhost:3000", Ok(())),
            ("Host: localhost\r\nOrigin: https://[::1]", Ok(())),
            ("Host: localhost\r\nOrigin: null", Err(Foreign::Origin)),
            ("Host: localhost\r\nOrigin: http://evil.example", Err(Foreign::Origin)),
            ("Host: localhost\r\nOrigin: http://localhost@evil.example", Err(Foreign::Origin)),
            ("Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example", Err(Foreign::Origin)),
            ("Host: evil.example\r\nOrigin: http://evil.example", Err(Foreign::Host)),
        ] {
            let input = format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n");
            let head = parse(input.as_bytes(), &Limits::default()).unwrap().unwrap();
            assert_eq!(admit(&Claim::of(&head), Reach::Loopback), expect, "{fields}");
            assert_eq!(admit(&Claim::of(&head), Reach::Network), Ok(()), "{fields}");
        }
        let absolute = b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let head = parse(absolute, &Limits::default()).unwrap().unwrap();
        assert_eq!(admit(&Claim::of(&head), Reach::Loopback), Err(Foreign::Host));
        let old = parse(b"GET / HTTP/1.0\r\n\r\n", &Limits::default()).unwrap().unwrap();
        assert_eq!(admit(&Claim::of(&old), Reach::Loopback), Ok(()));
    }
}
