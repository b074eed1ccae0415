use super::*;
use crate::config::Ban;

const CHANNEL: &str = "channel web port=0 protocol=http { proxy-protocol \"192.0.2.9\" }\ntrusted-proxies \"192.0.2.10\"\n\
                       domain \"*\" { site \"*\" { root \"/tmp\" } }\n";

#[test]
fn who_is_banned_and_when_is_as_it_is_written() {
    let usual = Ban { failures: 10, within: Duration::from_secs(600), lasts: Duration::from_secs(3_600) };
    for (written, expect) in [
        ("", Some(usual)),
        ("ban", Some(usual)),
        ("ban failures=3", Some(Ban { failures: 3, ..usual })),
        ("ban within=\"1min\" for=\"2d\"", {
            Some(Ban { within: Duration::from_secs(60), lasts: Duration::from_secs(2 * 86_400), ..usual })
        }),
        ("ban off", None),
    ] {
        let settings = settings(&format!("{CHANNEL}{written}\n"));
        assert_eq!(settings.ban, expect, "{written}");
        assert_eq!(settings.ban_rule().is_some(), expect.is_some());
    }
    for (written, good) in
        [("failures=1", true), ("failures=100", true), ("failures=0", false), ("failures=101", false)]
    {
        assert_eq!(checked(&format!("{CHANNEL}ban {written}\n")).settings.is_some(), good, "{written}");
    }
}

#[test]
fn who_connects_for_others_is_spared() {
    let rule = settings(CHANNEL).ban_rule().unwrap();
    for (source, expect) in [("192.0.2.9", true), ("192.0.2.10", true), ("192.0.2.11", false)] {
        assert_eq!((rule.spared)(source.parse().unwrap()), expect, "{source}");
    }
}
