//! The domains: their websites and their mail.

use std::num::NonZeroU32;

use sportello_service::files;
use sportello_service::files::settings::{CacheRule, CacheRuleError, Caching, HiddenNames, Listings};

use super::{folder, one, set};
use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::settings::{Hosts, Others, Site};
use crate::config::source::Span;
use crate::protocol::http;

/// All sites, the domains whose mail is kept, and those that are named and keep none.
pub(super) fn settle(written: &Written, faults: &mut Vec<Fault>) -> (Vec<Site>, Vec<String>, Vec<String>) {
    let (mut sites, mut mail, mut no_mail) = (Vec::new(), Vec::new(), Vec::new());
    let mut domains: Vec<(&str, Span)> = Vec::new();
    let mut hosts: Vec<(&str, Span)> = Vec::new();
    for directive in written.all("domain") {
        let Some((value, name)) = one(Some(directive)).and_then(|value| Some((value, value.text()?))) else { continue };
        taken((name, value.span), &mut domains, "domain", faults);
        for site in directive.all("site") {
            for host in &site.arguments {
                let Some(text) = host.text() else { continue };
                beneath((text, host.span), (name, value.span), faults);
                taken((text, host.span), &mut hosts, "site", faults);
            }
            sites.extend(one_site(site, faults));
        }
        if directive.first("mail").is_some_and(|mail| mail.first("capture").is_some()) {
            mail.push(name.to_owned());
        } else {
            no_mail.push(name.to_owned());
        }
    }
    (sites, mail, no_mail)
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

fn one_site(directive: &Directive, faults: &mut Vec<Fault>) -> Option<Site> {
    let root = folder(one(directive.first("root"))?, faults)?;
    let mut files = files::Settings::default();
    let memory = directive.first("memory");
    set(&mut files.hot_files, one(memory).and_then(Value::number));
    set(&mut files.hot_file, memory.and_then(|memory| memory.property("file")).and_then(Value::number));
    listing(directive, &mut files);
    error_pages(directive, &mut files, faults);
    caching(directive, &mut files, faults);
    Some(Site { hosts: hosts(directive), root, files })
}

fn hosts(directive: &Directive) -> Hosts {
    let written = || directive.arguments.iter().filter_map(Value::text);
    let others = if written().any(|host| host == "*") { Others::Answered } else { Others::NotOurs };
    Hosts { names: written().filter_map(|host| http::SiteName::parse(host).ok()).collect(), others }
}

fn listing(directive: &Directive, files: &mut files::Settings) {
    if let Some(listing) = directive.first("listing") {
        let per_page = listing.property("page").and_then(Value::number).and_then(NonZeroU32::new);
        files.listing = match one(Some(listing)).and_then(Value::text) {
            Some("off") => Listings::Off,
            _ => Listings::On { per_page: per_page.unwrap_or(Listings::PER_PAGE) },
        };
    }
    if one(directive.first("hidden-names")).and_then(Value::text) == Some("served") {
        files.hidden = HiddenNames::Served;
    }
}

fn error_pages(directive: &Directive, files: &mut files::Settings, faults: &mut Vec<Fault>) {
    let mut statuses: Vec<(u16, Span)> = Vec::new();
    for page in directive.all("error-page") {
        let [status, path] = page.arguments.as_slice() else { continue };
        let (Some(number), Some(text)) = (status.number(), path.text()) else { continue };
        if let Some((_, first)) = statuses.iter().find(|(other, _)| *other == number) {
            let fault = Fault::error(status.span, format!("two pages for the status {number}")).label("here again");
            faults.push(fault.also(*first, "first here").help("keep one of them"));
        }
        statuses.push((number, status.span));
        if let Err(error) = files.error_pages.set(number, text) {
            faults.push(Fault::error(path.span, error.to_string()).label("no page"));
        }
    }
}

fn caching(directive: &Directive, files: &mut files::Settings, faults: &mut Vec<Fault>) {
    let mut rules = Vec::new();
    for rule in directive.all("cache-control") {
        let [pattern, value] = rule.arguments.as_slice() else { continue };
        let (Some(matched), Some(said)) = (pattern.text(), value.text()) else { continue };
        match CacheRule::parse(matched, said) {
            Ok(rule) => rules.push(rule),
            Err(error) => {
                let at = if matches!(error, CacheRuleError::Pattern(_)) { pattern.span } else { value.span };
                faults.push(Fault::error(at, error.to_string()).label("no rule"));
            }
        }
    }
    files.caching = Caching::new(rules);
}
