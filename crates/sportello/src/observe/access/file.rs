//! The file of an access log: appended to in whole lines, and put aside when it is large or old.
//!
//! `FILE` becomes `FILE.1`, that becomes `FILE.2`, and so on; the oldest beyond [`Rotation::keep`] is removed. What of this fails is
//! tried again after [`AGAIN`], and until then lines go where they went: a file that was put aside moves only to a place that is free
//! or the last one, so trying again and again destroys nothing. A block of lines that
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

/// How long a file that could not be put aside is written on.
const AGAIN: Duration = Duration::from_secs(60);

/// An open log.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    began: SystemTime,
    /// When it could not be put aside.
    failed: Option<SystemTime>,
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
        Ok(Self { path: path.to_owned(), file, size: found.len(), began, failed: None })
    }

    /// Appends whole lines, in a new file where that is due at `now`.
    ///
    /// # Errors
    /// When they cannot be written; then none of them is.
    pub fn write(&mut self, lines: &[u8], rotation: Rotation, now: SystemTime) -> io::Result<()> {
        let length = lines.len() as u64;
        let is_old = |age| now.duration_since(self.began).is_ok_and(|passed| passed >= age);
        let is_due = self.size.saturating_add(length) > rotation.size || rotation.age.is_some_and(is_old);
        // A clock that was set back waits for nothing.
        let is_too_soon = |failed| now.duration_since(failed).is_ok_and(|passed| passed < AGAIN);
        if self.size > 0 && is_due && !self.failed.is_some_and(is_too_soon) {
            self.failed = None;
            if let Err(error) = self.put_aside(rotation.keep, now) {
                let log = self.path.display();
                tracing::warn!(%log, %error, "an access log cannot be put aside: it grows on");
                self.failed = Some(now);
            }
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

    /// Goes on in a new file. Where that fails, this one is what it was.
    fn put_aside(&mut self, keep: u32, now: SystemTime) -> io::Result<()> {
        if self.was_moved() {
            // Somebody else has put it aside.
            *self = Self::open(&self.path)?;
            return Ok(());
        }
        // First what may fail: without a descriptor or a place on the disk nothing is moved.
        let (new, file) = new_beside(&self.path)?;
        let moved = make_room(&self.path, keep).and_then(|first| {
            fs::rename(&self.path, &first)?;
            // What cannot be put in its place leaves it where it was.
            fs::rename(&new, &self.path).inspect_err(|_| drop(fs::rename(&first, &self.path)))
        });
        if let Err(error) = moved {
            // It is empty, and would be in the way only of the next one, which removes it too.
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        (self.file, self.size, self.began) = (file, 0, now);
        Ok(())
    }
}

/// A new file beside a log.
fn new_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let new = suffixed(path, "new");
    let open = || OpenOptions::new().append(true).create_new(true).mode(0o640).open(&new);
    let file = open().or_else(|error| match error.kind() {
        // Of a server that ended just then.
        io::ErrorKind::AlreadyExists => fs::remove_file(&new).and_then(|()| open()),
        _ => Err(error),
    })?;
    Ok((new, file))
}

/// Makes `FILE.1` free, and says it: what was put aside before moves up to the first number that is free, the last one's goes.
fn make_room(path: &Path, keep: u32) -> io::Result<PathBuf> {
    let keep = keep.clamp(1, Rotation::KEEP_MOST);
    let mut free = 1;
    while free < keep && is_there(&aside(path, free))? {
        free += 1;
    }
    for number in (1..free).rev() {
        fs::rename(aside(path, number), aside(path, number + 1))?;
    }
    Ok(aside(path, 1))
}

fn is_there(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn aside(path: &Path, number: u32) -> PathBuf {
    suffixed(path, &number.to_string())
}

fn suffixed(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
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

    /// A log that is due with every line, and `keep` files that were put aside, each with its number in it.
    fn full(name: &str, keep: u32) -> (PathBuf, LogFile, Rotation) {
        let folder = folder(name);
        let path = folder.join("a.log");
        fs::write(&path, "first\n").unwrap();
        (1..=keep).for_each(|number| fs::write(aside(&path, number), number.to_string()).unwrap());
        (folder, LogFile::open(&path).unwrap(), Rotation { size: 1, age: None, keep })
    }

    /// The numbers in the files that were put aside.
    fn kept(path: &Path, keep: u32) -> Vec<String> {
        (1..=keep).map(|number| fs::read_to_string(aside(path, number)).unwrap_or_default()).collect()
    }

    #[test]
    fn a_log_that_somebody_took_away_begins_anew_and_moves_nothing() {
        let (folder, mut log, rotation) = full("taken", 4);
        let path = folder.join("a.log");
        fs::rename(&path, folder.join("elsewhere")).unwrap();
        log.write(b"x\n", rotation, SystemTime::now()).unwrap();
        assert_eq!(kept(&path, 4), ["1", "2", "3", "4"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "x\n");
        assert_eq!(fs::read_to_string(folder.join("elsewhere")).unwrap(), "first\n");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_rotation_that_fails_again_and_again_destroys_nothing_and_loses_no_line() {
        let now = SystemTime::now();
        for case in ["no new file", "no folder"] {
            let (folder, mut log, rotation) = full("failing", 6);
            let mut path = folder.join("a.log");
            if case == "no folder" {
                fs::rename(&folder, gone(&path)).unwrap();
                path = gone(&path).join("a.log");
            } else {
                // A folder in its place that is not empty: neither a file nor removed.
                fs::create_dir(suffixed(&path, "new")).unwrap();
                fs::write(suffixed(&path, "new").join("x"), "").unwrap();
            }
            for minute in 0..8 {
                log.write(b"x\n", rotation, now + AGAIN * minute).unwrap();
            }
            assert_eq!(kept(&path, 6), ["1", "2", "3", "4", "5", "6"], "{case}");
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("first\n{}", "x\n".repeat(8)), "{case}");
            let _ = fs::remove_dir_all(&folder);
            let _ = fs::remove_dir_all(gone(&folder.join("a.log")));
        }
    }

    /// Where a folder goes that is taken away.
    fn gone(path: &Path) -> PathBuf {
        path.parent().unwrap().with_extension("gone")
    }

    #[test]
    fn one_that_failed_is_tried_again_after_a_minute() {
        let (folder, mut log, rotation) = full("later", 2);
        let (path, now) = (folder.join("a.log"), SystemTime::now());
        fs::create_dir(suffixed(&path, "new")).unwrap();
        log.write(b"x\n", rotation, now).unwrap();
        fs::remove_dir(suffixed(&path, "new")).unwrap();
        log.write(b"y\n", rotation, now + AGAIN - Duration::from_millis(1)).unwrap();
        assert_eq!(kept(&path, 2), ["1", "2"]);
        log.write(b"z\n", rotation, now + AGAIN).unwrap();
        assert_eq!(kept(&path, 2), ["first\nx\ny\n", "1"]);
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), log.size), ("z\n", 2));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_was_put_aside_moves_to_the_first_number_that_is_free() {
        let (folder, mut log, rotation) = full("gap", 4);
        let path = folder.join("a.log");
        fs::remove_file(aside(&path, 2)).unwrap();
        // Of a server that ended in the middle.
        fs::write(suffixed(&path, "new"), "").unwrap();
        log.write(b"x\n", rotation, SystemTime::now()).unwrap();
        assert_eq!(kept(&path, 4), ["first\n", "1", "3", "4"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
