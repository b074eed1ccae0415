//! What would be answered to a URL.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use sportello_service::spool::Spool;
use sportello_service::web::Scheme;
use sportello_wire::http1::head::parse;
use sportello_wire::http1::target::Target;
use sportello_wire::http1::{Head, Limits};

use super::{Asked, Basis, Told, file, way};
use crate::cli::get::url::Url;
use crate::cli::paper::{Failed, visible};
use crate::config::as_written::Directive;
use crate::config::international;
use crate::config::{Door, Role, Settings};
use crate::opened;
use crate::protocol::http::{Claim, Foreign, Reach, site_of};

/// Which channel takes it, which site answers, and from which file; 1 when it is answered with an error, or not at all.
pub(super) fn explain<'a>(basis: &'a Basis, written: &str, asked: &Asked) -> Result<(Told<'a>, u8), Failed> {
    let scheme = if begins_with_https(written) { Scheme::Https } else { Scheme::Http };
    let url = match scheme {
        Scheme::Http => Url::parse(written),
        Scheme::Https => Url::parse_secure(written),
    };
    let url = url.map_err(|error| Failed::new(error.to_string()))?;
    let mut told = Told::new();
    let settings = &basis.settings;
    let Some(door) = settings.channels.iter().find(|door| takes(door, &url) && spoken(door) == scheme) else {
        told.say(nobody(settings, &url, scheme));
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
    let fields: String = asked.fields.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!("{} {} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", asked.method, url.target, url.place);
    let head = match parse(request.as_bytes(), &Limits::default()) {
        Ok(Some(head)) => head,
        Ok(None) => return Err(Failed::new("the URL cannot be asked for")),
        Err(refusal) => {
            told.say(format!("it is refused with {}: {refusal}", refusal.status()));
            return Ok((told, 1));
        }
    };
    let code = answered(basis, door, (&head, asked.from, scheme), &mut told)?;
    Ok((told, code))
}

fn takes(door: &Door, url: &Url) -> bool {
    let address = door.channel.address;
    let host = url.place.host.trim_start_matches('[').trim_end_matches(']');
    let reached = host.parse::<IpAddr>().map_or(true, |ip| address.ip().is_unspecified() || address.ip() == ip);
    door.role.protocol() == "http" && address.port() == url.place.port && reached
}

fn begins_with_https(written: &str) -> bool {
    written.get(..6).is_some_and(|begin| begin.eq_ignore_ascii_case("https:"))
}

/// What URLs of this channel begin with.
fn spoken(door: &Door) -> Scheme {
    if door.implicit_tls().is_some() { Scheme::Https } else { Scheme::Http }
}

fn nobody(settings: &Settings, url: &Url, scheme: Scheme) -> String {
    let http = settings.channels.iter().filter(|door| door.role.protocol() == "http");
    let place = |door: &Door| format!("{} at {} ({})", door.channel.name, door.channel.address, spoken(door).name());
    let places: Vec<String> = http.map(place).collect();
    let places = if places.is_empty() { "none".to_owned() } else { places.join(", ") };
    format!("no channel speaks {} at {}; the http channels are: {places}", scheme.name(), url.place)
}

/// What the sites say; asked as the server would ask them.
fn answered<'a>(
    basis: &'a Basis,
    door: &Door,
    (head, from, scheme): (&Head<'_>, Option<IpAddr>, Scheme),
    told: &mut Told<'a>,
) -> Result<u8, Failed> {
    let settings = &basis.settings;
    let opened = opened::open(settings).map_err(|error| Failed::new(super::super::chain(&error)))?;
    // Nobody sends anything.
    let spool = Arc::new(Spool::new(&settings.store.folder, settings.uploads));
    let (sites, all) = opened::sites(&opened, &spool, None);
    let reach = if door.channel.loopback { Reach::Loopback } else { Reach::Network };
    let host = international::shown(&visible(&String::from_utf8_lossy(head.host)));
    let chosen = match site_of(&Claim::of(head), reach, &sites) {
        Ok(chosen) => chosen,
        Err(foreign) => {
            told.say(refused(foreign, &host));
            told.heads.extend(basis.directives("domain").flat_map(|domain| domain.all("site")));
            return Ok(1);
        }
    };
    let place = all.iter().position(|site| Rc::ptr_eq(site, &chosen));
    let Some(site) = place.and_then(|place| settings.sites.get(place)) else { return Ok(1) };
    let named: Vec<String> = site.hosts.names.iter().map(|name| international::shown(&name.to_string())).collect();
    let named = if named.is_empty() { "*".to_owned() } else { named.join(" ") };
    let Target::Path { path, query } = head.target else { return Ok(1) };
    let asked = way::request(head, (from, door.channel.address), scheme);
    if let (Some(port), Ok(request)) = (door.to_https, &asked)
        && let Some(answer) = chosen.to_https(request, port.among(&settings.channels))
    {
        let place = visible(answer.fields.text("location").unwrap_or_default());
        told.say(format!("{}: the channel sends it to {place}, for the site {named}", answer.status));
        return Ok(0);
    }
    if let (Some(files), [folder]) = (chosen.plain(), site.description.folders.as_slice()) {
        told.say(format!("the site {named} answers for {host}, from {}", folder.path.display()));
        deciding(basis, place, told);
        return file::found(files, (path, query), folder, told);
    }
    told.say(format!("the site {named} answers for {host}"));
    if let Some((domain, site)) = written_site(basis, place) {
        told.heads.extend([domain, site]);
    }
    way::explain(&chosen, asked, told)
}

fn refused(foreign: Foreign, host: &str) -> String {
    match foreign {
        Foreign::Host => format!(
            "it is refused with 421: a channel on loopback answers only to names of this machine and to the sites' own, and {host} is neither"
        ),
        Foreign::Site => {
            format!("it is refused with 421: no site bears the name {host}, and none answers to every other name")
        }
        Foreign::Connection => {
            "it is refused with 421: the connection was made for another name, whose clients are asked for other certificates"
                .to_owned()
        }
        Foreign::Nameless => "it is answered with 404: no site answers to requests without a host".to_owned(),
        Foreign::Origin => "it is refused with 403: another website sends it".to_owned(),
    }
}

/// The lines of the site with this place among all.
fn deciding<'a>(basis: &'a Basis, place: Option<usize>, told: &mut Told<'a>) {
    if let Some((domain, site)) = written_site(basis, place) {
        told.heads.push(domain);
        told.whole.push(site);
    }
}

fn written_site(basis: &Basis, place: Option<usize>) -> Option<(&Directive, &Directive)> {
    let mut all = basis.directives("domain").flat_map(|domain| domain.all("site").map(move |site| (domain, site)));
    place.and_then(|place| all.nth(place))
}
