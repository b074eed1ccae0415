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
