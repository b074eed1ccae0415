//! TLS: which channels speak it and on what terms, which certificates are wanted.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::num::NonZeroU32;

use sportello_net::rate::Often;
use sportello_net::tls::{self, Certificates, Client, Oldest, Terms, Tickets};
use sportello_service::certificates::acme::is_of_the_world;
use sportello_service::certificates::credential::{MOST, authorities};
use sportello_service::certificates::{Group, Pair, Signer, Wanted, is_for_certificates};

use super::one;
use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::settings::{Begins, Door, Others, Role, Site, Tls};
use crate::config::value;
use crate::protocol::http;

/// The TLS of a channel; what its sites ask of their clients is not yet in it.
pub(super) fn tls(directive: &Directive, role: &Role, faults: &mut Vec<Fault>) -> Option<Tls> {
    let written = directive.property("tls");
    let block = directive.first("tls");
    let (begins, signer) = match written.and_then(Value::text) {
        None | Some("off") => {
            if let Some(block) = block {
                let fault = Fault::error(block.name, "this channel does not speak TLS").label("for nothing");
                faults.push(fault.help("write tls=auto on the line of the channel, or remove this"));
            }
            if let ("submission", Some(protocol)) = (role.protocol(), directive.property("protocol")) {
                let fault = Fault::error(protocol.span, "whoever submits mail sends a password").label("unencrypted");
                faults.push(
                    fault.help("write tls=auto on the line of the channel (port 465), or tls=starttls (port 587)"),
                );
            }
            return None;
        }
        Some("local") => (Begins::AtOnce, Signer::Local),
        Some("starttls") => (Begins::WhenAsked, Signer::Acme),
        Some(_) => (Begins::AtOnce, Signer::Acme),
    };
    if let (Begins::WhenAsked, false, Some(value)) = (begins, matches!(role, Role::Smtp(_)), written) {
        let message = format!("{} has no STARTTLS", role.protocol());
        faults.push(Fault::error(value.span, message).label("smtp only").help("write tls=auto: encrypted at once"));
    }
    let mut settings = tls::Settings::default();
    if let Some(block) = block {
        settings.client = client(block, faults).unwrap_or_default();
        if one(block.first("minimum-version")).and_then(Value::text) == Some("tls1.3") {
            settings.oldest = Oldest::Tls13;
        }
        let handshakes = one(block.first("handshakes")).and_then(Value::number).and_then(NonZeroU32::new);
        settings.handshakes = handshakes.map_or(settings.handshakes, Often::per_minute);
    }
    Some(Tls { begins, signer, settings })
}

/// What a `tls` block asks of clients; `None` where it says nothing.
pub(super) fn client(block: &Directive, faults: &mut Vec<Fault>) -> Option<Client> {
    let directive = block.first("client-certificate")?;
    let value = directive.property("ca")?;
    let path = value.path()?;
    let shown = path.display();
    // A device would be read for ever.
    let is_file = fs::metadata(path).map(|facts| facts.is_file() && facts.len() <= MOST as u64);
    let read = match is_file {
        Ok(true) => fs::read(path).map_err(|error| error.to_string()),
        Ok(false) => Err(format!("it is no file of at most {MOST} bytes")),
        Err(error) => Err(error.to_string()),
    };
    let read = read.and_then(|pem| authorities(&pem).map_err(|error| error.to_string()));
    let client = match (read, one(Some(directive)).and_then(Value::text)) {
        (Ok(authorities), Some("request")) => Client::MayShow(authorities),
        (Ok(authorities), _) => Client::MustShow(authorities),
        (Err(why), _) => {
            let fault = Fault::error(value.span, format!("the authorities in {shown} cannot be read: {why}"));
            faults.push(fault.label("not usable").help("name a PEM file with the CA's certificate"));
            return None;
        }
    };
    let settings = tls::Settings { client, ..tls::Settings::default() };
    if let Err(error) = Terms::new(&Certificates::default(), &settings, &[], &Tickets::default()) {
        let fault = Fault::error(value.span, format!("the authorities in {shown} cannot be used: {error}"));
        faults.push(fault.label("not usable").help("name a PEM file with the CA's certificate"));
        return None;
    }
    Some(settings.client)
}

/// The files of these directives, each tried.
pub(super) fn pairs<'a>(directives: impl Iterator<Item = &'a Directive>, faults: &mut Vec<Fault>) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for directive in directives {
        let Some((value, chain)) = directive.value().and_then(|value| Some((value, value.path()?))) else { continue };
        let key = directive.property("key").and_then(Value::path).unwrap_or(chain);
        let pair = Pair { chain: chain.clone(), key: key.clone() };
        if let Err(error) = pair.read() {
            let fault = Fault::error(value.span, crate::cli::chain(&error)).label("not usable");
            faults.push(fault.help("write certificate \"chain.pem\" key=\"key.pem\", both in PEM"));
        }
        pairs.push(pair);
    }
    pairs
}

/// The certificates that are wanted, and what each site asks of its clients, told to the channels that give it.
pub(super) fn settle(
    written: &Written,
    (hostname, address): (&str, IpAddr),
    channels: &mut [Door],
    sites: &[Site],
    faults: &mut Vec<Fault>,
) -> Wanted {
    let files = pairs(written.all("certificate"), faults);
    if channels.iter().all(|door| door.tls.is_none()) {
        unused(written, faults);
        return Wanted::default();
    }
    for door in channels.iter_mut().filter(|door| door.role.gives_sites()) {
        if let Some(tls) = &mut door.tls {
            by_name(&mut tls.settings, sites);
        }
    }
    by_address(written, channels, sites, faults);
    nameable(written, channels, faults);
    let mut own = vec![hostname.to_ascii_lowercase(), "localhost".into(), "127.0.0.1".into(), "::1".into()];
    own.retain(|name| value::host(name).is_some() || name.parse::<IpAddr>().is_ok());
    let addresses = channels.iter().map(|door| door.channel.address.ip()).chain([address]);
    own.extend(addresses.filter(|address| !address.is_unspecified()).map(|address| address.to_canonical().to_string()));
    let signer = signer(written, channels);
    // A machine's own name is often one that leads elsewhere: a CA is asked for one that is written only.
    let of_own = if written.first("hostname").is_some() { signer } else { Signer::Local };
    let usual = own.first().cloned();
    // A name beneath a site with `*.` is that site's, as far as one certificate goes for both (RFC 9525 §6.3).
    own.retain(|name| !sites.iter().flat_map(names).any(|site| is_beneath(name, &site)));
    let own = Group { names: once_each(own), files: Vec::new(), signer: of_own };
    let of_sites = sites.iter().map(|site| Group { names: names(site), files: site.certificates.clone(), signer });
    // Those of sites first: what is the name of a site too is shown what is written there.
    let groups = of_sites.chain([own]).filter(|group| !group.names.is_empty()).collect();
    Wanted { groups, files, usual }
}

/// Who signs where there is no file.
fn signer(written: &Written, channels: &[Door]) -> Signer {
    let is_for_acme = |door: &Door| door.tls.as_ref().is_some_and(|tls| tls.signer == Signer::Acme);
    let Some(acme) = written.first("acme").filter(|_| channels.iter().any(is_for_acme)) else { return Signer::Local };
    // A root of its own is known to nobody else; nor is a CA that is none of those whom the world knows.
    let directory = acme.property("directory").and_then(Value::text);
    let is_own = acme.first("ca-root").is_some() || directory.is_some_and(|directory| !is_of_the_world(directory));
    if is_own { Signer::OwnAcme } else { Signer::Acme }
}

/// What is written for TLS and no channel uses.
fn unused(written: &Written, faults: &mut Vec<Fault>) {
    let sites = || written.all("domain").flat_map(|domain| domain.all("site"));
    let certificates =
        written.all("certificate").chain(written.all("acme")).chain(sites().flat_map(|site| site.all("certificate")));
    for directive in certificates.chain(sites().flat_map(|site| site.all("tls"))) {
        let fault = Fault::warning(directive.name, "no channel speaks TLS, so this is for nothing");
        faults.push(fault.label("for nothing").help("write tls=auto on the line of a channel"));
    }
}

/// What each site asks of its clients. The one that answers to every other name decides for those too.
fn by_name(settings: &mut tls::Settings, sites: &[Site]) {
    if sites.iter().all(|site| site.client.is_none()) {
        return;
    }
    let usual = settings.client.clone();
    let of = |site: &Site| site.client.clone().unwrap_or_else(|| usual.clone());
    // As a request's host is compared with them: an address in its brackets.
    let named = sites.iter().flat_map(|site| site.hosts.names.iter().map(move |name| (name.to_string(), site)));
    settings.clients = named.map(|(name, site)| (name, of(site))).collect::<HashMap<_, _>>();
    if let Some(site) = sites.iter().find(|site| site.hosts.others == Others::Answered) {
        settings.client = of(site);
    }
}

/// A client that connects to an address names nothing at its handshake (RFC 6066 §3), so it is asked what the channel asks: a site that
/// is named by an address and asks for something else would be reached by nobody.
fn by_address(written: &Written, channels: &[Door], sites: &[Site], faults: &mut Vec<Fault>) {
    let gives = channels.iter().filter(|door| door.role.gives_sites()).filter_map(|door| door.tls.as_ref());
    let usual: Vec<&Client> = gives.map(|tls| &tls.settings.client).collect();
    for directive in written.all("domain").flat_map(|domain| domain.all("site")) {
        let address = directive.arguments.iter().find_map(|value| Some((value, address(value.text()?)?)));
        let (Some((value, name)), Some(tls)) = (address, directive.first("tls")) else { continue };
        let site = sites.iter().find(|site| site.hosts.names.contains(&name));
        let Some(client) = site.and_then(|site| site.client.as_ref()) else { continue };
        if !usual.is_empty() && !usual.contains(&client) {
            let message = "who connects to an address names no site, and is asked for what the channel asks";
            let fault =
                Fault::error(value.span, message).label("an address").also(tls.name, "this asks for something else");
            faults.push(fault.help("give the address to another site, or write the same tls block in a channel"));
        }
    }
}

/// Whether a name is one label beneath a site's wildcard.
fn is_beneath(name: &str, site: &str) -> bool {
    let above = name.split_once('.').map(|(_, above)| above);
    site.strip_prefix("*.").is_some_and(|parent| above == Some(parent))
}

/// A site that is reached over TLS has names that a certificate can have.
fn nameable(written: &Written, channels: &[Door], faults: &mut Vec<Fault>) {
    if !channels.iter().any(|door| door.role.gives_sites() && door.tls.is_some()) {
        return;
    }
    for value in written.all("domain").flat_map(|domain| domain.all("site")).flat_map(|site| &site.arguments) {
        let is_name = |text: &&str| *text != "*" && http::SiteName::parse(text).is_ok();
        let Some(name) = value.text().filter(is_name) else { continue };
        if !is_for_certificates(name.strip_suffix('.').unwrap_or(name)) {
            let fault = Fault::error(value.span, format!("no certificate can be for {name}")).label("no host name");
            faults
                .push(fault.help("labels of at most 63 letters, digits and hyphens between dots, in all at most 253"));
        }
    }
}

/// The name of a site that is an address.
fn address(text: &str) -> Option<http::SiteName> {
    let literal = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    literal.parse::<IpAddr>().ok().and_then(|_| http::SiteName::parse(text).ok())
}

/// A site's names, an address without its brackets.
fn names(site: &Site) -> Vec<String> {
    let written = site.hosts.names.iter().map(ToString::to_string);
    once_each(written.map(|name| name.trim_start_matches('[').trim_end_matches(']').to_owned()).collect())
}

fn once_each(names: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}
