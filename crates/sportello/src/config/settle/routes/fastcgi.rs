//! An application that is asked by FastCGI.

use std::sync::Arc;

use sportello_service::fastcgi::{self, Address, BadScripts, Scripts, Settings};
use sportello_service::files;
use sportello_service::site::{Action, Application, Folder};

use super::Settler;
use crate::config::as_written::{Directive, Value};
use crate::config::fault::Fault;
use crate::config::settle::{folder, one, set};

/// The action of `directive`.
pub(super) fn settle(settler: &mut Settler<'_>, directive: &Directive) -> Option<Action> {
    let faults = &mut *settler.faults;
    let address = address(one(Some(directive))?, faults);
    let root = one(directive.first("root")).and_then(|value| folder(value, faults));
    let scripts = scripts(directive, faults);
    let params = params(directive, faults);
    let seen_as = one(directive.first("seen-as")).and_then(|value| seen_as(value, faults));
    let path = root?;
    let mut settings = Settings { params, seen_as, ..Settings::of(address?, path.clone()) };
    settings.scripts = scripts?;
    if let Some(value) = one(directive.first("fallback")) {
        match settings.scripts.clone().with_fallback(value.text()?) {
            Ok(scripts) => settings.scripts = scripts,
            Err(error) => faults.push(Fault::error(value.span, error.to_string()).label("no script")),
        }
    }
    let timeout = |name| directive.first("timeout").and_then(|row| row.property(name)).and_then(Value::time);
    set(&mut settings.timeouts.connect, timeout("connect"));
    set(&mut settings.timeouts.head, timeout("head"));
    set(&mut settings.timeouts.between, timeout("between"));
    set(&mut settings.requests_most, one(directive.first("parallel")).and_then(Value::number));
    let keep = directive.first("keep");
    set(&mut settings.idle_most, one(keep).and_then(Value::number));
    set(&mut settings.idle_age, keep.and_then(|keep| keep.property("idle")).and_then(Value::time));
    settler.folders.push(Folder { path, settings: Arc::new(files::Settings::default()) });
    let folder = settler.folders.len().saturating_sub(1);
    let application = Application { folder, settings: Arc::new(settings), figures: Arc::default() };
    settler.applications.push(application);
    Some(Action::FastCgi(settler.applications.len().saturating_sub(1)))
}

fn address(value: &Value, faults: &mut Vec<Fault>) -> Option<Address> {
    match Address::parse(value.text()?) {
        Ok(address) => Some(address),
        Err(error) => {
            let fault = Fault::error(value.span, error.to_string()).label("no address");
            faults.push(fault.help("write \"unix:/run/php/php-fpm.sock\" or \"127.0.0.1:9000\", as the application's own configuration says"));
            None
        }
    }
}

fn scripts(directive: &Directive, faults: &mut Vec<Fault>) -> Option<Scripts> {
    let (split, index) = (one(directive.first("split")), one(directive.first("index")));
    let end = split.and_then(Value::text).unwrap_or(".php");
    let usual = format!("index{end}");
    let name = match index.and_then(Value::text) {
        Some("off") => None,
        written => Some(written.unwrap_or(&usual)),
    };
    match Scripts::new(end, name) {
        Ok(scripts) if one(directive.first("path-info")).and_then(Value::text) == Some("on") => {
            Some(scripts.with_path_info())
        }
        Ok(scripts) => Some(scripts),
        Err(error) => {
            let place = if error == BadScripts::Index { index.or(split) } else { split };
            let span = place.map_or(directive.name, |value| value.span);
            faults.push(Fault::error(span, error.to_string()).label("not this"));
            None
        }
    }
}

fn params(directive: &Directive, faults: &mut Vec<Fault>) -> Vec<(Box<str>, Box<str>)> {
    let mut params: Vec<(Box<str>, Box<str>)> = Vec::new();
    for param in directive.all("param") {
        let [name, value] = param.arguments.as_slice() else { continue };
        let (Some(text), Some(value)) = (name.text(), value.text()) else { continue };
        if !fastcgi::is_name(text) {
            let fault = Fault::error(name.span, format!("{text} is no name of a parameter")).label("no such name");
            faults.push(fault.help(format!("write {}", text.to_ascii_uppercase().replace(['-', '.'], "_"))));
        } else if params.iter().any(|(known, _)| **known == *text) {
            let fault = Fault::error(name.span, format!("the parameter {text} is written twice"));
            faults.push(fault.label("here again").help("keep one of them"));
        } else {
            params.push((text.into(), value.into()));
        }
    }
    params
}

fn seen_as(value: &Value, faults: &mut Vec<Fault>) -> Option<std::path::PathBuf> {
    let text = value.text()?;
    if text.starts_with('/') && !text.contains('\0') {
        return Some(text.into());
    }
    let fault = Fault::error(value.span, "the application's name of the folder begins with /").label("not absolute");
    faults.push(fault.help("write it as the application sees it, such as \"/var/www/html\""));
    None
}
