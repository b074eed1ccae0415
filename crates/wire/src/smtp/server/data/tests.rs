use super::*;

/// What came of a text: what was given out, the fault, and what stood behind its end (`None` where it has not ended).
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    text: Vec<u8>,
    fault: Option<Fault>,
    behind: Option<Vec<u8>>,
}

fn read(pieces: &[&[u8]], limits: &Limits) -> Outcome {
    let mut reader = Text::new(Framing::Dots);
    let mut outcome = Outcome { text: Vec::new(), fault: None, behind: None };
    for (number, piece) in pieces.iter().enumerate() {
        let mut piece = *piece;
        loop {
            let (used, step) = reader.step(piece, limits);
            piece = &piece[used..];
            match step {
                Step::More => {
                    assert!(piece.is_empty(), "a reader that wants more has used all");
                    break;
                }
                Step::Slice(slice) => {
                    assert!(!slice.is_empty() && outcome.fault.is_none());
                    outcome.text.extend_from_slice(slice);
                }
                Step::Fault(fault) => {
                    assert_eq!(outcome.fault, None, "one fault is told");
                    outcome.fault = Some(fault);
                    outcome.text.clear();
                }
                Step::End => {
                    let mut behind = piece.to_vec();
                    pieces[number + 1..].iter().for_each(|piece| behind.extend_from_slice(piece));
                    outcome.behind = Some(behind);
                    return outcome;
                }
            }
        }
    }
    outcome
}

/// Reads `input` whole, cut in two at every place, and byte by byte; all must come to the same.
fn outcome(input: &[u8], limits: &Limits) -> Outcome {
    let whole = read(&[input], limits);
    for at in 0..=input.len() {
        let (left, right) = input.split_at(at);
        assert_eq!(read(&[left, right], limits), whole, "cut at {at}: {:?}", input.escape_ascii().to_string());
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(read(&bytes, limits), whole, "byte by byte: {:?}", input.escape_ascii().to_string());
    whole
}

fn check_good(input: &[u8], text: &[u8], behind: Option<&[u8]>) {
    let expect = Outcome { text: text.to_vec(), fault: None, behind: behind.map(<[u8]>::to_vec) };
    assert_eq!(outcome(input, &Limits::default()), expect, "{:?}", input.escape_ascii().to_string());
}

fn check_fault(input: &[u8], fault: Fault, behind: Option<&[u8]>) {
    let expect = Outcome { text: Vec::new(), fault: Some(fault), behind: behind.map(<[u8]>::to_vec) };
    assert_eq!(outcome(input, &Limits::default()), expect, "{:?}", input.escape_ascii().to_string());
}

#[test]
fn dots_are_undoubled_and_the_end_is_found() {
    check_good(b".\r\n", b"", Some(b""));
    check_good(b"a\r\n.\r\n", b"a\r\n", Some(b""));
    check_good(b"a\r\n.\r\nQUIT\r\n", b"a\r\n", Some(b"QUIT\r\n"));
    check_good(b"\r\n.\r\n", b"\r\n", Some(b""));
    check_good(b"..\r\n.\r\n", b".\r\n", Some(b""));
    check_good(b"a\r\n..\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n", Some(b""));
    check_good(b"a\r\n...\r\n.\r\n", b"a\r\n..\r\n", Some(b""));
    check_good(b"..a\r\n..b\r\n..c\r\n.\r\n", b".a\r\n.b\r\n.c\r\n", Some(b""));
    // A dot that was not doubled is taken away all the same (RFC 5321 §4.5.2).
    check_good(b".a\r\n.\r\n", b"a\r\n", Some(b""));
    check_good(b"a.\r\n.\r\n", b"a.\r\n", Some(b""));
    check_good(b"a\r\n. \r\n.\r\n", b"a\r\n \r\n", Some(b""));
    check_good(b"a\r\n.\r\n.\r\n", b"a\r\n", Some(b".\r\n"));
    check_good(b"\xff\x80\x01\x7f\t\r\n.\r\n", b"\xff\x80\x01\x7f\t\r\n", Some(b""));
    check_good(b"no end", b"no end", None);
    check_good(b"", b"", None);
}

/// What others have taken for an end, each followed by a command that must not be seen before the true end.
#[test]
fn nothing_else_is_an_end() {
    let cases: [(&[u8], Fault); 15] = [
        (b"\n.\n", Fault::BareLf),
        (b"\n.\r\n", Fault::BareLf),
        (b"\r\n.\n", Fault::BareLf),
        (b"\r.\r", Fault::BareCr),
        (b"\r.\r\n", Fault::BareCr),
        (b"\r\n.\r", Fault::BareCr),
        (b"\r\n.\r\r\n", Fault::BareCr),
        (b"\r\r\n.\r\r\n", Fault::BareCr),
        (b"\n\n.\n\n", Fault::BareLf),
        (b"\n\r.\n\r", Fault::BareLf),
        (b"\r\n\0.\r\n", Fault::Nul),
        (b"\r\n.\0\r\n", Fault::Nul),
        (b"\r\0\n.\r\n", Fault::BareCr),
        (b"\r\n\r.\r\n", Fault::BareCr),
        (b"\r\n.\n\r\n", Fault::BareLf),
    ];
    for (ending, fault) in cases {
        let smuggled = [b"a", ending, b"MAIL FROM:<b@c>\r\n"].concat();
        check_fault(&smuggled, fault, None);
        let whole = [&smuggled[..], b"DATA\r\n.\r\nRSET\r\n"].concat();
        check_fault(&whole, fault, Some(b"RSET\r\n"));
    }
    // Right at the start, where the line end of the DATA command has already been.
    check_fault(b".\nMAIL\r\n.\r\nX", Fault::BareLf, Some(b"X"));
    check_fault(b".\rMAIL\r\n.\r\nX", Fault::BareCr, Some(b"X"));
    check_fault(b".\r\r\n.\r\nX", Fault::BareCr, Some(b"X"));
    // The exact five bytes end it, whatever stands before them.
    check_fault(b"a\r\r\n.\r\nX", Fault::BareCr, Some(b"X"));
    check_fault(b"a\n\r\n.\r\nX", Fault::BareLf, Some(b"X"));
}

#[test]
fn a_line_at_the_limit_and_one_octet_beyond() {
    let limits = Limits { text_line: 10, ..Limits::default() };
    for (line, fault) in [
        (&b"12345678"[..], None),
        (b"123456789", Some(Fault::LineTooLong)),
        (b".12345678", None), // the dot that is taken away does not count (RFC 5321 §4.5.3.1.6)
        (b".123456789", Some(Fault::LineTooLong)),
    ] {
        let input = [b"x\r\n", line, b"\r\ny\r\n.\r\n"].concat();
        let read = outcome(&input, &limits);
        assert_eq!((read.fault, read.behind), (fault, Some(Vec::new())), "{}", line.escape_ascii());
    }
    assert_eq!(outcome(b"123456789", &limits).fault, Some(Fault::LineTooLong), "told before the line ends");
}

#[test]
fn a_message_at_the_limit_and_one_octet_beyond() {
    let limits = Limits { message: 10, ..Limits::default() };
    for (input, fault) in [
        (&b"12345678\r\n.\r\n"[..], None),
        (b"123456789\r\n.\r\n", Some(Fault::TooLarge)),
        (b"..2345678\r\n.\r\n", None),
        (b"1234\r\n56\r\n.\r\n", None),
        (b"1234\r\n567\r\n.\r\n", Some(Fault::TooLarge)),
        (b"1234\r\n\r\n\r\n.\r\n", None),
        (b"1234\r\n\r\n\r\n\r\n.\r\n", Some(Fault::TooLarge)),
    ] {
        let read = outcome(input, &limits);
        assert_eq!((read.fault, read.behind), (fault, Some(Vec::new())), "{}", input.escape_ascii());
    }
}

#[test]
fn which_limit_came_first_does_not_depend_on_the_cuts() {
    for (message, text_line) in [(10, 8), (8, 10), (8, 12), (8, 11), (5, 5)] {
        let limits = Limits { message, text_line, ..Limits::default() };
        outcome(b"123456789012345678901234567890\r\n.\r\n", &limits);
        outcome(b"1\r\n23456789012345678901234567890\n\r\n.\r\n", &limits);
    }
}

#[test]
fn received_fields_at_the_limit_and_one_beyond() {
    let limits = Limits { received: 3, ..Limits::default() };
    for (message, fault) in [
        ("received: 1\r\nReceived: 2\r\nRECEIVED: 3\r\n\r\nx\r\n", None),
        ("received: 1\r\nReceived: 2\r\nRECEIVED: 3\r\nReceived:4\r\n\r\nx\r\n", Some(Fault::Loop)),
        (
            "Received: 1\r\nReceived: 2\r\nReceived: 3\r\n Received: folded\r\nReceived-SPF: x\r\nReceive: x\r\n\r\n",
            None,
        ),
        ("Received: 1\r\nReceived: 2\r\nReceived: 3\r\n\r\nReceived: in the text\r\n", None),
        ("..Received: 1\r\nReceived: 2\r\nReceived: 3\r\nA: b\r\nReceived: 4\r\n", None),
        (".Received: 1\r\nReceived: 2\r\nReceived: 3\r\nA: b\r\nReceived: 4\r\n", Some(Fault::Loop)),
    ] {
        let read = outcome(format!("{message}.\r\n").as_bytes(), &limits);
        assert_eq!((read.fault, read.behind), (fault, Some(Vec::new())), "{message}");
    }
}

/// What came of chunks that are cut in any way: text, fault, and whether it may end there.
fn chunked(input: &[u8], framing: Framing, limits: &Limits) -> (Vec<u8>, Option<Fault>) {
    let read = |pieces: &[&[u8]]| {
        let mut reader = Text::new(framing);
        let (mut text, mut fault) = (Vec::new(), None);
        for piece in pieces {
            let mut piece = *piece;
            while !piece.is_empty() {
                let (used, step) = reader.step(piece, limits);
                assert!(used > 0 || step != Step::More, "it goes on");
                piece = &piece[used..];
                match step {
                    Step::More => {}
                    Step::Slice(slice) => text.extend_from_slice(slice),
                    Step::Fault(found) => return (Vec::new(), Some(found)),
                    Step::End => panic!("chunks have no end in them"),
                }
            }
        }
        fault = fault.or(reader.end());
        if fault.is_some() {
            text.clear();
        }
        (text, fault)
    };
    let whole = read(&[input]);
    for at in 0..=input.len() {
        let (left, right) = input.split_at(at);
        assert_eq!(read(&[left, right]), whole, "cut at {at}: {}", input.escape_ascii());
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(read(&bytes), whole, "byte by byte: {}", input.escape_ascii());
    whole
}

#[test]
fn chunks_have_the_same_lines_and_no_dots() {
    for (input, fault) in [
        (&b""[..], None),
        (b".\r\n", None),
        (b"a\r\n.\r\n..\r\nb", None),
        (b"a", None),
        (b"a\n", Some(Fault::BareLf)),
        (b"a\r", Some(Fault::BareCr)),
        (b"a\rb", Some(Fault::BareCr)),
        (b"a\r\r\n", Some(Fault::BareCr)),
        (b"a\n.\n", Some(Fault::BareLf)),
        (b"\0", Some(Fault::Nul)),
        (b"A: b\r\n\r\n\0", Some(Fault::Nul)),
    ] {
        let text = if fault.is_none() { input.to_vec() } else { Vec::new() };
        assert_eq!(chunked(input, Framing::Chunks, &Limits::default()), (text, fault), "{}", input.escape_ascii());
    }
}

#[test]
fn binary_chunks_are_free_behind_the_header_only() {
    for (input, fault) in [
        (&b"A: b\r\n\r\n\0\r\n\r\n.\r\n\r"[..], None),
        (b"\r\n\n\r\0", None),
        (b"A: b\r\n\r\n", None),
        (b"A: b\n\r\n", Some(Fault::BareLf)),
        (b"A: \0\r\n\r\n", Some(Fault::Nul)),
        (b"A: b\r", Some(Fault::BareCr)),
        (b"A: b\r\r\n\r\n", Some(Fault::BareCr)),
    ] {
        let text = if fault.is_none() { input.to_vec() } else { Vec::new() };
        assert_eq!(
            chunked(input, Framing::BinaryChunks, &Limits::default()),
            (text, fault),
            "{}",
            input.escape_ascii()
        );
    }
}

#[test]
fn chunks_at_the_limits_and_one_octet_beyond() {
    let limits = Limits { message: 10, text_line: 8, received: 1, ..Limits::default() };
    for (input, framing, fault) in [
        (&b"123456\r\n12"[..], Framing::Chunks, None),
        (b"123456\r\n123", Framing::Chunks, Some(Fault::TooLarge)),
        (b"123456\r\n1\r\n", Framing::Chunks, Some(Fault::TooLarge)),
        (b"1234567", Framing::Chunks, Some(Fault::LineTooLong)),
        (b"\r\n1234567\n", Framing::BinaryChunks, None),
        (b"\r\n12345678\n", Framing::BinaryChunks, Some(Fault::TooLarge)),
        (b"1234567", Framing::BinaryChunks, Some(Fault::LineTooLong)),
    ] {
        assert_eq!(chunked(input, framing, &limits).1, fault, "{}", input.escape_ascii());
    }
    let limits = Limits { received: 1, ..Limits::default() };
    for (input, fault) in
        [(&b"Received: 1\r\n\r\nReceived: 2\r\n"[..], None), (b"Received: 1\r\nReceived: 2\r\n", Some(Fault::Loop))]
    {
        for framing in [Framing::Chunks, Framing::BinaryChunks] {
            assert_eq!(chunked(input, framing, &limits).1, fault, "{}", input.escape_ascii());
        }
    }
}

/// The text as RFC 5321 §4.5.2 defines it, found in the plainest way: bytes before the first CRLF.CRLF, cut into lines.
fn plainly(input: &[u8]) -> Outcome {
    let all = [b"\r\n", input].concat();
    let end = all.windows(5).position(|five| five == b"\r\n.\r\n");
    let behind = end.map(|end| all[end + 5..].to_vec());
    let body = &all[2..end.map_or(all.len(), |end| (end + 2).max(2))];
    let mut text = Vec::new();
    let mut fault = None;
    let mut at_start = true;
    for (at, &byte) in body.iter().enumerate() {
        let previous = at.checked_sub(1).map(|before| body[before]);
        let next = body.get(at + 1);
        let found = match byte {
            b'\n' if previous != Some(b'\r') => Some(Fault::BareLf),
            b'\r' if next.is_some_and(|&next| next != b'\n') => Some(Fault::BareCr),
            0 => Some(Fault::Nul),
            _ => None,
        };
        fault = fault.or(found);
        if !(at_start && byte == b'.') {
            text.push(byte);
        }
        at_start = byte == b'\n' && previous == Some(b'\r');
    }
    if fault.is_some() {
        text.clear();
    }
    Outcome { text, fault, behind }
}

#[test]
fn random_texts_in_random_pieces_are_what_the_plain_definition_says() {
    let mut seed = 0x5eed_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let tokens: [&[u8]; 10] = [b"\r\n", b"\r\n", b"\r\n.", b".", b"..", b"a", b"some text", b"\r", b"\n", b"\0"];
    let mut ended = 0;
    for round in 0..30_000 {
        // Two thirds have good line ends only, else hardly any would be without fault.
        let kinds = if round % 3 == 0 { tokens.len() } else { 7 };
        let input: Vec<u8> = (0..random(14)).flat_map(|_| tokens[random(kinds)].to_vec()).collect();
        let mut pieces = Vec::new();
        let mut rest = &input[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + random(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let mut expect = plainly(&input);
        let read = read(&pieces, &Limits::default());
        if expect.behind.is_none() {
            // Without the end, a dot or CR at the very end of the input may still be waiting.
            expect.text = read.text.clone();
            if read.fault.is_none() {
                assert!(plainly(&input).text.starts_with(&read.text) || expect.fault.is_some());
                expect.fault = None;
            }
        }
        ended += usize::from(read.behind.is_some());
        assert_eq!(read, expect, "{}", input.escape_ascii());
    }
    assert!(ended > 5_000, "the test must see ends: {ended}");
}
