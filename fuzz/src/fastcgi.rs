//! FastCGI as our client of an application reads and writes it.

use sportello_wire::fastcgi::answer::{Ended, Error, Found, Records};
use sportello_wire::fastcgi::head::{self, Head, Limits, Reader};
use sportello_wire::fastcgi::request::{After, Params, begin, end_of_stdin, stdin};
use sportello_wire::fastcgi::{RECORD_MOST, pairs};

use crate::pieces::{Cut, cuts, pieces};

/// What both streams held, how it ended, and how much came behind the end.
type Answer = (Vec<u8>, Vec<u8>, Option<Ended>, usize);

fn read(data: &[u8], cut: Cut) -> Result<Answer, Error> {
    let mut records = Records::new();
    let mut answer = Answer::default();
    for mut rest in pieces(data, cut) {
        loop {
            let (used, found) = records.step(rest)?;
            assert!(used <= rest.len());
            match found {
                Some(Found::Stdout(range)) => {
                    assert!(!range.is_empty() && range.end <= used);
                    answer.0.extend_from_slice(&rest[range]);
                }
                Some(Found::Stderr(range)) => {
                    assert!(!range.is_empty() && range.end <= used);
                    answer.1.extend_from_slice(&rest[range]);
                }
                Some(Found::End(ended)) => assert!(answer.2.replace(ended).is_none()),
                None => {
                    assert!(used == rest.len() || records.is_done());
                    answer.3 += rest.len() - used;
                    break;
                }
            }
            rest = &rest[used..];
        }
    }
    assert_eq!(records.is_done(), answer.2.is_some());
    Ok(answer)
}

/// The records of an answer.
pub(crate) fn answer(data: &[u8]) {
    let whole = read(data, Cut::Whole);
    for cut in cuts(data) {
        assert_eq!(read(data, cut), whole, "{cut:?}");
    }
}

const LIMITS: Limits = Limits { head: 256, fields: 8 };

fn read_head(data: &[u8], cut: Cut) -> Result<Option<(Head, usize)>, head::Error> {
    let mut reader = Reader::new(LIMITS);
    let mut before = 0;
    for piece in pieces(data, cut) {
        let (used, head) = reader.take(piece)?;
        assert!(used <= piece.len());
        before += used;
        assert!(before <= LIMITS.head);
        if let Some(head) = head {
            return Ok(Some((head, before)));
        }
        assert_eq!(used, piece.len());
    }
    Ok(None)
}

/// The head of a CGI answer.
pub(crate) fn cgi_head(data: &[u8]) {
    let whole = read_head(data, Cut::Whole);
    for cut in cuts(data) {
        assert_eq!(read_head(data, cut), whole, "{cut:?}");
    }
    if let Ok(Some((head, _))) = whole {
        assert!((200..=599).contains(&head.status) && head.fields.len() <= LIMITS.fields);
        for (name, value) in &head.fields {
            assert!(!name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b':'));
            assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "it would be two fields");
        }
    }
}

/// A request: lines of `name=value`, and the last line is the body. What is written is read back as it was.
pub(crate) fn request(data: &[u8]) {
    let mut lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').collect();
    let body = lines.pop().unwrap_or_default();
    let given: Vec<(&[u8], Vec<u8>)> = lines
        .iter()
        .map(|line| {
            let (name, value) = line.split_at(line.iter().position(|&byte| byte == b'=').unwrap_or(line.len()));
            // Some long ones, so that records end.
            (name, value.repeat(if value.len() > 64 { 700 } else { 1 }))
        })
        .collect();
    let mut out = Vec::new();
    begin(After::Keep, &mut out);
    let mut params = Params::new(&mut out);
    let fit: Vec<_> = given.iter().filter(|(name, value)| params.add(name, value).is_ok()).collect();
    params.end();
    stdin(body, &mut out);
    end_of_stdin(&mut out);
    let mut rest = &out[..];
    let (mut pairs_read, mut body_read, mut ends) = (Vec::new(), Vec::new(), 0);
    while let Some((&[1, kind, 0, 1, high, low, padding, 0], after)) = rest.split_first_chunk::<8>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        assert!(length <= RECORD_MOST);
        let (mut content, after) = after.split_at(length);
        rest = &after[usize::from(padding)..];
        ends += usize::from(length == 0);
        match kind {
            1 => assert_eq!(content, [0, 1, 1, 0, 0, 0, 0, 0]),
            4 => {
                while !content.is_empty() {
                    let (pair, more) = pairs::read(content).unwrap();
                    pairs_read.push((pair.name, pair.value));
                    content = more;
                }
            }
            5 => body_read.extend_from_slice(content),
            other => panic!("a record of type {other}"),
        }
    }
    assert!(rest.is_empty() && ends == 2);
    assert_eq!(body_read, body);
    assert!(pairs_read.iter().eq(fit.iter().map(|(name, value)| (*name, &value[..])).collect::<Vec<_>>().iter()));
}
