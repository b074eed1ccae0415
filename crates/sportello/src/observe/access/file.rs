//! The file of an access log: appended to in whole lines, and put aside when it is large or old.
//!
//! `FILE` becomes `FILE.1`, that becomes `FILE.2`, and so on; the oldest beyond [`Rotation::keep`] is removed. A block of lines that
//! does not fit on the disk is taken back whole, so that no line is ever half. Waits for the disk: for a thread of its own only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// When a file is put aside, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// When it would become larger than this.
    pub size: u64,
    /// When it was begun longer ago than this.
    pub age: Option<Duration>,
    /// Files put aside that are kept; 1 to [`Rotation::KEEP_MOST`].
    pub keep: u32,
}

impl Rotation {
    /// The most files put aside: each rotation renames them all.
    pub const KEEP_MOST: u32 = 1000;
}

impl Default for Rotation {
    fn default() -> Self {
        Self { size: 100 << 20, age: Some(Duration::from_secs(3_660 * 86_400)), keep: 10 }
    }
}

/// An open log.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    began: SystemTime,
}

impl LogFile {
    /// Opens a log to append to it, or begins one that only this user and its group may read.
    ///
    /// # Errors
    /// When the kernel refuses, or something else than a file bears the name.
    pub fn open(path: &Path) -> io::Result<Self> {
        // NONBLOCK so that a FIFO without a reader does not keep the thread.
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(flags).open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        let began = if found.len() == 0 { SystemTime::now() } else { found.created().or_else(|_| found.modified())? };
        Ok(Self { path: path.to_owned(), file, size: found.len(), began })
    }

    /// Appends whole lines, in a new file where that is due at `now`.
    ///
    /// # Errors
    /// When they cannot be written; then none of them is.
    pub fn write(&mut self, lines: &[u8], rotation: Rotation, now: SystemTime) -> io::Result<()> {
        let length = lines.len() as u64;
        let is_old = |age| now.duration_since(self.began).is_ok_and(|passed| passed >= age);
        let is_due = self.size.saturating_add(length) > rotation.size || rotation.age.is_some_and(is_old);
        if self.size > 0 && is_due {
            self.put_aside(rotation.keep)?;
        }
        if let Err(error) = self.file.write_all(lines) {
            // A half line would swallow the next one. If this fails too, nothing more can be done about it.
            let _ = self.file.set_len(self.size);
            return Err(error);
        }
        self.size = self.size.saturating_add(length);
        Ok(())
    }

    /// Whether the file is no longer what its name leads to: somebody has put it aside.
    pub fn was_moved(&self) -> bool {
        match (fs::metadata(&self.path), self.file.metadata()) {
            (Ok(named), Ok(open)) => (named.dev(), named.ino()) != (open.dev(), open.ino()),
            _ => true,
        }
    }

    fn put_aside(&mut self, keep: u32) -> io::Result<()> {
        for number in (1..keep.clamp(1, Rotation::KEEP_MOST)).rev() {
            match fs::rename(aside(&self.path, number), aside(&self.path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, aside(&self.path, 1))?;
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sportello-access-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_put_aside_when_it_would_be_too_large() {
        let folder = folder("size");
        let path = folder.join("a.log");
        let rotation = Rotation { size: 10, age: None, keep: 2 };
        let now = SystemTime::now();
        let mut log = LogFile::open(&path).unwrap();
        // Ten bytes fit, one more does not.
        for line in ["1234\n", "6789\n", "b\n", "c234567890\n", "d\n", "e\n"] {
            log.write(line.as_bytes(), rotation, now).unwrap();
        }
        assert_eq!(names(&folder), ["a.log", "a.log.1", "a.log.2"]);
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(
            (read("a.log"), read("a.log.1"), read("a.log.2")),
            ("d\ne\n".into(), "c234567890\n".into(), "b\n".into())
        );
        // One that is there already goes on.
        let mut again = LogFile::open(&path).unwrap();
        again.write(b"f2345\n", rotation, now).unwrap();
        assert_eq!(read("a.log"), "d\ne\nf2345\n");
        again.write(b"g\n", rotation, now).unwrap();
        assert_eq!((read("a.log"), read("a.log.1")), ("g\n".into(), "d\ne\nf2345\n".into()));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_is_put_aside_when_it_is_old() {
        let folder = folder("age");
        let path = folder.join("a.log");
        let rotation = Rotation { age: Some(Duration::from_secs(60)), ..Rotation::default() };
        let mut log = LogFile::open(&path).unwrap();
        let began = log.began;
        for (seconds, files) in [(0, 1), (59, 1), (60, 2)] {
            log.write(b"x\n", rotation, began + Duration::from_secs(seconds)).unwrap();
            assert_eq!(names(&folder).len(), files, "after {seconds} s");
        }
        // A clock that was set back puts nothing aside.
        log.write(b"x\n", rotation, began - Duration::from_secs(3_600)).unwrap();
        assert_eq!(names(&folder).len(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn it_is_noticed_when_somebody_else_has_put_it_aside() {
        let folder = folder("moved");
        let path = folder.join("a.log");
        let log = LogFile::open(&path).unwrap();
        assert!(!log.was_moved());
        fs::rename(&path, folder.join("b.log")).unwrap();
        assert!(log.was_moved());
        let _other = LogFile::open(&path).unwrap();
        assert!(log.was_moved());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_taken_back_whole() {
        let full = LogFile::open(Path::new("/dev/full"));
        assert_eq!(full.map(|_| ()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let folder = folder("full");
        let path = folder.join("a.log");
        let mut log = LogFile::open(&path).unwrap();
        log.write(b"one\n", Rotation::default(), SystemTime::now()).unwrap();
        // A descriptor that may not be written fails as a full disk does.
        log.file = File::open(&path).unwrap();
        assert!(log.write(b"two\n", Rotation::default(), SystemTime::now()).is_err());
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), log.size), ("one\n", 4));
        fs::remove_dir_all(&folder).unwrap();
    }
}
