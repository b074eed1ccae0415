//! What `sportello check` says of broken configurations, exactly: each `tests/broken/NN_name.kdl` with the report in
//! `NN_name.txt`. After a change that is meant, `BLESS=1 cargo test -p sportello --test broken` writes them anew; read them
//! before they are committed, as one who has made the mistake.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use sportello::cli::paper::Ink;
use sportello::config::fault::any_error;
use sportello::config::source::Source;
use sportello::config::{Checked, report};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "kdl"));
    files.sort();
    files
}

fn checked(file: &Path) -> Checked {
    let mut faults = Vec::new();
    let name = Path::new(file.file_name().unwrap());
    let source = Source::new(name, &fs::read(file).unwrap(), &mut faults);
    Checked::new(source, faults)
}

#[test]
fn every_report_is_as_it_was_read() {
    let files = files();
    assert!(files.len() >= 20);
    let mut differ = Vec::new();
    for file in &files {
        let checked = checked(file);
        assert!(any_error(&checked.faults), "{} is not broken", file.display());
        assert!(checked.settings.is_none(), "{} could be used", file.display());
        let report = report::graphical(&checked.source, &checked.faults, Ink::Plain);
        let expected = file.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &report).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != report {
            differ.push(format!("{}:\n{report}", expected.display()));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn every_fault_says_where_and_what_to_do() {
    for file in files() {
        let checked = checked(&file);
        for fault in &checked.faults {
            let name = file.display();
            assert!(fault.span.end <= checked.source.text().len(), "{name}: {fault:?}");
            assert!(!fault.label.is_empty() || fault.help.is_some(), "{name}: only that it is wrong: {fault:?}");
            assert!(!fault.message.ends_with('.') && fault.message.len() > 8, "{name}: {fault:?}");
        }
        let plain = report::plain(&checked.source, &checked.faults);
        assert_eq!(plain.lines().count(), checked.faults.len(), "one line each");
    }
}
