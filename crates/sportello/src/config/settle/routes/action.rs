//! What answers.

use std::sync::Arc;

use sportello_service::compress::Compression;
use sportello_service::site::{Action, BadRespond, Folder, Redirect, Respond, Rewrite, Root, Run, Template};

use super::{Settler, fastcgi, proxy};
use crate::config::as_written::{Directive, Value};
use crate::config::fault::Fault;
use crate::config::settle::{files, folder, one};
use crate::config::suggest::nearest;

/// What may be written, as an example.
pub(super) const CHOICE: &str = "root \"/srv/www\", respond 404, redirect \"/\" or proxy \"http://127.0.0.1:3000\"";

/// Whether a directive answers.
pub(super) fn is_one(directive: &Directive) -> bool {
    matches!(directive.row.name, "root" | "fastcgi" | "respond" | "redirect" | "run" | "proxy")
}

/// The action of `directive`, which stands in `block`, whose files are encoded by `compression`.
pub(super) fn settle(
    settler: &mut Settler<'_>,
    (block, compression): (&Directive, &Compression),
    directive: &Directive,
) -> Option<Action> {
    match directive.row.name {
        "root" => root(settler, (block, compression), directive),
        "fastcgi" => fastcgi::settle(settler, directive),
        "respond" => respond(directive, settler.faults).map(Action::Respond),
        "redirect" => redirect(directive, settler.faults).map(Action::Redirect),
        "run" => run(settler, directive).map(Action::Run),
        "proxy" => {
            settler.proxies.push(proxy::settle(settler.written, directive, settler.faults)?);
            Some(Action::Proxy(settler.proxies.len().saturating_sub(1)))
        }
        _ => None,
    }
}

fn root(
    settler: &mut Settler<'_>,
    (block, compression): (&Directive, &Compression),
    directive: &Directive,
) -> Option<Action> {
    let settings = Arc::new(files::settle(block, compression, settler.faults));
    let path = folder(one(Some(directive))?, settler.faults)?;
    settler.folders.push(Folder { path, settings });
    let fallback = block.first("fallback").map_or_else(Vec::new, |fallback| fallbacks(fallback, settler.faults));
    Some(Action::Root(Root { folder: settler.folders.len().saturating_sub(1), fallback }))
}

fn fallbacks(directive: &Directive, faults: &mut Vec<Fault>) -> Vec<Rewrite> {
    let mut fallbacks = Vec::new();
    for value in &directive.arguments {
        match value.text().map(Rewrite::parse) {
            Some(Ok(path)) => fallbacks.push(path),
            Some(Err(error)) => faults.push(Fault::error(value.span, error.to_string()).label("not this")),
            None => {}
        }
    }
    if let Some(value) = directive.arguments.get(FALLBACKS) {
        let fault = Fault::error(value.span, format!("there may be {FALLBACKS} of them")).label("one too many");
        faults.push(fault.help("each is looked for at every request for what is not there"));
    }
    fallbacks
}

/// The most files that are looked for in place of one.
const FALLBACKS: usize = 8;

fn run(settler: &mut Settler<'_>, directive: &Directive) -> Option<Run> {
    let [program, words @ ..] = directive.arguments.as_slice() else { return None };
    let name = program.text()?;
    let commands = || settler.written.all("command").filter_map(|command| one(Some(command)).and_then(Value::text));
    if !commands().any(|command| command.eq_ignore_ascii_case(name)) {
        let fault = Fault::error(program.span, format!("there is no command {name}")).label("unknown");
        let help = match nearest(name, commands()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("write it at the top of the file: command {name} {{ program \"/path\" }}"),
        };
        settler.faults.push(fault.help(help));
        return None;
    }
    let mut filled = Vec::new();
    for word in words {
        match word.text().map(Template::parse) {
            Some(Ok(template)) => filled.push(template),
            Some(Err(error)) => settler.faults.push(Fault::error(word.span, error.to_string()).label("not this")),
            None => {}
        }
    }
    let text = |name: &str| directive.property(name).and_then(Value::text);
    let media_type = text("type").unwrap_or("text/plain; charset=utf-8");
    if let Some(value) = directive.property("type").filter(|_| Respond::new(200, "", Some(media_type)).is_err()) {
        settler.faults.push(Fault::error(value.span, BadRespond::MediaType.to_string()).label("not this"));
    }
    let methods = text("method").unwrap_or("POST").split_ascii_whitespace().map(Box::from).collect();
    Some(Run { program: name.into(), words: filled, media_type: media_type.into(), methods })
}

/// Tells of what says how files are given where none are.
pub(super) fn of_folders(block: &Directive, answering: Option<&Directive>, faults: &mut Vec<Fault>) {
    if answering.is_some_and(|directive| directive.row.name == "root") {
        return;
    }
    let of_files = |name: &str| {
        matches!(
            name,
            "memory"
                | "index"
                | "listing"
                | "hidden-names"
                | "symlinks"
                | "cache-control"
                | "precompressed"
                | "error-page"
                | "fallback"
        )
    };
    for child in block.children.iter().filter(|child| of_files(child.row.name)) {
        let message = format!("{} is said of a folder, and no root is in this block", child.row.name);
        let fault = Fault::error(child.name, message).label("of which folder?");
        faults.push(fault.help("write it beside root, in the same block"));
    }
}

fn respond(directive: &Directive, faults: &mut Vec<Fault>) -> Option<Respond> {
    let [status, text @ ..] = directive.arguments.as_slice() else { return None };
    if let [_, more, ..] = text {
        let fault = Fault::error(more.span, "respond has one text").label("one too many");
        faults.push(fault.help("put all of it in one pair of quotes"));
    }
    let media_type = directive.property("type");
    let made = Respond::new(
        status.number()?,
        text.first().and_then(Value::text).unwrap_or_default(),
        media_type.and_then(Value::text),
    );
    match made {
        Ok(respond) => Some(respond),
        Err(error) => {
            let place = match error {
                BadRespond::Status(_) => status,
                BadRespond::Text(_) => text.first().unwrap_or(status),
                BadRespond::MediaType => media_type.unwrap_or(status),
            };
            faults.push(Fault::error(place.span, error.to_string()).label("not this"));
            None
        }
    }
}

fn redirect(directive: &Directive, faults: &mut Vec<Fault>) -> Option<Redirect> {
    let to = one(Some(directive))?;
    let status = directive.property("status");
    match Redirect::parse(to.text()?, status.and_then(Value::number)) {
        Ok(redirect) => Some(redirect),
        Err(error) => {
            let place =
                status.filter(|_| matches!(error, sportello_service::site::BadRedirect::Status(_))).unwrap_or(to);
            faults.push(Fault::error(place.span, error.to_string()).label("not this"));
            None
        }
    }
}
