//! Plays `tests/transcripts/smtp/*.txt` against the server's side of SMTP: in pieces of many lengths, down to single bytes.
//!
//! `C:` is a line from the client (CRLF is added; `\r`, `\n`, `\t`, `\\` and `\xHH` are escapes; a line that ends in `\` has
//! no CRLF of its own), `S:` a line of the server's answer to what was sent so far, `M:` the text of a message that is stored,
//! `X:` the end of the connection, `R:` the role of the session, `T:` a handshake that is done (with `binding` where the two see
//! each other's), `#` a comment. The driver here takes every mail but one from `full@…`, every recipient but
//! `nobody@…`, and cannot store what is for `broken@…`. It knows one account, `user`, whose password is `pencil`, and cannot tell
//! of `down`.

#![allow(clippy::unwrap_used, reason = "a test outside a crate: clippy.toml knows only cfg(test)")]

mod transcript;

use std::fs;
use std::path::Path;

use sportello_wire::sasl::Password;
use sportello_wire::sasl::scram::{Keys, Pair};
use sportello_wire::sasl::server::{Asked, OffersBinding};
use sportello_wire::smtp::server::{Event, Limits, Progress, Recipient, Reply, Role, Session};

use transcript::unescape;

#[test]
fn every_transcript_plays_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/smtp");
    let mut played = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (role, steps) = read(&fs::read_to_string(&path).unwrap());
        for size in [1, 2, 3, 7, usize::MAX] {
            play(&steps, role, size, &path.display().to_string());
        }
        played += 1;
    }
    assert!(played > 0, "no transcripts found");
}

/// What the client sends, and what must come of it before it sends more.
#[derive(Default)]
struct Step {
    /// A handshake comes before it.
    secured: Option<OffersBinding>,
    client: Vec<u8>,
    expect: Vec<String>,
}

fn play(steps: &[Step], role: Role, size: usize, name: &str) {
    let mut server = Server::new(role);
    for step in steps {
        if let Some(binding) = step.secured {
            server.session.secured();
            server.session.offer_binding(binding);
        }
        if step.client.is_empty() {
            server.advance();
        }
        for piece in step.client.chunks(size.min(step.client.len().max(1))) {
            server.held.extend_from_slice(piece);
            server.advance();
        }
        server.said.append(&mut lines(&mut server.out));
        assert_eq!(
            server.said,
            step.expect,
            "{name} in pieces of {size}, after {:?}",
            step.client.escape_ascii().to_string()
        );
        server.said.clear();
    }
}

struct Server {
    session: Session,
    held: Vec<u8>,
    out: Vec<u8>,
    said: Vec<String>,
    text: Vec<u8>,
    closed: bool,
}

impl Server {
    fn new(role: Role) -> Self {
        let limits = Limits { message: 2_000, text_line: 1_000, recipients: 100, errors: 8, ..Limits::default() };
        let mut session = Session::new("mx.example.org", limits);
        session.serve_as(role);
        if role != Role::Capture {
            session.offer_tls();
        }
        let mut out = Vec::new();
        session.greeting(&mut out);
        Self { session, held: Vec::new(), out, said: Vec::new(), text: Vec::new(), closed: false }
    }

    fn advance(&mut self) {
        loop {
            let Progress { consumed, event } = self.session.receive(&self.held, &mut self.out);
            let mut more = true;
            match event {
                Event::NeedMore => more = false,
                Event::Answered | Event::NotAuthenticated(_) | Event::Data | Event::StartTls | Event::Refused(_) => {}
                Event::Hello | Event::Reset => self.text.clear(),
                Event::Authenticate => self.authenticate(),
                Event::Mail if self.session.envelope().unwrap().mail.sender.to_string().starts_with("full@") => {
                    self.session.refuse(Reply::new(452, "4.3.1", "No room on the disk"), &mut self.out);
                }
                Event::Recipient if self.session.recipient().unwrap().path.to_string().starts_with("nobody@") => {
                    self.session.refuse(Reply::new(550, "5.1.1", "No such mailbox"), &mut self.out);
                }
                Event::Mail | Event::Recipient => self.session.accept(&mut self.out),
                Event::Body(slice) => self.text.extend_from_slice(slice),
                Event::Fault(_) => self.text.clear(),
                Event::BodyEnd => {
                    let is_broken = |recipient: &Recipient| recipient.path.to_string().starts_with("broken@");
                    if self.session.envelope().unwrap().recipients.iter().any(is_broken) {
                        self.session.refuse(Reply::new(451, "4.3.0", "The store has failed"), &mut self.out);
                        self.text.clear();
                    } else {
                        self.said.append(&mut lines(&mut self.out));
                        let message = format!("M: {}", std::mem::take(&mut self.text).escape_ascii());
                        self.said.push(message.trim_end().to_owned());
                        self.session.stored(4711, &mut self.out);
                    }
                }
                Event::Close => {
                    more = false;
                    self.said.append(&mut lines(&mut self.out));
                    if !std::mem::replace(&mut self.closed, true) {
                        self.said.push("X:".into());
                    }
                }
            }
            self.held.drain(..consumed);
            if !more {
                return;
            }
        }
    }
}

impl Server {
    fn authenticate(&mut self) {
        match self.session.asked_credentials().unwrap() {
            Asked::Password("down", _) => {
                self.session.refuse(Reply::new(454, "4.7.0", "The store has failed"), &mut self.out);
            }
            Asked::Password("user", password) if password.reveal() == "pencil" => self.session.accept(&mut self.out),
            Asked::Proved("user", 0) => self.session.accept(&mut self.out),
            Asked::Keys(name) => {
                let salt = b"salt and pepper!".to_vec();
                let pair = || Pair::derive(&Password::new("pencil").unwrap(), &salt, 4_096);
                let pairs = if name == "user" { vec![pair()] } else { Vec::new() };
                let keys = Keys { pairs, salt, iterations: 4_096 };
                self.session.challenge(keys, b"eighteen octets...", Some(&[7; 32]), &mut self.out);
            }
            _ => self.session.refuse(Reply::new(535, "5.7.8", "Wrong"), &mut self.out),
        }
    }
}

/// The replies as `S:` lines; what is not a line of CR LF shows as such.
fn lines(out: &mut Vec<u8>) -> Vec<String> {
    let text = String::from_utf8(std::mem::take(out)).unwrap();
    assert!(text.is_empty() || text.ends_with("\r\n"), "{text:?}");
    let lines = text.split_terminator("\r\n");
    lines.inspect(|line| assert!(!line.contains(['\r', '\n']), "{line:?}")).map(|line| format!("S: {line}")).collect()
}

fn read(text: &str) -> (Role, Vec<Step>) {
    let mut role = Role::Capture;
    let mut steps = vec![Step::default()];
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("C:") {
            let line = line.strip_prefix(' ').unwrap_or(line);
            if steps.last().is_some_and(|step| !step.expect.is_empty()) {
                steps.push(Step::default());
            }
            let client = &mut steps.last_mut().unwrap().client;
            match line.strip_suffix('\\').filter(|line| !line.ends_with('\\')) {
                Some(line) => client.extend(unescape(line)),
                None => {
                    client.extend(unescape(line));
                    client.extend_from_slice(b"\r\n");
                }
            }
        } else if let Some(name) = line.strip_prefix("R: ") {
            role = match name {
                "exchange" => Role::Exchange,
                "submission" => Role::Submission,
                _ => panic!("no such role: {name}"),
            };
        } else if let Some(binding) = line.strip_prefix("T:") {
            let binding = if binding == " binding" { OffersBinding::Yes } else { OffersBinding::No };
            steps.push(Step { secured: Some(binding), ..Step::default() });
        } else if line.starts_with("S: ") || line.starts_with("M:") || line == "X:" {
            steps.last_mut().unwrap().expect.push(line.to_owned());
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "none of C:, S:, M:, R:, T:, X: and #: {line}");
        }
    }
    (role, steps)
}
