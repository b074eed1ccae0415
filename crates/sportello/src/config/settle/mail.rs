//! What becomes of the mail of each domain: captured, or kept by accounts and aliases.

use sportello_service::directory::{
    Alias, Book, Handling, MailDomain, MailDomains, Member, Outgoing, PlusTags, Tangle, folded,
};
use sportello_service::published::Mode;
use sportello_wire::mail::{Address, Domain};

mod judging;

use super::{one, set};
use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::source::Span;

/// All domains, those without mail too.
pub(super) fn settle(written: &Written, faults: &mut Vec<Fault>) -> MailDomains {
    let mut domains = MailDomains::default();
    for directive in written.all("domain") {
        let Some(name) = one(Some(directive)).and_then(Value::text) else { continue };
        let handling = match directive.first("mail") {
            None => Handling::Refused,
            Some(mail) => Reader { written, name, faults }.handling(mail),
        };
        domains.add(MailDomain { name: name.into(), line: line(written, directive.name), handling });
    }
    untangled(written, &domains, faults);
    domains
}

/// Reads the mail of one domain.
struct Reader<'a> {
    written: &'a Written,
    name: &'a str,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn handling(&mut self, mail: &Directive) -> Handling {
        let capture = mail.first("capture");
        let outgoing = match capture {
            Some(capture) if capture.value().is_some() => Outgoing::Captured,
            Some(capture) => {
                self.useless_beside(capture, mail);
                return Handling::Captured { line: line(self.written, capture.name) };
            }
            None => Outgoing::Sent,
        };
        // What is not captured may be what was mistyped and told already.
        let is_inside = |fault: &Fault| mail.span.start <= fault.span.start && fault.span.end <= mail.span.end;
        if self.name == "*" && !self.faults.iter().any(is_inside) {
            let fault = Fault::error(mail.name, "accounts are of a domain with a name").label("whose accounts?");
            let help = "write mail { capture } here, or name the domain: domain example.org { mail { … } }";
            self.faults.push(fault.help(help));
        }
        Handling::Accounts(Box::new(self.book(mail, outgoing)))
    }

    /// Where all is captured, nothing else decides.
    fn useless_beside(&mut self, capture: &Directive, mail: &Directive) {
        const BY_ADDRESS: [&str; 6] = ["alias", "catch-all", "plus-tags", "postmaster", "judge", "mta-sts"];
        let other = mail.children.iter().find(|child| BY_ADDRESS.contains(&child.row.name));
        if let Some(other) = other {
            let message = format!("all mail of this domain is captured, so {} decides nothing", other.row.name);
            let fault = Fault::warning(other.name, message).label("not reached").also(capture.name, "captures all");
            self.faults.push(fault.help("remove one of them"));
        }
    }

    fn book(&mut self, mail: &Directive, outgoing: Outgoing) -> Book {
        let mut book = Book { outgoing, ..Book::default() };
        let mut names: Vec<(String, Span)> = Vec::new();
        for directive in mail.all("alias") {
            let Some((value, name)) = one(Some(directive)).and_then(|value| Some((value, value.text()?))) else {
                continue;
            };
            let Some(name) = self.alias_name(name, value.span) else { continue };
            if let Some((_, first)) = names.iter().find(|(other, _)| *other == name) {
                let fault = Fault::error(value.span, format!("the alias {name} is written twice")).label("here again");
                self.faults.push(fault.also(*first, "first here").help("write all that it stands for in one"));
            }
            let alias = self.alias(directive);
            book.aliases.insert(name.as_str().into(), alias);
            names.push((name, value.span));
        }
        book.catch_all = mail.first("catch-all").map(|directive| self.alias(directive));
        book.postmaster = mail.first("postmaster").map(|directive| {
            let members = directive.value().map_or_else(Vec::new, |value| self.addresses(value));
            Alias { line: line(self.written, directive.name), members }
        });
        if one(mail.first("plus-tags")).and_then(Value::text) == Some("off") {
            book.plus_tags = PlusTags::Off;
        }
        book.judging = mail.first("judge").map_or_else(Default::default, |judge| judging::settle(judge, self.faults));
        if let Some(directive) = mail.first("mta-sts") {
            book.mta_sts.mode = match one(Some(directive)).and_then(Value::text) {
                Some("enforce") => Mode::Enforce,
                Some("off") => Mode::Off,
                _ => Mode::Testing,
            };
            set(&mut book.mta_sts.max_age, directive.property("max-age").and_then(Value::time));
        }
        book
    }

    /// What is before the `@`, as it is compared.
    fn alias_name(&mut self, name: &str, at: Span) -> Option<String> {
        let domain = Domain::parse(self.name.as_bytes()).ok()?;
        match Address::of(name, &domain) {
            Ok(address) if !name.is_empty() && !name.contains('@') => {
                folded(&address).rsplit_once('@').map(|(local, _)| local.to_owned())
            }
            _ => {
                let fault = Fault::error(at, "this cannot stand before the @ of an address").label("no alias");
                let help = match name.split_once('@') {
                    Some((local, _)) => format!("write only what is before the @: alias {local} to=\"…\""),
                    None => "write a name like alias info to=\"ada\"".to_owned(),
                };
                self.faults.push(fault.help(help));
                None
            }
        }
    }

    fn alias(&mut self, directive: &Directive) -> Alias {
        let to = directive.property("to");
        let members = to.map_or_else(Vec::new, |to| self.addresses(to));
        // What was written wrongly is told already.
        let is_bare = to.is_none() && directive.properties.is_empty();
        if is_bare && directive.span.end == directive.arguments.last().map_or(directive.name.end, |last| last.span.end)
        {
            let fault = Fault::error(directive.name, format!("this {} stands for nobody", directive.row.name));
            self.faults.push(fault.label("to= is missing").help("write to=\"ada bob@example.net\""));
        }
        Alias { line: line(self.written, directive.name), members }
    }

    /// Addresses with spaces between them; a name alone is of this domain.
    fn addresses(&mut self, value: &Value) -> Vec<Member> {
        let text = value.text().unwrap_or_default();
        let mut members = Vec::new();
        for word in text.split_whitespace() {
            let whole = if word.contains('@') { word.to_owned() } else { format!("{word}@{}", self.name) };
            match Address::parse(whole.as_bytes()) {
                Ok(address) => members.push(Member::Address(address)),
                Err(error) => {
                    let fault = Fault::error(value.span, format!("{word} is no mail address: {error}"));
                    let help = "write addresses with a space between them: \"ada bob@example.net\"";
                    self.faults.push(fault.label("not an address").help(help));
                }
            }
        }
        if text.trim().is_empty() {
            let fault = Fault::error(value.span, "nobody is named here").label("empty");
            self.faults.push(fault.help("write addresses with a space between them: \"ada bob@example.net\""));
        }
        members
    }
}

/// Aliases that lead back to themselves, or too far.
fn untangled(written: &Written, domains: &MailDomains, faults: &mut Vec<Fault>) {
    let mut told: Vec<String> = Vec::new();
    for directive in written.all("domain") {
        let Some(domain) = one(Some(directive)).and_then(Value::text) else { continue };
        for alias in directive.first("mail").into_iter().flat_map(|mail| mail.all("alias")) {
            let Some((value, name)) = one(Some(alias)).and_then(|value| Some((value, value.text()?))) else { continue };
            let address = format!("{}@{domain}", name.to_lowercase());
            if told.contains(&address) {
                continue;
            }
            let (message, label) = match domains.tangle(&address) {
                None => continue,
                Some(Tangle::Cycle(way)) => {
                    // One fault for one circle.
                    told.extend(way.iter().cloned());
                    (format!("mail would go round: {}", way.join(" → ")), "leads into a circle")
                }
                Some(Tangle::TooDeep) => {
                    let most = MailDomains::DEEPEST;
                    (format!("{name} leads on by more than {most} aliases"), "too far")
                }
                Some(Tangle::TooMany) => {
                    let most = MailDomains::MOST_MEMBERS;
                    (format!("{name} stands for more than {most} addresses, with those of its members"), "too many")
                }
            };
            let help =
                "name the accounts that shall get the mail; an alias that names itself means the account of that name";
            faults.push(Fault::error(value.span, message).label(label).help(help));
        }
    }
}

fn line(written: &Written, at: Span) -> usize {
    written.source.place(at.start).line
}

#[cfg(test)]
mod tests;
