//! One transaction: MAIL, RCPT and DATA in groups where the server takes that (RFC 2920), and what it says to each.

use std::collections::VecDeque;

use super::text::Writing;
use super::{Broken, Event, Phase, Session};
use crate::smtp::client::command::write_only_chunk;
use crate::smtp::client::envelope::Envelope;
use crate::smtp::client::{Extensions, Reply};

/// What came of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has taken the message for it, by its reply to the text.
    Taken(Reply),
    /// The server refused.
    Refused(Step, Reply),
    /// It never said: it may have the message where its text was sent.
    Unanswered,
}

/// What a refusal answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
    /// DATA, BDAT or the text.
    Text,
    /// Nothing of the transaction: the server closes.
    Session,
}

/// A transaction under way.
#[derive(Debug)]
pub(super) struct Transfer {
    envelope: Envelope,
    offered: Extensions,
    /// What is said next.
    next: Next,
    /// What was said and not answered.
    asked: VecDeque<Asked>,
    recipients: Vec<State>,
    /// What DATA was answered, if it was said.
    data: Option<Reply>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Reset,
    Mail,
    Recipient(usize),
    Data,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Reset,
    Mail,
    Recipient(usize),
    Data,
    /// The end of a text of nothing.
    Nothing,
}

#[derive(Clone, Debug)]
enum State {
    Unasked,
    Accepted,
    Over(Outcome),
}

/// RFC 2920 §3.1: a client must not fill both directions. Replies to a group of this size fit any window.
const GROUP: usize = 50;

impl Transfer {
    pub(super) fn new(envelope: Envelope, offered: Extensions, open: bool) -> Self {
        let recipients = vec![State::Unasked; envelope.recipients.len()];
        let next = if open { Next::Reset } else { Next::Mail };
        Self { envelope, offered, next, asked: VecDeque::new(), recipients, data: None }
    }

    /// Says as much as the server takes at once: how many replies are owed for it.
    pub(super) fn ask(&mut self, out: &mut Vec<u8>) -> usize {
        let most = if self.offered.pipelining { GROUP } else { 1 };
        let before = self.asked.len();
        while self.asked.len() < most {
            let (asked, next) = match self.next {
                Next::Reset => {
                    out.extend_from_slice(b"RSET\r\n");
                    (Asked::Reset, Next::Mail)
                }
                Next::Mail => {
                    self.envelope.write_mail(&self.offered, out);
                    (Asked::Mail, Next::Recipient(0))
                }
                Next::Recipient(at) => match self.envelope.recipients.get(at) {
                    Some(recipient) => {
                        recipient.write_rcpt(&self.offered, out);
                        (Asked::Recipient(at), Next::Recipient(at + 1))
                    }
                    None => {
                        self.next = if self.offered.chunking { Next::Nothing } else { Next::Data };
                        continue;
                    }
                },
                // It may stand at the end of a group; where all is answered already, only when there is somebody to send to.
                Next::Data if self.asked.is_empty() && !self.is_any_accepted() => {
                    self.next = Next::Nothing;
                    continue;
                }
                Next::Data => {
                    out.extend_from_slice(b"DATA\r\n");
                    (Asked::Data, Next::Nothing)
                }
                Next::Nothing => break,
            };
            self.asked.push_back(asked);
            self.next = next;
        }
        self.asked.len() - before
    }

    /// One reply to what was said first.
    fn hear(&mut self, reply: Reply) -> Result<(), Broken> {
        let asked = self.asked.pop_front().ok_or(Broken::Early)?;
        match asked {
            Asked::Reset | Asked::Mail if reply.is_positive() => {}
            // Whatever was refused there, the next thing is not understood as it is meant.
            Asked::Reset => return Err(Broken::OutOfStep(reply)),
            Asked::Data => {
                if reply.is_positive() {
                    return Err(Broken::OutOfStep(reply));
                }
                self.data = Some(reply);
            }
            Asked::Nothing => {}
            Asked::Mail | Asked::Recipient(_) if reply.is_intermediate() => return Err(Broken::OutOfStep(reply)),
            Asked::Mail => {
                self.refuse_rest(Step::Sender, &reply);
                self.next = Next::Nothing;
            }
            Asked::Recipient(at) => {
                if let Some(state @ State::Unasked) = self.recipients.get_mut(at) {
                    *state = if reply.is_positive() {
                        State::Accepted
                    } else {
                        State::Over(Outcome::Refused(Step::Recipient, reply))
                    };
                }
            }
        }
        Ok(())
    }

    pub(super) fn awaits_data(&self) -> bool {
        self.asked.front() == Some(&Asked::Data)
    }

    fn is_any_accepted(&self) -> bool {
        self.recipients.iter().any(|state| matches!(state, State::Accepted))
    }

    /// Nobody about whom nothing else is known gets it.
    pub(super) fn refuse_rest(&mut self, step: Step, reply: &Reply) {
        for state in &mut self.recipients {
            if !matches!(state, State::Over(_)) {
                *state = State::Over(Outcome::Refused(step, reply.clone()));
            }
        }
    }

    /// Everybody who was accepted has it.
    pub(super) fn taken(&mut self, reply: &Reply) {
        for state in &mut self.recipients {
            if matches!(state, State::Accepted) {
                *state = State::Over(Outcome::Taken(reply.clone()));
            }
        }
    }

    pub(super) fn outcomes(self) -> Vec<Outcome> {
        let outcome = |state| if let State::Over(outcome) = state { outcome } else { Outcome::Unanswered };
        self.recipients.into_iter().map(outcome).collect()
    }
}

impl Session {
    pub(super) fn hear_answer(&mut self, reply: Reply, out: &mut Vec<u8>) -> Result<Event, Broken> {
        let Some(transfer) = &mut self.transfer else { return Err(Broken::Early) };
        transfer.hear(reply)?;
        if transfer.asked.is_empty() {
            self.owed += transfer.ask(out);
        }
        if !transfer.asked.is_empty() {
            return Ok(Event::NeedMore);
        }
        let data = transfer.data.take();
        let (is_wanted, octets) = (transfer.is_any_accepted(), transfer.envelope.size);
        match data {
            // RFC 2920 §3.1: a server that accepted nobody and waits for a text is given an empty one, which it must refuse.
            Some(reply) if reply.is_intermediate() && !is_wanted => {
                out.extend_from_slice(b".\r\n");
                transfer.asked.push_back(Asked::Nothing);
                self.owed += 1;
                Ok(Event::NeedMore)
            }
            Some(reply) if reply.is_intermediate() => Ok(self.begin_text(Writing::data(octets))),
            Some(reply) => {
                transfer.refuse_rest(Step::Text, &reply);
                Ok(self.over())
            }
            None if is_wanted => {
                write_only_chunk(octets, out);
                let body = transfer.envelope.body;
                Ok(self.begin_text(Writing::chunk(octets, body)))
            }
            None => Ok(self.over()),
        }
    }

    fn begin_text(&mut self, writing: Writing) -> Event {
        self.phase = Phase::Text(writing);
        Event::Text
    }

    fn over(&mut self) -> Event {
        self.phase = Phase::Idle;
        Event::Done
    }
}
