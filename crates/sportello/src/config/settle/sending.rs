//! How mail leaves: the resolver, relays, and where from.

use std::net::{IpAddr, SocketAddr};

use sportello_service::certificates::acme::trusted;
use sportello_service::dns::{Servers, Validation};
use sportello_service::outbound::{Exit, Ourselves, Relay, RelayTls, Settings};
use sportello_wire::mail::Domain;
use sportello_wire::sasl::Password;

use super::acme::read;
use super::{networks, one, set};
use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::settings::{Door, Role};

/// The port on which name servers answer.
const DNS: u16 = 53;
/// The port on which a relay takes mail (RFC 6409 §3.1), and the one where that is encrypted from the first byte (RFC 8314 §3.3).
const SUBMISSION: (u16, u16) = (587, 465);

/// All of it.
pub(super) fn settle(written: &Written, hostname: &str, channels: &[Door], faults: &mut Vec<Fault>) -> Settings {
    let mut settings = Settings::new(hostname);
    let doors = channels.iter().filter(|door| matches!(door.role, Role::Smtp(_)));
    let listens: Vec<SocketAddr> =
        doors.map(|door| door.channel.address).filter(|address| address.port() != 0).collect();
    settings.ourselves = Ourselves::new(&[hostname.to_owned()], &listens);
    resolver(written, &mut settings, faults);
    settings.default.relay = written.first("relay").and_then(|directive| relay(directive, faults));
    if let Some(sending) = written.first("sending") {
        set(&mut settings.port, sending.property("port").and_then(Value::number));
        set(&mut settings.policy_port, sending.property("policy-port").and_then(Value::number));
        settings.default.sources = sources(sending);
        if let Some(allow) = sending.first("allow") {
            settings.allowed = networks(&allow.arguments, faults);
        }
        settings.root = sending.first("ca-root").and_then(|directive| root(directive, faults));
    }
    for domain in written.all("domain") {
        let (Some(name), Some(mail)) = (one(Some(domain)).and_then(Value::text), domain.first("mail")) else {
            continue;
        };
        let exit =
            Exit { relay: mail.first("relay").and_then(|directive| relay(directive, faults)), sources: sources(mail) };
        if exit != Exit::default() {
            settings.domains.insert(name.to_ascii_lowercase(), exit);
        }
    }
    settings
}

fn resolver(written: &Written, settings: &mut Settings, faults: &mut Vec<Fault>) {
    let Some(directive) = written.first("resolver") else { return };
    settings.validation = match directive.property("validation").and_then(Value::text) {
        Some("trusted") => Validation::Trusted,
        Some("ignored") => Validation::Ignored,
        _ => Validation::OnThisMachine,
    };
    let mut servers = Vec::new();
    for value in &directive.arguments {
        let Some(text) = value.text() else { continue };
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let address = bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS)).or_else(|_| text.parse());
        match address {
            Ok(address) => servers.push(address),
            Err(_) => {
                let fault =
                    Fault::error(value.span, format!("{text:?} is no address of a name server")).label("no address");
                faults.push(fault.help("write \"127.0.0.1\", \"127.0.0.1:5353\" or \"[::1]:5353\""));
            }
        }
    }
    if !servers.is_empty() {
        settings.servers = Servers::These(servers);
    }
}

fn sources(directive: &Directive) -> Vec<IpAddr> {
    let values = directive.first("source").map(|source| source.arguments.as_slice()).unwrap_or_default();
    values.iter().filter_map(Value::address).collect()
}

fn root(directive: &Directive, faults: &mut Vec<Fault>) -> Option<Vec<u8>> {
    let value = one(Some(directive))?;
    let pem = read(value, faults)?;
    if trusted(Some(&pem)).is_err() {
        let fault = Fault::error(value.span, "no root certificate in PEM is in this file").label("not usable");
        faults.push(fault.help("name a PEM file with the certificates of authorities"));
        return None;
    }
    Some(pem)
}

fn relay(directive: &Directive, faults: &mut Vec<Fault>) -> Option<Relay> {
    let value = one(Some(directive))?;
    let tls = match directive.property("tls").and_then(Value::text) {
        Some("implicit") => RelayTls::Implicit,
        Some("opportunistic") => RelayTls::Opportunistic,
        Some("off") => RelayTls::Off,
        _ => RelayTls::Required,
    };
    let usual = if tls == RelayTls::Implicit { SUBMISSION.1 } else { SUBMISSION.0 };
    let place = value.text().and_then(|text| place(text, usual));
    if place.is_none() {
        let fault = Fault::error(value.span, "this is no server").label("expected a name or an address, and a port");
        faults.push(fault.help("write for example relay \"smtp.example.net:587\""));
    }
    let login = login(directive, faults);
    if let (Some(_), RelayTls::Off, Some(off)) = (&login, tls, directive.property("tls")) {
        let fault = Fault::error(off.span, "the password would be said in plain text").label("not with user=");
        faults.push(fault.help("remove tls=off, or user= and password-file="));
    }
    let (host, port) = place?;
    Some(Relay { host, port, tls, login })
}

/// Host and port.
fn place(text: &str, usual: u16) -> Option<(String, u16)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((address.ip().to_string(), address.port())).filter(|(_, port)| *port != 0);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some((address.to_string(), usual));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        None => (text, usual),
    };
    Some((Domain::parse(host.as_bytes()).ok()?.asked_for()?, port))
}

fn login(directive: &Directive, faults: &mut Vec<Fault>) -> Option<(String, Password)> {
    let (user, file) = match (directive.property("user"), directive.property("password-file")) {
        (Some(user), Some(file)) => (user, file),
        (Some(user), None) => {
            let fault = Fault::error(user.span, "a user without a password").label("without password-file=");
            faults.push(fault.help("write password-file= with a file that holds it"));
            return None;
        }
        (None, Some(file)) => {
            let fault = Fault::error(file.span, "a password of nobody").label("without user=");
            faults.push(fault.help("write user= too"));
            return None;
        }
        (None, None) => return None,
    };
    let bytes = read(file, faults)?;
    let text = String::from_utf8_lossy(&bytes);
    let first = text.lines().next().unwrap_or_default();
    match Password::new(first).filter(|_| !first.is_empty() && !first.contains('\0')) {
        Some(password) => Some((user.text()?.to_owned(), password)),
        None => {
            let fault = Fault::error(file.span, "this file holds no password in its first line").label("not usable");
            faults.push(fault.help("put there the password and nothing else"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Checked;
    use crate::config::source::Source;

    fn checked(text: &str) -> Checked {
        let mut faults = Vec::new();
        let text = format!("channel web port=8080 protocol=http {{ desk }}\n{text}");
        let text = text.replace("/etc/ssl", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates"));
        let source = Source::new(Path::new("/tmp/a.kdl"), text.as_bytes(), &mut faults);
        Checked::new(source, faults)
    }

    fn settings(text: &str) -> Settings {
        let checked = checked(text);
        assert!(checked.settings.is_some(), "{:?}", checked.faults);
        checked.settings.unwrap().sending
    }

    #[test]
    fn what_is_written_is_meant() {
        let usual = settings("hostname mx.example.org");
        assert_eq!((usual.port, usual.policy_port, usual.servers), (25, 443, Servers::System));
        assert_eq!((usual.host_name.as_str(), usual.default), ("mx.example.org", Exit::default()));
        let all = settings(
            "resolver \"127.0.0.1\" \"127.0.0.1:5300\" \"::1\" \"[::1]:53\" validation=trusted\n\
             sending port=2525 policy-port=8443 { allow \"127.0.0.0/8\"; source \"127.0.0.2\"; ca-root \"/etc/ssl/clients-ca.pem\" }\n\
             relay \"Smtp.Example.net\" user=ada password-file=\"/etc/ssl/external-account.key\"\n\
             domain Example.org { mail { relay \"192.0.2.1:2525\" tls=off; source \"::1\" } }",
        );
        let servers = ["127.0.0.1:53", "127.0.0.1:5300", "[::1]:53", "[::1]:53"].map(|text| text.parse().unwrap());
        assert_eq!((all.servers, all.validation), (Servers::These(servers.to_vec()), Validation::Trusted));
        assert_eq!((all.port, all.policy_port, all.allowed.len(), all.root.is_some()), (2_525, 8_443, 1, true));
        assert_eq!(all.default.sources, ["127.0.0.2".parse::<IpAddr>().unwrap()]);
        let relay = all.default.relay.unwrap();
        assert_eq!((relay.host.as_str(), relay.port, relay.tls), ("smtp.example.net", 587, RelayTls::Required));
        assert_eq!(relay.login.unwrap().0, "ada");
        let exit = &all.domains["example.org"];
        let relay = exit.relay.as_ref().unwrap();
        assert_eq!((relay.host.as_str(), relay.port, relay.tls), ("192.0.2.1", 2_525, RelayTls::Off));
        assert_eq!(exit.sources, ["::1".parse::<IpAddr>().unwrap()]);
        for (text, host, port) in [
            ("relay \"smtp.example.net\" tls=implicit", "smtp.example.net", 465),
            ("relay \"[2001:db8::1]:25\"", "2001:db8::1", 25),
            ("relay \"2001:db8::1\"", "2001:db8::1", 587),
            ("relay \"bücher.example:25\"", "xn--bcher-kva.example", 25),
        ] {
            let relay = settings(text).default.relay.unwrap();
            assert_eq!((relay.host.as_str(), relay.port), (host, port), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, expect) in [
            ("resolver \"ns.example.org\"", "no address of a name server"),
            ("resolver \"127.0.0.1:70000\"", "no address of a name server"),
            ("relay \"a b\"", "this is no server"),
            ("relay \"smtp.example.net:0\"", "this is no server"),
            ("relay \"smtp.example.net:x\"", "this is no server"),
            ("relay \"x\" user=ada", "a user without a password"),
            ("relay \"x\" password-file=\"/etc/ssl/external-account.key\"", "a password of nobody"),
            ("relay \"x\" user=ada password-file=\"/dev/null\"", "cannot be read"),
            ("relay \"x\" tls=off user=ada password-file=\"/etc/ssl/external-account.key\"", "in plain text"),
            ("sending { allow \"10.0.0.1/8\" }", "bits behind its prefix"),
            ("sending { ca-root \"/etc/ssl/external-account.key\" }", "no root certificate"),
            ("sending port=0", "port"),
        ] {
            let faults = checked(text).faults;
            assert!(faults.iter().any(|fault| fault.message.contains(expect)), "{text}: {faults:?}");
        }
    }
}
