use super::*;

fn small() -> Limits {
    Limits { line: 12, lines: 3 }
}

/// Reads `input`, cut after every byte: before its end there is no answer or the same error, then always the same.
fn check(input: &[u8], expect: Result<(u16, &[&str]), Error>) {
    let expect = expect.map(|(code, lines)| {
        let lines = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        Some((Reply { code, lines }, input.len()))
    });
    for end in 0..input.len() {
        let early = Reply::parse(&input[..end], &small());
        assert!(early == Ok(None) || (early.is_err() && early == expect), "{} cut at {end}", input.escape_ascii());
    }
    assert_eq!(Reply::parse(input, &small()), expect, "{}", input.escape_ascii());
    if let Ok(Some((reply, used))) = expect {
        let more = [input, b"250 next\r\n"].concat();
        assert_eq!(Reply::parse(&more, &small()), Ok(Some((reply, used))), "with another reply behind it");
    }
}

#[test]
fn replies_are_read_however_they_are_cut() {
    check(b"250 OK\r\n", Ok((250, &["OK"])));
    check(b"250\r\n", Ok((250, &[""])));
    check(b"250 \r\n", Ok((250, &[""])));
    check(b"250-a\r\n250-b c\r\n250 d\r\n", Ok((250, &["a", "b c", "d"])));
    check(b"354 go\r\n", Ok((354, &["go"])));
    check(b"250-a\r\n250\r\n", Ok((250, &["a", ""])));
}

#[test]
fn what_is_not_a_reply_is_refused() {
    check(b"HTTP/1.1\r\n", Err(Error::Code));
    check(b"\r\n", Err(Error::Code));
    check(b"25\r\n", Err(Error::Code));
    check(b"2500\r\n", Err(Error::Code));
    check(b"150 x\r\n", Err(Error::Code));
    check(b"650 x\r\n", Err(Error::Code));
    check(b"260 x\r\n", Err(Error::Code));
    check(b"250-a\r\n251 b\r\n", Err(Error::Codes));
    check(b"250 a\n", Err(Error::LineEnd));
    check(b"250 a\rb\r\n", Err(Error::LineEnd));
}

#[test]
fn each_bound_holds_at_n_and_not_at_n_and_one() {
    check(b"250 12345678\r\n", Ok((250, &["12345678"])));
    check(b"250 123456789\r\n", Err(Error::LineTooLong(12)));
    assert_eq!(Reply::parse(&b"250 ".repeat(1_000), &small()), Err(Error::LineTooLong(12)));
    check(b"250-a\r\n250-b\r\n250 c\r\n", Ok((250, &["a", "b", "c"])));
    check(b"250-a\r\n250-b\r\n250-c\r\n250 d\r\n", Err(Error::TooManyLines(3)));
    assert_eq!(Reply::parse(&b"250-a\r\n".repeat(1_000), &small()), Err(Error::TooManyLines(3)), "an endless reply");
}

#[test]
fn a_reply_reads_as_one_line() {
    let (reply, _) = Reply::parse(b"550-5.1.1 No\r\n550 such user\r\n", &Limits::default()).unwrap().unwrap();
    assert_eq!(reply.text(), "550 5.1.1 No / such user");
    assert!(!reply.is_positive() && !reply.is_intermediate() && !reply.is_transient());
}

#[test]
fn extensions_are_read_in_any_case_and_the_greeting_is_none() {
    let check = |text: &str, expect: Extensions| {
        let (reply, _) = Reply::parse(text.as_bytes(), &Limits::default()).unwrap().unwrap();
        assert_eq!(Extensions::of(&reply), expect, "{text}");
    };
    check("250 PIPELINING\r\n", Extensions::default());
    check(
        "250-host\r\n250-Pipelining\r\n250-8bitmime\r\n250-SIZE 1000\r\n250 XYZ\r\n",
        Extensions { pipelining: true, eight_bit: true, size: Some(Some(1_000)), ..Extensions::default() },
    );
    check(
        "250-host\r\n250-SIZE\r\n250-chunking\r\n250 SMTPUTF8\r\n",
        Extensions { size: Some(None), utf8: true, chunking: true, ..Extensions::default() },
    );
    check("250-host\r\n250 SIZE 0\r\n", Extensions { size: Some(None), ..Extensions::default() });
    check("250-host\r\n250 SIZE x\r\n", Extensions { size: Some(None), ..Extensions::default() });
}

#[test]
fn a_path_cannot_end_its_command() {
    for good in ["a@b", "\"a@b\"@c", "grüße@example.org", &format!("{}@b", "a".repeat(252))] {
        assert_eq!(Path::parse(good).as_ref().map(Path::as_str), Some(good));
    }
    let too_long = format!("{}@b", "a".repeat(253));
    for bad in ["", "a", "@", "a@", "@b", "a@b>", "<a@b", "a@b\r\nRSET", "a b@c", "a@b\0", &too_long] {
        assert_eq!(Path::parse(bad), None, "{bad}");
    }
}

#[test]
fn commands_carry_what_was_offered() {
    let check = |offered: Extensions, sender: &str, beyond_ascii: bool, expect: &str| {
        let mut out = Vec::new();
        let message = Announcement { size: 77, eight_bit: true, beyond_ascii };
        write_mail(&Path::parse(sender).unwrap(), message, &offered, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    };
    check(Extensions::default(), "a@b", false, "MAIL FROM:<a@b>\r\n");
    let all = Extensions { pipelining: true, eight_bit: true, utf8: true, chunking: true, size: Some(None) };
    check(all, "a@b", false, "MAIL FROM:<a@b> SIZE=77 BODY=8BITMIME\r\n");
    // RFC 6531 §3.4: MAIL says it also where only a recipient needs it.
    check(all, "a@b", true, "MAIL FROM:<a@b> SIZE=77 BODY=8BITMIME SMTPUTF8\r\n");
    check(all, "ü@b", true, "MAIL FROM:<ü@b> SIZE=77 BODY=8BITMIME SMTPUTF8\r\n");
    let mut out = Vec::new();
    write_rcpt(&Path::parse("x@y").unwrap(), &mut out);
    assert_eq!(out, b"RCPT TO:<x@y>\r\n");
    out.clear();
    write_only_chunk(0, &mut out);
    write_only_chunk(1_234, &mut out);
    assert_eq!(out, b"BDAT 0 LAST\r\nBDAT 1234 LAST\r\n");
}

#[test]
fn line_ends_become_cr_lf() {
    let check = |input: &str, expect: &str| {
        assert_eq!(String::from_utf8(canonical_lines(input.as_bytes())).unwrap(), expect, "{input:?}");
    };
    check("", "");
    check("a", "a\r\n");
    check("a\n", "a\r\n");
    check("a\r\nb\nc\rd", "a\r\nb\r\nc\r\nd\r\n");
    check("\r\r\n\n", "\r\n\r\n\r\n");
    check("a\n.\n", "a\r\n.\r\n");
}

#[test]
fn dots_are_stuffed_however_the_message_is_cut() {
    let check = |input: &str, expect: &str| {
        for split in 0..=input.len() {
            let (first, second) = input.as_bytes().split_at(split);
            let (mut stuffing, mut out) = (Stuffing::default(), Vec::new());
            stuffing.write(first, &mut out);
            stuffing.write(second, &mut out);
            stuffing.finish(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expect, "{input:?} split at {split}");
        }
    };
    check("", ".\r\n");
    check("a\r\n", "a\r\n.\r\n");
    check(".\r\n", "..\r\n.\r\n");
    check("a.\r\n..b\r\n.", "a.\r\n...b\r\n..\r\n.\r\n");
    check("a", "a\r\n.\r\n");
}
