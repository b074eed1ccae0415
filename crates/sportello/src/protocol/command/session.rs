//! The conversation: connection ⇄ parser ⇄ dispatch.
//!
//! All requests that are there are answered before anything is sent, in one write.

use std::net::SocketAddr;
use std::rc::Rc;

use sportello_net::{Connection, Deadline, Ended, Failed, UNIX_PEER};
use sportello_wire::resp::{Next, Parser, Refused, Reply, Version};
use tokio::time::Instant;

use super::Service;
use super::dispatch::{self, Step};
use super::input::Input;
use super::kept;
use super::mailbox::Intake;
use super::task::{Label, Task};
use super::watch::Watched;
use crate::current::{Current, Renewed};
use crate::observe::{self, Done};

/// One session and what it holds. Small while it waits: a task is in a box.
pub(super) struct Session {
    pub(super) connection: Connection,
    current: Current<Service>,
    /// The one with which the requests under way began.
    pub(super) service: Rc<Service>,
    pub(super) reply: Reply,
    pub(super) library: Library,
    pub(super) input: Input,
    pub(super) parser: Parser,
    /// Messages from files.
    pub(super) intake: Option<Box<Intake>>,
    /// When it began.
    began: Instant,
}

/// What CLIENT SETINFO told: the client library's name and version.
#[derive(Debug, Default)]
pub(super) struct Library {
    pub(super) name: Box<str>,
    pub(super) version: Box<str>,
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// There may be last words that the client should read.
    Close,
    /// Nobody is there.
    Drop,
}

/// Answers that gather before they are sent though more requests are there.
pub(super) const OUT_MOST: usize = 64 * 1024;
/// Memory that the answers' buffer may keep while the client is silent.
const OUT_KEPT: usize = 512;

/// Why answering pauses.
enum Pause {
    /// The input holds no whole request before it is this long.
    More(usize),
    /// Answers are to be sent.
    Full,
    /// Something must be waited for.
    Task(Box<Task>),
    /// The connection is to show what others ask.
    Monitor,
    /// The connection ends.
    Over,
}

impl Session {
    pub(super) fn new(connection: Connection, current: Current<Service>) -> Self {
        let service = current.now();
        Self {
            connection,
            reply: Reply::new(),
            library: Library::default(),
            input: Input::default(),
            intake: None,
            parser: Parser::new(service.limits),
            service,
            current,
            began: Instant::now(),
        }
    }

    /// Converses to the end; whether the connection is worth closing with care.
    pub(super) async fn run(&mut self) -> Parting {
        let ended = match self.converse().await {
            Ok(()) => return Parting::Close,
            Err(ended) => ended,
        };
        let word = match ended {
            Ended::Closed => return Parting::Drop,
            Ended::TimedOut(Deadline::Write | Deadline::Handshake)
            | Ended::Io(_)
            | Ended::Tls(_)
            | Ended::NotTls
            | Ended::TooOften
            | Ended::Crowded => {
                tracing::debug!(connection = self.connection.id(), %ended, "a client of the command channel is gone");
                return Parting::Drop;
            }
            Ended::TimedOut(Deadline::BetweenBytes | Deadline::Rate | Deadline::Request) => {
                "the rest of the request did not come in time"
            }
            // A client that idles is not told: it would take the word for the answer to its next request.
            Ended::TimedOut(_) | Ended::Stopping | Ended::Killed => return Parting::Close,
        };
        self.last_word(word);
        Parting::Close
    }

    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    /// The messages from files that this session brings.
    pub(super) fn intake(&mut self) -> &mut Intake {
        self.intake.get_or_insert_default()
    }

    /// The state of a connection that has just begun.
    pub(super) fn reset(&mut self) {
        self.reply.set_version(Version::Resp2);
        self.connection.set_name("");
        self.library = Library::default();
    }

    /// Sends what has gathered.
    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        if !self.reply.is_empty() {
            self.connection.write_all(self.reply.bytes()).await?;
            self.reply.clear(OUT_KEPT);
        }
        Ok(())
    }

    async fn converse(&mut self) -> Result<(), Ended> {
        loop {
            match self.answer() {
                Pause::More(needed) => {
                    self.flush().await?;
                    if self.input.filled().is_empty() {
                        self.parser.rest();
                    }
                    if !self.input.fill(&mut self.connection, needed).await? {
                        return Ok(());
                    }
                }
                Pause::Full => self.flush().await?,
                Pause::Task(task) => {
                    self.flush().await?;
                    Box::pin(self.perform(task)).await?;
                    self.connection.next_request(self.input.filled().len());
                }
                Pause::Monitor => {
                    if Box::pin(self.watch()).await? == Watched::Over {
                        return self.flush().await;
                    }
                }
                Pause::Over => return self.flush().await,
            }
        }
    }

    /// Answers what can be answered at once, as much as there is.
    fn answer(&mut self) -> Pause {
        self.renew();
        let (mut started, mut latest) = (None, None);
        while self.reply.len() < OUT_MOST {
            let Self { connection, service, reply, library, input, parser, began: opened, .. } = self;
            let (arguments, consumed) = match parser.next(input.filled()) {
                Next::Incomplete { needed } => {
                    if started.is_some() {
                        connection.next_request(input.filled().len());
                    }
                    return Pause::More(needed);
                }
                Next::Nothing { consumed } => {
                    input.consume(consumed);
                    continue;
                }
                Next::Request { arguments, consumed } => (arguments, consumed),
                Next::Refused(refused) => return self.refuse(refused),
            };
            if connection.is_stopping() {
                reply.error("ERR", STOPPING);
                return Pause::Over;
            }
            let began = *started.get_or_insert_with(Instant::now);
            if service.audience.is_there() {
                service.audience.tell(&address(connection.peer()), &kept::kept(&arguments));
            }
            let before = reply.len();
            let opened = *opened;
            let context = &mut dispatch::Context { connection, service, reply, library, opened };
            let step = dispatch::dispatch(&arguments, began, context);
            let next = match step {
                Step::Pong => {
                    // The commonest and least telling request: counted, and only the first one of a connection is logged.
                    if connection.request_number() > 0 {
                        connection.count_request(Failed::No);
                    } else {
                        record(connection, reply, before, &Label::of(&arguments, began));
                    }
                    None
                }
                Step::Answered => {
                    let ended = record(connection, reply, before, &Label::of(&arguments, began));
                    let took = ended.saturating_duration_since(latest.unwrap_or(began));
                    if service.slow_log.want(took) {
                        service.records.slow.keep(service.slow_log.length, connection, took, kept::kept(&arguments));
                    }
                    latest = Some(ended);
                    None
                }
                Step::Task(task) => Some(Pause::Task(task)),
                Step::Monitor => Some(Pause::Monitor),
                Step::Reset => {
                    record(connection, reply, before, &Label::of(&arguments, began));
                    input.consume(consumed);
                    self.reset();
                    continue;
                }
                Step::Over => {
                    record(connection, reply, before, &Label::of(&arguments, began));
                    Some(Pause::Over)
                }
            };
            input.consume(consumed);
            if let Some(pause) = next {
                return pause;
            }
        }
        Pause::Full
    }

    /// Goes on by the configuration of now. The bounds on a request change between two of them only.
    fn renew(&mut self) {
        if self.current.renew(&mut self.service) == Renewed::Yes && self.input.filled().is_empty() {
            self.parser = Parser::new(self.service.limits);
        }
    }

    /// No request can begin here.
    fn refuse(&mut self, refused: Refused) -> Pause {
        tracing::debug!(connection = self.connection.id(), %refused, "a command channel is closed");
        let before = self.reply.len();
        self.reply.error("ERR", refused.to_string());
        // What it was is worth a line of the log: a page in a browser that speaks HTTP to this port is an attack.
        let label = Label { verb: "refused".into(), object: refused.to_string().into_bytes(), began: Instant::now() };
        record(&self.connection, &self.reply, before, &label);
        Pause::Over
    }

    /// Says why the connection ends; what the socket does not take at once is not said.
    pub(super) fn last_word(&mut self, word: &str) {
        self.reply.clear(OUT_KEPT);
        self.reply.error("ERR", word);
        // The client is being sent away; that it does not listen changes nothing.
        let _ = self.connection.try_write(self.reply.bytes());
    }
}

/// What is said to a request that comes, or runs, when the server's grace is over.
pub(super) const STOPPING: &str = "server is shutting down";

/// A client's address as Redis shows one.
pub(super) fn address(peer: SocketAddr) -> String {
    if peer == UNIX_PEER { "unix:0".to_owned() } else { peer.to_string() }
}

/// Counts, logs and samples the request whose answer begins at `before`; when that was.
pub(super) fn record(connection: &Connection, reply: &Reply, before: usize, label: &Label) -> Instant {
    let answer = reply.bytes().get(before..).unwrap_or_default();
    let outcome = match answer {
        [b'-', error @ ..] => {
            let end = error.iter().position(|byte| !byte.is_ascii_uppercase()).unwrap_or(error.len());
            std::str::from_utf8(error.get(..end).unwrap_or_default()).unwrap_or("ERR")
        }
        _ => "ok",
    };
    tell(connection, label, outcome, answer.len() as u64, if outcome == "ok" { Failed::No } else { Failed::Yes })
}

/// Counts, logs and samples one request; when it was answered.
pub(super) fn tell(connection: &Connection, label: &Label, outcome: &str, bytes: u64, failed: Failed) -> Instant {
    let ended = Instant::now();
    let done = Done {
        verb: label.verb.as_bytes(),
        object: &label.object,
        outcome,
        bytes,
        started: label.began,
        ended,
        failed: failed == Failed::Yes,
    };
    observe::answered(connection, done);
    ended
}
