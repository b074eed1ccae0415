//! Answers: values in, RESP2 or RESP3 out.
//!
//! One call per value, whichever version the client asked for: what RESP2 lacks is written as Redis writes it there (a map
//! as a flat array, a boolean as 0 or 1, a double and a verbatim string as a bulk string).

/// Answers gathered into one buffer, to be written at once.
#[derive(Debug, Default)]
pub struct Reply {
    out: Vec<u8>,
    version: Version,
}

/// The version of the protocol, chosen by the client with HELLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// What a connection begins with.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

impl Reply {
    /// The most bytes an error's or a simple string's line may have; the rest is cut.
    pub const LINE: usize = 1024;

    /// Nothing yet, in RESP2.
    pub fn new() -> Self {
        Self::default()
    }

    /// The version of what is written from now on.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Changes the version from here on.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// All that was written and not cleared.
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// How many bytes that are.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Forgets what was sent; the room stays for the next answers, up to `keep` bytes.
    pub fn clear(&mut self, keep: usize) {
        self.out.clear();
        self.out.shrink_to(keep);
    }

    /// `+OK`, the commonest.
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// `+PONG`, the answer to a PING without argument.
    pub fn pong(&mut self) {
        self.out.extend_from_slice(b"+PONG\r\n");
    }

    /// A simple string: one line, its line ends made spaces.
    pub fn simple(&mut self, text: &str) {
        self.out.push(b'+');
        self.line(text.as_bytes());
    }

    /// An error: a word in capitals, then a sentence; one line, its line ends made spaces.
    pub fn error(&mut self, code: &str, text: impl AsRef<[u8]>) {
        self.out.push(b'-');
        self.out.extend_from_slice(code.as_bytes());
        self.out.push(b' ');
        self.line(text.as_ref());
    }

    /// An integer.
    pub fn integer(&mut self, value: i64) {
        self.headed(b':', value);
    }

    /// An unsigned count; one beyond an integer's range is told as the greatest integer.
    pub fn count(&mut self, value: u64) {
        self.integer(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// A bulk string: any bytes.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 16);
        self.size(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// The head of a bulk string whose `length` bytes are sent past this buffer; [`Reply::end_bulk`] follows them.
    pub fn begin_bulk(&mut self, length: u64) {
        self.headed(b'$', length);
    }

    /// What follows the bytes of a bulk string.
    pub fn end_bulk(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }

    /// A bulk string of text.
    pub fn text(&mut self, text: &str) {
        self.bulk(text.as_bytes());
    }

    /// Text for people: RESP3 marks it (`txt`), so that redis-cli prints it as it is.
    pub fn verbatim(&mut self, text: &str) {
        match self.version {
            Version::Resp2 => self.text(text),
            Version::Resp3 => {
                self.size(b'=', text.len().saturating_add(4));
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text.as_bytes());
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Nothing.
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.version {
            Version::Resp2 => b"$-1\r\n".as_slice(),
            Version::Resp3 => b"_\r\n".as_slice(),
        });
    }

    /// Lines of text for people, as an array of simple strings: readable in `nc` and in redis-cli alike.
    pub fn lines<T: AsRef<str>>(&mut self, lines: &[T]) {
        self.array(lines.len());
        lines.iter().for_each(|line| self.simple(line.as_ref()));
    }

    /// The head of an array: `length` values follow.
    pub fn array(&mut self, length: usize) {
        self.size(b'*', length);
    }

    /// The head of a map: `pairs` keys, each with its value, follow.
    pub fn map(&mut self, pairs: usize) {
        match self.version {
            Version::Resp2 => self.size(b'*', pairs.saturating_mul(2)),
            Version::Resp3 => self.size(b'%', pairs),
        }
    }

    /// The head of a set: `length` values follow, in no order that counts.
    pub fn set(&mut self, length: usize) {
        match self.version {
            Version::Resp2 => self.size(b'*', length),
            Version::Resp3 => self.size(b'~', length),
        }
    }

    /// Nothing where an array was asked for: RESP2 has two ways to say nothing.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(match self.version {
            Version::Resp2 => b"*-1\r\n".as_slice(),
            Version::Resp3 => b"_\r\n".as_slice(),
        });
    }

    /// A number with a fraction.
    pub fn double(&mut self, value: f64) {
        let text = match value {
            _ if value.is_nan() => "nan".to_owned(),
            _ if value == f64::INFINITY => "inf".to_owned(),
            _ if value == f64::NEG_INFINITY => "-inf".to_owned(),
            _ => value.to_string(),
        };
        match self.version {
            Version::Resp2 => self.text(&text),
            Version::Resp3 => {
                self.out.push(b',');
                self.line(text.as_bytes());
            }
        }
    }

    /// A truth value.
    pub fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(match (self.version, value) {
            (Version::Resp2, true) => b":1\r\n".as_slice(),
            (Version::Resp2, false) => b":0\r\n".as_slice(),
            (Version::Resp3, true) => b"#t\r\n".as_slice(),
            (Version::Resp3, false) => b"#f\r\n".as_slice(),
        });
    }

    /// The head of something that has a size.
    fn size(&mut self, kind: u8, size: usize) {
        self.headed(kind, size);
    }

    fn headed(&mut self, kind: u8, value: impl itoa::Integer) {
        self.out.push(kind);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// The rest of a line. A CR or LF in it would begin another reply, so each becomes a space.
    fn line(&mut self, text: &[u8]) {
        let text = text.get(..Self::LINE).unwrap_or(text);
        self.out.extend(text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
        self.out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
