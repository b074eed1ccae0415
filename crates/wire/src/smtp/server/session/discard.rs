//! Text that is read past: behind a DATA that was refused in its middle, and in the chunks of a BDAT that was.
//!
//! A client reads no reply before it has sent all of its message (RFC 5321 §4.1.1.4), so the rest is let through and thrown away,
//! that the reply may reach it and none of it becomes a command. Bounded by: [`Limits::refused_text`](super::Limits), for all that is
//! thrown away between one transaction and the next; whoever goes on is told and left.

use super::chunks::upto;
use super::{Event, Phase, Progress, Session, Skipped};
use crate::smtp::server::data::Step;

impl Session {
    /// Octets behind DATA, up to the end of the text.
    pub(super) fn discard<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> Progress<'a> {
        let within = upto(input, self.room());
        let Phase::Discarding(text, _) = &mut self.phase else {
            return Progress { consumed: 0, event: Event::NeedMore };
        };
        let (consumed, step) = text.step(within, &self.limits);
        self.discarded = self.discarded.saturating_add(consumed as u64);
        let event = match step {
            Step::End => self.ended(out),
            _ if consumed < input.len() && self.room() == 0 => self.leave(out),
            _ => Event::NeedMore,
        };
        Progress { consumed, event }
    }

    /// Octets of a chunk.
    pub(super) fn skip<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> Progress<'a> {
        let within = upto(input, self.room());
        let Phase::Skipping(left, ..) = &mut self.phase else {
            return Progress { consumed: 0, event: Event::NeedMore };
        };
        let consumed = upto(within, *left).len();
        *left = left.saturating_sub(consumed as u64);
        self.discarded = self.discarded.saturating_add(consumed as u64);
        let event = match *left {
            0 => self.skipped(out),
            _ if consumed < input.len() => self.leave(out),
            _ => Event::NeedMore,
        };
        Progress { consumed, event }
    }

    /// How many octets more may be thrown away.
    fn room(&self) -> u64 {
        self.limits.refused_text().saturating_sub(self.discarded)
    }

    /// The end of the text has come.
    fn ended(&mut self, out: &mut Vec<u8>) -> Event<'static> {
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Discarding(_, reply) => {
                // Where this was one error too many, Close is the next event.
                let _ = self.say(&reply, out);
                Event::Refused(*reply)
            }
            phase => {
                self.phase = phase;
                Event::NeedMore
            }
        }
    }

    /// More has come than is read past: the reply that was due is the last word. Close is the next event.
    fn leave(&mut self, out: &mut Vec<u8>) -> Event<'static> {
        let reply = match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Discarding(_, reply) | Phase::Skipping(_, reply, Skipped::Message) => reply,
            Phase::Skipping(_, reply, Skipped::Nothing(_)) => {
                reply.write(out);
                return Event::Close;
            }
            phase => {
                self.phase = phase;
                return Event::NeedMore;
            }
        };
        self.errors = self.errors.saturating_add(u32::from(reply.code() >= 500));
        reply.write(out);
        Event::Refused(*reply)
    }
}
