//! Field lines: the characters they may hold, the ones this server looks at, and a walk over a checked block of them.
//!
//! Bounded by the head they lie in.

/// A block of field lines that [`crate::http1::head::parse`] has checked; walked again where someone asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    block: &'a [u8],
}

impl<'a> Fields<'a> {
    /// `block` holds whole checked lines, each with its CRLF.
    pub(super) fn new(block: &'a [u8]) -> Self {
        Self { block }
    }

    /// Bytes of the lines that were not walked yet.
    pub(super) fn block_length(&self) -> usize {
        self.block.len()
    }

    /// Every value of the field `name`, in order; names are compared without case (RFC 9110 §5.1).
    pub fn values(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The first value of the field `name`.
    pub fn value(self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next()
    }
}

/// Field lines in whatever form they are held.
pub trait Lines {
    /// Every value of the field `name` (in lower case), in order.
    fn values_of<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f [u8]>;
}

impl Lines for Fields<'_> {
    fn values_of<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f [u8]> {
        self.values(name)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let end = memchr::memchr(b'\n', self.block)?;
        let (line, rest) = self.block.split_at(end + 1);
        self.block = rest;
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at(colon);
        Some((name, trim(value.get(1..)?)))
    }
}

/// The fields that change how a request is read or answered. One bit each in [`Present`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Host
    Host = 1,
    /// Content-Length
    ContentLength = 1 << 1,
    /// Transfer-Encoding
    TransferEncoding = 1 << 2,
    /// Connection
    Connection = 1 << 3,
    /// Expect
    Expect = 1 << 4,
    /// Origin
    Origin = 1 << 5,
    /// Range
    Range = 1 << 6,
    /// If-Match
    IfMatch = 1 << 7,
    /// If-None-Match
    IfNoneMatch = 1 << 8,
    /// If-Modified-Since
    IfModifiedSince = 1 << 9,
    /// If-Unmodified-Since
    IfUnmodifiedSince = 1 << 10,
    /// If-Range
    IfRange = 1 << 11,
    /// Accept-Encoding
    AcceptEncoding = 1 << 12,
}

impl Known {
    /// The known field of this name, if it is one.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        let (known, spelled): (Self, &[u8]) = match name.len() {
            4 => (Self::Host, b"host"),
            5 => (Self::Range, b"range"),
            6 if name[0] | 0x20 == b'e' => (Self::Expect, b"expect"),
            6 => (Self::Origin, b"origin"),
            8 if name[3] | 0x20 == b'm' => (Self::IfMatch, b"if-match"),
            8 => (Self::IfRange, b"if-range"),
            10 => (Self::Connection, b"connection"),
            13 => (Self::IfNoneMatch, b"if-none-match"),
            14 => (Self::ContentLength, b"content-length"),
            15 => (Self::AcceptEncoding, b"accept-encoding"),
            17 if name[0] | 0x20 == b't' => (Self::TransferEncoding, b"transfer-encoding"),
            17 => (Self::IfModifiedSince, b"if-modified-since"),
            19 => (Self::IfUnmodifiedSince, b"if-unmodified-since"),
            _ => return None,
        };
        name.eq_ignore_ascii_case(spelled).then_some(known)
    }
}

/// Which of the [`Known`] fields a head has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Present(u16);

impl Present {
    /// The five conditional fields and Range: what makes an answer other than the whole representation.
    pub const SELECTING: Self = Self(
        Known::Range as u16
            | Known::IfMatch as u16
            | Known::IfNoneMatch as u16
            | Known::IfModifiedSince as u16
            | Known::IfUnmodifiedSince as u16
            | Known::IfRange as u16,
    );

    /// Notes a field; tells whether it was noted before.
    pub(super) fn note(&mut self, known: Known) -> Before {
        let bit = known as u16;
        let before = if self.0 & bit == 0 { Before::Absent } else { Before::Present };
        self.0 |= bit;
        before
    }

    /// The same without this field.
    pub(super) fn without(self, known: Known) -> Self {
        Self(self.0 & !(known as u16))
    }

    /// Whether the head has this field.
    pub fn has(self, known: Known) -> bool {
        self.0 & known as u16 != 0
    }

    /// Whether the head has any of these fields.
    pub fn has_any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }
}

/// Whether a field had been seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Absent,
    Present,
}

/// Whether the byte may stand in a token (RFC 9110 §5.6.2).
#[inline]
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Whether a field value may hold these bytes: VCHAR, obs-text, SP and HTAB (RFC 9110 §5.5).
#[inline]
pub fn is_value(bytes: &[u8]) -> bool {
    // A fold without early exit, so that the compiler makes SIMD of it.
    !bytes.iter().fold(false, |bad, &byte| bad | ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f))
}

/// Without the optional white space (and the line end) around a value.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

/// The members of a comma-separated list (RFC 9110 §5.6.1), empty ones left out. Quoted strings are not looked into.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|member| !member.is_empty())
}

/// The thousandths of a `q` parameter (RFC 9110 §12.4.2): `q=0`, `q=1`, and up to three digits behind the point.
pub fn weight(parameter: &[u8]) -> Option<u16> {
    let value = match parameter.trim_ascii() {
        [b'q' | b'Q', b'=', value @ ..] => value,
        _ => return None,
    };
    let (whole, digits) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', digits @ ..] if digits.len() <= 3 => (whole, digits),
        _ => return None,
    };
    let mut thousandths = 0;
    for place in 0..3 {
        let digit = digits.get(place).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths = thousandths * 10 + u16::from(digit - b'0');
    }
    match whole {
        b'0' => Some(thousandths),
        b'1' if thousandths == 0 => Some(1000),
        _ => None,
    }
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < marks.len() {
        table[marks[index] as usize] = true;
        index += 1;
    }
    table
};
