//! A folder with one file for each message.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Sink, beside, copy, create, create_folder, place, sync_folder};
use crate::cli::conversation::resp::Commands;
use crate::cli::mail::Row;
use crate::cli::paper::Failed;

/// The folder.
pub struct Eml(PathBuf);

impl Eml {
    /// Makes it where it is missing.
    pub fn open(folder: &Path) -> Result<Self, Failed> {
        create_folder(folder)?;
        Ok(Self(folder.to_owned()))
    }
}

impl Sink for Eml {
    fn save(&mut self, row: &Row, reader: &mut Commands) -> Result<Option<u64>, Failed> {
        let path = self.0.join(format!("{}.eml", row.id));
        if fs::symlink_metadata(&path).is_ok() {
            return Ok(None);
        }
        let part = beside(&path);
        // One that an earlier export left unfinished.
        let _ = fs::remove_file(&part);
        let mut file = create(&part)?;
        let done = match copy(row, reader, &mut file) {
            Ok(Some(bytes)) => {
                file.sync_data().and_then(|()| place(&part, &path)).map(|()| Some(bytes)).map_err(Failed::from)
            }
            other => other,
        };
        let _ = fs::remove_file(&part);
        done
    }

    fn end(self: Box<Self>) -> Result<(), Failed> {
        Ok(sync_folder(&self.0)?)
    }
}
