//! KDL's own parser, and its complaints in words that help.

use kdl::{KdlDiagnostic, KdlDocument};

use crate::config::fault::Fault;
use crate::config::lexical::MOST_FAULTS;
use crate::config::source::Span;

/// Parses a text whose words are sound; `None` where it is no KDL.
pub(super) fn parse(text: &str, faults: &mut Vec<Fault>) -> Option<KdlDocument> {
    match KdlDocument::parse(text) {
        Ok(document) => Some(document),
        Err(error) => {
            faults.extend(error.diagnostics.iter().take(MOST_FAULTS).map(|told| fault(text, told)));
            if error.diagnostics.is_empty() {
                faults.push(Fault::error(Span::default(), "this is no KDL 2").help("see https://kdl.dev"));
            }
            None
        }
    }
}

/// The parser marks from the beginning of what it read to where it could not go on: only the latter says something.
fn fault(text: &str, told: &KdlDiagnostic) -> Fault {
    let start = told.span.offset().min(text.len());
    let end = start.saturating_add(told.span.len()).min(text.len());
    let read = text.get(start..end).unwrap_or("");
    let message = told.message.as_deref().unwrap_or("this cannot be read");
    let (message, help) = match message {
        "Expected end of document" => ("this cannot be read", None),
        "Found invalid node name" => ("a directive begins with its name", None),
        other => (other, told.help.clone()),
    };
    let at = Span { start: end.saturating_sub(last_length(read)).max(start), end: end.max(start + 1).min(text.len()) };
    let fault = Fault::error(at, message).label("it cannot be read from here");
    match help {
        Some(help) => fault.help(help),
        None => fault.help("a line is: name value… property=value… { … }"),
    }
}

/// Bytes of the last word that was read.
fn last_length(read: &str) -> usize {
    let word = read.trim_end();
    let start = word.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    read.len() - start.min(read.len())
}
