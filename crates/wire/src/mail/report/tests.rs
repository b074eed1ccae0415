use super::*;
use crate::mail::status::Class;

const MESSAGE: &[u8] = b"From: anna@example.org\r\nMessage-ID: <1@example.org>\r\nSubject: hello\r\n\r\nbody\r\n";

fn failed(address: &str) -> OnRecipient<'_> {
    OnRecipient {
        address,
        original: None,
        action: Action::Failed,
        status: Status::new(Class::Permanent, 1, 1),
        server: Some("mx.example.net [192.0.2.9]"),
        text: "550 5.1.1 no such user",
        until: None,
    }
}

fn report<'a>(recipients: &'a [OnRecipient<'a>]) -> Report<'a> {
    Report {
        by: "mail.example.org",
        to: "anna@example.org",
        id: "77",
        seconds: 1_700_000_000,
        arrived: 1_699_990_000,
        envelope_id: None,
        message_id: Some("<1@example.org>"),
        recipients,
        returned: Returned::Message(MESSAGE),
    }
}

fn written(report: &Report<'_>) -> String {
    String::from_utf8(report.write().bytes).unwrap()
}

#[test]
fn a_failure_is_told_to_people_and_to_programs_and_the_message_comes_back() {
    let recipients = [
        OnRecipient { original: Some("rfc822;Bob@Example.NET"), ..failed("bob@example.net") },
        OnRecipient { server: None, text: "gave up after 5 days", ..failed("eve@example.net") },
    ];
    let text = written(&Report { envelope_id: Some("QQ314159"), ..report(&recipients) });
    assert_eq!(text, include_str!("expected.eml").replace('\n', "\r\n"));
}

#[test]
fn nothing_of_others_ends_a_field_or_begins_a_part() {
    let evil = "550 no\r\nBcc: all@example.org\r\n\r\n--=_report_77_0--\u{1b}[2J";
    let recipients = [OnRecipient { text: evil, server: Some("evil\r\nX: y"), ..failed("a\r\nb@example.net") }];
    let original = b"Subject: --=_report_77_0\r\n\r\n--=_report_77_0--\r\nContent-Type: text/html\r\n";
    let text = written(&Report {
        to: "anna@example.org>\r\nBcc: <all@example.org",
        message_id: Some("<1>\r\nBcc: x@example.org"),
        envelope_id: Some("a\nb"),
        returned: Returned::Header(original),
        ..report(&recipients)
    });
    assert!(text.contains("boundary=\"=_report_77_1\""), "{text}");
    assert!(!text.contains("In-Reply-To"), "{text}");
    for line in text.split("\r\n") {
        assert!(!line.contains(['\r', '\n', '\u{1b}']), "{line:?}");
        assert!(!line.starts_with("Bcc:") && !line.starts_with("X: y"), "{line:?}");
    }
    assert_eq!(text.matches("--=_report_77_1--").count(), 1);
}

#[test]
fn a_text_is_cut_at_its_bound() {
    for (length, expect) in [(LONGEST_TEXT, LONGEST_TEXT), (LONGEST_TEXT + 1, LONGEST_TEXT)] {
        let long = "x".repeat(length);
        let text = written(&report(&[OnRecipient { text: &long, ..failed("bob@example.net") }]));
        assert!(text.contains(&format!("Diagnostic-Code: smtp; {}\r\n", "x".repeat(expect))));
        assert!(text.split("\r\n").all(|line| line.len() <= 998));
    }
}

#[test]
fn what_is_reported_decides_subject_and_action() {
    for (action, subject, word) in [
        (Action::Failed, "Your message could not be delivered", "failed"),
        (Action::Delayed, "Your message is not delivered yet", "delayed"),
        (Action::Relayed, "Your message was handed on", "relayed"),
        (Action::Delivered, "Your message was delivered", "delivered"),
    ] {
        let until = (action == Action::Delayed).then_some(1_700_400_000);
        let recipients = [OnRecipient { action, until, ..failed("bob@example.net") }];
        let text = written(&report(&recipients));
        assert!(text.contains(&format!("Subject: {subject}\r\n")), "{text}");
        assert!(text.contains(&format!("Action: {word}\r\n")), "{text}");
        assert_eq!(text.contains("Will-Retry-Until: "), action == Action::Delayed);
    }
    let mixed = [OnRecipient { action: Action::Delivered, ..failed("a@example.net") }, failed("b@example.net")];
    assert_eq!(report(&mixed).write().subject, "Your message could not be delivered");
}

#[test]
fn utf8_makes_other_types_of_the_parts_that_have_it() {
    let plain = report(&[failed("bob@example.net")]).write();
    assert!(!plain.is_eight_bit && !plain.is_international);
    let text = written(&Report {
        returned: Returned::Header("Subject: größe\r\n".as_bytes()),
        ..report(&[OnRecipient { text: "550 größe", ..failed("bob@example.net") }])
    });
    assert!(text.contains("Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n"), "{text}");
    assert!(text.contains("Content-Type: message/delivery-status\r\n\r\n"), "{text}");
    assert!(text.contains("Diagnostic-Code: smtp; 550 gr??e\r\n"), "{text}");
    let recipients = [OnRecipient { original: Some("utf-8;Bücher@example.net"), ..failed("bücher@example.net") }];
    let international = report(&recipients).write();
    assert!(international.is_eight_bit && international.is_international);
    let text = String::from_utf8(international.bytes).unwrap();
    assert!(text.contains("Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n"));
    assert!(
        text.contains("Original-Recipient: utf-8;Bücher@example.net\r\nFinal-Recipient: utf-8; bücher@example.net")
    );
    let eight_bit = Report { returned: Returned::Message("Subject: a\r\n\r\ngröße".as_bytes()), ..report(&[]) }.write();
    assert!(eight_bit.is_eight_bit && !eight_bit.is_international);
    assert!(String::from_utf8(eight_bit.bytes).unwrap().contains("größe\r\n\r\n--=_report_77_0--\r\n"));
}
