//! A set of names that wants one certificate, and how it stands with it.

use super::house::News;
use super::pace;
use super::plan::Life;
use super::record::Record;
use crate::certificates::Credential;
use crate::clock::{Seconds, moment};

/// A set of names.
pub(super) struct Site {
    /// As they were wanted.
    pub(super) wanted: Vec<String>,
    /// In lower case, in order, each once.
    pub(super) names: Vec<String>,
    /// The name of its row.
    pub(super) row: String,
    /// What is kept of it.
    pub(super) record: Record,
    /// What the record holds, read.
    credential: Option<Credential>,
}

impl Site {
    pub(super) fn new(wanted: Vec<String>, names: Vec<String>, row: String, record: Record) -> Self {
        let mut site = Self { wanted, names, row, record, credential: None };
        site.read();
        site
    }

    /// Reads the certificate of the record.
    pub(super) fn read(&mut self) {
        self.credential = self.record.signed.as_ref().and_then(|signed| signed.credential().ok());
    }

    pub(super) fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    pub(super) fn life(&self) -> Option<Life> {
        self.credential.as_ref().map(Life::of)
    }

    /// Whether it has this name, or a wildcard that stands for it.
    pub(super) fn is_called(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        self.names.iter().any(|known| *known == name || Some(known) == wildcard.as_ref())
    }

    /// When a certificate is wanted: at once without one.
    pub(super) fn due(&self) -> Seconds {
        if self.credential.is_some() { self.record.renew_at } else { 0 }
    }

    /// When one may be ordered, as far as these names are concerned.
    pub(super) fn at(&self, now: Seconds) -> Seconds {
        self.due().max(pace::believed(self.record.not_before, now))
    }

    /// When to ask the CA when to renew.
    pub(super) fn ask_at(&self) -> Seconds {
        if self.credential.is_some() { self.record.ask_at } else { Seconds::MAX }
    }

    /// A person wants it now.
    pub(super) fn hurry(&mut self) {
        self.record.not_before = 0;
        self.record.renew_at = 0;
    }

    /// How it stands, while the CA is left alone until `held`.
    pub(super) fn news(&self, held: Seconds) -> News {
        News {
            names: self.wanted.clone(),
            credential: self.credential.clone(),
            next: moment(self.due().max(self.record.not_before).max(held)),
            trouble: self.record.last.as_ref().map(|said| said.text.clone()),
        }
    }
}
