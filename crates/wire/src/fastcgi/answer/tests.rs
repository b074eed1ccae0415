use super::*;

/// A record of version 1 and request 1.
fn record(kind: u8, content: &[u8], padding: u8) -> Vec<u8> {
    let mut out = vec![1, kind, 0, 1, (content.len() >> 8) as u8, content.len() as u8, padding, 0];
    out.extend_from_slice(content);
    out.extend(std::iter::repeat_n(0xee, usize::from(padding)));
    out
}

/// All of an answer: what was written to both streams, how it ended, and how many bytes were left.
type Whole = (String, String, Option<Ended>, usize);

fn read(input: &[u8], pieces: usize) -> Result<Whole, Error> {
    let mut records = Records::new();
    let (mut stdout, mut stderr, mut end, mut left) = (Vec::new(), Vec::new(), None, 0);
    for piece in input.chunks(pieces.max(1)) {
        let mut rest = piece;
        loop {
            let (used, found) = records.step(rest)?;
            match found {
                Some(Found::Stdout(range)) => stdout.extend_from_slice(&rest[range]),
                Some(Found::Stderr(range)) => stderr.extend_from_slice(&rest[range]),
                Some(Found::End(ended)) => assert_eq!(end.replace(ended), None),
                None => {
                    left += rest.len() - used;
                    break;
                }
            }
            rest = &rest[used..];
        }
    }
    assert_eq!(records.is_done(), end.is_some());
    Ok((String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), end, left))
}

/// Reads `input` whole and in pieces of every length.
fn check(what: &str, input: &[u8], expect: Result<Whole, Error>) {
    for pieces in 1..=input.len().max(1) {
        assert_eq!(read(input, pieces), expect, "{what} in pieces of {pieces}");
    }
}

fn complete(application: u32) -> Option<Ended> {
    Some(Ended { application, status: Status::Complete })
}

#[test]
fn an_answer_is_read_however_it_is_cut() {
    let end = record(3, &[0, 0, 0, 7, 0, 9, 9, 9], 0);
    let answer = [
        record(6, b"ab", 6),
        record(7, b"oh", 0),
        record(6, b"c", 255),
        record(6, b"", 3),
        record(7, b"", 0),
        end.clone(),
        b"more".to_vec(),
    ];
    check("both streams", &answer.concat(), Ok(("abc".into(), "oh".into(), complete(7), 4)));
    check("nothing but an end", &end, Ok((String::new(), String::new(), complete(7), 0)));
    check("nothing", b"", Ok((String::new(), String::new(), None, 0)));
    check("an end with padding", &record(3, &[0; 8], 8), Ok((String::new(), String::new(), complete(0), 0)));
    // PHP ends no stream before the request.
    let php = [record(6, b"x", 7), end].concat();
    check("without the ends of streams", &php, Ok(("x".into(), String::new(), complete(7), 0)));
}

#[test]
fn an_end_whose_padding_is_missing_is_no_end_yet() {
    let end = record(3, &[0; 8], 8);
    check("cut", &end[..end.len() - 1], Ok((String::new(), String::new(), None, 0)));
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let changed = |at: usize, byte: u8| {
        let mut bytes = record(6, b"ab", 0);
        bytes[at] = byte;
        bytes
    };
    for (what, input, expect) in [
        ("version 0", changed(0, 0), Error::Version(0)),
        ("version 2", changed(0, 2), Error::Version(2)),
        ("HTTP", b"HTTP/1.1 200 OK\r\n".to_vec(), Error::Version(b'H')),
        ("request 0", changed(3, 0), Error::Request(0)),
        ("request 2", changed(3, 2), Error::Request(2)),
        ("request 257", changed(2, 1), Error::Request(257)),
        ("no type", changed(1, 0), Error::Kind(0)),
        ("begin", record(1, &[0; 8], 0), Error::Kind(1)),
        ("abort", record(2, b"", 0), Error::Kind(2)),
        ("parameters", record(4, b"", 0), Error::Kind(4)),
        ("standard input", record(5, b"", 0), Error::Kind(5)),
        ("data", record(8, b"", 0), Error::Kind(8)),
        ("values", changed(1, 10), Error::Kind(10)),
        ("unknown type", changed(1, 11), Error::Kind(11)),
        ("type 12", changed(1, 12), Error::Kind(12)),
        ("output after its end", [record(6, b"", 0), record(6, b"x", 0)].concat(), Error::AfterEnd),
        ("two ends of output", [record(6, b"", 0), record(6, b"", 0)].concat(), Error::AfterEnd),
        ("errors after their end", [record(7, b"", 0), record(7, b"x", 0)].concat(), Error::AfterEnd),
        ("an end of 7 bytes", record(3, &[0; 7], 0), Error::EndLength(7)),
        ("an end of 9 bytes", record(3, &[0; 9], 0), Error::EndLength(9)),
        ("an end of none", record(3, b"", 0), Error::EndLength(0)),
        ("an end of request 2", [1, 3, 0, 2, 0, 8, 0, 0].to_vec(), Error::Request(2)),
        ("a status that there is not", record(3, &[0, 0, 0, 0, 4, 0, 0, 0], 0), Error::EndStatus(4)),
    ] {
        check(what, &input, Err(expect));
    }
}

#[test]
fn each_status_is_told() {
    for (status, expect) in
        [(0, Status::Complete), (1, Status::Single), (2, Status::Overloaded), (3, Status::UnknownRole)]
    {
        let ended = Ended { application: 0xffff_ffff, status: expect };
        let input = record(3, &[255, 255, 255, 255, status, 0, 0, 0], 0);
        check("a status", &input, Ok((String::new(), String::new(), Some(ended), 0)));
    }
}

#[test]
fn the_longest_record_is_read() {
    let input = record(6, &vec![b'x'; 65_535], 255);
    for pieces in [1, 8, 4096, input.len()] {
        assert_eq!(read(&input, pieces).unwrap().0.len(), 65_535);
    }
}
