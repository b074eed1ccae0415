use super::*;

fn small() -> Limits {
    Limits { line: 16, bulk: 20, bytes: 40, values: 8, depth: 3 }
}

/// Reads `input` whole, then split at every byte, then byte by byte: always the same answer.
fn check(input: &[u8], expect: Result<Value, Error>) {
    for split in 0..=input.len() {
        let (first, second) = input.split_at(split);
        assert_eq!(read(&[first, second]), expect.clone().map(Some), "{} split at {split}", input.escape_ascii());
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(read(&bytes), expect.map(Some), "{} byte by byte", input.escape_ascii());
}

fn read(pieces: &[&[u8]]) -> Result<Option<Value>, Error> {
    let mut answers = Answers::new(small());
    let mut held = Vec::new();
    for piece in pieces {
        held.extend_from_slice(piece);
        let (used, answer) = answers.take(&held)?;
        held.drain(..used);
        if answer.is_some() {
            return Ok(answer);
        }
    }
    Ok(None)
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

#[test]
fn every_type_is_read_however_it_is_cut() {
    check(b"+OK\r\n", Ok(Value::Simple(b"OK".to_vec())));
    check(b"-ERR no\r\n", Ok(Value::Error(b"ERR no".to_vec())));
    check(b":-42\r\n", Ok(Value::Integer(-42)));
    check(b"$5\r\nab\r\nc\r\n", Ok(bulk("ab\r\nc")));
    check(b"$6\r\nab\r\ncd\r\n", Ok(bulk("ab\r\ncd")));
    check(b"$0\r\n\r\n", Ok(bulk("")));
    check(b"$-1\r\n", Ok(Value::Null));
    check(b"*-1\r\n", Ok(Value::Null));
    check(b"_\r\n", Ok(Value::Null));
    check(b"#t\r\n", Ok(Value::Boolean(true)));
    check(b",3.14\r\n", Ok(Value::Number("3.14".to_owned())));
    check(b"(12345678901234\r\n", Ok(Value::Number("12345678901234".to_owned())));
    check(b"!5\r\nE\r\n x\r\n", Ok(Value::Error(b"E\r\n x".to_vec())));
    check(b"=7\r\ntxt:abc\r\n", Ok(bulk("abc")));
    check(b"*0\r\n", Ok(Value::Array(vec![])));
    check(
        b"*3\r\n:1\r\n*1\r\n$1\r\nx\r\n+y\r\n",
        Ok(Value::Array(vec![Value::Integer(1), Value::Array(vec![bulk("x")]), Value::Simple(b"y".to_vec())])),
    );
    check(
        b"%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n",
        Ok(Value::Map(vec![
            (Value::Simple(b"a".to_vec()), Value::Integer(1)),
            (Value::Simple(b"b".to_vec()), Value::Map(vec![])),
        ])),
    );
    check(b"~1\r\n:1\r\n", Ok(Value::Array(vec![Value::Integer(1)])));
    check(b"|1\r\n+ttl\r\n:9\r\n:1\r\n", Ok(Value::Integer(1)));
    check(b"*1\r\n|0\r\n:1\r\n", Ok(Value::Array(vec![Value::Integer(1)])));
}

#[test]
fn what_is_not_resp_is_refused() {
    check(b"HTTP/1.1 400\r\n", Err(Error::Type(b'H')));
    check(b"+a\rb\r\n", Err(Error::LineEnd));
    check(b"+a\n", Err(Error::LineEnd));
    check(b":\r\n", Err(Error::Number));
    check(b":1x\r\n", Err(Error::Number));
    check(b"$-2\r\n", Err(Error::Number));
    check(b"*-2\r\n", Err(Error::Number));
    check(b"$1\r\nabc", Err(Error::LineEnd));
    check(b"#x\r\n", Err(Error::Number));
    check(b",1 2\r\n", Err(Error::Number));
    check(b"=3\r\nabc\r\n", Err(Error::Number));
}

#[test]
fn each_bound_holds_at_n_and_not_at_n_and_one() {
    check(b"+1234567890123456\r\n", Ok(Value::Simple(b"1234567890123456".to_vec())));
    check(b"+12345678901234567\r\n", Err(Error::LineTooLong(16)));
    check(b"$20\r\n12345678901234567890\r\n", Ok(bulk("12345678901234567890")));
    check(b"$21\r\n", Err(Error::TooLarge));
    check(b"$99999999999\r\n", Err(Error::TooLarge));
    let twenty = b"$20\r\n12345678901234567890\r\n".as_slice();
    check(&[b"*2\r\n".as_slice(), twenty, twenty].concat(), Ok(Value::Array(vec![bulk("12345678901234567890"); 2])));
    check(&[b"*3\r\n".as_slice(), twenty, twenty, b"+x\r\n"].concat(), Err(Error::TooLarge));
    check(&[b"*7\r\n".as_slice(), &b":1\r\n".repeat(7)].concat(), Ok(Value::Array(vec![Value::Integer(1); 7])));
    check(&[b"*8\r\n".as_slice(), &b":1\r\n".repeat(8)].concat(), Err(Error::TooLarge));
    check(b"*9\r\n", Err(Error::TooLarge));
    check(b"%5\r\n", Err(Error::TooLarge));
    let nested = |depth: usize, inner: Value| (0..depth).fold(inner, |value, _| Value::Array(vec![value]));
    check(b"*1\r\n*1\r\n*1\r\n:1\r\n", Ok(nested(3, Value::Integer(1))));
    check(b"*1\r\n*1\r\n*1\r\n*1\r\n", Err(Error::TooDeep));
}

#[test]
fn answers_follow_each_other_with_bounds_of_their_own() {
    let mut answers = Answers::new(small());
    let input = b"$20\r\n12345678901234567890\r\n".repeat(3);
    let mut rest = input.as_slice();
    for _ in 0..3 {
        let (used, answer) = answers.take(rest).unwrap();
        assert_eq!(answer, Some(bulk("12345678901234567890")));
        rest = &rest[used..];
    }
    assert_eq!(answers.take(rest), Ok((0, None)));
}

#[test]
fn a_request_is_an_array_of_bulk_strings() {
    let mut out = Vec::new();
    write_request(&["ECHO", "", "a b\r\n"], &mut out);
    assert_eq!(out, b"*3\r\n$4\r\nECHO\r\n$0\r\n\r\n$5\r\na b\r\n\r\n");
}
