use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sportello_service::certificates::{Signer, Wanted};

use super::*;
use crate::config::fault::Severity;
use crate::config::source::Source;
use crate::config::{Checked, Others};
use crate::protocol::smtp;

fn checked(text: &str) -> Checked {
    let mut faults = Vec::new();
    let source = Source::new(Path::new("/tmp/a.kdl"), text.as_bytes(), &mut faults);
    Checked::new(source, faults)
}

fn settings(text: &str) -> Settings {
    let checked = checked(text);
    assert!(checked.faults.is_empty(), "{:?}", checked.faults);
    checked.settings.unwrap()
}

mod ban;
mod directives;
mod names;
mod places;
