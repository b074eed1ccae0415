//! Greeting, EHLO and STARTTLS.

use super::{Broken, Event, Phase, Session};
use crate::smtp::client::{Extensions, Reply};

impl Session {
    /// Asks for TLS. Only when the session is idle.
    pub fn start_tls(&mut self, out: &mut Vec<u8>) {
        self.say("STARTTLS", Phase::Tls, out);
    }

    /// The session is encrypted from now on. What the server said before is forgotten (RFC 3207 §4.2), and our name is said again.
    pub fn secured(&mut self, out: &mut Vec<u8>) {
        self.offered = Extensions::default();
        self.server = None;
        self.greet(out);
    }

    fn greet(&mut self, out: &mut Vec<u8>) {
        let line = format!("EHLO {}", self.own_name);
        self.say(&line, Phase::Ehlo, out);
    }

    pub(super) fn hear_greeting(&mut self, reply: Reply, out: &mut Vec<u8>) -> Event {
        if !reply.is_positive() {
            return self.close(reply);
        }
        self.greet(out);
        Event::NeedMore
    }

    pub(super) fn hear_ehlo(&mut self, reply: Reply, out: &mut Vec<u8>) -> Result<Event, Broken> {
        if reply.is_positive() {
            self.offered = Extensions::of(&reply);
            return Ok(self.ready(&reply));
        }
        // RFC 5321 §3.2 and §4.1.1.1: a server that does not know it may still know HELO.
        if reply.is_permanent() {
            let line = format!("HELO {}", self.own_name);
            self.say(&line, Phase::Helo, out);
            return Ok(Event::NeedMore);
        }
        self.refused(reply)
    }

    pub(super) fn hear_helo(&mut self, reply: Reply) -> Result<Event, Broken> {
        if reply.is_positive() {
            return Ok(self.ready(&reply));
        }
        self.refused(reply)
    }

    pub(super) fn hear_tls(&mut self, reply: Reply) -> Result<Event, Broken> {
        if reply.is_positive() {
            self.phase = Phase::Shaking;
            return Ok(Event::StartTls);
        }
        if reply.is_intermediate() {
            return Err(Broken::OutOfStep(reply));
        }
        self.phase = Phase::Idle;
        Ok(Event::TlsRefused(reply))
    }

    fn refused(&mut self, reply: Reply) -> Result<Event, Broken> {
        if reply.is_intermediate() { Err(Broken::OutOfStep(reply)) } else { Ok(self.close(reply)) }
    }

    /// RFC 5321 §4.1.1.1: the first word is the server's name.
    fn ready(&mut self, reply: &Reply) -> Event {
        let first = reply.lines.first().and_then(|line| line.split(|byte| *byte == b' ').next());
        let name = first.and_then(|word| std::str::from_utf8(word).ok());
        self.server = name.filter(|name| !name.is_empty()).map(Into::into);
        self.phase = Phase::Idle;
        Event::Ready
    }
}
