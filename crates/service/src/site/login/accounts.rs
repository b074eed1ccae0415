//! A file of accounts as `htpasswd` writes it: `name:hash` on each line.
//!
//! Only hashes that are slow on purpose are taken: bcrypt (`htpasswd -B`) and Argon2 (`$argon2id$…`). Those of the old ways are quickly
//! guessed by whoever gets the file. Bounded by [`FILE_MOST`] and [`ACCOUNTS_MOST`].

use std::collections::HashMap;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, Read};
use std::path::Path;
use std::sync::LazyLock;

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use thiserror::Error;

/// The largest file, bytes.
const FILE_MOST: u64 = 4 << 20;
/// The most accounts.
const ACCOUNTS_MOST: usize = 50_000;

/// What is compared where there is no account at all: of a password that nobody knows.
const DECOY: &str = "$2b$10$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghi";

/// Names and the hashes of their passwords.
pub(super) struct Accounts {
    /// Where each one's hash stands.
    by_name: HashMap<Box<str>, usize>,
    hashes: Vec<Hash>,
}

enum Hash {
    Bcrypt(Box<str>),
    Argon2(Box<str>),
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub enum BadAccounts {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// There is too much in it.
    #[error("it is larger than 4 MiB, or has more than {ACCOUNTS_MOST} accounts")]
    Large,
    /// A line.
    #[error("line {0}: expected name:hash, as htpasswd -B writes it")]
    Line(usize),
    /// A name.
    #[error("line {0}: the account is there already")]
    Twice(usize),
    /// An old kind.
    #[error(
        "line {0}: the password is kept in a way that is quickly guessed ({1}); make it anew: htpasswd -B FILE NAME"
    )]
    Weak(usize, &'static str),
    /// One that takes too long.
    #[error("line {0}: the hash costs too much: bcrypt up to 15, Argon2 up to 256 MiB")]
    Costly(usize),
}

impl Accounts {
    /// Reads a file. Blocks.
    ///
    /// # Errors
    /// When anything in it is wrong: half a list is none.
    pub(super) fn read(path: &Path) -> Result<Self, BadAccounts> {
        let mut text = String::new();
        File::open(path)?.take(FILE_MOST.saturating_add(1)).read_to_string(&mut text)?;
        if text.len() as u64 > FILE_MOST { Err(BadAccounts::Large) } else { Self::parse(&text) }
    }

    /// None, until there is a file.
    pub(super) fn nobody() -> Self {
        Self { by_name: HashMap::new(), hashes: Vec::new() }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    fn parse(text: &str) -> Result<Self, BadAccounts> {
        let mut accounts = Self::nobody();
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, hash) =
                line.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or(BadAccounts::Line(number))?;
            if accounts.by_name.insert(name.into(), accounts.hashes.len()).is_some() {
                return Err(BadAccounts::Twice(number));
            }
            accounts.hashes.push(Hash::read(hash, number)?);
            if accounts.hashes.len() > ACCOUNTS_MOST {
                return Err(BadAccounts::Large);
            }
        }
        Ok(accounts)
    }

    /// Whether this is the password of this account. Slow on purpose: not for a worker. It takes as long for a name that is not there.
    pub(super) fn has(&self, name: &str, password: &[u8]) -> bool {
        match self.by_name.get(name).and_then(|&place| self.hashes.get(place)) {
            Some(hash) => hash.fits(password),
            None => {
                let _ = std::hint::black_box(self.decoy(name).is_some_and(|decoy| decoy.fits(password)));
                false
            }
        }
    }

    /// What is compared for a name that is not there: always the same one of those that are, so that in a file of different costs the
    /// time it takes is no more telling than anybody else's.
    fn decoy(&self, name: &str) -> Option<&Hash> {
        static NOBODY: LazyLock<Hash> = LazyLock::new(|| Hash::Bcrypt(DECOY.into()));
        let place = self.by_name.hasher().hash_one(name).checked_rem(self.hashes.len() as u64);
        place.map_or(Some(&*NOBODY), |place| self.hashes.get(place as usize))
    }
}

impl Hash {
    fn read(text: &str, line: usize) -> Result<Self, BadAccounts> {
        let is_bcrypt = ["$2a$", "$2b$", "$2y$", "$2x$"].iter().any(|begin| text.starts_with(begin));
        if is_bcrypt {
            let cost = text.get(4..6).and_then(|cost| cost.parse::<u32>().ok()).ok_or(BadAccounts::Line(line))?;
            if text.len() != 60 {
                return Err(BadAccounts::Line(line));
            }
            return if (4..=15).contains(&cost) {
                Ok(Self::Bcrypt(text.into()))
            } else {
                Err(BadAccounts::Costly(line))
            };
        }
        if text.starts_with("$argon2") {
            let hash = PasswordHash::new(text).map_err(|_| BadAccounts::Line(line))?;
            let params = argon2::Params::try_from(&hash).map_err(|_| BadAccounts::Line(line))?;
            let is_bounded = params.m_cost() <= 256 << 10 && params.t_cost() <= 16;
            return if is_bounded { Ok(Self::Argon2(text.into())) } else { Err(BadAccounts::Costly(line)) };
        }
        let weak = [("$apr1$", "apr1"), ("{SHA}", "SHA-1"), ("$1$", "MD5"), ("$5$", "crypt"), ("$6$", "crypt")];
        let kind =
            weak.iter().find(|(begin, _)| text.starts_with(begin)).map_or("crypt or plain text", |(_, kind)| *kind);
        Err(BadAccounts::Weak(line, kind))
    }

    fn fits(&self, password: &[u8]) -> bool {
        match self {
            // It compares in constant time.
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Argon2(hash) => {
                PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
            }
        }
    }
}

#[cfg(test)]
pub(in crate::site) mod tests {
    use super::*;

    /// `secret`, at the least cost.
    pub(in crate::site) fn ada() -> String {
        format!("ada:{}\n", bcrypt::hash("secret", 4).unwrap())
    }

    #[test]
    fn passwords_are_those_that_were_set() {
        let text = format!("# people\n\n{}bob:{}\n", ada(), bcrypt::hash("other", 4).unwrap());
        let accounts = Accounts::parse(&text).unwrap();
        for (name, password, expect) in [
            ("ada", "secret", true),
            ("ada", "Secret", false),
            ("ada", "", false),
            ("Ada", "secret", false),
            ("bob", "other", true),
            ("bob", "secret", false),
            ("eve", "secret", false),
        ] {
            assert_eq!(accounts.has(name, password.as_bytes()), expect, "{name} {password}");
        }
    }

    #[test]
    fn a_name_that_is_not_there_costs_what_some_other_does() {
        let costs = [4, 5, 6].map(|cost| bcrypt::hash("secret", cost).unwrap());
        let text: String = costs.iter().zip(["a", "b", "c"]).map(|(hash, name)| format!("{name}:{hash}\n")).collect();
        let accounts = Accounts::parse(&text).unwrap();
        let cost = |name: &str| match accounts.decoy(name) {
            Some(Hash::Bcrypt(hash)) => hash[4..6].to_owned(),
            _ => panic!("another kind"),
        };
        let names: Vec<String> = (0..200).map(|number| format!("nobody{number}")).collect();
        let seen: std::collections::HashSet<String> = names.iter().map(|name| cost(name)).collect();
        assert_eq!(seen.len(), costs.len());
        assert!(names.iter().all(|name| cost(name) == cost(name)));
        for text in ["", "# nobody\n"] {
            let nobody = Accounts::parse(text).unwrap();
            assert!(nobody.is_empty() && nobody.decoy("ada").is_some() && !nobody.has("ada", b"secret"));
        }
    }

    #[test]
    fn old_and_broken_lines_are_refused_by_their_number() {
        let good = ada();
        for (text, expect) in [
            ("ada\n", "line 1: expected"),
            (":x\n", "line 1: expected"),
            ("ada:$2y$05$short\n", "line 1: expected"),
            ("ada:$argon2id$v=19$m=1\n", "line 1: expected"),
            ("ada:$apr1$a$b\n", "(apr1)"),
            ("ada:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n", "(SHA-1)"),
            ("ada:secret\n", "plain text"),
            (&format!("{good}{good}"), "line 2: the account is there already"),
            (&good.replace("$04$", "$16$"), "costs too much"),
        ] {
            let told = Accounts::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(told.contains(expect), "{text:?}: {told}");
        }
        let argon = "ada:$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21l$MAAAAAAAAAAAAAAAAAAAAA\n";
        assert!(Accounts::parse(argon).is_ok_and(|accounts| !accounts.has("ada", b"secret")));
    }
}
