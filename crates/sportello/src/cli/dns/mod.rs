//! `sportello dns`: the records that a domain needs for its mail, and what name servers say of them.

mod check;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use sportello_service::certificates::acme::LETS_ENCRYPT;
use sportello_service::directory::Handling;
use sportello_service::dkim::KeyView;
use sportello_service::published::{Facts, Mode, MtaSts, zone, zone_text};

use super::conversation::Deadlines;
use super::conversation::resp::Commands;
use super::paper::{Failed, Paper, visible};
use super::place::{Way, Whereabouts};
use crate::config::{Checked, Settings, international, submission};

/// `sportello dns`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Dns {
    /// A domain of the configuration that has mail.
    #[arg(value_name = "DOMAIN")]
    pub domain: String,
    /// Look each record up, and say what is missing or wrong, and why it matters.
    #[arg(long)]
    pub check: bool,
    /// An address by which others reach this server, where the configuration does not name it. May be given several times.
    #[arg(long = "address", value_name = "IP")]
    pub addresses: Vec<IpAddr>,
    /// Ask this name server [default: those of this machine]
    #[arg(long = "name-server", value_name = "IP:PORT", requires = "check")]
    pub name_servers: Vec<SocketAddr>,
    /// Print one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = Checked::USUAL)]
    pub config: PathBuf,
}

/// Prints or checks; 1 when mail would suffer, or the file is wrong.
pub fn run(dns: &Dns) -> Result<u8, Failed> {
    let mut checked = Checked::read(&dns.config).map_err(|error| Failed::new(super::chain(&error)))?;
    let Some(settings) = checked.settings.take() else {
        super::check::told(&checked);
        return Ok(1);
    };
    let mut facts = facts(&settings, &dns.domain, &dns.addresses)?;
    facts.dkim = signatures(&settings, &facts.domain)?;
    let records = zone(&facts);
    if dns.check {
        return check::run(&facts, &records, dns);
    }
    let mut paper = Paper::stdout();
    if dns.json {
        return paper.json(&records).map(|()| 0);
    }
    if facts.addresses.is_empty() {
        paper.line(format_args!(
            "; {} needs its A and AAAA records too; with --address IP they are printed here",
            facts.host
        ))?;
    }
    paper.text(zone_text(&records))?;
    Ok(0)
}

/// What is known of a domain from the configuration.
fn facts(settings: &Settings, domain: &str, addresses: &[IpAddr]) -> Result<Facts, Failed> {
    let name = international::asked_for(domain).map_err(|error| Failed::new(error.to_string()))?.to_ascii_lowercase();
    let found = settings.mail.named(&name).filter(|found| !matches!(found.handling, Handling::Refused));
    let Some(found) = found else {
        let shown = visible(domain);
        return Err(Failed::new(format!("no mail of the domain {shown} is written: domain {shown} {{ mail {{ }} }}")));
    };
    let host = settings.hostname.to_ascii_lowercase();
    if !host.contains('.') {
        let host = visible(&host);
        return Err(Failed::new(format!(
            "the server calls itself {host}, which nobody can look up; write its name: hostname mail.{name}"
        )));
    }
    let mut own: Vec<IpAddr> = addresses.to_vec();
    if own.is_empty() {
        let mail = settings.channels.iter().filter(|door| door.role.protocol() == "smtp");
        own.extend(mail.map(|door| door.channel.address.ip()).filter(|address| !address.is_unspecified()));
    }
    own.sort_unstable();
    own.dedup();
    let is_given = |beneath: &str| {
        let host = format!("{beneath}.{name}");
        let mut names = settings.sites.iter().flat_map(|site| &site.hosts.names);
        names.any(|its| its.to_string() == host).then_some(host)
    };
    let (mta_sts, tls_reports) = match &found.handling {
        Handling::Accounts(book) => {
            let reports = book.aliases.contains_key(TLS_REPORTS).then(|| format!("{TLS_REPORTS}@{name}"));
            (Some(book.mta_sts).filter(|policy| policy.mode != Mode::Off), reports)
        }
        _ => (None, None),
    };
    let directory = settings.acme.as_ref().map(|acme| acme.engine.client.directory.as_str());
    Ok(Facts {
        submission: submission(&settings.channels),
        mta_sts: mta_sts.filter(|_| is_given(MtaSts::HOST).is_some()),
        hosts: [MtaSts::HOST, "autoconfig"].into_iter().filter_map(is_given).collect(),
        issuer: (directory == Some(LETS_ENCRYPT)).then(|| "letsencrypt.org".to_owned()),
        tls_reports,
        addresses: own,
        dkim: Vec::new(),
        domain: name,
        host,
    })
}

/// The records of the domain's keys, those to come and those before too: all are to be published. Only the server that runs with this
/// state folder has them; where there are none, or nobody to ask, it is said beside what is printed.
fn signatures(settings: &Settings, domain: &str) -> Result<Vec<(String, String)>, Failed> {
    let whereabouts = Whereabouts { server: None, state: Some(settings.store.folder.clone()) };
    let shown = visible(domain);
    let Ok(way @ Way::Socket(_)) = whereabouts.commands() else {
        let note = "the records for signatures (DKIM) are left out: no server that runs by this configuration can be asked here";
        return Paper::stderr().line(note).map(|()| Vec::new());
    };
    let keys: Vec<KeyView> = Commands::reach(&way, Deadlines::default())?.json(&["DKIM", "LIST", domain])?;
    if keys.is_empty() {
        let note = format_args!("mail of {shown} is not signed (DKIM), there are no keys: sportello dkim make {shown}");
        Paper::stderr().line(note)?;
    }
    Ok(keys.into_iter().map(|key| (key.name, key.record)).collect())
}

/// Who gets reports on TLS, if the domain has such an alias.
const TLS_REPORTS: &str = "tls-reports";

const EXAMPLES: &str = "\
Examples:
  sportello dns example.org                           as a part of a zone file
  sportello dns --address 203.0.113.7 example.org     with the server's address, where it listens on all
  sportello dns --check example.org                   what is missing or wrong, and why it matters
  sportello dns --check --name-server 127.0.0.1:5300 example.org

The records for signatures (DKIM) are among them where the server runs that has made the keys: sportello dkim make. The name of an address (PTR) is set by whoever gave you the address.

Exit codes: 0 printed, or nothing that mail needs is missing or wrong; 1 something is, or the configuration is wrong; 2 wrong usage.";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::source::Source;

    fn settings(text: &str) -> Settings {
        let mut faults = Vec::new();
        let source = Source::new(Path::new("/tmp/a.kdl"), text.as_bytes(), &mut faults);
        let checked = Checked::new(source, faults);
        checked.settings.unwrap_or_else(|| panic!("{:?}", checked.faults))
    }

    const FILE: &str = "hostname mail.example.org\nacme\nchannel web port=4430 protocol=http tls=auto\n\
        channel plain port=8080 protocol=http\nchannel mail port=2525 protocol=smtp tls=starttls\n\
        domain example.org { mail { alias tls-reports to=ada; mta-sts enforce max-age=\"30d\" } }\n\
        domain other.example { mail { mta-sts off } }\ndomain staging.example { mail { capture } }\n";

    #[test]
    fn what_is_configured_is_what_is_published() {
        let settings = settings(FILE);
        let text = zone_text(&zone(&facts(&settings, "Example.org", &["192.0.2.1".parse().unwrap()]).unwrap()));
        for expect in ["192.0.2.1", "v=STSv1", "mta-sts.example.org.", "tls-reports@example.org", "letsencrypt.org"] {
            assert!(text.contains(expect), "{expect} in {text}");
        }
        // No channel for submission, no settings for it.
        assert!(!text.contains("autoconfig") && !text.contains("SRV"), "{text}");
        let other = zone_text(&zone(&facts(&settings, "other.example", &[]).unwrap()));
        assert!(!other.contains("STSv1") && other.contains("10 mail.example.org."), "{other}");
        assert!(facts(&settings, "staging.example", &[]).is_ok());
        assert!(facts(&settings, "none.example", &[]).unwrap_err().message.contains("no mail of the domain"));
        let nameless = self::settings(&FILE.replace("hostname mail.example.org", "hostname mail"));
        assert!(facts(&nameless, "example.org", &[]).unwrap_err().message.contains("nobody can look up"));
    }
}
