//! The text of a configuration with one alias more, changed or less: everything else stays as it was written, comments too.
//!
//! Works on the places that [`Written`] knows. What comes of it is read again by whoever asked, before it is put in the place of the
//! file. Knows no files.

use sportello_service::directory::folded;
use sportello_wire::mail::Address;
use thiserror::Error;

use super::as_written::{Directive, Value, Written};
use super::value::is_name;

/// Why a text cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EditError {
    /// Nothing says that the domain has mail.
    #[error("no mail of the domain {0} is written in it; write: domain {0} {{ mail {{ }} }}")]
    NoMail(String),
    /// There is no such alias.
    #[error("it has no alias {0}")]
    NoAlias(String),
    /// It stands for these already.
    #[error("the alias {0} stands for them already")]
    Same(String),
    /// It does not stand for this one.
    #[error("the alias {0} does not stand for {1}")]
    NoMember(String, String),
}

/// The text with `alias` standing for these addresses too, beside those for whom it does.
///
/// # Errors
/// When there is no place for it, or nothing to change.
pub fn with(written: &Written, alias: &Address, members: &[String]) -> Result<String, EditError> {
    let mail = mail_of(written, alias)?;
    let text = written.source.text();
    let Some(found) = find(mail, alias) else { return Ok(inserted(text, mail, &line_of(alias.local(), members))) };
    let before = found.property("to").and_then(Value::text).unwrap_or_default();
    let domain = folded_domain(alias);
    let has = |one: &str| before.split_whitespace().any(|other| whole(other, &domain) == whole(one, &domain));
    let new: Vec<&str> = members.iter().map(String::as_str).filter(|one| !has(one)).collect();
    if new.is_empty() {
        return Err(EditError::Same(alias.to_string()));
    }
    let mut to: Vec<&str> = before.split_whitespace().collect();
    to.extend(new);
    let mut changed = text.to_owned();
    let to = format!("to={}", quoted(&to.join(" ")));
    match found.property("to") {
        Some(value) => changed.replace_range(value.span.start..value.span.end, &to),
        None => changed.insert_str(heads_end(found), &format!(" {to}")),
    }
    Ok(changed)
}

/// The text without an alias, or with one that stands no more for these; with nobody left it goes too.
///
/// # Errors
/// When there is nothing of it.
pub fn without(written: &Written, alias: &Address, members: &[String]) -> Result<String, EditError> {
    let mail = mail_of(written, alias)?;
    let found = find(mail, alias).ok_or_else(|| EditError::NoAlias(alias.to_string()))?;
    let text = written.source.text();
    let domain = folded_domain(alias);
    let mut left: Vec<&str> =
        found.property("to").and_then(Value::text).unwrap_or_default().split_whitespace().collect();
    for member in members {
        let before = left.len();
        left.retain(|other| whole(other, &domain) != whole(member, &domain));
        if left.len() == before {
            return Err(EditError::NoMember(alias.to_string(), member.clone()));
        }
    }
    let mut changed = text.to_owned();
    match found.property("to") {
        Some(value) if !members.is_empty() && !left.is_empty() => {
            changed.replace_range(value.span.start..value.span.end, &format!("to={}", quoted(&left.join(" "))));
        }
        _ => changed.replace_range(line_around(text, found), ""),
    }
    Ok(changed)
}

/// The mail of an address's domain, where it is written.
fn mail_of<'a>(written: &'a Written, alias: &Address) -> Result<&'a Directive, EditError> {
    let name = folded_domain(alias);
    let its = |domain: &&Directive| domain.value().and_then(Value::text) == Some(name.as_str());
    written.all("domain").find(its).and_then(|domain| domain.first("mail")).ok_or(EditError::NoMail(name))
}

fn find<'a>(mail: &'a Directive, alias: &Address) -> Option<&'a Directive> {
    let local = alias.local().to_lowercase();
    mail.all("alias").find(|found| found.value().and_then(Value::text).is_some_and(|its| its.to_lowercase() == local))
}

fn folded_domain(alias: &Address) -> String {
    folded(alias).rsplit_once('@').map_or_else(String::new, |(_, domain)| domain.to_owned())
}

/// A member as it is compared: one without `@` is of the alias's own domain.
fn whole(member: &str, domain: &str) -> String {
    let text = if member.contains('@') { member.to_owned() } else { format!("{member}@{domain}") };
    Address::parse(text.as_bytes()).map_or(text, |address| folded(&address))
}

fn line_of(name: &str, members: &[String]) -> String {
    format!("alias {} to={}", word(name), quoted(&members.join(" ")))
}

/// The text with a line more in the block of `mail`: behind its last alias, else at its end.
fn inserted(text: &str, mail: &Directive, line: &str) -> String {
    let mut changed = text.to_owned();
    let indent = indent_at(text, mail.name.start);
    let inner = format!("{indent}    ");
    if let Some(last) = mail.all("alias").last() {
        let place = last.span.end;
        // What follows in its line, such as a comment, stays with it.
        let end = text.get(place..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| place + at);
        let rest = text.get(place..end).unwrap_or_default();
        if !rest.contains([';', '}']) && !rest.contains("/*") {
            changed.insert_str(end, &format!("\n{}{line}", indent_at(text, last.span.start)));
            return changed;
        }
    }
    match text.get(mail.span.start..mail.span.end).filter(|all| all.ends_with('}')) {
        Some(all) => {
            let brace = mail.span.end - 1;
            let front = all.get(..all.len() - 1).unwrap_or_default();
            let is_alone = front.rsplit_once('\n').is_some_and(|(_, last)| last.trim().is_empty());
            let place = text.get(..brace).map_or(brace, |before| before.trim_end_matches([' ', '\t']).len());
            let new = if is_alone { format!("{inner}{line}\n{indent}") } else { format!("\n{inner}{line}\n{indent}") };
            changed.replace_range(place..brace, &new);
        }
        None => changed.insert_str(mail.span.end, &format!(" {{\n{inner}{line}\n{indent}}}")),
    }
    changed
}

/// The white space at the beginning of the line of a place.
fn indent_at(text: &str, at: usize) -> &str {
    let start = text.get(..at).and_then(|front| front.rfind('\n')).map_or(0, |newline| newline + 1);
    let line = text.get(start..).unwrap_or_default();
    line.get(..line.len() - line.trim_start_matches([' ', '\t']).len()).unwrap_or_default()
}

/// A directive with the line that it leaves empty, or with the semicolon behind it.
fn line_around(text: &str, directive: &Directive) -> std::ops::Range<usize> {
    let (start, end) = (directive.span.start, directive.span.end);
    let front = text.get(..start).unwrap_or_default();
    let rest = text.get(end..).unwrap_or_default();
    let blank = |text: &str| text.trim_start_matches([' ', '\t']).len();
    let line_start = front.trim_end_matches([' ', '\t']).len();
    let begins = front.get(..line_start).is_some_and(|before| before.is_empty() || before.ends_with('\n'));
    let behind = rest.len() - blank(rest);
    match rest.get(behind..).and_then(|rest| rest.chars().next()) {
        Some('\n') if begins => line_start..end + behind + 1,
        Some('\r') if begins && rest.get(behind + 1..).is_some_and(|rest| rest.starts_with('\n')) => {
            line_start..end + behind + 2
        }
        Some(';') => start..end + behind + 1,
        None if begins => line_start..text.len(),
        _ => start..end,
    }
}

/// Behind the last of what follows the directive's name.
fn heads_end(directive: &Directive) -> usize {
    let values = directive.arguments.iter().chain(directive.properties.iter().map(|(_, value)| value));
    values.map(|value| value.span.end).max().unwrap_or(directive.name.end)
}

fn word(text: &str) -> String {
    if is_name(text) && !["true", "false", "null", "inf", "nan"].contains(&text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
