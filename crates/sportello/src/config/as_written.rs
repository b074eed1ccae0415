//! A configuration as it was written: directives and values of the right shape, each with its place.
//!
//! Stage one of two. The shapes come from the [`table`]; what a directive means for the server is not asked here, and the
//! world is not looked at. Everything wrong is told at once, and what can be understood is kept, so that the second stage can
//! tell what it finds as well.

mod grammar;
mod shape;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::fault::Fault;
use super::lexical;
use super::source::{Source, Span};
use super::table::Row;

/// A whole file, as written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The text.
    pub source: Source,
    /// Its directives, in their order.
    pub directives: Vec<Directive>,
}

/// One directive.
#[derive(Clone, Debug)]
pub struct Directive {
    /// What the table says of it.
    pub row: &'static Row,
    /// Its name's place.
    pub name: Span,
    /// All of it, with its block.
    pub span: Span,
    /// What follows its name.
    pub arguments: Vec<Value>,
    /// What is written `name=value`.
    pub properties: Vec<(&'static str, Value)>,
    /// What stands in its block.
    pub children: Vec<Directive>,
}

/// A value.
#[derive(Clone, Debug)]
pub struct Value {
    /// Where it stands; with a property, its name too.
    pub span: Span,
    /// What it is.
    pub datum: Datum,
}

/// What values are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// Text, names and hosts.
    Text(String),
    /// A path, absolute.
    Path(PathBuf),
    /// A number, also a port's.
    Count(u64),
    /// A number that may be below zero.
    Integer(i64),
    /// An IP address.
    Address(IpAddr),
    /// A duration.
    Time(Duration),
    /// Bytes.
    Size(u64),
    /// One of the words that may stand there.
    Word(&'static str),
}

impl Written {
    /// Reads a text against the table. `None` where its grammar is broken, so that nothing of it can be relied upon.
    pub fn read(source: &Source, faults: &mut Vec<Fault>) -> Option<Self> {
        if super::fault::any_error(faults) {
            return None;
        }
        let (_, wrong) = lexical::tokens(source.text());
        if !wrong.is_empty() {
            faults.extend(wrong);
            return None;
        }
        let document = grammar::parse(source.text(), faults)?;
        let mut shape = shape::Shape { source, faults };
        let directives = shape.block("", document.nodes(), None);
        Some(Self { source: source.clone(), directives })
    }

    /// The directives of this name that stand in the file itself.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Directive> {
        self.directives.iter().filter(move |directive| directive.row.name == name)
    }

    /// The first of them.
    pub fn first(&self, name: &str) -> Option<&Directive> {
        self.directives.iter().find(|directive| directive.row.name == name)
    }
}

impl Directive {
    /// Its own directives of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.row.name == name)
    }

    /// The first of them.
    pub fn first(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.row.name == name)
    }

    /// Its first value.
    pub fn value(&self) -> Option<&Value> {
        self.arguments.first()
    }

    /// The value of a property.
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.properties.iter().find(|(its, _)| *its == name).map(|(_, value)| value)
    }
}

impl Value {
    /// As text.
    pub fn text(&self) -> Option<&str> {
        match &self.datum {
            Datum::Text(text) => Some(text),
            Datum::Word(word) => Some(word),
            _ => None,
        }
    }

    /// As a path.
    pub fn path(&self) -> Option<&PathBuf> {
        if let Datum::Path(path) = &self.datum { Some(path) } else { None }
    }

    /// As an address.
    pub fn address(&self) -> Option<IpAddr> {
        if let Datum::Address(address) = self.datum { Some(address) } else { None }
    }

    /// As a duration.
    pub fn time(&self) -> Option<Duration> {
        if let Datum::Time(time) = self.datum { Some(time) } else { None }
    }

    /// As a number that may be below zero.
    pub fn integer(&self) -> Option<i64> {
        if let Datum::Integer(number) = self.datum { Some(number) } else { None }
    }

    /// As a number or a size, of the type that is wanted; the table keeps both in its range.
    pub fn number<N: TryFrom<u64>>(&self) -> Option<N> {
        match self.datum {
            Datum::Count(number) | Datum::Size(number) => N::try_from(number).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
