//! RESP as the server reads and writes it, and as our own client does.

use sportello_wire::resp::client::{Answers, Error, Limits as AnswerLimits, Value, write_request};
use sportello_wire::resp::{Limits, Next, Parser, Refused, Reply, Version};

use crate::pieces::{Cut, cuts, pieces};

const LIMITS: Limits = Limits { arguments: 20, argument: 200, request: 600, line: 150, in_all: u64::MAX };

type Requests = (Vec<Vec<Vec<u8>>>, Option<Refused>);

fn requests(data: &[u8], cut: Cut) -> Requests {
    let mut parser = Parser::new(LIMITS);
    let (mut held, mut found, mut needed) = (Vec::new(), Vec::new(), 1);
    for piece in pieces(data, cut) {
        held.extend_from_slice(piece);
        if held.len() >= needed {
            match drain(&mut parser, &mut held, &mut found) {
                Ok(more) => needed = more,
                Err(refused) => return (found, Some(refused)),
            }
        }
    }
    // What can be refused already may also be refused when there is enough to ask again, so it is asked once more.
    let refused = drain(&mut parser, &mut held, &mut found).err();
    (found, refused)
}

/// Takes all requests off `held`; how long it must be before there is another.
fn drain(parser: &mut Parser, held: &mut Vec<u8>, found: &mut Vec<Vec<Vec<u8>>>) -> Result<usize, Refused> {
    loop {
        let consumed = match parser.next(held) {
            Next::Incomplete { needed } => {
                assert!(needed > held.len() && needed <= LIMITS.request + LIMITS.line + 64, "{needed}");
                return Ok(needed);
            }
            Next::Nothing { consumed } => consumed,
            Next::Request { arguments, consumed } => {
                assert!((1..=LIMITS.arguments).contains(&arguments.len()));
                let words: Vec<_> = arguments.from(0).map(<[u8]>::to_vec).collect();
                assert!(words.len() == arguments.len() && words.iter().all(|word| word.len() <= LIMITS.argument));
                found.push(words);
                consumed
            }
            Next::Refused(refused) => return Err(refused),
        };
        assert!(consumed > 0 && consumed <= held.len());
        held.drain(..consumed);
    }
}

/// Requests in RESP and as lines.
pub(crate) fn request(data: &[u8]) {
    let whole = requests(data, Cut::Whole);
    for cut in cuts(data) {
        assert_eq!(requests(data, cut), whole);
    }
    for words in &whole.0 {
        let mut again = Vec::new();
        write_request(words, &mut again);
        if again.len() <= LIMITS.request {
            assert_eq!(requests(&again, Cut::Whole), (vec![words.clone()], None));
        }
    }
}

/// An answer made of what the bytes ask for, as our client reads it.
pub(crate) fn reply(data: &[u8]) {
    for version in [Version::Resp2, Version::Resp3] {
        let mut reply = Reply::new();
        reply.set_version(version);
        let mut count = 0;
        let mut rest = data;
        while let Some((&kind, after)) = rest.split_first() {
            let length = after.first().map_or(0, |length| usize::from(*length) % 32).min(after.len());
            let (bytes, after) = after.split_at(length);
            rest = after;
            let text = String::from_utf8_lossy(bytes);
            match kind % 12 {
                0 => reply.simple(&text),
                1 => reply.error("ERR", bytes),
                2 => reply.integer(length as i64 - 16),
                3 => reply.count(u64::MAX - length as u64),
                4 => reply.bulk(bytes),
                5 => reply.verbatim(&text),
                6 => reply.null(),
                7 => reply.boolean(length % 2 == 0),
                8 => reply.double(length as f64 / 7.0),
                9 => {
                    reply.map(1);
                    reply.text(&text);
                    reply.null();
                }
                10 => {
                    reply.array(2);
                    reply.bulk(bytes);
                    reply.ok();
                }
                _ => {
                    reply.begin_bulk(0);
                    reply.end_bulk();
                }
            }
            count += 1;
        }
        let (values, error) = answers(reply.bytes(), Cut::Whole, AnswerLimits::default());
        assert_eq!((values.len(), error), (count, None), "{}", reply.bytes().escape_ascii());
    }
}

fn answers(data: &[u8], cut: Cut, limits: AnswerLimits) -> (Vec<Value>, Option<Error>) {
    let mut answers = Answers::new(limits);
    let (mut held, mut values) = (Vec::new(), Vec::new());
    for piece in pieces(data, cut) {
        held.extend_from_slice(piece);
        loop {
            match answers.take(&held) {
                Err(error) => return (values, Some(error)),
                Ok((used, value)) => {
                    assert!(used <= held.len());
                    held.drain(..used);
                    match value {
                        Some(value) => values.push(value),
                        None => break,
                    }
                }
            }
        }
    }
    (values, None)
}

/// Answers that a server sends us.
pub(crate) fn client(data: &[u8]) {
    let limits = AnswerLimits { line: 100, bulk: 300, bytes: 600, values: 50, depth: 4 };
    let (values, error) = answers(data, Cut::Whole, limits);
    assert!(values.iter().all(|value| depth(value) <= limits.depth + 1));
    for cut in cuts(data) {
        let (cut_values, cut_error) = answers(data, cut, limits);
        assert_eq!((&cut_values, cut_error.is_some()), (&values, error.is_some()));
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Map(pairs) => 1 + pairs.iter().map(|(key, value)| depth(key).max(depth(value))).max().unwrap_or(0),
        _ => 1,
    }
}
