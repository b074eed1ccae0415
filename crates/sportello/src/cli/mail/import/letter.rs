//! One message from a file: what it is, before it is sent, and its bytes, once or twice.
//!
//! A message is read to its end for its hash before the server is told of it. A small one stays in memory; of a large one
//! the file is read a second time. Bounded by [`HELD`] bytes in memory.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use sportello_wire::mail::Marks;
use sportello_wire::mail::header::{self, Fields};
use sportello_wire::mail::line_ends::LineEnds;
use sportello_wire::mail::mbox::{Event, Reader};

/// What stays in memory, and the most that is sent at once: well within one request of the command protocol.
pub const HELD: usize = 256 << 10;

/// A message that was read to its end.
#[derive(Debug)]
pub struct Letter {
    /// Its bytes as the store will have them.
    pub size: u64,
    /// SHA-256 of them.
    pub hash: [u8; 32],
    /// Its first bytes; all of them where there are no more than [`HELD`].
    pub start: Vec<u8>,
    /// Its flags.
    pub marks: Marks,
    /// When it was received, milliseconds since 1970.
    pub received_ms: u64,
    /// Who sent it, as the envelope said; empty where nobody knows.
    pub sender: String,
    /// What it is called where something is told of it.
    pub label: String,
}

/// Where a message's bytes are, to be read again.
#[derive(Clone, Debug)]
pub enum Again {
    /// All of this file.
    File(Arc<File>),
    /// From here to there in a file of many.
    Mbox(Arc<File>, u64, u64),
}

/// Reads one message as it comes.
#[derive(Debug)]
pub struct Gathering {
    ends: LineEnds,
    hash: Sha256,
    size: u64,
    start: Vec<u8>,
    piece: Vec<u8>,
}

impl Default for Gathering {
    fn default() -> Self {
        Self { ends: LineEnds::default(), hash: Sha256::new(), size: 0, start: Vec::new(), piece: Vec::new() }
    }
}

impl Gathering {
    /// The next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.piece.clear();
        self.ends.push(bytes, &mut self.piece);
        self.hash.update(&self.piece);
        self.size = self.size.saturating_add(self.piece.len() as u64);
        let room = HELD.saturating_sub(self.start.len());
        self.start.extend_from_slice(self.piece.get(..room).unwrap_or(&self.piece));
    }

    /// The message is over.
    pub fn finish(self, label: String, marks: Marks, received_ms: u64) -> Letter {
        let Self { hash, size, start, .. } = self;
        let sender = return_path(&start).unwrap_or_default();
        Letter { size, hash: hash.finalize().into(), start, marks, received_ms, sender, label }
    }
}

/// The address in the field that the last server left (RFC 5321 §4.4).
fn return_path(start: &[u8]) -> Option<String> {
    let header = start.get(..header::end(start).unwrap_or(start.len()).min(HEADER))?;
    let field = Fields::new(header).find(|field| field.is("return-path"))?;
    let text = field.text(SENDER);
    let address = text.trim().strip_prefix('<')?.strip_suffix('>')?;
    (!address.contains(char::is_whitespace)).then(|| address.to_owned())
}

/// The most bytes of a header that are looked at, and of a sender that are kept.
const HEADER: usize = 64 << 10;
const SENDER: usize = 320;

impl Again {
    /// Reads it once more and gives it out in pieces of at most [`HELD`] bytes; how many those were.
    pub fn each<E: From<io::Error>>(&self, mut act: impl FnMut(&[u8]) -> Result<(), E>) -> Result<u64, E> {
        let (mut ends, mut turned, mut size) = (LineEnds::default(), Vec::new(), 0_u64);
        let mut take = |text: &[u8]| {
            turned.clear();
            ends.push(text, &mut turned);
            size = size.saturating_add(turned.len() as u64);
            turned.chunks(HELD).try_for_each(&mut act)
        };
        match self {
            Self::File(file) => pieces(&mut Span { file, offset: 0, end: u64::MAX }, take)?,
            Self::Mbox(file, start, end) => {
                let mut reader = Reader::default();
                // Larger pieces than the lines they come in.
                let mut text = Vec::with_capacity(2 * PIECE);
                let mut sink = |event: Event<'_>| {
                    if let Event::Text(line) = event {
                        text.extend_from_slice(line);
                        if text.len() >= PIECE {
                            take(&text)?;
                            text.clear();
                        }
                    }
                    Ok::<(), E>(())
                };
                let mut range = Span { file, offset: *start, end: *end };
                pieces(&mut range, |bytes| reader.push(bytes, &mut sink))?;
                reader.finish(&mut sink)?;
                take(&text)?;
            }
        }
        Ok(size)
    }
}

/// A part of a file, read without moving where others read it.
struct Span<'a> {
    file: &'a File,
    offset: u64,
    end: u64,
}

impl Read for Span<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX).min(into.len());
        let count = self.file.read_at(into.get_mut(..most).unwrap_or_default(), self.offset)?;
        self.offset = self.offset.saturating_add(count as u64);
        Ok(count)
    }
}

/// The bytes of a file as they come.
pub fn pieces<E: From<io::Error>>(file: &mut impl Read, mut act: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => act(buffer.get(..count).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Bytes of a file that are read at once.
const PIECE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gather(text: &[u8]) -> Letter {
        let mut gathering = Gathering::default();
        text.chunks(1000).for_each(|piece| gathering.push(piece));
        gathering.finish("x".to_owned(), Marks::NONE, 0)
    }

    #[test]
    fn a_large_message_is_read_twice_alike() {
        let path = std::env::temp_dir().join(format!("sportello-letter-{}", std::process::id()));
        let from = "From ada Sun Nov  6 08:49:37 1994\n";
        for length in [HELD - 1, HELD, HELD + 1, 3 * HELD] {
            let text = "Return-Path: <ada@example.org>\n\n".to_owned() + &"line\n".repeat(length / 5);
            let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
            let mbox = format!("{from}{text}\n{from}more\n");
            file.write_all(text.as_bytes()).unwrap();
            let offset = text.len() as u64;
            file.write_all(mbox.as_bytes()).unwrap();
            let end = offset + (from.len() + text.len() + 1) as u64;
            let whole = gather(text.as_bytes());
            assert_eq!((whole.sender.as_str(), whole.start.len()), ("ada@example.org", HELD.min(whole.size as usize)));
            let mut again = Vec::new();
            let mut keep = |piece: &[u8]| {
                assert!(piece.len() <= HELD);
                again.extend_from_slice(piece);
                Ok::<(), io::Error>(())
            };
            let size = Again::Mbox(Arc::new(file), offset, end).each(&mut keep).unwrap();
            assert_eq!((size, gather(&again).hash), (whole.size, whole.hash), "{length}");
            std::fs::write(&path, &text).unwrap();
            again.clear();
            let file = Arc::new(File::open(&path).unwrap());
            let size = Again::File(file)
                .each(|piece| {
                    again.extend_from_slice(piece);
                    Ok::<(), io::Error>(())
                })
                .unwrap();
            assert_eq!((size, gather(&again).hash), (whole.size, whole.hash), "{length}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn the_sender_is_an_address_or_nobody() {
        for (field, sender) in
            [("<ada@example.org>", "ada@example.org"), ("<>", ""), ("ada@example.org", ""), ("<a b>", "")]
        {
            assert_eq!(gather(format!("Return-Path: {field}\r\n\r\n").as_bytes()).sender, sender, "{field}");
        }
    }
}
