use super::{Foreign, Limits, Next, Parser, Refused};

/// What [`Parser::next`] found, in a form that can be compared.
#[derive(Debug, PartialEq)]
enum Seen {
    Incomplete,
    Nothing(usize),
    Request(Vec<Vec<u8>>, usize),
    Refused(Refused),
}

fn look(parser: &mut Parser, input: &[u8]) -> Seen {
    match parser.next(input) {
        Next::Incomplete { needed } => {
            assert!(needed > input.len(), "asks for more than there is");
            Seen::Incomplete
        }
        Next::Nothing { consumed } => Seen::Nothing(consumed),
        Next::Request { arguments, consumed } => {
            assert_eq!(arguments.name(), arguments.at(0).unwrap());
            Seen::Request(arguments.from(0).map(<[u8]>::to_vec).collect(), consumed)
        }
        Next::Refused(refused) => Seen::Refused(refused),
    }
}

/// Expects the same whether all bytes are there or come one by one.
fn check(input: &[u8], expect: &Seen) {
    let mut parser = Parser::default();
    assert_eq!(&look(&mut parser, input), expect, "whole: {}", input.escape_ascii());
    let mut parser = Parser::default();
    for length in 1..=input.len() {
        match look(&mut parser, &input[..length]) {
            Seen::Incomplete => {}
            seen => return assert_eq!(&seen, expect, "{length} bytes of {}", input.escape_ascii()),
        }
    }
    assert_eq!(expect, &Seen::Incomplete, "one by one: {}", input.escape_ascii());
}

fn request(input: &[u8], words: &[&[u8]]) {
    check(input, &Seen::Request(words.iter().map(|word| word.to_vec()).collect(), input.len()));
}

fn refused(input: &[u8], refused: Refused) {
    check(input, &Seen::Refused(refused));
}

#[test]
fn arrays() {
    request(b"*1\r\n$4\r\nPING\r\n", &[b"PING"]);
    request(b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", &[b"ECHO", b""]);
    request(b"*2\r\n$4\r\nECHO\r\n$11\r\na\r\n$\0\xff*-1\r\n\r\n", &[b"ECHO", b"a\r\n$\0\xff*-1\r\n"]);
    check(b"*0\r\n", &Seen::Nothing(4));
    for cut in [
        "*",
        "*1",
        "*1\r",
        "*1\r\n",
        "*1\r\n$",
        "*1\r\n$4\r\nPIN",
        "*1\r\n$4\r\nPING",
        "*1\r\n$4\r\nPING\r",
        "*12",
        "*1\r\n$12",
    ] {
        check(cut.as_bytes(), &Seen::Incomplete);
    }
}

#[test]
fn only_the_first_of_pipelined_requests_is_taken() {
    let mut parser = Parser::default();
    assert_eq!(look(&mut parser, b"*1\r\n$4\r\nPING\r\n*1\r\n"), Seen::Request(vec![b"PING".to_vec()], 14));
    assert_eq!(look(&mut parser, b"PING\nPING\n"), Seen::Request(vec![b"PING".to_vec()], 5));
}

#[test]
fn lines() {
    request(b"PING\r\n", &[b"PING"]);
    request(b"PING\n", &[b"PING"]);
    request(b"  PING \t x  \r\n", &[b"PING", b"x"]);
    request(b"ECHO \"a b\" 'c \"d' e\\n\r\n", &[b"ECHO", b"a b", b"c \"d", b"e\\n"]);
    request(b"ECHO \"\\n\\r\\t\\x00\\xfF\\\"\\\\\\q\\xg\"\n", &[b"ECHO", b"\n\r\t\x00\xff\"\\qxg"]);
    request(b"ECHO 'it\\'s' '\\n' \"\"\n", &[b"ECHO", b"it's", b"\\n", b""]);
    request(b"ECHO pre\"quoted part\" \xc3\xa9\n", &[b"ECHO", b"prequoted part", b"\xc3\xa9"]);
    check(b"\r\n", &Seen::Nothing(2));
    check(b"\n", &Seen::Nothing(1));
    check(b" \t \n", &Seen::Nothing(4));
    check(b"PING", &Seen::Incomplete);
    check(b"PING\r", &Seen::Incomplete);
}

#[test]
fn refusals_of_arrays() {
    for input in [
        "*-1\r\n",
        "*+1\r\n",
        "*01\r\n",
        "*00\r\n",
        "*1 \r\n",
        "*\r\n",
        "*1\n$",
        "*1\rx",
        "*x",
        "*1025\r\n",
        "*99999999999999999999",
    ] {
        refused(input.as_bytes(), Refused::ArrayLength);
    }
    for input in [
        "*1\r\n$-1\r\n",
        "*1\r\n$04\r\n",
        "*1\r\n$4\nPING",
        "*1\r\n$524289\r\n",
        "*1\r\n$99999999999999999999\r\n",
        "*1\r\n$4x",
    ] {
        refused(input.as_bytes(), Refused::BulkLength);
    }
    refused(b"*1\r\n*1\r\n$4\r\nPING\r\n", Refused::NotBulk(b'*'));
    refused(b"*1\r\n:1\r\n", Refused::NotBulk(b':'));
    refused(b"*2\r\n$4\r\nPING\r\n\r\n", Refused::NotBulk(b'\r'));
    refused(b"*1\r\n$4\r\nPINGx\r\n", Refused::BulkEnd);
    refused(b"*1\r\n$4\r\nPING\n\r", Refused::BulkEnd);
    refused(b"*1\r\n$4\r\nPING\rx", Refused::BulkEnd);
}

#[test]
fn refusals_of_lines() {
    for input in ["ECHO \"a\n", "ECHO 'a\n", "ECHO \"a\"b\n", "ECHO 'a'b\n", "ECHO \"a\\\"\n", "ECHO \"a\\\n", "\"\n"] {
        refused(input.as_bytes(), Refused::Quotes);
    }
    for input in [b"\x00".as_slice(), b"\x01PING\n", b"PI\x00NG\n", b"PING\rPING\n", b"PING\x7f\n", b"PING\r\r\n"] {
        refused(input, Refused::Control);
    }
}

#[test]
fn other_protocols() {
    for input in [
        "GET / HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n",
        "post / x\r\n",
        "POST\r\n",
        "hOST: localhost\r\n",
        "OPTIONS * HTTP/1.0\n",
    ] {
        refused(input.as_bytes(), Refused::Foreign(Foreign::Http));
    }
    for input in ["EHLO me\r\n", "helo me\r\n", "LHLO me\r\n"] {
        refused(input.as_bytes(), Refused::Foreign(Foreign::Smtp));
    }
    refused(b"SSH-2.0-OpenSSH_9.2\r\n", Refused::Foreign(Foreign::Ssh));
    refused(b"\x16\x03\x01\x02\x00\x01", Refused::Foreign(Foreign::Tls));
    request(b"HELLO 3\r\n", &[b"HELLO", b"3"]);
    request(b"GET /\r\n", &[b"GET", b"/"]);
    let told = Refused::Foreign(Foreign::Http).to_string();
    assert!(told.starts_with("this is a command channel"), "{told}");
}

/// `*COUNT` and as many bulk strings of `size` bytes.
fn array(count: usize, size: usize) -> Vec<u8> {
    let mut out = format!("*{count}\r\n").into_bytes();
    for _ in 0..count {
        out.extend_from_slice(format!("${size}\r\n").as_bytes());
        out.extend(std::iter::repeat_n(b'x', size));
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn with(limits: Limits, input: &[u8]) -> Seen {
    look(&mut Parser::new(limits), input)
}

#[test]
fn every_limit_at_its_value_and_one_above() {
    let limits = Limits { arguments: 12, argument: 200, request: 300, line: 20, ..Limits::default() };
    let taken = |input: &[u8]| matches!(with(limits, input), Seen::Request(_, consumed) if consumed == input.len());

    assert!(taken(&array(12, 1)));
    assert_eq!(with(limits, &array(13, 1)), Seen::Refused(Refused::ArrayLength));
    assert!(taken(&array(1, 200)));
    assert_eq!(with(limits, &array(1, 201)), Seen::Refused(Refused::BulkLength));

    // 4 + (6 + 140 + 2) × 2 = 300.
    assert_eq!(array(2, 140).len(), 300);
    assert!(taken(&array(2, 140)));
    assert_eq!(with(limits, &array(2, 141)), Seen::Refused(Refused::RequestLength));

    for end in ["\n", "\r\n"] {
        let line = |length: usize| [b"x".repeat(length), end.as_bytes().to_vec()].concat();
        assert!(taken(&line(20)));
        assert_eq!(with(limits, &line(21)), Seen::Refused(Refused::LineLength));
    }
    assert_eq!(with(limits, &[b'x'; 20]), Seen::Incomplete);
    assert_eq!(with(limits, &[b'x'; 21]), Seen::Refused(Refused::LineLength));
    assert_eq!(with(limits, b"xxxxxxxxxxxxxxxxxxxx\r"), Seen::Incomplete);

    let limits = Limits { line: 64, ..limits };
    assert!(
        matches!(with(limits, &[b"x ".repeat(12), b"\n".to_vec()].concat()), Seen::Request(words, _) if words.len() == 12)
    );
    assert_eq!(with(limits, &[b"x ".repeat(13), b"\n".to_vec()].concat()), Seen::Refused(Refused::Words));
    assert!(
        matches!(with(limits, &[b"'x' ".repeat(12), b"\n".to_vec()].concat()), Seen::Request(words, _) if words.len() == 12)
    );
    assert_eq!(with(limits, &[b"'x' ".repeat(13), b"\n".to_vec()].concat()), Seen::Refused(Refused::Words));
}

#[test]
fn a_claimed_length_costs_no_memory() {
    let mut parser = Parser::default();
    assert_eq!(look(&mut parser, b"*1024\r\n$524288\r\n"), Seen::Incomplete);
    assert_eq!(parser.spans.capacity(), 0);
    assert_eq!(parser.text.capacity(), 0);
    let Next::Incomplete { needed } = parser.next(b"*1\r\n$5000\r\nabc") else { panic!("incomplete") };
    assert_eq!(needed, 4 + 7 + 5000 + 2);
}

#[test]
fn resting_gives_scratch_space_back() {
    let mut parser = Parser::default();
    assert!(matches!(look(&mut parser, &[b"'x' ".repeat(100), b"\n".to_vec()].concat()), Seen::Request(..)));
    parser.rest();
    assert!(parser.spans.capacity() <= super::RESTING_SPANS);
    assert_eq!(parser.text.capacity(), 0);
}

#[test]
fn a_client_that_has_not_said_who_it_is_may_send_little() {
    let limits = Limits::unauthenticated();
    let taken = |input: &[u8]| matches!(with(limits, input), Seen::Request(_, consumed) if consumed == input.len());
    assert!(taken(&array(10, 1)));
    assert_eq!(with(limits, &array(11, 1)), Seen::Refused(Refused::ArrayLength));
    assert!(taken(&array(1, 16 << 10)));
    assert_eq!(with(limits, &array(1, (16 << 10) + 1)), Seen::Refused(Refused::BulkLength));
    assert!(taken(&[vec![b'x'; 16 << 10], b"\n".to_vec()].concat()));
    assert_eq!(with(limits, &vec![b'x'; (16 << 10) + 1]), Seen::Refused(Refused::LineLength));
    // The claim alone is refused: nothing of it is waited for.
    assert_eq!(with(limits, b"*11\r\n"), Seen::Refused(Refused::ArrayLength));
    assert_eq!(with(limits, b"*1\r\n$16385\r\n"), Seen::Refused(Refused::BulkLength));

    // 14 bytes each: so many make 1 MiB less 4 bytes; then 4 more fit, as a line, and one does not.
    let mut parser = Parser::new(limits);
    let ping = b"*1\r\n$4\r\nPING\r\n";
    for _ in 0..(1 << 20) / ping.len() {
        assert!(matches!(look(&mut parser, ping), Seen::Request(..)));
    }
    assert_eq!((1 << 20) % ping.len(), 4);
    assert_eq!(look(&mut parser, b"AB\r\n"), Seen::Request(vec![b"AB".to_vec()], 4));
    assert_eq!(look(&mut parser, b"\n"), Seen::Refused(Refused::InAll));

    // Whoever is admitted begins anew, with the bounds of one who is known.
    parser.admit(Limits::default());
    assert!(matches!(look(&mut parser, &array(11, 20_000)), Seen::Request(..)));
    for _ in 0..=(1 << 20) / ping.len() {
        assert!(matches!(look(&mut parser, ping), Seen::Request(..)));
    }
}

/// One array of one bulk string whose length is written so.
fn bulk_of(length: &str) -> Vec<u8> {
    format!("*1\r\n${length}\r\nPING\r\n").into_bytes()
}

#[test]
fn no_length_is_written_in_two_ways() {
    request(&bulk_of("4"), &[b"PING"]);
    for length in [
        "-4",
        "-1",
        "-0",
        "+4",
        "04",
        "0004",
        " 4",
        "4 ",
        "4.0",
        "0x4",
        "4e0",
        "",
        "\t4",
        "4\0",
        "4,",
        "--4",
        "18446744073709551620",
        "9223372036854775808",
        "4294967300",
        "524289",
    ] {
        refused(&bulk_of(length), Refused::BulkLength);
        if length != "524289" && length != "4294967300" {
            refused(format!("*{}\r\n", length).as_bytes(), Refused::ArrayLength);
        }
    }
}

#[test]
fn only_bulk_strings_make_a_request() {
    // RESP3 and streamed types, nested arrays, nulls: each is refused at its first byte.
    for element in [
        "*1\r\n$1\r\nx\r\n",
        "%1\r\n",
        "~1\r\n",
        ">1\r\n",
        "|1\r\n",
        "_\r\n",
        "#t\r\n",
        ",1\r\n",
        "(1\r\n",
        "!1\r\n",
        "=5\r\ntxt:x\r\n",
        "+x\r\n",
        "-x\r\n",
        ":1\r\n",
        ";1\r\n",
        ".\r\n",
        "\r\n",
        "\0",
    ] {
        let input = format!("*1\r\n{element}");
        refused(input.as_bytes(), Refused::NotBulk(element.as_bytes()[0]));
    }
    // A streamed string or array has no length.
    refused(b"*1\r\n$?\r\n;4\r\nPING\r\n;0\r\n", Refused::BulkLength);
    refused(b"*?\r\n$4\r\nPING\r\n.\r\n", Refused::ArrayLength);
    // At the beginning of a request they are words of a line like any others: no command has such a name.
    for line in ["%1", "~1", ">1", "|1", "_", "#t", ",1", "(1", "!1", "=5", "+x", "-x", ":1", "$4"] {
        request(format!("{line}\r\n").as_bytes(), &[line.as_bytes()]);
    }
}

#[test]
fn what_is_missing_is_waited_for_and_never_guessed() {
    for input in ["*2\r\n$4\r\nECHO\r\n", "*1\r\n$0\r\n", "*1\r\n$0\r\n\r", "*1\r\n$", "*3\r\n"] {
        check(input.as_bytes(), &Seen::Incomplete);
    }
    // A CR without its LF, a LF without its CR, and an end that is too early or too late.
    for input in ["*1\r\n$4\r\nPING\r\r", "*1\r\n$4\r\nPING\n", "*1\r\n$3\r\nPING\r\n", "*1\r\n$0\r\nx"] {
        refused(input.as_bytes(), Refused::BulkEnd);
    }
    for input in ["*1\n", "*1\r\r", "*1\rx", "*\r\n"] {
        refused(input.as_bytes(), Refused::ArrayLength);
    }
    refused(b"PING\rPING\n", Refused::Control);
}

#[test]
fn a_line_of_text_is_read_in_one_way() {
    for (input, words) in [
        (r#"ECHO "\x41\x00\xff" "#, [b"ECHO".as_slice(), b"A\0\xff"]),
        (r#"ECHO "\x4" "#, [b"ECHO", b"x4"]),
        (r#"ECHO "\xZZ" "#, [b"ECHO", b"xZZ"]),
        (r#"ECHO '\x41' "#, [b"ECHO", br"\x41"]),
        (r#"ECHO \x41 "#, [b"ECHO", br"\x41"]),
        (r#"EC"HO" 'it''s'"#, [b"ECHO", b"it"]),
    ] {
        let line = [input.trim_end().as_bytes(), b"\n"].concat();
        match look(&mut Parser::default(), &line) {
            Seen::Request(found, _) => assert_eq!(found, words, "{input}"),
            // Two quoted pieces with nothing between: the first is followed by what is no white space.
            seen => assert_eq!((seen, input.contains("''")), (Seen::Refused(Refused::Quotes), true), "{input}"),
        }
    }
    for line in ["'", "\"", "ECHO \"a'", "ECHO 'a\"", "ECHO \"\\", "ECHO '\\'", "a\"b", "\"a\"\"b\"", "ECHO \"\\x4"] {
        refused(format!("{line}\n").as_bytes(), Refused::Quotes);
    }
    for byte in (0..0x20).chain([0x7f]).filter(|byte| !b"\t\n\r".contains(byte)) {
        refused(&[b'E', byte, b'\n'], Refused::Control);
    }
}

#[test]
fn the_longest_line_and_one_byte_more() {
    let limit = Limits::default().line;
    for end in ["\n", "\r\n"] {
        let line = |length: usize| [vec![b'x'; length], end.as_bytes().to_vec()].concat();
        assert!(matches!(look(&mut Parser::default(), &line(limit)), Seen::Request(..)));
        assert_eq!(look(&mut Parser::default(), &line(limit + 1)), Seen::Refused(Refused::LineLength));
    }
    // Without an end it is refused as soon as it is too long, not when the end comes.
    assert_eq!(look(&mut Parser::default(), &vec![b'x'; limit]), Seen::Incomplete);
    assert_eq!(look(&mut Parser::default(), &vec![b'x'; limit + 1]), Seen::Refused(Refused::LineLength));
}

#[test]
fn the_largest_request_and_one_byte_more() {
    let Limits { argument, request, .. } = Limits::default();
    assert!(matches!(look(&mut Parser::default(), &array(1, argument)), Seen::Request(..)));
    assert_eq!(look(&mut Parser::default(), &array(1, argument + 1)), Seen::Refused(Refused::BulkLength));
    // Two arguments whose framing makes the whole exactly as large as it may be.
    let framing = array(2, argument - 9).len() - 2 * (argument - 9);
    let (first, second) = (argument - 9, request - framing - (argument - 9));
    let whole = |second: usize| {
        let mut input = format!("*2\r\n${first}\r\n").into_bytes();
        input.extend(std::iter::repeat_n(b'x', first));
        input.extend(format!("\r\n${second}\r\n").bytes());
        input.extend(std::iter::repeat_n(b'x', second));
        input.extend(b"\r\n");
        input
    };
    assert_eq!(whole(second).len(), request);
    assert!(matches!(look(&mut Parser::default(), &whole(second)), Seen::Request(_, consumed) if consumed == request));
    assert_eq!(look(&mut Parser::default(), &whole(second + 1)), Seen::Refused(Refused::RequestLength));
}

#[test]
fn a_web_page_reaches_no_command_whatever_method_it_chooses() {
    // What a browser lets a page choose: the method's token, the target, some fields, the body.
    for line in [
        "POST / HTTP/1.1",
        "PING / HTTP/1.1",
        "ECHO /x HTTP/1.1",
        "MAIL /DELETE HTTP/1.1",
        "get / http/1.1 HTTP/1.1",
        "PUT /%0d%0aPING HTTP/1.1",
        "PRI * HTTP/2.0",
        "QUIT http://127.0.0.1:7070/ HTTP/1.1",
        "PING\t/\tHTTP/1.0",
        "Host: 127.0.0.1:7070",
        "POST",
    ] {
        let input = format!("{line}\r\nHost: x\r\n\r\n*1\r\n$4\r\nPING\r\n");
        match look(&mut Parser::default(), input.as_bytes()) {
            Seen::Refused(Refused::Foreign(Foreign::Http)) => {}
            // Not what a browser sends; its next line, Host, ends it.
            Seen::Request(_, consumed) => {
                assert_eq!(line, "get / http/1.1 HTTP/1.1");
                let next = look(&mut Parser::default(), &input.as_bytes()[consumed..]);
                assert_eq!(next, Seen::Refused(Refused::Foreign(Foreign::Http)));
            }
            seen => panic!("{line}: {seen:?}"),
        }
    }
    // A method may hold quotes: the line then has no end.
    for line in ["'PING / HTTP/1.1", "E'CHO / HTTP/1.1"] {
        refused(format!("{line}\r\n").as_bytes(), Refused::Quotes);
    }
}
