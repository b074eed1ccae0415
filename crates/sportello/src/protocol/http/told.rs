//! What is told of an answered request: in the server's log, in its site's access log, in the counts of its site and route, and, if it
//! took long, as a slow one. The same for every version of HTTP.

use std::net::IpAddr;

use sportello_net::Connection;
use sportello_service::site::{Site, Tally};
use sportello_service::web::Notes;
use sportello_wire::http1::field::Lines;
use sportello_wire::http1::target::Host;
use sportello_wire::http1::{Head, Version};
use tokio::time::Instant;

use super::{Served, Service};
use crate::observe::{self, Done, access, slow};

/// What was asked, whatever it came in.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a, L> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    /// The authority; empty where there is none.
    pub(super) host: &'a [u8],
    /// The host in it.
    pub(super) named: Option<Host<'a>>,
    /// `HTTP/1.1`.
    pub(super) protocol: &'static str,
    pub(super) fields: &'a L,
}

impl<'a> Asked<'a, sportello_wire::http1::field::Fields<'a>> {
    /// What this head asks.
    pub(super) fn of(head: &'a Head<'a>) -> Self {
        Self {
            method: head.verb,
            target: head.raw_target,
            host: head.host,
            named: head.named,
            protocol: if head.version == Version::Http10 { "HTTP/1.0" } else { "HTTP/1.1" },
            fields: &head.fields,
        }
    }
}

/// Notes one answered request.
pub(super) fn answered<L: Lines>(
    (connection, service): (&Connection, &Service),
    asked: &Asked<'_, L>,
    notes: Option<&Notes>,
    said: access::Said,
) {
    told(connection, (asked.method, asked.target), said);
    if let Some(notes) = notes.filter(|notes| notes.is_login_refused()) {
        connection.bans().failed(notes.address().unwrap_or(connection.peer().ip()));
    }
    let Served::Sites(sites) = &*service.served else { return };
    let Some(site) = sites.site(asked.host, asked.named) else { return };
    let route = notes.and_then(Notes::route);
    count(site.tallies().of(route.as_deref()), said);
    if let Some(log) = sites.log(&site) {
        logged(connection, log, &site, asked, notes, said);
    }
    let from = site.description().slow.or(service.limits.slow);
    if from.is_some_and(|from| slow::took(&said, notes) >= from) {
        slow::told(&slow::Slow {
            channel: &connection.channel().name,
            site: &site.description().name,
            client: client(connection, &site, asked, notes),
            method: asked.method,
            target: asked.target,
            said,
            notes,
        });
    }
}

/// Who asked, as far as that is believed.
fn client<L: Lines>(connection: &Connection, site: &Site, asked: &Asked<'_, L>, notes: Option<&Notes>) -> IpAddr {
    let trusted = || site.description().trust.address_of(connection.peer().ip(), asked.fields);
    notes.and_then(Notes::address).unwrap_or_else(trusted)
}

/// Counts one answered request.
pub(super) fn count(tally: &Tally, said: access::Said) {
    tally.count(said.status, said.bytes, said.took());
}

/// Tells the access log of its site of one answered request.
pub(super) fn logged<L: Lines>(
    connection: &Connection,
    log: &access::SiteLog,
    site: &Site,
    asked: &Asked<'_, L>,
    notes: Option<&Notes>,
    said: access::Said,
) {
    let asked = access::Asked {
        client: client(connection, site, asked, notes),
        method: asked.method,
        target: asked.target,
        host: asked.host,
        protocol: asked.protocol,
        fields: asked.fields,
    };
    access::told(log, connection.secured().map(|secured| &**secured), &asked, notes, said);
}

/// Tells the server's log of one answered request.
pub(super) fn told(connection: &Connection, (verb, object): (&[u8], &[u8]), said: access::Said) {
    let access::Said { status, bytes, started, ended, is_whole } = said;
    let mut digits = itoa::Buffer::new();
    let outcome = if status == 200 { "200" } else { digits.format(status) };
    let done = Done { verb, object, outcome, bytes, started, ended, failed: status >= 400 || !is_whole };
    observe::answered(connection, done);
}

impl access::Said {
    /// An answer that is ready now.
    pub(super) fn now(status: u16, bytes: u64, started: Instant) -> Self {
        Self { status, bytes, started, ended: Instant::now(), is_whole: true }
    }

    /// An answer of which so many bytes went, and no more will. Without any, the client did not wait for it.
    pub(super) fn cut(status: u16, bytes: u64, started: Instant) -> Self {
        Self { is_whole: false, ..Self::now(if bytes == 0 { 499 } else { status }, bytes, started) }
    }
}
