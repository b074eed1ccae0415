//! The access logs of sites; each file is one log, whoever writes to it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{one, set};
use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::settings::AccessLog;
use crate::config::source::Span;
use crate::observe::access::{Format, Rotation, Target};

/// That of a site, if it has one.
pub(super) fn settle(site: &Directive, faults: &mut Vec<Fault>) -> Option<AccessLog> {
    let directive = site.first("log")?;
    let value = one(Some(directive))?;
    let path = value.path()?;
    let target = if is_stdout(path) {
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
    Some(AccessLog { target, format, rotation: rotation(directive) })
}

fn is_stdout(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "-")
}

fn rotation(log: &Directive) -> Rotation {
    let mut rotation = Rotation::default();
    if let Some(rotate) = log.first("rotate") {
        set(&mut rotation.size, rotate.property("size").and_then(Value::number));
        rotation.age = rotate.property("age").and_then(Value::time).or(rotation.age);
        set(&mut rotation.keep, rotate.property("keep").and_then(Value::number));
    }
    rotation
}

/// What tells one file from another; before it is there, its folder and its name.
#[derive(PartialEq, Eq)]
enum Identity {
    There(u64, u64),
    Beneath(PathBuf),
}

impl Identity {
    fn of(path: &Path) -> Option<Self> {
        if let Ok(facts) = fs::metadata(path) {
            return Some(Self::There(facts.dev(), facts.ino()));
        }
        Some(Self::Beneath(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?)))
    }
}

/// One file is put aside by one hand: it bears one name, and all sites say the same of when.
pub(super) fn apart(written: &Written, faults: &mut Vec<Fault>) {
    let mut before: Vec<(&Path, Span, Identity, Rotation)> = Vec::new();
    let sites = written.all("domain").flat_map(|domain| domain.all("site"));
    for directive in sites.filter_map(|site| site.first("log")) {
        let path = one(Some(directive)).and_then(|value| Some((value.span, value.path()?)));
        let Some((span, path)) = path.filter(|(_, path)| !is_stdout(path)) else { continue };
        // Whose folder is not there is told already.
        let Some(identity) = Identity::of(path) else { continue };
        let rotation = rotation(directive);
        let Some((known, first, _, its)) = before.iter().find(|(_, _, known, _)| *known == identity) else {
            before.push((path, span, identity, rotation));
            continue;
        };
        if *known != path {
            let message = format!("{} and {} are one file", known.display(), path.display());
            let fault = Fault::error(span, message).label("the same file").also(*first, "here by another name");
            faults.push(fault.help("write one name in both places, so that it is put aside once"));
        } else if *its != rotation {
            let message =
                format!("two sites write to {} and do not say the same of when it is put aside", path.display());
            let fault = Fault::error(span, message).label("here otherwise").also(*first, "first here");
            faults.push(fault.help("write the same rotate in both places, or another file"));
        }
    }
}
