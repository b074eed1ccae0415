//! The records of the DNS that a domain needs for its mail, and what each is for.

use std::fmt::Write as _;
use std::net::IpAddr;

use serde::Serialize;

use super::{MtaSts, Submission};

/// What is known of a domain and its server.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The domain, as it is asked for.
    pub domain: String,
    /// The server's name.
    pub host: String,
    /// Its addresses that others can reach.
    pub addresses: Vec<IpAddr>,
    /// Where accounts hand in mail.
    pub submission: Vec<Submission>,
    /// The policy, if the server gives one.
    pub mta_sts: Option<MtaSts>,
    /// Hosts beneath the domain that this server answers for the sake of mail, such as `autoconfig`.
    pub hosts: Vec<String>,
    /// The CA that signs for them, as CAA names it (RFC 8659 §4.2).
    pub issuer: Option<String>,
    /// Who receives reports on TLS (RFC 8460), if somebody does.
    pub tls_reports: Option<String>,
    /// Names and texts of the records for signatures (RFC 6376 §3.6.2).
    pub dkim: Vec<(String, String)>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Its name, without the last dot.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// What it says, as in a zone file; of TXT the text, without quotes.
    pub value: String,
    /// How much is lost without it.
    pub need: Need,
    /// What it is for.
    pub why: &'static str,
}

/// How much is lost without a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// Mail.
    Must,
    /// Trust or comfort.
    Should,
}

/// All records of a domain, in the order of their weight.
pub fn zone(facts: &Facts) -> Vec<Published> {
    let mut records = Vec::new();
    let mut add = |name: String, kind, value: String, need, why| {
        records.push(Published { name, kind, value, need, why });
    };
    let Facts { domain, host, .. } = facts;
    for address in &facts.addresses {
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        add(host.clone(), kind, address.to_string(), Need::Must, "where the server is");
    }
    add(
        domain.clone(),
        "MX",
        format!("10 {host}."),
        Need::Must,
        "who takes the domain's mail; without it others ask the web server",
    );
    // RFC 7208 §10.1.2: the domain's senders, and the server's own name, by which it greets.
    let why = "who may send for the domain: without it others take its mail for forged, or put it into junk";
    add(domain.clone(), "TXT", "v=spf1 mx -all".to_owned(), Need::Must, why);
    if host != domain {
        let why = "the server greets by this name, and its reports come from it";
        add(host.clone(), "TXT", "v=spf1 a -all".to_owned(), Need::Should, why);
    }
    for (name, text) in &facts.dkim {
        add(name.clone(), "TXT", text.clone(), Need::Must, "the key by which others check our signatures");
    }
    let policy = format!("v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}");
    let why = "what others do with mail that only claims to be the domain's, and who is told of it";
    add(format!("_dmarc.{domain}"), "TXT", policy, Need::Should, why);
    if let Some(record) = facts.mta_sts.and_then(|policy| policy.record(host)) {
        let why = "others fetch the policy that asks for verified TLS; without it anybody on the way may read the mail";
        add(format!("_mta-sts.{domain}"), "TXT", record, Need::Should, why);
    }
    if let Some(reports) = &facts.tls_reports {
        let why = "who is told when others cannot send over TLS";
        add(format!("_smtp._tls.{domain}"), "TXT", format!("v=TLSRPTv1; rua=mailto:{reports}"), Need::Should, why);
    }
    for name in &facts.hosts {
        add(name.clone(), "CNAME", format!("{host}."), Need::Should, "this server answers there for the domain's mail");
    }
    for channel in &facts.submission {
        let why = "where mail programs hand in mail, if they look for it";
        let name = format!("{}.{domain}", channel.service());
        add(name, "SRV", format!("0 1 {} {host}.", channel.port()), Need::Should, why);
    }
    if let Some(issuer) = &facts.issuer {
        let why = "only this CA may sign for the domain";
        add(domain.clone(), "CAA", format!("0 issue \"{issuer}\""), Need::Should, why);
    }
    records
}

/// As a part of a zone file (RFC 1035 §5.1), each record below what it is for.
pub fn zone_text(records: &[Published]) -> String {
    let width = records.iter().map(|record| record.name.len() + 1).max().unwrap_or(0);
    let mut text = String::new();
    let mut why = "";
    for record in records {
        if record.why != why {
            let _ = writeln!(text, "; {}", record.why);
            why = record.why;
        }
        let value = if record.kind == "TXT" { strings(&record.value) } else { record.value.clone() };
        let _ = writeln!(text, "{:width$} IN {:5} {value}", format!("{}.", record.name), record.kind);
    }
    text
}

/// A text in quotes, cut into strings of at most 255 bytes (RFC 1035 §3.3), which who reads it puts together again.
fn strings(text: &str) -> String {
    let mut rest = text;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (part, more) = rest.split_at(rest.floor_char_boundary(LONGEST_STRING));
        parts.push(format!("\"{}\"", part.replace('\\', "\\\\").replace('"', "\\\"")));
        rest = more;
    }
    parts.join(" ")
}

const LONGEST_STRING: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            domain: "example.org".to_owned(),
            host: "mail.example.org".to_owned(),
            addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            submission: vec![Submission::Tls(465), Submission::StartTls(587)],
            mta_sts: Some(MtaSts::default()),
            hosts: vec!["mta-sts.example.org".to_owned()],
            issuer: Some("letsencrypt.org".to_owned()),
            tls_reports: Some("tls@example.org".to_owned()),
            dkim: vec![("s1._domainkey.example.org".to_owned(), format!("v=DKIM1; p={}", "A".repeat(300)))],
        }
    }

    #[test]
    fn every_record_is_written() {
        let text = zone_text(&zone(&facts()));
        let lines: Vec<String> = text
            .lines()
            .filter(|line| !line.starts_with(';'))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for expect in [
            "mail.example.org. IN A 192.0.2.1",
            "mail.example.org. IN AAAA 2001:db8::1",
            "example.org. IN MX 10 mail.example.org.",
            "example.org. IN TXT \"v=spf1 mx -all\"",
            "mail.example.org. IN TXT \"v=spf1 a -all\"",
            "_dmarc.example.org. IN TXT \"v=DMARC1; p=quarantine; rua=mailto:postmaster@example.org\"",
            "_smtp._tls.example.org. IN TXT \"v=TLSRPTv1; rua=mailto:tls@example.org\"",
            "mta-sts.example.org. IN CNAME mail.example.org.",
            "_submissions._tcp.example.org. IN SRV 0 1 465 mail.example.org.",
            "_submission._tcp.example.org. IN SRV 0 1 587 mail.example.org.",
            "example.org. IN CAA 0 issue \"letsencrypt.org\"",
        ] {
            assert!(lines.iter().any(|line| line == expect), "{expect} in {text}");
        }
        assert!(lines.iter().any(|line| line.starts_with("_mta-sts.example.org. IN TXT \"v=STSv1; id=")), "{text}");
        assert!(text.contains("AAA\" \"AAA"), "{text}");
    }

    #[test]
    fn nothing_is_promised_that_is_not_there() {
        let bare = Facts { domain: "example.org".to_owned(), host: "example.org".to_owned(), ..Facts::default() };
        let kinds: Vec<_> = zone(&bare).iter().map(|record| format!("{} {}", record.kind, record.name)).collect();
        assert_eq!(kinds, ["MX example.org", "TXT example.org", "TXT _dmarc.example.org"]);
    }

    #[test]
    fn texts_are_cut_at_their_bound() {
        assert_eq!(strings(&"a".repeat(LONGEST_STRING)), format!("\"{}\"", "a".repeat(255)));
        assert_eq!(strings(&"a".repeat(LONGEST_STRING + 1)), format!("\"{}\" \"a\"", "a".repeat(255)));
        assert_eq!(strings("a\"b\\"), "\"a\\\"b\\\\\"");
    }
}
