//! Request bodies: Content-Length and the chunked coding (RFC 9112 §6, §7.1).
//!
//! Sans-I/O: it is shown what has arrived and says which of it is body. Chunk extensions and trailers are checked against their
//! grammar, read past and dropped: nothing here has a use for them, and a trailer must not be taken for a header field (RFC
//! 9110 §6.5.1). A trailer that would change the framing or the meaning of the request, were it taken for one, is refused.
//! Bounded by the body limit given, [`EXTENSIONS_MOST`], [`TRAILERS_MOST`] and [`TRAILER_FIELDS_MOST`].

use std::ops::Range;

use super::{Refusal, field};

/// How the body of a message is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes; 0 where there is no body.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// The most bytes of extensions that all chunks of a body may have together. Sizes and line ends are at most 20 bytes for each
/// byte of body.
pub const EXTENSIONS_MOST: usize = 16 * 1024;
/// The most bytes of trailers, without their line ends.
pub const TRAILERS_MOST: usize = 8 * 1024;
/// The most trailer fields.
pub const TRAILER_FIELDS_MOST: usize = 32;

/// Reads one body.
#[derive(Debug)]
pub struct Decoder {
    phase: Phase,
    /// How many more bytes of body are allowed.
    room: u64,
    /// How many more bytes of extensions are allowed.
    extension_room: usize,
    /// How many more bytes and fields of trailers are allowed.
    trailer_room: usize,
    trailer_fields: usize,
    /// The name of the trailer under way, in lower case, as far as it could be a forbidden one.
    name: Name,
}

/// The beginning of a trailer's name.
#[derive(Debug, Default)]
struct Name {
    bytes: [u8; LONGEST_FORBIDDEN],
    length: usize,
}

impl Name {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte.to_ascii_lowercase();
        }
        self.length = self.length.saturating_add(1);
    }

    /// RFC 9110 §6.5.1: fields for framing, routing, authentication, request modifiers and content format.
    fn is_forbidden(&self) -> bool {
        let Some(name) = self.bytes.get(..self.length) else { return false };
        name.starts_with(b"if-") || FORBIDDEN.contains(&name)
    }
}

/// `proxy-authorization`
const LONGEST_FORBIDDEN: usize = 19;
const FORBIDDEN: [&[u8]; 20] = [
    b"content-length",
    b"transfer-encoding",
    b"host",
    b"connection",
    b"upgrade",
    b"te",
    b"trailer",
    b"keep-alive",
    b"proxy-connection",
    b"expect",
    b"range",
    b"max-forwards",
    b"cache-control",
    b"pragma",
    b"authorization",
    b"proxy-authorization",
    b"cookie",
    b"content-type",
    b"content-encoding",
    b"content-range",
];

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
        at: Extension,
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
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// Where in a chunk extension (RFC 9112 §7.1.1) the next byte stands. The white space that old senders put into it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    NameStart,
    Name,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    QuotedEnd,
}

impl Extension {
    fn after(self, byte: u8) -> Option<Self> {
        let token = field::is_token_byte(byte);
        let quotable = matches!(byte, b'\t' | b' '..=0x7e | 0x80..);
        Some(match (self, byte) {
            (Self::NameStart | Self::Name, _) if token => Self::Name,
            (Self::Name, b'=') => Self::ValueStart,
            (Self::ValueStart | Self::Value, _) if token => Self::Value,
            (Self::ValueStart, b'"') => Self::Quoted,
            (Self::Name | Self::Value | Self::QuotedEnd, b';') => Self::NameStart,
            (Self::Quoted, b'"') => Self::QuotedEnd,
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted | Self::Escaped, _) if quotable => Self::Quoted,
            _ => return None,
        })
    }

    /// A quoted string that a line end cuts in two would be whole to another reader.
    fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Value | Self::QuotedEnd)
    }
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
        Ok(Self { phase, room: most, ..Self::empty() })
    }

    /// For a message that has no body.
    pub fn empty() -> Self {
        Self {
            phase: Phase::Done,
            room: 0,
            extension_room: EXTENSIONS_MOST,
            trailer_room: TRAILERS_MOST,
            trailer_fields: TRAILER_FIELDS_MOST,
            name: Name::default(),
        }
    }

    /// How many bytes are still to come, where that is known.
    pub fn left(&self) -> Option<u64> {
        match self.phase {
            Phase::Counted(left) => Some(left),
            Phase::Done => Some(0),
            _ => None,
        }
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
            (Phase::Size { digits: 1.., size }, b';') => self.extension(size, Extension::NameStart)?,
            (Phase::Extension { size, at }, b'\r') if at.may_end() => Phase::SizeLf { size },
            (Phase::Extension { size, at }, _) => self.extension(size, at.after(byte).ok_or(Refusal::BadChunk)?)?,
            (Phase::SizeLf { size: 0 }, b'\n') => Phase::TrailerStart,
            (Phase::SizeLf { size }, b'\n') => {
                self.room = self.room.checked_sub(size).ok_or(Refusal::LargeBody)?;
                Phase::Data { left: size }
            }
            (Phase::DataCr, b'\r') => Phase::DataLf,
            (Phase::DataLf, b'\n') => Phase::Size { digits: 0, size: 0 },
            (Phase::TrailerStart, b'\r') => Phase::EndLf,
            (Phase::TrailerStart, _) if field::is_token_byte(byte) => {
                self.trailer_fields = self.trailer_fields.checked_sub(1).ok_or(Refusal::LongTrailers)?;
                self.name = Name::default();
                self.name.push(byte);
                self.trailer(Phase::TrailerName)?
            }
            (Phase::TrailerName, _) if field::is_token_byte(byte) => {
                self.name.push(byte);
                self.trailer(Phase::TrailerName)?
            }
            (Phase::TrailerName, b':') if self.name.is_forbidden() => return Err(Refusal::ForbiddenTrailer),
            (Phase::TrailerName, b':') => self.trailer(Phase::TrailerValue)?,
            (Phase::TrailerValue, b'\r') => Phase::TrailerLf,
            (Phase::TrailerValue, b'\t' | b' '..=0x7e | 0x80..) => self.trailer(Phase::TrailerValue)?,
            (Phase::TrailerLf, b'\n') => Phase::TrailerStart,
            (Phase::EndLf, b'\n') => Phase::Done,
            _ => return Err(Refusal::BadChunk),
        })
    }

    /// One byte of an extension.
    fn extension(&mut self, size: u64, at: Extension) -> Result<Phase, Refusal> {
        self.extension_room = self.extension_room.checked_sub(1).ok_or(Refusal::LongChunkFraming)?;
        Ok(Phase::Extension { size, at })
    }

    /// One byte of a trailer.
    fn trailer(&mut self, next: Phase) -> Result<Phase, Refusal> {
        self.trailer_room = self.trailer_room.checked_sub(1).ok_or(Refusal::LongTrailers)?;
        Ok(next)
    }
}

#[cfg(test)]
mod tests;
