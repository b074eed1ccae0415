use sportello_service::dns::Table;
use sportello_service::published::{MtaSts, Submission, zone};

use super::*;

fn facts() -> Facts {
    Facts {
        domain: "example.org".to_owned(),
        host: "mail.example.org".to_owned(),
        addresses: vec!["192.0.2.1".parse().unwrap()],
        submission: vec![Submission::Tls(465)],
        mta_sts: Some(MtaSts::default()),
        hosts: vec!["mta-sts.example.org".to_owned()],
        issuer: Some("letsencrypt.org".to_owned()),
        dkim: vec![(SELECTOR.to_owned(), "v=DKIM1; k=rsa; p=AAAA".to_owned())],
        ..Facts::default()
    }
}

const SELECTOR: &str = "s1._domainkey.example.org";

fn whole() -> Table {
    let policy = MtaSts::default().record("mail.example.org").unwrap();
    Table::new()
        .address("mail.example.org", "192.0.2.1")
        .address("mta-sts.example.org", "192.0.2.1")
        .with("example.org", Record::Mx { preference: 5, exchange: "MAIL.example.org".to_owned() })
        .txt("example.org", "some-proof=1")
        .txt("example.org", "v=spf1  mx -all")
        .txt("mail.example.org", "v=spf1 a -all")
        .txt("_dmarc.example.org", "v=DMARC1; p=none")
        .txt("_mta-sts.example.org", &policy)
        .with(
            "_submissions._tcp.example.org",
            Record::Srv { priority: 0, weight: 1, port: 465, target: "mail.example.org".to_owned() },
        )
        .with("example.org", Record::Caa { tag: "issue".to_owned(), value: "letsencrypt.org; x=y".to_owned() })
        .txt(SELECTOR, "v=DKIM1; k=rsa; p=AAAA")
        .with("1.2.0.192.in-addr.arpa", Record::Ptr("mail.example.org".to_owned()))
}

fn found(table: Table) -> Vec<Finding> {
    let facts = facts();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(find(Arc::new(table), &facts, &zone(&facts)))
}

fn verdict(table: Table, kind: &str, name: &str) -> Verdict {
    found(table).iter().find(|finding| finding.kind == kind && finding.name == name).unwrap().verdict
}

#[test]
fn what_is_there_is_good() {
    for finding in found(whole()) {
        assert_eq!(finding.verdict, Verdict::Good, "{finding:?}");
    }
}

#[test]
fn what_is_not_there_is_missing_and_what_nobody_says_is_unknown() {
    let findings = found(Table::new());
    assert!(findings.len() > 8 && findings.iter().all(|finding| finding.verdict == Verdict::Missing), "{findings:?}");
    assert!(findings.iter().all(|finding| !finding.why.is_empty()));
    let mut silent = Table::new();
    silent.trouble("example.org");
    assert_eq!(verdict(silent, "MX", "example.org"), Verdict::Unknown);
}

#[test]
fn a_key_is_good_when_others_verify_by_it() {
    for (text, expect) in [
        ("v=DKIM1; k=rsa; p=AAAA", Verdict::Good),
        ("v=DKIM1;k=rsa;t=s;p=AA AA", Verdict::Good),
        ("p=AAAA", Verdict::Good),
        ("v=DKIM1; k=ed25519; p=AAAA", Verdict::Wrong),
        ("v=DKIM1; k=rsa; p=", Verdict::Wrong),
        ("v=DKIM1; k=rsa", Verdict::Wrong),
        ("v=DKIM2; p=AAAA", Verdict::Wrong),
        ("", Verdict::Wrong),
    ] {
        assert_eq!(verdict(Table::new().txt(SELECTOR, text), "TXT", SELECTOR), expect, "{text}");
    }
    let two = Table::new().txt(SELECTOR, "p=AAAA").txt(SELECTOR, "p=AAAA");
    assert_eq!(verdict(two, "TXT", SELECTOR), Verdict::Wrong);
    assert_eq!(verdict(Table::new(), "TXT", SELECTOR), Verdict::Missing);
}

#[test]
fn what_is_wrong_is_told() {
    let other = |record| Table::new().with("example.org", record);
    let mx = |host: &str| Record::Mx { preference: 1, exchange: host.to_owned() };
    assert_eq!(verdict(other(mx("other.example")), "MX", "example.org"), Verdict::Wrong);
    let both = other(mx("other.example")).with("example.org", mx("mail.example.org"));
    assert_eq!(verdict(both, "MX", "example.org"), Verdict::Good);
    for (text, expect) in [
        ("v=spf1 ip4:198.51.100.1 -all", Verdict::Wrong),
        ("v=spf1 ip4:198.51.100.1 mx ~all", Verdict::Good),
        ("v=spf10 mx", Verdict::Missing),
        ("proof", Verdict::Missing),
    ] {
        assert_eq!(verdict(Table::new().txt("example.org", text), "TXT", "example.org"), expect, "{text}");
    }
    // Two of them are none (RFC 7208 §4.5).
    let two = Table::new().txt("example.org", "v=spf1 mx -all").txt("example.org", "v=spf1 mx ~all");
    assert_eq!(verdict(two, "TXT", "example.org"), Verdict::Wrong);
    let stale = Table::new().txt("_mta-sts.example.org", "v=STSv1; id=1;");
    assert_eq!(verdict(stale, "TXT", "_mta-sts.example.org"), Verdict::Wrong);
    let elsewhere = Table::new().address("mta-sts.example.org", "192.0.2.2").address("mail.example.org", "192.0.2.1");
    assert_eq!(verdict(elsewhere, "CNAME", "mta-sts.example.org"), Verdict::Wrong);
    let caa = other(Record::Caa { tag: "issue".to_owned(), value: "other.example".to_owned() });
    assert_eq!(verdict(caa, "CAA", "example.org"), Verdict::Wrong);
    let port = Record::Srv { priority: 0, weight: 1, port: 466, target: "mail.example.org".to_owned() };
    assert_eq!(
        verdict(Table::new().with("_submissions._tcp.example.org", port), "SRV", "_submissions._tcp.example.org"),
        Verdict::Wrong
    );
    let name = Table::new().with("1.2.0.192.in-addr.arpa", Record::Ptr("host-1.provider.example".to_owned()));
    assert_eq!(verdict(name, "PTR", "1.2.0.192.in-addr.arpa"), Verdict::Wrong);
}
