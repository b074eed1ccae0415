//! `login`: who is there, by name and password (RFC 7617).
//!
//! Hashes are compared on blocking threads, two at a time in the whole process ([`Hashing`]), and a name that is not there takes as long as one
//! that is. What was right is known again for [`KNOWN_FOR`], by a keyed hash, until the file changes. Each source may try [`TRIES`] times in
//! a minute; what is known again is no try. Bounded by: [`KNOWN_MOST`], those who wait for a hash, and the accounts of the file.

mod accounts;

use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use sha2::{Digest, Sha256};
use sportello_net::rate::{Often, Rate};
use tokio::time::Instant;

use super::limit::too_often;
use super::ours::Ours;
use super::walk::Known;
use crate::accounts::Hashing;
use crate::failure::Failure;
use crate::web::Request;

use accounts::Accounts;
pub use accounts::BadAccounts;

/// How long a password that was right need not be compared again.
const KNOWN_FOR: Duration = Duration::from_secs(300);
/// Passwords that are known again.
const KNOWN_MOST: usize = 4_096;
/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Tries of one source in a minute.
const TRIES: std::num::NonZeroU32 = std::num::NonZeroU32::new(30).unwrap();
/// The longest credentials, encoded.
const LONGEST: usize = 1_024;

/// Accounts, and who is known. All workers share it.
pub struct Login {
    file: PathBuf,
    realm: Box<str>,
    key: [u8; 32],
    tries: Rate,
    hashing: Hashing,
    state: Mutex<State>,
}

struct State {
    accounts: Arc<Accounts>,
    stamp: Stamp,
    looked: Instant,
    known: HashMap<[u8; 32], Instant>,
}

/// What changes when a file is written anew.
type Stamp = Option<(SystemTime, u64)>;

impl Login {
    /// Asks for the accounts in `file`, which is read here; without it or with none in it nobody can log in. Blocks.
    ///
    /// # Errors
    /// When the file is wrong, or there is no randomness.
    pub fn new(file: &Path, realm: &str) -> Result<Self, BadAccounts> {
        let stamp = stamp(file);
        let accounts = read(file)?;
        let mut key = [0; 32];
        let random = aws_lc_rs::default_provider().secure_random;
        random.fill(&mut key).map_err(|_| std::io::Error::other("no random bytes are to be had"))?;
        Ok(Self {
            file: file.to_owned(),
            realm: realm.into(),
            key,
            tries: Rate::new(Often::per_minute(TRIES)),
            hashing: Hashing::default(),
            state: Mutex::new(State {
                accounts: Arc::new(accounts),
                stamp,
                looked: Instant::now(),
                known: HashMap::new(),
            }),
        })
    }

    /// Lets those pass who say who they are. The credentials are ours: they are taken out of the request.
    pub(super) async fn take(self: &Arc<Self>, request: &mut Request, known: &mut Known) -> Result<(), Ours> {
        let found = request.fields.text("authorization").and_then(credentials);
        request.fields.remove("authorization");
        let Some(found) = found else { return Err(self.challenge()) };
        self.look().await?;
        let token = self.token(&found);
        if !self.is_known(&token) {
            self.tries.take(known.address()).map_err(|often| too_often(often.0))?;
            let accounts = Arc::clone(&self.state().accounts);
            if !self.compare(found.clone(), Arc::clone(&accounts)).await? {
                request.notes.refuse_login();
                return Err(self.challenge());
            }
            self.keep(token, &accounts);
        }
        known.set_account(found.name);
        Ok(())
    }

    /// RFC 9110 §15.5.2, RFC 7617 §2.1.
    fn challenge(&self) -> Ours {
        let value = format!("Basic realm=\"{}\", charset=\"UTF-8\"", self.realm);
        Ours::new(401, "name and password, please").with("www-authenticate", value)
    }

    /// Reads the file again where it has changed; one that is wrong since changes nothing.
    async fn look(self: &Arc<Self>) -> Result<(), Ours> {
        {
            let mut state = self.state();
            if state.looked.elapsed() < LOOK_EVERY {
                return Ok(());
            }
            state.looked = Instant::now();
        }
        let login = Arc::clone(self);
        tokio::task::spawn_blocking(move || login.read_again()).await.map_err(|error| Failure::internal(error).into())
    }

    fn read_again(&self) {
        let now = stamp(&self.file);
        if now == self.state().stamp {
            return;
        }
        match read(&self.file) {
            Ok(accounts) => {
                let mut state = self.state();
                (state.accounts, state.stamp) = (Arc::new(accounts), now);
                state.known.clear();
            }
            Err(error) => {
                tracing::error!(file = %self.file.display(), %error, "the accounts of a site stay as they were");
                self.state().stamp = now;
            }
        }
    }

    async fn compare(&self, found: Credentials, accounts: Arc<Accounts>) -> Result<bool, Ours> {
        // The same places as all other slow hashes have.
        Ok(self.hashing.run(move || accounts.has(&found.name, &found.password)).await?)
    }

    fn token(&self, found: &Credentials) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update((found.name.len() as u64).to_be_bytes());
        hash.update(found.name.as_bytes());
        hash.update(&found.password);
        hash.finalize().into()
    }

    fn is_known(&self, token: &[u8; 32]) -> bool {
        self.state().known.get(token).is_some_and(|since| since.elapsed() < KNOWN_FOR)
    }

    /// Knows it again, if these are still the accounts it was compared with.
    fn keep(&self, token: [u8; 32], accounts: &Arc<Accounts>) {
        let mut state = self.state();
        if !Arc::ptr_eq(&state.accounts, accounts) {
            return;
        }
        if state.known.len() >= KNOWN_MOST {
            state.known.retain(|_, since| since.elapsed() < KNOWN_FOR);
        }
        if state.known.len() < KNOWN_MOST {
            state.known.insert(token, Instant::now());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Login").field("file", &self.file).field("realm", &self.realm).finish_non_exhaustive()
    }
}

impl fmt::Display for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "asks for an account of {}", self.file.display())
    }
}

/// The accounts in a file; where there is no file, there are none.
fn read(file: &Path) -> Result<Accounts, BadAccounts> {
    let accounts = match Accounts::read(file) {
        Err(BadAccounts::Io(error)) if error.kind() == ErrorKind::NotFound => Accounts::nobody(),
        read => read?,
    };
    if accounts.is_empty() {
        tracing::warn!(file = %file.display(), "nobody can log in: make an account by htpasswd -c -B FILE NAME");
    }
    Ok(accounts)
}

fn stamp(file: &Path) -> Stamp {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
struct Credentials {
    name: Box<str>,
    password: Box<[u8]>,
}

/// RFC 7617 §2: the name ends at the first colon.
fn credentials(field: &str) -> Option<Credentials> {
    let (scheme, encoded) = field.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > LONGEST {
        return None;
    }
    let bytes = decoded(encoded.trim_matches(' ').as_bytes())?;
    let colon = bytes.iter().position(|&byte| byte == b':')?;
    let (name, password) = bytes.split_at(colon);
    let name = std::str::from_utf8(name).ok()?;
    if name.chars().any(char::is_control) {
        return None;
    }
    Some(Credentials { name: name.into(), password: password.get(1..)?.into() })
}

/// Base64 (RFC 4648 §4), with its padding.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let digits = text.get(..text.len().saturating_sub(padding)).filter(|_| padding <= 2)?;
    let mut out = Vec::with_capacity(text.len());
    let (mut bits, mut held) = (0u32, 0u32);
    for &digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held = held.saturating_add(6);
        if held >= 8 {
            held = held.saturating_sub(8);
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(out)
}

#[cfg(test)]
mod tests;
