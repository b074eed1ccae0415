//! A certificate in files, looked at again and again: what was read last, and whether something else is there now.
//!
//! Whoever replaces a chain and its key replaces two files, one after the other: a change is read when it has not moved from one look
//! to the next. What is broken leaves in use what was read before, and is told once; what could not be read at all (a permission, too
//! many open files) is tried at every look. Blocks: it reads files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use thiserror::Error;

use super::credential::{Credential, CredentialError, MOST};
use super::wanted::Pair;

/// A pair of files and what was read of it.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) pair: Pair,
    /// As the files were when what they hold was known last.
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
type Stamp = [Option<(u64, u64, u64, [i64; 4])>; 2];

impl Watched {
    pub(super) fn new(pair: Pair) -> Self {
        Self { pair, read: None, seen: None, credential: None, trouble: None }
    }

    /// Looks; whether another credential is in use from now on.
    pub(super) fn look(&mut self, look: Look) -> bool {
        self.look_by(look, Pair::read)
    }

    fn look_by(&mut self, look: Look, read: impl FnOnce(&Pair) -> Result<Credential, PairError>) -> bool {
        let stamp = [stamp(&self.pair.chain), stamp(&self.pair.key)];
        let is_due = match look {
            Look::Now => true,
            Look::Resting => (self.seen == Some(stamp) || self.read.is_none()) && self.read != Some(stamp),
        };
        self.seen = Some(stamp);
        if !is_due {
            return false;
        }
        match read(&self.pair) {
            Ok(credential) => {
                self.read = Some(stamp);
                self.take(credential)
            }
            Err(error) => {
                if matches!(error, PairError::Useless(..)) {
                    self.read = Some(stamp);
                }
                self.miss(&error);
                false
            }
        }
    }

    /// Uses what was read, if it is another one.
    fn take(&mut self, credential: Credential) -> bool {
        let had_trouble = self.trouble.take().is_some();
        let is_new =
            self.credential.as_ref().is_none_or(|before| before.certified().cert != credential.certified().cert);
        if had_trouble || is_new && self.credential.is_some() {
            let chain = self.pair.chain.display();
            tracing::info!(%chain, names = credential.facts().names.join(" "), "a certificate was replaced");
        }
        if is_new {
            self.credential = Some(credential);
        }
        is_new
    }

    fn miss(&mut self, error: &PairError) {
        let trouble = told(error);
        if self.trouble.as_ref() != Some(&trouble) {
            let still = if self.credential.is_some() { "the one before stays in use" } else { "it is not in use" };
            tracing::error!("a certificate cannot be used, {still}: {trouble}");
            self.trouble = Some(trouble);
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

/// Follows links: certbot replaces those. The time of the last change of any kind tells that somebody may read it now.
fn stamp(path: &Path) -> Option<(u64, u64, u64, [i64; 4])> {
    let facts = fs::metadata(path).ok()?;
    let times = [facts.mtime(), facts.mtime_nsec(), facts.ctime(), facts.ctime_nsec()];
    Some((facts.dev(), facts.ino(), facts.len(), times))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use super::*;
    use crate::certificates::authority::stand_in;

    fn watched() -> Watched {
        // Files that are always there and do not change.
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        Watched::new(Pair { chain: path.clone(), key: path })
    }

    fn refused(_: &Pair) -> Result<Credential, PairError> {
        Err(PairError::Io("x".to_owned(), io::ErrorKind::PermissionDenied.into()))
    }

    #[test]
    fn what_could_not_be_read_is_read_at_the_next_look() {
        let made = || stand_in(&["a.example".to_owned()], SystemTime::now()).unwrap();
        for look in [Look::Resting, Look::Now] {
            let mut watched = watched();
            assert!(watched.look_by(look, |_| Ok(made())));
            let before = watched.credential.clone().unwrap();
            // As after a change: nothing of it is known.
            watched.read = None;
            for _ in 0..2 {
                assert!(!watched.look_by(look, refused));
                assert!(watched.trouble.as_ref().is_some_and(|why| why.contains("cannot be read")), "{watched:?}");
            }
            assert!(watched.look_by(look, |_| Ok(made())) && watched.trouble.is_none());
            assert_ne!(watched.credential.unwrap().certified().cert, before.certified().cert);
        }
    }

    #[test]
    fn what_is_useless_is_read_once_and_whoever_asks_has_it_read_again() {
        let mut watched = watched();
        let reads = Cell::new(0);
        let mut look = |look| {
            watched.look_by(look, |_| {
                reads.set(reads.get() + 1);
                Err(PairError::Useless("x".to_owned(), "y".to_owned(), CredentialError::NoKey))
            });
            reads.get()
        };
        assert_eq!([Look::Resting, Look::Resting, Look::Now, Look::Resting, Look::Now].map(&mut look), [1, 1, 2, 2, 3]);
    }

    #[test]
    fn the_same_certificate_read_again_changes_nothing() {
        let mut watched = watched();
        let made = stand_in(&["a.example".to_owned()], SystemTime::now()).unwrap();
        assert!(watched.look_by(Look::Now, |_| Ok(made.clone())));
        assert!(!watched.look_by(Look::Now, |_| Ok(made.clone())));
    }

    #[test]
    fn a_file_that_somebody_is_let_read_has_changed() {
        let path = std::env::temp_dir().join(format!("sportello-stamp-{}", std::process::id()));
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let before = stamp(&path);
        // The clock of a disk may tick only some hundred times a second.
        while stamp(&path) == before {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        fs::remove_file(&path).unwrap();
    }
}
