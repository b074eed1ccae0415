//! What is done in passing.

use std::num::NonZeroU32;
use std::sync::Arc;

use sportello_net::rate::Often;
use sportello_service::site::{
    Access, AtOnce, BadTemplate, By, FieldChange, How, HowOften, Limit, Login, Of, Rewrite, Step, StripPrefix,
    Template, per_minute,
};

use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::settle::channels::elsewhere;
use crate::config::settle::{networks, one};
use crate::config::value::duration;

/// The steps of `directive`, where it is one; none where it is wrong, which is told.
pub(super) fn settle(written: &Written, directive: &Directive, faults: &mut Vec<Fault>) -> Option<Vec<Step>> {
    let steps = match directive.row.name {
        "redirect" if one(Some(directive)).and_then(Value::text) == Some("https") => {
            if let Some(status) = directive.property("status") {
                let fault = Fault::error(status.span, "redirect https says 308").label("not this");
                faults.push(fault.help("remove it"));
            }
            vec![Step::Https(elsewhere::port(written))]
        }
        "rewrite" => read(directive, faults, |text| Rewrite::parse(text).map(Step::Rewrite)),
        "strip-prefix" => read(directive, faults, |text| StripPrefix::parse(text).map(Step::StripPrefix)),
        "header" => header(directive, faults).map(Step::Field).into_iter().collect(),
        "hsts" => hsts(directive).map(Step::Field).into_iter().collect(),
        "allow" => vec![Step::Access(Access::Allow(networks(&directive.arguments, faults)))],
        "deny" => vec![Step::Access(Access::Deny(networks(&directive.arguments, faults)))],
        "limit" => limits(directive, faults).into_iter().map(Step::Limit).collect(),
        "login" => login(directive, faults).map(Step::Login).into_iter().collect(),
        _ => return None,
    };
    Some(steps)
}

/// A step that is one text.
fn read<E: std::error::Error>(
    directive: &Directive,
    faults: &mut Vec<Fault>,
    parse: impl Fn(&str) -> Result<Step, E>,
) -> Vec<Step> {
    let Some((value, text)) = one(Some(directive)).and_then(|value| Some((value, value.text()?))) else {
        return Vec::new();
    };
    match parse(text) {
        Ok(step) => vec![step],
        Err(error) => {
            faults.push(Fault::error(value.span, error.to_string()).label("not this"));
            Vec::new()
        }
    }
}

fn header(directive: &Directive, faults: &mut Vec<Fault>) -> Option<FieldChange> {
    let [how, name, values @ ..] = directive.arguments.as_slice() else { return None };
    let template = |value: &Value, faults: &mut Vec<Fault>| match Template::parse(value.text()?) {
        Ok(template) => Some(template),
        Err(error) => {
            let fault = Fault::error(value.span, error.to_string()).label("not this");
            faults.push(match error {
                BadTemplate::Unknown(_) | BadTemplate::Open => fault.help("write a brace itself twice: {{"),
                BadTemplate::Long | BadTemplate::Control => fault,
            });
            None
        }
    };
    let how = match (how.text()?, values) {
        ("remove", []) => How::Remove,
        ("set", [value]) => How::Set(template(value, faults)?),
        ("add", [value]) => How::Add(template(value, faults)?),
        (word, _) => {
            let message = if word == "remove" { "header remove has a name only" } else { "a field has one value" };
            let place = values.last().map_or(directive.name, |value| value.span);
            let fault = Fault::error(place, message).label(if values.is_empty() { "without it" } else { "too much" });
            faults.push(fault.help("write: header set NAME VALUE, header add NAME VALUE or header remove NAME"));
            return None;
        }
    };
    let of = match directive.property("of").and_then(Value::text) {
        Some("request") => Of::Request,
        _ => Of::Answer,
    };
    match FieldChange::new(of, name.text()?, how) {
        Ok(change) => Some(change),
        Err(error) => {
            faults.push(Fault::error(name.span, error.to_string()).label("not this"));
            None
        }
    }
}

/// RFC 6797 §6.1.
fn hsts(directive: &Directive) -> Option<FieldChange> {
    let seconds = directive.property("max-age").and_then(Value::time)?.as_secs();
    let says = |name: &str| directive.property(name).and_then(Value::text) == Some("yes");
    let mut value = format!("max-age={seconds}");
    if says("subdomains") {
        value.push_str("; includeSubDomains");
    }
    if says("preload") {
        value.push_str("; preload");
    }
    let template = Template::parse(&value).ok()?;
    FieldChange::new(Of::SecureAnswer, "strict-transport-security", How::Set(template)).ok()
}

/// Networks, each a value of its own.
fn limits(directive: &Directive, faults: &mut Vec<Fault>) -> Vec<Limit> {
    let before = faults.len();
    let by = by(directive, faults).unwrap_or(By::Address);
    let mut limits = Vec::new();
    if let Some(often) = often(directive, faults) {
        limits.push(Limit::Often(Arc::new(HowOften::new(by.clone(), often))));
    }
    if let Some(most) = directive.property("at-once").and_then(Value::number) {
        limits.push(Limit::AtOnce(Arc::new(AtOnce::new(by, most))));
    }
    limits.extend(directive.property("body").and_then(Value::number).map(Limit::Body));
    limits.extend(directive.property("time").and_then(Value::time).map(Limit::Time));
    // What was written wrongly is told already.
    if limits.is_empty() && faults.len() == before && directive.span == directive.name {
        let fault =
            Fault::error(directive.name, "limit says nothing").label("rate=, at-once=, body= or time= is missing");
        faults.push(fault.help("write for example: limit rate=\"10/s\" burst=20"));
    }
    limits
}

fn by(directive: &Directive, faults: &mut Vec<Fault>) -> Option<By> {
    let value = directive.property("by")?;
    let by = By::parse(value.text()?);
    if by.is_none() {
        let message = "by must be address, account, everyone, or header and a name";
        faults.push(
            Fault::error(value.span, message).label("not this").help("write for example: by=\"header x-api-key\""),
        );
    }
    by
}

fn often(directive: &Directive, faults: &mut Vec<Fault>) -> Option<Often> {
    let burst = directive.property("burst");
    let Some(value) = directive.property("rate") else {
        if let Some(burst) = burst {
            let fault = Fault::error(burst.span, "burst is of a rate, and there is none").label("of what?");
            faults.push(fault.help("write rate=\"10/s\" too"));
        }
        return None;
    };
    match per_minute(value.text()?) {
        Ok(times) => {
            // A second's worth, where nothing else is said.
            let usual = NonZeroU32::new(times.get().div_ceil(60)).unwrap_or(NonZeroU32::MIN);
            let at_once = burst.and_then(Value::number).and_then(NonZeroU32::new).unwrap_or(usual);
            Some(Often { per_minute: times, at_once })
        }
        Err(error) => {
            let fault = Fault::error(value.span, error.to_string()).label("no rate");
            faults.push(match value.text().and_then(duration) {
                Some(_) => fault.help("write how often, not how long"),
                None => fault,
            });
            None
        }
    }
}

fn login(directive: &Directive, faults: &mut Vec<Fault>) -> Option<Arc<Login>> {
    let value = one(Some(directive))?;
    let file = value.path()?;
    let realm = directive.property("realm");
    let name = realm.and_then(Value::text).unwrap_or("sportello");
    if let Some(realm) = realm
        && (name.is_empty() || !name.chars().all(|letter| !letter.is_control() && !matches!(letter, '"' | '\\')))
    {
        faults.push(Fault::error(realm.span, "a realm is a name without quotes and backslashes").label("not this"));
        return None;
    }
    if !file.exists() {
        let message = format!("there are no accounts in {}, so nobody can log in", file.display());
        let fault = Fault::warning(value.span, message).label("not there");
        faults.push(fault.help(format!("make it: htpasswd -c -B {} NAME", file.display())));
    }
    match Login::new(file, name) {
        Ok(login) => Some(Arc::new(login)),
        Err(error) => {
            let message = format!("the accounts in {} cannot be used", file.display());
            faults.push(Fault::error(value.span, message).label("not these").help(error.to_string()));
            None
        }
    }
}
