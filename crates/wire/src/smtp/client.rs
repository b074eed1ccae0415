//! The client's half of SMTP: commands out, replies in, a message made fit for DATA.
//!
//! Knows no socket and no clock. A [`Reply`] is bounded by [`Limits`], however many lines a server sends. What would end a
//! command early (CR, LF, `>`) never gets into one: [`Path`] is checked once.

use memchr::memchr;
use thiserror::Error;

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
        let mut used = 0;
        let mut reply: Option<Self> = None;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let Some((line, length)) = line(rest, limits)? else { return Ok(None) };
            used += length;
            let (code, last, text) = split(line)?;
            let reply = reply.get_or_insert_with(|| Self { code, lines: Vec::new() });
            if reply.code != code {
                return Err(Error::Codes);
            }
            if reply.lines.len() >= limits.lines {
                return Err(Error::TooManyLines(limits.lines));
            }
            reply.lines.push(text.to_vec());
            if last {
                let whole = Self { code, lines: std::mem::take(&mut reply.lines) };
                return Ok(Some((whole, used)));
            }
        }
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

    /// Code and text on one line, for people: lines are joined by ` / `, what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        format!("{} {}", self.code, lines.join(" / ")).trim_end().to_owned()
    }
}

/// What a server offers in its reply to EHLO (RFC 5321 §4.1.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// PIPELINING (RFC 2920): commands may be sent before the replies to earlier ones.
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub utf8: bool,
    /// CHUNKING (RFC 3030): a message may come by BDAT.
    pub chunking: bool,
    /// SIZE (RFC 1870): offered, and the largest message if the server named it.
    pub size: Option<Option<u64>>,
}

impl Extensions {
    /// Reads the lines after the greeting; what is not known is passed over.
    pub fn of(reply: &Reply) -> Self {
        let mut offered = Self::default();
        for line in reply.lines.iter().skip(1) {
            let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
            let keyword = words.next().unwrap_or_default();
            if keyword.eq_ignore_ascii_case(b"PIPELINING") {
                offered.pipelining = true;
            } else if keyword.eq_ignore_ascii_case(b"8BITMIME") {
                offered.eight_bit = true;
            } else if keyword.eq_ignore_ascii_case(b"SMTPUTF8") {
                offered.utf8 = true;
            } else if keyword.eq_ignore_ascii_case(b"CHUNKING") {
                offered.chunking = true;
            } else if keyword.eq_ignore_ascii_case(b"SIZE") {
                let largest = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
                // RFC 1870 §4: zero means that there is no fixed maximum.
                offered.size = Some(largest.filter(|size| *size != 0));
            }
        }
        offered
    }
}

/// A mail address as it may stand between `<` and `>` in MAIL and RCPT. Made only by [`Path::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// The most bytes of a path, its brackets counted (RFC 5321 §4.5.3.1.3).
    pub const MOST: usize = 256;

    /// Takes `local@domain`. It is not the full grammar, which the server knows better: it is what must hold so that the
    /// command is one command. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        let plain =
            !text.chars().any(|character| character.is_control() || character == ' ' || "<>".contains(character));
        let fits = text.len() + 2 <= Self::MOST;
        (plain && fits && !local.is_empty() && !domain.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Without brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether SMTPUTF8 is not needed for it.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }
}

/// A message as MAIL announces it.
#[derive(Clone, Copy, Debug)]
pub struct Announcement {
    /// Its bytes as they are sent, without dot-stuffing and the final dot.
    pub size: u64,
    /// Whether it has bytes above 127.
    pub eight_bit: bool,
    /// Whether an address of its envelope has characters outside ASCII.
    pub beyond_ascii: bool,
}

/// Writes `MAIL FROM`, with the parameters that the server offered.
pub fn write_mail(sender: &Path, message: Announcement, offered: &Extensions, out: &mut Vec<u8>) {
    out.extend_from_slice(b"MAIL FROM:<");
    out.extend_from_slice(sender.0.as_bytes());
    out.push(b'>');
    if offered.size.is_some() {
        out.extend_from_slice(b" SIZE=");
        out.extend_from_slice(itoa::Buffer::new().format(message.size).as_bytes());
    }
    if message.eight_bit && offered.eight_bit {
        out.extend_from_slice(b" BODY=8BITMIME");
    }
    if message.beyond_ascii && offered.utf8 {
        out.extend_from_slice(b" SMTPUTF8");
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes `RCPT TO`.
pub fn write_rcpt(recipient: &Path, out: &mut Vec<u8>) {
    out.extend_from_slice(b"RCPT TO:<");
    out.extend_from_slice(recipient.0.as_bytes());
    out.extend_from_slice(b">\r\n");
}

/// Writes `BDAT` for a message of one chunk, whose bytes follow at once, with no dot doubled and no end of their own (RFC 3030 §2).
pub fn write_only_chunk(octets: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"BDAT ");
    out.extend_from_slice(itoa::Buffer::new().format(octets).as_bytes());
    out.extend_from_slice(b" LAST\r\n");
}

/// Makes every line of a message end in CR LF, whatever ended it before (CR LF, LF or CR); a last line without an end gets
/// one. What DATA carries has no other line ends (RFC 5321 §2.3.8).
pub fn canonical_lines(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 32 + 2);
    let mut rest = message;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        let (line, end) = rest.split_at(at);
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
        rest = end.strip_prefix(b"\r\n").or_else(|| end.get(1..)).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    if !rest.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Adds the dots of RFC 5321 §4.5.2 to a message that is given in pieces, and the line with the single dot after it.
#[derive(Debug)]
pub struct Stuffing {
    line_begins: bool,
}

impl Default for Stuffing {
    fn default() -> Self {
        Self { line_begins: true }
    }
}

impl Stuffing {
    /// Appends `piece` of a message made by [`canonical_lines`] to `out`, with a dot before each dot that begins a line.
    pub fn write(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while !rest.is_empty() {
            if self.line_begins && rest.first() == Some(&b'.') {
                out.push(b'.');
            }
            let end = memchr(b'\n', rest).map_or(rest.len(), |feed| feed + 1);
            let (line, after) = rest.split_at(end);
            out.extend_from_slice(line);
            self.line_begins = line.last() == Some(&b'\n');
            rest = after;
        }
    }

    /// Appends the end of the data.
    pub fn finish(self, out: &mut Vec<u8>) {
        if !self.line_begins {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
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
