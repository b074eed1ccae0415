use super::*;

/// Decodes `input` in pieces of `size` bytes; returns the body, and how much of the input belonged to it.
fn decode(framing: Framing, most: u64, input: &[u8], size: usize) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
    let mut decoder = Decoder::new(framing, most)?;
    let (mut body, mut used) = (Vec::new(), 0);
    for piece in input.chunks(size) {
        let mut piece = piece;
        while !decoder.is_done() {
            let step = decoder.decode(piece)?;
            body.extend_from_slice(&piece[step.data]);
            piece = &piece[step.consumed..];
            used += step.consumed;
            if piece.is_empty() {
                break;
            }
        }
    }
    Ok(decoder.is_done().then_some((body, used)))
}

#[track_caller]
fn check(framing: Framing, input: &[u8], expect: Result<&[u8], Refusal>) {
    let text = String::from_utf8_lossy(&input[..input.len().min(80)]).into_owned();
    for size in [1, 2, 3, 7, input.len().max(1)] {
        let mut with_more = input.to_vec();
        if expect.is_ok() {
            with_more.extend_from_slice(b"GET /");
        }
        let got = decode(framing, 1000, &with_more, size);
        match expect {
            Ok(body) => assert_eq!(got, Ok(Some((body.to_vec(), input.len()))), "{text:?} by {size}"),
            Err(refusal) => assert_eq!(got, Err(refusal), "{text:?} by {size}"),
        }
    }
}

#[test]
fn bodies_are_read_whole_and_no_further() {
    check(Framing::Length(5), b"hello", Ok(b"hello"));
    check(Framing::Chunked, b"0\r\n\r\n", Ok(b""));
    check(Framing::Chunked, b"5\r\nhello\r\n0\r\n\r\n", Ok(b"hello"));
    check(Framing::Chunked, b"1\r\nh\r\n00004\r\nello\r\n000\r\n\r\n", Ok(b"hello"));
    check(Framing::Chunked, b"A;x=\"y;\"\r\n0123456789\r\n0;last\r\nX: y\r\nZ: \xe9\r\n\r\n", Ok(b"0123456789"));
    check(Framing::Chunked, b"a\r\n\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n", Ok(b"\r\n0\r\n\r\n0\r\n"));
}

#[test]
fn broken_chunks_are_refused() {
    for input in [
        "\r\n",
        ";x\r\n",
        "g\r\n",
        "-1\r\n",
        "+1\r\nx\r\n",
        "0x1\r\nx\r\n",
        " 1\r\nx\r\n",
        "1 \r\nx\r\n",
        "1 ;x\r\nx\r\n",
        "1\nx\r\n",
        "1\r\nx\n",
        "1\r\nxy\r\n",
        "1\r\nx\r\r\n",
        "1\rx",
        "1;a\nb\r\n",
        "1;a\u{1}\r\n",
        // An extension must be one (RFC 9112 §7.1.1), and no quoted string runs over the line's end.
        "1;\r\nx\r\n",
        "1;;a\r\nx\r\n",
        "1; a\r\nx\r\n",
        "1;a =b\r\nx\r\n",
        "1;a=\r\nx\r\n",
        "1;a=b c\r\nx\r\n",
        "1;a=\"b\r\nx\r\n\"\r\n",
        "1;a=\"b\\\r\nx\r\n",
        "1;a=\"b\"c\r\nx\r\n",
        "1;a=\"\u{7f}\"\r\nx\r\n",
        "1;a=b\rx\r\n",
        "1\u{b};a\r\nx\r\n",
        "1,2\r\nx\r\n",
        "1_0\r\n",
        "1.\r\n",
        "\u{ff11}\r\nx\r\n",
        "1;\0\r\n",
        "00000000000000001\r\nx",
        "0\r\n\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX: y\rz\r\n\r\n",
        "0\r\nX: \0\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\n: y\r\n\r\n",
        "0\r\nX: y\r\n folded\r\n\r\n",
        "0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX: \u{7f}\r\n\r\n",
        "0\r\n\rx",
    ] {
        check(Framing::Chunked, input.as_bytes(), Err(Refusal::BadChunk));
    }
}

#[test]
fn a_trailer_that_could_change_the_request_is_refused() {
    for name in
        FORBIDDEN.map(|name| std::str::from_utf8(name).unwrap()).into_iter().chain(["if-match", "If-Range", "HOST"])
    {
        assert!(name.starts_with("if-") || name.len() <= LONGEST_FORBIDDEN);
        let trailer = format!("0\r\nX: y\r\n{name}: 1\r\n\r\n");
        check(Framing::Chunked, trailer.as_bytes(), Err(Refusal::ForbiddenTrailer));
        // A name that only begins or ends like it is another's.
        check(Framing::Chunked, format!("0\r\nX-{name}: 1\r\n\r\n").as_bytes(), Ok(b""));
        if !name.to_ascii_lowercase().starts_with("if-") {
            check(Framing::Chunked, format!("0\r\n{name}-x: 1\r\n\r\n").as_bytes(), Ok(b""));
        }
    }
    check(Framing::Chunked, b"0\r\nDigest: sha-256=x\r\nServer-Timing: a\r\n\r\n", Ok(b""));
}

#[test]
fn limits_hold_at_n_and_at_one_more() {
    assert!(Decoder::new(Framing::Length(1000), 1000).is_ok());
    assert_eq!(Decoder::new(Framing::Length(1001), 1000).err(), Some(Refusal::LargeBody));
    let chunks = |sizes: &[usize]| {
        let mut input = Vec::new();
        for size in sizes {
            input.extend_from_slice(format!("{size:x}\r\n").as_bytes());
            input.extend(std::iter::repeat_n(b'x', *size));
            input.extend_from_slice(b"\r\n");
        }
        input.extend_from_slice(b"0\r\n\r\n");
        input
    };
    check(Framing::Chunked, &chunks(&[400, 600]), Ok(&[b'x'; 1000]));
    check(Framing::Chunked, &chunks(&[400, 601]), Err(Refusal::LargeBody));
    check(Framing::Chunked, b"ffffffffffffffff\r\n", Err(Refusal::LargeBody));

    // The `;` counts, the line end does not.
    let extension = |length: usize| format!("0;{}\r\n\r\n", "x".repeat(length));
    check(Framing::Chunked, extension(EXTENSIONS_MOST - 1).as_bytes(), Ok(b""));
    check(Framing::Chunked, extension(EXTENSIONS_MOST).as_bytes(), Err(Refusal::LongChunkFraming));
    let trailers = |length: usize| format!("0\r\nX: {}\r\n\r\n", "x".repeat(length));
    check(Framing::Chunked, trailers(TRAILERS_MOST - 3).as_bytes(), Ok(b""));
    check(Framing::Chunked, trailers(TRAILERS_MOST - 2).as_bytes(), Err(Refusal::LongTrailers));
    let fields = |count: usize| format!("0\r\n{}\r\n", "X: y\r\n".repeat(count));
    check(Framing::Chunked, fields(TRAILER_FIELDS_MOST).as_bytes(), Ok(b""));
    check(Framing::Chunked, fields(TRAILER_FIELDS_MOST + 1).as_bytes(), Err(Refusal::LongTrailers));
    // Spent by all chunks together.
    let many = "1;xx\r\ny\r\n".repeat(500);
    assert!(decode(Framing::Chunked, 1000, many.as_bytes(), 64).is_ok());
    let many = "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\ny\r\n".repeat(500);
    assert_eq!(decode(Framing::Chunked, 1000, many.as_bytes(), 64), Err(Refusal::LongChunkFraming));
}

#[test]
fn an_unfinished_body_is_waited_for() {
    for input in ["", "5", "5\r\nhell", "5\r\nhello", "5\r\nhello\r\n0\r\n", "5\r\nhello\r\n0\r\nX: y\r\n"] {
        assert_eq!(decode(Framing::Chunked, 1000, input.as_bytes(), 3), Ok(None), "{input:?}");
    }
    assert_eq!(decode(Framing::Length(5), 1000, b"hell", 3), Ok(None));
}
