//! The client's half of RESP: requests out, answers in.
//!
//! A request is an array of bulk strings; an answer is a [`Value`] of RESP2 or RESP3 (the Redis serialization protocol
//! specification). Knows no socket and no command. Bounded by [`Limits`]: the bytes of one line, of one string, of one
//! answer; the elements of one answer; its depth.

use memchr::memchr;
use thiserror::Error;

/// What one answer may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest line without its CR LF: a simple string, an error, a number, a length.
    pub line: usize,
    /// The longest bulk string.
    pub bulk: usize,
    /// The most bytes of all strings of one answer together.
    pub bytes: usize,
    /// The most values in one answer, the outermost counted.
    pub values: usize,
    /// How deep arrays may lie in arrays; 1 is an array of plain values.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 64 * 1024, bulk: 64 << 20, bytes: 64 << 20, values: 1 << 20, depth: 16 }
    }
}

/// One answer, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+`: a short text.
    Simple(Vec<u8>),
    /// `-` and `!`: an error; its first word is its kind.
    Error(Vec<u8>),
    /// `:`
    Integer(i64),
    /// `$` and `=` (without the three letters and the colon of a verbatim string).
    Bulk(Vec<u8>),
    /// `$-1`, `*-1` and `_`.
    Null,
    /// `#`
    Boolean(bool),
    /// `,` and `(`: a number as it was written.
    Number(String),
    /// `*`, `~` and `>`.
    Array(Vec<Value>),
    /// `%`: keys with their values. Attributes (`|`) are read and dropped.
    Map(Vec<(Value, Value)>),
}

/// Why an answer cannot be read. The connection is of no use afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The first byte of a value names no type.
    #[error("the server does not speak RESP: a value begins with byte 0x{0:02x}")]
    Type(u8),
    /// A line is longer than [`Limits::line`].
    #[error("a line of the answer is longer than {0} bytes")]
    LineTooLong(usize),
    /// A line has a CR or an LF in its middle, or no CR at its end.
    #[error("a line of the answer does not end in CR LF")]
    LineEnd,
    /// A number is none, or a length is negative.
    #[error("a number of the answer cannot be read")]
    Number,
    /// One of the bounds on size is passed.
    #[error("the answer is larger than this client takes")]
    TooLarge,
    /// Arrays lie deeper than [`Limits::depth`].
    #[error("the answer is nested too deeply")]
    TooDeep,
}

/// Writes one request: its words as an array of bulk strings, to the end of `out`.
pub fn write_request<W: AsRef<[u8]>>(words: &[W], out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    out.push(b'*');
    out.extend_from_slice(digits.format(words.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    for word in words {
        let word = word.as_ref();
        out.push(b'$');
        out.extend_from_slice(digits.format(word.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// Reads answers, one after the other, from bytes that arrive in any pieces.
#[derive(Debug)]
pub struct Answers {
    limits: Limits,
    open: Vec<Open>,
    values: usize,
    bytes: usize,
}

/// An array or a map whose values are still arriving.
#[derive(Debug)]
struct Open {
    kind: Kind,
    missing: usize,
    values: Vec<Value>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Array,
    Map,
    Attribute,
}

/// What the front of the input holds.
enum Token {
    Value(Value),
    Begin(Kind, usize),
}

impl Answers {
    /// Ready for the first answer.
    pub fn new(limits: Limits) -> Self {
        Self { limits, open: Vec::new(), values: 0, bytes: 0 }
    }

    /// Takes what it can from the front of `input`: how many bytes were taken (never to be given again) and the answer,
    /// if it is whole. Without an answer, call again with the rest and more after it.
    pub fn take(&mut self, input: &[u8]) -> Result<(usize, Option<Value>), Error> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let Some((token, length)) = self.token(rest)? else { return Ok((used, None)) };
            used += length;
            if let Some(answer) = self.place(token)? {
                (self.values, self.bytes) = (0, 0);
                return Ok((used, Some(answer)));
            }
        }
    }

    /// Puts a token where it belongs; the answer, when this was its last.
    fn place(&mut self, token: Token) -> Result<Option<Value>, Error> {
        let mut value = match token {
            Token::Begin(kind, missing) if missing > 0 || matches!(kind, Kind::Attribute) => {
                if self.open.len() >= self.limits.depth {
                    return Err(Error::TooDeep);
                }
                self.open.push(Open { kind, missing, values: Vec::new() });
                if missing > 0 {
                    return Ok(None);
                }
                None
            }
            Token::Begin(Kind::Map, _) => Some(Value::Map(Vec::new())),
            Token::Begin(..) => Some(Value::Array(Vec::new())),
            Token::Value(value) => Some(value),
        };
        loop {
            let Some(mut open) = self.open.pop() else { return Ok(value) };
            if let Some(value) = value.take() {
                open.values.push(value);
                open.missing -= 1; // Invariant: only a frame with values missing stays on the stack.
            }
            if open.missing > 0 {
                self.open.push(open);
                return Ok(None);
            }
            value = open.close();
            if value.is_none() {
                // An attribute stands before the value it speaks of and counts for nothing.
                return Ok(None);
            }
        }
    }

    fn token(&mut self, input: &[u8]) -> Result<Option<(Token, usize)>, Error> {
        let Some(&kind) = input.first() else { return Ok(None) };
        if !b"+-:$*_#,(!=%~>|".contains(&kind) {
            return Err(Error::Type(kind));
        }
        let Some((line, end)) = self.line(input)? else { return Ok(None) };
        if matches!(kind, b'$' | b'!' | b'=') && line != b"-1" {
            return self.string(kind, line, input, end);
        }
        let token = match kind {
            b'+' => Token::Value(Value::Simple(self.owned(line)?)),
            b'-' => Token::Value(Value::Error(self.owned(line)?)),
            b':' => Token::Value(Value::Integer(integer(line)?)),
            b'#' => Token::Value(Value::Boolean(match line {
                b"t" => true,
                b"f" => false,
                _ => return Err(Error::Number),
            })),
            b',' | b'(' => Token::Value(Value::Number(number(line)?)),
            b'_' | b'$' | b'!' | b'=' => Token::Value(Value::Null),
            b'*' if line == b"-1" => Token::Value(Value::Null),
            b'%' => Token::Begin(Kind::Map, self.length(line, 2)?),
            b'|' => Token::Begin(Kind::Attribute, self.length(line, 2)?),
            _ => Token::Begin(Kind::Array, self.length(line, 1)?),
        };
        self.values += 1;
        if self.values > self.limits.values {
            return Err(Error::TooLarge);
        }
        Ok(Some((token, end)))
    }

    /// The line at the front without its type and its CR LF, and where the next thing begins.
    fn line<'a>(&self, input: &'a [u8]) -> Result<Option<(&'a [u8], usize)>, Error> {
        let longest = self.limits.line.saturating_add(3);
        let window = input.get(..longest).unwrap_or(input);
        let Some(feed) = memchr(b'\n', window) else {
            return if window.len() == longest { Err(Error::LineTooLong(self.limits.line)) } else { Ok(None) };
        };
        let line = input.get(1..feed).and_then(|line| line.strip_suffix(b"\r")).ok_or(Error::LineEnd)?;
        if memchr(b'\r', line).is_some() {
            return Err(Error::LineEnd);
        }
        Ok(Some((line, feed + 1)))
    }

    /// A bulk string, an error of any bytes or a verbatim string, once it is whole.
    fn string(&mut self, kind: u8, line: &[u8], input: &[u8], start: usize) -> Result<Option<(Token, usize)>, Error> {
        let length = usize::try_from(integer(line)?).map_err(|_| Error::Number)?;
        if length > self.limits.bulk || length > self.limits.bytes.saturating_sub(self.bytes) {
            return Err(Error::TooLarge);
        }
        let Some(end) = start.checked_add(length).filter(|end| input.len() >= end.saturating_add(2)) else {
            return Ok(None);
        };
        let bytes = input.get(start..end).unwrap_or_default();
        if input.get(end..end + 2) != Some(b"\r\n") {
            return Err(Error::LineEnd);
        }
        let value = match kind {
            b'!' => Value::Error(self.owned(bytes)?),
            b'=' => Value::Bulk(self.owned(bytes.get(4..).ok_or(Error::Number)?)?),
            _ => Value::Bulk(self.owned(bytes)?),
        };
        self.values += 1;
        if self.values > self.limits.values {
            return Err(Error::TooLarge);
        }
        Ok(Some((Token::Value(value), end + 2)))
    }

    fn owned(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > self.limits.bytes {
            return Err(Error::TooLarge);
        }
        Ok(bytes.to_vec())
    }

    /// How many values an array or a map announces. Nothing is allocated for them before they come.
    fn length(&self, line: &[u8], each: usize) -> Result<usize, Error> {
        let length = usize::try_from(integer(line)?).map_err(|_| Error::Number)?;
        length.checked_mul(each).filter(|length| *length <= self.limits.values).ok_or(Error::TooLarge)
    }
}

impl Open {
    fn close(self) -> Option<Value> {
        match self.kind {
            Kind::Array => Some(Value::Array(self.values)),
            Kind::Attribute => None,
            Kind::Map => {
                let mut pairs = Vec::with_capacity(self.values.len() / 2);
                let mut values = self.values.into_iter();
                while let (Some(key), Some(value)) = (values.next(), values.next()) {
                    pairs.push((key, value));
                }
                Some(Value::Map(pairs))
            }
        }
    }
}

fn integer(line: &[u8]) -> Result<i64, Error> {
    if line.len() > 20 {
        return Err(Error::Number);
    }
    std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()).ok_or(Error::Number)
}

/// A double or a big number, kept as text: it is only ever shown.
fn number(line: &[u8]) -> Result<String, Error> {
    let well_formed = !line.is_empty() && line.iter().all(|byte| b"+-.0123456789abcdefinABCDEFIN".contains(byte));
    if !well_formed {
        return Err(Error::Number);
    }
    String::from_utf8(line.to_vec()).map_err(|_| Error::Number)
}

#[cfg(test)]
mod tests;
