use super::*;

fn submitted(from: Option<&str>) -> Plan {
    let from = from.map(|from| Address::parse(from.as_bytes()).unwrap());
    let (date, message_id) = ("Sun, 6 Nov 1994 08:49:37 +0000".to_owned(), "<1@mx.example.org>".to_owned());
    Plan::Submitted { authserv_id: "mx.example.org".into(), missing: Box::new(Missing { from, date, message_id }) }
}

fn arriving() -> Plan {
    Plan::Arriving { authserv_id: "mx.example.org".into() }
}

/// What becomes of a message that comes in pieces of `size`, and whom it is from.
fn rewritten(plan: &Plan, message: &[u8], size: usize) -> Result<(String, String), Fault> {
    let mut rewriter = Rewriter::new(plan.clone());
    let mut out = Vec::new();
    for piece in message.chunks(size) {
        let rest = rewriter.push(piece, &mut out)?;
        out.extend_from_slice(rest);
        assert!(rewriter.held.len() <= LONGEST_FIELD);
    }
    rewriter.finish(&mut out)?;
    assert!(rewriter.is_over());
    let authors: Vec<_> = rewriter.authors().iter().map(ToString::to_string).collect();
    Ok((String::from_utf8(out).unwrap(), authors.join(" ")))
}

fn check(plan: &Plan, message: &str, expect: Result<(&str, &str), Fault>) {
    let expect = expect.map(|(text, authors)| (text.to_owned(), authors.to_owned()));
    for size in [1, 2, 3, 7, 50, usize::MAX] {
        assert_eq!(rewritten(plan, message.as_bytes(), size), expect, "{message:?} in pieces of {size}");
    }
}

const DATE: &str = "Date: Sun, 6 Nov 1994 08:49:37 +0000\r\n";
const ID: &str = "Message-ID: <1@mx.example.org>\r\n";

#[test]
fn what_is_submitted_gets_what_it_lacks_and_loses_bcc() {
    let plan = submitted(Some("alice@example.org"));
    let whole = "From: Alice <alice@example.org>\r\nDate: x\r\nmessage-id: <y@z>\r\n\r\nFrom: me\r\nBcc: you\r\n";
    check(&plan, whole, Ok((whole, "alice@example.org")));
    check(
        &plan,
        "To: bob@example.org\r\nBCC: carol@example.org,\r\n dave@example.org\r\nSubject: x\r\n\r\ntext",
        Ok((
            &format!("To: bob@example.org\r\nSubject: x\r\nFrom: alice@example.org\r\n{DATE}{ID}\r\ntext"),
            "alice@example.org",
        )),
    );
    check(
        &plan,
        "Return-Path: <x@y>\r\nFrom: a@b, c@d\r\nResent-Bcc: e@f\r\nBcc:\r\n\r\n",
        Ok((&format!("From: a@b, c@d\r\n{DATE}{ID}\r\n"), "a@b c@d")),
    );
}

#[test]
fn a_message_without_a_header_or_without_a_body() {
    let plan = submitted(Some("alice@example.org"));
    let added = format!("From: alice@example.org\r\n{DATE}{ID}\r\n");
    check(&plan, "Hello\r\nFrom: me\r\n", Ok((&format!("{added}Hello\r\nFrom: me\r\n"), "alice@example.org")));
    check(&plan, "", Ok((&added, "alice@example.org")));
    check(&plan, "\r\ntext", Ok((&format!("{added}text"), "alice@example.org")));
    check(&plan, "Fro", Ok((&format!("{added}Fro"), "alice@example.org")));
    check(&plan, "From: a@b\r\nBcc: x", Ok((&format!("From: a@b\r\n{DATE}{ID}\r\n"), "a@b")));
    check(&arriving(), "Hello\r\n", Ok(("\r\nHello\r\n", "")));
    let long = "x".repeat(1_000);
    check(&plan, &long, Ok((&format!("{added}{long}"), "alice@example.org")));
}

#[test]
fn a_header_that_two_readers_could_read_differently_is_not_sent() {
    let plan = submitted(Some("alice@example.org"));
    for (message, fault) in [
        ("From: a@b\r\nfrom: c@d\r\n\r\n", Fault::Authors),
        ("From: a@b\r\nFROM : c@d\r\n\r\n", Fault::Authors),
        ("Subject: x\r\nnot a field\r\nFrom: boss@example.org\r\n\r\n", Fault::NotAField),
        ("Subject: x\r\n: y\r\n\r\n", Fault::NotAField),
        ("From: boss@example.org <a@b>\r\n\r\n", Fault::From(author::Error::Malformed)),
        ("From: Alice\r\n\r\n", Fault::From(author::Error::Malformed)),
        ("From: nobody:;\r\n\r\n", Fault::From(author::Error::Malformed)),
        ("From:\r\n\r\n", Fault::From(author::Error::Malformed)),
    ] {
        check(&plan, message, Err(fault));
    }
    check(&submitted(None), "To: a@b\r\n\r\n", Err(Fault::NoAuthor));
    // It arrives as it is: whoever judges it reads it so.
    let odd = "From: a@b\r\nnot a field\r\nFrom: c@d\r\nBcc: e@f\r\n\r\ntext";
    check(&arriving(), odd, Ok((odd, "")));
}

#[test]
fn only_we_say_what_we_have_judged() {
    for (field, is_ours) in [
        ("Authentication-Results: mx.example.org; spf=pass", true),
        ("authentication-results:\r\n\tMX.Example.ORG 1;\r\n\tdkim=pass", true),
        ("Authentication-Results: (a (b) comment) mx.example.org(c); dkim=pass", true),
        ("Authentication-Results: \"mx.example.org\"; dkim=pass", true),
        ("Authentication-Results: \"mx.example\\.org\"; dkim=pass", true),
        ("Authentication-Results: ; none", true),
        ("Authentication-Results: (mx", true),
        ("Authentication-Results : mx.example.org; none", true),
        ("Authentication-Results: mx.example.net; dkim=pass", false),
        ("Authentication-Results: mx.example.org.evil; dkim=pass", false),
        ("X-Authentication-Results: mx.example.org; dkim=pass", false),
        ("ARC-Authentication-Results: i=1; mx.example.org; dkim=pass", false),
    ] {
        let rest = "Subject: x\r\n\r\nAuthentication-Results: mx.example.org; none\r\n";
        let whole = format!("{field}\r\n{rest}");
        check(&arriving(), &whole, Ok((if is_ours { rest } else { &whole }, "")));
    }
}

#[test]
fn a_long_field_is_not_held() {
    let plan = submitted(Some("alice@example.org"));
    let line = |name: &str, length: usize| format!("{name}: {}\r\n", "x".repeat(length - name.len() - 4));
    for length in [LONGEST_FIELD, LONGEST_FIELD + 1, 3 * LONGEST_FIELD] {
        let long = format!("{}From: a@b\r\nDate: x\r\nMessage-ID: y\r\n\r\n", line("Subject", length));
        check(&plan, &long, Ok((&long, "a@b")));
        let dropped = format!("{}From: a@b\r\nDate: x\r\nMessage-ID: y\r\n\r\n", line("Bcc", length));
        check(&plan, &dropped, Ok(("From: a@b\r\nDate: x\r\nMessage-ID: y\r\n\r\n", "a@b")));
        let id = format!("{}From: a@b\r\nDate: x\r\n\r\n", line("Message-ID", length));
        check(&plan, &id, Ok((&id, "a@b")));
        let junk = format!("{}\r\n\r\n", "x".repeat(length));
        check(&plan, &format!("From: a@b\r\n{junk}"), Err(Fault::NotAField));
    }
    let from = |length: usize| format!("From: a@b{}\r\nDate: x\r\nMessage-ID: y\r\n\r\n", " ".repeat(length - 11));
    check(&plan, &from(LONGEST_FIELD), Ok((&from(LONGEST_FIELD), "a@b")));
    check(&plan, &from(LONGEST_FIELD + 1), Err(Fault::TooLong));
}
