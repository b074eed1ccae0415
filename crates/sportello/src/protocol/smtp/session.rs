//! The conversation: connection ⇄ state machine ⇄ delivery.
//!
//! Nothing is read from the connection while the store takes a slice, so a fast client cannot outrun the disk. Replies leave
//! when there is nothing more to answer, in one write.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sportello_net::{Buffer, Connection, Deadline, Ended};
use sportello_service::conversations::Transcript;
use sportello_wire::smtp::server::{Event, Hello, Progress, Reply, Session};
use tokio::time::Instant;

use super::Service;
use super::admission::{self, Admission};
use super::delivery::{Delivery, Label};
use super::login::{self, Login};
use super::policy::Counted;
use crate::current::{Current, Renewed};
use crate::observe::{self, Done};

/// One session and what it holds. Small while it waits: a message under way is in a box.
pub(super) struct Conversation {
    pub(super) connection: Connection,
    current: Current<Service>,
    /// The one with which the transaction under way began, or the latest one; its bounds of a session are those it was greeted with.
    pub(super) service: Rc<Service>,
    pub(super) session: Session,
    buffer: Buffer,
    pub(super) out: Vec<u8>,
    pub(super) delivery: Option<Box<Delivery>>,
    label: Option<Box<Label>>,
    /// Whom this session counts for, if anybody.
    pub(super) source: Option<IpAddr>,
    /// Errors of this session that were counted.
    errors: u32,
    /// Who the client is, or is about to prove to be.
    pub(super) login: Option<Box<Login>>,
    /// Where this session is kept, when somebody asked for it.
    transcript: Option<Box<Transcript>>,
}

/// How long a transaction may last until its text begins. It holds disk that was promised for its SIZE.
const TRANSACTION_MOST: Duration = Duration::from_secs(600);
/// Replies that may gather before they are sent though more commands wait.
const OUT_MOST: usize = 8 * 1024;
/// Memory that the replies' buffer may keep while the client is silent.
const OUT_KEPT: usize = 512;
/// How often the progress of a large message is told.
const TOLD_EVERY: u64 = 1024 * 1024;

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// There may be last words that the client should read.
    Close,
    /// Nobody is there.
    Drop,
}

/// Whether the conversation goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Receive,
    Over,
}

impl Conversation {
    pub(super) fn new(connection: Connection, current: Current<Service>) -> Self {
        let service = current.now();
        let transcript =
            service.conversations.begin(connection.id(), connection.peer(), &connection.channel().name).map(Box::new);
        let mut session = Session::new(Arc::clone(&service.hostname), Arc::clone(&service.limits));
        session.serve_as(service.role);
        if connection.is_secure() {
            session.secured();
            session.offer_binding(login::binding_of(&connection));
        } else if service.terms.is_some() {
            session.offer_tls();
        }
        Self {
            transcript,
            source: service.policy.source(connection.peer().ip()),
            errors: 0,
            connection,
            session,
            service,
            current,
            buffer: Buffer::new(),
            out: Vec::new(),
            delivery: None,
            label: None,
            login: None,
        }
    }

    /// Converses to the end; whether the connection is worth closing with care.
    pub(super) async fn run(&mut self) -> Parting {
        let ended = self.meet().await;
        if self.session.is_in_text() {
            self.told("left", Failed::Yes);
        }
        // What was not accepted is forgotten before the connection lingers.
        self.delivery = None;
        match ended {
            Ok(()) => {}
            Err(Ended::Closed) => return Parting::Drop,
            Err(
                ended @ (Ended::TimedOut(Deadline::Write | Deadline::Handshake)
                | Ended::Io(_)
                | Ended::Tls(_)
                | Ended::NotTls
                | Ended::TooOften
                | Ended::Crowded),
            ) => {
                tracing::debug!(connection = self.connection.id(), %ended, "an SMTP client is gone");
                return Parting::Drop;
            }
            Err(ended) => self.farewell(&ended),
        }
        Parting::Close
    }

    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Greets, or does not; then converses.
    async fn meet(&mut self) -> Result<(), Ended> {
        if let Some(source) = self.source {
            // In a box, so that no session has to be large for its first moments.
            let policy = &self.service.policy;
            let decided = admission::decide(policy, source, &mut self.connection, &mut self.buffer);
            match Box::pin(decided).await? {
                Admission::Greet => {}
                Admission::Left => return Err(Ended::Closed),
                Admission::Refuse(reply) => {
                    if let Some(transcript) = &mut self.transcript {
                        let filled = self.buffer.filled();
                        let line = first_line(filled);
                        transcript.client(line);
                        // It poured out what may be a whole message.
                        transcript.elide(filled.len().saturating_sub(line.len()) as u64);
                    }
                    self.buffer.consume(usize::MAX);
                    self.session.close(&reply, &mut self.out);
                    self.keep_replies(0);
                    return self.flush().await;
                }
            }
        }
        self.session.greeting(&mut self.out);
        self.keep_replies(0);
        self.converse().await
    }

    async fn converse(&mut self) -> Result<(), Ended> {
        loop {
            if self.step().await? == Next::Over {
                return self.flush().await;
            }
            if self.out.len() >= OUT_MOST {
                self.flush().await?;
            }
        }
    }

    /// One event of the state machine.
    async fn step(&mut self) -> Result<Next, Ended> {
        let said = self.out.len();
        let heard = if self.session.awaits_command() { Heard::Command } else { Heard::Text };
        let Progress { consumed, event } = self.session.receive(self.buffer.filled(), &mut self.out);
        if let Some(transcript) = &mut self.transcript {
            let is_last = event == Event::Close;
            heard.keep(self.buffer.filled(), consumed, is_last, transcript);
        }
        let mut fault = None;
        let mut next = Next::Receive;
        match event {
            Event::Body(text) => {
                let Some(delivery) = &mut self.delivery else { return Ok(Next::Over) };
                fault = Box::pin(delivery.write(text)).await.err();
                let length = text.len() as u64;
                self.progressed(length);
            }
            Event::NeedMore => {
                self.buffer.consume(consumed);
                return self.fill().await;
            }
            Event::Answered => {}
            Event::NotAuthenticated(_) => self.login_failed(),
            Event::Authenticate => Box::pin(self.authenticate()).await,
            Event::Hello => {
                self.forget();
                let name = self.session.hello().map_or("", Hello::name);
                self.connection.set_name(name);
            }
            Event::Reset => self.forget(),
            Event::StartTls => {
                self.buffer.consume(consumed);
                self.keep_replies(said);
                return Box::pin(self.secure()).await;
            }
            Event::Mail if self.service.office.is_some() => Box::pin(self.begin_sorted()).await,
            Event::Mail => self.begin(),
            Event::Recipient if self.service.office.is_some() => Box::pin(self.sort_recipient()).await,
            Event::Recipient => self.recipient(),
            Event::Data => self.data(),
            Event::Fault(fault) => {
                tracing::debug!(connection = self.connection.id(), %fault, "a message is refused");
                self.delivery = None;
            }
            Event::BodyEnd => Box::pin(self.store()).await,
            Event::Refused(reply) => self.told(&reply.code().to_string(), Failed::Yes),
            Event::Close => next = Next::Over,
        }
        self.buffer.consume(consumed);
        if let Some(reply) = fault {
            self.session.refuse(reply, &mut self.out);
            self.delivery = None;
        }
        if self.session.errors() > self.errors && !self.may_fail() {
            next = Next::Over;
        }
        self.keep_replies(said);
        Ok(next)
    }

    /// Shakes hands; the session begins anew, encrypted. Nothing that came before the handshake is read after it: what came with
    /// STARTTLS ended the session, and what came later was taken for the handshake.
    async fn secure(&mut self) -> Result<Next, Ended> {
        self.flush().await?;
        self.forget();
        let (Some(terms), true) = (&self.service.terms, self.buffer.is_empty()) else { return Ok(Next::Over) };
        let secured = self.connection.secure(terms).await?;
        tracing::debug!(connection = self.connection.id(), version = secured.version, "an SMTP session is encrypted");
        self.session.secured();
        self.session.offer_binding(login::binding_of(&self.connection));
        self.login = None;
        self.connection.set_name("");
        Ok(Next::Receive)
    }

    /// Counts an error against the source; one too many ends the session.
    fn may_fail(&mut self) -> bool {
        self.errors = self.session.errors();
        let Some(reply) = self.count(Counted::Failures) else { return true };
        self.session.close(&reply, &mut self.out);
        false
    }

    /// Counts one against the source; the reply when that is one too many.
    pub(super) fn count(&self, counted: Counted) -> Option<Reply> {
        self.service.policy.count(counted, self.source?).err()
    }

    fn recipient(&mut self) {
        let asked = self.session.recipient();
        let refused = asked.and_then(|recipient| self.service.policy.refused(&recipient.path));
        match refused.or_else(|| self.count(Counted::Recipients)) {
            Some(reply) => self.session.refuse(reply, &mut self.out),
            None => self.session.accept(&mut self.out),
        }
    }

    /// Keeps what was said since the replies were `said` bytes long.
    fn keep_replies(&mut self, said: usize) {
        if let Some(transcript) = &mut self.transcript {
            transcript.server(self.out.get(said..).unwrap_or_default());
        }
    }

    /// Sends what is to be said, and reads. Between commands the memory of the buffer is given back; within the text, and so
    /// between its chunks, the minimum rate and the request's ceiling hold.
    async fn fill(&mut self) -> Result<Next, Ended> {
        self.flush().await?;
        let began = self.label.as_ref().map(|label| label.started);
        if !self.session.is_in_text() && began.is_some_and(|began| began.elapsed() > TRANSACTION_MOST) {
            return Err(Ended::TimedOut(Deadline::Request));
        }
        if self.out.capacity() > OUT_KEPT {
            self.out = Vec::new();
        }
        let may_idle = self.session.awaits_command() && !self.session.is_in_text() && self.buffer.is_empty();
        let count = if !may_idle {
            self.connection.read(&mut self.buffer).await?
        } else {
            match self.connection.idle(&mut self.buffer).await {
                // A transaction that has begun may end before the server does.
                Err(Ended::Stopping) if self.delivery.is_some() => self.connection.read(&mut self.buffer).await?,
                result => result?,
            }
        };
        Ok(if count == 0 { Next::Over } else { Next::Receive })
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        if !self.out.is_empty() {
            let written = self.connection.write_all(&self.out).await;
            // What was written in part must not be said again by a farewell.
            self.out.clear();
            return written;
        }
        Ok(())
    }

    pub(super) fn begin(&mut self) {
        if self.current.renew(&mut self.service) == Renewed::Yes {
            self.source = self.service.policy.source(self.connection.peer().ip());
        }
        let envelope = self.session.envelope();
        self.label = Some(Box::new(Label::new(envelope)));
        let size = envelope.and_then(|envelope| envelope.mail.size);
        let begun = match self.count(Counted::Messages) {
            Some(reply) => Err(reply),
            None => Delivery::begin(&self.service, self.source, size),
        };
        match begun {
            Ok(delivery) => {
                self.connection.set_doing("MAIL");
                self.delivery = Some(Box::new(delivery));
                self.session.accept(&mut self.out);
            }
            Err(reply) => {
                let code = reply.code().to_string();
                self.session.refuse(reply, &mut self.out);
                self.told(&code, Failed::Yes);
            }
        }
    }

    fn data(&mut self) {
        self.connection.set_doing("DATA");
        if let Some(label) = &mut self.label {
            label.name(self.session.envelope());
        }
        if let Some(delivery) = &mut self.delivery {
            delivery.open(&self.service, &self.session, &self.connection);
        }
    }

    async fn store(&mut self) {
        let Some(delivery) = self.delivery.take() else {
            // A transaction is accepted only with a delivery; still, a question must not stay unanswered.
            self.session.refuse(Reply::new(451, "4.3.0", "Error: the message was not stored"), &mut self.out);
            return;
        };
        match delivery.accept(&self.service.store, &self.session, &self.connection).await {
            Ok(id) => {
                if let Some(label) = &mut self.label {
                    label.who.insert_str(0, &format!("{id} "));
                }
                self.session.stored(id, &mut self.out);
                self.told("250", Failed::No);
            }
            Err(reply) => {
                let code = reply.code().to_string();
                self.session.refuse(reply, &mut self.out);
                self.told(&code, Failed::Yes);
            }
        }
    }

    fn progressed(&mut self, length: u64) {
        let Some(label) = &mut self.label else { return };
        let before = label.size / TOLD_EVERY;
        label.size = label.size.saturating_add(length);
        if label.size / TOLD_EVERY > before {
            self.connection.set_doing(format_args!("DATA {} MiB", label.size / TOLD_EVERY));
        }
    }

    /// A transaction is gone before any text came.
    fn forget(&mut self) {
        self.delivery = None;
        self.label = None;
        self.connection.set_doing("idle");
    }

    /// A message was answered: it is counted and logged.
    pub(super) fn told(&mut self, outcome: &str, failed: Failed) {
        let Some(label) = self.label.take() else { return };
        let done = Done {
            verb: b"MAIL",
            object: label.who.as_bytes(),
            outcome,
            bytes: label.size,
            started: label.started,
            ended: Instant::now(),
            failed: failed == Failed::Yes,
        };
        observe::answered(&self.connection, done);
        self.connection.set_doing("idle");
        // A client that pipelines without a pause has no moment between requests: its next one begins here.
        self.connection.next_request(0);
    }

    /// The last word to a client that is sent away (RFC 5321 §3.8); what the socket does not take at once is not said.
    fn farewell(&mut self, ended: &Ended) {
        let reply = match ended {
            Ended::TimedOut(_) => Reply::new(421, "4.4.2", "Error: timeout, closing the channel"),
            Ended::Stopping => Reply::new(421, "4.3.2", "The server is shutting down, try again later"),
            _ => Reply::new(421, "4.3.2", "Closed by the administrator"),
        };
        let said = self.out.len();
        self.session.close(&reply, &mut self.out);
        self.keep_replies(said);
        // The client is being sent away; that it does not listen changes nothing.
        let _ = self.connection.try_write(&self.out);
    }
}

/// What the next bytes are, as the transcript sees them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Command,
    Text,
}

impl Heard {
    /// Keeps a command, or the length of a piece of text. What ends the session is not consumed, and may have no end.
    fn keep(self, input: &[u8], consumed: usize, is_last: bool, transcript: &mut Transcript) {
        let used = input.get(..consumed).unwrap_or(input);
        match self {
            Self::Text => transcript.elide(used.len() as u64),
            Self::Command if used.is_empty() && is_last => transcript.client(first_line(input)),
            Self::Command => transcript.client(used),
        }
    }
}

/// The first line with its end, or all where there is none.
fn first_line(input: &[u8]) -> &[u8] {
    input.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default()
}

/// Whether a message was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    Yes,
    No,
}
