//! One file, in the form mboxrd.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sportello_wire::mail::mbox::Writer;

use super::{Sink, beside, copy, create, place, sync_folder};
use crate::cli::conversation::resp::Commands;
use crate::cli::mail::Row;
use crate::cli::paper::Failed;

/// The file, which has another name until it is whole; dropped before, it is removed.
pub struct Mbox {
    path: PathBuf,
    part: PathBuf,
    out: BufWriter<File>,
}

impl Mbox {
    /// Begins it. It must not be there yet.
    pub fn open(path: &Path) -> Result<Self, Failed> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(Failed::new(format!("{} is there already; nothing was written", path.display()))),
        }
        let part = beside(path);
        let out = BufWriter::new(create(&part)?);
        Ok(Self { path: path.to_owned(), part, out })
    }
}

impl Drop for Mbox {
    fn drop(&mut self) {
        // What is not whole gets no name.
        let _ = fs::remove_file(&self.part);
    }
}

impl Sink for Mbox {
    fn save(&mut self, row: &Row, reader: &mut Commands) -> Result<Option<u64>, Failed> {
        let mut message = Message { row, out: &mut self.out, writer: None, last: None, text: Vec::new() };
        let Some(bytes) = copy(row, reader, &mut message)? else { return Ok(Some(0)) };
        message.end()?;
        Ok(Some(bytes))
    }

    fn end(mut self: Box<Self>) -> Result<(), Failed> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        place(&self.part, &self.path)?;
        Ok(sync_folder(self.path.parent().unwrap_or(&self.path))?)
    }
}

/// One message as it comes. Nothing is written before its first byte: it may be gone.
struct Message<'a, W: Write> {
    row: &'a Row,
    out: &'a mut W,
    writer: Option<Writer>,
    last: Option<u8>,
    text: Vec<u8>,
}

impl<W: Write> Message<'_, W> {
    fn begun(&mut self) -> Writer {
        let seconds = Duration::from_millis(self.row.received_ms).as_secs();
        let begin = |text: &mut Vec<u8>| Writer::begin(&self.row.sender, seconds, self.row.marks(), text);
        self.writer.take().unwrap_or_else(|| begin(&mut self.text))
    }

    fn end(mut self) -> io::Result<()> {
        self.begun().end(self.last, &mut self.text);
        self.out.write_all(&self.text)
    }
}

impl<W: Write> Write for Message<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut writer = self.begun();
        writer.text(bytes, &mut self.text);
        self.writer = Some(writer);
        self.last = bytes.last().copied().or(self.last);
        self.out.write_all(&self.text)?;
        self.text.clear();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_line_its_flags_and_its_quotes() {
        let row: Row = serde_json::from_str(
            r#"{"id":1,"uid":1,"seen":true,"flags":["seen","flagged"],"size":1,"received_ms":1795417651000,"sender":"",
                "recipients":[],"from":"","subject":""}"#,
        )
        .unwrap();
        let mut out = Vec::new();
        let mut message = Message { row: &row, out: &mut out, writer: None, last: None, text: Vec::new() };
        for piece in ["a: b\r\n\r\nFr", "om x\r\n"] {
            message.write_all(piece.as_bytes()).unwrap();
        }
        message.end().unwrap();
        let expect = "From MAILER-DAEMON Mon Nov 23 07:07:31 2026\nStatus: RO\nX-Status: F\na: b\r\n\r\n>From x\r\n\n";
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }
}
