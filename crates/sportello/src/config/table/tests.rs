use std::path::Path;

use super::*;
use crate::config::fault::any_error;
use crate::config::source::Source;
use crate::config::{Checked, reference};

#[test]
fn every_directive_is_whole() {
    for row in ROWS {
        let path = row.path();
        assert!(row.doc.ends_with('.') && row.doc.len() > 20, "{path}: what does it do?");
        assert!(!row.example.is_empty(), "{path}: no example");
        assert!(row.example.contains(row.name), "{path}: the example does not show it");
        assert!(row.within.is_empty() || ROWS.iter().any(|other| other.path() == row.within), "{path}: within what?");
        assert_eq!(ROWS.iter().filter(|other| other.path() == path).count(), 1, "{path} is there twice");
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
                let row = ROWS.iter().find(|row| row.path() == absent.within);
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
    for row in ROWS {
        let mut text = row.example.to_owned();
        let has = |name: &str| text.lines().any(|line| line.starts_with(name));
        let mut more = String::new();
        if !has("channel") {
            more.push_str("\nchannel web port=0 protocol=http\nchannel mail port=0 protocol=smtp\nchannel c port=0 protocol=command\n");
        }
        more.push_str("\ndomain more.example {\n    site more.example { root \"/srv\" }\n    mail { capture }\n}\n");
        text.push_str(&more);
        let mut faults = Vec::new();
        let source = Source::new(Path::new("example.kdl"), text.as_bytes(), &mut faults);
        let checked = Checked::new(source, faults);
        assert!(!any_error(&checked.faults), "{}: {:?}\n{text}", row.path(), checked.faults);
        let formatted = crate::config::format::formatted(row.example).unwrap();
        assert_eq!(formatted.trim_end(), row.example, "{}: the example has the usual form", row.path());
    }
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
    for row in ROWS {
        assert!(reference::entry(row.name).is_some() && reference::entry(&row.path()).is_some(), "{}", row.path());
    }
    assert!(reference::entry("tls").unwrap().contains("not built yet"));
    assert!(reference::entry("nothing-of-this-name").is_none());
}
