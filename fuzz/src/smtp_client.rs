//! The client's session against a server that says anything.

use sportello_wire::mail::{ForwardPath, Notify, ReversePath};
use sportello_wire::smtp::client::{Broken, Envelope, Event, Limits, Outcome, Recipient, Session};
use sportello_wire::smtp::server::BodyType;

use crate::pieces::{Cut, cuts, pieces};

const TEXT: &[u8] = b"Subject: x\r\n\r\n.\r\ntext\r\n";
const RECIPIENTS: usize = 3;

/// A server's whole side, cut in three ways. What the client does may depend on the cut, since what comes too early is only seen
/// where it comes with what was due; what must hold, holds with each.
pub(crate) fn session(data: &[u8]) {
    for cut in [Cut::Whole].into_iter().chain(cuts(data)) {
        converse(data, cut);
    }
}

/// A client under way, and what it has said.
struct Client {
    session: Session,
    said: Vec<u8>,
    is_secure: bool,
    /// Texts that were sent whole.
    sent: usize,
    /// Recipients who have it.
    taken: usize,
    transactions: usize,
}

fn converse(data: &[u8], cut: Cut) {
    let session = Session::new("here.example", Limits { line: 200, lines: 10 });
    let mut client = Client { session, said: Vec::new(), is_secure: false, sent: 0, taken: 0, transactions: 0 };
    let mut held: Vec<u8> = Vec::new();
    for piece in pieces(data, cut) {
        held.extend_from_slice(piece);
        loop {
            let mut out = Vec::new();
            let received = client.session.receive(&held, &mut out);
            let progress = match received {
                Ok(progress) => progress,
                Err(broken) => return client.broken(&broken),
            };
            held.drain(..progress.consumed);
            let goes_on = client.react(progress.event, &mut out);
            client.say(&out);
            match goes_on {
                Some(true) => {}
                Some(false) => break,
                None => return,
            }
        }
        assert!(held.len() <= 202, "{} bytes are held", held.len());
    }
}

impl Client {
    /// Whether there may be more in what is held; `None`: it is over.
    fn react(&mut self, event: Event, out: &mut Vec<u8>) -> Option<bool> {
        match event {
            Event::NeedMore => return Some(false),
            Event::Ready if self.session.offered().starttls && !self.is_secure => self.session.start_tls(out),
            Event::Ready if self.session.offered().mechanisms.plain => {
                self.session.authenticate("PLAIN", Some("AGEAYg=="), out)
            }
            Event::Ready | Event::Authenticated | Event::NotAuthenticated(_) | Event::TlsRefused(_) => self.begin(out),
            Event::StartTls => {
                self.is_secure = true;
                self.session.secured(out);
            }
            Event::Challenge(_) => self.session.cancel(out),
            Event::Text => {
                for piece in TEXT.chunks(5) {
                    self.session.text(piece, out).unwrap();
                }
                self.session.end(out).unwrap();
                self.sent += 1;
            }
            Event::Done => {
                self.outcomes();
                if self.transactions < 3 { self.begin(out) } else { self.session.quit(out) }
            }
            Event::Closing(_) => {
                self.outcomes();
                return None;
            }
            Event::Left => return None,
        }
        Some(true)
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        let recipient = |at| Recipient {
            path: ForwardPath::parse(format!("<r{at}@there.example>").as_bytes()).unwrap().0,
            notify: Notify::NEVER,
            original: Some("rfc822;o@there.example".to_owned()),
        };
        let envelope = Envelope {
            sender: ReversePath::Null,
            recipients: (0..RECIPIENTS).map(recipient).collect(),
            size: TEXT.len() as u64,
            body: BodyType::SevenBit,
            utf8: false,
            envelope_id: Some("a b".to_owned()),
            ret: None,
            require_tls: false,
        };
        self.transactions += 1;
        if self.session.begin(envelope, out).is_err() {
            assert!(out.is_empty());
            self.session.quit(out);
        }
    }

    fn outcomes(&mut self) {
        let outcomes = self.session.take_outcomes();
        assert!(outcomes.is_empty() || outcomes.len() == RECIPIENTS);
        let taken = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Taken(_))).count();
        for outcome in &outcomes {
            match outcome {
                Outcome::Taken(reply) => assert!(reply.is_positive()),
                Outcome::Refused(_, reply) => assert!(!reply.is_positive() && !reply.is_intermediate()),
                Outcome::Unanswered => {}
            }
        }
        self.taken += taken;
        assert!(self.taken <= self.sent * RECIPIENTS, "nobody has what was not sent");
    }

    fn broken(&mut self, broken: &Broken) {
        self.outcomes();
        // It stays so.
        assert!(self.session.receive(b"250 Ok\r\n", &mut Vec::new()).is_err(), "{broken}");
    }

    /// RFC 5321 §2.3.8: lines end in CR LF, and nothing else does.
    fn say(&mut self, out: &[u8]) {
        self.said.extend_from_slice(out);
        assert!(self.said.len() < 16 * 1024, "a server makes it talk without end");
        assert!(out.is_empty() || out.ends_with(b"\r\n"));
        let ends = out.windows(2).filter(|pair| pair == b"\r\n").count();
        let (returns, feeds) = (out.iter().filter(|byte| **byte == b'\r'), out.iter().filter(|byte| **byte == b'\n'));
        assert_eq!((returns.count(), feeds.count()), (ends, ends));
    }
}
