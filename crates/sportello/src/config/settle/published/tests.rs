use std::path::Path;

use super::*;
use crate::config::Checked;
use crate::config::source::Source;

const CHANNELS: &str = "hostname mail.example.org\nchannel web port=4430 protocol=http tls=local\nchannel mail port=2525 protocol=smtp tls=starttls\n";

fn checked(text: &str) -> Checked {
    let mut faults = Vec::new();
    Checked::new(Source::new(Path::new("/tmp/a.kdl"), text.as_bytes(), &mut faults), faults)
}

/// The names of the sites, in their order.
fn names(text: &str) -> Vec<String> {
    let checked = checked(text);
    let settings = checked.settings.unwrap_or_else(|| panic!("{:?}", checked.faults));
    settings.sites.iter().flat_map(|site| &site.hosts.names).map(ToString::to_string).collect()
}

#[test]
fn a_domain_with_accounts_gets_a_policy_and_a_certificate_for_it() {
    let text = format!("{CHANNELS}domain example.org {{ mail }}\ndomain caught.example {{ mail {{ capture }} }}\n");
    assert_eq!(names(&text), ["mta-sts.example.org"]);
    let settings = checked(&text).settings.unwrap();
    assert!(settings.certificates.groups.iter().any(|group| group.names == ["mta-sts.example.org"]));
    assert_eq!(
        names(&format!(
            "{CHANNELS}domain example.org {{ mail }}\ndomain b.example {{ mail {{ mta-sts off }}\nsite b.example {{ root \"/srv\" }} }}\n"
        )),
        ["b.example", "mta-sts.example.org"]
    );
    // What is written stays the person's own.
    let own = "domain example.org { mail\nsite mta-sts.example.org { root \"/srv\" } }\n";
    assert_eq!(names(&format!("{CHANNELS}{own}")), ["mta-sts.example.org"]);
    let plain = CHANNELS.replace(" tls=starttls", "");
    let site = "domain example.org { mail\nsite example.org { root \"/srv\" } }\n";
    assert_eq!(names(&format!("{plain}{site}")), ["example.org"]);
    let plain = CHANNELS.replace(" tls=local", "");
    assert_eq!(names(&format!("{plain}{site}")), ["example.org"]);
}

#[test]
fn a_policy_in_vain_is_told() {
    let mail = "domain example.org { mail { mta-sts enforce }\nsite example.org { root \"/srv\" } }\n";
    for (without, expect) in [(" tls=starttls", "which no smtp channel speaks"), (" tls=local", "fetched over https")] {
        let checked = checked(&format!("{}{mail}", CHANNELS.replace(without, "")));
        assert!(checked.faults.iter().any(|fault| fault.message.contains(expect)), "{:?}", checked.faults);
    }
    assert!(checked(&format!("{CHANNELS}{mail}")).settings.is_some());
}

#[test]
fn a_site_answers_at_its_paths_alone() {
    let site = site("autoconfig.example.org", &AUTOCONFIG, ("<x/>", Some("text/xml")), 7).unwrap();
    let [item] = site.description.block.items.as_slice() else { panic!("one route") };
    let Item::Route(route) = &item.what else { panic!("a route") };
    assert_eq!((item.line, route.matcher.paths.len(), site.description.block.action.is_none()), (7, 2, true));
}
