//! A site's access log.

use super::{one, set};
use crate::config::as_written::{Directive, Value};
use crate::config::fault::Fault;
use crate::config::settings::AccessLog;
use crate::observe::access::{Format, Rotation, Target};

/// That of a site, if it has one.
pub(super) fn settle(site: &Directive, faults: &mut Vec<Fault>) -> Option<AccessLog> {
    let directive = site.first("log")?;
    let value = one(Some(directive))?;
    let path = value.path()?;
    let target = if path.file_name().is_some_and(|name| name == "-") {
        Target::Stdout
    } else {
        let folder = path.parent().filter(|folder| !folder.is_dir());
        if let Some(folder) = folder {
            let fault = Fault::error(value.span, format!("the folder {} does not exist", folder.display()));
            faults.push(fault.label("not there").help("make it, or name one that is there"));
        }
        Target::File(path.clone())
    };
    let format = match directive.property("format").and_then(Value::text) {
        Some("common") => Format::Common,
        Some("json") => Format::Json,
        _ => Format::Combined,
    };
    let mut rotation = Rotation::default();
    if let Some(rotate) = directive.first("rotate") {
        set(&mut rotation.size, rotate.property("size").and_then(Value::number));
        rotation.age = rotate.property("age").and_then(Value::time).or(rotation.age);
        set(&mut rotation.keep, rotate.property("keep").and_then(Value::number));
    }
    Some(AccessLog { target, format, rotation })
}
