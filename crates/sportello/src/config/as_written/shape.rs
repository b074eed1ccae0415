//! Directives against the table: names, places, numbers of values, and what each value may be.

use std::net::IpAddr;

use kdl::{KdlEntry, KdlNode, KdlValue};

use super::{Datum, Directive, Value};
use crate::config::fault::Fault;
use crate::config::international;
use crate::config::source::{Source, Span};
use crate::config::suggest::nearest;
use crate::config::table::{self, Absent, Argument, Count, Kind, Need, Property, Row, Times, What};
use crate::config::value;
use crate::protocol::http::SiteName;

pub(super) struct Shape<'a> {
    pub(super) source: &'a Source,
    pub(super) faults: &'a mut Vec<Fault>,
}

impl Shape<'_> {
    /// The directives of one block, which is that of `parent` or the file itself.
    pub(super) fn block(&mut self, path: &str, nodes: &[KdlNode], parent: Option<Span>) -> Vec<Directive> {
        let before = self.faults.len();
        let directives: Vec<Directive> = nodes.iter().filter_map(|node| self.directive(path, node)).collect();
        for row in table::children(path).filter(|row| row.times != Times::Many) {
            let mut found = directives.iter().filter(|directive| std::ptr::eq(directive.row, row));
            let first = found.next();
            for again in found {
                let Some(first) = first else { continue };
                let fault = Fault::error(again.name, format!("{} is written twice", row.name)).label("here again");
                self.faults.push(fault.also(first.name, "first here").help("keep one of them"));
            }
            // What is missing may be what was mistyped and told already.
            if let (None, Times::ExactlyOnce, Some(parent), true) =
                (first, row.times, parent, self.faults.len() == before)
            {
                let fault = Fault::error(parent, format!("{} is missing in this {}", row.name, last(path)));
                self.faults.push(fault.label("without it").help(format!("write in its block: {}", row.usage())));
            }
        }
        directives
    }

    fn directive(&mut self, path: &str, node: &KdlNode) -> Option<Directive> {
        let name = node.name().span();
        let name = span((name.offset(), name.len()));
        let written = node.name().value();
        let Some(row) = table::children(path).find(|row| row.name == written) else {
            self.unknown(path, written, name);
            return None;
        };
        let whole = self.whole(node);
        let before = self.faults.len();
        let (arguments, properties) = self.entries(row, node);
        self.missing(row, node, name, (&arguments, &properties), before);
        let own = row.path();
        let children = match node.children() {
            Some(_) if table::children(&own).next().is_none() => {
                let fault = Fault::error(name, format!("{} has no block", row.name)).label("{ … } follows it");
                self.faults.push(fault.help(format!("write: {}", row.usage())));
                Vec::new()
            }
            Some(block) => self.block(&own, block.nodes(), Some(name)),
            None => self.block(&own, &[], Some(name)),
        };
        Some(Directive { row, name, span: whole, arguments, properties, children })
    }

    /// From the name to the end of what belongs to it.
    fn whole(&self, node: &KdlNode) -> Span {
        let found = span((node.span().offset(), node.span().len()));
        let text = self.source.part(found);
        Span { start: found.start, end: found.start + text.trim_end().len() }
    }

    fn unknown(&mut self, path: &str, written: &str, at: Span) {
        let place = if path.is_empty() { "at the top of the file".to_owned() } else { format!("in {}", last(path)) };
        let absent = table::absent(path).find(|absent| matches!(absent.what, What::Directive(name) if name == written));
        if let Some(absent) = absent {
            return self.absent(absent, written, at);
        }
        let names = || table::children(path).map(|row| row.name);
        let fault = Fault::error(at, format!("there is no directive {written} {place}"));
        let elsewhere = table::rows().find(|row| row.name == written);
        let fault = match (nearest(written, names()), elsewhere) {
            (Some(near), _) => fault.label("unknown").help(format!("did you mean {near}?")),
            (None, Some(row)) => {
                let home = if row.within.is_empty() {
                    "at the top of the file".to_owned()
                } else {
                    format!("in {}", last(row.within))
                };
                fault.label("not here").help(format!("{written} stands {home}"))
            }
            (None, None) if names().next().is_none() => fault.label("unknown"),
            (None, None) => fault.label("unknown").help(format!("there are: {}", list(names()))),
        };
        self.faults.push(fault);
    }

    fn absent(&mut self, absent: &Absent, written: &str, at: Span) {
        let fault = Fault::error(at, format!("{written} is not built yet")).label("refused, so that it is not ignored");
        self.faults.push(fault.help(absent.instead));
    }

    fn entries(&mut self, row: &'static Row, node: &KdlNode) -> (Vec<Value>, Vec<(&'static str, Value)>) {
        let mut arguments: Vec<Value> = Vec::new();
        for (place, entry) in node.entries().iter().filter(|entry| entry.name().is_none()).enumerate() {
            match argument_at(row, place) {
                Some(argument) => arguments.extend(self.value(&argument.kind, &called(row, argument), entry)),
                None => self.too_many(row, span((entry.span().offset(), entry.span().len()))),
            }
        }
        let mut properties: Vec<(&'static str, Value)> = Vec::new();
        for entry in node.entries() {
            if let Some(name) = entry.name() {
                let property = self.property(row, (name.value(), entry), &properties);
                properties.extend(property);
            }
        }
        (arguments, properties)
    }

    fn property(
        &mut self,
        row: &'static Row,
        (name, entry): (&str, &KdlEntry),
        before: &[(&'static str, Value)],
    ) -> Option<(&'static str, Value)> {
        let at = span((entry.span().offset(), entry.span().len()));
        let Some(property) = row.properties.iter().find(|property| property.name == name) else {
            self.unknown_property(row, name, at);
            return None;
        };
        if let Some((_, first)) = before.iter().find(|(its, _)| *its == property.name) {
            let fault = Fault::error(at, format!("{} is written twice", property.name)).label("here again");
            self.faults.push(fault.also(first.span, "first here").help("keep one of them"));
            return None;
        }
        if let Some(absent) = absent_value(row, property, entry) {
            let written = entry.value().as_string().unwrap_or_default();
            self.absent(absent, &format!("{}={written}", property.name), at);
            return None;
        }
        self.value(&property.kind, property.name, entry).map(|value| (property.name, value))
    }

    fn too_many(&mut self, row: &Row, at: Span) {
        let fault = Fault::error(at, format!("{} takes nothing more", row.name)).label("one too many");
        self.faults.push(fault.help(format!("write: {}", row.usage())));
    }

    fn unknown_property(&mut self, row: &Row, written: &str, at: Span) {
        let path = row.path();
        if let Some(absent) =
            table::absent(&path).find(|absent| matches!(absent.what, What::Property(name) if name == written))
        {
            return self.absent(absent, &format!("{written}="), at);
        }
        let fault = Fault::error(at, format!("{} has no property {written}", row.name)).label("unknown");
        let near = nearest(written, row.properties.iter().map(|property| property.name));
        let own = table::children(&path).find(|child| child.name == written);
        let help = match (near, own) {
            (_, Some(child)) => format!("write it in the block: {} {{ {} }}", row.name, child.usage()),
            (Some(near), _) => format!("did you mean {near}=?"),
            (None, None) => format!("write: {}", row.usage()),
        };
        self.faults.push(fault.help(help));
    }

    fn missing(
        &mut self,
        row: &Row,
        node: &KdlNode,
        name: Span,
        (arguments, properties): (&[Value], &[(&'static str, Value)]),
        before: usize,
    ) {
        // What is missing may be what was mistyped and told already.
        if self.faults.len() > before {
            return;
        }
        let positional = node.entries().iter().filter(|entry| entry.name().is_none()).count();
        let wanted = row.arguments.iter().filter(|argument| argument.count != Count::Any).count();
        if positional < wanted && arguments.len() < wanted {
            let argument = row.arguments.get(positional);
            let what = argument.filter(|argument| !is_the_value(argument)).map_or("value", |argument| argument.name);
            let expected = argument.map_or(String::new(), |argument| argument.kind.expected());
            let fault =
                Fault::error(name, format!("{} needs its {what}", row.name)).label(format!("expected {expected}"));
            self.faults.push(fault.help(format!("write: {}", row.usage())));
        }
        for property in row.properties.iter().filter(|property| property.need == Need::Required) {
            if !properties.iter().any(|(its, _)| *its == property.name) {
                let fault = Fault::error(name, format!("{} needs {}=", row.name, property.name));
                let expected = format!("expected {}={}", property.name, property.kind.short());
                self.faults.push(fault.label(expected).help(format!(
                    "write {}= with {}",
                    property.name,
                    property.kind.expected()
                )));
            }
        }
    }

    /// A value of this kind; `None` with a fault.
    fn value(&mut self, kind: &Kind, name: &str, entry: &KdlEntry) -> Option<Value> {
        let at = span((entry.span().offset(), entry.span().len()));
        match datum(kind, entry.value(), self.source) {
            Ok(datum) => Some(Value { span: at, datum }),
            Err(help) => {
                let fault = Fault::error(at, format!("{name} must be {}", kind.expected())).label("not this");
                self.faults.push(match help {
                    Some(help) => fault.help(help),
                    None => fault,
                });
                None
            }
        }
    }
}

fn absent_value(row: &Row, property: &Property, entry: &KdlEntry) -> Option<&'static Absent> {
    let written = entry.value().as_string()?;
    let path = row.path();
    table::absent(&path)
        .find(|absent| matches!(absent.what, What::Value(name, value) if name == property.name && value == written))
}

/// Whether an argument is what the directive says, rather than a part of it with a name of its own.
fn is_the_value(argument: &Argument) -> bool {
    matches!(argument.name, "n" | "time" | "size" | "ip" | "how" | "whether" | "level" | "most")
}

/// What a sentence calls an argument.
fn called(row: &Row, argument: &Argument) -> String {
    if is_the_value(argument) { row.name.to_owned() } else { format!("the {} of {}", argument.name, row.name) }
}

/// The argument for the value at this place.
fn argument_at(row: &'static Row, place: usize) -> Option<&'static Argument> {
    let last = row.arguments.last().filter(|argument| argument.count != Count::One);
    row.arguments.get(place).or(last)
}

/// The value as what it must be; otherwise what may help.
fn datum(kind: &Kind, written: &KdlValue, source: &Source) -> Result<Datum, Option<String>> {
    let number = written.as_integer();
    let text = written.as_string();
    match kind {
        Kind::Count(least, most) => {
            let number = number.or_else(|| text.and_then(|text| text.parse().ok()));
            let number = number.and_then(|number| u64::try_from(number).ok());
            number.filter(|number| (least..=most).contains(&number)).map(Datum::Count).ok_or(None)
        }
        Kind::Integer => number.and_then(|number| i64::try_from(number).ok()).map(Datum::Integer).ok_or(None),
        Kind::Time(least, most) => {
            let time = text.and_then(value::duration).filter(|time| (least..=most).contains(&time));
            time.map(Datum::Time).ok_or_else(|| match (number, text) {
                (Some(number), _) => Some(format!("write the unit: \"{number}s\" (there are ms, s, min, h, d)")),
                (None, Some(text)) if value::duration(text).is_none() => {
                    Some("write a whole number and a unit: ms, s, min, h or d, for example \"30s\"".to_owned())
                }
                _ => None,
            })
        }
        Kind::Size(least, most) => {
            let size = text.and_then(value::size).filter(|size| (least..=most).contains(&size));
            size.map(Datum::Size).ok_or_else(|| match (number, text) {
                (Some(number), _) => {
                    Some(format!("write the unit: \"{number}B\" (there are B, KiB, MiB, GiB, TiB, kB, MB, GB)"))
                }
                (None, Some(text)) if value::size(text).is_none() => {
                    Some("write a whole number and a unit: B, KiB, MiB, GiB or TiB, for example \"25MiB\"".to_owned())
                }
                _ => None,
            })
        }
        _ => textual(kind, text.ok_or(None)?, source),
    }
}

fn textual(kind: &Kind, text: &str, source: &Source) -> Result<Datum, Option<String>> {
    let owned = |text: &str| Datum::Text(text.to_owned());
    match kind {
        Kind::Name if value::is_name(text) => Ok(owned(text)),
        Kind::Host => value::host(&asked_for(text)?).map(Datum::Text).ok_or(None),
        Kind::Domain if text == "*" => Ok(owned(text)),
        Kind::Domain => value::host(&asked_for(text)?).map(Datum::Text).ok_or(None),
        Kind::Site if text == "*" => Ok(owned(text)),
        Kind::Site => match SiteName::parse(&asked_for(text)?) {
            Ok(name) => Ok(Datum::Text(name.to_string())),
            Err(_) if text.contains("://") => Err(Some("write the host alone, without http:// and path".to_owned())),
            Err(_) if text.contains(':') => Err(Some("write the host alone; the port is the channel's".to_owned())),
            Err(_) => Err(None),
        },
        Kind::Address => text.parse().map(|address: IpAddr| Datum::Address(address.to_canonical())).map_err(|_| {
            let near = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
            match near {
                Some(inner) => Some(format!("write it without brackets: \"{inner}\"")),
                None if text == "localhost" => Some("write \"127.0.0.1\" or \"::1\"".to_owned()),
                None if text == "*" => Some("write \"0.0.0.0\" or \"::\" for all addresses of this machine".to_owned()),
                None => None,
            }
        }),
        Kind::Path if text.is_empty() || text.contains('\0') => Err(None),
        Kind::Path if text.starts_with("~/") => Err(Some("~ is the shell's; write the whole path".to_owned())),
        Kind::Path => Ok(Datum::Path(source.folder().join(text))),
        Kind::OneOf(words) => match words.iter().find(|word| **word == text) {
            Some(word) => Ok(Datum::Word(word)),
            None => Err(nearest(text, words.iter().copied()).map(|near| format!("did you mean {near}?"))),
        },
        Kind::Text => Ok(owned(text)),
        _ => Err(None),
    }
}

/// A name, perhaps behind `*.`, as it is asked for.
fn asked_for(text: &str) -> Result<String, Option<String>> {
    let (star, name) = match text.strip_prefix("*.") {
        Some(name) => ("*.", name),
        None => ("", text),
    };
    match international::asked_for(name) {
        Ok(name) => Ok(format!("{star}{name}")),
        Err(bad) => Err(Some(format!("{bad}; write it as it was registered"))),
    }
}

/// The last name of a path of directives.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// From where something begins and how long it is.
fn span((start, length): (usize, usize)) -> Span {
    Span { start, end: start.saturating_add(length) }
}
