//! How a site's files are given.

use std::num::NonZeroU32;

use sportello_service::compress::Compression;
use sportello_service::files::Settings;
use sportello_service::files::settings::{
    CacheRule, CacheRuleError, Caching, HiddenNames, IndexNames, Links, Listings,
};

use super::{codings, one, set};
use crate::config::as_written::{Directive, Value};
use crate::config::fault::Fault;
use crate::config::source::Span;

/// What `directive`, a site or a part of one, says of its files, which are encoded by `compression`.
pub(super) fn settle(directive: &Directive, compression: &Compression, faults: &mut Vec<Fault>) -> Settings {
    let mut files = Settings::default();
    let memory = directive.first("memory");
    set(&mut files.hot_files, one(memory).and_then(Value::number));
    set(&mut files.hot_file, memory.and_then(|memory| memory.property("file")).and_then(Value::number));
    index(directive, &mut files, faults);
    listing(directive, &mut files);
    error_pages(directive, &mut files, faults);
    caching(directive, &mut files, faults);
    files.precompressed = codings::codings(directive.first("precompressed"), faults);
    files.compression = compression.clone();
    files
}

fn index(directive: &Directive, files: &mut Settings, faults: &mut Vec<Fault>) {
    let Some(written) = directive.first("index") else { return };
    if let Some(value) = written.arguments.get(IndexNames::MOST) {
        let fault = Fault::error(value.span, format!("an index has at most {} names", IndexNames::MOST));
        faults.push(
            fault.label("one too many").help("each is looked for at every request for a folder; keep the likely ones"),
        );
    }
    let mut names = Vec::new();
    for value in &written.arguments {
        let Some(name) = value.text() else { continue };
        match IndexNames::new([name]) {
            Ok(_) => names.push(name),
            Err(error) => faults.push(Fault::error(value.span, error.to_string()).label("no name of a file")),
        }
    }
    // Each was looked at already.
    set(&mut files.index, IndexNames::new(names).ok());
}

fn listing(directive: &Directive, files: &mut Settings) {
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
    files.links = match one(directive.first("symlinks")).and_then(Value::text) {
        Some("owner") => Links::SameOwner,
        Some("any") => Links::Any,
        _ => Links::Beneath,
    };
}

fn error_pages(directive: &Directive, files: &mut Settings, faults: &mut Vec<Fault>) {
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

fn caching(directive: &Directive, files: &mut Settings, faults: &mut Vec<Fault>) {
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
