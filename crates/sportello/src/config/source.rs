//! The text of a configuration, and where in it something stands.
//!
//! Knows no grammar. Bounded by [`Source::MOST`]; what is not UTF-8 or holds what no text may hold is a fault at its place.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::fault::Fault;

/// A configuration file that was read.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// A part of the text: bytes, the second one excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub start: usize,
    /// The byte behind its last.
    pub end: usize,
}

/// A place as people say it, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

/// Why there is no text.
#[derive(Debug, Error)]
pub enum ReadError {
    /// No such file.
    #[error("there is no file {0}; name one: --config FILE, or sportello check FILE")]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("cannot read {0}")]
    Io(PathBuf, #[source] io::Error),
    /// It is no configuration that a person wrote.
    #[error("{0} is larger than the {most} KiB a configuration may have", most = Source::MOST / 1024)]
    TooLarge(PathBuf),
}

impl Source {
    /// The most bytes of a configuration.
    pub const MOST: u64 = 256 * 1024;

    /// Reads a file. What is wrong with its characters is put into `faults`.
    ///
    /// # Errors
    /// When there is no text to speak of.
    pub fn read(path: &Path, faults: &mut Vec<Fault>) -> Result<Self, ReadError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => ReadError::Missing(path.to_owned()),
            _ => ReadError::Io(path.to_owned(), error),
        };
        let mut bytes = Vec::new();
        File::open(path).map_err(failed)?.take(Self::MOST + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > Self::MOST {
            return Err(ReadError::TooLarge(path.to_owned()));
        }
        Ok(Self::new(path, &bytes, faults))
    }

    /// The text in `bytes`, as if it stood in the file `path`.
    pub fn new(path: &Path, bytes: &[u8], faults: &mut Vec<Fault>) -> Self {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(error) => {
                let at = error.valid_up_to();
                let byte = bytes.get(at).copied().unwrap_or_default();
                faults.push(
                    Fault::error(Span { start: at, end: at + 3 }, format!("the byte 0x{byte:02X} is not UTF-8"))
                        .label("this byte")
                        .help("save the file as UTF-8; `file` says what it is, `iconv -t UTF-8` converts it"),
                );
                String::from_utf8_lossy(bytes).into_owned()
            }
        };
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { path: path.to_owned(), text, lines }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that paths in it begin at.
    pub fn folder(&self) -> PathBuf {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        std::path::absolute(parent.unwrap_or(Path::new("."))).unwrap_or_else(|_| PathBuf::from("/"))
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A part of it; what does not lie in it is empty.
    pub fn part(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or("")
    }

    /// Where a byte stands.
    pub fn place(&self, at: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count()) + 1;
        Place { line, column }
    }

    /// A line without its end, by its number from 1.
    pub fn line(&self, number: usize) -> &str {
        let start = number.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or(self.text.len());
        let rest = self.text.get(start..).unwrap_or("");
        rest.split('\n').next().unwrap_or("").trim_end_matches('\r')
    }

    /// Where a line begins.
    pub fn line_start(&self, number: usize) -> usize {
        number.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(bytes: &[u8]) -> (Source, Vec<Fault>) {
        let mut faults = Vec::new();
        (Source::new(Path::new("a.kdl"), bytes, &mut faults), faults)
    }

    #[test]
    fn places_count_characters() {
        let (source, faults) = source("a\nä \"ö\" x\r\nlast".as_bytes());
        assert!(faults.is_empty());
        for (piece, line, column) in [("a", 1, 1), ("\"", 2, 3), ("x", 2, 7), ("last", 3, 1)] {
            let at = source.text().find(piece).unwrap();
            assert_eq!(source.place(at), Place { line, column }, "{piece}");
        }
        assert_eq!(source.place(source.text().len()), Place { line: 3, column: 5 });
        assert_eq!((source.line(2), source.line(3), source.line(4), source.line(0)), ("ä \"ö\" x", "last", "", ""));
    }

    #[test]
    fn what_is_not_utf_8_is_told_at_its_place() {
        let (source, faults) = source(b"ok\nname \"M\xfcller\"\n");
        assert_eq!(faults.len(), 1);
        assert_eq!(source.place(faults[0].span.start), Place { line: 2, column: 8 });
        assert!(faults[0].message.contains("0xFC"));
    }

    #[test]
    fn a_file_has_a_largest_size() {
        let folder = std::env::temp_dir().join(format!("sportello-source-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("large.kdl");
        for (size, fits) in [(Source::MOST, true), (Source::MOST + 1, false)] {
            std::fs::write(&file, vec![b' '; usize::try_from(size).unwrap()]).unwrap();
            assert_eq!(Source::read(&file, &mut Vec::new()).is_ok(), fits, "{size}");
        }
        assert!(matches!(Source::read(&folder.join("none"), &mut Vec::new()), Err(ReadError::Missing(_))));
        assert!(matches!(Source::read(&folder, &mut Vec::new()), Err(ReadError::Io(..))));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
