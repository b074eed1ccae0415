//! Plays `tests/transcripts/smtp_client/*.txt` against the client's side of SMTP: in pieces of many lengths, down to single bytes.
//!
//! `S:` is a line from the server (CRLF is added; escapes as in the other transcripts; lines in a row come at once), `C:` a line that the
//! client then says, `E:` what came of it: an event, an outcome of a recipient (`1: …`), a fault. `#` is a comment. The client here asks for TLS where it is offered,
//! sends `Subject: x`, an empty line, `.` and `..dots` from a@here.example to one, two and three @there.example, and quits.

#![allow(clippy::unwrap_used, reason = "a test outside a crate: clippy.toml knows only cfg(test)")]

mod transcript;

use std::fs;
use std::path::Path;

use sportello_wire::mail::{ForwardPath, Notify, ReversePath};
use sportello_wire::smtp::client::{Envelope, Event, Limits, Outcome, Recipient, Session};
use sportello_wire::smtp::server::BodyType;

use transcript::unescape;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.\r\n..dots\r\n";

#[test]
fn every_transcript_plays_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/smtp_client");
    let mut played = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let steps = read(&fs::read_to_string(&path).unwrap());
        let name = path.display().to_string();
        // What comes too early is seen where it comes with what was due.
        let sizes: &[usize] = if name.contains("early") { &[usize::MAX] } else { &[1, 2, 3, 7, usize::MAX] };
        for size in sizes {
            play(&steps, *size, &name);
        }
        played += 1;
    }
    assert!(played > 0, "no transcripts found");
}

/// What the server sends, and what must come of it before it sends more.
#[derive(Default)]
struct Step {
    server: Vec<u8>,
    expect: Vec<String>,
}

fn play(steps: &[Step], size: usize, name: &str) {
    let mut client = Client {
        session: Session::new("here.example", Limits::default()),
        held: Vec::new(),
        said: Vec::new(),
        is_secure: false,
    };
    for step in steps {
        for piece in step.server.chunks(size.min(step.server.len().max(1))) {
            client.held.extend_from_slice(piece);
            client.advance();
        }
        assert_eq!(client.said, step.expect, "{name} in pieces of {size}, after {}", step.server.escape_ascii());
        client.said.clear();
    }
}

struct Client {
    session: Session,
    held: Vec<u8>,
    said: Vec<String>,
    is_secure: bool,
}

impl Client {
    fn advance(&mut self) {
        loop {
            let mut out = Vec::new();
            let received = self.session.receive(&self.held, &mut out);
            let ends = match received {
                Err(broken) => {
                    self.held.clear();
                    self.say(&out);
                    self.said.push(format!("E: broken: {broken}"));
                    self.outcomes();
                    true
                }
                Ok(progress) => {
                    self.held.drain(..progress.consumed);
                    self.say(&out);
                    self.react(progress.event)
                }
            };
            if ends {
                return;
            }
        }
    }

    /// Whether nothing can be done before more has come.
    fn react(&mut self, event: Event) -> bool {
        let mut out = Vec::new();
        let mut ends = false;
        match event {
            Event::NeedMore => ends = true,
            Event::Ready if self.session.offered().starttls && !self.is_secure => self.session.start_tls(&mut out),
            Event::Ready => self.begin(&mut out),
            Event::StartTls => {
                self.said.push("E: handshake".to_owned());
                self.is_secure = true;
                self.session.secured(&mut out);
            }
            Event::TlsRefused(_) => self.session.quit(&mut out),
            Event::Text => {
                for piece in MESSAGE.chunks(5) {
                    self.session.text(piece, &mut out).unwrap();
                }
                self.session.end(&mut out).unwrap();
            }
            Event::Done => {
                self.outcomes();
                self.session.quit(&mut out);
            }
            Event::Closing(reply) => {
                self.said.push(format!("E: closing: {}", reply.text()));
                self.outcomes();
                ends = true;
            }
            Event::Left => {
                self.said.push("E: left".to_owned());
                ends = true;
            }
            Event::Challenge(_) | Event::Authenticated | Event::NotAuthenticated(_) => unreachable!("nobody asked"),
        }
        self.say(&out);
        ends
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        let path = |text: &str| ForwardPath::parse(text.as_bytes()).unwrap().0;
        let recipient = |text| Recipient { path: path(text), notify: Notify::default(), original: None };
        let envelope = Envelope {
            sender: ReversePath::parse(b"<a@here.example>").unwrap().0,
            recipients: ["<one@there.example>", "<two@there.example>", "<three@there.example>"].map(recipient).to_vec(),
            size: MESSAGE.len() as u64,
            body: BodyType::SevenBit,
            utf8: false,
            envelope_id: None,
            ret: None,
            require_tls: false,
        };
        if let Err(unfit) = self.session.begin(envelope, out) {
            self.said.push(format!("E: unfit: {unfit}"));
            self.session.quit(out);
        }
    }

    fn outcomes(&mut self) {
        for (at, outcome) in self.session.take_outcomes().into_iter().enumerate() {
            self.said.push(match outcome {
                Outcome::Taken(reply) => format!("E: {}: taken: {}", at + 1, reply.text()),
                Outcome::Refused(step, reply) => format!("E: {}: refused at {step:?}: {}", at + 1, reply.text()),
                Outcome::Unanswered => format!("E: {}: unanswered", at + 1),
            });
        }
    }

    /// What leaves ends in CR LF, and has no other CR or LF.
    fn say(&mut self, out: &[u8]) {
        let text = std::str::from_utf8(out).unwrap();
        assert!(text.is_empty() || text.ends_with("\r\n"), "{text:?}");
        for line in text.split_terminator("\r\n") {
            assert!(!line.contains(['\r', '\n']), "{line:?}");
            self.said.push(format!("C: {line}").trim_end().to_owned());
        }
    }
}

fn read(text: &str) -> Vec<Step> {
    let mut steps = vec![Step::default()];
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("S: ") {
            if steps.last().is_some_and(|step| !step.expect.is_empty()) {
                steps.push(Step::default());
            }
            let server = &mut steps.last_mut().unwrap().server;
            match line.strip_suffix('\\').filter(|line| !line.ends_with('\\')) {
                Some(line) => server.extend(unescape(line)),
                None => {
                    server.extend(unescape(line));
                    server.extend_from_slice(b"\r\n");
                }
            }
        } else if line.starts_with("C:") || line.starts_with("E: ") {
            steps.last_mut().unwrap().expect.push(line.trim_end().to_owned());
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "none of S:, C:, E: and #: {line}");
        }
    }
    steps
}
