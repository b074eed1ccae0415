//! A Maildir: each message is written in `tmp`, and then named in `cur` with its flags, its file as old as the message.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use sportello_wire::mail::maildir::{Name, write};

use super::{Sink, copy, create, create_folder, place, sync_folder};
use crate::cli::conversation::resp::Commands;
use crate::cli::mail::Row;
use crate::cli::paper::Failed;

/// The folder, and what names messages in it, whatever their flags are by now.
pub struct Maildir {
    folder: PathBuf,
    there: HashSet<Vec<u8>>,
}

impl Maildir {
    /// Makes what is missing of it.
    pub fn open(folder: &Path) -> Result<Self, Failed> {
        let mut there = HashSet::new();
        for sub in ["tmp", "new", "cur"] {
            create_folder(&folder.join(sub))?;
            if sub != "tmp" {
                for entry in fs::read_dir(folder.join(sub))? {
                    there.insert(Name::read(entry?.file_name().as_bytes()).unique.to_vec());
                }
            }
        }
        Ok(Self { folder: folder.to_owned(), there })
    }
}

impl Sink for Maildir {
    fn save(&mut self, row: &Row, reader: &mut Commands) -> Result<Option<u64>, Failed> {
        let received = Duration::from_millis(row.received_ms);
        // Of two messages with the same bytes and moment, the place in the mailbox tells.
        let token = format!("{}U{}", row.hash.get(..16).unwrap_or(&row.hash), row.uid);
        let name = write(received.as_secs(), &token, row.size, row.marks());
        let unique = Name::read(name.as_bytes()).unique.to_vec();
        if self.there.contains(&unique) {
            return Ok(None);
        }
        let part = self.folder.join("tmp").join(name.split(':').next().unwrap_or(&name));
        // One that an earlier export left unfinished.
        let _ = fs::remove_file(&part);
        let mut file = create(&part)?;
        let done = match copy(row, reader, &mut file) {
            Ok(Some(bytes)) => {
                file.set_modified(UNIX_EPOCH + received)?;
                file.sync_all()?;
                place(&part, &self.folder.join("cur").join(&name))?;
                self.there.insert(unique);
                Ok(Some(bytes))
            }
            other => other,
        };
        let _ = fs::remove_file(&part);
        done
    }

    fn end(self: Box<Self>) -> Result<(), Failed> {
        sync_folder(&self.folder.join("cur"))?;
        Ok(sync_folder(&self.folder)?)
    }
}
