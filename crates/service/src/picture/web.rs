//! What the sites have answered and whom they asked, as the picture shows it.

use serde::{Deserialize, Serialize};

use crate::site::Counted;

/// What a site, or a route of it, has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteView {
    /// The site's first name.
    pub site: String,
    /// The route as it was written, within those around it; empty for what no route took in.
    pub route: String,
    /// What was counted.
    #[serde(flatten)]
    pub counted: Counted,
}

/// Another server that a site passes requests on to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamView {
    /// The site's first name.
    pub site: String,
    /// Its address.
    pub upstream: String,
    /// Whether it is asked now: it is neither found unwell nor left out.
    pub is_up: bool,
    /// Requests that it was asked.
    pub requests: u64,
    /// Connections that were opened to it for them.
    pub connections: u64,
    /// Requests that failed there.
    pub failures: u64,
    /// Those of them that another one was asked, or it once more.
    pub retries: u64,
    /// How often it was left out for a while.
    pub ejections: u64,
    /// Tunnels through it that are open.
    pub tunnels: u64,
}

/// An application that a site asks by FastCGI.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationView {
    /// The site's first name.
    pub site: String,
    /// Its address.
    pub application: String,
    /// Requests that it was asked.
    pub requests: u64,
    /// Connections that were opened to it for them.
    pub connections: u64,
    /// Requests that failed there.
    pub failures: u64,
}

impl UpstreamView {
    /// Puts together what is of one name: a site may ask the same server in two places.
    pub fn add(all: &mut Vec<Self>, one: Self) {
        match all.iter_mut().find(|known| (&known.site, &known.upstream) == (&one.site, &one.upstream)) {
            None => all.push(one),
            Some(known) => {
                known.is_up &= one.is_up;
                known.requests = known.requests.saturating_add(one.requests);
                known.connections = known.connections.saturating_add(one.connections);
                known.failures = known.failures.saturating_add(one.failures);
                known.retries = known.retries.saturating_add(one.retries);
                known.ejections = known.ejections.saturating_add(one.ejections);
                known.tunnels = known.tunnels.saturating_add(one.tunnels);
            }
        }
    }
}

impl ApplicationView {
    /// Puts together what is of one name.
    pub fn add(all: &mut Vec<Self>, one: Self) {
        match all.iter_mut().find(|known| (&known.site, &known.application) == (&one.site, &one.application)) {
            None => all.push(one),
            Some(known) => {
                known.requests = known.requests.saturating_add(one.requests);
                known.connections = known.connections.saturating_add(one.connections);
                known.failures = known.failures.saturating_add(one.failures);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_of_one_site_is_told_once() {
        let view = |site: &str, is_up| UpstreamView {
            site: site.into(),
            upstream: "http://a".into(),
            is_up,
            requests: 2,
            ..UpstreamView::default()
        };
        let mut all = Vec::new();
        for one in [view("x", true), view("y", true), view("x", false)] {
            UpstreamView::add(&mut all, one);
        }
        assert_eq!(all, [UpstreamView { requests: 4, ..view("x", false) }, view("y", true)]);
    }
}
