//! A certificate in files, looked at again and again: what was read last, and whether something else is there now.
//!
//! Whoever replaces a chain and its key replaces two files, one after the other: a change is read when it has not moved from one look
//! to the next. What is broken leaves in use what was read before, and is told once. Blocks: it reads files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use thiserror::Error;

use super::credential::{Credential, CredentialError, MOST};
use super::wanted::Pair;

/// A pair of files and what was read of it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) pair: Pair,
    /// As the files were when they were read last.
    read: Option<Stamp>,
    /// As they were at the last look.
    seen: Option<Stamp>,
    /// What is in use.
    pub(super) credential: Option<Credential>,
    /// Why the last reading failed.
    pub(super) trouble: Option<String>,
}

/// Why a pair of files cannot be used.
#[derive(Debug, Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("the file {0} cannot be read")]
    Io(String, #[source] io::Error),
    /// What they hold cannot be used.
    #[error("{0} with the key {1}: {2}")]
    Useless(String, String, #[source] CredentialError),
}

/// Whether a change is waited for until it rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is.
    Resting,
    /// It is read at once: somebody says that it is whole.
    Now,
}

/// What tells that files were replaced or written to.
type Stamp = [Option<(u64, u64, u64, i64, i64)>; 2];

impl Watched {
    pub(super) fn new(pair: Pair) -> Self {
        Self { pair, read: None, seen: None, credential: None, trouble: None }
    }

    /// Looks; whether another credential is in use from now on.
    pub(super) fn look(&mut self, look: Look) -> bool {
        let stamp = [stamp(&self.pair.chain), stamp(&self.pair.key)];
        let rests = look == Look::Now || self.seen == Some(stamp) || self.read.is_none();
        self.seen = Some(stamp);
        if !rests || self.read == Some(stamp) {
            return false;
        }
        self.read = Some(stamp);
        match self.pair.read() {
            Ok(credential) => {
                if self.trouble.take().is_some() || self.credential.is_some() {
                    let chain = self.pair.chain.display();
                    tracing::info!(%chain, names = credential.facts().names.join(" "), "a certificate was replaced");
                }
                self.credential = Some(credential);
                true
            }
            Err(error) => {
                let trouble = told(&error);
                let still = if self.credential.is_some() { "the one before stays in use" } else { "it is not in use" };
                tracing::error!("a certificate cannot be used, {still}: {trouble}");
                self.trouble = Some(trouble);
                false
            }
        }
    }
}

impl Pair {
    /// Reads both files. Blocks.
    ///
    /// # Errors
    /// Says which file is wrong, and what is.
    pub fn read(&self) -> Result<Credential, PairError> {
        let chain = contents(&self.chain)?;
        let key = if self.key == self.chain { chain.clone() } else { contents(&self.key)? };
        let useless = |error| PairError::Useless(shown(&self.chain), shown(&self.key), error);
        Credential::read(&chain, &key).map_err(useless)
    }
}

/// An error with all that is behind it, in one line.
fn told(error: &PairError) -> String {
    let mut said = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let more = error.to_string();
        if !said.ends_with(&more) {
            said = format!("{said}: {more}");
        }
        source = error.source();
    }
    said
}

fn contents(path: &Path) -> Result<Vec<u8>, PairError> {
    let failed = |error| PairError::Io(shown(path), error);
    // A pipe or a device would be waited for.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is not a file")));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    // One byte more tells a file that is too large.
    file.take(MOST as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Follows links: certbot replaces those.
fn stamp(path: &Path) -> Option<(u64, u64, u64, i64, i64)> {
    let facts = fs::metadata(path).ok()?;
    Some((facts.dev(), facts.ino(), facts.len(), facts.mtime(), facts.mtime_nsec()))
}
