//! From a file as it was written to checked settings: stage two of two.
//!
//! Each part of the file becomes the settings of the crate that uses it, starting from that crate's own defaults: nothing is
//! inherited from elsewhere in the file but the one address. The world is looked at too: folders and programs must be there.

mod access;
mod acme;
mod ban;
mod channels;
mod codings;
mod commands;
mod domains;
mod encrypted;
mod files;
mod mail;
pub(super) mod published;
mod routes;
mod sending;
pub(super) mod state;

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use sportello_service::directory::{Handling, MailDomain, MailDomains};
use sportello_service::run::Program;
use sportello_service::spool::Bounds;
use sportello_service::web::{BadNetwork, Network};
use sportello_store::Retention;
use tracing::metadata::LevelFilter;

use super::as_written::{Directive, Value, Written};
use super::fault::{Fault, any_error};
use super::settings::{Door, Logging, Role, Settings, Site};
use super::source::Span;
use super::usual;
use crate::observe::log::Form;
use crate::protocol::{command, smtp};

impl Settings {
    /// Checks a file that was read. What is wrong is put into `faults`; `None` when the server cannot start with it.
    pub fn from_written(written: &Written, faults: &mut Vec<Fault>) -> Option<Self> {
        let is_sound = !any_error(faults);
        let address = one(written.first("address")).and_then(Value::address).unwrap_or(Ipv4Addr::LOCALHOST.into());
        let (most_connections, most_per_source) = connections(written, faults);
        let store = store(written, faults);
        let (mut sites, mail) = domains::settle(written, faults);
        if let Some(store) = &store {
            state::apart(written, &store.folder, faults);
        }
        let mut channels = channels::settle(written, (address, most_connections), faults);
        take_mail(&mut channels, &mail);
        let hostname = one(written.first("hostname")).and_then(Value::text).map_or_else(usual::hostname, str::to_owned);
        let of_mail = published::sites(written, &mail, (&channels, &hostname), &sites, faults);
        sites.extend(of_mail);
        let programs = commands::settle(written, faults);
        // What seems to be missing may be what was mistyped and told already.
        if is_sound {
            let parts = Parts { channels: &channels, sites: &sites, mail: &mail, programs: &programs };
            parts.fit_together(written, faults);
        }
        let certificates = encrypted::settle(written, (&hostname, address), &mut channels, &sites, faults);
        let sending = sending::settle(written, &hostname, &channels, faults);
        let acme = acme::settle(written, &channels, faults);
        let settings = Self {
            address,
            hostname,
            uploads: uploads(written, store.as_ref()?),
            store: store?,
            workers: one(written.first("workers")).and_then(Value::number).unwrap_or_else(usual::workers),
            programs,
            channels,
            sites,
            certificates,
            acme,
            sending,
            mail: Arc::new(mail),
            most_connections,
            most_per_source,
            grace: one(written.first("grace")).and_then(Value::time).unwrap_or(usual::GRACE),
            log: log(written),
            slow_log: slow_log(written),
            ban: ban::settle(written, faults),
        };
        (!any_error(faults)).then_some(settings)
    }
}

/// Tells each mail channel whose mail it takes: `*` stands for every domain that is not named.
fn take_mail(channels: &mut [Door], mail: &MailDomains) {
    let names = |captured: bool| -> Arc<[String]> {
        let is_captured = |domain: &&MailDomain| matches!(domain.handling, Handling::Captured { .. });
        let named = mail.iter().filter(|domain| domain.name.as_ref() != "*");
        named.filter(|domain| is_captured(domain) == captured).map(|domain| domain.name.to_string()).collect()
    };
    let others = mail.others().is_some_and(|domain| matches!(domain.handling, Handling::Captured { .. }));
    let domains = match (others, names(false)) {
        (false, _) => smtp::Domains::These(names(true)),
        (true, left) if left.is_empty() => smtp::Domains::All,
        (true, left) => smtp::Domains::AllBut(left),
    };
    for door in channels {
        if let Role::Smtp(settings) = &mut door.role {
            settings.domains = domains.clone();
        }
    }
}

/// The first value of a directive.
fn one(directive: Option<&Directive>) -> Option<&Value> {
    directive.and_then(Directive::value)
}

/// Sets what `directive` has a value for.
fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn connections(written: &Written, faults: &mut Vec<Fault>) -> (usize, usize) {
    let possible = usual::raise_descriptor_limit();
    let directive = written.first("connections");
    let most = one(directive).and_then(Value::number).unwrap_or(possible);
    if let Some(value) = one(directive).filter(|_| most > possible) {
        let message = format!("this machine allows about {possible} connections");
        let fault = Fault::warning(value.span, message).label("more than that");
        faults.push(fault.help("raise the limit of open files (ulimit -Hn, LimitNOFILE= in systemd), or write less"));
    }
    let most = most.min(possible);
    let per_source = directive.and_then(|directive| directive.property("per-source")).and_then(Value::number);
    (most, per_source.unwrap_or_else(|| usual::per_source(most)))
}

fn store(written: &Written, faults: &mut Vec<Fault>) -> Option<sportello_store::Settings> {
    let directive = written.first("state");
    let value = one(directive);
    let Some(folder) = value.and_then(Value::path).cloned().or_else(usual::default_state) else {
        let fault = Fault::error(Span::default(), "there is no home folder to keep state in (HOME is not set)");
        faults.push(fault.help("write state \"/var/lib/sportello\""));
        return None;
    };
    if let (Some(value), true) = (value, folder.exists() && !folder.is_dir()) {
        let fault = Fault::error(value.span, format!("{} is not a folder", folder.display())).label("a file");
        faults.push(fault.help("name a folder; it is made when it is missing"));
    }
    state::can_be_made(value.map(|value| value.span).unwrap_or_default(), &folder, faults);
    let mut store = sportello_store::Settings::new(folder);
    store.retention = retention(written, faults);
    let Some(directive) = directive else { return Some(store) };
    let memory = directive.first("memory");
    set(&mut store.memory_budget, one(memory).and_then(Value::number));
    let body = memory.and_then(|memory| memory.property("body"));
    set(&mut store.memory_body, body.and_then(Value::number));
    if let Some(value) = body.filter(|_| store.memory_body as u64 > store.memory_budget) {
        faults.push(
            Fault::error(value.span, "one message may not have more memory than all together")
                .label("more than memory"),
        );
    }
    set(&mut store.disk_reserve, one(directive.first("keep-free")).and_then(Value::number));
    Some(store)
}

fn uploads(written: &Written, store: &sportello_store::Settings) -> Bounds {
    let written = written.first("state").and_then(|state| state.first("uploads"));
    usual::uploads(one(written).and_then(Value::number), store)
}

fn retention(written: &Written, faults: &mut Vec<Fault>) -> Retention {
    let Some(keep) = written.first("inbox").and_then(|inbox| inbox.first("keep")) else { return Retention::default() };
    // What was written wrongly is told already.
    if keep.span == keep.name {
        let fault = Fault::error(keep.name, "keep says nothing").label("count=, age= or bytes= is missing");
        faults.push(fault.help("write for example: keep count=10000 age=\"90d\""));
    }
    Retention {
        most_messages: keep.property("count").and_then(Value::number),
        oldest: keep.property("age").and_then(Value::time),
        most_bytes: keep.property("bytes").and_then(Value::number),
    }
}

fn log(written: &Written) -> Logging {
    let directive = written.first("log");
    let level = match one(directive).and_then(Value::text) {
        Some("off") => LevelFilter::OFF,
        Some("error") => LevelFilter::ERROR,
        Some("warn") => LevelFilter::WARN,
        Some("debug") => LevelFilter::DEBUG,
        _ => LevelFilter::INFO,
    };
    let form = directive.and_then(|directive| directive.property("form")).and_then(Value::text);
    Logging { level, form: if form == Some("json") { Form::Json } else { Form::Text } }
}

fn slow_log(written: &Written) -> command::SlowLogSettings {
    let mut settings = command::SlowLogSettings::default();
    let directive = written.first("slow-log");
    set(&mut settings.slower_than, one(directive).and_then(Value::time));
    set(&mut settings.length, directive.and_then(|directive| directive.property("keep")).and_then(Value::number));
    settings
}

/// What only together can be wrong.
struct Parts<'a> {
    channels: &'a [Door],
    sites: &'a [Site],
    mail: &'a MailDomains,
    programs: &'a [Program],
}

impl Parts<'_> {
    fn fit_together(&self, written: &Written, faults: &mut Vec<Fault>) {
        if written.first("channel").is_none() {
            let fault = Fault::error(Span::default(), "there is no channel, so the server would listen nowhere")
                .label("in all of the file");
            faults.push(fault.help("write for example: channel web port=8080 protocol=http"));
            return;
        }
        let has = |protocol: &str| self.channels.iter().any(|door| door.role.protocol() == protocol);
        let gives_sites = self.channels.iter().any(|door| door.role.gives_sites());
        let channel = |wanted: &dyn Fn(&Door) -> bool| {
            let door = self.channels.iter().find(|door| wanted(door))?;
            written
                .all("channel")
                .find(|directive| one(Some(directive)).and_then(Value::text) == Some(&door.channel.name))
        };
        let domain = |name: &'static str| written.all("domain").find_map(|domain| domain.first(name));
        // Where something was written and is wrong, it is told already.
        if let (Some(channel), true, None) =
            (channel(&|door| door.role.gives_sites()), self.sites.is_empty(), domain("site"))
        {
            let fault =
                Fault::error(channel.name, "this http channel has no site to give").label("it would answer nothing");
            faults.push(fault.help(
                "write a site: domain \"*\" { site \"*\" { root \"/srv/www\" } }, or desk in the channel's block",
            ));
        }
        if let (Some(channel), true, None) =
            (channel(&|door| matches!(door.role, Role::Smtp(_))), self.mail.own().is_none(), domain("mail"))
        {
            let fault =
                Fault::error(channel.name, "no domain takes mail from this smtp channel").label("it would refuse all");
            faults.push(fault.help("write a domain: domain \"*\" { mail { capture } }"));
        }
        if let (Some(site), false) = (domain("site"), gives_sites) {
            faults.push(unreached(site.name, "site", "http"));
        }
        if let (Some(channel), true, false) =
            (channel(&|door| door.role.protocol() == "submission"), self.mail.only_capture(), self.mail.own().is_none())
        {
            let fault = Fault::warning(channel.name, "no domain has accounts").label("nobody can log in");
            faults.push(fault.help("write a domain whose mail is not captured: domain example.org { mail }"));
        }
        if let (Some(mail), false) = (domain("mail"), has("smtp") || has("submission")) {
            faults.push(unreached(mail.name, "mail", "smtp"));
        }
        let is_reached = has("command") || routes::runs(written);
        if let (Some(command), false, false) = (written.first("command"), is_reached, self.programs.is_empty()) {
            faults.push(unreached(command.name, "command", "command"));
        }
    }
}

fn unreached(at: Span, what: &str, protocol: &str) -> Fault {
    let fault = Fault::warning(at, format!("no channel speaks {protocol}, so nobody reaches this {what}"));
    fault.label("out of reach").help(format!("write a channel with protocol={protocol}"))
}

/// The folder, absolute, without links; or what is wrong with it.
fn folder(value: &Value, faults: &mut Vec<Fault>) -> Option<std::path::PathBuf> {
    let given = value.path()?;
    let shown = given.display();
    let wrong = match fs::canonicalize(given) {
        Ok(folder) if !folder.is_dir() => Fault::error(value.span, format!("{shown} is not a folder"))
            .label("a file")
            .help("name the folder that holds it"),
        Ok(folder) => match fs::read_dir(&folder) {
            Ok(_) => return Some(folder),
            Err(error) => {
                Fault::error(value.span, format!("the folder {shown} cannot be read: {error}")).label("not readable")
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let fault = Fault::error(value.span, format!("the folder {shown} does not exist")).label("not there");
            fault.help(format!("make it (mkdir -p {shown}), or name one that is there"))
        }
        Err(error) => {
            Fault::error(value.span, format!("the folder {shown} cannot be read: {error}")).label("not readable")
        }
    };
    faults.push(wrong);
    None
}

/// Ranges of addresses; what is none of them is told.
fn networks(values: &[Value], faults: &mut Vec<Fault>) -> Vec<Network> {
    let mut networks = Vec::new();
    for value in values {
        networks.extend(value.text().and_then(|text| network(text, value, faults)));
    }
    networks
}

fn network(text: &str, value: &Value, faults: &mut Vec<Fault>) -> Option<Network> {
    match text.parse() {
        Ok(network) => Some(network),
        Err(error) => {
            let error: BadNetwork = error;
            let fault = Fault::error(value.span, format!("{text:?}: {error}")).label("no network");
            faults.push(fault.help("write \"192.0.2.7\", \"10.0.0.0/8\" or \"2001:db8::/32\""));
            None
        }
    }
}

/// Whether two channels cannot both have the port that both want.
fn same_place(one: IpAddr, other: IpAddr) -> bool {
    one == other || one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified())
}

#[cfg(test)]
mod tests;
