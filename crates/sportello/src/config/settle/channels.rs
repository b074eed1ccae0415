//! The channels: where each listens, what is served on it, its limits and its deadlines.

pub(super) mod elsewhere;

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZeroU32;

use sportello_net::rate::Often;
use sportello_net::{Channel, Deadlines};
use sportello_service::web::Network;

use super::{encrypted, networks, one, same_place, set};
use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::settings::{Door, Origin, Role};
use crate::config::usual;
use crate::protocol::{command, http, smtp};
use crate::socket::NAME as OWN;

/// The most channels; each costs a socket for each worker.
const MOST: usize = 256;

/// All channels that are whole.
pub(super) fn settle(written: &Written, (address, most): (IpAddr, usize), faults: &mut Vec<Fault>) -> Vec<Door> {
    let mut settled: Vec<(Door, &Directive)> = Vec::new();
    if let Some(beyond) = written.all("channel").nth(MOST) {
        faults.push(Fault::error(beyond.name, format!("there may be {MOST} channels")).label("one too many"));
    }
    for directive in written.all("channel").take(MOST) {
        let Some(door) = door(written, directive, (address, most), faults) else { continue };
        // One other is enough to tell of.
        let _ = settled.iter().find(|(other, first)| apart((&door, directive), (other, first), faults) == Apart::No);
        settled.push((door, directive));
    }
    of_this_machine(written, &settled, faults);
    elsewhere::reached(&settled, faults);
    let doors = settled.into_iter().enumerate();
    doors.map(|(index, (door, _))| Door { channel: Channel { index, ..door.channel }, ..door }).collect()
}

fn door(
    written: &Written,
    directive: &Directive,
    (address, most): (IpAddr, usize),
    faults: &mut Vec<Fault>,
) -> Option<Door> {
    let name = one(Some(directive))?.text()?.to_owned();
    if let Some(value) = directive.value().filter(|_| name == OWN) {
        let fault = Fault::error(value.span, format!("the channel of the command line is named {OWN}")).label("taken");
        faults.push(fault.help("choose another name"));
    }
    let port: u16 = directive.property("port")?.number()?;
    let protocol = directive.property("protocol")?.text()?;
    belongs(directive, protocol, faults);
    let role = role(directive, protocol)?;
    let address = directive.property("address").and_then(Value::address).unwrap_or(address);
    inside(directive, &role, address, faults);
    wanted(directive, &role, faults);
    privileged(directive, port, faults);
    let share = one(directive.first("connections")).and_then(Value::number);
    let channel = Channel {
        index: 0,
        name,
        address: SocketAddr::new(address, port),
        loopback: address.to_canonical().is_loopback(),
        speaker: usual::speaker(&role),
        deadlines: deadlines(directive, &role),
        most_connections: share.unwrap_or_else(|| usual::share(&role, most)).min(most),
        backlog: one(directive.first("backlog"))
            .and_then(Value::number::<u32>)
            .map_or(usual::BACKLOG, u32::cast_signed),
    };
    let line = written.source.place(directive.name.start).line;
    let tls = encrypted::tls(directive, &role, faults);
    let to_https = elsewhere::to_https(directive, &role, faults);
    let introducers = introducers(directive, &role, faults);
    let origin = Origin::File { path: written.source.path().to_owned(), line };
    Some(Door { channel, role, tls, to_https, introducers, origin })
}

/// Each address must be one that can be listened on; each is tried once, on a port that nobody has.
fn of_this_machine(written: &Written, settled: &[(Door, &Directive)], faults: &mut Vec<Fault>) {
    let mut tried: Vec<IpAddr> = Vec::new();
    for (door, directive) in settled {
        let address = door.channel.address.ip();
        if tried.contains(&address) {
            continue;
        }
        tried.push(address);
        // A datagram socket has the same addresses, and nobody can connect to it meanwhile.
        let Err(error) = UdpSocket::bind((address, 0)) else { continue };
        let value = directive.property("address").or_else(|| one(written.first("address")));
        let message = match error.kind() {
            io::ErrorKind::AddrNotAvailable => format!("{address} is not an address of this machine"),
            _ => format!("{address} cannot be listened on: {error}"),
        };
        let fault = Fault::error(value.map_or(directive.name, |value| value.span), message).label("not here");
        faults.push(fault.help("write an address of this machine (`ip address` lists them)"));
    }
}

/// Each directive of the block must be one for the channel's protocol.
fn belongs(directive: &Directive, protocol: &str, faults: &mut Vec<Fault>) {
    for child in directive.children.iter().filter(|child| !child.row.only.is_empty()) {
        if !child.row.only.contains(&protocol) {
            let wanted = child.row.only.join(" or ");
            let message = format!("{} is for {wanted} channels, and this one speaks {protocol}", child.row.name);
            let mut fault = Fault::error(child.name, message).label("not here");
            if let Some(value) = directive.property("protocol") {
                fault = fault.also(value.span, "because of this");
            }
            faults.push(fault.help(format!("remove it, or write protocol={wanted}")));
        }
    }
}

fn role(directive: &Directive, protocol: &str) -> Option<Role> {
    match protocol {
        "http" if directive.first("desk").is_some() => Some(Role::Desk(web(directive))),
        "http" => Some(Role::Sites(web(directive))),
        "smtp" => Some(Role::Smtp(mail(directive, smtp::Purpose::Exchange))),
        "submission" => Some(Role::Smtp(mail(directive, smtp::Purpose::Submission))),
        "command" => Some(Role::Command(commands(directive))),
        _ => None,
    }
}

fn web(directive: &Directive) -> http::Limits {
    let mut limits = http::Limits::default();
    let head = directive.first("head-size");
    set(&mut limits.head.head, one(head).and_then(Value::number));
    limits.head.request_line = limits.head.request_line.min(limits.head.head);
    set(&mut limits.head.fields, head.and_then(|head| head.property("fields")).and_then(Value::number));
    set(&mut limits.body, one(directive.first("body-size")).and_then(Value::number));
    limits.slow = one(directive.first("slow")).and_then(Value::time);
    limits
}

/// A bound on bodies is for those who take any.
fn wanted(directive: &Directive, role: &Role, faults: &mut Vec<Fault>) {
    if let (Role::Sites(_), Some(size)) = (role, directive.first("body-size")) {
        let fault = Fault::error(size.name, "sites take no bodies: body-size is for the channel of the desk");
        faults.push(fault.label("not here").help("remove it"));
    }
}

fn mail(directive: &Directive, purpose: smtp::Purpose) -> smtp::Settings {
    let mut settings = smtp::Settings { purpose, ..smtp::Settings::default() };
    let value = |name: &str| one(directive.first(name));
    let limits = &mut settings.limits;
    set(&mut limits.message, value("message-size").and_then(Value::number));
    set(&mut limits.recipients, value("recipients").and_then(Value::number));
    set(&mut limits.recipient_domains, value("recipient-domains").and_then(Value::number));
    set(&mut limits.messages, value("messages").and_then(Value::number));
    set(&mut limits.errors, value("errors").and_then(Value::number));
    set(&mut limits.idle_commands, value("idle-commands").and_then(Value::number));
    set(&mut limits.received, value("received").and_then(Value::number));
    set(&mut limits.text_line, value("text-line-size").and_then(Value::number));
    let often = |name: &str| {
        let rate = directive.first("per-minute").and_then(|rate| rate.property(name)).and_then(Value::number::<u32>);
        rate.map(|rate| NonZeroU32::new(rate).map(Often::per_minute))
    };
    set(&mut settings.connections, often("connections"));
    set(&mut settings.messages, often("messages"));
    set(&mut settings.recipients, often("recipients"));
    set(&mut settings.failures, often("failures"));
    set(&mut settings.greet_delay, value("greet-delay").and_then(Value::time));
    set(&mut settings.unfinished, value("unfinished").and_then(Value::number));
    if value("this-machine").and_then(Value::text) == Some("like-others") {
        settings.local = smtp::Local::LikeOthers;
    }
    settings
}

fn commands(directive: &Directive) -> command::Limits {
    let mut limits = command::Limits::default();
    let arguments = directive.first("arguments");
    set(&mut limits.arguments, one(arguments).and_then(Value::number));
    let size = arguments.and_then(|arguments| arguments.property("size"));
    set(&mut limits.argument, size.and_then(Value::number));
    set(&mut limits.request, one(directive.first("request-size")).and_then(Value::number));
    set(&mut limits.line, one(directive.first("line-size")).and_then(Value::number));
    limits
}

fn deadlines(directive: &Directive, role: &Role) -> Deadlines {
    let mut deadlines = usual::deadlines(role);
    let time = |name: &str| one(directive.first(name)).and_then(Value::time);
    set(&mut deadlines.first_byte, time("first-byte"));
    set(&mut deadlines.idle, time("idle"));
    set(&mut deadlines.between_bytes, time("between-bytes"));
    set(&mut deadlines.request, time("request"));
    set(&mut deadlines.write, time("write"));
    let rate = directive.first("minimum-rate");
    set(&mut deadlines.minimum_rate, one(rate).and_then(Value::number));
    set(&mut deadlines.rate_grace, rate.and_then(|rate| rate.property("after")).and_then(Value::time));
    deadlines
}

/// The desk and the commands ask nobody who they are, so they stay on this machine.
fn inside(directive: &Directive, role: &Role, address: IpAddr, faults: &mut Vec<Fault>) {
    let what = match role {
        Role::Desk(_) => "the desk",
        Role::Command(_) => "a command channel",
        Role::Sites(_) | Role::Smtp(_) => return,
    };
    if address.to_canonical().is_loopback() {
        return;
    }
    let at = directive.property("address").map_or(directive.name, |value| value.span);
    let fault = Fault::error(at, format!("{what} listens on this machine only, and {address} is reached from others"));
    let why = "it does not ask who is there";
    faults.push(fault.label(why).help("write address=\"127.0.0.1\" on the line of this channel"));
}

/// Who connects for others. Not to the desk, which asks nobody who he is and so is for this machine alone.
fn introducers(directive: &Directive, role: &Role, faults: &mut Vec<Fault>) -> Vec<Network> {
    let Some(written) = directive.first("proxy-protocol") else { return Vec::new() };
    if let Role::Desk(_) = role {
        let fault = Fault::error(written.name, "the desk is for this machine, and a proxy's clients are elsewhere");
        faults.push(fault.label("not here").help("remove it"));
    }
    networks(&written.arguments, faults)
}

/// Whether two channels can both be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Apart {
    Yes,
    No,
}

/// Two channels must have two names and two places.
fn apart(
    (door, directive): (&Door, &Directive),
    (other, first): (&Door, &Directive),
    faults: &mut Vec<Fault>,
) -> Apart {
    let before = faults.len();
    let (mine, its) = (&door.channel, &other.channel);
    if let (true, Some(value), Some(before)) = (mine.name == its.name, directive.value(), first.value()) {
        let fault = Fault::error(value.span, format!("two channels are named {}", mine.name)).label("here again");
        faults.push(fault.also(before.span, "first here").help("give each channel a name of its own"));
    }
    let port = mine.address.port();
    let same = port != 0 && port == its.address.port() && same_place(mine.address.ip(), its.address.ip());
    if let (true, Some(value), Some(before)) = (same, directive.property("port"), first.property("port")) {
        let fault = Fault::error(value.span, format!("two channels want port {port} of the same address"));
        let fault = fault.label(format!("{} at {}", mine.name, mine.address));
        let fault = fault.also(before.span, format!("{} at {}", its.name, its.address));
        faults.push(fault.help("give each channel a port of its own, or 0 for a free one"));
    }
    if faults.len() == before { Apart::Yes } else { Apart::No }
}

/// A low port needs a privilege, which the server that is started later may have.
fn privileged(directive: &Directive, port: u16, faults: &mut Vec<Fault>) {
    let Some(value) = directive.property("port").filter(|_| port != 0 && port < lowest_free() && !may_bind_low())
    else {
        return;
    };
    let fault =
        Fault::warning(value.span, format!("this user may not listen on port {port}")).label("needs a privilege");
    faults.push(fault.help(
        "start the server with CAP_NET_BIND_SERVICE (AmbientCapabilities= in systemd), or write a port from 1024 on",
    ));
}

/// The lowest port that everybody may have (ip(7), ip_unprivileged_port_start).
fn lowest_free() -> u16 {
    let told = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    told.ok().and_then(|told| told.trim().parse().ok()).unwrap_or(1024)
}

/// Whether this process has CAP_NET_BIND_SERVICE (capabilities(7): number 10).
fn may_bind_low() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).is_some_and(|bits| bits & (1 << 10) != 0)
}
