//! Names by heart, for tests, beside what [`crate::dns::Table`] knows: which answers are proved, which fail, and which never come.

use std::collections::HashMap;
use std::future::{pending, ready};
use std::net::IpAddr;

use crate::dns::{Asked, Dns, Finding, Found, Kind, Proof, Record, Unanswered};

/// The table.
#[derive(Debug, Default)]
pub(super) struct Table(HashMap<(String, Kind), Row>);

#[derive(Debug)]
enum Row {
    Found(Found),
    Fails,
    Silent,
}

impl Table {
    pub(super) fn with(mut self, name: &str, kind: Kind, records: &[Record]) -> Self {
        let found = Found { records: records.to_vec(), proof: Proof::None };
        self.0.insert((name.to_owned(), kind), Row::Found(found));
        self
    }

    /// The same, validated.
    pub(super) fn proven(mut self, name: &str, kind: Kind, records: &[Record]) -> Self {
        let found = Found { records: records.to_vec(), proof: Proof::Validated };
        self.0.insert((name.to_owned(), kind), Row::Found(found));
        self
    }

    /// Asking for it fails.
    pub(super) fn failing(mut self, name: &str, kind: Kind) -> Self {
        self.0.insert((name.to_owned(), kind), Row::Fails);
        self
    }

    /// Asking for it is never answered.
    pub(super) fn silent(mut self, name: &str, kind: Kind) -> Self {
        self.0.insert((name.to_owned(), kind), Row::Silent);
        self
    }

    pub(super) fn address(self, name: &str, address: &str) -> Self {
        let address = of_address(address.parse().unwrap());
        let kind = if matches!(address, Record::A(_)) { Kind::A } else { Kind::Aaaa };
        self.with(name, kind, &[address])
    }
}

/// A record of this address.
pub(super) fn of_address(address: IpAddr) -> Record {
    match address {
        IpAddr::V4(address) => Record::A(address),
        IpAddr::V6(address) => Record::Aaaa(address),
    }
}

/// A record that names this host.
pub(super) fn mx(preference: u16, host: &str) -> Record {
    Record::Mx { preference, exchange: host.to_owned() }
}

impl Dns for Table {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asked<'a> {
        Box::pin(async move { Ok(self.find(name, kind).await?.records) })
    }

    fn find<'a>(&'a self, name: &'a str, kind: Kind) -> Finding<'a> {
        Box::pin(ready(match self.0.get(&(name.to_owned(), kind)) {
            Some(Row::Found(found)) => Ok(found.clone()),
            Some(Row::Fails) => Err(Unanswered::Trouble("SERVFAIL".to_owned())),
            Some(Row::Silent) => return Box::pin(pending()),
            None => Err(Unanswered::NoSuchName),
        }))
    }
}
