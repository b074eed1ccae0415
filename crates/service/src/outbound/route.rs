//! Which servers take a domain's mail, in which order (RFC 5321 §5.1).
//!
//! Bounded by [`HOSTS_MOST`], whatever a domain says.

use std::net::IpAddr;

use rustls::crypto::aws_lc_rs;
use thiserror::Error;

use super::lookup::{Unknown, records};
use super::ourselves::Ourselves;
use crate::dns::{Dns, Kind, Proof, Record};

/// The servers, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) hosts: Vec<Host>,
    /// Whether DNSSEC proves that these are they.
    pub(super) proof: Proof,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// By name, in A-labels and lower case.
    Name(String),
    /// By address: the domain is a literal.
    Literal(IpAddr),
}

/// There is no way.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum NoRoute {
    /// RFC 7505: it says so itself.
    #[error("{0} takes no mail: it says so by a null MX")]
    Null(String),
    /// Neither mail servers nor addresses.
    #[error("{0} has no mail server and no address: it is misspelt, or it does not exist")]
    Nobody(String),
    /// RFC 5321 §5.1: mail that came to us for it would come to us again.
    #[error("mail for {0} would come back to us: the DNS names this server for it, and it is no domain of this server")]
    Ourselves(String),
    /// Nobody knows.
    #[error(transparent)]
    Unknown(#[from] Unknown),
}

/// Servers that are tried for one domain.
pub(super) const HOSTS_MOST: usize = 20;

/// The way to a domain, or to an address in brackets.
pub(super) async fn find(destination: &str, dns: &dyn Dns, ourselves: &Ourselves) -> Result<Route, NoRoute> {
    if let Some(address) = literal(destination) {
        return Ok(Route { hosts: vec![Host::Literal(address)], proof: Proof::None });
    }
    let found = records(dns, destination, Kind::Mx).await?;
    let mut servers: Vec<(u16, String)> = found.records.into_iter().filter_map(server).collect();
    if servers.is_empty() {
        // RFC 5321 §5.1: without any, the domain itself is the server.
        if ourselves.is_named(destination) {
            return Err(NoRoute::Ourselves(destination.to_owned()));
        }
        let (four, six) = (records(dns, destination, Kind::A).await?, records(dns, destination, Kind::Aaaa).await?);
        if four.records.is_empty() && six.records.is_empty() {
            return Err(NoRoute::Nobody(destination.to_owned()));
        }
        return Ok(Route { hosts: vec![Host::Name(destination.to_owned())], proof: Proof::None });
    }
    // RFC 7505 §3: alone it says that there is nobody; beside others it says nothing.
    servers.retain(|(_, host)| !host.is_empty());
    if servers.is_empty() {
        return Err(NoRoute::Null(destination.to_owned()));
    }
    // RFC 5321 §5.1: where we are one of them, only those that are better are asked.
    if let Some(ours) =
        servers.iter().filter(|(_, host)| ourselves.is_named(host)).map(|(preference, _)| *preference).min()
    {
        servers.retain(|(preference, _)| *preference < ours);
    }
    if servers.is_empty() {
        return Err(NoRoute::Ourselves(destination.to_owned()));
    }
    Ok(Route { hosts: in_order(servers), proof: found.proof })
}

/// The address in `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
fn literal(destination: &str) -> Option<IpAddr> {
    match sportello_wire::mail::Domain::parse(destination.as_bytes()) {
        Ok(sportello_wire::mail::Domain::Literal(address)) => Some(address),
        _ => None,
    }
}

fn server(record: Record) -> Option<(u16, String)> {
    if let Record::Mx { preference, exchange } = record { Some((preference, exchange)) } else { None }
}

/// By preference; among equals by chance (RFC 5321 §5.1), so that they share the load.
fn in_order(servers: Vec<(u16, String)>) -> Vec<Host> {
    let mut drawn: Vec<_> = servers.into_iter().map(|(preference, host)| (preference, draw(), host)).collect();
    drawn.sort_unstable();
    let mut hosts: Vec<Host> = Vec::new();
    for (_, _, name) in drawn {
        let host = Host::Name(name);
        if hosts.len() < HOSTS_MOST && !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

fn draw() -> u32 {
    let mut bytes = [0; 4];
    // Without chance the order is that of the names.
    let _ = aws_lc_rs::default_provider().secure_random.fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::table::{Table, mx};

    fn named(hosts: &[Host]) -> Vec<&str> {
        hosts.iter().map(|host| if let Host::Name(name) = host { name.as_str() } else { "literal" }).collect()
    }

    async fn check(table: Table, destination: &str) -> Result<Vec<String>, NoRoute> {
        let ourselves = Ourselves::new(&["us.example".to_owned()], &[]);
        let route = find(destination, &table, &ourselves).await?;
        Ok(named(&route.hosts).into_iter().map(str::to_owned).collect())
    }

    #[tokio::test]
    async fn the_best_come_first_and_equals_by_chance() {
        let records = [mx(20, "c"), mx(10, "a"), mx(10, "b"), mx(10, "a"), mx(20, "")];
        let mut seen = Vec::new();
        for _ in 0..200 {
            let hosts = check(Table::default().with("d.example", Kind::Mx, &records), "d.example").await.unwrap();
            assert!(hosts == ["a", "b", "c"] || hosts == ["b", "a", "c"], "{hosts:?}");
            seen.push(hosts);
        }
        seen.dedup();
        assert!(seen.len() > 1, "both orders are seen in 200 draws");
    }

    #[tokio::test]
    async fn thousands_are_cut_to_a_few() {
        let many: Vec<Record> = (0..3_000).map(|at| mx(at, &format!("mx{at}"))).collect();
        let hosts = check(Table::default().with("d.example", Kind::Mx, &many), "d.example").await.unwrap();
        assert_eq!(hosts.len(), HOSTS_MOST);
        assert_eq!((hosts[0].as_str(), hosts[HOSTS_MOST - 1].as_str()), ("mx0", "mx19"));
    }

    #[tokio::test]
    async fn a_domain_without_servers_is_its_own_or_nobodys() {
        let table = || Table::default().address("d.example", "192.0.2.1").with("null.example", Kind::Mx, &[mx(0, "")]);
        assert_eq!(check(table(), "d.example").await.unwrap(), ["d.example"]);
        assert_eq!(check(table(), "none.example").await, Err(NoRoute::Nobody("none.example".to_owned())));
        assert_eq!(check(table(), "null.example").await, Err(NoRoute::Null("null.example".to_owned())));
        let six = Table::default().with("six.example", Kind::Aaaa, &[Record::Aaaa("2001:db8::1".parse().unwrap())]);
        assert_eq!(check(six, "six.example").await.unwrap(), ["six.example"]);
        assert_eq!(check(table(), "[192.0.2.7]").await.unwrap(), ["literal"]);
        assert_eq!(check(table(), "[IPv6:2001:db8::7]").await.unwrap(), ["literal"]);
        for kind in [Kind::Mx, Kind::A, Kind::Aaaa] {
            let failing = table().failing("d.example", kind);
            assert!(matches!(check(failing, "d.example").await, Err(NoRoute::Unknown(_))), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn mail_is_never_given_to_ourselves() {
        let records =
            [mx(10, "better.example"), mx(20, "us.example"), mx(20, "equal.example"), mx(30, "worse.example")];
        let table = Table::default().with("d.example", Kind::Mx, &records);
        assert_eq!(check(table, "d.example").await.unwrap(), ["better.example"]);
        let alone = Table::default().with("d.example", Kind::Mx, &records[1..]);
        assert_eq!(check(alone, "d.example").await, Err(NoRoute::Ourselves("d.example".to_owned())));
        let implicit = Table::default().address("us.example", "192.0.2.1");
        assert_eq!(check(implicit, "us.example").await, Err(NoRoute::Ourselves("us.example".to_owned())));
    }
}
