//! TLS: which channels speak it and on what terms, which certificates are wanted.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::num::NonZeroU32;

use sportello_net::rate::Often;
use sportello_net::tls::{self, Certificates, Client, Oldest, Terms, Tickets};
use sportello_service::certificates::credential::{MOST, authorities};
use sportello_service::certificates::{Group, Pair, Signer, Wanted};

use super::one;
use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::settings::{Begins, Door, Others, Role, Site, Tls};
use crate::config::value;

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
    let mut own = vec![hostname.to_ascii_lowercase(), "localhost".into(), "127.0.0.1".into(), "::1".into()];
    own.retain(|name| value::host(name).is_some() || name.parse::<IpAddr>().is_ok());
    let addresses = channels.iter().map(|door| door.channel.address.ip()).chain([address]);
    own.extend(addresses.filter(|address| !address.is_unspecified()).map(|address| address.to_canonical().to_string()));
    let signer = signer(written, channels);
    // A machine's own name is often one that leads elsewhere: a CA is asked for one that is written only.
    let of_own = if written.first("hostname").is_some() { signer } else { Signer::Local };
    let own = Group { names: once_each(own), files: Vec::new(), signer: of_own };
    let of_site = |site: &Site| Group { names: names(site), files: site.certificates.clone(), signer };
    let groups = [own].into_iter().chain(sites.iter().map(of_site).filter(|group| !group.names.is_empty()));
    Wanted { groups: groups.collect(), files }
}

/// Who signs where there is no file.
fn signer(written: &Written, channels: &[Door]) -> Signer {
    let is_for_acme = |door: &Door| door.tls.as_ref().is_some_and(|tls| tls.signer == Signer::Acme);
    if written.first("acme").is_some() && channels.iter().any(is_for_acme) { Signer::Acme } else { Signer::Local }
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
    let named = sites.iter().flat_map(|site| names(site).into_iter().map(move |name| (name, site)));
    settings.clients = named.map(|(name, site)| (name, of(site))).collect::<HashMap<_, _>>();
    if let Some(site) = sites.iter().find(|site| site.hosts.others == Others::Answered) {
        settings.client = of(site);
    }
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
