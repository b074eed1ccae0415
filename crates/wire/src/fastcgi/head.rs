//! The head of a CGI answer (RFC 3875 §6): field lines, an empty line, and from there on the body.
//!
//! Lines end in LF or CR LF, as programs write them; a CR elsewhere, a NUL, a folded line or a name that is no token is refused, so that no
//! field of an application can become two in an answer. Bounded by [`Limits`].

use thiserror::Error;

use crate::http1::field;

/// What a head may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes, with the empty line at its end.
    pub head: usize,
    /// Field lines.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: 64 * 1024, fields: 200 }
    }
}

/// Why a head cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The head is longer than [`Limits::head`].
    #[error("the head of the answer is longer than {0} bytes")]
    LongHead(usize),
    /// There are more field lines than [`Limits::fields`].
    #[error("the answer has more than {0} fields")]
    ManyFields(usize),
    /// A line without a colon, a folded one, or one with characters that no field may hold.
    #[error("a field of the answer is malformed")]
    Field,
    /// RFC 3875 §6.3: at least one field, and each of `Status`, `Location`, `Content-Type` once at most.
    #[error("the answer has no field, or one of CGI's own twice")]
    Repeated,
    /// No status of three digits between 200 and 599.
    #[error("the status of the answer is none")]
    Status,
    /// `Content-Length` is no number, or comes with different ones.
    #[error("the answer does not say unmistakably how long it is")]
    Length,
}

/// The head of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// 200 to 599.
    pub status: u16,
    /// How long the body is, where that is said.
    pub length: Option<u64>,
    /// The other fields in their order, without `Status` and `Content-Length`.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Gathers a head from what is written, in any pieces.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    held: Vec<u8>,
}

impl Reader {
    /// Before the first byte.
    pub fn new(limits: Limits) -> Self {
        Self { limits, held: Vec::new() }
    }

    /// Whether nothing came yet.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes what belongs to the head from the front of `input`: how many bytes that is, and the head when it is whole.
    ///
    /// # Errors
    /// When it is none, or passes a bound.
    pub fn take(&mut self, input: &[u8]) -> Result<(usize, Option<Head>), Error> {
        let mut used = 0;
        while let Some(feed) = memchr::memchr(b'\n', input.get(used..).unwrap_or_default()) {
            let end = used.saturating_add(feed).saturating_add(1);
            self.hold(input.get(used..end).unwrap_or_default())?;
            used = end;
            if self.held.ends_with(b"\n\n")
                || self.held.ends_with(b"\n\r\n")
                || matches!(&self.held[..], b"\n" | b"\r\n")
            {
                return parse(&self.held, &self.limits).map(|head| (used, Some(head)));
            }
        }
        self.hold(input.get(used..).unwrap_or_default())?;
        Ok((input.len(), None))
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() > self.limits.head.saturating_sub(self.held.len()) {
            return Err(Error::LongHead(self.limits.head));
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }
}

/// A whole head with the empty line at its end.
fn parse(bytes: &[u8], limits: &Limits) -> Result<Head, Error> {
    let mut head = Head { status: 0, length: None, fields: Vec::new() };
    let (mut status, mut lines) = (None, 0usize);
    for line in bytes.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        lines = lines.saturating_add(1);
        if lines > limits.fields {
            return Err(Error::ManyFields(limits.fields));
        }
        let (name, value) = field_line(line)?;
        if name.eq_ignore_ascii_case(b"status") {
            // RFC 3875 §6.3.3.
            if status.replace(status_code(value)?).is_some() {
                return Err(Error::Repeated);
            }
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = decimal(value).ok_or(Error::Length)?;
            if head.length.replace(length).is_some_and(|before| before != length) {
                return Err(Error::Length);
            }
        } else {
            let is_once = [&b"location"[..], b"content-type"].iter().any(|once| name.eq_ignore_ascii_case(once));
            if is_once && head.field(name).is_some() {
                return Err(Error::Repeated);
            }
            head.fields.push((name.to_vec(), value.to_vec()));
        }
    }
    if lines == 0 {
        return Err(Error::Repeated);
    }
    // RFC 3875 §6.2.3, §6.3.3: without a status it is 302 where there is a location, else 200.
    head.status = status.unwrap_or(if head.field(b"location").is_some() { 302 } else { 200 });
    Ok(head)
}

impl Head {
    /// The first value of a field; names are compared without case.
    pub fn field(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..])
    }
}

fn field_line(line: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let colon = memchr::memchr(b':', line).ok_or(Error::Field)?;
    let (name, value) = line.split_at(colon);
    let value = value.get(1..).unwrap_or_default();
    let well_formed = !name.is_empty() && name.iter().all(|&byte| field::is_token_byte(byte)) && field::is_value(value);
    if !well_formed {
        return Err(Error::Field);
    }
    Ok((name, value.trim_ascii()))
}

/// Three digits and, behind a space, words that nobody reads.
fn status_code(value: &[u8]) -> Result<u16, Error> {
    let (digits, rest) = value.split_first_chunk::<3>().ok_or(Error::Status)?;
    let is_end = matches!(rest, [] | [b' ', ..]);
    match decimal(digits).and_then(|status| u16::try_from(status).ok()) {
        Some(status @ 200..=599) if is_end => Ok(status),
        _ => Err(Error::Status),
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

#[cfg(test)]
mod tests;
