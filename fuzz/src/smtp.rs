//! SMTP as the server reads it, on the wire, and as our own client does.

use std::fmt::Write;

use sportello_wire::sasl::scram::Keys;
use sportello_wire::sasl::server::{Asked, OffersBinding};
use sportello_wire::smtp::client::{Limits as ReplyLimits, Path, Reply as Answer, Stuffing, canonical_lines};
use sportello_wire::smtp::server::{Event, Limits, Progress, Reply, Role, Session};

use crate::pieces::{Cut, cuts, pieces};

/// What came of a dialogue: what was said, what was stored, and whether we closed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Dialogue {
    said: String,
    events: String,
    stored: Vec<Vec<u8>>,
    closed: bool,
}

fn limits() -> Limits {
    Limits {
        command_line: 512,
        text_line: 300,
        message: 1_000,
        recipients: 3,
        errors: 5,
        idle_commands: 12,
        received: 3,
        ..Limits::default()
    }
}

/// Drives a session as the server does, but for the store.
fn converse(data: &[u8], cut: Cut, role: Role) -> Dialogue {
    let mut session = Session::new("mx.example.org", limits());
    session.serve_as(role);
    if role == Role::Submission {
        session.secured();
        session.offer_binding(OffersBinding::Yes);
    }
    let (mut out, mut held, mut text) = (Vec::new(), Vec::new(), Vec::new());
    let mut dialogue = Dialogue::default();
    session.greeting(&mut out);
    'pieces: for piece in pieces(data, cut) {
        held.extend_from_slice(piece);
        loop {
            let Progress { consumed, event } = session.receive(&held, &mut out);
            assert!(consumed <= held.len());
            let mut more = true;
            match event {
                Event::NeedMore => more = false,
                Event::Answered | Event::NotAuthenticated(_) => {}
                Event::StartTls => session.secured(),
                Event::Authenticate => authenticate(&mut session, &mut out),
                Event::Hello | Event::Reset => text.clear(),
                Event::Mail if session.envelope().unwrap().mail.size == Some(452) => {
                    session.refuse(Reply::new(452, "4.3.1", "No room"), &mut out);
                }
                Event::Mail | Event::Recipient => session.accept(&mut out),
                Event::Data => text.clear(),
                Event::Body(slice) => text.extend_from_slice(slice),
                Event::Fault(fault) => {
                    let _ = writeln!(dialogue.events, "fault {fault}");
                    text.clear();
                }
                Event::BodyEnd => {
                    assert!(text.len() as u64 <= limits().message);
                    assert!(session.envelope().is_some_and(|envelope| !envelope.recipients.is_empty()));
                    dialogue.stored.push(std::mem::take(&mut text));
                    session.stored(dialogue.stored.len(), &mut out);
                }
                Event::Refused(reply) => {
                    let _ = writeln!(dialogue.events, "refused {}", reply.code());
                }
                Event::Close => dialogue.closed = true,
            }
            held.drain(..consumed);
            if dialogue.closed {
                break 'pieces;
            }
            if !more {
                break;
            }
        }
        let most = if role == Role::Submission { Limits::AUTH_LINE } else { limits().command_line };
        assert!(session.is_in_text() || held.len() <= most, "{} bytes are held", held.len());
    }
    dialogue.said = String::from_utf8(out).unwrap();
    dialogue
}

/// Whoever says `secret` is let in; keys are those of nobody.
fn authenticate(session: &mut Session, out: &mut Vec<u8>) {
    match session.asked_credentials() {
        Some(Asked::Password(name, password)) if !name.is_empty() && password.reveal() == "secret" => {
            session.accept(out)
        }
        Some(Asked::Keys(_)) => {
            let keys = Keys { salt: b"salt".to_vec(), iterations: 4_096, pairs: Vec::new() };
            session.challenge(keys, &[7; 18], Some(&[7; 32]), out);
        }
        _ => session.refuse(Reply::new(535, "5.7.8", "No"), out),
    }
}

/// RFC 5321 §4.2: every line a code and a text, every reply of one code, as many acceptances as messages.
fn replies(dialogue: &Dialogue) {
    let mut open: Option<String> = None;
    let mut queued = 0;
    for line in dialogue.said.split_inclusive("\r\n") {
        let text = line.strip_suffix("\r\n").unwrap();
        assert!(
            line.len() <= 512 && text.chars().all(|character| character == '\t' || !character.is_control()),
            "{line:?}"
        );
        let (code, rest) = text.split_at(3);
        assert!((200..600).contains(&code.parse::<u16>().unwrap()), "{line:?}");
        assert!(open.as_ref().is_none_or(|open| open == code), "{line:?}");
        open = rest.starts_with('-').then(|| code.to_owned());
        assert!(rest.starts_with(['-', ' ']), "{line:?}");
        queued += usize::from(text.starts_with("250 2.0.0 Ok: queued as "));
    }
    assert!(open.is_none(), "a reply has no end");
    assert_eq!(queued, dialogue.stored.len());
}

fn check(data: &[u8]) -> Dialogue {
    check_as(data, Role::Capture)
}

fn check_as(data: &[u8], role: Role) -> Dialogue {
    let whole = converse(data, Cut::Whole, role);
    replies(&whole);
    for cut in cuts(data) {
        assert_eq!(converse(data, cut, role), whole);
    }
    whole
}

/// A session of submission: nothing is stored before somebody was let in.
pub(crate) fn submission(data: &[u8]) {
    let dialogue = check_as(data, Role::Submission);
    assert!(dialogue.stored.is_empty() || dialogue.said.contains("235 2.7.0 "));
    check_as(data, Role::Exchange);
}

/// A whole session.
pub(crate) fn wire(data: &[u8]) {
    check(data);
}

/// Commands after a greeting and with a transaction open.
pub(crate) fn commands(data: &[u8]) {
    check(&[b"EHLO client.example\r\n", data].concat());
    check(&[b"EHLO client.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", data].concat());
}

const ENVELOPE: &[u8] = b"EHLO c\r\nMAIL FROM:<a@b> BODY=8BITMIME\r\nRCPT TO:<c@d>\r\nDATA\r\n";

/// The text of a message: as it comes, as a client would send it, and in chunks.
pub(crate) fn text(data: &[u8]) {
    let sent = check(&[ENVELOPE, data].concat());
    if let Some(first) = sent.stored.first() {
        let end = b"\r\n.\r\n";
        let framed = [b"\r\n", data].concat();
        let at = framed.windows(end.len()).position(|window| window == end).unwrap();
        let lines = &framed[2..(at + 2).max(2)];
        let expect: Vec<u8> = lines
            .split_inclusive(|byte| *byte == b'\n')
            .flat_map(|line| line.strip_prefix(b".").unwrap_or(line))
            .copied()
            .collect();
        assert_eq!(first, &expect);
    }

    let canonical = canonical_lines(data);
    let mut stuffed = Vec::new();
    let mut stuffing = Stuffing::default();
    pieces(&canonical, Cut::Bytes).into_iter().for_each(|piece| stuffing.write(piece, &mut stuffed));
    stuffing.finish(&mut stuffed);
    let mut at_once = Vec::new();
    let mut stuffing = Stuffing::default();
    stuffing.write(&canonical, &mut at_once);
    stuffing.finish(&mut at_once);
    assert_eq!(stuffed, at_once);
    let sent = check(&[ENVELOPE, &stuffed].concat());
    match sent.stored.as_slice() {
        // It may be too long, have a NUL, run in a circle.
        [] => {}
        [message] => {
            let canonical = if canonical.is_empty() || canonical.ends_with(b"\r\n") {
                canonical
            } else {
                [canonical, b"\r\n".to_vec()].concat()
            };
            assert_eq!(message, &canonical);
        }
        more => panic!("{} messages of one", more.len()),
    }
}

/// A server's replies.
pub(crate) fn client(data: &[u8]) {
    let limits = ReplyLimits { line: 200, lines: 10 };
    let whole = Answer::parse(data, &limits);
    if let Ok(Some((reply, used))) = &whole {
        assert!(*used <= data.len() && (1..=limits.lines).contains(&reply.lines.len()));
        assert!(!reply.text().contains('\n'));
        assert_eq!(Answer::parse(&data[..*used], &limits).unwrap().unwrap(), (reply.clone(), *used));
        for end in 0..*used {
            assert!(matches!(Answer::parse(&data[..end], &limits), Ok(None)), "it is whole too early");
        }
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(path) = Path::parse(text)
    {
        assert!(path.as_str() == text && !text.contains(['<', '>', ' ', '\r', '\n']));
    }
}
