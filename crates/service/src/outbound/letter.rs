//! A message as it leaves: its signatures and its body, read in pieces, and what it is made of.
//!
//! Bounded by [`PIECE`] in memory at a time. Files are read on threads that may wait.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use sportello_store::StoredBody;
use sportello_wire::smtp::server::BodyType;
use tokio::task::spawn_blocking;

/// The message.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    prefix: Bytes,
    body: StoredBody,
}

/// What a server must take to be given it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nature {
    pub(super) body: BodyType,
    /// Whether its header has bytes beyond ASCII.
    pub(super) is_header_ascii: bool,
}

/// Bytes that are read and sent at a time.
const PIECE: usize = 128 * 1024;

impl Letter {
    pub(super) fn new(prefix: Vec<u8>, body: StoredBody) -> Self {
        Self { prefix: prefix.into(), body }
    }

    /// Its octets.
    pub(super) fn size(&self) -> u64 {
        self.body.length().saturating_add(self.prefix.len() as u64)
    }

    /// What stands at `offset`: at most [`PIECE`] bytes, none at its end.
    pub(super) async fn piece(&self, offset: u64) -> io::Result<Bytes> {
        let prefix = self.prefix.len() as u64;
        if offset < prefix {
            // Invariant: it is less than a length in memory.
            let at = usize::try_from(offset).unwrap_or_default();
            return Ok(self.prefix.slice(at..self.prefix.len().min(at + PIECE)));
        }
        let offset = offset - prefix;
        match &self.body {
            StoredBody::Memory(bytes) => {
                let at = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(at..bytes.len().min(at.saturating_add(PIECE))))
            }
            StoredBody::File { file, length } => {
                let most = usize::try_from(length.saturating_sub(offset)).unwrap_or(PIECE).min(PIECE);
                let file = Arc::clone(file);
                let read = spawn_blocking(move || {
                    let mut piece = vec![0; most];
                    file.read_exact_at(&mut piece, offset).map(|()| Bytes::from(piece))
                });
                read.await.map_err(io::Error::other)?
            }
        }
    }

    /// Reads it once, to know what it is made of.
    pub(super) async fn examine(&self) -> io::Result<Nature> {
        let (mut scan, mut offset) = (Scan::default(), 0);
        loop {
            let piece = self.piece(offset).await?;
            if piece.is_empty() {
                return Ok(scan.end());
            }
            scan.pass(&piece);
            offset += piece.len() as u64;
        }
    }
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Scan {
    /// The last byte.
    last: u8,
    /// Whether a line has begun and has a byte.
    in_line: bool,
    in_body: bool,
    eight_bit: bool,
    binary: bool,
    header_beyond_ascii: bool,
}

impl Scan {
    fn pass(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() && !self.in_body {
            let (byte, others) = rest.split_at(1);
            self.header_beyond_ascii |= !byte.is_ascii();
            let before = (self.last, self.in_line);
            self.bytes(byte);
            match byte {
                b"\n" if before == (b'\r', false) => self.in_body = true,
                b"\n" => self.in_line = false,
                b"\r" => {}
                _ => self.in_line = true,
            }
            rest = others;
        }
        self.bytes(rest);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.eight_bit |= !bytes.is_ascii();
        self.binary |= memchr::memchr(0, bytes).is_some();
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            if self.last == b'\r' || *first == b'\n' {
                self.binary |= !(self.last == b'\r' && *first == b'\n');
            }
            let end = memchr::memchr2(b'\r', b'\n', rest.get(1..).unwrap_or_default()).map_or(rest.len(), |at| at + 1);
            let (passed, others) = rest.split_at(end);
            self.last = passed.last().copied().unwrap_or_default();
            rest = others;
        }
    }

    fn end(self) -> Nature {
        let body = if self.binary || self.last == b'\r' {
            BodyType::BinaryMime
        } else if self.eight_bit {
            BodyType::EightBitMime
        } else {
            BodyType::SevenBit
        };
        Nature { body, is_header_ascii: !self.header_beyond_ascii }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, body: BodyType, is_header_ascii: bool) {
        let bytes = text.as_bytes();
        for split in 0..=bytes.len() {
            let mut scan = Scan::default();
            scan.pass(&bytes[..split]);
            scan.pass(&bytes[split..]);
            assert_eq!(scan.end(), Nature { body, is_header_ascii }, "{text:?} split at {split}");
        }
    }

    #[test]
    fn what_a_message_is_made_of_is_seen() {
        check("", BodyType::SevenBit, true);
        check("A: b\r\n\r\ntext\r\n", BodyType::SevenBit, true);
        check("A: b\r\n\r\ntext", BodyType::SevenBit, true);
        check("A: b\r\n\r\ntäxt\r\n", BodyType::EightBitMime, true);
        check("A: ü\r\n\r\ntext\r\n", BodyType::EightBitMime, false);
        check("\r\nü\r\n", BodyType::EightBitMime, true);
        for binary in ["A: b\r\n\r\nx\ny\r\n", "x\ry\r\n", "x\r", "\n", "x\r\r\n", "x\r\n\n", "A: b\r\n\r\n\0"] {
            check(binary, BodyType::BinaryMime, true);
        }
    }

    #[tokio::test]
    async fn pieces_make_the_whole() {
        let large: Vec<u8> = (0..3 * PIECE + 17).map(|at| at as u8).collect();
        let file = tempfile(&large);
        let bodies = [
            StoredBody::Memory(large.clone().into()),
            StoredBody::File { file: Arc::new(file), length: large.len() as u64 },
        ];
        for body in bodies {
            let letter = Letter::new(b"Signature: x\r\n".to_vec(), body);
            let (mut all, mut offset) = (Vec::new(), 0);
            loop {
                let piece = letter.piece(offset).await.unwrap();
                if piece.is_empty() {
                    break;
                }
                assert!(piece.len() <= PIECE);
                offset += piece.len() as u64;
                all.extend_from_slice(&piece);
            }
            assert_eq!(all, [b"Signature: x\r\n", &large[..]].concat());
            assert_eq!(letter.size(), all.len() as u64);
            assert_eq!(letter.examine().await.unwrap().body, BodyType::BinaryMime);
        }
    }

    fn tempfile(bytes: &[u8]) -> std::fs::File {
        let path = std::env::temp_dir().join(format!("sportello-letter-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    }
}
