//! Before SQLite opens the database: what is found in the write-ahead log is made to last.
//!
//! What can be read after a restart need not be on the disk. When a sync fails, Linux takes what it could not write for
//! clean: it is still read, and no later sync writes it. When the process dies between a write and its sync, the same is
//! true until somebody syncs. SQLite recovers such commits from its log and appends to them; a loss of power would then
//! end the log in the middle, and with it every commit since, answered or not; and bodies that a recovered deletion let
//! the sweep remove would be missed by rows that come back. So the log's bytes are written again, each where it stands,
//! and synced: whatever a cut leaves of that is what was there before, or is right.
//!
//! The log may be opened by hand while SQLite has it not: its locks are on the database and on the index. Bounded by
//! the log's length.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Bytes read and written at once.
const PIECE: usize = 256 << 10;

/// Writes the log again and syncs it; an absent or empty one needs nothing.
pub(crate) fn settle(log: &Path) -> io::Result<()> {
    let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed();
    let file = match OpenOptions::new().read(true).write(true).custom_flags(flags).open(log) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(why),
    };
    if write_again(&file)? > 0 {
        file.sync_all()?;
    }
    Ok(())
}

/// How many bytes there were.
fn write_again(file: &File) -> io::Result<u64> {
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    loop {
        match file.read_at(&mut piece, offset) {
            Ok(0) => return Ok(offset),
            Ok(length) => {
                file.write_all_at(piece.get(..length).unwrap_or_default(), offset)?;
                offset = offset.saturating_add(length as u64);
            }
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_the_same_afterwards() {
        let place = std::env::temp_dir().join(format!("sportello-settle-{}", std::process::id()));
        settle(&place).unwrap();
        assert!(!place.exists(), "nothing is made");
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let bytes: Vec<u8> = (0..length).map(|number| (number % 251) as u8).collect();
            std::fs::write(&place, &bytes).unwrap();
            settle(&place).unwrap();
            assert!(std::fs::read(&place).unwrap() == bytes, "{length} bytes");
        }
        std::fs::remove_file(&place).unwrap();
    }
}
