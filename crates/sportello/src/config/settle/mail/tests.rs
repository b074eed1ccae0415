use std::path::Path;
use std::sync::Arc;

use sportello_service::judge::{Judging, Policy, Rules, Treatment, Trouble};

use super::*;
use crate::config::Checked;
use crate::config::source::Source;

const REST: &str = "\ncommand ci { program \"/bin/cat\" }\nchannel mail port=0 protocol=smtp\nchannel commands port=0 protocol=command\n";

fn checked(mail: &str) -> Checked {
    let mut faults = Vec::new();
    let text = format!("domain example.org {{\nmail {{\n{mail}\n}}\n}}\n{REST}");
    Checked::new(Source::new(Path::new("/tmp/a.kdl"), text.as_bytes(), &mut faults), faults)
}

fn domains(mail: &str) -> Arc<MailDomains> {
    let checked = checked(mail);
    assert!(checked.faults.is_empty(), "{:?}", checked.faults);
    checked.settings.unwrap().mail
}

fn book(mail: &str) -> Book {
    match &domains(mail).named("example.org").unwrap().handling {
        Handling::Accounts(book) => book.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

fn members(alias: &Alias) -> String {
    alias.members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[test]
fn what_is_written_is_meant() {
    let book = book(
        "alias Info to=\"ada BOB@Example.net\"\nalias build to=ada\nalias \"a b\" to=\"josé@bücher.example\"\n\
         catch-all to=ada\nplus-tags off\npostmaster \"ada bob\"\ncapture outgoing",
    );
    let alias = |name: &str| (book.aliases[name].line, members(&book.aliases[name]));
    assert_eq!(alias("info"), (3, "ada@example.org, BOB@Example.net".to_owned()));
    assert_eq!(alias("build"), (4, "ada@example.org".to_owned()));
    assert_eq!(alias("a b"), (5, "josé@bücher.example".to_owned()));
    assert_eq!(members(book.catch_all.as_ref().unwrap()), "ada@example.org");
    assert_eq!(members(book.postmaster.as_ref().unwrap()), "ada@example.org, bob@example.org");
    assert_eq!((book.plus_tags, book.outgoing), (PlusTags::Off, Outgoing::Captured));
    assert_eq!(self::book(""), Book::default());
    assert_eq!(domains("capture").named("example.org").unwrap().handling, Handling::Captured { line: 3 });
    assert!(domains("capture").only_capture() && !domains("capture outgoing").only_capture());
}

#[test]
fn what_is_wrong_is_told() {
    for (mail, expect) in [
        ("alias info", "stands for nobody"),
        ("catch-all", "stands for nobody"),
        ("alias info to=\"\"", "nobody is named here"),
        ("alias info to=\"ada,bob\"", "ada,bob is no mail address"),
        ("alias info to=\"ada @example.net\"", "@example.net is no mail address"),
        ("alias info@example.org to=ada", "cannot stand before the @"),
        ("alias \"a\\nb\" to=ada", "cannot stand before the @"),
        ("alias \"\" to=ada", "cannot stand before the @"),
        ("alias info to=ada\nalias INFO to=bob", "written twice"),
        ("alias build to=ada run=ci", "mail is not given to programs yet"),
        ("catch-all run=ci", "mail is not given to programs yet"),
        ("postmaster \"\"", "nobody is named here"),
        ("alias a to=b\nalias b to=A", "mail would go round: a@example.org → b@example.org → a@example.org"),
        ("capture outgoing\ncapture", "written twice"),
        ("capture incoming", "must be outgoing"),
        ("judge no", "must be off"),
        ("judge off { spf junk }", "so spf decides nothing"),
        ("judge { spf drop }", "must be one of tag, junk, reject"),
        ("judge { trouble reject }", "must be one of accept, defer"),
        ("judge { dnsbl }", "zone"),
        ("judge { dnsbl \"a b\" }", "a host's name"),
        ("judge { dnsbl a.example A.example }", "the list a.example is written twice"),
        ("judge { dnsbl a.example then=defer }", "must be one of tag, junk, reject"),
        ("judge { dnsbl a.b c.d e.f g.h i.j k.l m.n o.p q.r }", "more than 8 lists"),
        ("spf junk", "spf stands in"),
    ] {
        let faults = checked(mail).faults;
        assert!(faults.iter().any(|fault| format!("{fault:?}").contains(expect)), "{mail}: {faults:?}");
        assert!(checked(mail).settings.is_none());
    }
    // An alias that names itself stands for the account too.
    assert!(checked("alias info to=\"info ada\"").faults.is_empty());
    assert!(checked("capture\njudge off").faults[0].message.contains("decides nothing"));
    let beside = checked("capture\nalias info to=ada");
    assert!(beside.settings.is_some() && beside.faults[0].message.contains("decides nothing"), "{:?}", beside.faults);
}

#[test]
fn one_fault_tells_a_circle() {
    let faults = checked("alias a to=b\nalias b to=c\nalias c to=a").faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
}

#[test]
fn members_are_counted() {
    let crowd = |number: usize| format!("alias all to=\"{}\"", "a@b.example ".repeat(number));
    assert!(checked(&crowd(MailDomains::MOST_MEMBERS)).faults.is_empty());
    let faults = checked(&crowd(MailDomains::MOST_MEMBERS + 1)).faults;
    assert!(faults[0].message.contains("more than 1000 addresses"), "{faults:?}");
}

#[test]
fn accounts_are_of_a_named_domain() {
    let mut faults = Vec::new();
    let text = format!("domain \"*\" {{ mail {{ plus-tags on }} }}{REST}");
    let checked = Checked::new(Source::new(Path::new("/tmp/a.kdl"), text.as_bytes(), &mut faults), faults);
    assert!(checked.faults.iter().any(|fault| fault.message == "accounts are of a domain with a name"));
}

#[test]
fn how_mail_is_judged() {
    let rules = |mail: &str| match book(mail).judging {
        Judging::By(rules) => rules,
        Judging::Off => panic!("{mail}"),
    };
    assert_eq!((rules(""), rules("judge"), rules("judge { }")), Default::default());
    let written = rules(
        "judge { spf junk; dmarc reject; iprev reject; dnsbl \"BL.example.net\" bücher.example then=tag; trouble defer }",
    );
    let (spf, dmarc, iprev) = (Treatment::Junk, Treatment::Reject, Treatment::Reject);
    let policy = Policy { spf, dmarc, iprev, listed: Treatment::Tag, trouble: Trouble::Defer };
    let lists = ["bl.example.net", "xn--bcher-kva.example"].map(str::to_owned).to_vec();
    assert_eq!(written, Rules { policy, lists });
    assert_eq!(rules("judge { dnsbl a.example }").policy, Policy::default());
    assert_eq!(book("judge off").judging, Judging::Off);
    // An IPv6 address must have room before it.
    let zone = |length: usize| {
        format!(
            "judge {{ dnsbl \"{}{}\" }}",
            "a.".repeat((length - 1) / 2 - 1),
            "a".repeat(length - 2 * ((length - 1) / 2 - 1))
        )
    };
    assert_eq!(rules(&zone(189)).lists[0].len(), 189);
    assert!(checked(&zone(190)).faults[0].message.contains("longer than a name may be"));
}
