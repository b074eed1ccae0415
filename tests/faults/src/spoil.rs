//! Damage to the search index at rest, as a bad disk or a careless person does it. Touches nothing else.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::random::Random;

/// Bytes of a page of the index.
const PAGE: u64 = 4096;

/// Damages the index in a state folder; how. `None`: there is none to be damaged.
pub(crate) fn spoil(state: &Path, random: &mut Random) -> io::Result<Option<String>> {
    let (file, log) = (state.join("search.db"), state.join("search.db-wal"));
    let Ok(about) = fs::metadata(&file) else { return Ok(None) };
    let pages = about.len() / PAGE;
    let fill = if random.one_in(2) { 0 } else { 0xa5 };
    let how = match random.between(0, 6) {
        0 => {
            fs::remove_file(&file)?;
            "removed".to_owned()
        }
        1 => {
            fs::write(&file, vec![fill; usize::try_from(about.len()).unwrap_or_default()])?;
            format!("overwritten with {fill:#x}")
        }
        2 => {
            let length = random.between(0, about.len());
            OpenOptions::new().write(true).open(&file)?.set_len(length)?;
            format!("cut to {length} bytes")
        }
        3 if log.exists() => {
            fs::write(&log, vec![fill; usize::try_from(fs::metadata(&log)?.len()).unwrap_or_default()])?;
            format!("its log overwritten with {fill:#x}")
        }
        _ => {
            let open = OpenOptions::new().write(true).open(&file)?;
            let some = random.between(1, pages.max(1));
            for _ in 0..some {
                let page = random.between(0, pages.saturating_sub(1));
                open.write_all_at(&vec![fill; PAGE as usize], page * PAGE)?;
            }
            format!("up to {some} of its {pages} pages overwritten with {fill:#x}")
        }
    };
    Ok(Some(format!("the index {how}")))
}
