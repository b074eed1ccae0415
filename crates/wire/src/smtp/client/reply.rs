//! Replies, read line by line, however they come.
//!
//! Bounded by [`Limits`], however many lines a server sends.

use memchr::memchr;
use thiserror::Error;

use crate::mail::Status;

/// What one reply may be. RFC 5321 §4.5.3.1.5 gives a line 512 bytes; servers are seen to pass that.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest line without its CR LF.
    pub line: usize,
    /// The most lines in one reply.
    pub lines: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 2_048, lines: 128 }
    }
}

/// One reply, whole (RFC 5321 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// The text of each line, without code and CR LF. At least one.
    pub lines: Vec<Vec<u8>>,
}

/// Why a reply cannot be read. The connection is of no use afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// A line does not begin with a code, or goes on with neither space, hyphen nor its end.
    #[error("the server does not speak SMTP: a reply has no code")]
    Code,
    /// The lines of one reply have different codes (RFC 5321 §4.2.1).
    #[error("the lines of one reply have different codes")]
    Codes,
    /// A line has a CR or an LF in its middle, or no CR at its end.
    #[error("a line of the reply does not end in CR LF")]
    LineEnd,
    /// A line is longer than [`Limits::line`].
    #[error("a line of the reply is longer than {0} bytes")]
    LineTooLong(usize),
    /// A reply has more lines than [`Limits::lines`].
    #[error("a reply has more than {0} lines")]
    TooManyLines(usize),
}

impl Reply {
    /// Reads one reply from the front of `input`: the reply and how many bytes it took, or `None` while it is not whole.
    pub fn parse(input: &[u8], limits: &Limits) -> Result<Option<(Self, usize)>, Error> {
        let (used, reply) = Reading::default().take(input, limits)?;
        Ok(reply.map(|reply| (reply, used)))
    }

    /// 2yz: done.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3yz: go on.
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4yz: the same may work later.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5yz: the same will not work again.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// The server closes the connection (RFC 5321 §3.8), which it may say at any time.
    pub fn is_goodbye(&self) -> bool {
        self.code == 421
    }

    /// Its enhanced status code, if it has one of its class.
    pub fn status(&self) -> Option<Status> {
        Status::of_reply(self.code, self.lines.first()?)
    }

    /// Code and text on one line, for people: lines are joined by ` / `, what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        format!("{} {}", self.code, lines.join(" / ")).trim_end().to_owned()
    }
}

/// A reply that comes in pieces: its lines so far. So a server that sends a byte at a time has no line read twice.
#[derive(Debug, Default)]
pub(super) struct Reading(Option<Reply>);

impl Reading {
    /// Takes whole lines off the front of `input`, at most until a reply is whole: the bytes taken, and that reply.
    pub(super) fn take(&mut self, input: &[u8], limits: &Limits) -> Result<(usize, Option<Reply>), Error> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let Some((line, length)) = line(rest, limits)? else { return Ok((used, None)) };
            used += length;
            let (code, last, text) = split(line)?;
            let reply = self.0.get_or_insert_with(|| Reply { code, lines: Vec::new() });
            if reply.code != code {
                return Err(Error::Codes);
            }
            if reply.lines.len() >= limits.lines {
                return Err(Error::TooManyLines(limits.lines));
            }
            reply.lines.push(text.to_vec());
            if last {
                return Ok((used, self.0.take()));
            }
        }
    }

    /// The code of a reply of which a line has come and not the last one.
    pub(super) fn begun(&self) -> Option<u16> {
        self.0.as_ref().map(|reply| reply.code)
    }
}

/// The first line without its CR LF, and how many bytes it takes with it.
fn line<'a>(input: &'a [u8], limits: &Limits) -> Result<Option<(&'a [u8], usize)>, Error> {
    let longest = limits.line.saturating_add(2);
    let window = input.get(..longest).unwrap_or(input);
    let Some(feed) = memchr(b'\n', window) else {
        return if window.len() == longest { Err(Error::LineTooLong(limits.line)) } else { Ok(None) };
    };
    let (line, _) = input.split_at(feed);
    let line = line.strip_suffix(b"\r").ok_or(Error::LineEnd)?;
    if memchr(b'\r', line).is_some() {
        return Err(Error::LineEnd);
    }
    Ok(Some((line, feed + 1)))
}

/// Code, whether this is the last line, text.
fn split(line: &[u8]) -> Result<(u16, bool, &[u8]), Error> {
    // RFC 5321 §4.2: %x32-35 %x30-35 %x30-39.
    let Some((&[first @ b'2'..=b'5', second @ b'0'..=b'5', third @ b'0'..=b'9'], rest)) = line.split_first_chunk::<3>()
    else {
        return Err(Error::Code);
    };
    let code = u16::from(first - b'0') * 100 + u16::from(second - b'0') * 10 + u16::from(third - b'0');
    match rest.split_first() {
        None => Ok((code, true, b"")),
        Some((b' ', text)) => Ok((code, true, text)),
        Some((b'-', text)) => Ok((code, false, text)),
        Some(_) => Err(Error::Code),
    }
}

#[cfg(test)]
mod tests;
