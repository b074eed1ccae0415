use std::path::Path;

use super::*;
use crate::config::Checked;
use crate::config::source::Source;

const REST: &str =
    "command ci { program \"/bin/cat\" }\nchannel mail port=0 protocol=smtp\nchannel c port=0 protocol=command\n";

fn written(text: &str) -> Written {
    let mut faults = Vec::new();
    let text = format!("{text}{REST}");
    let checked = Checked::new(Source::new(Path::new("/tmp/a.kdl"), text.as_bytes(), &mut faults), faults);
    assert!(checked.settings.is_some(), "{:?}\n{text}", checked.faults);
    checked.written.unwrap()
}

fn members(to: &str) -> Vec<String> {
    to.split_whitespace().map(str::to_owned).collect()
}

fn address(text: &str) -> Address {
    Address::parse(text.as_bytes()).unwrap()
}

/// What becomes of a text; it is one that can be used.
fn added(text: &str, alias: &str, to: &str) -> Result<String, EditError> {
    let changed = with(&written(text), &address(alias), &members(to))?;
    let changed = changed.strip_suffix(REST).unwrap().to_owned();
    written(&changed);
    Ok(changed)
}

fn removed(text: &str, alias: &str, to: &str) -> Result<String, EditError> {
    let changed = without(&written(text), &address(alias), &members(to))?;
    let changed = changed.strip_suffix(REST).unwrap().to_owned();
    written(&changed);
    Ok(changed)
}

const FILE: &str = "\
// Ours.
domain example.org {
  mail { // all of it
    /* who sells */ alias sales to=\"ada\" // since May
    plus-tags off
  }
}
";

#[test]
fn a_line_is_added_and_all_else_stays() {
    let expect = FILE.replace("// since May\n", "// since May\n    alias info to=\"ada bob@example.net\"\n");
    assert_eq!(added(FILE, "info@example.org", "ada bob@example.net").unwrap(), expect);
    for (mail, expect) in [
        ("mail", "mail {\n    alias a to=\"b\"\n}"),
        ("mail {}", "mail {\n    alias a to=\"b\"\n}"),
        ("mail {\n}", "mail {\n    alias a to=\"b\"\n}"),
        ("mail { capture outgoing }", "mail { capture outgoing\n    alias a to=\"b\"\n}"),
        ("mail { alias x to=y }", "mail { alias x to=y\n    alias a to=\"b\"\n}"),
        ("mail { alias x to=y; plus-tags off }", "mail { alias x to=y; plus-tags off\n    alias a to=\"b\"\n}"),
        ("mail {\n    plus-tags off\n}", "mail {\n    plus-tags off\n    alias a to=\"b\"\n}"),
        ("mail {\n    plus-tags off // }\n}", "mail {\n    plus-tags off // }\n    alias a to=\"b\"\n}"),
    ] {
        let text = |mail: &str| format!("domain example.org {{\n{mail}\n}}\n");
        assert_eq!(added(&text(mail), "a@EXAMPLE.org", "b").unwrap(), text(expect), "{mail}");
    }
    let german = "domain bücher.example {\n    mail\n}\n";
    assert!(added(german, "josé@xn--bcher-kva.example", "ada").unwrap().contains("alias \"josé\" to=\"ada\""));
    assert!(added(FILE, "\"a b\"@example.org", "ada").unwrap().contains("alias \"a b\" to=\"ada\""));
    assert!(added(FILE, "true@example.org", "ada").unwrap().contains("alias \"true\" to=\"ada\""));
}

#[test]
fn who_is_there_stays_there() {
    let change = |to: &str| added(FILE, "Sales@example.org", to);
    assert_eq!(change("bob").unwrap(), FILE.replace("to=\"ada\"", "to=\"ada bob\""));
    assert_eq!(change("ADA@example.org bob").unwrap(), FILE.replace("to=\"ada\"", "to=\"ada bob\""));
    assert_eq!(change("ada@Example.org"), Err(EditError::Same("Sales@example.org".to_owned())));
    for (alias, name) in [("a@example.net", "example.net"), ("a@sub.example.org", "sub.example.org")] {
        assert_eq!(added(FILE, alias, "b"), Err(EditError::NoMail(name.to_owned())));
    }
}

#[test]
fn what_is_removed_leaves_the_rest() {
    let many = "domain example.org {\n    mail {\n        // first\n        alias a to=\"x y@z.example\"\n        alias b to=\"x\" // why\n        alias c to=x; alias d to=x\n    }\n}\n";
    for (alias, to, from, expect) in [
        ("A@example.org", "", "        alias a to=\"x y@z.example\"\n", ""),
        ("a@example.org", "x@example.org", "\"x y@z.example\"", "\"y@z.example\""),
        ("a@example.org", "x Y@Z.example", "        alias a to=\"x y@z.example\"\n", ""),
        ("b@example.org", "", "alias b to=\"x\" // why", " // why"),
        ("b@example.org", "x", "alias b to=\"x\" // why", " // why"),
        ("c@example.org", "", "alias c to=x;", ""),
        ("d@example.org", "", " alias d to=x", " "),
    ] {
        assert_eq!(removed(many, alias, to).unwrap(), many.replacen(from, expect, 1), "{alias} {to}");
    }
    assert_eq!(removed(many, "e@example.org", ""), Err(EditError::NoAlias("e@example.org".to_owned())));
    assert_eq!(
        removed(many, "a@example.org", "q"),
        Err(EditError::NoMember("a@example.org".to_owned(), "q".to_owned()))
    );
    assert_eq!(
        removed("domain example.org { mail { alias a to=b } }\n", "a@example.org", "").unwrap(),
        "domain example.org { mail {  } }\n"
    );
}
