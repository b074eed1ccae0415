use std::path::Path;

use super::*;
use crate::config::fault::any_error;
use crate::config::source::Source;
use crate::config::{Checked, reference};

#[test]
fn every_directive_is_whole() {
    for row in rows() {
        let path = row.path();
        assert!(row.doc.ends_with('.') && row.doc.len() > 20, "{path}: what does it do?");
        assert!(!row.example.is_empty(), "{path}: no example");
        assert!(row.example.contains(row.name), "{path}: the example does not show it");
        assert!(row.within.is_empty() || rows().any(|other| other.path() == row.within), "{path}: within what?");
        assert_eq!(rows().filter(|other| other.path() == path).count(), 1, "{path} is there twice");
        for (place, argument) in row.arguments.iter().enumerate() {
            assert!(!argument.doc.is_empty(), "{path}: {}", argument.name);
            assert!(
                argument.count == Count::One || place + 1 == row.arguments.len(),
                "{path}: only the last may be many"
            );
        }
        for property in row.properties {
            assert!(!property.doc.is_empty(), "{path}: {}", property.name);
        }
    }
    for absent in ABSENT {
        let taken = match absent.what {
            What::Directive(name) => children(absent.within).any(|row| row.name == name),
            What::Property(name) => {
                let row = rows().find(|row| row.path() == absent.within);
                row.is_none_or(|row| row.properties.iter().any(|property| property.name == name))
            }
            What::Value(..) => false,
        };
        assert!(!taken, "{:?} is built, or stands within nothing", absent.what);
        assert!(!absent.instead.is_empty());
    }
}

#[test]
fn every_example_is_accepted() {
    // An example shows one directive; what else a server needs is put beside it.
    for row in rows() {
        accepted(row.example, &row.path());
        let formatted = crate::config::format::formatted(row.example).unwrap();
        assert_eq!(formatted.trim_end(), row.example, "{}: the example has the usual form", row.path());
    }
}

fn accepted(example: &str, what: &str) {
    // What a server keeps there is not on every machine.
    let certificates = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/");
    let mut text = example.replace("/etc/ssl/", certificates);
    if !text.lines().any(|line| line.starts_with("channel")) {
        text.push_str(
            "\nchannel web port=0 protocol=http\nchannel mail port=0 protocol=smtp\nchannel c port=0 protocol=command\n",
        );
    }
    text.push_str("\ndomain more.example {\n    site more.example { root \"/srv\" }\n    mail { capture }\n}\n");
    let mut faults = Vec::new();
    let source = Source::new(Path::new("example.kdl"), text.as_bytes(), &mut faults);
    let checked = Checked::new(source, faults);
    assert!(!any_error(&checked.faults), "{what}: {:?}\n{text}", checked.faults);
}

/// The repository's `docs/`.
fn document(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

#[test]
fn the_reference_is_made_from_the_table() {
    let page = reference::page();
    let file = document("reference.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == page, "docs/reference.md is stale; write it anew: cargo xtask reference");
    for row in rows() {
        assert!(reference::entry(row.name).is_some() && reference::entry(&row.path()).is_some(), "{}", row.path());
    }
    assert!(reference::entry("tls").unwrap().contains("not built yet"));
    assert!(reference::entry("nothing-of-this-name").is_none());
}

#[test]
fn the_manual_names_what_there_is() {
    let manual = std::fs::read_to_string(document("manual.md")).unwrap();
    let section = manual.split("\n## ").find(|section| section.starts_with("Configuration")).unwrap();
    for block in section.split("```kdl\n").skip(1) {
        accepted(block.split("```").next().unwrap(), "an example of the manual");
    }
    let known = |word: &str| {
        let word = word.trim_end_matches('=');
        let words = |kind: &Kind| matches!(kind, Kind::OneOf(words) if words.contains(&word));
        rows().any(|row| {
            row.name == word
                || row.arguments.iter().any(|argument| words(&argument.kind))
                || row.properties.iter().any(|property| property.name == word || words(&property.kind))
        }) || ABSENT.iter().any(|absent| match absent.what {
            What::Directive(name) | What::Property(name) => name == word,
            What::Value(_, value) => value == word,
        })
    };
    // The sub-commands that the section is about too.
    let others = ["check", "fmt", "explain", "serve"];
    let text = section.split("```").step_by(2).collect::<String>();
    let mut seen = 0;
    for code in text.split('`').skip(1).step_by(2) {
        // A directive is named with or without what follows it.
        let word = code.split([' ', '"']).next().unwrap_or_default();
        let is_word =
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte == b'=');
        if is_word && !word.starts_with('-') && word != "sportello" {
            seen += 1;
            assert!(known(word) || others.contains(&word), "the manual names `{code}`, which there is not");
        }
    }
    assert!(seen > 8, "{seen}");
}

#[test]
fn the_example_is_accepted_and_has_the_usual_form() {
    let file = document("example.kdl");
    let checked = Checked::read(&file).unwrap();
    assert!(checked.faults.is_empty(), "{:?}", checked.faults);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(crate::config::format::formatted(&text).unwrap(), text);
}
