//! What name servers say of a domain's records, beside what they should.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sportello_service::dns::{self, Kind, Record, System, Unanswered};
use sportello_service::published::{Facts, Need, Published};
use tokio::time::timeout;

use super::super::paper::{Failed, Paper, Style, visible};
use super::Dns;

/// What is said of one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    name: String,
    kind: &'static str,
    /// What should be there.
    expected: String,
    verdict: Verdict,
    need: Need,
    why: &'static str,
    /// What is there instead, or why nobody knows.
    found: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    Missing,
    Wrong,
    Unknown,
}

/// Looks all up; 1 when mail suffers.
pub(super) fn run(facts: &Facts, records: &[Published], dns: &Dns) -> Result<u8, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failed::new(format!("cannot look: {error}")))?;
    let findings = runtime.block_on(async {
        let servers = match dns.name_servers.as_slice() {
            [] => System::new(),
            named => System::of(named),
        };
        let servers = servers.map_err(|error| Failed::new(crate::cli::chain(&error)))?;
        Ok::<_, Failed>(find(Arc::new(servers), facts, records).await)
    })?;
    let suffers = |finding: &Finding| finding.need == Need::Must && finding.verdict != Verdict::Good;
    let code = u8::from(findings.iter().any(suffers));
    show(&findings, dns)?;
    Ok(code)
}

fn show(findings: &[Finding], dns: &Dns) -> Result<(), Failed> {
    let mut paper = Paper::stdout();
    if dns.json {
        return paper.json(&findings);
    }
    let ink = paper.ink();
    for finding in findings {
        let (word, style) = match (finding.verdict, finding.need) {
            (Verdict::Good, _) => ("good   ", Style::Good),
            (Verdict::Missing, _) => ("missing", Style::Bad),
            (Verdict::Wrong, _) => ("wrong  ", Style::Bad),
            (Verdict::Unknown, _) => ("unknown", Style::Faint),
        };
        let Finding { name, kind, expected, .. } = finding;
        paper.line(format_args!("{}  {name} {kind} {}", ink.paint(style, word), visible(expected)))?;
        if finding.verdict == Verdict::Good {
            continue;
        }
        for found in &finding.found {
            paper.line(format_args!("           found: {}", visible(found)))?;
        }
        paper.line(format_args!("           {}", ink.paint(Style::Faint, finding.why)))?;
    }
    Ok(())
}

/// All at once: servers that do not answer are waited for once and not once for each.
async fn find(servers: Arc<dyn dns::Dns>, facts: &Facts, records: &[Published]) -> Vec<Finding> {
    let facts = Arc::new(facts.clone());
    let mut questions = Vec::new();
    for record in records {
        let (servers, facts, record) = (Arc::clone(&servers), Arc::clone(&facts), record.clone());
        questions.push(tokio::spawn(async move {
            let found = timeout(PATIENCE, one(&*servers, &facts, &record)).await;
            found.unwrap_or_else(|_| finding(&record, unanswered(&silence())))
        }));
    }
    for address in facts.addresses.clone() {
        let (servers, facts) = (Arc::clone(&servers), Arc::clone(&facts));
        questions.push(tokio::spawn(async move {
            let name = timeout(PATIENCE, servers.ask(&dns::reverse_name(address), Kind::Ptr)).await;
            reverse(name.unwrap_or_else(|_| Err(silence())), &facts.host, address)
        }));
    }
    let mut findings = Vec::new();
    for question in questions {
        findings.extend(question.await.ok());
    }
    findings
}

async fn one(servers: &dyn dns::Dns, facts: &Facts, record: &Published) -> Finding {
    let answer = match record.kind {
        "A" => servers.ask(&record.name, Kind::A).await,
        "AAAA" => servers.ask(&record.name, Kind::Aaaa).await,
        "MX" => servers.ask(&record.name, Kind::Mx).await,
        "SRV" => servers.ask(&record.name, Kind::Srv).await,
        "CAA" => servers.ask(&record.name, Kind::Caa).await,
        // Whether by an alias or by addresses of its own: it must lead here.
        "CNAME" => addresses(servers, &record.name).await,
        _ => servers.ask(&record.name, Kind::Txt).await,
    };
    let here = if record.kind == "CNAME" { addresses(servers, &facts.host).await.unwrap_or_default() } else { vec![] };
    let said = match answer {
        Ok(all) => match record.kind {
            "CNAME" => (good(all.iter().any(|one| here.contains(one))), all.iter().map(told).collect()),
            "TXT" => text(record, &all),
            "SRV" => (good(all.iter().any(|one| is_service(one, &record.value))), all.iter().map(told).collect()),
            "CAA" => (good(may_sign(&all, facts.issuer.as_deref())), all.iter().map(told).collect()),
            "MX" => (good(all.iter().any(|one| is_exchange(one, &facts.host))), all.iter().map(told).collect()),
            _ => (good(all.iter().any(|one| told(one) == record.value)), all.iter().map(told).collect()),
        },
        Err(why) => unanswered(&why),
    };
    finding(record, said)
}

fn finding(record: &Published, (verdict, found): (Verdict, Vec<String>)) -> Finding {
    Finding {
        name: record.name.clone(),
        kind: record.kind,
        expected: record.value.clone(),
        verdict,
        need: record.need,
        why: record.why,
        found,
    }
}

/// The name of an address, which whoever gave the address sets.
fn reverse(answer: Result<Vec<Record>, Unanswered>, host: &str, address: IpAddr) -> Finding {
    let name = dns::reverse_name(address);
    let (verdict, found) = match answer {
        Ok(all) => {
            let is_host = |one: &Record| matches!(one, Record::Ptr(name) if name.eq_ignore_ascii_case(host));
            (good(all.iter().any(is_host)), all.iter().map(told).collect())
        }
        Err(why) => unanswered(&why),
    };
    let why = "many servers take no mail from an address that does not bear the server's name; whoever gave you the address sets it";
    Finding { name, kind: "PTR", expected: format!("{host}."), verdict, need: Need::Should, why, found }
}

async fn addresses(servers: &dyn dns::Dns, name: &str) -> Result<Vec<Record>, Unanswered> {
    match (servers.ask(name, Kind::A).await, servers.ask(name, Kind::Aaaa).await) {
        (Ok(mut four), six) => {
            four.extend(six.unwrap_or_default());
            Ok(four)
        }
        (Err(_), Ok(six)) => Ok(six),
        (Err(why), Err(_)) => Err(why),
    }
}

/// A text among those of its kind, which its first word names.
fn text(record: &Published, all: &[Record]) -> (Verdict, Vec<String>) {
    let kind = record.value.split([' ', ';']).next().unwrap_or_default();
    if kind == SIGNATURE {
        return signature(record, all);
    }
    let is_kind = |text: &str| {
        let its = text.split([' ', ';']).next().unwrap_or_default();
        its.eq_ignore_ascii_case(kind)
    };
    let found: Vec<String> = all.iter().map(told).filter(|text| is_kind(text)).collect();
    let verdict = match found.as_slice() {
        [] => Verdict::Missing,
        [one] if same(one, &record.value) => Verdict::Good,
        // Another policy of one's own is no mistake where it names us, or where it is only a matter of taste.
        [one] if kind == "v=spf1" => good(one.split_whitespace().any(|word| matches!(word, "mx" | "+mx" | "a" | "+a"))),
        [_] if kind == "v=DMARC1" => Verdict::Good,
        // RFC 7208 §4.5, RFC 7489 §6.6.3, RFC 8461 §3.1: several are as bad as none.
        _ => Verdict::Wrong,
    };
    (verdict, found)
}

/// A key's record has its name for itself; only what others verify by counts, and several are undefined (RFC 6376 §3.6.1, §3.6.2.2).
fn signature(record: &Published, all: &[Record]) -> (Verdict, Vec<String>) {
    let found: Vec<String> = all.iter().map(told).collect();
    let tag = |text: &str, name: &str| {
        let mut tags = text.split(';').filter_map(|tag| tag.split_once('='));
        let value = tags.find(|(its, _)| its.trim() == name).map(|(_, value)| value);
        value.map(|value| value.split_whitespace().collect::<String>())
    };
    // RFC 6376 §3.6.1: without k= it is RSA.
    let key = |text: &str| (tag(text, "k").unwrap_or_else(|| "rsa".to_owned()), tag(text, "p"));
    let verdict = match found.as_slice() {
        [] => Verdict::Missing,
        [one] => good(tag(one, "v").is_none_or(|version| version == "DKIM1") && key(one) == key(&record.value)),
        _ => Verdict::Wrong,
    };
    (verdict, found)
}

const SIGNATURE: &str = "v=DKIM1";

fn same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

fn is_exchange(record: &Record, host: &str) -> bool {
    matches!(record, Record::Mx { exchange, .. } if exchange.eq_ignore_ascii_case(host))
}

fn is_service(record: &Record, expected: &str) -> bool {
    let Record::Srv { port, target, .. } = record else { return false };
    let mut words = expected.split_whitespace().skip(2);
    words.next() == Some(&*port.to_string())
        && words.next().is_some_and(|host| host.trim_end_matches('.').eq_ignore_ascii_case(target))
}

/// RFC 8659 §4.2: those that are named may, and nobody else.
fn may_sign(all: &[Record], issuer: Option<&str>) -> bool {
    all.iter().any(|record| match record {
        Record::Caa { tag, value } => {
            let name = value.split(';').next().unwrap_or_default().trim();
            tag.eq_ignore_ascii_case("issue") && issuer.is_some_and(|issuer| issuer.eq_ignore_ascii_case(name))
        }
        _ => false,
    })
}

fn good(is_good: bool) -> Verdict {
    if is_good { Verdict::Good } else { Verdict::Wrong }
}

fn unanswered(why: &Unanswered) -> (Verdict, Vec<String>) {
    if why.is_void() { (Verdict::Missing, Vec::new()) } else { (Verdict::Unknown, vec![why.to_string()]) }
}

fn silence() -> Unanswered {
    Unanswered::Trouble("no name server answered in time".to_owned())
}

fn told(record: &Record) -> String {
    match record {
        Record::A(address) => address.to_string(),
        Record::Aaaa(address) => address.to_string(),
        Record::Mx { preference, exchange } => format!("{preference} {exchange}."),
        Record::Txt(text) => String::from_utf8_lossy(text).into_owned(),
        Record::Ptr(name) => format!("{name}."),
        Record::Srv { priority, weight, port, target } => format!("{priority} {weight} {port} {target}."),
        Record::Caa { tag, value } => format!("{tag} \"{value}\""),
        Record::Tlsa(tlsa) => format!("{} {} {}", tlsa.usage, tlsa.selector, tlsa.matching),
    }
}

/// How long is waited for what is said of one record.
const PATIENCE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests;
