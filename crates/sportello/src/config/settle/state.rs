//! The state folder among the folders that are served: it holds everybody's mail.

use std::fs;
use std::path::{Path, PathBuf};

use super::one;
use crate::config::as_written::{Value, Written};
use crate::config::fault::Fault;

/// Tells where the state folder lies in a folder that is served (it is kept back then), and where all that should be served
/// would be kept back.
pub(super) fn apart(written: &Written, state: &Path, faults: &mut Vec<Fault>) {
    let resolved = resolved(state);
    let its = one(written.first("state")).map(|value| value.span);
    for site in written.all("domain").flat_map(|domain| domain.all("site")) {
        let Some((value, root)) = one(site.first("root")).and_then(|value| Some((value, Value::path(value)?))) else {
            continue;
        };
        let Ok(root) = fs::canonicalize(root) else { continue };
        let fault = if root.starts_with(&resolved) {
            Fault::error(value.span, format!("{} is in the state folder, {}", root.display(), state.display()))
                .label("not to be served")
                .help("serve another folder, or keep the state in another: the mail of everybody is in it")
        } else if resolved.starts_with(&root) {
            let message = format!("the state folder, {}, lies in this folder; it is not served", state.display());
            Fault::warning(value.span, message)
                .label("all but the state")
                .help("better keep the state elsewhere, for example: state \"/var/lib/sportello\"")
        } else {
            continue;
        };
        faults.push(its.into_iter().fold(fault, |fault, span| fault.also(span, "the state folder")));
    }
}

/// Where a folder is, or will be once it is made: without links, as far as there is something.
pub(in crate::config) fn resolved(folder: &Path) -> PathBuf {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let there = whole.ancestors().find_map(|above| Some((fs::canonicalize(above).ok()?, above)));
    match there {
        Some((real, above)) => match whole.strip_prefix(above) {
            Ok(rest) if rest.as_os_str().is_empty() => real,
            Ok(rest) => real.join(rest),
            Err(_) => real,
        },
        None => whole,
    }
}
