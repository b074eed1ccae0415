use super::*;

fn small() -> Limits {
    Limits { head: 80, fields: 3 }
}

/// Status, length and fields; then what of the input is body.
type Read = (u16, Option<u64>, Vec<(String, String)>, usize);

fn read(input: &[u8], piece: usize) -> Result<Option<Read>, Error> {
    let mut reader = Reader::new(small());
    let mut used = 0;
    for piece in input.chunks(piece.max(1)) {
        let (count, head) = reader.take(piece)?;
        used += count;
        let Some(head) = head else {
            assert_eq!(count, piece.len());
            continue;
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let fields = head.fields.iter().map(|(name, value)| (text(name), text(value))).collect();
        return Ok(Some((head.status, head.length, fields, input.len() - used)));
    }
    Ok(None)
}

/// The same as a table says it.
type Expected<'a> = (u16, Option<u64>, &'a [(&'a str, &'a str)], usize);

/// Reads `input` in pieces of every length.
fn check(input: &str, expect: Result<Option<Expected<'_>>, Error>) {
    let owned = |fields: &[(&str, &str)]| fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let expect = expect.map(|read| read.map(|(status, length, fields, left)| (status, length, owned(fields), left)));
    for piece in 1..=input.len().max(1) {
        assert_eq!(read(input.as_bytes(), piece), expect, "{input:?} in pieces of {piece}");
    }
}

#[test]
fn heads_are_read_however_they_are_cut() {
    for (input, status, length, fields, left) in [
        ("Content-Type: text/html\r\n\r\n<p>", 200, None, &[("Content-Type", "text/html")][..], 3),
        ("Content-type:text/html\n\n", 200, None, &[("Content-type", "text/html")], 0),
        ("A: b\n\r\n\n", 200, None, &[("A", "b")], 1),
        ("Status: 404 Not Found\r\nA: \t b \r\n\r\n", 404, None, &[("A", "b")], 0),
        ("status: 503\nA:\n\n", 503, None, &[("A", "")], 0),
        ("Location: https://example.org/\n\n", 302, None, &[("Location", "https://example.org/")], 0),
        ("Location: /local?a\n\n", 302, None, &[("Location", "/local?a")], 0),
        ("Location: /a\nStatus: 201 Made\n\n", 201, None, &[("Location", "/a")], 0),
        ("Content-Length: 3\nA: b\n\nabc", 200, Some(3), &[("A", "b")], 3),
        ("Content-Length: 3\ncontent-length: 3\nA: b\n\n", 200, Some(3), &[("A", "b")], 0),
        ("Set-Cookie: a=1\nSet-Cookie: b=2\n\n", 200, None, &[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], 0),
        ("A: caf\u{e9}\n\n", 200, None, &[("A", "caf\u{e9}")], 0),
    ] {
        check(input, Ok(Some((status, length, fields, left))));
    }
}

#[test]
fn a_head_that_has_not_ended_is_none_yet() {
    for input in ["", "A", "A: b", "A: b\r\n", "A: b\r\n\r", "A: b\n\r"] {
        check(input, Ok(None));
    }
}

#[test]
fn what_is_no_head_of_an_answer_is_refused() {
    for (input, expect) in [
        ("\n", Error::Repeated),
        ("\r\n", Error::Repeated),
        ("<html>\n\n", Error::Field),
        ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", Error::Field),
        (": b\n\n", Error::Field),
        ("A : b\n\n", Error::Field),
        ("A: b\n c\n\n", Error::Field),
        ("A: b\rSet-Cookie: c\n\n", Error::Field),
        ("A: b\r\r\n\n", Error::Field),
        ("A: b\0\n\n", Error::Field),
        ("A\0: b\n\n", Error::Field),
        ("\u{e9}: b\n\n", Error::Field),
        ("Status: 200\nStatus: 200\n\n", Error::Repeated),
        ("Location: /a\nlocation: /b\n\n", Error::Repeated),
        ("Content-Type: a\ncontent-type: a\n\n", Error::Repeated),
        ("Status: 20\n\n", Error::Status),
        ("Status: 2000\n\n", Error::Status),
        ("Status: 199\n\n", Error::Status),
        ("Status: 101 Switching\n\n", Error::Status),
        ("Status: 600\n\n", Error::Status),
        ("Status: +20\n\n", Error::Status),
        ("Status:\n\n", Error::Status),
        ("Status: OK\n\n", Error::Status),
        ("Content-Length: -1\n\n", Error::Length),
        ("Content-Length: +1\n\n", Error::Length),
        ("Content-Length:\n\n", Error::Length),
        ("Content-Length: 1, 1\n\n", Error::Length),
        ("Content-Length: 99999999999999999999\n\n", Error::Length),
        ("Content-Length: 1\nContent-Length: 2\n\n", Error::Length),
    ] {
        check(input, Err(expect));
    }
}

#[test]
fn each_bound_holds_at_n_and_not_at_n_and_one() {
    let head = |length: usize| format!("A: {}\n\n", "x".repeat(length - 5));
    check(&head(80), Ok(Some((200, None, &[("A", &"x".repeat(75))], 0))));
    check(&head(81), Err(Error::LongHead(80)));
    check(&"x".repeat(81), Err(Error::LongHead(80)));
    check(&"x".repeat(80), Ok(None));
    check("A: 1\nB: 2\nStatus: 200\n\n", Ok(Some((200, None, &[("A", "1"), ("B", "2")], 0))));
    check("A: 1\nB: 2\nC: 3\nStatus: 200\n\n", Err(Error::ManyFields(3)));
}
