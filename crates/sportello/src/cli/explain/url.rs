//! What would be answered to a URL.

use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use sportello_service::files::{Batch, Files, Form, Found, Root};
use sportello_service::status::said;
use sportello_wire::http1::head::parse;
use sportello_wire::http1::target::{PathEnd, Target, TreePath};
use sportello_wire::http1::{Head, Limits};

use super::{Basis, Told};
use crate::cli::get::url::Url;
use crate::cli::paper::{Failed, visible};
use crate::config::{Door, Role, Settings, Site};
use crate::protocol::http::{Foreign, Reach, site_of};
use crate::server;

/// Which channel takes it, which site answers, and from which file; 1 when it is answered with an error, or not at all.
pub(super) fn explain<'a>(basis: &'a Basis, written: &str) -> Result<(Told<'a>, u8), Failed> {
    let url = Url::parse(written).map_err(|error| Failed::new(error.to_string()))?;
    let mut told = Told::new();
    let settings = &basis.settings;
    let Some(door) = settings.channels.iter().find(|door| takes(door, &url)) else {
        told.say(nobody(settings, &url));
        told.heads.extend(basis.directives("channel"));
        return Ok((told, 1));
    };
    let channel = &door.channel;
    told.say(format!("channel {} takes it, at {}", channel.name, channel.address));
    if let Some(directive) = basis.named("channel", &channel.name) {
        told.whole.push(directive);
        if directive.property("address").is_none() {
            told.heads.extend(basis.directives("address"));
        }
    }
    if matches!(door.role, Role::Desk(_)) {
        told.say("the desk answers: what is happening, and the inbox");
        return Ok((told, 0));
    }
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", url.target, url.place);
    let head = match parse(request.as_bytes(), &Limits::default()) {
        Ok(Some(head)) => head,
        Ok(None) => return Err(Failed::new("the URL cannot be asked for")),
        Err(refusal) => {
            told.say(format!("it is refused with {}: {refusal}", refusal.status()));
            return Ok((told, 1));
        }
    };
    let code = answered(basis, door, &head, &mut told)?;
    Ok((told, code))
}

fn takes(door: &Door, url: &Url) -> bool {
    let address = door.channel.address;
    let host = url.place.host.trim_start_matches('[').trim_end_matches(']');
    let reached = host.parse::<IpAddr>().map_or(true, |ip| address.ip().is_unspecified() || address.ip() == ip);
    door.role.protocol() == "http" && address.port() == url.place.port && reached
}

fn nobody(settings: &Settings, url: &Url) -> String {
    let http = settings.channels.iter().filter(|door| door.role.protocol() == "http");
    let places: Vec<String> = http.map(|door| format!("{} at {}", door.channel.name, door.channel.address)).collect();
    let places = if places.is_empty() { "none".to_owned() } else { places.join(", ") };
    format!("no channel speaks http at {}; the http channels are: {places}", url.place)
}

/// What the sites say; asked as the server would ask them.
fn answered<'a>(basis: &'a Basis, door: &Door, head: &Head<'_>, told: &mut Told<'a>) -> Result<u8, Failed> {
    let settings = &basis.settings;
    let root = |site: &Site| {
        Ok(Arc::new(Root::open(&site.root)?.following(site.files.links).keeping_back(&settings.store.folder)?))
    };
    let roots = settings.sites.iter().map(|site| Ok((root(site)?, site.clone())));
    let roots: Vec<_> = roots
        .collect::<Result<_, sportello_service::files::OpenError>>()
        .map_err(|error| Failed::new(super::super::chain(&error)))?;
    let (sites, all) = server::sites(&roots);
    let reach = if door.channel.loopback { Reach::Loopback } else { Reach::Network };
    let host = visible(&String::from_utf8_lossy(head.host));
    let chosen = match site_of(head, reach, &sites) {
        Ok(chosen) => chosen,
        Err(foreign) => {
            told.say(refused(foreign, &host));
            told.heads.extend(basis.directives("domain").flat_map(|domain| domain.all("site")));
            return Ok(1);
        }
    };
    let place = all.iter().position(|site| Rc::ptr_eq(site, &chosen));
    let Some(site) = place.and_then(|place| settings.sites.get(place)) else { return Ok(1) };
    let named: Vec<String> = site.hosts.names.iter().map(ToString::to_string).collect();
    let named = if named.is_empty() { "*".to_owned() } else { named.join(" ") };
    told.say(format!("the site {named} answers for {host}, from {}", site.root.display()));
    deciding(basis, place, told);
    let Target::Path { path, query } = head.target else { return Ok(1) };
    let Some(files) = chosen.plain() else { return Ok(1) };
    found(files, (path, query), site, told)
}

fn refused(foreign: Foreign, host: &str) -> String {
    match foreign {
        Foreign::Host => format!(
            "it is refused with 421: a channel on loopback answers only to names of this machine and to the sites' own, and {host} is neither"
        ),
        Foreign::Site => {
            format!("it is refused with 421: no site bears the name {host}, and none answers to every other name")
        }
        Foreign::Nameless => "it is answered with 404: no site answers to requests without a host".to_owned(),
        Foreign::Origin => "it is refused with 403: another website sends it".to_owned(),
    }
}

/// The lines of the site with this place among all.
fn deciding<'a>(basis: &'a Basis, place: Option<usize>, told: &mut Told<'a>) {
    let all = basis.directives("domain").flat_map(|domain| domain.all("site").map(move |site| (domain, site)));
    if let Some((domain, site)) = place.and_then(|place| all.into_iter().nth(place)) {
        told.heads.push(domain);
        told.whole.push(site);
    }
}

/// What lies there.
fn found(files: &Files, (path, query): (&[u8], Option<&[u8]>), site: &Site, told: &mut Told<'_>) -> Result<u8, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| Failed::new(format!("cannot look: {error}")))?;
    match runtime.block_on(files.find(path, query, Form::Html, Batch::begin())) {
        Ok(Found::Hot(_)) => {
            told.say(format!("200: the file {}, from memory once it was read", file(path, site).display()))
        }
        Ok(Found::Large(_)) => {
            told.say(format!("200: the file {}, from the disk each time", file(path, site).display()))
        }
        Ok(Found::Answer(answer)) if answer.status == 200 => {
            told.say(format!("200: a listing of the folder {}, which has no index", file(path, site).display()));
        }
        Ok(Found::Answer(answer)) => {
            told.say(format!("{}: a folder is asked for with a slash at its end", answer.status))
        }
        Err(failure) => {
            let status = said(failure.class).http;
            told.say(format!("{status}: {} ({})", failure.public, file(path, site).display()));
            return Ok(1);
        }
    }
    Ok(0)
}

/// Where it lies, or would.
fn file(path: &[u8], site: &Site) -> PathBuf {
    let Ok(tree) = TreePath::decode(path) else { return site.root.clone() };
    let place = site.root.join(String::from_utf8_lossy(&tree.names).as_ref());
    let index = site.files.index.iter().map(|name| place.join(name)).find(|index| index.is_file());
    index.filter(|_| tree.end == PathEnd::Slash).unwrap_or(place)
}
