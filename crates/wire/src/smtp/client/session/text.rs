//! The text of a message on its way out: by DATA with its dots doubled, or as the one chunk of BDAT.
//!
//! No CR or LF leaves that is not part of a line's end, so that no server behind us sees another end of the message than we do; only what is
//! declared to be binary, and goes by BDAT, is not looked at. What is begun and cannot be ended is ended by closing the connection.

use thiserror::Error;

use super::transfer::Step;
use super::{Broken, Event, Phase, Session};
use crate::smtp::client::{Reply, Stuffing};
use crate::smtp::server::BodyType;

/// How the text is written.
#[derive(Debug)]
pub(super) struct Writing {
    framing: Framing,
    /// Octets that MAIL announced and that have not been written.
    left: u64,
    lines: Lines,
}

#[derive(Debug)]
enum Framing {
    Data(Stuffing),
    Chunk,
}

/// What the last byte was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lines {
    /// No CR.
    Within,
    /// A CR.
    Cr,
    /// Binary: lines mean nothing.
    None,
}

/// The text cannot be sent: close the connection, so that no server takes it for whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TextFault {
    /// A CR without LF, or an LF without CR.
    #[error("the message has a CR or LF that is no line's end")]
    BareLineEnd,
    /// It has more or fewer octets than MAIL said.
    #[error("the message has not the length that it had")]
    Length,
    /// No text is due.
    #[error("the server does not wait for a text")]
    NotDue,
}

impl Writing {
    pub(super) fn data(octets: u64) -> Self {
        Self { framing: Framing::Data(Stuffing::default()), left: octets, lines: Lines::Within }
    }

    pub(super) fn chunk(octets: u64, body: BodyType) -> Self {
        let lines = if body == BodyType::BinaryMime { Lines::None } else { Lines::Within };
        Self { framing: Framing::Chunk, left: octets, lines }
    }

    fn write(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), TextFault> {
        self.left = self.left.checked_sub(piece.len() as u64).ok_or(TextFault::Length)?;
        self.lines = self.lines.pass(piece)?;
        match &mut self.framing {
            Framing::Data(stuffing) => stuffing.write(piece, out),
            Framing::Chunk => out.extend_from_slice(piece),
        }
        Ok(())
    }

    fn end(self, out: &mut Vec<u8>) -> Result<(), TextFault> {
        if self.left > 0 {
            return Err(TextFault::Length);
        }
        if self.lines == Lines::Cr {
            return Err(TextFault::BareLineEnd);
        }
        if let Framing::Data(stuffing) = self.framing {
            stuffing.finish(out);
        }
        Ok(())
    }
}

impl Lines {
    fn pass(mut self, piece: &[u8]) -> Result<Self, TextFault> {
        if self == Self::None {
            return Ok(self);
        }
        let mut rest = piece;
        while let Some((first, others)) = rest.split_first() {
            if self == Self::Cr {
                if *first != b'\n' {
                    return Err(TextFault::BareLineEnd);
                }
                (self, rest) = (Self::Within, others);
                continue;
            }
            let Some(at) = memchr::memchr2(b'\r', b'\n', rest) else { break };
            if rest.get(at) == Some(&b'\n') {
                return Err(TextFault::BareLineEnd);
            }
            (self, rest) = (Self::Cr, rest.get(at + 1..).unwrap_or_default());
        }
        Ok(self)
    }
}

impl Session {
    /// Appends a piece of the text to `out`. Between [`Event::Text`] and [`Session::end`].
    ///
    /// # Errors
    /// When it may not leave; the session is closed then.
    pub fn text(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), TextFault> {
        let Phase::Text(writing) = &mut self.phase else { return Err(TextFault::NotDue) };
        let before = out.len();
        let written = writing.write(piece, out);
        if written.is_err() {
            out.truncate(before);
            self.phase = Phase::Closed;
        }
        written
    }

    /// The text is over: its end is appended to `out`, and the reply to it is awaited.
    ///
    /// # Errors
    /// As [`Session::text`].
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<(), TextFault> {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Text(writing) => writing.end(out)?,
            other => {
                self.phase = other;
                return Err(TextFault::NotDue);
            }
        }
        self.owed += 1;
        self.phase = Phase::Sent;
        Ok(())
    }

    /// RFC 5321 §4.5.3.2.5 lets a server refuse whenever it likes; none can have taken what it has not got.
    pub(super) fn hear_in_text(&mut self, reply: Reply) -> Result<Event, Broken> {
        if reply.is_positive() || reply.is_intermediate() {
            return Err(Broken::Early);
        }
        if let Some(transfer) = &mut self.transfer {
            transfer.refuse_rest(Step::Text, &reply);
        }
        Ok(self.close(reply))
    }

    pub(super) fn hear_end(&mut self, reply: Reply) -> Result<Event, Broken> {
        if reply.is_intermediate() {
            return Err(Broken::OutOfStep(reply));
        }
        if let Some(transfer) = &mut self.transfer {
            if reply.is_positive() {
                transfer.taken(&reply);
            } else {
                transfer.refuse_rest(Step::Text, &reply);
            }
        }
        // RFC 5321 §4.1.1.4: whatever the reply, the transaction is over.
        self.open = false;
        self.phase = Phase::Idle;
        Ok(Event::Done)
    }
}
