//! The configuration file.

use std::path::Path;

use sportello::config::Checked;
use sportello::config::fault::any_error;
use sportello::config::format::formatted;
use sportello::config::report::plain;
use sportello::config::source::Source;

fn check(bytes: &[u8]) -> Checked {
    let mut faults = Vec::new();
    let source = Source::new(Path::new("/nowhere/sportello.kdl"), bytes, &mut faults);
    Checked::new(source, faults)
}

/// A text is checked, told of, and brought into its usual form, in which it means the same.
pub(crate) fn file(data: &[u8]) {
    let checked = check(data);
    assert_eq!(checked.settings.is_some(), !any_error(&checked.faults), "faults and settings disagree");
    for fault in &checked.faults {
        assert!(!fault.message.is_empty() && fault.span.start <= fault.span.end);
    }
    let told = plain(&checked.source, &checked.faults);
    assert!(!told.chars().any(|character| character.is_control() && character != '\n'), "{told:?}");
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(usual) = formatted(text) {
        assert_eq!(formatted(&usual).unwrap(), usual, "the usual form has another one");
        let again = check(usual.as_bytes());
        assert_eq!(again.faults.len(), checked.faults.len(), "another form has other faults");
    }
}
