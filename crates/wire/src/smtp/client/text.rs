//! A message made fit for DATA.

use memchr::memchr;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_become_cr_lf() {
        let check = |input: &str, expect: &str| {
            assert_eq!(String::from_utf8(canonical_lines(input.as_bytes())).unwrap(), expect, "{input:?}");
        };
        check("", "");
        check("a", "a\r\n");
        check("a\n", "a\r\n");
        check("a\r\nb\nc\rd", "a\r\nb\r\nc\r\nd\r\n");
        check("\r\r\n\n", "\r\n\r\n\r\n");
        check("a\n.\n", "a\r\n.\r\n");
    }

    #[test]
    fn dots_are_stuffed_however_the_message_is_cut() {
        let check = |input: &str, expect: &str| {
            for split in 0..=input.len() {
                let (first, second) = input.as_bytes().split_at(split);
                let (mut stuffing, mut out) = (Stuffing::default(), Vec::new());
                stuffing.write(first, &mut out);
                stuffing.write(second, &mut out);
                stuffing.finish(&mut out);
                assert_eq!(String::from_utf8(out).unwrap(), expect, "{input:?} split at {split}");
            }
        };
        check("", ".\r\n");
        check("a\r\n", "a\r\n.\r\n");
        check(".\r\n", "..\r\n.\r\n");
        check("a.\r\n..b\r\n.", "a.\r\n...b\r\n..\r\n.\r\n");
        check("a", "a\r\n.\r\n");
    }
}
