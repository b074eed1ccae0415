//! What passes requests on.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sportello_service::proxy::{
    Address, BadIdentity, Balance, Believe, Ejection, Encryption, Health, Host, Identity, Member, Role, Settings,
    Speech, UPSTREAMS_MOST, Upstreams,
};

use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::settle::{one, set};
use crate::config::usual;

/// The upstreams of `directive` and all that is said of them.
pub(super) fn settle(written: &Written, directive: &Directive, faults: &mut Vec<Fault>) -> Option<Arc<Upstreams>> {
    settings(written, directive, faults).map(Upstreams::new)
}

/// What is said of the upstreams of `directive`, which is `proxy` or another one that has such.
pub(super) fn settings(written: &Written, directive: &Directive, faults: &mut Vec<Fault>) -> Option<Settings> {
    let before = faults.len();
    let mut settings = Settings::of([]);
    settings.upstreams = members(directive, faults);
    encrypt(directive, &mut settings, faults);
    host(directive, &mut settings, faults);
    let trust = super::trust(written);
    (settings.trusted, settings.says) = (trust.proxies, vec![trust.says]);
    settings.health = directive.first("health").and_then(|written| health(written, faults));
    settings.balance = match one(directive.first("balance")).and_then(Value::text) {
        Some("least-connections") => Balance::LeastConnections,
        Some("random-of-two") => Balance::RandomOfTwo,
        Some("address-hash") => Balance::AddressHash,
        _ => Balance::RoundRobin,
    };
    settings.ejection = ejection(directive, settings.upstreams.len());
    let most = one(directive.first("parallel")).and_then(Value::number);
    settings.requests_most = most.unwrap_or_else(|| usual::requests_passed_on(super::proxies(written)));
    set(&mut settings.tries, one(directive.first("tries")).and_then(Value::number));
    if let Some(written) = directive.first("timeout") {
        let time = |name| written.property(name).and_then(Value::time);
        set(&mut settings.timeouts.connect, time("connect"));
        set(&mut settings.timeouts.head, time("head"));
        set(&mut settings.timeouts.between, time("between"));
        set(&mut settings.timeouts.tunnel, time("tunnel"));
    }
    if let Some(written) = directive.first("keep") {
        set(&mut settings.idle_most, one(Some(written)).and_then(Value::number));
        set(&mut settings.idle_age, written.property("age").and_then(Value::time));
    }
    (faults.len() == before).then_some(settings)
}

fn members(directive: &Directive, faults: &mut Vec<Fault>) -> Vec<Member> {
    let mut members = Vec::new();
    for value in &directive.arguments {
        members.extend(address(value, faults).map(Member::of));
    }
    for written in directive.all("upstream") {
        let Some(address) = one(Some(written)).and_then(|value| address(value, faults)) else { continue };
        let mut member = Member::of(address);
        set(&mut member.weight, written.property("weight").and_then(Value::number));
        if written.property("role").and_then(Value::text) == Some("backup") {
            member.role = Role::Backup;
        }
        members.push(member);
    }
    if members.len() > UPSTREAMS_MOST {
        let message = format!("a proxy has at most {UPSTREAMS_MOST} upstreams");
        faults.push(Fault::error(directive.name, message).label(format!("{} are written", members.len())));
    }
    members
}

fn address(value: &Value, faults: &mut Vec<Fault>) -> Option<Address> {
    let read = Address::parse(value.text()?);
    read.map_err(|error| faults.push(Fault::error(value.span, error.to_string()).label("no upstream"))).ok()
}

fn host(directive: &Directive, settings: &mut Settings, faults: &mut Vec<Fault>) {
    let Some(value) = one(directive.first("host")) else { return };
    settings.host = match value.text() {
        Some("client") | None => Host::Client,
        Some("upstream") => Host::Upstream,
        Some(fixed) if sportello_wire::http1::target::Host::parse(fixed.as_bytes()).is_some() => {
            Host::Fixed(fixed.to_owned().into())
        }
        Some(_) => {
            let fault = Fault::error(value.span, "this is no host").label("not this");
            faults.push(fault.help("write host client, host upstream or host \"app.example.net\""));
            return;
        }
    };
}

fn health(written: &Directive, faults: &mut Vec<Fault>) -> Option<Health> {
    let value = one(Some(written))?;
    let path = value.text()?;
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        let fault = Fault::error(value.span, "a path begins with / and holds visible ASCII only").label("no path");
        faults.push(fault.help("write health \"/ok\""));
        return None;
    }
    let mut health = Health::of(path.to_owned());
    let time = |name| written.property(name).and_then(Value::time);
    set(&mut health.every, time("every"));
    set(&mut health.within, time("within"));
    health.status = written.property("status").and_then(Value::number);
    set(&mut health.rise, written.property("rise").and_then(Value::number));
    set(&mut health.fall, written.property("fall").and_then(Value::number));
    Some(health)
}

/// One upstream alone is asked again and again: there is nobody else.
fn ejection(directive: &Directive, upstreams: usize) -> Option<Ejection> {
    let usual = Ejection::default();
    let Some(written) = directive.first("eject") else { return (upstreams > 1).then_some(usual) };
    let time = |name| written.property(name).and_then(Value::time);
    let failures = one(Some(written)).and_then(Value::number).unwrap_or(usual.failures);
    (failures > 0).then(|| Ejection {
        failures,
        within: time("within").unwrap_or(usual.within),
        period: time("for").unwrap_or(usual.period),
    })
}

/// Reads certificates and key, where an upstream is spoken to over TLS.
fn encrypt(directive: &Directive, settings: &mut Settings, faults: &mut Vec<Fault>) {
    let written = directive.first("tls");
    let is_encrypted = |member: &Member| member.address.speech == Speech::Encrypted;
    if !settings.upstreams.iter().any(is_encrypted) {
        if let Some(written) = written {
            let fault = Fault::error(written.name, "no upstream of this proxy is spoken to over TLS");
            faults.push(fault.label("of whom?").help("write \"https://HOST\" or \"h2://HOST\", or remove it"));
        }
        return;
    }
    let Some(encryption) = encryption(directive, written, faults) else { return };
    let name = written.and_then(|written| written.property("name")).and_then(Value::text);
    let members = std::mem::take(&mut settings.upstreams).into_iter().map(|mut member| {
        if !is_encrypted(&member) {
            return member;
        }
        member.encryption = Some(encryption.clone());
        match name {
            // What is no name for a certificate is the upstream's own then; the table lets no such thing pass.
            Some(name) => member.known_as(name).unwrap_or_else(|member| member),
            None => member,
        }
    });
    settings.upstreams = members.collect();
}

fn encryption(directive: &Directive, written: Option<&Directive>, faults: &mut Vec<Fault>) -> Option<Encryption> {
    let property = |name| written.and_then(|written| written.property(name));
    let believe = match (property("verify").and_then(Value::text), property("ca")) {
        (Some("insecure"), _) => Believe::Anyone,
        (_, ca) => {
            let pem = ca.map(|ca| read(ca, faults));
            let believe = match pem {
                Some(pem) => Believe::vouched(Some(&pem?)),
                None => Believe::vouched(None),
            };
            let place = ca.map_or(directive.name, |ca| ca.span);
            let told = |error: &dyn std::error::Error| Fault::error(place, error.to_string()).label("nobody vouches");
            believe.map_err(|error| faults.push(told(&error))).ok()?
        }
    };
    let identity = match (property("certificate"), property("key")) {
        (Some(chain), Some(key)) => Some(identity(chain, key, faults)?),
        (Some(alone), None) | (None, Some(alone)) => {
            let fault = Fault::error(alone.span, "certificate and key go together").label("alone");
            faults.push(fault.help("write certificate=\"chain.pem\" key=\"key.pem\""));
            return None;
        }
        (None, None) => None,
    };
    let place = property("key").map_or(directive.name, |key| key.span);
    Encryption::new(believe, identity)
        .map_err(|error| {
            let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            faults.push(Fault::error(place, format!("TLS cannot be spoken so: {why}")).label("not with this"));
        })
        .ok()
}

fn identity(chain: &Value, key: &Value, faults: &mut Vec<Fault>) -> Option<Identity> {
    let made = Identity::from_pem(&read(chain, faults)?, &read(key, faults)?);
    let place = |error| if error == BadIdentity::Chain { chain.span } else { key.span };
    made.map_err(|error| faults.push(Fault::error(place(error), error.to_string()).label("not this"))).ok()
}

/// The most bytes of a file in PEM.
const PEM_MOST: u64 = 1 << 20;

fn read(value: &Value, faults: &mut Vec<Fault>) -> Option<Vec<u8>> {
    let path: &Path = value.path()?;
    let small = fs::metadata(path).map(|metadata| metadata.len() <= PEM_MOST);
    let why = match small.and_then(|small| if small { fs::read(path).map(Some) } else { Ok(None) }) {
        Ok(Some(bytes)) => return Some(bytes),
        Ok(None) => "it is too large".to_owned(),
        Err(error) => error.to_string(),
    };
    faults.push(Fault::error(value.span, format!("{} cannot be read: {why}", path.display())).label("not this"));
    None
}
