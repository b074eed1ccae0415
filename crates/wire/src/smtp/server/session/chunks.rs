//! BDAT and its chunks (RFC 3030): what comes of a chunk that is taken, and of one that is not.
//!
//! A chunk comes whatever we think of it, right behind its command; so one that is refused is read past, octet for octet, and then
//! answered, and none of it is ever a command. Bounded by: [`Limits::message`](super::Limits), for all chunks of a message and
//! for one that belongs to none; and what the module `discard` reads past.

use super::{Event, NO_RECIPIENTS, Phase, Progress, Session, Skipped};
use crate::smtp::server::command::{BodyType, Chunk};
use crate::smtp::server::data::{Fault, Framing, Step, Text};
use crate::smtp::server::reply::Reply;

impl Session {
    /// The command. Only a chunk that is larger than any message is not waited for.
    pub(super) fn bdat(&mut self, chunk: Chunk, out: &mut Vec<u8>) -> Event<'static> {
        if chunk.octets > self.limits.message {
            self.close(&Fault::TooLarge.reply(), out);
            return Event::Close;
        }
        let (reply, skipped) = match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Recipients(envelope) if envelope.recipients.is_empty() => {
                (Reply::new(554, "5.5.1", NO_RECIPIENTS), Skipped::Nothing(Some(envelope)))
            }
            Phase::Recipients(envelope) => {
                let is_binary = envelope.mail.body == BodyType::BinaryMime;
                let framing = if is_binary { Framing::BinaryChunks } else { Framing::Chunks };
                self.phase = Phase::Chunk(envelope, Text::new(framing), chunk);
                return Event::Data;
            }
            Phase::Chunks(_, text) if chunk.octets > self.limits.message.saturating_sub(text.size()) => {
                self.phase = Phase::Skipping(chunk.octets, Box::new(Fault::TooLarge.reply()), Skipped::Message);
                return Event::Fault(Fault::TooLarge);
            }
            Phase::Chunks(envelope, text) => {
                self.phase = Phase::Chunk(envelope, text, chunk);
                return Event::Answered;
            }
            _ => (self.no_mail(), Skipped::Nothing(None)),
        };
        self.phase = Phase::Skipping(chunk.octets, Box::new(reply), skipped);
        Event::Answered
    }

    /// Octets of a chunk that is taken.
    pub(super) fn receive_chunk<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> Progress<'a> {
        let Phase::Chunk(_, text, chunk) = &mut self.phase else {
            return Progress { consumed: 0, event: Event::NeedMore };
        };
        if chunk.octets == 0 {
            return Progress { consumed: 0, event: self.chunk_end(out) };
        }
        let (consumed, step) = text.step(upto(input, chunk.octets), &self.limits);
        chunk.octets = chunk.octets.saturating_sub(consumed as u64);
        let event = match step {
            Step::More if chunk.octets == 0 => self.chunk_end(out),
            step => self.receive_text(step, out),
        };
        Progress { consumed, event }
    }

    /// All of a chunk has come.
    fn chunk_end(&mut self, out: &mut Vec<u8>) -> Event<'static> {
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Chunk(envelope, text, Chunk { last: false, .. }) => {
                Reply::with_text(250, "2.0.0", format!("Ok: {} octets so far", text.size())).write(out);
                self.phase = Phase::Chunks(envelope, text);
                Event::Answered
            }
            Phase::Chunk(envelope, text, _) => match text.end() {
                None => {
                    self.phase = Phase::Ended(envelope);
                    Event::BodyEnd
                }
                Some(fault) => {
                    self.phase = Phase::Skipping(0, Box::new(fault.reply()), Skipped::Message);
                    Event::Fault(fault)
                }
            },
            phase => {
                self.phase = phase;
                Event::NeedMore
            }
        }
    }

    /// All of a chunk that was thrown away has come.
    pub(super) fn skipped(&mut self, out: &mut Vec<u8>) -> Event<'static> {
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Skipping(_, reply, Skipped::Message) => {
                // Where this was one error too many, Close is the next event.
                let _ = self.say(&reply, out);
                Event::Refused(*reply)
            }
            Phase::Skipping(_, reply, Skipped::Nothing(envelope)) => {
                self.phase = envelope.map_or(Phase::Ready, Phase::Recipients);
                self.say_behind_mail(&reply, out)
            }
            phase => {
                self.phase = phase;
                Event::NeedMore
            }
        }
    }
}

/// The first `most` octets of `input`.
pub(super) fn upto(input: &[u8], most: u64) -> &[u8] {
    usize::try_from(most).ok().and_then(|most| input.get(..most)).unwrap_or(input)
}
