//! The body of a 206 with several parts: multipart/byteranges (RFC 9110 §14.6).
//!
//! What stands between the parts is written beforehand, so that its length is known before the first byte is sent.
//! Bounded by [`super::range::MOST_RANGES`] parts.

use super::range::Part;

/// One answer of several parts: what stands before each, and what ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multipart {
    pieces: Vec<Piece>,
    end: Vec<u8>,
    boundary: Boundary,
}

/// One part: the lines before its bytes, and which bytes they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The delimiter, the part's own fields and the empty line.
    pub lines: Vec<u8>,
    /// The bytes behind them.
    pub part: Part,
}

/// What separates parts: 16 hexadecimal digits (RFC 2046 §5.1.1). It must not be in what is sent, so it is to be one that no one
/// could have foreseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary(u64);

impl Boundary {
    /// From a number that cannot be guessed.
    pub fn from_random(number: u64) -> Self {
        Self(number)
    }

    /// The value of Content-Type that names it.
    pub fn content_type(self) -> String {
        format!("multipart/byteranges; boundary={:016x}", self.0)
    }
}

impl Multipart {
    /// Separates `parts` of a representation of `whole` bytes. `media_type` is the representation's own: checked before.
    pub fn new(parts: &[Part], whole: u64, media_type: &str, boundary: Boundary) -> Self {
        let piece = |part: &Part| {
            let last = part.end().saturating_sub(1);
            let lines = format!(
                "\r\n--{:016x}\r\ncontent-type: {media_type}\r\ncontent-range: bytes {}-{last}/{whole}\r\n\r\n",
                boundary.0, part.start
            );
            Piece { lines: lines.into_bytes(), part: *part }
        };
        let end = format!("\r\n--{:016x}--\r\n", boundary.0).into_bytes();
        Self { pieces: parts.iter().map(piece).collect(), end, boundary }
    }

    /// The parts in the order they are sent.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// What follows the last part.
    pub fn end(&self) -> &[u8] {
        &self.end
    }

    /// The value of Content-Type.
    pub fn content_type(&self) -> String {
        self.boundary.content_type()
    }

    /// Bytes of the whole body.
    pub fn length(&self) -> u64 {
        let pieces = self.pieces.iter().map(|piece| piece.part.length.saturating_add(piece.lines.len() as u64));
        pieces.fold(self.end.len() as u64, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::range::{MOST_RANGES, Selected, select};

    #[test]
    fn a_body_of_parts_is_as_long_as_it_says() {
        let data: Vec<u8> = (0..=255).collect();
        let Selected::Parts(parts) = select(b"bytes=0-1,100-,-1", 256) else { panic!("not several") };
        let body = Multipart::new(&parts, 256, "text/plain", Boundary::from_random(0xab));
        assert_eq!(body.content_type(), "multipart/byteranges; boundary=00000000000000ab");
        let mut written = Vec::new();
        for piece in body.pieces() {
            written.extend_from_slice(&piece.lines);
            written.extend_from_slice(&data[piece.part.start as usize..piece.part.end() as usize]);
        }
        written.extend_from_slice(body.end());
        assert_eq!(written.len() as u64, body.length());
        let mut expect =
            b"\r\n--00000000000000ab\r\ncontent-type: text/plain\r\ncontent-range: bytes 0-1/256\r\n\r\n\0\x01"
                .to_vec();
        expect.extend_from_slice(
            b"\r\n--00000000000000ab\r\ncontent-type: text/plain\r\ncontent-range: bytes 100-255/256\r\n\r\n",
        );
        expect.extend_from_slice(&data[100..]);
        expect.extend_from_slice(b"\r\n--00000000000000ab--\r\n");
        assert_eq!(written, expect);
    }

    #[test]
    fn an_answer_is_never_much_larger_than_the_file() {
        let whole = 1_000_000;
        let specs: Vec<_> = (0..MOST_RANGES).map(|number| format!("{}-{}", number, 999_999 - number)).collect();
        let Selected::Part(part) = select(format!("bytes={}", specs.join(",")).as_bytes(), whole) else {
            panic!("several")
        };
        assert_eq!(part.length, whole);
        let step = whole / MOST_RANGES as u64;
        let specs: Vec<_> =
            (0..MOST_RANGES as u64).map(|number| format!("{}-{}", number * step, (number + 1) * step - 82)).collect();
        let Selected::Parts(parts) = select(format!("bytes={}", specs.join(",")).as_bytes(), whole) else {
            panic!("one")
        };
        let body = Multipart::new(&parts, whole, "application/octet-stream", Boundary::from_random(u64::MAX));
        assert!(body.length() < whole + 200 * MOST_RANGES as u64);
    }
}
