//! What is kept of a password: a slow hash, and the keys of SCRAM.
//!
//! A password that people choose is hashed by argon2id with what OWASP recommends (19 MiB, 2 passes, 1 lane). One that we made for a
//! program has [`GENERATED`] letters of chance: nobody guesses it, so that a keyed hash does, and its use costs nothing. Either has a
//! pair of SCRAM keys beside it (RFC 5802 §3) of [`ITERATIONS`]: what an attacker with the store's file has to compute for each guess.
//! Written as JSON, so that a later version can tell an earlier one's. Blocks; knows nothing of accounts.

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rustls::crypto::aws_lc_rs;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use sportello_store::Credential;
use sportello_wire::sasl::Password;
use sportello_wire::sasl::scram::Pair;

use crate::failure::Failure;

/// How often SCRAM's hash is applied: at least 4,096 (RFC 7677 §4); a client computes as much for each login.
/// Its tests do what they must, and no more.
pub(crate) const ITERATIONS: u32 = if cfg!(test) { 4_096 } else { 100_000 };
/// Letters of a password that we make, five bits each.
const GENERATED: usize = 24;
/// Those that nobody mistakes for another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A secret of the store's: 32 random octets.
pub(crate) type Key = [u8; 32];

/// What is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Of a password that was chosen: as the PHC string format has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    argon2: Option<String>,
    /// Of one that we made: its keyed hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyed: Option<String>,
    scram: KeptPair,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptPair {
    iterations: u32,
    stored: String,
    server: String,
}

/// What to keep of a password that somebody chose. It takes tens of milliseconds.
pub(crate) fn chosen(password: &Password, salt: &[u8]) -> Result<Credential, Failure> {
    let hash = argon2()?.hash_password_with_salt(password.prepared().as_bytes(), &random::<16>()?);
    let argon2 = Some(hash.map_err(|error| Failure::internal(error.to_string()))?.to_string());
    written(&Kept { argon2, keyed: None, scram: pair_of(password, salt) })
}

/// A password that nobody guesses, and what to keep of it.
pub(crate) fn generated(key: &Key, salt: &[u8]) -> Result<(Password, Credential), Failure> {
    let letters = random::<GENERATED>()?.map(|octet| LETTERS.get(usize::from(octet) % LETTERS.len()).copied());
    let text: String = letters.into_iter().flatten().map(char::from).collect();
    let password = Password::new(&text).ok_or_else(|| Failure::internal("a password of ours is too long"))?;
    let keyed = Some(BASE64_STANDARD.encode(keyed(key, &[text.as_bytes()])));
    let kept = written(&Kept { argon2: None, keyed, scram: pair_of(&password, salt) })?;
    Ok((password, kept))
}

/// Whether this is the password that was chosen; where none was, the same work is done for nothing.
pub(crate) fn is_chosen(kept: Option<&Credential>, password: &Password) -> bool {
    let prepared = password.prepared();
    let argon2 = kept.and_then(read).and_then(|kept| kept.argon2);
    if let Some(hash) = argon2.as_deref().and_then(|text| PasswordHash::new(text).ok()) {
        return Argon2::default().verify_password(prepared.as_bytes(), &hash).is_ok();
    }
    let mut hash = [0; 32];
    if let Ok(argon2) = argon2_of(Params::DEFAULT_OUTPUT_LEN) {
        let _ = argon2.hash_password_into(prepared.as_bytes(), b"nobody has this", &mut hash);
    }
    let _ = std::hint::black_box(hash);
    false
}

/// Whether this is the password that we made.
pub(crate) fn is_generated(kept: &Credential, password: &Password, key: &Key) -> bool {
    let Some(expected) = read(kept).and_then(|kept| BASE64_STANDARD.decode(kept.keyed?).ok()) else { return false };
    let mut mac = mac(key);
    mac.update(password.prepared().as_bytes());
    // In constant time.
    mac.verify_slice(&expected).is_ok()
}

/// The keys of SCRAM, where they are of today's iterations: all of an account's must be.
pub(crate) fn pair(kept: &Credential) -> Option<Pair> {
    let KeptPair { iterations, stored, server } = read(kept)?.scram;
    let octets = |text: &str| BASE64_STANDARD.decode(text).ok()?.try_into().ok();
    (iterations == ITERATIONS).then_some(Pair { stored: octets(&stored)?, server: octets(&server)? })
}

/// HMAC-SHA-256 (RFC 2104) of these parts.
pub(crate) fn keyed(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = mac(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// So many random octets.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut octets = [0; N];
    let random = aws_lc_rs::default_provider().secure_random;
    random.fill(&mut octets).map_err(|_| Failure::internal("no random bytes are to be had"))?;
    Ok(octets)
}

fn mac(key: &Key) -> Hmac<Sha256> {
    // Invariant: HMAC takes a key of any length.
    Hmac::new_from_slice(key).expect("HMAC takes any key")
}

fn pair_of(password: &Password, salt: &[u8]) -> KeptPair {
    let Pair { stored, server } = Pair::derive(password, salt, ITERATIONS);
    KeptPair { iterations: ITERATIONS, stored: BASE64_STANDARD.encode(stored), server: BASE64_STANDARD.encode(server) }
}

fn argon2() -> Result<Argon2<'static>, Failure> {
    argon2_of(Params::DEFAULT_OUTPUT_LEN).map_err(|error| Failure::internal(error.to_string()))
}

/// OWASP's first recommendation but one: 19 MiB, 2 passes, 1 lane.
fn argon2_of(output: usize) -> Result<Argon2<'static>, argon2::Error> {
    Params::new(19 << 10, 2, 1, Some(output)).map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn written(kept: &Kept) -> Result<Credential, Failure> {
    serde_json::to_vec(kept).map(Credential::new).map_err(Failure::internal)
}

fn read(kept: &Credential) -> Option<Kept> {
    serde_json::from_slice(kept.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text).unwrap()
    }

    #[test]
    fn a_chosen_password_is_known_again_and_no_other() {
        let kept = chosen(&password("I\u{ad}X open"), b"salt of 16 bytes").unwrap();
        let text = String::from_utf8(kept.as_bytes().to_vec()).unwrap();
        assert!(text.contains("$argon2id$v=19$m=19456,t=2,p=1$") && !text.contains("open"), "{text}");
        assert!(is_chosen(Some(&kept), &password("IX open")), "the same by SASLprep (RFC 4013)");
        assert!(!is_chosen(Some(&kept), &password("IX Open")));
        assert!(!is_chosen(None, &password("")));
        assert!(!is_chosen(Some(&Credential::new(*b"{}")), &password("")));
        assert_eq!(pair(&kept), Some(Pair::derive(&password("IX open"), b"salt of 16 bytes", ITERATIONS)));
        assert!(!is_generated(&kept, &password("IX open"), &[0; 32]));
    }

    #[test]
    fn a_generated_password_is_long_and_known_again() {
        let (made, kept) = generated(&[1; 32], b"salt").unwrap();
        let (other, _) = generated(&[1; 32], b"salt").unwrap();
        assert_ne!(made, other);
        assert!(made.reveal().len() == GENERATED && made.reveal().bytes().all(|letter| LETTERS.contains(&letter)));
        assert!(is_generated(&kept, &made, &[1; 32]));
        assert!(!is_generated(&kept, &made, &[2; 32]) && !is_generated(&kept, &other, &[1; 32]));
        assert!(!is_chosen(Some(&kept), &made));
    }
}
