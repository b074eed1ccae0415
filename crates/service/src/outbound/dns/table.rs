//! A table in place of the DNS, for tests: what is not in it does not exist.

use std::collections::HashMap;
use std::future::{pending, ready};
use std::time::Duration;

use super::{Answer, Found, Kind, Proof, Record, Resolve, Unknown};

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Table(HashMap<(String, Kind), Row>);

#[derive(Debug)]
enum Row {
    Found(Found),
    Fails,
    Silent,
}

impl Table {
    pub(crate) fn with(mut self, name: &str, kind: Kind, records: &[Record]) -> Self {
        let found = Found { records: records.to_vec(), proof: Proof::None, valid: Duration::from_secs(60) };
        self.0.insert((name.to_owned(), kind), Row::Found(found));
        self
    }

    /// The same, validated.
    pub(crate) fn proven(self, name: &str, kind: Kind, records: &[Record]) -> Self {
        let mut table = self.with(name, kind, records);
        if let Some(Row::Found(found)) = table.0.get_mut(&(name.to_owned(), kind)) {
            found.proof = Proof::Validated;
        }
        table
    }

    /// Asking for it fails.
    pub(crate) fn failing(mut self, name: &str, kind: Kind) -> Self {
        self.0.insert((name.to_owned(), kind), Row::Fails);
        self
    }

    /// Asking for it is never answered.
    pub(crate) fn silent(mut self, name: &str, kind: Kind) -> Self {
        self.0.insert((name.to_owned(), kind), Row::Silent);
        self
    }

    pub(crate) fn address(self, name: &str, address: &str) -> Self {
        self.with(name, Kind::A, &[Record::Address(address.parse().unwrap())])
    }
}

impl Resolve for Table {
    fn records<'a>(&'a self, name: &'a str, kind: Kind) -> Answer<'a> {
        Box::pin(match self.0.get(&(name.to_owned(), kind)) {
            Some(Row::Found(found)) => ready(Ok(found.clone())),
            Some(Row::Fails) => ready(Err(Unknown::NoAnswer(name.to_owned(), "SERVFAIL".to_owned()))),
            Some(Row::Silent) => return Box::pin(pending()),
            None => ready(Ok(Found::nothing(Duration::from_secs(60)))),
        })
    }
}
