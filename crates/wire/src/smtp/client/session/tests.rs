use super::*;
use crate::mail::{ForwardPath, Notify, ReversePath};
use crate::smtp::client::Recipient;
use crate::smtp::server::BodyType;

fn envelope(recipients: usize, size: u64, body: BodyType) -> Envelope {
    let path = |at| ForwardPath::parse(format!("<r{at}@there.example>").as_bytes()).unwrap().0;
    let recipient = |at| Recipient { path: path(at), notify: Notify::default(), original: None };
    Envelope {
        sender: ReversePath::Null,
        recipients: (0..recipients).map(recipient).collect(),
        size,
        body,
        utf8: false,
        envelope_id: None,
        ret: None,
        require_tls: false,
    }
}

/// What is said to `input`, and what comes of it; all of it is used.
fn hear(session: &mut Session, input: &str) -> (String, Result<Event, Broken>) {
    let mut out = Vec::new();
    let received = session.receive(input.as_bytes(), &mut out);
    let event = received.map(|progress| {
        assert_eq!(progress.consumed, input.len(), "{input:?}");
        progress.event
    });
    (String::from_utf8(out).unwrap(), event)
}

/// A session with a server that offers this.
fn ready(offers: &[&str]) -> Session {
    let mut session = Session::new("here.example", Limits::default());
    assert_eq!(hear(&mut session, "220 hi\r\n").0, "EHLO here.example\r\n");
    let lines: String = offers.iter().map(|offer| format!("250-{offer}\r\n")).collect();
    let (said, event) = hear(&mut session, &format!("250-there.example welcomes you\r\n{lines}250 HELP\r\n"));
    assert_eq!((said.as_str(), event), ("", Ok(Event::Ready)));
    assert_eq!(session.server(), Some("there.example"));
    session
}

fn in_text(offers: &[&str], size: u64, body: BodyType) -> Session {
    let mut session = ready(offers);
    session.begin(envelope(1, size, body), &mut Vec::new()).unwrap();
    for reply in ["250 Ok\r\n", "250 Ok\r\n"] {
        if hear(&mut session, reply).1 == Ok(Event::Text) {
            return session;
        }
    }
    assert_eq!(hear(&mut session, "354 Go\r\n").1, Ok(Event::Text));
    session
}

#[test]
fn no_line_end_leaves_that_is_none() {
    let check = |offers: &[&str], body: BodyType, text: &str, expect: Result<(), TextFault>| {
        for split in 0..=text.len() {
            let mut session = in_text(offers, text.len() as u64, body);
            let (first, second) = text.as_bytes().split_at(split);
            let mut out = Vec::new();
            let sent = session.text(first, &mut out).and_then(|()| session.text(second, &mut out));
            let sent = sent.and_then(|()| session.end(&mut out));
            assert_eq!(sent, expect, "{text:?} split at {split}");
            if sent.is_err() {
                assert!(!out.ends_with(b"\r\n.\r\n"), "nobody may take it for whole");
                assert_eq!(session.text(b"x", &mut out), Err(TextFault::NotDue));
                assert!(!session.is_idle());
            }
        }
    };
    for offers in [&[][..], &["CHUNKING", "BINARYMIME"]] {
        check(offers, BodyType::SevenBit, "a\r\nb\r\n", Ok(()));
        check(offers, BodyType::SevenBit, "a\r\nb", Ok(()));
        for smuggled in ["a\n.\nRSET", "a\r\n.\rb", "\r", "a\r\r\n", "\n", "a\r\n\n.\r\n", "a\r"] {
            check(offers, BodyType::SevenBit, smuggled, Err(TextFault::BareLineEnd));
        }
    }
    check(&["CHUNKING", "BINARYMIME"], BodyType::BinaryMime, "a\n.\r\r\0", Ok(()));
}

#[test]
fn a_text_has_the_length_that_was_said() {
    for offers in [&[][..], &["CHUNKING"]] {
        for (text, expect) in [("1234", Err(TextFault::Length)), ("12345", Ok(())), ("123456", Err(TextFault::Length))]
        {
            let mut session = in_text(offers, 5, BodyType::SevenBit);
            let mut out = Vec::new();
            let sent = session.text(text.as_bytes(), &mut out).and_then(|()| session.end(&mut out));
            assert_eq!(sent, expect, "{text}");
        }
    }
}

#[test]
fn a_refusal_within_the_text_counts_and_an_acceptance_does_not() {
    let mut session = in_text(&[], 5, BodyType::SevenBit);
    let refusal = "552 Too big\r\n";
    assert!(matches!(hear(&mut session, refusal).1, Ok(Event::Closing(reply)) if reply.code == 552));
    assert!(matches!(session.take_outcomes()[..], [Outcome::Refused(Step::Text, _)]));
    for early in ["250 Ok\r\n", "354 Go\r\n"] {
        for offers in [&[][..], &["CHUNKING"]] {
            let mut session = in_text(offers, 5, BodyType::SevenBit);
            assert_eq!(hear(&mut session, early).1, Err(Broken::Early));
            assert_eq!(session.take_outcomes(), [Outcome::Unanswered]);
        }
    }
}

#[test]
fn a_group_is_bounded() {
    for (recipients, groups) in [(48, vec![50]), (49, vec![50, 1]), (99, vec![50, 50, 1])] {
        let mut session = ready(&["PIPELINING"]);
        let mut out = Vec::new();
        session.begin(envelope(recipients, 1, BodyType::SevenBit), &mut out).unwrap();
        let mut said = String::from_utf8(out).unwrap();
        for group in groups {
            assert_eq!(said.lines().count(), group);
            let replies: String =
                said.lines().map(|line| if line == "DATA" { "354 Go\r\n" } else { "250 Ok\r\n" }).collect();
            let last = said.ends_with("DATA\r\n");
            let (more, event) = hear(&mut session, &replies);
            assert_eq!(event, Ok(if last { Event::Text } else { Event::NeedMore }));
            said = more;
        }
        assert_eq!(said, "");
    }
}

#[test]
fn a_transaction_that_was_left_open_is_reset_before_the_next() {
    let mut session = ready(&["PIPELINING"]);
    session.begin(envelope(1, 1, BodyType::SevenBit), &mut Vec::new()).unwrap();
    assert_eq!(hear(&mut session, "250 Ok\r\n550 No\r\n503 No\r\n").1, Ok(Event::Done));
    let mut out = Vec::new();
    session.begin(envelope(1, 1, BodyType::SevenBit), &mut out).unwrap();
    assert_eq!(out, b"RSET\r\nMAIL FROM:<>\r\nRCPT TO:<r0@there.example>\r\nDATA\r\n");
    assert_eq!(hear(&mut session, "250 Ok\r\n250 Ok\r\n250 Ok\r\n354 Go\r\n").1, Ok(Event::Text));
    let mut out = Vec::new();
    session.text(b"x", &mut out).unwrap();
    session.end(&mut out).unwrap();
    assert_eq!(session.awaited(), Awaited::TextEnd);
    assert_eq!(hear(&mut session, "250 Ok\r\n").1, Ok(Event::Done));
    out.clear();
    session.begin(envelope(1, 1, BodyType::SevenBit), &mut out).unwrap();
    assert!(out.starts_with(b"MAIL"), "the last one was ended");
    assert!(matches!(hear(&mut session, "250 Ok\r\n250 Ok\r\n354 Go\r\n").1, Ok(Event::Text)));
    let mut refusing = ready(&[]);
    refusing.begin(envelope(1, 1, BodyType::SevenBit), &mut Vec::new()).unwrap();
    assert_eq!(hear(&mut refusing, "451 Later\r\n").1, Ok(Event::Done));
    refusing.begin(envelope(1, 1, BodyType::SevenBit), &mut Vec::new()).unwrap();
    assert!(matches!(hear(&mut refusing, "451 Later\r\n").1, Err(Broken::OutOfStep(_))), "it refuses RSET itself");
}

#[test]
fn authentication_goes_to_and_fro() {
    let mut session = ready(&["AUTH PLAIN SCRAM-SHA-256"]);
    let mut out = Vec::new();
    session.authenticate("PLAIN", Some(""), &mut out);
    session.respond("AA\r\nRSET==", &mut out);
    session.cancel(&mut out);
    assert_eq!(out, b"AUTH PLAIN =\r\nAARSET==\r\n*\r\n");
    let mut session = ready(&["AUTH SCRAM-SHA-256"]);
    session.authenticate("SCRAM-SHA-256", Some("biws"), &mut Vec::new());
    assert_eq!(hear(&mut session, "334 cj1h\r\n").1, Ok(Event::Challenge(b"cj1h".to_vec())));
    let mut out = Vec::new();
    session.respond("Yz1i", &mut out);
    assert_eq!(hear(&mut session, "334\r\n").1, Ok(Event::Challenge(Vec::new())));
    session.respond("", &mut out);
    assert_eq!(out, b"Yz1i\r\n\r\n");
    assert_eq!(hear(&mut session, "235 2.7.0 Ok\r\n").1, Ok(Event::Authenticated));
    session.authenticate("PLAIN", None, &mut out);
    assert!(
        matches!(hear(&mut session, "535 5.7.8 No\r\n").1, Ok(Event::NotAuthenticated(reply)) if reply.code == 535)
    );
    assert!(session.is_idle());
    session.authenticate("PLAIN", None, &mut out);
    assert_eq!(session.receive(b"334 x\r\n235 Ok\r\n", &mut out), Err(Broken::Early));
}

#[test]
fn a_server_that_never_stops_is_stopped() {
    let endless = "220-still greeting\r\n".repeat(129);
    let mut session = Session::new("here.example", Limits::default());
    let broken = Broken::Reply(reply::Error::TooManyLines(128));
    assert_eq!(session.receive(endless.as_bytes(), &mut Vec::new()), Err(broken));
    let mut session = Session::new("here.example", Limits::default());
    let most = format!("{}220 at last\r\n", "220-still greeting\r\n".repeat(127));
    assert_eq!(hear(&mut session, &most).1, Ok(Event::NeedMore));
    let mut session = Session::new("here.example", Limits::default());
    let broken = Broken::Reply(reply::Error::LineTooLong(2_048));
    assert_eq!(session.receive(&[b'2'; 2_050], &mut Vec::new()), Err(broken));
    assert_eq!(
        session.receive(b"220 hi\r\n", &mut Vec::new()),
        Err(Broken::Early),
        "and nothing is believed afterwards"
    );
}

#[test]
fn a_refused_starttls_leaves_the_choice_to_the_driver() {
    let mut session = ready(&["STARTTLS"]);
    session.start_tls(&mut Vec::new());
    assert!(matches!(hear(&mut session, "454 Not now\r\n").1, Ok(Event::TlsRefused(_))));
    assert!(session.is_idle() && session.offered().starttls);
    session.start_tls(&mut Vec::new());
    assert!(matches!(hear(&mut session, "354 What\r\n").1, Err(Broken::OutOfStep(_))));
}

#[test]
fn our_name_is_one_word() {
    let mut session = Session::new("here.example\r\nRSET x", Limits::default());
    assert_eq!(hear(&mut session, "220 hi\r\n").0, "EHLO here.exampleRSETx\r\n");
}
