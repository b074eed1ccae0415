//! What is to be read: a Maildir with its folders, a file of many messages, or a folder of such files.
//!
//! Whoever wrote them is not trusted by whoever reads them: beneath the path that was named no symbolic link is followed, and
//! only regular files are read, so that nobody's folder can hand us a file of somebody else's, a device or a pipe. A name
//! that means no mailbox is left out and told of. Bounded by the names of one folder in memory.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;
use sportello_wire::mail::folder;

use super::super::Form;
use super::trouble::Troubles;
use crate::cli::paper::{Failed, visible_bytes};

/// Messages that belong into one mailbox.
pub struct Part {
    /// The mailbox beneath that of the path that was named; empty: that one.
    pub mailbox: String,
    /// What they are called where something is told of them.
    pub label: String,
    /// Where they are.
    pub kind: Kind,
}

/// How messages are kept.
pub enum Kind {
    /// Each in a file, in the folders `cur` and `new` of this one.
    Maildir(OwnedFd),
    /// One after the other.
    Mbox(File),
}

/// One file of a Maildir.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// When it was received, as far as its times say: milliseconds since 1970.
    pub received_ms: u64,
    /// Its name.
    pub name: CString,
    /// `cur` or `new`.
    pub folder: &'static str,
    /// Its bytes.
    pub size: u64,
}

/// What is at a path. What is left out is told to `troubles`.
pub fn find(path: &Path, form: Option<Form>, troubles: &mut Troubles) -> Result<Vec<Part>, Failed> {
    let failed = |error: std::io::Error| Failed::new(format!("{} cannot be read: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    let label = path.display().to_string();
    if !file.metadata().map_err(failed)?.is_dir() {
        if form == Some(Form::Maildir) {
            return Err(Failed::new(format!("{label} is no folder, and a Maildir is one")));
        }
        return Ok(vec![Part { mailbox: String::new(), label, kind: Kind::Mbox(file) }]);
    }
    let folder = OwnedFd::from(file);
    let is_maildir = beneath(&folder, "cur").is_ok() || beneath(&folder, "new").is_ok();
    let parts = match form {
        Some(Form::Maildir) => maildirs(folder, &label, troubles),
        Some(Form::Mbox) => files(&folder, &label, troubles),
        _ if is_maildir => maildirs(folder, &label, troubles),
        _ => files(&folder, &label, troubles),
    };
    let parts = parts.map_err(|error| failed(error.into()))?;
    if parts.is_empty() {
        return Err(Failed::new(format!(
            "{label} is neither a Maildir (with cur and new in it) nor a folder of mbox files"
        )));
    }
    Ok(parts)
}

/// The Maildir itself, and Maildir++'s folders in it.
fn maildirs(root: OwnedFd, label: &str, troubles: &mut Troubles) -> Result<Vec<Part>, Errno> {
    let mut parts = Vec::new();
    for name in names(&root)? {
        let Some(written) = name.to_bytes().strip_prefix(b".") else { continue };
        if matches!(written, b"" | b".") {
            continue;
        }
        let told = format!("{label}/{}", visible_bytes(name.to_bytes()));
        let folder = match openat(&root, &name, FOLDER, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::NOTDIR) if is_file(&root, &name) => continue,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                troubles.tell(told, "it is a symbolic link, which is not followed");
                continue;
            }
            Err(error) => {
                troubles.tell(told, error);
                continue;
            }
        };
        match folder::of_file(written) {
            Some(mailbox) => parts.push(Part { mailbox, label: told, kind: Kind::Maildir(folder) }),
            None => troubles.tell(told, "its name means no mailbox"),
        }
    }
    parts.sort_by(|one, other| one.mailbox.cmp(&other.mailbox));
    parts.insert(0, Part { mailbox: String::new(), label: label.to_owned(), kind: Kind::Maildir(root) });
    Ok(parts)
}

/// The files in a folder that begin as a mailbox file does.
fn files(folder: &OwnedFd, label: &str, troubles: &mut Troubles) -> Result<Vec<Part>, Errno> {
    let mut parts = Vec::new();
    for name in names(folder)? {
        let written = name.to_bytes();
        if written.starts_with(b".") {
            continue;
        }
        let told = format!("{label}/{}", visible_bytes(written));
        let file = match regular(folder, &name) {
            Ok(Some(file)) => file,
            Ok(None) => continue,
            Err(error) => {
                troubles.tell(told, error);
                continue;
            }
        };
        // Where it is read from later stays its beginning.
        let mut start = [0; 5];
        if file.read_exact_at(&mut start, 0).is_err() || start != *b"From " {
            continue;
        }
        match folder::of_file(written.strip_suffix(b".mbox").unwrap_or(written)) {
            Some(mailbox) => parts.push(Part { mailbox, label: told, kind: Kind::Mbox(file) }),
            None => troubles.tell(told, "its name means no mailbox"),
        }
    }
    parts.sort_by(|one, other| one.mailbox.cmp(&other.mailbox));
    Ok(parts)
}

/// The messages of a Maildir, in the order in which they came. `tmp` holds what is not whole.
pub fn entries(maildir: &OwnedFd, label: &str, troubles: &mut Troubles) -> Vec<Entry> {
    let mut entries = Vec::new();
    for sub in ["cur", "new"] {
        let listed = beneath(maildir, sub).and_then(|folder| {
            for name in names(&folder)? {
                let told = || format!("{label}/{sub}/{}", visible_bytes(name.to_bytes()));
                if name.to_bytes().starts_with(b".") {
                    continue;
                }
                match statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                        let size = u64::try_from(stat.st_size).unwrap_or(0);
                        let modified = (stat.st_mtime, stat.st_mtime_nsec);
                        let received_ms = received(name.to_bytes(), modified);
                        entries.push(Entry { received_ms, name, folder: sub, size });
                    }
                    Ok(_) => troubles.tell(told(), "it is no regular file"),
                    // Moved or deleted by whoever uses the Maildir meanwhile.
                    Err(Errno::NOENT) => {}
                    Err(error) => troubles.tell(told(), error),
                }
            }
            Ok(())
        });
        match listed {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => troubles.tell(format!("{label}/{sub}"), error),
        }
    }
    entries.sort();
    entries
}

/// When a message came: when its file was last written, or, where the file was copied without its times, the seconds that
/// its name begins with. The earlier one counts: neither is ever too early.
fn received(name: &[u8], (seconds, nanoseconds): (i64, u64)) -> u64 {
    let modified = u64::try_from(seconds).unwrap_or(0);
    let named = sportello_wire::mail::maildir::Name::read(name).seconds.filter(|named| *named < modified);
    match named {
        Some(named) => named.saturating_mul(1000),
        None => modified.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000),
    }
}

/// Opens a message of a Maildir; `None`: it is gone.
pub fn open(maildir: &OwnedFd, entry: &Entry) -> Result<Option<File>, Errno> {
    match beneath(maildir, entry.folder).and_then(|folder| regular(&folder, &entry.name)) {
        Err(Errno::NOENT) => Ok(None),
        opened => opened,
    }
}

/// A regular file that is no symbolic link; `None` for what is something else.
fn regular(folder: &OwnedFd, name: &CString) -> Result<Option<File>, Errno> {
    // Whoever opens a pipe would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(folder, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::LOOP | Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error),
    };
    let is_regular = FileType::from_raw_mode(fstat(file.as_fd())?.st_mode) == FileType::RegularFile;
    Ok(is_regular.then(|| File::from(file)))
}

fn is_file(folder: &OwnedFd, name: &CString) -> bool {
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn beneath(folder: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    openat(folder, name, FOLDER, Mode::empty())
}

fn names(folder: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        names.push(entry?.file_name().to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sportello-source-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn nothing_leads_out_of_a_maildir() {
        let secret = folder("secret");
        fs::create_dir_all(secret.join("cur")).unwrap();
        fs::write(secret.join("cur/1.x:2,"), "secret").unwrap();
        let root = folder("maildir");
        for name in ["cur", "new", "tmp", ".Archive.2024/cur", ".a..b/cur"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::write(root.join("cur/17.x:2,S"), "A: b\n").unwrap();
        fs::write(root.join("tmp/18.x"), "half").unwrap();
        fs::write(root.join(".hidden"), "no folder").unwrap();
        symlink(secret.join("cur/1.x:2,"), root.join("cur/2.x:2,")).unwrap();
        symlink(&secret, root.join(".Leak")).unwrap();
        symlink(secret.join("cur"), root.join(".Archive.2024/new")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, root.join("new/3.x"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let mut troubles = Troubles::default();
        let parts = find(&root, None, &mut troubles).unwrap();
        let found: Vec<&str> = parts.iter().map(|part| part.mailbox.as_str()).collect();
        assert_eq!(found, ["", "Archive/2024"]);
        let mut all = Vec::new();
        for part in &parts {
            let Kind::Maildir(maildir) = &part.kind else { panic!("a Maildir") };
            for entry in entries(maildir, &part.label, &mut troubles) {
                assert!(open(maildir, &entry).unwrap().is_some());
                all.push(entry.name.into_string().unwrap());
            }
        }
        assert_eq!(all, ["17.x:2,S"]);
        let told = troubles.named().iter().map(|(what, _)| what.rsplit('/').next().unwrap().to_owned());
        let mut told: Vec<String> = told.collect();
        told.sort();
        assert_eq!(told, [".Leak", ".a..b", "2.x:2,", "3.x", "new"]);
        for folder in [secret, root] {
            fs::remove_dir_all(folder).unwrap();
        }
    }

    #[test]
    fn files_of_mail_are_told_from_others() {
        let root = folder("files");
        for (name, text) in [("Inbox.mbox", "From x\n\n"), ("Archive.2024.mbox", "From "), ("notes.txt", "Dear")] {
            fs::write(root.join(name), text).unwrap();
        }
        symlink("/etc/passwd", root.join("leak.mbox")).unwrap();
        let mut troubles = Troubles::default();
        let parts = find(&root, None, &mut troubles).unwrap();
        assert_eq!(parts.iter().map(|part| part.mailbox.as_str()).collect::<Vec<_>>(), ["Archive/2024", "Inbox"]);
        let Kind::Mbox(file) = &parts[1].kind else { panic!("a file") };
        assert_eq!(std::io::read_to_string(file).unwrap(), "From x\n\n", "from its beginning");
        assert_eq!(find(&root.join("Inbox.mbox"), None, &mut troubles).unwrap().len(), 1);
        assert!(find(&root.join("Inbox.mbox"), Some(Form::Maildir), &mut troubles).is_err());
        fs::remove_file(root.join("Inbox.mbox")).unwrap();
        fs::remove_file(root.join("Archive.2024.mbox")).unwrap();
        assert!(find(&root, None, &mut troubles).is_err() && find(&root.join("gone"), None, &mut troubles).is_err());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_earlier_moment_counts() {
        for (name, modified, expect) in [
            ("1000.x", (2000, 5_000_000), 1_000_000),
            ("2000.x", (1000, 5_000_000), 1_000_005),
            ("1000.x", (1000, 5_000_000), 1_000_005),
            ("x", (1000, 999_999_999), 1_000_999),
            ("x", (-1, 0), 0),
        ] {
            assert_eq!(received(name.as_bytes(), modified), expect, "{name}");
        }
    }
}
