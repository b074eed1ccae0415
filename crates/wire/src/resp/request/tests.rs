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
    let limits = Limits { arguments: 12, argument: 200, request: 300, line: 20 };
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
