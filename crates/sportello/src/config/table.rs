//! The table of directives: the one definition from which the checking of shapes, the suggestions, `docs/reference.md` and
//! `sportello explain DIRECTIVE` come.
//!
//! What the design has and this version has not is in the table too ([`Absent`]), so that nothing is silently ignored.

mod absent;
mod rows;

use std::time::Duration;

pub use absent::ABSENT;
pub use rows::rows;

/// A directive.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Where it stands: the names of the directives around it joined by `/`, empty for the file itself.
    pub within: &'static str,
    /// What follows its name.
    pub arguments: &'static [Argument],
    /// What is written `name=value`.
    pub properties: &'static [Property],
    /// How often it may stand there.
    pub times: Times,
    /// The protocols of the channels that may have it; empty: all.
    pub only: &'static [&'static str],
    /// What it does, in one sentence.
    pub doc: &'static str,
    /// What holds without it, where that can be said in a few words.
    pub default: &'static str,
    /// A file, or a part of one, that shows it.
    pub example: &'static str,
}

/// A value that follows a directive's name.
#[derive(Debug)]
pub struct Argument {
    /// What people call it.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// How many there are.
    pub count: Count,
    /// What it means.
    pub doc: &'static str,
}

/// A value with a name.
#[derive(Debug)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Whether it must be there.
    pub need: Need,
    /// What holds without it, as it would be written.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// How often a directive may stand in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// It must, once.
    ExactlyOnce,
    /// Once or not at all.
    AtMostOnce,
    /// Any number.
    Many,
}

/// How many values an argument stands for; all but the first kind come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Exactly one.
    One,
    /// One or more.
    Some,
    /// None or more.
    Any,
}

/// Whether something must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It must.
    Required,
    /// It may.
    Optional,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// A short name.
    Name,
    /// A host's name, or `*`.
    Domain,
    /// A host's name, `*.` and one, or `*`.
    Site,
    /// A host's name.
    Host,
    /// An IP address.
    Address,
    /// A path, from the folder of the file unless absolute.
    Path,
    /// A whole number in this range.
    Count(u64, u64),
    /// Any whole number, also below zero.
    Integer,
    /// A duration in this range.
    Time(Duration, Duration),
    /// A size in this range, in bytes.
    Size(u64, u64),
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// What the design has and this version has not.
#[derive(Debug)]
pub struct Absent {
    /// Where it would stand, as in [`Row::within`].
    pub within: &'static str,
    /// What it is.
    pub what: What,
    /// What to do now.
    pub instead: &'static str,
}

/// The kinds of what is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A directive.
    Directive(&'static str),
    /// A property of the directive that it would stand within.
    Property(&'static str),
    /// A value of a property.
    Value(&'static str, &'static str),
}

impl Row {
    /// Where its own directives stand.
    pub fn path(&self) -> String {
        if self.within.is_empty() { self.name.to_owned() } else { format!("{}/{}", self.within, self.name) }
    }

    /// How it is written, in one line.
    pub fn usage(&self) -> String {
        let mut usage = self.name.to_owned();
        for argument in self.arguments {
            let name = argument.name.to_uppercase();
            usage.push_str(&match argument.count {
                Count::One => format!(" {name}"),
                Count::Some => format!(" {name}…"),
                Count::Any => format!(" [{name}…]"),
            });
        }
        for property in self.properties {
            let written = format!("{}={}", property.name, property.kind.short());
            usage.push_str(&match property.need {
                Need::Required => format!(" {written}"),
                Need::Optional => format!(" [{written}]"),
            });
        }
        if children(&self.path()).next().is_some() {
            usage.push_str(" { … }");
        }
        usage
    }
}

/// The directives that may stand within `path`. What may stand in a site may stand in its routes, and what is said of
/// the upstreams of a proxy can be said of those that are asked.
pub fn children(path: &str) -> impl Iterator<Item = &'static Row> {
    rows().filter(move |row| {
        row.within == path
            || path == ROUTE && row.within == SITE && !OF_HOSTS.contains(&row.name)
            || path == ASK && row.within == PROXY
    })
}

/// The directives that are described within `path`.
pub fn described(path: &str) -> impl Iterator<Item = &'static Row> {
    rows().filter(move |row| row.within == path)
}

/// What is absent within `path`.
pub fn absent(path: &str) -> impl Iterator<Item = &'static Absent> {
    ABSENT.iter().filter(move |absent| absent.within == path || path == ROUTE && absent.within == SITE)
}

const SITE: &str = "domain/site";
const ROUTE: &str = "domain/site/route";
const PROXY: &str = "domain/site/proxy";
const ASK: &str = "domain/site/ask";
/// What is said of a site's hosts, before any request.
const OF_HOSTS: [&str; 2] = ["certificate", "tls"];

impl Kind {
    /// What is expected, in words.
    pub fn expected(&self) -> String {
        use super::value::{duration_text, size_text};
        match self {
            Self::Text => "text".to_owned(),
            Self::Name => "1 to 64 letters, digits, - _ or ., the first a letter".to_owned(),
            Self::Domain => "a domain like example.org, or * for every other one".to_owned(),
            Self::Site => "a host like www.example.org, *.example.org, or * for every other one".to_owned(),
            Self::Host => "a host's name like mail.example.org".to_owned(),
            Self::Address => "an IP address like \"127.0.0.1\" or \"::1\"".to_owned(),
            Self::Path => "a path in quotes like \"/srv/www\"".to_owned(),
            Self::Count(least, most) => format!("a whole number from {least} to {most}"),
            Self::Integer => "a whole number".to_owned(),
            Self::Time(least, most) => {
                format!("a duration from \"{}\" to \"{}\"", duration_text(*least), duration_text(*most))
            }
            Self::Size(least, most) => format!("a size from \"{}\" to \"{}\"", size_text(*least), size_text(*most)),
            Self::OneOf(words) => match words {
                [one] => (*one).to_owned(),
                words => format!("one of {}", words.join(", ")),
            },
        }
    }

    /// What it is, in one word for a line of usage.
    pub fn short(&self) -> String {
        match self {
            Self::Text => "TEXT".to_owned(),
            Self::Name => "NAME".to_owned(),
            Self::Domain | Self::Site | Self::Host => "HOST".to_owned(),
            Self::Address => "IP".to_owned(),
            Self::Path => "PATH".to_owned(),
            Self::Count(..) | Self::Integer => "N".to_owned(),
            Self::Time(..) => "TIME".to_owned(),
            Self::Size(..) => "SIZE".to_owned(),
            Self::OneOf(words) => words.join("|"),
        }
    }
}

#[cfg(test)]
mod tests;
