//! Channels that only send elsewhere: to the same over TLS.

use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::settings::{Door, HttpsPort, Role};
use sportello_service::site::HTTPS;

/// What a channel says of https.
pub(super) fn to_https(directive: &Directive, role: &Role, faults: &mut Vec<Fault>) -> Option<HttpsPort> {
    let redirect = directive.first("redirect")?;
    let wrong = match role {
        Role::Desk(_) => Some("the desk is not to be had over TLS elsewhere"),
        Role::Sites(_) if directive.property("tls").is_some() => Some("this channel speaks TLS itself"),
        Role::Sites(_) => None,
        // That it does not belong there is told already.
        Role::Smtp(_) | Role::Command(_) => return None,
    };
    if let Some(message) = wrong {
        faults.push(Fault::error(redirect.name, message).label("not here").help("remove it"));
        return None;
    }
    let port = redirect.property("port").and_then(Value::number);
    Some(port.map_or(HttpsPort::OfChannel, HttpsPort::Written))
}

/// There must be something that they can be sent to.
pub(super) fn reached(settled: &[(Door, &Directive)], faults: &mut Vec<Fault>) {
    if settled.iter().any(|(door, _)| door.gives_https()) {
        return;
    }
    let nowhere = |(door, _): &&(Door, &Directive)| door.to_https == Some(HttpsPort::OfChannel);
    for redirect in settled.iter().filter(nowhere).filter_map(|(_, directive)| directive.first("redirect")) {
        let fault = Fault::error(redirect.name, "no http channel speaks TLS, so there is nowhere to go");
        let help = "write channel web port=443 protocol=http tls=auto; or, where something in front of this server speaks TLS, redirect https port=443";
        faults.push(fault.label("to where?").help(help));
    }
}

/// The port that a site's own `redirect https` names, as far as it is written: that of the channel with TLS.
pub(in crate::config::settle) fn port(written: &Written) -> u16 {
    let speaks_tls = |channel: &&Directive| {
        let word = |name| channel.property(name).and_then(Value::text);
        word("protocol") == Some("http") && word("tls").is_some() && channel.first("desk").is_none()
    };
    let ports = || written.all("channel").filter(speaks_tls).filter_map(|channel| channel.property("port")?.number());
    let first = ports().next().filter(|port| *port != 0);
    if ports().any(|port| port == HTTPS) { HTTPS } else { first.unwrap_or(HTTPS) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sportello_service::site::{Item, Step};

    use crate::config::Checked;
    use crate::config::settings::Settings;
    use crate::config::source::Source;

    const SITE: &str = "domain \"*\" { site \"*\" { redirect https; respond 204 } }\n";

    fn checked(channels: &str) -> Checked {
        let mut faults = Vec::new();
        let source = Source::new(Path::new("/tmp/a.kdl"), format!("{channels}\n{SITE}").as_bytes(), &mut faults);
        Checked::new(source, faults)
    }

    fn step(settings: &Settings) -> Option<u16> {
        let item = settings.sites.first()?.description.block.items.first()?;
        if let Item::Step(Step::Https(port)) = item.what { Some(port) } else { None }
    }

    #[test]
    fn the_port_is_that_of_the_channel_with_tls() {
        let plain = "channel plain port=8080 protocol=http { redirect https; }";
        for (channels, of_channel, of_site) in [
            ("channel web port=8443 protocol=http tls=auto", 8443, 8443),
            (
                "channel other port=8444 protocol=http tls=local; channel web port=1443 protocol=http tls=auto",
                8444,
                8444,
            ),
            // One that everybody may have is written here; the rule is the same.
            (
                "channel desk port=8443 protocol=http tls=auto { desk; }\nchannel web port=8444 protocol=http tls=auto",
                8444,
                8444,
            ),
            // A free port is known when it is bound.
            ("channel web port=0 protocol=http tls=auto", 0, 443),
        ] {
            let settings = checked(&format!("{channels}\n{plain}")).settings.unwrap();
            let port = settings.channels.iter().find_map(|door| door.to_https).unwrap();
            assert_eq!((port.among(&settings.channels), step(&settings)), (of_channel, Some(of_site)), "{channels}");
        }
        let usual =
            format!("channel a port=8443 protocol=http tls=auto\nchannel b port=443 protocol=http tls=auto\n{plain}");
        let checked = checked(&usual);
        // Whether this user may have the port is a warning.
        let settings = checked.settings.unwrap();
        let port = settings.channels.iter().find_map(|door| door.to_https).unwrap();
        assert_eq!((port.among(&settings.channels), step(&settings)), (443, Some(443)));
    }

    #[test]
    fn what_cannot_be_sent_elsewhere_is_refused() {
        let web = "channel web port=8443 protocol=http tls=auto";
        for (channels, expect) in [
            ("channel plain port=8080 protocol=http { redirect https; }".to_owned(), Some("nowhere to go")),
            ("channel plain port=8080 protocol=http { redirect https port=443; }".to_owned(), None),
            (format!("{web}\nchannel plain port=8080 protocol=http {{ redirect https; }}"), None),
            (format!("{web} {{ redirect https; }}"), Some("speaks TLS itself")),
            (format!("{web}\nchannel desk port=8080 protocol=http {{ desk; redirect https; }}"), Some("the desk")),
            (
                format!("{web}\nchannel mail port=1025 protocol=smtp {{ redirect https; }}"),
                Some("is for http channels"),
            ),
            (format!("{web}\nchannel plain port=8080 protocol=http {{ redirect http; }}"), Some("https")),
            (format!("{web}\nchannel plain port=8080 protocol=http {{ redirect https port=0; }}"), Some("1 to 65535")),
        ] {
            let faults = checked(&channels).faults;
            let told: Vec<String> = faults.iter().map(|fault| format!("{} {}", fault.message, fault.label)).collect();
            match expect {
                None => assert!(faults.is_empty(), "{channels}: {told:?}"),
                Some(part) => assert!(told.iter().any(|told| told.contains(part)), "{channels}: {told:?}"),
            }
        }
    }
}
