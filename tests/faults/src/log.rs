//! What the seam wrote: every call that changed a file, in the order in which the calls began.
//!
//! The layout is that of `struct record` in `seam.c`. Knows nothing of what a call means for a disk.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What a call did; the numbers are those of `enum kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Open,
    Write,
    Truncate,
    Allocate,
    Sync,
    Rename,
    Unlink,
    MakeFolder,
    Link,
    /// Something the model does not know.
    Unknown,
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    /// Its number in the one order of all begins and ends.
    pub(crate) begin: u64,
    /// The number of its end.
    pub(crate) end: u64,
    pub(crate) kind: Kind,
    /// What it returned: negative is an error number.
    pub(crate) result: i64,
    pub(crate) inode: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) flags: u64,
    pub(crate) path: PathBuf,
    /// The new name of a rename.
    pub(crate) path2: PathBuf,
    /// What was written.
    pub(crate) data: Vec<u8>,
}

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read the log {0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    #[error("{0} is not a log of the seam")]
    Foreign(PathBuf),
    #[error("the log {0} was too small: {1} calls are missing")]
    Overrun(PathBuf, u64),
    #[error("the log {0} breaks off at byte {1}")]
    Broken(PathBuf, usize),
}

/// Bytes before the first record.
const HEADER: usize = 4096;
/// "SEAM01".
const MAGIC: u64 = 0x3130_4d41_4553;
/// Words of a record before its paths and its data.
const WORDS: usize = 13;

/// The calls of a log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// In the order in which they began.
    pub(crate) ops: Vec<Op>,
    /// The files of calls that had not returned when the server was killed: they may have done something, or nothing.
    pub(crate) doubtful: Vec<PathBuf>,
}

/// Reads the log.
pub(crate) fn read(path: &Path) -> Result<Log, Error> {
    let io = |error| Error::Io(path.to_owned(), error);
    let mut file = File::open(path).map_err(io)?;
    let mut header = [0; HEADER];
    file.read_exact(&mut header).map_err(io)?;
    if word(&header, 0) != Some(MAGIC) {
        return Err(Error::Foreign(path.to_owned()));
    }
    let lost = word(&header, 5).unwrap_or_default();
    if lost > 0 {
        return Err(Error::Overrun(path.to_owned(), lost));
    }
    let mut bytes = Vec::new();
    file.take(word(&header, 2).unwrap_or_default()).read_to_end(&mut bytes).map_err(io)?;
    let mut log = Log::default();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let broken = || Error::Broken(path.to_owned(), at);
        match word(rest, 0).ok_or_else(broken)? {
            // Room that was taken by a call whose server was killed before it wrote there.
            0 => at += 8,
            length => {
                let length = usize::try_from(length).map_err(|_| broken())?;
                let record = rest.get(..length).ok_or_else(broken)?;
                if word(record, 1) == Some(1) {
                    log.ops.push(op(record).ok_or_else(broken)?);
                } else {
                    // Its words may not all be written; before they are, nothing was done.
                    log.doubtful.extend(op(record).map(|op| op.path));
                }
                at += length;
            }
        }
    }
    log.ops.sort_by_key(|op| op.begin);
    Ok(log)
}

fn op(record: &[u8]) -> Option<Op> {
    let number = |index| word(record, index);
    let length = |index| usize::try_from(word(record, index)?).ok();
    let (path, path2, data) = (length(10)?, length(11)?, length(12)?);
    let rest = record.get(WORDS * 8..)?;
    let text = |from: usize, length: usize| Some(String::from_utf8_lossy(rest.get(from..from + length)?).into_owned());
    Some(Op {
        begin: number(2)?,
        end: number(3)?,
        kind: kind(number(4)?)?,
        result: number(5)?.cast_signed(),
        inode: number(6)?,
        offset: number(7)?,
        length: number(8)?,
        flags: number(9)?,
        path: text(0, path)?.into(),
        path2: text(path, path2)?.into(),
        data: rest.get(path + path2..path + path2 + data)?.to_vec(),
    })
}

fn kind(number: u64) -> Option<Kind> {
    use Kind::{Allocate, Link, MakeFolder, Open, Rename, Sync, Truncate, Unknown, Unlink, Write};
    let kinds = [Open, Write, Truncate, Allocate, Sync, Rename, Unlink, MakeFolder, Link, Unknown];
    kinds.get(usize::try_from(number.checked_sub(1)?).ok()?).copied()
}

fn word(bytes: &[u8], index: usize) -> Option<u64> {
    bytes.get(index * 8..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
}
