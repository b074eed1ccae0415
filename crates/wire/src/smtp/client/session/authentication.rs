//! AUTH (RFC 4954): lines of base64 to and fro. What they say is a mechanism's affair.

use super::{Broken, Event, Phase, Session};
use crate::smtp::client::Reply;

impl Session {
    /// Begins `mechanism`, with its first response in base64 if it has one. Only when the session is idle.
    pub fn authenticate(&mut self, mechanism: &str, initial: Option<&str>, out: &mut Vec<u8>) {
        let mut line = format!("AUTH {mechanism}");
        if let Some(initial) = initial {
            // RFC 4954 §4: `=` is an empty one.
            line += &format!(" {}", if initial.is_empty() { "=" } else { initial });
        }
        self.say_line(&line, out);
    }

    /// Answers a challenge, in base64.
    pub fn respond(&mut self, response: &str, out: &mut Vec<u8>) {
        self.say_line(response, out);
    }

    /// Goes no further; the server answers with a refusal.
    pub fn cancel(&mut self, out: &mut Vec<u8>) {
        self.say_line("*", out);
    }

    /// Nothing but what can be seen gets into the line, whatever a mechanism made.
    fn say_line(&mut self, line: &str, out: &mut Vec<u8>) {
        let line: String = line.chars().filter(|character| matches!(character, ' '..='~')).collect();
        self.say(&line, Phase::Authentication, out);
    }

    pub(super) fn hear_authentication(&mut self, reply: Reply) -> Result<Event, Broken> {
        if reply.is_intermediate() {
            // Nobody is asked anything more until the driver answers.
            let challenge = reply.lines.into_iter().next().unwrap_or_default();
            return Ok(Event::Challenge(challenge));
        }
        self.phase = Phase::Idle;
        Ok(if reply.is_positive() { Event::Authenticated } else { Event::NotAuthenticated(reply) })
    }
}
