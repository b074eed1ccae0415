//! The domains: their websites and their mail.

use std::sync::Arc;

use sportello_service::directory::MailDomains;

use super::{access, encrypted, mail, one, routes};
use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::settings::{Hosts, Others, Site};
use crate::config::source::Span;
use crate::protocol::http;

/// All sites, and what becomes of the mail of all domains.
pub(super) fn settle(written: &Written, faults: &mut Vec<Fault>) -> (Vec<Site>, MailDomains) {
    let mut sites = Vec::new();
    let mut domains: Vec<(&str, Span)> = Vec::new();
    let mut hosts: Vec<(&str, Span)> = Vec::new();
    routes::check_trust(written, faults);
    access::apart(written, faults);
    for directive in written.all("domain") {
        let Some((value, name)) = one(Some(directive)).and_then(|value| Some((value, value.text()?))) else { continue };
        taken((name, value.span), &mut domains, "domain", faults);
        for site in directive.all("site") {
            for host in &site.arguments {
                let Some(text) = host.text() else { continue };
                beneath((text, host.span), (name, value.span), faults);
                taken((text, host.span), &mut hosts, "site", faults);
            }
            sites.extend(one_site(written, site, faults));
        }
    }
    (sites, mail::settle(written, faults))
}

/// Two of one name cannot both have it.
fn taken<'a>((name, at): (&'a str, Span), before: &mut Vec<(&'a str, Span)>, what: &str, faults: &mut Vec<Fault>) {
    if let Some((_, first)) = before.iter().find(|(other, _)| *other == name) {
        let fault = Fault::error(at, format!("the {what} {name} is written twice")).label("here again");
        let help = if what == "site" { "a host belongs to one site" } else { "put all of a domain in one block" };
        faults.push(fault.also(*first, "first here").help(help));
    }
    before.push((name, at));
}

/// A site is the domain's own or beneath it; `*` is everyone's.
fn beneath((host, at): (&str, Span), (domain, its): (&str, Span), faults: &mut Vec<Fault>) {
    let below = host.strip_suffix(domain).is_some_and(|front| front.is_empty() || front.ends_with('.'));
    if domain == "*" || host == "*" || below {
        return;
    }
    let fault = Fault::error(at, format!("{host} is not of the domain {domain}")).label("another domain's");
    let fault = fault.also(its, "the domain");
    faults
        .push(fault.help(format!("write it in a domain that it belongs to: domain {host} {{ site {host} {{ … }} }}")));
}

fn one_site(written: &Written, directive: &Directive, faults: &mut Vec<Fault>) -> Option<Site> {
    let description = Arc::new(routes::settle(written, directive, faults)?);
    let certificates = encrypted::pairs(directive.all("certificate"), faults);
    let client = directive.first("tls").and_then(|tls| encrypted::client(tls, faults));
    let log = access::settle(directive, faults);
    Some(Site { hosts: hosts(directive), description, certificates, client, log })
}

fn hosts(directive: &Directive) -> Hosts {
    let written = || directive.arguments.iter().filter_map(Value::text);
    let others = if written().any(|host| host == "*") { Others::Answered } else { Others::NotOurs };
    Hosts { names: written().filter_map(|host| http::SiteName::parse(host).ok()).collect(), others }
}
