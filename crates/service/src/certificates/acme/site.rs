//! A set of names that wants one certificate, and how it stands with it.

use std::time::SystemTime;

use super::clock::{Seconds, moment};
use super::pace;
use super::plan::Life;
use super::record::{Record, Said};
use crate::certificates::Credential;

/// A set of names.
pub(super) struct Site {
    /// In lower case, in order.
    pub(super) names: Vec<String>,
    /// The name of its row.
    pub(super) row: String,
    /// What is kept of it.
    pub(super) record: Record,
    /// Whether an order is under way.
    pub(super) ordering: bool,
    /// What the record holds, read.
    credential: Option<Credential>,
}

/// How a set of names stands with its certificate, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The names.
    pub names: Vec<String>,
    /// Until when the certificate is good, if there is one.
    pub until: Option<SystemTime>,
    /// When the next order is to be made; in the past: as soon as may be.
    pub next: SystemTime,
    /// Whether an order is under way.
    pub ordering: bool,
    /// Orders that failed in a row.
    pub failures: u32,
    /// What went wrong last, and when, if nothing went well since.
    pub last_error: Option<(SystemTime, String)>,
}

impl Site {
    pub(super) fn new(names: Vec<String>, row: String, record: Record) -> Self {
        let mut site = Self { names, row, record, ordering: false, credential: None };
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

    /// For people; `held` and `why`: until when the CA is left alone, and for what.
    pub(super) fn view(&self, held: Seconds, why: Option<&Said>) -> View {
        let said = self.record.last.as_ref().or(why).map(|said| (moment(said.at), said.text.clone()));
        View {
            names: self.names.clone(),
            until: self.life().map(|life| moment(life.until)),
            next: moment(self.due().max(self.record.not_before).max(held)),
            ordering: self.ordering,
            failures: self.record.failures,
            last_error: said,
        }
    }
}
