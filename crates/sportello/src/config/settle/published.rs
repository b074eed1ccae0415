//! The sites that a domain gets for its mail without being written: the policy for TLS, and settings for mail programs.
//!
//! Each is a site of its own, so that it has a certificate of its own: a name that does not lead here spoils no other.

use std::sync::Arc;

use sportello_service::directory::MailDomains;
use sportello_service::published::{MtaSts, Submission, autoconfig};
use sportello_service::site::{
    Action, Block, Description, Item, Matcher, PathPattern, Respond, Route, Written as Placed,
};

use super::one;
use crate::config::as_written::{Value, Written};
use crate::config::fault::Fault;
use crate::config::settings::{Begins, Door, Hosts, Others, Site};
use crate::protocol::http::SiteName;

/// The paths at which settings are asked for (Mozilla's autoconfig).
const AUTOCONFIG: [&str; 2] = ["/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"];

/// The sites of all domains with accounts, but for those that are written.
pub(super) fn sites(
    written: &Written,
    mail: &MailDomains,
    (channels, hostname): (&[Door], &str),
    sites: &[Site],
    faults: &mut Vec<Fault>,
) -> Vec<Site> {
    let gives_https = channels.iter().any(Door::gives_https);
    let takes_tls = channels.iter().any(|door| door.role.protocol() == "smtp" && door.tls.is_some());
    in_vain(written, (gives_https, takes_tls), faults);
    let submission = submission(channels);
    let mut made = Vec::new();
    if !gives_https {
        return made;
    }
    for (domain, book) in mail.with_accounts() {
        let line = mail.named(domain).map_or(0, |domain| domain.line);
        let policy = book.mta_sts.text(hostname).filter(|_| takes_tls);
        if let Some(text) = policy {
            made.extend(site(&format!("{}.{domain}", MtaSts::HOST), &[MtaSts::PATH], (&text, None), line));
        }
        if !submission.is_empty() {
            let text = autoconfig(domain, hostname, &submission);
            made.extend(site(&format!("autoconfig.{domain}"), &AUTOCONFIG, (&text, Some("text/xml")), line));
        }
    }
    let is_written =
        |site: &Site| sites.iter().any(|other| other.hosts.names.iter().any(|name| site.hosts.names.contains(name)));
    made.retain(|site| !is_written(site));
    made
}

/// Where accounts hand in mail, at ports that are known.
pub fn submission(channels: &[Door]) -> Vec<Submission> {
    let one = |door: &Door| {
        let port = door.channel.address.port();
        match &door.tls {
            Some(tls) if tls.begins == Begins::AtOnce => Some(Submission::Tls(port)),
            Some(_) => Some(Submission::StartTls(port)),
            None => None,
        }
    };
    let channels = channels.iter().filter(|door| door.role.protocol() == "submission");
    channels.filter_map(one).filter(|channel| channel.port() > 0).collect()
}

/// A policy that nobody could fetch, or that nobody could obey.
fn in_vain(written: &Written, (gives_https, takes_tls): (bool, bool), faults: &mut Vec<Fault>) {
    for mail in written.all("domain").filter_map(|domain| domain.first("mail")) {
        let Some(directive) = mail.first("mta-sts") else { continue };
        if one(Some(directive)).and_then(Value::text) == Some("off") {
            continue;
        }
        let (message, help) = if !takes_tls {
            (
                "the policy asks for TLS, which no smtp channel speaks",
                "write tls=starttls on the line of the smtp channel",
            )
        } else if !gives_https {
            ("the policy is fetched over https, which no channel speaks", "write a channel with protocol=http tls=auto")
        } else {
            continue;
        };
        faults.push(Fault::error(directive.name, message).label("in vain").help(help));
    }
}

/// A site that answers with one text at these paths.
fn site(name: &str, paths: &[&str], (text, media_type): (&str, Option<&str>), line: usize) -> Option<Site> {
    let host = SiteName::parse(name).ok()?;
    let respond = Respond::new(200, text, media_type).ok()?;
    let paths = paths.iter().filter_map(|path| PathPattern::parse(path).ok()).collect();
    let action = Some(Placed { line, what: Action::Respond(respond) });
    let block = Block { action, ..Block::default() };
    let route = Route { matcher: Matcher { paths, ..Matcher::default() }, block };
    let items = vec![Placed { line, what: Item::Route(route) }];
    let block = Block { items, ..Block::default() };
    let description = Arc::new(Description { name: name.into(), block, ..Description::default() });
    let hosts = Hosts { names: vec![host], others: Others::NotOurs };
    Some(Site { hosts, description, certificates: Vec::new(), client: None, log: None })
}

#[cfg(test)]
mod tests;
