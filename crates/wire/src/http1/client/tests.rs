use super::*;

fn small() -> Limits {
    Limits { head: 80, fields: 2 }
}

type Fields<'a> = &'a [(&'a str, &'a str)];

/// Parses `input`, cut after every byte: before its end it is incomplete or the same error, then always the same.
fn check(input: &[u8], expect: Result<(u16, Fields<'_>), Error>) {
    let whole = Head::parse(input, &small());
    match &expect {
        Ok((status, fields)) => {
            let (head, used) = whole.clone().unwrap().unwrap_or_else(|| panic!("{} is whole", input.escape_ascii()));
            assert_eq!((head.status, used), (*status, input.len()));
            for (name, value) in *fields {
                assert_eq!(head.field(name), Some(*value), "{name}");
            }
            let received = Received::parse(input, &small()).unwrap().unwrap();
            let again = received.places().in_bytes(input);
            assert_eq!(format!("{received:?}"), format!("{again:?}"), "by its places");
            let more = [input, b"body\r\n\r\n"].concat();
            assert_eq!(Head::parse(&more, &small()).unwrap().unwrap().1, input.len(), "with a body behind it");
        }
        Err(error) => assert_eq!(whole.as_ref(), Err(error), "{}", input.escape_ascii()),
    }
    for end in 0..input.len() {
        let early = Head::parse(&input[..end], &small());
        assert!(early == Ok(None) || (early.is_err() && early == whole), "{} cut at {end}", input.escape_ascii());
    }
}

#[test]
fn heads_are_read_however_they_are_cut() {
    check(b"HTTP/1.1 200 OK\r\n\r\n", Ok((200, &[])));
    check(b"HTTP/1.1 200\r\n\r\n", Ok((200, &[])));
    check(b"HTTP/1.0 404 Not Found here\r\nA: b\r\n\r\n", Ok((404, &[("a", "b")])));
    check(b"HTTP/1.1 100 \r\nETag:\"x\"\r\nB: \t c d \r\n\r\n", Ok((100, &[("etag", "\"x\""), ("B", "c d")])));
}

#[test]
fn what_is_not_an_answer_is_refused() {
    for line in [
        "220 mail.example ESMTP\r\n\r\n",
        "-ERR unknown\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 99 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1 20x OK\r\n\r\n",
        "HTTP/1.1 2000\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
    ] {
        check(line.as_bytes(), Err(Error::StatusLine));
    }
    for field in ["A\r\n", ": b\r\n", "A : b\r\n", "A: b\n", " folded\r\n", "A: b\rc\r\n", "A: \0\r\n"] {
        check(format!("HTTP/1.1 200 OK\r\n{field}\r\n").as_bytes(), Err(Error::Field));
    }
}

#[test]
fn each_bound_holds_at_n_and_not_at_n_and_one() {
    let head = |padding: usize| format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(padding)).into_bytes();
    assert_eq!(head(56).len(), 80);
    check(&head(56), Ok((200, &[])));
    check(&head(57), Err(Error::LongHead(80)));
    assert_eq!(Head::parse(&head(100_000), &small()), Err(Error::LongHead(80)));
    check(b"HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\n\r\n", Ok((200, &[])));
    check(b"HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n", Err(Error::ManyFields(2)));
}

/// The whole of an answer, head and body, cut at every byte: what the body is when the server closes after it.
fn body(answer: &str, asked: Asked) -> Result<String, Error> {
    let (head, used) = Head::parse(answer.as_bytes(), &Limits::default()).unwrap().unwrap();
    let rest = &answer.as_bytes()[used..];
    let mut outcomes = Vec::new();
    for split in 0..=rest.len() {
        outcomes.push(decode(&head, asked, [&rest[..split], &rest[split..]]));
    }
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "{answer}: {outcomes:?}");
    outcomes.swap_remove(0)
}

fn decode(head: &Head, asked: Asked, pieces: [&[u8]; 2]) -> Result<String, Error> {
    let mut body = head.body(asked)?;
    let (mut held, mut whole) = (Vec::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        while !held.is_empty() {
            let step = body.step(&held)?;
            whole.extend_from_slice(&held[step.data]);
            if step.used == 0 {
                break;
            }
            held.drain(..step.used);
        }
    }
    body.closed()?;
    Ok(String::from_utf8(whole).unwrap())
}

#[test]
fn the_end_of_a_body_is_known_or_the_answer_is_refused() {
    let check = |fields: &str, bytes: &str, expect: Result<&str, Error>| {
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n{bytes}");
        assert_eq!(body(&answer, Asked::ForBody), expect.map(str::to_owned), "{answer:?}");
    };
    check("Content-Length: 3\r\n", "abc", Ok("abc"));
    check("Content-Length: 3\r\n", "abcdef", Ok("abc"));
    check("Content-Length: 3\r\n", "ab", Err(Error::Truncated));
    check("Content-Length: 0\r\n", "", Ok(""));
    check("", "until the end", Ok("until the end"));
    check("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: x\r\n\r\n", Ok("abcde"));
    check("Transfer-Encoding: Chunked\r\n", "0\r\n\r\n", Ok(""));
    check("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n", Err(Error::Truncated));
    check("Transfer-Encoding: chunked\r\n", "3\r\nabcd\r\n0\r\n\r\n", Err(Error::Chunk));
    check("Transfer-Encoding: chunked\r\n", "-1\r\n\r\n", Err(Error::Chunk));
    check("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n", Err(Error::Chunk));
    check("Content-Length: 3\r\nContent-Length: 3\r\n", "abc", Ok("abc"));
    check("Content-Length: 3, 3\r\n", "abc", Ok("abc"));
    for fields in [
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
    ] {
        check(fields, "abc", Err(Error::Framing));
    }
}

#[test]
fn some_answers_have_no_body_whatever_they_announce() {
    assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", Asked::ForHead), Ok(String::new()));
    assert_eq!(body("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", Asked::ForBody), Ok(String::new()));
    assert_eq!(body("HTTP/1.1 204 No Content\r\n\r\n", Asked::ForBody), Ok(String::new()));
    assert_eq!(body("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Asked::ForBody), Err(Error::Framing));
}

#[test]
fn a_request_is_written_or_refused() {
    let check = |request: Request<'_>, expect: Result<&str, Unwritable>| {
        let mut out = Vec::new();
        let written = write_request(&request, &mut out).map(|()| String::from_utf8(out).unwrap());
        assert_eq!(written, expect.map(str::to_owned), "{request:?}");
    };
    let good = Request { method: "GET", target: "/a?b", host: "c:80", fields: &[("Range", "bytes=5-")] };
    check(good, Ok("GET /a?b HTTP/1.1\r\nHost: c:80\r\nRange: bytes=5-\r\n\r\n"));
    check(Request { target: "/a b", ..good }, Err(Unwritable));
    check(Request { target: "", ..good }, Err(Unwritable));
    check(Request { target: "/ü", ..good }, Err(Unwritable));
    check(Request { host: "c\r\nX: y", ..good }, Err(Unwritable));
    check(Request { fields: &[("If-Range", "a\r\nX: y")], ..good }, Err(Unwritable));
    check(Request { fields: &[("If Range", "a")], ..good }, Err(Unwritable));
}
