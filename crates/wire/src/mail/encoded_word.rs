//! Text in header fields for people: RFC 2047 encoded words and 8-bit bytes, decoded.
//!
//! Knows UTF-8, US-ASCII, ISO-8859-1 and -15 and Windows-1252; a word in another charset is shown as it was written. What comes
//! out has no control characters and none that turn the direction of text around (a sender could make `gpj.exe` read
//! `exe.jpg`). Bounded by the length it is asked for.

use std::borrow::Cow;

/// What is put where text was cut off.
const CUT: char = '…';

/// Decodes the body of a field into at most `most` bytes of UTF-8; where more was there it ends with `…`.
pub fn decode(raw: &[u8], most: usize) -> String {
    let mut text = Text { out: String::with_capacity(raw.len().min(most)), most, full: false };
    let mut rest = raw;
    // Bytes of words that touch each other, kept together because some writers split a character between two of them.
    let mut joined: Option<(Charset, Vec<u8>)> = None;
    while !rest.is_empty() && !text.full {
        let at = memchr::memmem::find(rest, b"=?").unwrap_or(rest.len());
        let (literal, from_word) = rest.split_at(at);
        let word = Word::parse(from_word);
        // RFC 2047 §6.2: white space between two encoded words is not shown.
        if !(joined.is_some() && word.is_some() && literal.iter().all(u8::is_ascii_whitespace)) {
            text.push_joined(joined.take());
            text.push_bytes(literal);
        }
        match word {
            Some((word, after)) => {
                match &mut joined {
                    Some((charset, bytes)) if *charset == word.charset => word.decode_into(bytes),
                    other => {
                        text.push_joined(other.take());
                        let mut bytes = Vec::new();
                        word.decode_into(&mut bytes);
                        joined = Some((word.charset, bytes));
                    }
                }
                rest = after;
                if let Some((charset, bytes)) = joined.as_mut().filter(|(_, bytes)| bytes.len() > most) {
                    let tail = bytes.split_off(bytes.len() - charset.unfinished(bytes));
                    text.push_str(&charset.decode(bytes));
                    *bytes = tail;
                }
            }
            None => {
                let (mark, after) = from_word.split_at(from_word.len().min(2));
                text.push_bytes(mark);
                rest = after;
            }
        }
    }
    text.push_joined(joined);
    text.finish()
}

/// Text that is being gathered up to a bound; runs of white space become one space.
struct Text {
    out: String,
    most: usize,
    full: bool,
}

impl Text {
    fn push(&mut self, character: char) {
        let character = if character.is_whitespace() { ' ' } else { character };
        let is_hidden = character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if is_hidden || (character == ' ' && (self.out.is_empty() || self.out.ends_with(' '))) {
            return;
        }
        if self.out.len() + character.len_utf8() > self.most {
            self.full = true;
        }
        if !self.full {
            self.out.push(character);
        }
    }

    fn push_str(&mut self, text: &str) {
        for character in text.chars() {
            if self.full {
                return;
            }
            self.push(character);
        }
    }

    /// Bytes outside encoded words: UTF-8 (RFC 6532) where they are that, else what old Windows software meant.
    fn push_bytes(&mut self, bytes: &[u8]) {
        self.push_str(&Charset::Utf8.decode(bytes));
    }

    fn push_joined(&mut self, joined: Option<(Charset, Vec<u8>)>) {
        if let Some((charset, bytes)) = joined {
            self.push_str(&charset.decode(&bytes));
        }
    }

    fn finish(mut self) -> String {
        if self.full {
            while self.out.len() + CUT.len_utf8() > self.most {
                if self.out.pop().is_none() {
                    return self.out;
                }
            }
            self.out.push(CUT);
        } else if self.out.ends_with(' ') {
            self.out.pop();
        }
        self.out
    }
}

/// One encoded word: `=?charset?encoding?text?=`.
struct Word<'a> {
    charset: Charset,
    encoding: Encoding,
    text: &'a [u8],
}

enum Encoding {
    Base64,
    Quoted,
}

impl<'a> Word<'a> {
    /// The word at the start of `bytes` and what follows it; `None` where there is none that we can read.
    fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let rest = bytes.strip_prefix(b"=?")?;
        // RFC 2047 §2 allows 75 for the whole; writers are less careful with the text than with the charset.
        let (charset, rest) = until_mark(rest, 40)?;
        let charset = Charset::named(charset)?;
        let (encoding, rest) = until_mark(rest, 1)?;
        let encoding = match encoding {
            b"B" | b"b" => Encoding::Base64,
            b"Q" | b"q" => Encoding::Quoted,
            _ => return None,
        };
        let end = memchr::memmem::find(rest.get(..rest.len().min(4_096))?, b"?=")?;
        let (text, rest) = rest.split_at(end);
        if memchr::memchr(b'\n', text).is_some() {
            return None;
        }
        Some((Self { charset, encoding, text }, rest.get(2..)?))
    }

    fn decode_into(&self, out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Base64 => base64(self.text, out),
            Encoding::Quoted => quoted(self.text, out),
        }
    }
}

fn until_mark(bytes: &[u8], most: usize) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'?', bytes.get(..bytes.len().min(most + 1))?)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// RFC 2045 §6.8: what is not in the alphabet is passed over.
fn base64(text: &[u8], out: &mut Vec<u8>) {
    let (mut bits, mut count) = (0_u32, 0_u32);
    for &byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
}

/// The Q encoding, RFC 2047 §4.2.
fn quoted(text: &[u8], out: &mut Vec<u8>) {
    let mut bytes = text;
    while let Some((&byte, rest)) = bytes.split_first() {
        bytes = rest;
        let digit = |at: usize| rest.get(at).and_then(|&digit| char::from(digit).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'=', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                bytes = rest.get(2..).unwrap_or_default();
            }
            (b'_', ..) => out.push(b' '),
            _ => out.push(byte),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    /// Also for ISO-8859-1, of which it is a superset in all that can be printed, as browsers do.
    Windows1252,
    Latin9,
}

impl Charset {
    fn named(name: &[u8]) -> Option<Self> {
        // RFC 2231 §5: a language may follow the charset.
        let name = name.split(|&byte| byte == b'*').next()?;
        let is = |known: &[&str]| known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        match () {
            () if is(&["utf-8", "utf8", "us-ascii", "ascii"]) => Some(Self::Utf8),
            () if is(&["iso-8859-1", "latin1", "iso8859-1", "windows-1252", "cp1252"]) => Some(Self::Windows1252),
            () if is(&["iso-8859-15", "latin-9"]) => Some(Self::Latin9),
            () => None,
        }
    }

    /// What is said to be UTF-8 and is not is read as Windows-1252, byte by byte: so what comes later changes nothing before it.
    fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        match (self, std::str::from_utf8(bytes)) {
            (Self::Utf8, Ok(text)) => Cow::Borrowed(text),
            (Self::Utf8, Err(_)) => {
                let old = |bytes: &[u8]| bytes.iter().map(|&byte| windows_1252(byte)).collect::<String>();
                bytes.utf8_chunks().flat_map(|chunk| [chunk.valid().to_owned(), old(chunk.invalid())]).collect()
            }
            (Self::Windows1252, _) => bytes.iter().map(|&byte| windows_1252(byte)).collect::<String>().into(),
            (Self::Latin9, _) => bytes.iter().map(|&byte| latin9(byte)).collect::<String>().into(),
        }
    }

    /// How many bytes at the end of `bytes` are the beginning of a character.
    fn unfinished(self, bytes: &[u8]) -> usize {
        let end = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
        match std::str::from_utf8(end) {
            Err(error) if self == Self::Utf8 && error.error_len().is_none() => end.len(),
            _ => 0,
        }
    }
}

fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH.get(usize::from(byte - 0x80)).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from(byte),
    }
}

fn latin9(byte: u8) -> char {
    match byte {
        0xa4 => '€',
        0xa6 => 'Š',
        0xa8 => 'š',
        0xb4 => 'Ž',
        0xb8 => 'ž',
        0xbc => 'Œ',
        0xbd => 'œ',
        0xbe => 'Ÿ',
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoded_for_people() {
        for (raw, expect) in [
            (&b""[..], ""),
            (b" plain text ", "plain text"),
            (b" two\r\n  lines", "two lines"),
            (b"=?utf-8?B?Y2Fmw6k=?=", "café"),
            (b"=?UTF-8?q?caf=C3=A9_al_volo?=", "café al volo"),
            (b"=?ISO-8859-1?Q?caf=E9?=", "café"),
            (b"=?windows-1252?Q?5_=80?=", "5 €"),
            (b"=?iso-8859-15?Q?5_=A4?=", "5 €"),
            (b"=?us-ascii*en?Q?hello?=", "hello"),
            (b"a =?utf-8?Q?b?= c", "a b c"),
            // RFC 2047 §8, the table of examples.
            (b"(=?ISO-8859-1?Q?a?=)", "(a)"),
            (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
            (b"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
            (b"(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
            (b"(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
            (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a =?ISO-8859-2?Q?_b?=)"),
            // A character split between two words.
            (b"=?utf-8?Q?caf=C3?= =?utf-8?Q?=A9?=", "café"),
            (b"=?utf-8?Q?a?= =?iso-8859-1?Q?=E9?=", "aé"),
            // Words that are none.
            (b"=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
            (b"=?utf-8?Q?abc", "=?utf-8?Q?abc"),
            (b"=?big5?B?pKSk5Q==?=", "=?big5?B?pKSk5Q==?="),
            (b"=?", "=?"),
            (b"=", "="),
            (b"=?=?utf-8?Q?a?=", "=?a"),
            (b"=?utf-8?Q?=4?=", "=4"),
            (b"=?utf-8?B?!!!!?=", ""),
            // Bytes above 127 outside words.
            ("gr\u{fc}\u{df}e".as_bytes(), "grüße"),
            (b"gr\xfc\xdfe", "grüße"),
            ("é \u{fc}".as_bytes(), "é ü"),
            (b"\xc3\xa9 \xfc \xc3", "é ü Ã"),
            // Nothing that a terminal or an eye could be tricked with.
            (b"a\x1b[31mb\0c\x7f", "a[31mbc"),
            (b"=?utf-8?Q?a=0D=0Ab=1B?=", "a b"),
            ("a\u{202e}b\u{2066}c".as_bytes(), "abc"),
        ] {
            assert_eq!(decode(raw, 100), expect, "{}", String::from_utf8_lossy(raw));
        }
    }

    #[test]
    fn lengths_at_the_limit_and_one_beyond() {
        assert_eq!(decode(b"12345678", 8), "12345678");
        assert_eq!(decode(b"123456789", 8), "12345…");
        assert_eq!(decode("ééééé".as_bytes(), 10), "ééééé");
        assert_eq!(decode("éééééx".as_bytes(), 10), "ééé…");
        assert_eq!(decode(b"=?utf-8?Q?12345678?=", 8), "12345678");
        assert_eq!(decode(b"=?utf-8?Q?123456789?=", 8), "12345…");
        assert_eq!(decode(b"123", 2), "");
        assert_eq!(decode(b"1", 0), "");
        // A character that two words share, where the bound falls; and much that is not shown, before what is.
        assert_eq!(decode(b"=?utf-8?Q?12=C3?= =?utf-8?Q?=A93?=", 5), "12é3");
        assert_eq!(decode(b"=?utf-8?Q?1234567=C3?= =?utf-8?Q?=A99?=", 7), "1234…");
        assert_eq!(decode(b"=?utf-8?Q?=01=01=01=01=01=01=01=01=C3?= =?utf-8?Q?=A9?=", 4), "é");
        let long = b"=?utf-8?B?YWFhYWFhYWFhYWFhYWFhYQ==?= ".repeat(10_000);
        assert!(decode(&long, 64).len() <= 64);
    }

    #[test]
    fn junk_gives_no_panic_and_stays_within_its_bound() {
        let mut seed = 7_u64;
        for _ in 0..50_000 {
            let mut junk = Vec::new();
            for _ in 0..40 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let alphabet = b"=?utf-8QqBb_\r\n \xc3\xa9\xff=?";
                junk.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
            }
            assert!(decode(&junk, 16).len() <= 16);
        }
    }
}
