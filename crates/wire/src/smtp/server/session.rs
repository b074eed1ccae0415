//! The session: what is allowed when, and what is said to it (RFC 5321 §3 and §4.1.4).
//!
//! Knows no socket, store or clock; decides nothing about senders and recipients, but asks. See the module above.

mod authentication;
mod chunks;
mod discard;
mod encrypted;
mod transaction;

use std::fmt;
use std::sync::Arc;

use self::authentication::{Access, Login};
use self::encrypted::Tls;
use self::transaction::{NO_RECIPIENTS, put_off};
use super::command::{self, Chunk, Command, Mail, Recipient};
use super::data::{Fault, Step, Text};
use super::limits::Limits;
use super::reply::Reply;
use super::role::{Offered, Role};
use crate::sasl::server::Error as LoginError;

/// One session, from the greeting to its end.
#[derive(Debug)]
pub struct Session {
    limits: Arc<Limits>,
    hostname: Arc<str>,
    hello: Option<Hello>,
    phase: Phase,
    errors: u32,
    idle_commands: u32,
    /// Transactions begun.
    messages: u32,
    /// Different domains among the recipients of this one.
    domains: u32,
    /// Octets of text that were thrown away since it began.
    discarded: u64,
    /// The last MAIL was refused for now: what a client had sent behind it is told this. In a box, as that is seldom.
    put_off: Option<Box<Reply>>,
    tls: Tls,
    role: Role,
    /// Where clients say who they are. In a box, as most sessions have none.
    access: Option<Box<Access>>,
}

/// How the client greeted us; the name is one word of printable ASCII, and whatever it likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// By EHLO.
    Ehlo(Box<str>),
    /// By HELO.
    Helo(Box<str>),
}

impl Hello {
    /// The name it gave.
    pub fn name(&self) -> &str {
        match self {
            Self::Ehlo(name) | Self::Helo(name) => name,
        }
    }
}

/// A mail transaction so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What MAIL said.
    pub mail: Mail,
    /// The recipients that were accepted, in their order, at most [`Limits::recipients`].
    pub recipients: Vec<Recipient>,
}

/// Where the session is. The envelope is boxed, so that a session that waits for mail is small.
#[derive(Debug)]
enum Phase {
    /// No transaction.
    Ready,
    /// MAIL has come and waits for the driver's word.
    MailAsked(Box<Envelope>),
    /// MAIL is accepted; recipients may follow.
    Recipients(Box<Envelope>),
    /// RCPT has come and waits for the driver's word.
    RecipientAsked(Box<Envelope>, Recipient),
    /// AUTH: a response is awaited, or the driver's word.
    Login(Box<Login>),
    /// The text is coming.
    Text(Box<Envelope>, Text),
    /// The text is coming, and is thrown away; this will be said at its end.
    Discarding(Text, Box<Reply>),
    /// A chunk of the text is coming, of which so much is left.
    Chunk(Box<Envelope>, Text, Chunk),
    /// A chunk has come; the next one may.
    Chunks(Box<Envelope>, Text),
    /// A chunk is coming, of which so much is left, and is thrown away; this will be said at its end.
    Skipping(u64, Box<Reply>, Skipped),
    /// The text has ended and waits for the driver's word.
    Ended(Box<Envelope>),
    /// Nothing more is read.
    Closed,
}

/// What a chunk that is thrown away belongs to.
#[derive(Debug)]
enum Skipped {
    /// A message, which is over with it.
    Message,
    /// No message: BDAT came out of order. The transaction stays as it is.
    Nothing(Option<Box<Envelope>>),
}

/// What came of some input.
#[derive(Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// How many bytes at the front of the input are done with.
    pub consumed: usize,
    /// What is to be done now.
    pub event: Event<'a>,
}

/// What the driver is to do. Replies so far are in its buffer; they need not be sent before [`Event::NeedMore`].
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The input left over is no whole command: send the replies, read, and come again with what was left and what was read.
    NeedMore,
    /// A command was answered; come again with what is left.
    Answered,
    /// The client has greeted (see [`Session::hello`]); a transaction that was open is gone.
    Hello,
    /// RSET: a transaction that was open is gone.
    Reset,
    /// STARTTLS was answered with 220; a transaction that was open is gone. Send the replies, shake hands, and say
    /// [`Session::secured`].
    StartTls,
    /// AUTH asks what [`Session::asked_credentials`] says: [`Session::challenge`], [`Session::accept`] or [`Session::refuse`].
    Authenticate,
    /// A login failed for this reason, and that was answered.
    NotAuthenticated(LoginError),
    /// MAIL asks whether a transaction may begin (see [`Session::envelope`]): [`Session::accept`] or [`Session::refuse`].
    Mail,
    /// RCPT asks whether this recipient is taken: [`Session::accept`] or [`Session::refuse`].
    Recipient,
    /// DATA was answered with 354, or the first BDAT has come: the text follows.
    Data,
    /// The next bytes of the text, as they are to be stored. [`Session::refuse`] is allowed: the rest is then thrown away.
    Body(&'a [u8]),
    /// The text is unacceptable: what has come of it may be forgotten. Its rest is read and thrown away.
    Fault(Fault),
    /// The text is whole: [`Session::stored`] or [`Session::refuse`].
    BodyEnd,
    /// A text that was thrown away has ended, or went on for too long, and this was answered.
    Refused(Reply),
    /// Send the replies and close the connection.
    Close,
}

impl Session {
    /// A session of the server called `hostname`, which is a domain name.
    pub fn new(hostname: impl Into<Arc<str>>, limits: impl Into<Arc<Limits>>) -> Self {
        let (hostname, limits) = (hostname.into(), limits.into());
        Self {
            limits,
            hostname,
            hello: None,
            phase: Phase::Ready,
            errors: 0,
            idle_commands: 0,
            messages: 0,
            domains: 0,
            discarded: 0,
            put_off: None,
            tls: Tls::None,
            role: Role::Capture,
            access: None,
        }
    }

    /// Appends the reply that opens the session (RFC 5321 §3.1).
    pub fn greeting(&self, out: &mut Vec<u8>) {
        let line = format!("220 {} ESMTP Sportello\r\n", self.hostname);
        out.extend_from_slice(line.as_bytes());
    }

    /// How the client greeted, once it has.
    pub fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// The transaction, while one is asked for or open.
    pub fn envelope(&self) -> Option<&Envelope> {
        match &self.phase {
            Phase::MailAsked(envelope)
            | Phase::Recipients(envelope)
            | Phase::RecipientAsked(envelope, _)
            | Phase::Text(envelope, _)
            | Phase::Chunk(envelope, ..)
            | Phase::Chunks(envelope, _)
            | Phase::Ended(envelope) => Some(envelope),
            Phase::Ready | Phase::Login(_) | Phase::Discarding(..) | Phase::Skipping(..) | Phase::Closed => None,
        }
    }

    /// The recipient that [`Event::Recipient`] asks about.
    pub fn recipient(&self) -> Option<&Recipient> {
        match &self.phase {
            Phase::RecipientAsked(_, recipient) => Some(recipient),
            _ => None,
        }
    }

    /// How many 5xx were said so far.
    pub fn errors(&self) -> u32 {
        self.errors
    }

    /// Whether the next bytes of the client are a command, or its response to a challenge.
    pub fn awaits_command(&self) -> bool {
        matches!(self.phase, Phase::Ready | Phase::Recipients(_) | Phase::Chunks(..) | Phase::Login(_))
    }

    /// Whether the next bytes of the client may be a secret.
    pub fn awaits_secret(&self) -> bool {
        matches!(self.phase, Phase::Login(_))
    }

    /// Whether the text of a message has begun and not ended; between its chunks too.
    pub fn is_in_text(&self) -> bool {
        match &self.phase {
            Phase::Text(..) | Phase::Discarding(..) | Phase::Chunk(..) | Phase::Chunks(..) => true,
            Phase::Skipping(_, _, skipped) => matches!(skipped, Skipped::Message),
            _ => false,
        }
    }

    /// Goes on with `input`, which begins where the last call stopped consuming; appends replies to `out`. A question that
    /// was not answered is asked again.
    pub fn receive<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> Progress<'a> {
        match &mut self.phase {
            Phase::Ready | Phase::Recipients(_) | Phase::Chunks(..) => self.receive_command(input, out),
            Phase::Text(_, text) => {
                let (consumed, step) = text.step(input, &self.limits);
                Progress { consumed, event: self.receive_text(step, out) }
            }
            Phase::Discarding(..) => self.discard(input, out),
            Phase::Chunk(..) => self.receive_chunk(input, out),
            Phase::Skipping(..) => self.skip(input, out),
            Phase::Login(login) if login.is_asking() => Progress { consumed: 0, event: Event::Authenticate },
            Phase::Login(_) => self.receive_response(input, out),
            Phase::MailAsked(_) => Progress { consumed: 0, event: Event::Mail },
            Phase::RecipientAsked(..) => Progress { consumed: 0, event: Event::Recipient },
            Phase::Ended(_) => Progress { consumed: 0, event: Event::BodyEnd },
            Phase::Closed => Progress { consumed: input.len(), event: Event::Close },
        }
    }

    /// Yes, to the question of [`Event::Mail`], [`Event::Recipient`] or, but for keys, [`Event::Authenticate`]. Does nothing when none was asked.
    pub fn accept(&mut self, out: &mut Vec<u8>) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::MailAsked(envelope) => {
                Reply::new(250, "2.1.0", "Ok").write(out);
                self.messages = self.messages.saturating_add(1);
                self.domains = 0;
                self.discarded = 0;
                Phase::Recipients(envelope)
            }
            Phase::RecipientAsked(mut envelope, recipient) => {
                Reply::new(250, "2.1.5", "Ok").write(out);
                self.domains = self.domains.saturating_add(u32::from(self.is_new_domain(&envelope, &recipient)));
                envelope.recipients.push(recipient);
                Phase::Recipients(envelope)
            }
            Phase::Login(login) => self.approve(login, out),
            other => other,
        };
    }

    /// No, to the question of [`Event::Authenticate`], [`Event::Mail`], [`Event::Recipient`] or [`Event::BodyEnd`]; or, while the text comes, at its
    /// end. Does nothing at another time.
    pub fn refuse(&mut self, reply: Reply, out: &mut Vec<u8>) {
        let phase = match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Text(_, mut text) => {
                text.discard();
                self.phase = Phase::Discarding(text, Box::new(reply));
                return;
            }
            Phase::Chunk(_, _, chunk) => {
                self.phase = Phase::Skipping(chunk.octets, Box::new(reply), Skipped::Message);
                return;
            }
            Phase::MailAsked(_) => {
                self.put_off = put_off(&reply).map(Box::new);
                Phase::Ready
            }
            Phase::Ended(_) => Phase::Ready,
            Phase::RecipientAsked(envelope, _) => {
                self.phase = Phase::Recipients(envelope);
                if !self.is_idling(out) {
                    // Where this was one error too many, Close is the next event.
                    let _ = self.say(&reply, out);
                }
                return;
            }
            Phase::Login(login) if login.is_asking() => {
                // Where this was one failure too many, Close is the next event.
                let _ = self.fail(&reply, out);
                return;
            }
            other => {
                self.phase = other;
                return;
            }
        };
        self.phase = phase;
        self.say(&reply, out);
    }

    /// Yes, to [`Event::BodyEnd`]: the message is on disk and has this queue id. Does nothing when it was not asked.
    pub fn stored(&mut self, id: impl fmt::Display, out: &mut Vec<u8>) {
        if let Phase::Ended(_) = self.phase {
            Reply::with_text(250, "2.0.0", format!("Ok: queued as {id}")).write(out);
            self.phase = Phase::Ready;
            self.idle_commands = 0;
        }
    }

    /// Ends the session with a last reply: a 421 (RFC 5321 §3.8).
    pub fn close(&mut self, reply: &Reply, out: &mut Vec<u8>) {
        if !matches!(self.phase, Phase::Closed) {
            reply.write(out);
            self.phase = Phase::Closed;
        }
    }

    fn receive_command<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> Progress<'a> {
        let limit = self.longest_line(input);
        let within = input.get(..limit).unwrap_or(input);
        let line = match (within.first(), memchr::memchr(b'\n', within)) {
            (Some(&first), _) if command::is_foreign(first) => Err(command::Error::Foreign),
            (_, Some(end)) => Ok((end + 1, within.get(..end).unwrap_or_default())),
            (_, None) if within.len() == limit => Err(command::Error::TooLong),
            (_, None) => return Progress { consumed: 0, event: Event::NeedMore },
        };
        let (consumed, command) = match line {
            Ok((consumed, line)) => {
                let line = line.strip_suffix(b"\r").ok_or(command::Error::LineEnd);
                (consumed, line.and_then(|line| Command::parse(line, self.offered())))
            }
            Err(error) => (0, Err(error)),
        };
        let event = match command {
            Ok(Command::StartTls) if !self.is_idling(out) => {
                self.starttls(input.get(consumed..).unwrap_or_default(), out)
            }
            Ok(command) => self.command(command, out),
            Err(error) if error.ends_session() => {
                self.close(&error.reply(), out);
                Event::Close
            }
            Err(error) => self.say(&error.reply(), out),
        };
        Progress { consumed, event }
    }

    fn command(&mut self, command: Command, out: &mut Vec<u8>) -> Event<'static> {
        let brings_on = match &command {
            Command::Rcpt(_) | Command::Data | Command::Quit => true,
            Command::Bdat(chunk) => chunk.octets >= Limits::SMALL_CHUNK,
            _ => false,
        };
        if !brings_on && self.is_idling(out) {
            return Event::Close;
        }
        match command {
            Command::Ehlo(name) => {
                self.ehlo(out);
                self.greeted(Hello::Ehlo(name))
            }
            Command::Helo(name) => {
                out.extend_from_slice(format!("250 {}\r\n", self.hostname).as_bytes());
                self.greeted(Hello::Helo(name))
            }
            Command::Mail(mail) => self.mail(mail, out),
            Command::Rcpt(recipient) => self.rcpt(recipient, out),
            Command::Data => self.data(out),
            Command::Bdat(chunk) => self.bdat(chunk, out),
            Command::Rset => {
                self.phase = Phase::Ready;
                self.put_off = None;
                Reply::new(250, "2.0.0", "Ok").write(out);
                Event::Reset
            }
            Command::Noop => self.say(&Reply::new(250, "2.0.0", "Ok"), out),
            // RFC 5321 §3.5.3: who has an address here is not told.
            Command::Vrfy => self.say(&Reply::new(252, "2.0.0", "Cannot verify, but will take mail and try"), out),
            Command::Help => {
                self.say(&Reply::new(214, "2.0.0", "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT"), out)
            }
            // The session is over; else it was answered before.
            Command::StartTls => Event::Close,
            Command::Auth(mechanism, initial) => self.auth(mechanism, initial, out),
            Command::Quit => {
                self.close(&Reply::new(221, "2.0.0", "Bye"), out);
                Event::Close
            }
        }
    }

    fn ehlo(&self, out: &mut Vec<u8>) {
        let Limits { message, messages, recipients, .. } = &*self.limits;
        let domains = self.limits.recipient_domains.min(*recipients);
        let offered = self.offered();
        let reply = format!(
            "250-{}\r\n250-PIPELINING\r\n250-SIZE {message}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n\
             250-BINARYMIME\r\n250-LIMITS MAILMAX={messages} RCPTMAX={recipients} RCPTDOMAINMAX={domains}\r\n{}{}{}{}\
             250 ENHANCEDSTATUSCODES\r\n",
            self.hostname,
            // RFC 3207 §4.2: not once it is active.
            if self.tls == Tls::Offered { "250-STARTTLS\r\n" } else { "" },
            self.auth_offered(),
            if offered.reports { "250-DSN\r\n" } else { "" },
            if offered.require_tls { "250-REQUIRETLS\r\n" } else { "" },
        );
        out.extend_from_slice(reply.as_bytes());
    }

    /// RFC 5321 §4.1.4: a greeting in the midst of a session is a RSET as well.
    fn greeted(&mut self, hello: Hello) -> Event<'static> {
        self.hello = Some(hello);
        self.phase = Phase::Ready;
        self.put_off = None;
        Event::Hello
    }

    /// What the client may say now.
    fn offered(&self) -> Offered {
        self.role.offers(self.tls == Tls::Active, self.binding())
    }

    /// Counts a command that brings no message further; one too many ends the session.
    fn is_idling(&mut self, out: &mut Vec<u8>) -> bool {
        self.idle_commands = self.idle_commands.saturating_add(1);
        let is_too_many = self.idle_commands > self.limits.idle_commands;
        if is_too_many {
            self.close(&Reply::new(421, "4.7.0", "Error: too many commands without a message"), out);
        }
        is_too_many
    }

    fn receive_text<'a>(&mut self, step: Step<'a>, out: &mut Vec<u8>) -> Event<'a> {
        match step {
            Step::More => Event::NeedMore,
            Step::Slice(slice) => Event::Body(slice),
            Step::Fault(fault) => {
                self.refuse(fault.reply(), out);
                Event::Fault(fault)
            }
            Step::End => match std::mem::replace(&mut self.phase, Phase::Ready) {
                Phase::Text(envelope, _) => {
                    self.phase = Phase::Ended(envelope);
                    Event::BodyEnd
                }
                // No other phase has a text that is whole.
                phase => {
                    self.phase = phase;
                    Event::NeedMore
                }
            },
        }
    }

    /// Writes a reply; one 5xx too many ends the session instead.
    fn say(&mut self, reply: &Reply, out: &mut Vec<u8>) -> Event<'static> {
        if reply.code() >= 500 {
            self.errors = self.errors.saturating_add(1);
        }
        if self.errors > self.limits.errors {
            self.close(&Reply::new(421, "4.7.0", "Error: too many errors"), out);
            return Event::Close;
        }
        reply.write(out);
        Event::Answered
    }
}

#[cfg(test)]
mod tests;
