//! What of a site is sent encoded.

use sportello_service::compress::{Compression, Level, Types};
use sportello_service::media::MediaRange;
use sportello_wire::http1::coding::Coding;

use super::set;
use crate::config::as_written::{Directive, Value};
use crate::config::fault::Fault;
use crate::config::source::Span;

/// The codings that a directive names, each once.
pub(super) fn codings(directive: Option<&Directive>, faults: &mut Vec<Fault>) -> Vec<Coding> {
    let mut found: Vec<(Coding, Span)> = Vec::new();
    for value in directive.iter().flat_map(|directive| &directive.arguments) {
        let Some(coding) = coding(value) else { continue };
        if let Some((_, first)) = found.iter().find(|(other, _)| *other == coding) {
            let fault = Fault::error(value.span, format!("{} is written twice", coding.name())).label("here again");
            faults.push(fault.also(*first, "first here").help("keep one of them"));
            continue;
        }
        found.push((coding, value.span));
    }
    found.into_iter().map(|(coding, _)| coding).collect()
}

fn coding(value: &Value) -> Option<Coding> {
    value.text().and_then(|text| Coding::of(text.as_bytes()))
}

/// What is encoded on the fly, by this `compress`; nothing by `compress off`.
pub(super) fn compression(directive: &Directive, faults: &mut Vec<Fault>) -> Compression {
    if let Some(off) = directive.arguments.iter().find(|value| value.text() == Some("off")) {
        if directive.arguments.len() > 1 || !directive.properties.is_empty() || !directive.children.is_empty() {
            let fault = Fault::error(off.span, "off stands alone: nothing is encoded").label("beside other words");
            faults.push(fault.help("write compress off, or remove off"));
        }
        return Compression::default();
    }
    let levels = codings(Some(directive), faults).into_iter().map(Level::usual).collect();
    let mut compression = Compression { levels, ..Compression::default() };
    set(&mut compression.minimum, directive.property("minimum").and_then(Value::number));
    set(&mut compression.most, directive.property("most").and_then(Value::number));
    if let Some(value) = directive.property("most").filter(|_| compression.most < compression.minimum) {
        let fault = Fault::error(value.span, "most is less than minimum, so nothing would be encoded");
        faults.push(fault.label("less").help("write more, or leave compress out"));
    }
    for written in directive.all("level") {
        level(written, &mut compression, faults);
    }
    if let Some(types) = directive.first("types") {
        compression.types = Types::These(types.arguments.iter().filter_map(|value| range(value, faults)).collect());
    }
    compression
}

fn level(written: &Directive, compression: &mut Compression, faults: &mut Vec<Fault>) {
    let [name, number] = written.arguments.as_slice() else { return };
    let (Some(coding), Some(wanted)) = (coding(name), number.number()) else { return };
    let Some(place) = compression.levels.iter_mut().find(|level| level.coding() == coding) else {
        let fault = Fault::error(name.span, format!("compress does not name {}", coding.name())).label("not offered");
        faults.push(fault.help(format!("write it behind compress too: compress {}", coding.name())));
        return;
    };
    match Level::new(coding, wanted) {
        Some(level) => *place = level,
        None => {
            let (least, most) = (Level::range(coding).start().to_owned(), Level::range(coding).end().to_owned());
            let message = format!("{} has no level {wanted}", coding.name());
            faults.push(Fault::error(number.span, message).label(format!("expected {least} to {most}")));
        }
    }
}

fn range(value: &Value, faults: &mut Vec<Fault>) -> Option<MediaRange> {
    let text = value.text()?;
    let range = MediaRange::parse(text);
    if range.is_none() {
        let fault = Fault::error(value.span, format!("{text:?} is no media type")).label("not this");
        faults.push(fault.help("write for example \"text/css\", \"text/*\" or \"*\""));
    }
    range
}
