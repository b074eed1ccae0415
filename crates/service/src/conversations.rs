//! Transcripts of sessions, kept while somebody asks for them.
//!
//! Off by default, and then it costs a session one load of an atomic. Turned on for some time or for some sessions, it keeps
//! what client and server say, line by line, with the moment of each; never the text of a message, only its length,
//! never what follows AUTH, and of a line that is no command only its first word: it may be text or a password that came where
//! none was asked for. Behind a DATA that was refused a client may send the text all the same, line by line taken for commands: there
//! only lines of one word are kept, until a MAIL or a DATA is taken. Knows no protocol beyond the names of SMTP's commands, and no connection. Bounded by: [`Conversations::MOST`]
//! sessions, [`Conversations::MOST_BYTES`] of each; the oldest makes room for the newest. Nothing of it survives the process.

use std::collections::VecDeque;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::figure::grouped;

/// The keeper, shared by all workers. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Conversations(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Whether a session that begins may be kept at all.
    on: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keeping: Option<Until>,
    kept: VecDeque<Arc<Mutex<Conversation>>>,
}

/// When it turns itself off.
#[derive(Clone, Copy, Debug)]
enum Until {
    Time(Instant),
    Sessions(u32),
}

/// Whether sessions that begin now are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// No.
    Off,
    /// For so long still.
    For(Duration),
    /// So many more.
    Next(u32),
}

/// One session, as it was asked for.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The connection's number in this run of the server, as a message's origin has it.
    pub connection: u64,
    /// The client.
    pub peer: SocketAddr,
    /// The channel's name.
    pub channel: String,
    /// When it began.
    pub began: SystemTime,
    /// Whether it is over.
    pub over: bool,
    /// What was said, in its order.
    pub lines: Vec<Line>,
    /// Whether more was said than is kept.
    pub cut: bool,
    started: Instant,
    bytes: usize,
}

/// One line of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How long after the session's beginning.
    pub at: Duration,
    /// Who said it.
    pub from: Speaker,
    /// What: printable, without its line end; what is not printable is escaped.
    pub text: String,
}

/// Who said a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The client.
    Client,
    /// We.
    Server,
    /// The client, and the line stands for bytes that are not kept: `… 1,234 bytes`.
    Elided,
}

/// A session that is being kept; what it holds is gone when the keeper has made room for others.
#[derive(Debug)]
pub struct Transcript {
    kept: Weak<Mutex<Conversation>>,
    elided: u64,
    /// AUTH was said: what follows may be secret, until the next command.
    is_secret: bool,
    /// Whether the last command was DATA.
    was_data: bool,
    /// DATA was refused: what follows may be the text all the same, until a MAIL or a DATA is taken.
    may_be_text: bool,
    /// A MAIL in its midst, until the reply tells whether it is one.
    held: Vec<u8>,
}

impl Conversations {
    /// The most sessions kept.
    pub const MOST: usize = 50;
    /// The most bytes kept of one.
    pub const MOST_BYTES: usize = 64 * 1024;
    /// The longest time it may be turned on for.
    pub const LONGEST: Duration = Duration::from_secs(24 * 3_600);

    /// Keeps the sessions that begin within `time`, at most [`Conversations::LONGEST`]; what was asked before is replaced.
    pub fn keep_for(&self, time: Duration) {
        self.keep(Some(Until::Time(Instant::now() + time.min(Self::LONGEST))));
    }

    /// Keeps the next `sessions` that begin; what was asked before is replaced. Zero turns it off.
    pub fn keep_next(&self, sessions: u32) {
        self.keep(Some(Until::Sessions(sessions)).filter(|_| sessions > 0));
    }

    /// Keeps no session that begins from now on. Those that are being kept go on.
    pub fn stop(&self) {
        self.keep(None);
    }

    /// Forgets all sessions, also those that are not over.
    pub fn forget(&self) {
        let forgotten = std::mem::take(&mut self.state().kept);
        drop(forgotten);
    }

    /// Whether sessions that begin now are kept.
    pub fn keeping(&self) -> Keeping {
        match self.state().keeping {
            None => Keeping::Off,
            Some(Until::Sessions(more)) => Keeping::Next(more),
            Some(Until::Time(end)) => match end.saturating_duration_since(Instant::now()) {
                Duration::ZERO => Keeping::Off,
                left => Keeping::For(left),
            },
        }
    }

    /// The sessions kept, the newest first, with all they hold.
    pub fn list(&self) -> Vec<Conversation> {
        let kept: Vec<_> = self.state().kept.iter().rev().cloned().collect();
        kept.iter().map(|conversation| lock(conversation).clone()).collect()
    }

    /// The session of this connection, if it is kept.
    pub fn find(&self, connection: u64) -> Option<Conversation> {
        let kept: Vec<_> = self.state().kept.iter().cloned().collect();
        kept.iter()
            .map(|conversation| lock(conversation))
            .find(|one| one.connection == connection)
            .map(|one| one.clone())
    }

    /// The session in which a message came that was received at `received` over `connection`, if it is kept. The moment tells
    /// it from a session of an earlier run, which may have had the same number; the store keeps it in whole milliseconds.
    pub fn of_message(&self, connection: u64, received: SystemTime) -> Option<Conversation> {
        let received = received + Duration::from_millis(1);
        self.find(connection).filter(|conversation| conversation.began < received)
    }

    /// A session begins: its transcript, if it is to be kept.
    pub fn begin(&self, connection: u64, peer: SocketAddr, channel: &str) -> Option<Transcript> {
        if !self.0.on.load(Ordering::Relaxed) {
            return None;
        }
        let now = Instant::now();
        let mut state = self.state();
        let go_on = match state.keeping? {
            Until::Time(end) => Some(Until::Time(end)).filter(|_| now < end),
            Until::Sessions(more) => Some(Until::Sessions(more.saturating_sub(1))).filter(|_| more > 0),
        };
        let is_last = matches!(go_on, None | Some(Until::Sessions(0)));
        state.keeping = go_on.filter(|_| !is_last);
        self.0.on.store(!is_last, Ordering::Relaxed);
        go_on?;
        let conversation = Arc::new(Mutex::new(Conversation {
            connection,
            peer,
            channel: channel.to_owned(),
            began: SystemTime::now(),
            over: false,
            lines: Vec::new(),
            cut: false,
            started: now,
            bytes: 0,
        }));
        let kept = Arc::downgrade(&conversation);
        if state.kept.len() >= Self::MOST {
            state.kept.pop_front();
        }
        state.kept.push_back(conversation);
        Some(Transcript { kept, elided: 0, is_secret: false, was_data: false, may_be_text: false, held: Vec::new() })
    }

    fn keep(&self, until: Option<Until>) {
        let mut state = self.state();
        state.keeping = until;
        self.0.on.store(until.is_some(), Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

impl Transcript {
    /// The client said these lines.
    pub fn client(&mut self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let verb = Verb::of(line);
            if self.is_secret && verb == Verb::None {
                self.elide(line.len() as u64);
                continue;
            }
            self.is_secret = verb == Verb::Auth;
            self.release(Taken::No);
            self.was_data = is_first_word(line, b"DATA");
            match verb {
                Verb::Plain if self.may_be_text && is_first_word(line, b"MAIL") => line.clone_into(&mut self.held),
                Verb::Plain if self.may_be_text && words(line).count() == 1 => {
                    self.say(Speaker::Client, without_end(line), printable);
                }
                Verb::Plain | Verb::None if self.may_be_text => self.elide(line.len() as u64),
                verb => self.say(Speaker::Client, without_end(line), |line| verb.shown(line)),
            }
        }
    }

    /// We said these lines; the first is the reply to the last command.
    pub fn server(&mut self, bytes: &[u8]) {
        let Some(first) = bytes.first() else { return };
        let taken = if matches!(first, b'2' | b'3') { Taken::Yes } else { Taken::No };
        self.release(taken);
        if std::mem::take(&mut self.was_data) {
            self.may_be_text = taken == Taken::No;
        }
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.say(Speaker::Server, without_end(line), printable);
        }
    }

    /// The client sent so many bytes that are not to be kept; those that come one after the other make one line.
    pub fn elide(&mut self, bytes: u64) {
        self.elided = self.elided.saturating_add(bytes);
    }

    /// A MAIL that was held is kept, and ends what may be text, if it was taken.
    fn release(&mut self, taken: Taken) {
        let line = std::mem::take(&mut self.held);
        match taken {
            Taken::Yes if !line.is_empty() => {
                self.may_be_text = false;
                self.say(Speaker::Client, without_end(&line), printable);
            }
            _ => self.elide(line.len() as u64),
        }
    }

    fn say(&mut self, from: Speaker, line: &[u8], shown: impl Fn(&[u8]) -> String) {
        let Some(kept) = self.kept.upgrade() else { return };
        let mut conversation = lock(&kept);
        conversation.elided(std::mem::take(&mut self.elided));
        conversation.add(from, shown(line));
    }
}

impl Drop for Transcript {
    fn drop(&mut self) {
        self.release(Taken::No);
        let Some(kept) = self.kept.upgrade() else { return };
        let mut conversation = lock(&kept);
        conversation.elided(self.elided);
        conversation.over = true;
    }
}

impl Conversation {
    /// What a line costs beside its text, so that empty lines are bounded too.
    const LINE: usize = size_of::<Line>();

    fn elided(&mut self, bytes: u64) {
        if bytes > 0 {
            self.add(Speaker::Elided, format!("… {} bytes", grouped(bytes, ',')));
        }
    }

    fn add(&mut self, from: Speaker, text: String) {
        let bytes = self.bytes.saturating_add(Self::LINE).saturating_add(text.len());
        if self.cut || bytes > Conversations::MOST_BYTES {
            self.cut = true;
            return;
        }
        self.bytes = bytes;
        self.lines.push(Line { at: self.started.elapsed(), from, text });
    }
}

/// Whether a command was taken, as its reply says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
}

/// The longest line kept; no command and no reply of ours is longer.
const LONGEST_LINE: usize = 2_048;

/// The longest word kept of a line that is no command.
const LONGEST_WORD: usize = 16;

/// What a line of the client is, by its first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    /// A command without a secret.
    Plain,
    Auth,
    /// No command.
    None,
}

impl Verb {
    /// The commands of RFC 5321, 3030, 3207, 1985 and 4468, and what clients are known to try.
    const PLAIN: &[&str] = &[
        "EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "VRFY", "EXPN", "HELP", "QUIT",
        "STARTTLS", "ETRN", "TURN", "ATRN", "SEND", "SOML", "SAML", "BURL", "XCLIENT", "XFORWARD",
    ];

    fn of(line: &[u8]) -> Self {
        let Some(word) = words(line).next() else { return Self::None };
        if word.eq_ignore_ascii_case(b"AUTH") {
            return Self::Auth;
        }
        let is_command = Self::PLAIN.iter().any(|verb| word.eq_ignore_ascii_case(verb.as_bytes()));
        if is_command { Self::Plain } else { Self::None }
    }

    /// The line as far as it is kept.
    fn shown(self, line: &[u8]) -> String {
        match self {
            Self::Plain => printable(line),
            Self::Auth => auth(line),
            Self::None => {
                let word = words(line).next().unwrap_or_default();
                let start = word.get(..LONGEST_WORD).unwrap_or(word);
                let text = printable(start);
                if start.len() == line.len() {
                    text
                } else {
                    format!("{text}… {} bytes", grouped(line.len() as u64, ','))
                }
            }
        }
    }
}

/// AUTH and its mechanism, where it is one: a password may stand in its place.
fn auth(line: &[u8]) -> String {
    const MECHANISMS: &[&str] = &[
        "PLAIN",
        "LOGIN",
        "CRAM-MD5",
        "DIGEST-MD5",
        "NTLM",
        "GSSAPI",
        "EXTERNAL",
        "XOAUTH2",
        "OAUTHBEARER",
        "SCRAM-SHA-1",
        "SCRAM-SHA-1-PLUS",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256-PLUS",
    ];
    let is_mechanism = |word: &[u8]| MECHANISMS.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()));
    let mut words = words(line).peekable();
    let mut text = printable(words.next().unwrap_or_default());
    if let Some(mechanism) = words.next_if(|word| is_mechanism(word)) {
        text.push(' ');
        text.push_str(&printable(mechanism));
    }
    if words.next().is_some() {
        text.push_str(" …");
    }
    text
}

fn is_first_word(line: &[u8], word: &[u8]) -> bool {
    words(line).next().is_some_and(|first| first.eq_ignore_ascii_case(word))
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| byte.is_ascii_whitespace() || *byte == b'\x0b').filter(|word| !word.is_empty())
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A line for people: UTF-8 as it is, control characters and what is no UTF-8 escaped.
fn printable(line: &[u8]) -> String {
    let cut = line.get(..LONGEST_LINE).unwrap_or(line);
    let mut text = String::with_capacity(cut.len());
    for chunk in cut.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    if cut.len() < line.len() {
        text.push('…');
    }
    text
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
