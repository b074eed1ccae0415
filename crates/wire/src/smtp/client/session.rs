//! A client's session: what is said when, and what a server's replies mean (RFC 5321 §3, §4.3.1).
//!
//! It is fed what the server sent and says what came of it; its commands go into a buffer of the driver's, which is sent before more is
//! read. What a server says before it was asked is not believed ([`Broken::Early`]); what stands behind its answer to STARTTLS is not read
//! ([`Broken::Injected`], RFC 3207 §6); 421 ends everything whenever it comes (RFC 5321 §3.8). Holds no byte of a message.

mod authentication;
mod hello;
mod text;
mod transfer;

use thiserror::Error;

pub use self::text::TextFault;
use self::text::Writing;
use self::transfer::Transfer;
pub use self::transfer::{Outcome, Step};
use super::envelope::{Envelope, Unfit};
use super::extensions::Extensions;
use super::reply::{self, Limits, Reading, Reply};

/// One session, from before the greeting to its end.
#[derive(Debug)]
pub struct Session {
    own_name: Box<str>,
    limits: Limits,
    reading: Reading,
    /// Replies that are still owed to us.
    owed: usize,
    phase: Phase,
    server: Option<Box<str>>,
    offered: Extensions,
    transfer: Option<Box<Transfer>>,
    /// A transaction was left open, and RSET comes before the next one.
    open: bool,
}

/// Where the session is.
#[derive(Debug)]
enum Phase {
    /// Nothing has come.
    Greeting,
    /// EHLO was said.
    Ehlo,
    /// HELO was said, since EHLO is not known.
    Helo,
    /// Nothing is asked; the driver decides.
    Idle,
    /// STARTTLS was said.
    Tls,
    /// The handshake is due.
    Shaking,
    /// AUTH is under way.
    Authentication,
    /// MAIL, RCPT and DATA are said and answered.
    Asking,
    /// The text is being sent.
    Text(Writing),
    /// The text was sent.
    Sent,
    /// QUIT was said.
    Leaving,
    /// Nothing more is said or believed.
    Closed,
}

/// What came of some input.
#[derive(Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes at the front of the input are done with.
    pub consumed: usize,
    /// What is to be done now.
    pub event: Event,
}

/// What the driver is to do. Commands in its buffer are to be sent before it reads again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Send what is to be sent, read, and come again with what was left and what was read.
    NeedMore,
    /// The server greeted and knows our name: [`Session::offered`] is known, and [`Session::start_tls`], [`Session::authenticate`],
    /// [`Session::begin`] or [`Session::quit`] comes next.
    Ready,
    /// Shake hands, and say [`Session::secured`].
    StartTls,
    /// STARTTLS was refused; the session is where it was.
    TlsRefused(Reply),
    /// The next step of authentication, in base64: [`Session::respond`] or [`Session::cancel`].
    Challenge(Vec<u8>),
    /// The server knows us.
    Authenticated,
    /// It does not; the session is where it was.
    NotAuthenticated(Reply),
    /// At least one recipient is accepted, and the server waits: [`Session::text`] and then [`Session::end`].
    Text,
    /// The transaction is over: [`Session::take_outcomes`].
    Done,
    /// The server takes nothing more, by this reply: close the connection. [`Session::take_outcomes`] says what it took before.
    Closing(Reply),
    /// The server said good-bye to our QUIT.
    Left,
}

/// The server cannot be believed any further: close the connection. [`Session::take_outcomes`] says what it took before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Broken {
    /// A reply cannot be read.
    #[error("the server gave a reply that cannot be read")]
    Reply(#[source] reply::Error),
    /// A reply to what was not said yet.
    #[error("the server answers before it is asked")]
    Early,
    /// Bytes behind the reply to STARTTLS (RFC 3207 §6).
    #[error("there are bytes behind the reply to STARTTLS, as if they had come encrypted")]
    Injected,
    /// A reply whose class means nothing here.
    #[error("the server answers with a reply that has no meaning here: {}", .0.text())]
    OutOfStep(Reply),
}

/// What is waited for, and so for how long (RFC 5321 §4.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Nothing.
    Nothing,
    /// The greeting: 5 minutes.
    Greeting,
    /// The reply to a command: 5 minutes.
    Command,
    /// The reply to DATA: 2 minutes.
    TextBegin,
    /// The reply to the end of the text: 10 minutes.
    TextEnd,
}

impl Session {
    /// One that calls itself `own_name`: a domain name, or an address in brackets (RFC 5321 §4.1.4).
    pub fn new(own_name: &str, limits: Limits) -> Self {
        Self {
            own_name: own_name.chars().filter(char::is_ascii_graphic).collect(),
            limits,
            reading: Reading::default(),
            owed: 1,
            phase: Phase::Greeting,
            server: None,
            offered: Extensions::default(),
            transfer: None,
            open: false,
        }
    }

    /// What the server offers, by its last reply to EHLO.
    pub fn offered(&self) -> &Extensions {
        &self.offered
    }

    /// What the server calls itself, in its last reply to EHLO or HELO.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Whether nothing is under way, so that another transaction may begin.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// What is waited for.
    pub fn awaited(&self) -> Awaited {
        match &self.phase {
            Phase::Idle | Phase::Shaking | Phase::Text(_) | Phase::Closed => Awaited::Nothing,
            Phase::Greeting => Awaited::Greeting,
            Phase::Asking if self.transfer.as_ref().is_some_and(|transfer| transfer.awaits_data()) => {
                Awaited::TextBegin
            }
            Phase::Ehlo | Phase::Helo | Phase::Tls | Phase::Authentication | Phase::Asking | Phase::Leaving => {
                Awaited::Command
            }
            Phase::Sent => Awaited::TextEnd,
        }
    }

    /// Begins a transaction. Only when [`Session::is_idle`].
    ///
    /// # Errors
    /// When this server cannot take it; nothing is said then.
    pub fn begin(&mut self, envelope: Envelope, out: &mut Vec<u8>) -> Result<(), Unfit> {
        envelope.fits(&self.offered)?;
        let mut transfer = Box::new(Transfer::new(envelope, self.offered, self.open));
        self.open = true;
        self.owed += transfer.ask(out);
        self.transfer = Some(transfer);
        self.phase = Phase::Asking;
        Ok(())
    }

    /// What came of each recipient of the last transaction, in their order; of one that is not over, so far.
    pub fn take_outcomes(&mut self) -> Vec<Outcome> {
        self.transfer.take().map(|transfer| transfer.outcomes()).unwrap_or_default()
    }

    /// Says good-bye.
    pub fn quit(&mut self, out: &mut Vec<u8>) {
        if self.is_idle() {
            self.say("QUIT", Phase::Leaving, out);
        } else {
            self.phase = Phase::Closed;
        }
    }

    /// Goes on with `input`, which begins where the last call stopped consuming; appends commands to `out`.
    ///
    /// # Errors
    /// When the server cannot be believed any further. Each later call says so too.
    pub fn receive(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Progress, Broken> {
        let received = self.advance(input, out);
        if received.is_err() {
            self.phase = Phase::Closed;
        }
        received
    }

    fn advance(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Progress, Broken> {
        let mut consumed = 0;
        loop {
            let rest = input.get(consumed..).unwrap_or_default();
            let (used, reply) = self.reading.take(rest, &self.limits).map_err(Broken::Reply)?;
            consumed += used;
            let rest = input.get(consumed..).unwrap_or_default();
            let Some(reply) = reply else {
                self.refuse_early(rest)?;
                return Ok(Progress { consumed, event: Event::NeedMore });
            };
            let event = if reply.is_goodbye() { self.goodbye(reply) } else { self.hear(reply, rest, out)? };
            if event != Event::NeedMore {
                return Ok(Progress { consumed, event });
            }
        }
    }

    /// One reply, and what stands behind it.
    fn hear(&mut self, reply: Reply, rest: &[u8], out: &mut Vec<u8>) -> Result<Event, Broken> {
        if matches!(self.phase, Phase::Text(_)) {
            return self.hear_in_text(reply);
        }
        self.owed = self.owed.checked_sub(1).ok_or(Broken::Early)?;
        if matches!(self.phase, Phase::Tls) && reply.is_positive() && !rest.is_empty() {
            return Err(Broken::Injected);
        }
        self.refuse_early(rest)?;
        match self.phase {
            Phase::Greeting => Ok(self.hear_greeting(reply, out)),
            Phase::Ehlo => self.hear_ehlo(reply, out),
            Phase::Helo => self.hear_helo(reply),
            Phase::Tls => self.hear_tls(reply),
            Phase::Authentication => self.hear_authentication(reply),
            Phase::Asking => self.hear_answer(reply, out),
            Phase::Sent => self.hear_end(reply),
            Phase::Leaving => {
                self.phase = Phase::Closed;
                Ok(Event::Left)
            }
            Phase::Idle | Phase::Shaking | Phase::Text(_) | Phase::Closed => Err(Broken::Early),
        }
    }

    /// Who owes no answer may begin nothing but a good-bye.
    fn refuse_early(&self, rest: &[u8]) -> Result<(), Broken> {
        let is_goodbye = match self.reading.begun() {
            Some(code) => code == 421,
            None => rest.iter().zip(b"421").all(|(byte, expected)| byte == expected),
        };
        let may_speak = self.owed > 0 || matches!(self.phase, Phase::Text(_));
        if may_speak || is_goodbye { Ok(()) } else { Err(Broken::Early) }
    }

    /// RFC 5321 §3.8 and §4.2.1: 421 may answer any command, and come without one.
    fn goodbye(&mut self, reply: Reply) -> Event {
        if let Some(transfer) = &mut self.transfer {
            transfer.refuse_rest(Step::Session, &reply);
        }
        self.phase = Phase::Closed;
        Event::Closing(reply)
    }

    fn say(&mut self, command: &str, phase: Phase, out: &mut Vec<u8>) {
        out.extend_from_slice(command.as_bytes());
        out.extend_from_slice(b"\r\n");
        self.owed += 1;
        self.phase = phase;
    }

    fn close(&mut self, reply: Reply) -> Event {
        self.phase = Phase::Closed;
        Event::Closing(reply)
    }
}

#[cfg(test)]
mod tests;
