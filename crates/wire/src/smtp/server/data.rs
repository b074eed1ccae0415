//! The text of a message: behind DATA up to its end (RFC 5321 §4.1.1.4 and §4.5.2), or in the chunks of BDAT (RFC 3030).
//!
//! It ends at CR LF `.` CR LF, at nothing else, so that no one behind us can see another end than we do. A line ends with
//! CR LF; a CR or LF that is not part of one makes the message unacceptable: it is then read to its true end, none of it is
//! given out, and none of it becomes a command. Everything that is not a line end or a doubled dot is passed through by
//! reference and searched for with SIMD. Bounded by: [`Limits`]; holds no byte.
//!
//! Chunks have no dots to undouble and no end in them, but the lines are the same: only BINARYMIME lifts the rules for CR, LF,
//! NUL and length (RFC 3030 §3), and only behind the header, which has lines in every message. So what was stored can be
//! handed on by DATA wherever it was not declared to be binary.

use thiserror::Error;

use super::limits::Limits;
use super::reply::Reply;

/// What is wrong with a message, found while its text passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// A CR that no LF follows.
    #[error("the message has a CR without LF")]
    BareCr,
    /// An LF that no CR precedes.
    #[error("the message has an LF without CR (curl: --crlf)")]
    BareLf,
    /// A NUL. RFC 2045 §2.7 and §2.8: neither 7bit nor 8bit data has any, only binary data, which was not declared;
    /// RFC 5322 §4 knows it as obsolete syntax that must not be made.
    #[error("the message has a NUL")]
    Nul,
    /// A line beyond [`Limits::text_line`].
    #[error("a line of the message is too long")]
    LineTooLong,
    /// Beyond [`Limits::message`].
    #[error("the message is too large")]
    TooLarge,
    /// More Received fields than [`Limits::received`] (RFC 5321 §6.3).
    #[error("too many hops: the message runs in a circle")]
    Loop,
}

impl Fault {
    /// What the client reads at the end of its message.
    pub(super) fn reply(self) -> Reply {
        let (code, enhanced) = match self {
            Self::BareCr | Self::BareLf => (550, "5.5.2"),
            Self::Nul => (550, "5.6.0"),
            Self::LineTooLong => (554, "5.6.0"),
            Self::TooLarge => (552, "5.3.4"),
            Self::Loop => (554, "5.4.6"),
        };
        Reply::with_text(code, enhanced, format!("Error: {self}"))
    }
}

/// Where in the text the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the start of a line; the line end of the DATA command counts.
    LineStart,
    /// Behind the dot that a line began with. It is never part of the text.
    Dot,
    /// Behind that dot and a CR.
    DotCr,
    /// Within a line.
    Line,
    /// Behind a CR.
    Cr,
}

/// What [`Text::step`] came upon.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// All of the input is used, and it gave no text.
    More,
    /// The next bytes of the text.
    Slice(&'a [u8]),
    /// The message is unacceptable; no more slices will come.
    Fault(Fault),
    /// The end.
    End,
}

/// How a text comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Behind DATA, with dots doubled.
    Dots,
    /// In chunks.
    Chunks,
    /// In chunks, and behind its header any octet may be.
    BinaryChunks,
}

/// Reads one text.
#[derive(Debug)]
pub(super) struct Text {
    framing: Framing,
    place: Place,
    discard: bool,
    /// Octets of this line so far, without its line end.
    line: u64,
    /// Octets of the text so far.
    size: u64,
    trace: ReceivedCount,
}

impl Text {
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, place: Place::LineStart, discard: false, line: 0, size: 0, trace: ReceivedCount::default() }
    }

    /// From here on the text is read and thrown away.
    pub(super) fn discard(&mut self) {
        self.discard = true;
    }

    /// Octets so far. A CR that waits for its LF is counted only with it in `size`.
    pub(super) fn size(&self) -> u64 {
        self.size.saturating_add(u64::from(self.place == Place::Cr))
    }

    /// The last chunk has ended: whether the text may end here.
    pub(super) fn end(&self) -> Option<Fault> {
        (self.place == Place::Cr && !self.discard).then_some(Fault::BareCr)
    }

    /// Whether what follows is not made of lines.
    fn is_binary(&self) -> bool {
        self.framing == Framing::BinaryChunks && self.trace.over
    }

    /// Octets that are not made of lines.
    fn binary<'a>(&mut self, input: &'a [u8], limits: &Limits) -> (usize, Step<'a>) {
        let length = input.len() as u64;
        let room = limits.message.saturating_sub(self.size);
        self.size = self.size.saturating_add(length);
        let step = match input {
            _ if self.discard => Step::More,
            [] => Step::More,
            _ if length > room => {
                self.discard = true;
                Step::Fault(Fault::TooLarge)
            }
            _ => Step::Slice(input),
        };
        (input.len(), step)
    }

    /// Reads on: how many bytes of `input` are used, and what came of them. Of chunks, `input` is what is left of one.
    pub(super) fn step<'a>(&mut self, input: &'a [u8], limits: &Limits) -> (usize, Step<'a>) {
        if self.is_binary() {
            return self.binary(input, limits);
        }
        let mut start = 0;
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            let mut fault = None;
            match self.place {
                Place::LineStart if self.is_binary() => break, // give out the header
                Place::LineStart if byte == b'.' && self.framing == Framing::Dots => {
                    if at > start && !self.discard {
                        break; // give out what is before the dot
                    }
                    self.place = Place::Dot;
                    at += 1;
                    start = at;
                }
                Place::LineStart => self.place = Place::Line,
                Place::Dot if byte == b'\r' => {
                    self.place = Place::DotCr;
                    at += 1;
                    start = at;
                }
                Place::Dot => self.place = Place::Line,
                Place::DotCr if byte == b'\n' => return (at + 1, Step::End),
                Place::DotCr => {
                    self.place = Place::Line;
                    fault = Some(Fault::BareCr);
                }
                Place::Line => {
                    let rest = input.get(at..).unwrap_or_default();
                    let found = memchr::memchr3(b'\r', b'\n', 0, rest);
                    let (text, rest) = rest.split_at(found.unwrap_or(rest.len()));
                    at += text.len() + usize::from(found.is_some());
                    fault = self.line(text, limits).or(match rest.first() {
                        Some(b'\n') => Some(Fault::BareLf),
                        Some(0) => Some(Fault::Nul),
                        _ => None,
                    });
                    if rest.first() == Some(&b'\r') {
                        self.place = Place::Cr;
                    }
                }
                Place::Cr if byte == b'\n' => {
                    at += 1;
                    fault = self.line_end(limits);
                }
                Place::Cr => {
                    self.place = Place::Line;
                    fault = Some(Fault::BareCr);
                }
            }
            if let Some(fault) = fault.filter(|_| !self.discard) {
                self.discard = true;
                return (at, Step::Fault(fault));
            }
        }
        match input.get(start..at) {
            Some(text) if !text.is_empty() && !self.discard => (at, Step::Slice(text)),
            _ => (at, Step::More),
        }
    }

    /// A stretch of text within a line.
    fn line(&mut self, text: &[u8], limits: &Limits) -> Option<Fault> {
        if self.discard {
            return None;
        }
        self.trace.text(text);
        let length = text.len() as u64;
        let line_room = limits.text_line.saturating_sub(2).saturating_sub(self.line);
        let size_room = limits.message.saturating_sub(self.size);
        self.line = self.line.saturating_add(length);
        self.size = self.size.saturating_add(length);
        // Which limit the bytes came to first must not depend on how they were cut.
        match length {
            _ if length > size_room && size_room <= line_room => Some(Fault::TooLarge),
            _ if length > line_room => Some(Fault::LineTooLong),
            _ => None,
        }
    }

    fn line_end(&mut self, limits: &Limits) -> Option<Fault> {
        self.place = Place::LineStart;
        self.size = self.size.saturating_add(2);
        let received = self.trace.line_end(self.line);
        self.line = 0;
        match received {
            _ if self.size > limits.message => Some(Fault::TooLarge),
            received if received > limits.received => Some(Fault::Loop),
            _ => None,
        }
    }
}

/// Counts the Received fields of the header as it passes by.
#[derive(Debug, Default)]
struct ReceivedCount {
    /// The empty line has come.
    over: bool,
    /// How many bytes of this line are those of [`RECEIVED`]; [`SETTLED`] when it is known to be such a field, or not.
    matched: usize,
    count: u32,
}

const RECEIVED: &[u8] = b"received:";
const SETTLED: usize = usize::MAX;

impl ReceivedCount {
    fn text(&mut self, text: &[u8]) {
        if self.over || self.matched == SETTLED {
            return;
        }
        for (byte, expect) in text.iter().zip(RECEIVED.iter().skip(self.matched)) {
            if byte.to_ascii_lowercase() != *expect {
                self.matched = SETTLED;
                return;
            }
            self.matched += 1;
        }
        if self.matched == RECEIVED.len() {
            self.count = self.count.saturating_add(1);
            self.matched = SETTLED;
        }
    }

    fn line_end(&mut self, line: u64) -> u32 {
        self.over |= line == 0;
        self.matched = 0;
        self.count
    }
}

#[cfg(test)]
mod tests;
