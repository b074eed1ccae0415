//! When a certificate is renewed: at two thirds of its life, or within the window that its CA suggests (RFC 9773).
//!
//! Knows no CA and no clock: it is given moments. A moment is chosen by chance once and kept, so that certificates that were made
//! together are not renewed together.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::certificates::Credential;
use crate::chance::Chance;
use crate::clock::{Seconds, seconds};

/// What the plan needs to know of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) from: Seconds,
    pub(super) until: Seconds,
}

/// When a CA suggests that a certificate be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    pub(super) start: Seconds,
    pub(super) end: Seconds,
}

/// After how long to ask a CA again for its window when it says nothing of that, or nothing at all (RFC 9773 §4.3.3).
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(6 * 3_600);

impl Life {
    pub(super) fn of(credential: &Credential) -> Self {
        let facts = credential.facts();
        Self { from: seconds(facts.not_before), until: seconds(facts.not_after) }
    }

    fn part(self, numerator: u64, denominator: u64) -> Seconds {
        let length = u128::from(self.until.saturating_sub(self.from));
        let part = length.saturating_mul(u128::from(numerator)).checked_div(u128::from(denominator)).unwrap_or(0);
        self.from.saturating_add(u64::try_from(part).unwrap_or(u64::MAX))
    }

    /// When to renew if the CA suggests nothing: at two thirds of its life, or up to a twenty-fourth of it earlier by `chance`.
    pub(super) fn usual(self, chance: Chance) -> Seconds {
        between(self.part(15, 24), self.part(16, 24), chance)
    }

    /// When to renew if the CA suggests `window`: at a moment in it, chosen by `chance` (RFC 9773 §4.2), but never in the last tenth
    /// of the certificate's life, and never on its first day or in its first third: a CA whose windows are always in the past must
    /// not make us order without end. A window without length is none.
    pub(super) fn within(self, window: Window, chance: Chance) -> Option<Seconds> {
        let earliest = self.part(1, 3).min(self.from.saturating_add(86_400));
        let latest = self.part(9, 10).max(earliest);
        (window.end > window.start).then(|| between(window.start, window.end, chance).clamp(earliest, latest))
    }
}

fn between(from: Seconds, until: Seconds, chance: Chance) -> Seconds {
    from.saturating_add(chance.part_of(until.saturating_sub(from)))
}

/// When to ask a CA again for its window (RFC 9773 §4.3.2: under a minute is a minute, over a day is a day).
pub(super) fn ask_again(now: Seconds, told: Option<Duration>) -> Seconds {
    let wait = told.unwrap_or(ASK_AGAIN).clamp(Duration::from_secs(60), Duration::from_secs(86_400));
    now.saturating_add(wait.as_secs())
}

/// The key identifier of the CA that signed, and the serial number, as they stand in the certificate: by these a CA knows it
/// (RFC 9773 §4.1).
pub(super) fn identity(certificate: &CertificateDer<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let issuer = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(issuer) => issuer.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    })?;
    Some((issuer, certificate.tbs_certificate.raw_serial().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;
    const LIFE: Life = Life { from: 100 * DAY, until: 190 * DAY };

    #[test]
    fn at_two_thirds_of_its_life_or_a_little_earlier() {
        assert_eq!(LIFE.usual(Chance::MOST), 160 * DAY);
        assert_eq!(LIFE.usual(Chance::LEAST), 100 * DAY + 90 * DAY * 15 / 24);
        assert_eq!(Life { from: 5, until: 5 }.usual(Chance::HALF), 5);
        assert_eq!(Life { from: 6, until: 5 }.usual(Chance::HALF), 6);
        let endless = Life { from: 0, until: u64::MAX };
        assert!(endless.usual(Chance::MOST) < u64::MAX);
    }

    #[test]
    fn in_the_window_that_the_ca_suggests_and_never_very_late_or_early() {
        let window = Window { start: 120 * DAY, end: 124 * DAY };
        assert_eq!(LIFE.within(window, Chance::LEAST), Some(120 * DAY));
        assert_eq!(LIFE.within(window, Chance::HALF), Some(122 * DAY));
        assert_eq!(LIFE.within(window, Chance::MOST), Some(124 * DAY));
        let late = Window { start: 185 * DAY, end: 300 * DAY };
        assert_eq!(LIFE.within(late, Chance::LEAST), Some(181 * DAY));
        let past = Window { start: 0, end: 1 };
        assert_eq!(LIFE.within(past, Chance::LEAST), Some(101 * DAY));
        assert_eq!(Life { from: 0, until: DAY }.within(past, Chance::LEAST), Some(DAY / 3));
        assert_eq!(Life { from: 9, until: 5 }.within(past, Chance::MOST), Some(9));
        // RFC 9773 §4.2: an end that is not after the start is malformed.
        for end in [120 * DAY, 119 * DAY] {
            assert_eq!(LIFE.within(Window { start: 120 * DAY, end }, Chance::HALF), None);
        }
    }

    #[test]
    fn a_ca_is_asked_for_its_window_once_a_minute_at_most_and_once_a_day_at_least() {
        for (told, expect) in
            [(None, 6 * 3_600), (Some(0), 60), (Some(59), 60), (Some(61), 61), (Some(DAY), DAY), (Some(DAY + 1), DAY)]
        {
            assert_eq!(ask_again(1_000, told.map(Duration::from_secs)), 1_000 + expect);
        }
    }
}
