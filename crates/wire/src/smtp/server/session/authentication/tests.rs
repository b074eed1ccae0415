use super::*;

fn encrypted() -> Session {
    let mut session = Session::new("mx.example.org", Limits { failed_logins: 2, ..Limits::default() });
    session.serve_as(Role::Submission);
    session.secured();
    session
}

/// What is said to `input`, where `alice` has the password `secret`; and the events but for those of plain commands.
fn said(session: &mut Session, input: &str) -> (String, Vec<String>) {
    let (mut out, mut rest, mut events) = (Vec::new(), input.as_bytes(), Vec::new());
    loop {
        let progress = session.receive(rest, &mut out);
        rest = &rest[progress.consumed..];
        match progress.event {
            Event::NeedMore => break,
            Event::Answered | Event::Hello => {}
            Event::Authenticate => match session.asked_credentials().unwrap() {
                Asked::Password("alice", password) if password.reveal() == "secret" => session.accept(&mut out),
                Asked::Password("down", _) => session.refuse(Reply::new(454, "4.7.0", "Later"), &mut out),
                asked => {
                    events.push(format!("{asked:?}"));
                    session.refuse(INVALID, &mut out);
                }
            },
            Event::Close => {
                events.push("Close".into());
                break;
            }
            event => {
                events.push(format!("{event:?}"));
                break;
            }
        }
    }
    (String::from_utf8(out).unwrap(), events)
}

fn codes(replies: &str) -> Vec<&str> {
    replies.lines().map(|line| &line[..3]).collect()
}

const GOOD: &str = "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n";
const BAD: &str = "AUTH PLAIN AGFsaWNlAHdyb25n\r\n";

#[test]
fn failures_are_bounded_and_those_of_ours_are_not_counted() {
    let mut session = encrypted();
    said(&mut session, "EHLO c\r\n");
    let down = "AUTH PLAIN AGRvd24AeA==\r\n".repeat(5);
    assert_eq!(codes(&said(&mut session, &down).0), ["454"; 5]);
    let (replies, events) = said(&mut session, &BAD.repeat(4));
    assert_eq!((codes(&replies), events.len()), (vec!["535", "535", "421"], 4), "{replies} {events:?}");
    assert_eq!(events.last().unwrap(), "Close");
}

#[test]
fn who_is_known_stays_known_until_tls_or_the_end() {
    let mut session = encrypted();
    let (replies, _) = said(&mut session, &format!("EHLO c\r\n{GOOD}{GOOD}EHLO d\r\nRSET\r\n"));
    assert!(replies.contains("235 2.7.0") && replies.contains("503 5.5.1 Error: you are known already"), "{replies}");
    assert_eq!(session.identity(), Some("alice"));
    session.secured();
    assert_eq!(session.identity(), None);
}

#[test]
fn a_response_is_bounded() {
    for (length, closes) in [(Limits::AUTH_LINE - 1, false), (Limits::AUTH_LINE, true)] {
        let mut session = encrypted();
        said(&mut session, "EHLO c\r\nAUTH LOGIN\r\n");
        assert!(session.awaits_secret());
        let (replies, events) = said(&mut session, &"A".repeat(length));
        assert_eq!((replies.starts_with("500 5.5.2"), events.len()), (closes, usize::from(closes)), "{replies}");
    }
    // And AUTH itself with what it brings along; what is longer than any credentials is refused where it can be told.
    let mut session = encrypted();
    let line = format!("AUTH PLAIN {}\r\n", "AAAA".repeat((Limits::AUTH_LINE - 13) / 4));
    let (replies, _) = said(&mut session, &format!("EHLO c\r\n{line}{BAD}"));
    assert_eq!(codes(&replies)[replies.lines().count() - 2..], ["501", "535"], "{replies}");
    let (replies, events) = said(&mut session, &format!("AUTH PLAIN {}", "A".repeat(Limits::AUTH_LINE)));
    assert!(replies.starts_with("500 5.5.2") && events == ["Close"], "{replies}");
}

#[test]
fn a_line_within_an_exchange_ends_as_all_lines_do() {
    for line in ["YQ==\n", "Y\rQ==\r\n", "YQ==\r\r\n"] {
        let mut session = encrypted();
        let (replies, events) = said(&mut session, &format!("EHLO c\r\nAUTH LOGIN\r\n{line}"));
        assert_eq!(events, ["Close"], "{replies}");
    }
}

#[test]
fn a_wrong_proof_is_told_to_the_driver() {
    let mut session = encrypted();
    said(&mut session, "EHLO c\r\n");
    let (replies, events) = said(&mut session, "AUTH PLAIN Ym9iAGFsaWNlAHNlY3JldA==\r\n");
    assert_eq!((codes(&replies), events), (vec!["535"], vec!["NotAuthenticated(Impersonation)".to_owned()]));
    assert_eq!(session.identity(), None);
}

#[test]
fn a_driver_that_answers_unasked_changes_nothing() {
    let mut session = encrypted();
    let mut out = Vec::new();
    let keys = || Keys { salt: b"salt".to_vec(), iterations: 4_096, pairs: Vec::new() };
    said(&mut session, "EHLO c\r\nAUTH LOGIN\r\n");
    session.accept(&mut out);
    session.refuse(INVALID, &mut out);
    session.challenge(keys(), &[0; 18], None, &mut out);
    assert!(out.is_empty() && session.awaits_secret() && session.identity().is_none());
}
