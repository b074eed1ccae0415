//! Before SQLite opens the database: what is found in the write-ahead log, and at the database's beginning, is made to last.
//!
//! What can be read after a restart need not be on the disk. When a sync fails, Linux takes what it could not write for
//! clean: it is still read, and no later sync writes it. When the process dies between a write and its sync, the same is
//! true until somebody syncs. SQLite recovers such commits from its log and appends to them; a loss of power would then
//! end the log in the middle, and with it every commit since, answered or not; and bodies that a recovered deletion let
//! the sweep remove would be missed by rows that come back. So the log's bytes are written again, each where it stands,
//! and synced: whatever a cut leaves of that is what was there before, or is right.
//!
//! The same holds for the database's first page, which SQLite writes without its log when the database is made: with that
//! page lost, a log full of commits would be taken for one of nothing. All its other pages come out of the log, which is
//! not begun anew before they are synced.
//!
//! Both may be opened by hand while SQLite has them not: nobody holds a lock then. Bounded by the log's length.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Bytes read and written at once.
const PIECE: usize = 256 << 10;

/// The largest page that SQLite knows; the beginning of the database.
const BEGINNING: u64 = 64 << 10;

/// Writes the database's beginning and the whole log again, and syncs each; what is absent or empty needs nothing.
pub(crate) fn settle(database: &Path, log: &Path) -> io::Result<()> {
    for (path, most) in [(database, BEGINNING), (log, u64::MAX)] {
        let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed();
        let file = match OpenOptions::new().read(true).write(true).custom_flags(flags).open(path) {
            Ok(file) => file,
            Err(why) if why.kind() == io::ErrorKind::NotFound => continue,
            Err(why) => return Err(why),
        };
        if write_again(&file, most)? > 0 {
            file.sync_all()?;
        }
    }
    Ok(())
}

/// How many bytes there were, at most about `most`.
fn write_again(file: &File, most: u64) -> io::Result<u64> {
    let mut piece = vec![0; PIECE.min(usize::try_from(most).unwrap_or(PIECE))];
    let mut offset = 0;
    while offset < most {
        match file.read_at(&mut piece, offset) {
            Ok(0) => break,
            Ok(length) => {
                file.write_all_at(piece.get(..length).unwrap_or_default(), offset)?;
                offset = offset.saturating_add(length as u64);
            }
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_the_same_afterwards() {
        let place = std::env::temp_dir().join(format!("sportello-settle-{}", std::process::id()));
        settle(&place, &place).unwrap();
        assert!(!place.exists(), "nothing is made");
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let bytes: Vec<u8> = (0..length).map(|number| (number % 251) as u8).collect();
            std::fs::write(&place, &bytes).unwrap();
            settle(&place, &place).unwrap();
            assert!(std::fs::read(&place).unwrap() == bytes, "{length} bytes");
        }
        std::fs::remove_file(&place).unwrap();
    }
}
