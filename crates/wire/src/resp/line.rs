//! A line of text cut into words, as Redis cuts one: by white space, with "double" and 'single' quotes.
//!
//! Between double quotes `\n \r \t \b \a \xHH` stand for a byte and `\` takes any other character as it is; between single
//! quotes only `\'` is special. A closing quote must be followed by white space or the end of the line.

use super::request::{Refused, Span};

/// Cuts `line`. `false`: the spans point into the line itself; `true`: it held quotes, and they point into `text`.
pub(super) fn split(line: &[u8], most: usize, text: &mut Vec<u8>, spans: &mut Vec<Span>) -> Result<bool, Refused> {
    if memchr::memchr2(b'"', b'\'', line).is_none() {
        return plain(line, most, spans).map(|()| false);
    }
    text.clear();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        if spans.len() == most {
            return Err(Refused::Words);
        }
        let start = text.len();
        rest = word(rest, text)?.trim_ascii_start();
        spans.push(Span { start, end: text.len() });
    }
    Ok(true)
}

/// Words without quotes.
fn plain(line: &[u8], most: usize, spans: &mut Vec<Span>) -> Result<(), Refused> {
    let mut start = None;
    for (place, byte) in line.iter().chain(b" ").enumerate() {
        match (blank(*byte), start) {
            (false, None) => start = Some(place),
            (true, Some(first)) => {
                if spans.len() == most {
                    return Err(Refused::Words);
                }
                spans.push(Span { start: first, end: place });
                start = None;
            }
            _ => {}
        }
    }
    Ok(())
}

/// One word into `text`; what follows it.
fn word<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], Refused> {
    loop {
        match rest {
            [] => return Ok(rest),
            [byte, ..] if blank(*byte) => return Ok(rest),
            [b'"', tail @ ..] => return closed(double(tail, text)?),
            [b'\'', tail @ ..] => return closed(single(tail, text)?),
            [byte, tail @ ..] => {
                text.push(*byte);
                rest = tail;
            }
        }
    }
}

/// What follows a closing quote.
fn closed(rest: &[u8]) -> Result<&[u8], Refused> {
    match rest.first() {
        Some(byte) if !blank(*byte) => Err(Refused::Quotes),
        _ => Ok(rest),
    }
}

fn double<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], Refused> {
    loop {
        match rest {
            [] => return Err(Refused::Quotes),
            [b'"', tail @ ..] => return Ok(tail),
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                text.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            [b'\\', byte, tail @ ..] => {
                text.push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = tail;
            }
            [byte, tail @ ..] => {
                text.push(*byte);
                rest = tail;
            }
        }
    }
}

fn single<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], Refused> {
    loop {
        match rest {
            [] => return Err(Refused::Quotes),
            [b'\'', tail @ ..] => return Ok(tail),
            [b'\\', b'\'', tail @ ..] => {
                text.push(b'\'');
                rest = tail;
            }
            [byte, tail @ ..] => {
                text.push(*byte);
                rest = tail;
            }
        }
    }
}

/// White space in a line: control characters other than the tab were refused before.
fn blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The value of one hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => digit.wrapping_sub(b'0') & 0x0f,
    }
}
