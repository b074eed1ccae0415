//! MAIL, RCPT and DATA: what is checked before the driver is asked, and what is said where they may not come (RFC 5321 §4.1.4).
//!
//! Bounded by: [`Limits`](super::Limits).

use super::{Envelope, Event, Phase, Session};
use crate::smtp::server::command::{self, BodyType, Mail, Recipient};
use crate::smtp::server::data::{Fault, Framing, Text};
use crate::smtp::server::reply::Reply;

impl Session {
    pub(super) fn mail(&mut self, mail: Mail, out: &mut Vec<u8>) -> Event<'static> {
        self.put_off = None;
        if self.hello.is_none() {
            return self.say(&Reply::new(503, "5.5.1", "Error: EHLO or HELO first"), out);
        }
        if !matches!(self.phase, Phase::Ready) {
            return self.say(&Reply::new(503, "5.5.1", "Error: a transaction is open; RSET ends it"), out);
        }
        if let Some(reply) = self.not_yet() {
            return self.say(&reply, out);
        }
        if mail.size.is_some_and(|size| size > self.limits.message) {
            return self.say(&Fault::TooLarge.reply(), out); // RFC 1870 §6.1
        }
        if self.messages >= self.limits.messages {
            self.close(&Reply::new(421, "4.7.0", "Error: too many messages in one session, connect again"), out);
            return Event::Close;
        }
        self.phase = Phase::MailAsked(Box::new(Envelope { mail, recipients: Vec::new() }));
        Event::Mail
    }

    pub(super) fn rcpt(&mut self, recipient: Recipient, out: &mut Vec<u8>) -> Event<'static> {
        let envelope = match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Recipients(envelope) => envelope,
            phase => return self.out_of_order(phase, out),
        };
        let refusal = if !envelope.mail.utf8 && !recipient.path.is_ascii() {
            Some(command::Error::NonAscii.reply())
        } else if envelope.recipients.len() >= self.limits.recipients {
            Some(Reply::new(452, "4.5.3", "Error: too many recipients")) // RFC 5321 §4.5.3.1.10
        } else if self.domains as usize >= self.limits.recipient_domains && self.is_new_domain(&envelope, &recipient) {
            Some(Reply::new(452, "4.5.3", "Error: too many domains among the recipients"))
        } else {
            None
        };
        match refusal {
            None => {
                self.phase = Phase::RecipientAsked(envelope, recipient);
                Event::Recipient
            }
            Some(reply) => {
                self.phase = Phase::Recipients(envelope);
                if self.is_idling(out) { Event::Close } else { self.say(&reply, out) }
            }
        }
    }

    /// Whether no recipient so far has this one's domain. Not asked where the number of recipients bounds that of domains.
    pub(super) fn is_new_domain(&self, envelope: &Envelope, recipient: &Recipient) -> bool {
        self.limits.recipient_domains < self.limits.recipients
            && !envelope.recipients.iter().any(|other| other.path.is_same_domain(&recipient.path))
    }

    pub(super) fn data(&mut self, out: &mut Vec<u8>) -> Event<'static> {
        let envelope = match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Recipients(envelope) => envelope,
            phase => return self.out_of_order(phase, out),
        };
        let refusal = match envelope.mail.body {
            _ if envelope.recipients.is_empty() => Reply::new(554, "5.5.1", NO_RECIPIENTS),
            // RFC 3030 §3.
            BodyType::BinaryMime => Reply::new(503, "5.5.1", "Error: BODY=BINARYMIME comes by BDAT"),
            _ => {
                self.phase = Phase::Text(envelope, Text::new(Framing::Dots));
                Reply::new(354, "", "End data with <CR><LF>.<CR><LF>").write(out);
                return Event::Data;
            }
        };
        self.phase = Phase::Recipients(envelope);
        self.say(&refusal, out)
    }

    /// RCPT or DATA where neither may be; nothing changes.
    pub(super) fn out_of_order(&mut self, phase: Phase, out: &mut Vec<u8>) -> Event<'static> {
        let reply = match phase {
            // RFC 3030 §2.
            Phase::Chunks(..) => Reply::new(503, "5.5.1", "Error: the message comes by BDAT; RSET ends it"),
            _ => self.no_mail(),
        };
        self.phase = phase;
        self.say_behind_mail(&reply, out)
    }

    /// What is said to RCPT, DATA and BDAT without a transaction. A client that pipelines had sent them before it could know
    /// that its MAIL is refused for now (RFC 2920 §3.1): a 5xx would tell it that they never will be taken.
    pub(super) fn no_mail(&self) -> Reply {
        self.put_off.as_deref().cloned().unwrap_or(Reply::new(503, "5.5.1", "Error: MAIL first"))
    }

    /// Says it; where it is no error, the command counts as one that brings no message further.
    pub(super) fn say_behind_mail(&mut self, reply: &Reply, out: &mut Vec<u8>) -> Event<'static> {
        if reply.code() < 500 && self.is_idling(out) { Event::Close } else { self.say(reply, out) }
    }
}

/// What is said behind a MAIL that was answered with a 4xx.
pub(super) fn put_off(reply: &Reply) -> Option<Reply> {
    let text = "Error: the sender was not accepted, try again later";
    (400..500).contains(&reply.code()).then(|| Reply::new(reply.code(), reply.enhanced(), text))
}

pub(super) const NO_RECIPIENTS: &str = "Error: no valid recipients";
