//! Answers known by heart: for tests, and for whoever wants no name server asked.
//!
//! A name that is not in the table does not exist. Bounded by what it was given.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Asked, Dns, Kind, Record, Unanswered};

/// Names with their records. A name with a record of one kind has no others but those it was given.
#[derive(Debug, Default)]
pub struct Table {
    answers: HashMap<(String, Kind), Result<Vec<Record>, Unanswered>>,
    names: HashMap<String, Option<Unanswered>>,
    asked: AtomicUsize,
}

impl Table {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more record at this name.
    #[must_use]
    pub fn with(mut self, name: &str, record: Record) -> Self {
        self.add(name, record);
        self
    }

    /// With a text at this name.
    #[must_use]
    pub fn txt(self, name: &str, text: &str) -> Self {
        self.with(name, Record::Txt(text.as_bytes().to_vec()))
    }

    /// With an address at this name.
    #[must_use]
    pub fn address(self, name: &str, address: &str) -> Self {
        let record = match address.parse() {
            Ok(std::net::IpAddr::V4(address)) => Record::A(address),
            Ok(std::net::IpAddr::V6(address)) => Record::Aaaa(address),
            Err(_) => return self,
        };
        self.with(name, record)
    }

    /// Adds a record.
    pub fn add(&mut self, name: &str, record: Record) {
        let name = plain(name);
        self.names.entry(name.clone()).or_default();
        let answer = self.answers.entry((name, kind(&record))).or_insert_with(|| Ok(Vec::new()));
        match answer {
            Ok(records) => records.push(record),
            Err(_) => *answer = Ok(vec![record]),
        }
    }

    /// The name is there, and what it has not been given is not known by anybody.
    pub fn trouble(&mut self, name: &str) {
        self.names.insert(plain(name), Some(Unanswered::Trouble("nobody answered in time".to_owned())));
    }

    /// The name is there, whatever it has.
    pub fn exists(&mut self, name: &str) {
        self.names.entry(plain(name)).or_default();
    }

    /// How many questions were asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn look_up(&self, name: &str, kind: Kind) -> Result<Vec<Record>, Unanswered> {
        let name = plain(name);
        if let Some(answer) = self.answers.get(&(name.clone(), kind)) {
            return answer.clone();
        }
        match self.names.get(&name) {
            Some(Some(trouble)) => Err(trouble.clone()),
            Some(None) => Err(Unanswered::NoRecords),
            None => Err(Unanswered::NoSuchName),
        }
    }
}

impl Dns for Table {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asked<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(self.look_up(name, kind)))
    }
}

fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn kind(record: &Record) -> Kind {
    match record {
        Record::A(_) => Kind::A,
        Record::Aaaa(_) => Kind::Aaaa,
        Record::Mx { .. } => Kind::Mx,
        Record::Txt(_) => Kind::Txt,
        Record::Ptr(_) => Kind::Ptr,
        Record::Tlsa(_) => Kind::Tlsa,
        Record::Srv { .. } => Kind::Srv,
        Record::Caa { .. } => Kind::Caa,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_in_it_does_not_exist() {
        let mut table =
            Table::new().txt("Example.org.", "a").txt("example.org", "b").address("example.org", "192.0.2.1");
        table.trouble("slow.example.org");
        let text = |text: &[u8]| Record::Txt(text.to_vec());
        assert_eq!(table.ask("EXAMPLE.ORG", Kind::Txt).await, Ok(vec![text(b"a"), text(b"b")]));
        assert_eq!(table.ask("example.org.", Kind::Mx).await, Err(Unanswered::NoRecords));
        assert_eq!(table.ask("www.example.org", Kind::A).await, Err(Unanswered::NoSuchName));
        assert!(matches!(table.ask("slow.example.org", Kind::A).await, Err(Unanswered::Trouble(_))));
        assert_eq!(table.asked(), 4);
    }
}
