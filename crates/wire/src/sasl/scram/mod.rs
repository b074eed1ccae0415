//! What both sides of SCRAM-SHA-256 compute (RFC 5802 §3, RFC 7677): keys, proofs, signatures.
//!
//! A server keeps [`Keys`], from which the password cannot be had nor a client be played. Bounded by: [`Iterations`] that are
//! computed for somebody else, [`LONGEST_SALT`].

pub(super) mod message;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Password;

/// Octets of a key, a proof, a signature: those of SHA-256.
pub const HASH: usize = 32;
/// Octets of a salt that are taken from a server.
pub const LONGEST_SALT: usize = 256;
/// RFC 7677 §4: the fewest that a server should use.
pub const FEWEST_ITERATIONS: u32 = 4_096;
/// The most that are computed because a server says so: about half a second. More would be an attack on the client.
pub const MOST_ITERATIONS: u32 = 1_000_000;

/// What a server knows of one password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// `StoredKey`: proves that a client knows the password.
    pub stored: [u8; HASH],
    /// `ServerKey`: proves it of the server.
    pub server: [u8; HASH],
}

/// What a server keeps of an account's passwords. They share a salt, since the server says one before it knows which is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The salt, random, at least 16 octets.
    pub salt: Vec<u8>,
    /// How often the hash was applied.
    pub iterations: u32,
    /// One for each password that will do. None: no proof will.
    pub pairs: Vec<Pair>,
}

/// Secrets: neither shows itself.
impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Keys({} pairs)", self.pairs.len())
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Pair(…)")
    }
}

/// The password, salted and hashed `iterations` times (`Hi`). This takes the time that it is meant to take.
pub(super) fn salted(password: &Password, salt: &[u8], iterations: u32) -> [u8; HASH] {
    pbkdf2::pbkdf2_hmac_array::<Sha256, HASH>(password.prepared().as_bytes(), salt, iterations.max(1))
}

impl Pair {
    /// Computes both from a password: milliseconds, for the iterations people use.
    pub fn derive(password: &Password, salt: &[u8], iterations: u32) -> Self {
        Self::of(&salted(password, salt, iterations))
    }

    pub(super) fn of(salted: &[u8; HASH]) -> Self {
        Self { stored: hash(&client_key(salted)), server: keyed(salted, &[b"Server Key"]) }
    }

    /// Whether `proof` shows, for this conversation, that its sender knows the password.
    pub(super) fn is_proved(&self, conversation: &[&[u8]], proof: &[u8; HASH]) -> bool {
        let key = both(proof, &keyed(&self.stored, conversation));
        bool::from(hash(&key).ct_eq(&self.stored))
    }

    /// `ServerSignature`.
    pub(super) fn signature(&self, conversation: &[&[u8]]) -> [u8; HASH] {
        keyed(&self.server, conversation)
    }
}

/// `ClientProof` of whoever knows the salted password.
pub(super) fn proof(salted: &[u8; HASH], conversation: &[&[u8]]) -> [u8; HASH] {
    let key = client_key(salted);
    both(&key, &keyed(&hash(&key), conversation))
}

fn client_key(salted: &[u8; HASH]) -> [u8; HASH] {
    keyed(salted, &[b"Client Key"])
}

fn hash(bytes: &[u8]) -> [u8; HASH] {
    Sha256::digest(bytes).into()
}

fn keyed(key: &[u8; HASH], parts: &[&[u8]]) -> [u8; HASH] {
    // Invariant: HMAC takes a key of any length (RFC 2104 §2).
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key will do");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Exclusive or.
fn both(one: &[u8; HASH], other: &[u8; HASH]) -> [u8; HASH] {
    let mut result = *one;
    result.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
    result
}
