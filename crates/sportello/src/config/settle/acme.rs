//! The CA that is asked for certificates.

use std::fs;
use std::time::Duration;

use sportello_service::certificates::acme::{self, Client, External, LETS_ENCRYPT, LETS_ENCRYPT_STAGING, Way, trusted};
use sportello_service::run::Program;

use super::one;
use crate::acme::Settings;
use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::settings::{Begins, Door, Role};

/// How long a record in the DNS takes to be seen, if nothing else is said.
const WAIT: Duration = Duration::from_secs(30);
/// Bytes of a file with a key or a root.
const MOST: u64 = 256 * 1024;

/// The CA, if one is written.
pub(super) fn settle(written: &Written, channels: &[Door], faults: &mut Vec<Fault>) -> Option<Settings> {
    let directive = written.first("acme")?;
    let directory = directory(directive, faults)?;
    let external = directive.first("external-account").and_then(|directive| external(directive, faults));
    let root = directive.first("ca-root").and_then(|directive| root(directive, faults));
    let (mut ways, dns) = challenges(directive, faults);
    if directive.first("challenge").is_none() {
        ways = usual(channels);
        if ways.is_empty() && channels.iter().any(|door| door.tls.is_some()) {
            let fault = Fault::error(directive.name, "no channel can prove to a CA that names are ours");
            let help = "add a channel with protocol=http on port 80, or write challenge dns with a program";
            faults.push(fault.label("needs a channel with protocol=http, or the DNS").help(help));
        }
    }
    let email = directive.property("email").and_then(Value::text).map(str::to_owned);
    if let (Some(value), true) = (directive.property("email"), email.as_ref().is_some_and(|email| !is_address(email))) {
        faults.push(Fault::error(value.span, "this is no mail address").label("expected like ops@example.org"));
    }
    Some(Settings { engine: acme::Settings { client: Client { directory, email, external }, ways }, root, dns })
}

/// Goes into a `mailto:` address, so that nothing in it may end one.
fn is_address(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@.+-_".contains(&byte);
    text.split('@').filter(|part| !part.is_empty()).count() == 2 && text.bytes().all(is_plain) && text.len() <= 254
}

fn directory(directive: &Directive, faults: &mut Vec<Fault>) -> Option<String> {
    let staging = directive.first("staging");
    let Some(value) = directive.property("directory") else {
        return Some(if staging.is_some() { LETS_ENCRYPT_STAGING } else { LETS_ENCRYPT }.to_owned());
    };
    if let Some(staging) = staging {
        let fault =
            Fault::error(staging.span, "another CA has a staging directory of its own").label("not with directory=");
        faults.push(fault.help("remove it, and write that directory"));
    }
    let text = value.text()?;
    let authority = text.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    if authority.is_none_or(str::is_empty) || text.bytes().any(|byte| !byte.is_ascii_graphic()) {
        let fault = Fault::error(value.span, "a CA is asked over https only")
            .label("expected like https://ca.example.org/directory");
        faults.push(fault.help("write the address of the CA's directory, which its documentation says"));
        return None;
    }
    Some(text.to_owned())
}

fn external(directive: &Directive, faults: &mut Vec<Fault>) -> Option<External> {
    let id = one(Some(directive)).and_then(Value::text)?;
    let value = directive.property("key")?;
    let text = read(value, faults)?;
    let text = String::from_utf8_lossy(&text);
    let external = External::read(id, &text);
    if external.is_none() {
        let fault = Fault::error(value.span, "this file holds no key in base64url").label("not usable");
        faults.push(fault.help("put there what the CA gives as the HMAC key, and nothing else"));
    }
    external
}

fn root(directive: &Directive, faults: &mut Vec<Fault>) -> Option<Vec<u8>> {
    let value = one(Some(directive))?;
    let pem = read(value, faults)?;
    if let Err(error) = trusted(Some(&pem)) {
        let fault = Fault::error(value.span, error.to_string()).label("not usable");
        faults.push(fault.help("name a PEM file with the certificate of the CA's root"));
    }
    Some(pem)
}

/// The bytes of a file that is small.
pub(super) fn read(value: &Value, faults: &mut Vec<Fault>) -> Option<Vec<u8>> {
    let path = value.path()?;
    // A device would be read for ever.
    let is_file = fs::metadata(path).map(|facts| facts.is_file() && facts.len() <= MOST);
    let read = match is_file {
        Ok(true) => fs::read(path).map_err(|error| error.to_string()),
        Ok(false) => Err(format!("it is no file of at most {MOST} bytes")),
        Err(error) => Err(error.to_string()),
    };
    match read {
        Ok(bytes) => Some(bytes),
        Err(why) => {
            let fault = Fault::error(value.span, format!("{} cannot be read: {why}", path.display()));
            faults.push(fault.label("not usable"));
            None
        }
    }
}

fn challenges(directive: &Directive, faults: &mut Vec<Fault>) -> (Vec<Way>, Option<(Program, Duration)>) {
    let (mut ways, mut dns) = (Vec::new(), None);
    for challenge in directive.all("challenge") {
        for value in &challenge.arguments {
            let way = match value.text() {
                Some("http") => Way::Http,
                Some("tls-alpn") => Way::Tls,
                _ => Way::Dns,
            };
            if ways.contains(&way) {
                faults.push(Fault::error(value.span, format!("{} is written twice", way.word())).label("again"));
                continue;
            }
            ways.push(way);
            match (way, challenge.property("program")) {
                (Way::Dns, Some(program)) => {
                    let wait = challenge.property("wait").and_then(Value::time).unwrap_or(WAIT);
                    dns = program_of(program, faults).map(|program| (program, wait));
                }
                (Way::Dns, None) => {
                    let fault = Fault::error(value.span, "records in the DNS need a program that makes them");
                    let help = "write challenge dns program=\"/usr/local/bin/dns-record\"; it is run as PROGRAM present NAME VALUE";
                    faults.push(fault.label("without program=").help(help));
                }
                (Way::Http | Way::Tls, Some(program)) => {
                    let fault = Fault::error(program.span, format!("{} needs no program", way.word()));
                    faults.push(fault.label("for dns only").help("write challenge dns on a line of its own"));
                }
                (Way::Http | Way::Tls, None) => {}
            }
        }
    }
    (ways, dns)
}

fn program_of(value: &Value, faults: &mut Vec<Fault>) -> Option<Program> {
    match Program::new("acme-dns", value.path()?, &[]) {
        Ok(mut program) => {
            program.limits.timeout = Duration::from_secs(120);
            Some(program)
        }
        Err(error) => {
            faults.push(Fault::error(value.span, error.to_string()).label("not usable"));
            None
        }
    }
}

/// The ways for which there are channels.
fn usual(channels: &[Door]) -> Vec<Way> {
    let gives_sites = |door: &&Door| matches!(door.role, Role::Sites(_));
    let of = |door: &Door| match &door.tls {
        None => Some(Way::Http),
        Some(tls) if tls.begins == Begins::AtOnce => Some(Way::Tls),
        Some(_) => None,
    };
    let found: Vec<Way> = channels.iter().filter(gives_sites).filter_map(of).collect();
    [Way::Http, Way::Tls].into_iter().filter(|way| found.contains(way)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Checked;
    use crate::config::source::Source;

    const CHANNELS: &str = "channel plain port=80 protocol=http\nchannel web port=443 protocol=http tls=auto\ndomain \"*\" { site \"*\" { root \"/srv\" } }\n";

    fn checked(text: &str) -> Checked {
        let mut faults = Vec::new();
        let text = text.replace("/etc/ssl", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates"));
        let source = Source::new(Path::new("/tmp/a.kdl"), text.as_bytes(), &mut faults);
        Checked::new(source, faults)
    }

    fn settings(text: &str) -> Settings {
        let checked = checked(text);
        assert!(checked.faults.is_empty(), "{:?}", checked.faults);
        checked.settings.unwrap().acme.unwrap()
    }

    #[test]
    fn what_is_written_is_meant() {
        let usual = settings(&format!("{CHANNELS}acme email=\"ops@example.org\""));
        assert_eq!(usual.engine.client.directory, LETS_ENCRYPT);
        assert_eq!(usual.engine.client.email.as_deref(), Some("ops@example.org"));
        assert_eq!(usual.engine.ways, [Way::Http, Way::Tls]);
        let staging = settings(&format!("{CHANNELS}acme {{ staging }}"));
        assert_eq!(staging.engine.client.directory, LETS_ENCRYPT_STAGING);
        let all = settings(&format!(
            "{CHANNELS}acme directory=\"https://ca.example.org:14000/dir\" {{\nca-root \"/etc/ssl/clients-ca.pem\"\n\
             external-account kid-1 key=\"/etc/ssl/external-account.key\"\nchallenge tls-alpn\n\
             challenge dns program=\"/bin/true\" wait=\"7s\"\n}}"
        ));
        assert_eq!(all.engine.client.directory, "https://ca.example.org:14000/dir");
        assert_eq!(all.engine.client.external.unwrap().key.len(), 48);
        assert_eq!(all.engine.ways, [Way::Tls, Way::Dns]);
        assert!(all.root.is_some());
        let (program, wait) = all.dns.unwrap();
        assert_eq!((program.path(), wait), (Path::new("/bin/true"), Duration::from_secs(7)));
        let only_tls = CHANNELS.replace("channel plain port=80 protocol=http\n", "acme\n");
        assert_eq!(settings(&only_tls).engine.ways, [Way::Tls]);
        assert!(checked(CHANNELS).settings.unwrap().acme.is_none());
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (acme, expect) in [
            ("acme email=\"nobody\"", "no mail address"),
            ("acme email=\"a@b?cc=x\"", "no mail address"),
            ("acme directory=\"http://ca.example.org/dir\"", "over https only"),
            ("acme directory=\"https:///dir\"", "over https only"),
            ("acme directory=\"https://ca.example.org/a b\"", "over https only"),
            ("acme directory=\"https://ca.example.org/dir\" { staging }", "staging directory of its own"),
            ("acme { ca-root \"/etc/ssl/none.pem\" }", "cannot be read"),
            ("acme { ca-root \"/dev/zero\" }", "cannot be read"),
            ("acme { ca-root \"/etc/ssl/external-account.key\" }", "no root certificate"),
            ("acme { external-account a key=\"/etc/ssl/clients-ca.pem\" }", "no key in base64url"),
            ("acme { challenge dns }", "need a program"),
            ("acme { challenge dns program=\"/etc/passwd\" }", "may not be executed"),
            ("acme { challenge http program=\"/bin/true\" }", "needs no program"),
            ("acme { challenge http http }", "written twice"),
        ] {
            let faults = checked(&format!("{CHANNELS}{acme}")).faults;
            assert!(faults.iter().any(|fault| fault.message.contains(expect)), "{acme}: {faults:?}");
        }
        let nobody = checked("channel mail port=25 protocol=smtp tls=starttls\nacme").faults;
        assert!(nobody.iter().any(|fault| fault.message.contains("can prove")), "{nobody:?}");
        let nothing = checked(&format!("{}acme", CHANNELS.replace(" tls=auto", ""))).faults;
        assert!(nothing.iter().any(|fault| fault.message.contains("no channel speaks TLS")), "{nothing:?}");
    }
}
