//! One key: how it is made, kept and published.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize};
use serde::{Deserialize, Serialize};
use sportello_wire::date::rfc3339;

use super::KeyringError;

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// RSA of 2048 bits with SHA-256: everybody verifies it.
    Rsa,
    /// Ed25519 with SHA-256 (RFC 8463).
    Ed25519,
}

/// What a key is for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It will sign: its record is to be published.
    Next,
    /// It signs.
    Signing,
    /// It has signed: its record must stay for a while.
    Before,
}

/// A key as it is kept.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) selector: String,
    pub(super) algorithm: Algorithm,
    pub(super) standing: Standing,
    /// Since when it stands so, milliseconds since 1970.
    pub(super) since_ms: u64,
    /// The private key, PKCS#8 in base64.
    pub(super) private: String,
    /// What its record holds, in base64.
    pub(super) public: String,
}

/// A key as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Whose.
    pub domain: String,
    /// By which it is found.
    pub selector: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// What it is for now.
    pub standing: Standing,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
    /// Where its record is published.
    pub name: String,
    /// The text of that record.
    pub record: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Key").field("selector", &self.selector).finish_non_exhaustive()
    }
}

impl Algorithm {
    /// As a record names it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl Standing {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Signing => "signing",
            Self::Before => "before",
        }
    }
}

impl Key {
    /// The private key as PKCS#8.
    pub(super) fn private(&self) -> Result<Vec<u8>, KeyringError> {
        let spoiled = |_| KeyringError::Key(format!("the kept key {} cannot be read", self.selector));
        BASE64_STANDARD.decode(&self.private).map_err(spoiled)
    }

    /// As people see it.
    pub(super) fn view(&self, domain: &str) -> KeyView {
        let Self { selector, algorithm, standing, since_ms, public, .. } = self;
        KeyView {
            domain: domain.to_owned(),
            selector: selector.clone(),
            algorithm: *algorithm,
            standing: *standing,
            since_ms: *since_ms,
            name: format!("{selector}._domainkey.{domain}"),
            // RFC 6376 §3.6.1
            record: format!("v=DKIM1; k={}; p={public}", algorithm.word()),
        }
    }
}

impl KeyView {
    /// The record as a line of a zone file: a text longer than 255 octets is several strings (RFC 1035 §3.3).
    pub fn zone_line(&self) -> String {
        let mut line = format!("{}. IN TXT", self.name);
        let mut rest = self.record.as_str();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.floor_char_boundary(255));
            line.push_str(&format!(" \"{now}\""));
            rest = later;
        }
        line
    }
}

/// Makes a key of either kind. Takes up to a second.
pub(super) fn make_pair(taken: &[String], standing: Standing, now_ms: u64) -> Result<Vec<Key>, KeyringError> {
    let failed = |error: rcgen::Error| KeyringError::Key(format!("a key cannot be made: {error}"));
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(failed)?;
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).map_err(failed)?;
    let stamp = stamp(taken, now_ms);
    let key = |algorithm: Algorithm, pair: &KeyPair, public: &[u8]| Key {
        selector: format!("{stamp}{}", selector_end(algorithm)),
        algorithm,
        standing,
        since_ms: now_ms,
        private: BASE64_STANDARD.encode(pair.serialize_der()),
        public: BASE64_STANDARD.encode(public),
    };
    // RFC 6376 §3.6.1 has RSA keys as SubjectPublicKeyInfo, RFC 8463 §4.2 those of Ed25519 bare.
    let spki = rsa.subject_public_key_info();
    Ok(vec![key(Algorithm::Rsa, &rsa, &spki), key(Algorithm::Ed25519, &ed25519, ed25519.public_key_raw())])
}

fn selector_end(algorithm: Algorithm) -> char {
    match algorithm {
        Algorithm::Rsa => 'r',
        Algorithm::Ed25519 => 'e',
    }
}

/// The day as `s20261124`, with a letter behind it where that is taken.
fn stamp(taken: &[String], now_ms: u64) -> String {
    let day = rfc3339(now_ms / 1_000, 0);
    let digits = day.iter().take(10).filter(|byte| byte.is_ascii_digit()).map(|byte| char::from(*byte));
    let day: String = std::iter::once('s').chain(digits).collect();
    let is_free = |stamp: &String| !taken.iter().any(|selector| selector.starts_with(stamp.as_str()));
    let again = ('a'..='z').map(|letter| format!("{day}{letter}x"));
    if is_free(&day) { day } else { again.into_iter().find(is_free).unwrap_or(day) }
}
