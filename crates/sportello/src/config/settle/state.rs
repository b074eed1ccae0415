//! The state folder among the folders that are served: it holds everybody's mail.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

use super::one;
use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::source::Span;

/// Tells where the state folder lies in a folder that is served (it is kept back then), and where all that should be served
/// would be kept back.
pub(super) fn apart(written: &Written, state: &Path, faults: &mut Vec<Fault>) {
    let resolved = resolved(state);
    let its = one(written.first("state")).map(|value| value.span);
    let sites = written.all("domain").flat_map(|domain| domain.all("site"));
    for directive in sites.flat_map(roots) {
        let Some((value, root)) = one(Some(directive)).and_then(|value| Some((value, Value::path(value)?))) else {
            continue;
        };
        let Some(root) = fs::canonicalize(root).ok().filter(|root| root.is_dir()) else { continue };
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

/// Every `root` of a site, its routes and its applications. As deep as blocks may be.
fn roots(block: &Directive) -> Vec<&Directive> {
    let inner = block.all("route").chain(block.all("fastcgi")).flat_map(roots);
    block.all("root").chain(inner).collect()
}

/// Tells where the folder cannot be made: by nobody, or not by this user; the server may be started by another.
pub(super) fn can_be_made(at: Span, folder: &Path, faults: &mut Vec<Fault>) {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let Some(there) = whole.ancestors().find(|above| fs::symlink_metadata(above).is_ok()) else { return };
    let shown = (folder.display(), there.display());
    if !there.is_dir() {
        // A file in its very place is told already.
        if there != whole {
            let message = format!("the state folder {} cannot be made: {} is no folder", shown.0, shown.1);
            let fault = Fault::error(at, message).label("not to be had");
            faults.push(fault.help("name a folder; it is made when it is missing"));
        }
        return;
    }
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    let Err(error) = rustix::fs::accessat(CWD, there, wanted, AtFlags::EACCESS) else { return };
    let message = format!("this user may not write in {}, so cannot have the state folder {}", shown.1, shown.0);
    let fault = match error {
        Errno::ACCESS | Errno::PERM => Fault::warning(at, message).label("not this user's"),
        other => {
            let why = std::io::Error::from(other);
            Fault::error(at, format!("the state folder {} cannot be made in {}: {why}", shown.0, shown.1))
                .label("not to be had")
        }
    };
    faults.push(fault.help("start the server as a user who may, or name another folder"));
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
