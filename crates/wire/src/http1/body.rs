//! Request bodies: Content-Length and the chunked coding (RFC 9112 §6, §7.1).
//!
//! Sans-I/O: it is shown what has arrived and says which of it is body. Chunk extensions and trailers are read past and
//! dropped. Bounded by the body limit given, and by [`FRAMING_MOST`] bytes of everything that is not body.

use std::ops::Range;

use super::Refusal;

/// How the body of a message is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes; 0 where there is no body.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// The most bytes of extensions and trailers a chunked body may have. Sizes and line ends are at most 20 bytes for each byte
/// of body.
pub const FRAMING_MOST: usize = 16 * 1024;

/// Reads one body.
#[derive(Debug)]
pub struct Decoder {
    phase: Phase,
    /// How many more bytes of body are allowed.
    room: u64,
    /// How many more bytes of extensions and trailers are allowed.
    framing_room: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A body of known length, this much of it still to come.
    Counted(u64),
    /// The digits of a chunk's size.
    Size {
        digits: u8,
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// The first byte of a trailer line.
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

/// What one call made of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many bytes of the input are dealt with.
    pub consumed: usize,
    /// Which of them are body.
    pub data: Range<usize>,
    /// Whether the body has ended.
    pub end: End,
}

/// Whether a body has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// More is to come: call again with what follows, at once if the input was not used up.
    NotYet,
    /// This was all of it.
    Reached,
}

impl Decoder {
    /// A decoder for a body of at most `most` bytes. A declared length beyond it is refused before any of it is read.
    pub fn new(framing: Framing, most: u64) -> Result<Self, Refusal> {
        let phase = match framing {
            Framing::Length(length) if length > most => return Err(Refusal::LargeBody),
            Framing::Length(0) => Phase::Done,
            Framing::Length(length) => Phase::Counted(length),
            Framing::Chunked => Phase::Size { digits: 0, size: 0 },
        };
        Ok(Self { phase, room: most, framing_room: FRAMING_MOST })
    }

    /// Whether all of the body has been seen.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Takes from `input` up to one run of body bytes.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, Refusal> {
        let mut at = 0;
        loop {
            let data = match self.phase {
                Phase::Done => return Ok(Step { consumed: at, data: 0..0, end: End::Reached }),
                Phase::Counted(left) | Phase::Data { left } => self.data(left, input.len() - at),
                _ => 0,
            };
            if data > 0 {
                let consumed = at + data;
                let end = if self.is_done() { End::Reached } else { End::NotYet };
                return Ok(Step { consumed, data: at..consumed, end });
            }
            let Some(&byte) = input.get(at) else {
                return Ok(Step { consumed: at, data: 0..0, end: End::NotYet });
            };
            self.phase = self.framing(byte)?;
            at += 1;
        }
    }

    /// How many of the next `available` bytes are body.
    fn data(&mut self, left: u64, available: usize) -> usize {
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(available);
        let left = left - take as u64;
        self.phase = match self.phase {
            Phase::Counted(_) if left == 0 => Phase::Done,
            Phase::Counted(_) => Phase::Counted(left),
            _ if left == 0 => Phase::DataCr,
            _ => Phase::Data { left },
        };
        take
    }

    /// One byte of the chunked coding that is not body.
    fn framing(&mut self, byte: u8) -> Result<Phase, Refusal> {
        Ok(match (self.phase, byte) {
            (Phase::Size { digits, size }, _) if byte.is_ascii_hexdigit() => {
                // Sixteen digits are 64 bits; leading zeros count, so a size cannot go on for ever.
                if digits == 16 {
                    return Err(Refusal::BadChunk);
                }
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                Phase::Size { digits: digits + 1, size: size << 4 | u64::from(digit) }
            }
            (Phase::Size { digits: 1.., size }, b'\r') => Phase::SizeLf { size },
            // RFC 9112 §7.1.1 allows white space before the semicolon only to be generous to old senders; it is refused.
            (Phase::Size { digits: 1.., size }, b';') => self.spend(Phase::Extension { size })?,
            (Phase::Extension { size }, b'\r') => Phase::SizeLf { size },
            (Phase::Extension { size }, b'\t' | b' '..=0x7e | 0x80..) => self.spend(Phase::Extension { size })?,
            (Phase::SizeLf { size: 0 }, b'\n') => Phase::TrailerStart,
            (Phase::SizeLf { size }, b'\n') => {
                self.room = self.room.checked_sub(size).ok_or(Refusal::LargeBody)?;
                Phase::Data { left: size }
            }
            (Phase::DataCr, b'\r') => Phase::DataLf,
            (Phase::DataLf, b'\n') => Phase::Size { digits: 0, size: 0 },
            (Phase::TrailerStart, b'\r') => Phase::EndLf,
            (Phase::TrailerStart, _) if super::field::is_token_byte(byte) => self.spend(Phase::Trailer)?,
            (Phase::Trailer, b'\r') => Phase::TrailerLf,
            (Phase::Trailer, b'\t' | b' '..=0x7e | 0x80..) => self.spend(Phase::Trailer)?,
            (Phase::TrailerLf, b'\n') => Phase::TrailerStart,
            (Phase::EndLf, b'\n') => Phase::Done,
            _ => return Err(Refusal::BadChunk),
        })
    }

    fn spend(&mut self, next: Phase) -> Result<Phase, Refusal> {
        self.framing_room = self.framing_room.checked_sub(1).ok_or(Refusal::LongChunkFraming)?;
        Ok(next)
    }
}

#[cfg(test)]
mod tests;
