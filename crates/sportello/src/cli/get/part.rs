//! The file that is being fetched, until it is whole.
//!
//! The bytes go to `NAME.part`; beside it, `NAME.part.json` says of what they are a part: the URL and a strong validator
//! (RFC 9110 §8.8.1), so that another run goes on with the same representation or begins again, and never mixes two. Only
//! the whole file gets its name. A lock keeps two runs apart.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sportello_wire::date::parse_http_date;
use sportello_wire::http1::client::Head;
use thiserror::Error;

/// A file that is not whole yet.
#[derive(Debug)]
pub struct Part {
    name: PathBuf,
    path: PathBuf,
    side: PathBuf,
    file: File,
    length: u64,
}

/// Of what the bytes are a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    url: String,
    validator: String,
}

/// Why the part cannot be kept.
#[derive(Debug, Error)]
pub enum Error {
    /// Another run has it.
    #[error("{} is being fetched by another process", .0.display())]
    Locked(PathBuf),
    /// The file system refuses.
    #[error("{} cannot be written", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

/// Whether earlier bytes are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// If they are of the same representation.
    Use,
    /// Never.
    Drop,
}

impl Part {
    /// Opens or creates the part of the file `name`.
    pub fn open(name: &Path) -> Result<Self, Error> {
        let with = |suffix: &str| {
            let mut path = name.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        let (path, side) = (with(".part"), with(".part.json"));
        let failed = |error| Error::Io(path.clone(), error);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked(name.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let length = file.metadata().map_err(failed)?.len();
        Ok(Self { name: name.to_owned(), path, side, file, length })
    }

    /// How many bytes are there.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The validator by which the server can tell whether the bytes that are there are still a part of `url`; `None` where
    /// there are none, or they belong to something else.
    pub fn validator(&self, url: &str) -> Option<String> {
        const MOST: u64 = 32 * 1024;
        let mut text = Vec::new();
        File::open(&self.side).ok()?.take(MOST).read_to_end(&mut text).ok()?;
        let origin: Origin = serde_json::from_slice(&text).ok()?;
        (self.length > 0 && origin.url == url).then_some(origin.validator)
    }

    /// Forgets what is there and notes of what the next bytes are a part, where that can be said for certain.
    pub fn begin(&mut self, url: &str, head: &Head) -> Result<(), Error> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(|error| self.failed(error))?;
        self.length = 0;
        match strong_validator(head) {
            Some(validator) => {
                let origin = Origin { url: url.to_owned(), validator };
                let text = serde_json::to_vec(&origin).map_err(|error| Error::Io(self.side.clone(), error.into()))?;
                fs::write(&self.side, text).map_err(|error| Error::Io(self.side.clone(), error))
            }
            None => self.forget_origin(),
        }
    }

    /// Goes on behind what is there.
    pub fn go_on(&mut self) -> Result<(), Error> {
        self.file.seek(SeekFrom::Start(self.length)).map(drop).map_err(|error| self.failed(error))
    }

    /// Appends.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|error| self.failed(error))?;
        self.length = self.length.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// The file is whole: gives it its name.
    pub fn finish(self) -> Result<(), Error> {
        fs::rename(&self.path, &self.name).map_err(|error| Error::Io(self.name.clone(), error))?;
        self.forget_origin()
    }

    /// Nothing came: leaves no empty part behind.
    pub fn abandon_if_empty(&self) {
        if self.length == 0 {
            let _ = fs::remove_file(&self.path);
            let _ = fs::remove_file(&self.side);
        }
    }

    fn forget_origin(&self) -> Result<(), Error> {
        match fs::remove_file(&self.side) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::Io(self.side.clone(), error)),
            _ => Ok(()),
        }
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::Io(self.path.clone(), error)
    }
}

/// What may stand in If-Range (RFC 9110 §13.1.5): a strong entity tag, or a date of modification that is strong because the
/// answer was made at least a second after it (§8.8.2.2).
fn strong_validator(head: &Head) -> Option<String> {
    if let Some(tag) = head.field("etag") {
        return (tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"')).then(|| tag.to_owned());
    }
    let modified = head.field("last-modified")?;
    let now = parse_http_date(head.field("date")?.as_bytes(), 0)?;
    let strong = parse_http_date(modified.as_bytes(), now)?.saturating_add(1) <= now;
    strong.then(|| modified.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sportello_wire::http1::client::Limits;

    #[test]
    fn only_strong_validators_are_kept() {
        let check = |fields: &str, expect: Option<&str>| {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            let (head, _) = Head::parse(text.as_bytes(), &Limits::default()).unwrap().unwrap();
            assert_eq!(strong_validator(&head).as_deref(), expect, "{fields}");
        };
        let modified = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        check("", None);
        check("ETag: \"a\"\r\n", Some("\"a\""));
        check("ETag: W/\"a\"\r\n", None);
        check("ETag: a\r\n", None);
        check("ETag: \"\r\n", None);
        check(modified, None);
        check(&format!("{modified}Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), None);
        check(&format!("{modified}Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        check(&format!("{modified}ETag: W/\"a\"\r\nDate: Sun, 06 Nov 1994 08:50:37 GMT\r\n"), None);
    }
}
