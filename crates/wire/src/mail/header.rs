//! The header block of a message: its fields, one after the other, unfolded.
//!
//! Reads what is there and refuses nothing: a line that is no field is passed over (RFC 5322 §2.2). Bounded by: the slice it
//! is given; it allocates only in [`Field::text`], and there no more than it is asked for.

use crate::mail::encoded_word;

/// The fields of a header block, in their order, up to the empty line that ends it.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// What is before the colon, without the space that some writers put there.
    pub name: &'a [u8],
    /// What is behind the colon, still folded, without its last line end.
    pub body: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of `message`, which may go on into its body or stop within the header.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next line with what is folded under it, and whether anything is left. `None` at the end of the header.
    fn folded_line(&mut self) -> Option<&'a [u8]> {
        let mut end = 0;
        loop {
            let rest = self.rest.get(end..)?;
            let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let is_empty = matches!(rest.get(..line)?, b"" | b"\n" | b"\r\n");
            if end == 0 && is_empty {
                self.rest = b"";
                return None;
            }
            end += line;
            if !matches!(self.rest.get(end), Some(b' ' | b'\t')) {
                let (folded, rest) = self.rest.split_at_checked(end)?;
                self.rest = rest;
                return Some(folded);
            }
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let line = self.folded_line()?;
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let (name, body) = line.split_at(colon);
            let name = name.trim_ascii_end();
            if name.is_empty() || name.iter().any(|byte| !matches!(byte, 33..=126)) {
                continue;
            }
            let body = body.get(1..).unwrap_or_default();
            let body = body.strip_suffix(b"\n").unwrap_or(body);
            return Some(Field { name, body: body.strip_suffix(b"\r").unwrap_or(body) });
        }
    }
}

impl Field<'_> {
    /// Whether this is the field of that name; names have no case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The body for people: unfolded, its encoded words decoded, without control characters, of at most `most` bytes of
    /// UTF-8; where more was there it ends with `…`.
    pub fn text(&self, most: usize) -> String {
        encoded_word::decode(self.body, most)
    }
}

/// Where the body begins: behind the first empty line. `None` while that line has not come.
pub fn end(message: &[u8]) -> Option<usize> {
    if message.starts_with(b"\r\n") {
        return Some(2);
    }
    memchr::memmem::find(message, b"\r\n\r\n").map(|at| at + 4)
}

/// Whether a message that begins so begins with a header: with a field, with the line of a mailbox file, or with the empty
/// line. `None` while that cannot be told.
pub fn begins(message: &[u8]) -> Option<bool> {
    for known in [&b"\r\n"[..], b"From ", b">From "] {
        if message.starts_with(known) {
            return Some(true);
        }
        if known.starts_with(message) {
            return None;
        }
    }
    let name = message.iter().take_while(|byte| matches!(byte, b'!'..=b'~') && **byte != b':').count();
    let spaces = message.iter().skip(name).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    message.get(name + spaces).map(|&behind| name > 0 && behind == b':')
}

/// Whether an empty line stands in this stretch of a header, which does not begin at the header's start.
pub(crate) fn has_empty_line(stretch: &[u8]) -> bool {
    memchr::memmem::find(stretch, b"\r\n\r\n").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &[u8]) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Fields::new(message).map(|field| (text(field.name), text(field.body))).collect()
    }

    fn check(message: &str, expect: &[(&str, &str)]) {
        let read = fields(message.as_bytes());
        let read: Vec<_> = read.iter().map(|(name, body)| (name.as_str(), body.as_str())).collect();
        assert_eq!(read, expect, "{message:?}");
    }

    #[test]
    fn fields_up_to_the_empty_line() {
        check("", &[]);
        check("\r\nA: b\r\n", &[]);
        check("A: b\r\n\r\nC: d\r\n", &[("A", " b")]);
        check("A:b\r\nC :d\r\n", &[("A", "b"), ("C", "d")]);
        check("A: b\r\n folded\r\n\tagain\r\nC: d", &[("A", " b\r\n folded\r\n\tagain"), ("C", " d")]);
        check("A: b\nC: d\n\nE: f", &[("A", " b"), ("C", " d")]);
        check("A:\r\n", &[("A", "")]);
        check("A: b:c\r\n", &[("A", " b:c")]);
    }

    #[test]
    fn a_line_that_is_no_field_is_passed_over() {
        check("From someone Sun Nov\r\nA: b\r\n", &[("A", " b")]);
        check("two words: x\r\nA: b\r\n", &[("A", " b")]);
        check(": x\r\nA: b\r\n", &[("A", " b")]);
        check(" folded under nothing\r\nA: b\r\n", &[("A", " b")]);
        check("\u{e4}: x\r\nA: b", &[("A", " b")]);
    }

    #[test]
    fn a_line_of_spaces_does_not_end_the_header() {
        check("A: b\r\n \r\nC: d\r\n", &[("A", " b\r\n "), ("C", " d")]);
    }

    #[test]
    fn the_end_of_the_header() {
        for (message, expect) in [
            ("", None),
            ("A: b\r\n", None),
            ("A: b\r\n\r", None),
            ("\r\nbody", Some(2)),
            ("A: b\r\n\r\nbody\r\n\r\n", Some(8)),
        ] {
            assert_eq!(end(message.as_bytes()), expect, "{message:?}");
        }
    }

    #[test]
    fn a_message_begins_with_a_header_or_not() {
        for (message, expect) in [
            ("Subject: x\r\n", Some(true)),
            ("Subject : x\r\n", Some(true)),
            ("X:\r\n", Some(true)),
            ("\r\n", Some(true)),
            ("From alice Mon\r\n", Some(true)),
            (">From alice Mon\r\n", Some(true)),
            ("From: alice\r\n", Some(true)),
            ("Hello\r\n", Some(false)),
            ("Hello world: x\r\n", Some(false)),
            ("From\r\n", Some(false)),
            (" folded: x\r\n", Some(false)),
            (": x\r\n", Some(false)),
            ("gr\u{fc}n: x\r\n", Some(false)),
        ] {
            assert_eq!(begins(message.as_bytes()), expect, "{message:?}");
            for end in 0..message.len() {
                let soon = begins(&message.as_bytes()[..end]);
                assert!(soon.is_none() || soon == expect, "{message:?} up to {end}: {soon:?}");
            }
        }
        for unknown in ["", "\r", "F", "From", ">", "Subject", "Subject \t"] {
            assert_eq!(begins(unknown.as_bytes()), None, "{unknown:?}");
        }
    }

    #[test]
    fn junk_gives_no_panic() {
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            let mut junk = Vec::new();
            for _ in 0..24 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let alphabet = b"Ab: \t\r\n=?\xff";
                junk.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
            }
            for field in Fields::new(&junk) {
                assert!(field.text(10).len() <= 10);
            }
        }
    }
}
