//! The write-ahead log gets its first bytes before there are rows for them.
//!
//! A commit that makes the log longer must also put its new length and its new blocks on the disk, by way of the file
//! system's journal: its sync takes twice as long as one of bytes that only overwrite others. So zeros are written where
//! the log will grow. Zeros, not `fallocate` alone: blocks that were never written are marked as such, and to unmark them
//! is a change of the journal as well.
//!
//! SQLite takes a log that begins with zeros for an empty one, since its magic number is missing, and zeros behind the
//! last commit for its end: each page of the log carries the log's salt and a sum over all before it.
//!
//! Knows nothing of what is written there. Bounded by [`PREPARED`]; left out where the disk has no room to spare.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::sqlite::checkpoint::{SOFT, log_bytes};

/// Bytes of the log that are there from the start, 4 MiB: what one session writes until the log is begun anew, with some
/// to spare for what it writes during the checkpoint before that.
const PREPARED: u64 = log_bytes(SOFT + SOFT / 3).cast_unsigned();

/// It is left out unless so many times as much is free, beside the reserve.
const SPARE: u64 = 16;

/// Bytes written at once.
const PIECE: usize = 256 << 10;

/// Lengthens the log with zeros, not synced: the next commit's sync takes them along. Whoever calls it holds SQLite's
/// write lock, for everyone else may lengthen the log. After an error the log is as it was, or has more zeros than before.
pub(crate) fn prepare(log: &Path, reserve: u64) -> io::Result<()> {
    let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed();
    let file = OpenOptions::new().write(true).custom_flags(flags).open(log)?;
    let before = file.metadata()?.len();
    if before >= PREPARED {
        return Ok(());
    }
    let state = rustix::fs::fstatvfs(&file)?;
    let available = state.f_bavail.saturating_mul(state.f_frsize).saturating_sub(reserve);
    if available / SPARE < PREPARED {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let written = write_zeros(&file, before);
    if written.is_err() {
        // What cannot be given back stays, and is written over.
        let _ = file.set_len(before);
    }
    written
}

fn write_zeros(file: &File, from: u64) -> io::Result<()> {
    let zeros = vec![0; PIECE];
    let mut offset = from;
    while offset < PREPARED {
        let left = usize::try_from(PREPARED - offset).unwrap_or(PIECE);
        let piece = zeros.get(..left.min(PIECE)).unwrap_or(&zeros);
        file.write_all_at(piece, offset)?;
        offset = offset.saturating_add(piece.len() as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    use rusqlite::Connection;

    fn place(name: &str) -> PathBuf {
        let place = std::env::temp_dir().join(format!("sportello-prepare-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir(&place).unwrap();
        place
    }

    #[test]
    fn it_is_lengthened_and_what_is_there_stays() {
        let place = place("length");
        let log = place.join("log");
        assert!(prepare(&log, 0).is_err() && !log.exists(), "nothing is made");
        let most = usize::try_from(PREPARED).unwrap();
        for length in [0, 1, PIECE, most - 1, most, most + 1] {
            fs::write(&log, vec![b'x'; length]).unwrap();
            prepare(&log, 0).unwrap();
            let bytes = fs::read(&log).unwrap();
            assert_eq!(bytes.len(), length.max(most));
            assert!(bytes[..length].iter().all(|byte| *byte == b'x'), "{length}");
            assert!(bytes[length..].iter().all(|byte| *byte == 0), "{length}");
        }
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn it_is_left_as_it_is_where_room_is_short() {
        let place = place("room");
        let log = place.join("log");
        fs::write(&log, "x").unwrap();
        let why = prepare(&log, u64::MAX).unwrap_err();
        assert_eq!((why.kind(), fs::read(&log).unwrap().as_slice()), (io::ErrorKind::StorageFull, b"x".as_slice()));
        fs::remove_dir_all(&place).unwrap();
    }

    /// The state a killed process leaves, since both files are copied while SQLite has them open.
    #[test]
    fn sqlite_finds_every_commit_before_the_zeros_and_nothing_in_them() {
        let place = place("found");
        let (database, log) = (place.join("a.db"), place.join("a.db-wal"));
        let connection = Connection::open(&database).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        let killed = |rows: i64| {
            let (copy, copied_log) = (place.join("b.db"), place.join("b.db-wal"));
            fs::copy(&database, &copy).unwrap();
            fs::copy(&log, &copied_log).unwrap();
            let reopened = Connection::open(&copy).unwrap();
            let count = |connection: &Connection| -> i64 {
                connection.query_row("SELECT count(*) FROM t", (), |row| row.get(0)).unwrap()
            };
            assert_eq!(count(&reopened), rows);
            reopened.execute("INSERT INTO t VALUES (0)", ()).unwrap();
            assert_eq!(count(&reopened), rows + 1);
            let whole: String = reopened.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
            assert_eq!(whole, "ok");
        };
        let empty_log = |sql: &str| connection.query_row(sql, (), |_| Ok(())).unwrap();
        connection.execute("CREATE TABLE t (a INTEGER)", ()).unwrap();
        // Zeros behind a commit; zeros from the first byte; old pages behind new ones, and zeros behind those.
        prepare(&log, 0).unwrap();
        killed(0);
        empty_log("PRAGMA wal_checkpoint(TRUNCATE)");
        prepare(&log, 0).unwrap();
        killed(0);
        for rows in 1..=3 {
            connection.execute("INSERT INTO t VALUES (?1)", [rows]).unwrap();
            killed(rows);
        }
        empty_log("PRAGMA wal_checkpoint(RESTART)");
        connection.execute("INSERT INTO t VALUES (4)", ()).unwrap();
        killed(4);
        assert_eq!(fs::metadata(&log).unwrap().len(), PREPARED);
        fs::remove_dir_all(&place).unwrap();
    }
}
