//! The server at the end of a relay: `smtp-sink` of Postfix, beside the load and not measured. It takes all mail, keeps
//! none, and counts what it took.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{free_address, listens};
use crate::error::{Doing, Error};
use crate::harness::{Harness, Process};

/// A sink; dropping it stops it.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    process: Process,
    counters: PathBuf,
}

impl Sink {
    /// Starts one for the server `of`.
    pub(crate) fn start(harness: &Harness, of: &str) -> Result<Self, Error> {
        let address = free_address()?;
        let counters = harness.folder(&format!("sink-of-{of}"))?.join("counters");
        let file = File::create(&counters).doing(|| COUNTERS.to_owned())?;
        let (at, waiting) = (address.to_string(), "256");
        let arguments = ["-c", "-u", "postfix", &at, waiting].map(str::to_owned);
        let mut process = harness.start_beside("smtp-sink", "smtp-sink", &arguments, |command| {
            command.stdout(file);
        })?;
        process.wait_until("listening", || listens(address))?;
        Ok(Self { address, process, counters })
    }

    /// How many mails it has taken so far; an error where it has ended.
    pub(crate) fn taken(&mut self) -> Result<u64, Error> {
        self.process.alive()?;
        last_count(&self.counters)
    }
}

const COUNTERS: &str = "reading what smtp-sink has counted";

/// The last count in the file: `smtp-sink -c` writes `sess=N quit=N mesg=N` and a CR over and over again.
fn last_count(counters: &Path) -> Result<u64, Error> {
    let mut file = File::open(counters).doing(|| COUNTERS.to_owned())?;
    let length = file.metadata().doing(|| COUNTERS.to_owned())?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TWO_LINES))).doing(|| COUNTERS.to_owned())?;
    let mut text = String::new();
    file.take(2 * TWO_LINES).read_to_string(&mut text).doing(|| COUNTERS.to_owned())?;
    Ok(count(&text).unwrap_or(0))
}

/// More octets than two lines have.
const TWO_LINES: u64 = 256;

/// The count of the last line that is whole.
fn count(text: &str) -> Option<u64> {
    let (whole, _) = text.rsplit_once('\r')?;
    whole.rsplit_once("mesg=")?.1.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_line_counts() {
        for (text, expect) in [
            ("", None),
            ("sess=1 quit=0 mesg=7", None),
            ("sess=1 quit=0 mesg=7\r", Some(7)),
            ("sess=1 quit=0 mesg=7\rsess=1 quit=1 mesg=12\rsess=2 quit=1 me", Some(12)),
            ("sess=1 quit=0 mesg=\r", None),
        ] {
            assert_eq!(count(text), expect, "{text:?}");
        }
    }
}
